//! The two stores that every test of promo codes and conversions runs against.

use std::sync::atomic::{AtomicU32, Ordering};

use serde_json::Value;
use tokio::sync::Mutex;
use usher_tests::{Builder, Edge, RedisServer, Standin, Store};

/// Held by tests that measure time and by tests that keep both cores busy, so that they do not meet.
pub(crate) static CORES: Mutex<()> = Mutex::const_new(());

/// A stand-in, and a store for the edges before it.
pub(crate) struct Backing {
    pub(crate) standin: Standin,
    pub(crate) redis: Option<RedisServer>,
}

impl Backing {
    pub(crate) async fn sqlite() -> Self {
        Self { standin: Standin::start().await, redis: None }
    }

    pub(crate) async fn redis() -> Self {
        Self { standin: Standin::start().await, redis: Some(RedisServer::start().await) }
    }

    pub(crate) fn builder(&self) -> Builder {
        Edge::builder(&self.standin).store(self.redis.as_ref().map_or(Store::sqlite(), Store::redis))
    }

    pub(crate) async fn edge(&self) -> Edge {
        self.builder().start().await
    }

    /// Writes a promo code the way it is done with that store: `redis-cli` or `usher codes add`.
    pub(crate) async fn put_code(&self, edge: &Edge, code: &str, value: &Value) {
        if let Some(redis) = &self.redis {
            return redis.put_code("shop", code, &value.to_string()).await;
        }
        let mut arguments = vec!["codes".to_owned(), "add".to_owned(), code.to_owned()];
        for (key, value) in value.as_object().expect("a code is an object") {
            arguments.push(format!("--{}", key.replace('_', "-")));
            arguments.push(value.as_str().map_or_else(|| value.to_string(), str::to_owned));
        }
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        let output = edge.usher(&arguments).await;
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    /// Writes a promo code and waits until the edge knows it.
    pub(crate) async fn known_code(&self, edge: &Edge, code: &str, value: &Value) {
        self.put_code(edge, code, value).await;
        let affiliate = &value["affiliate"];
        usher_tests::eventually(&format!("the edge knows {code} of {affiliate}"), async || {
            (edge.code_call(code).visitor(&stranger()).send().await.status == 200).then_some(())
        })
        .await;
    }
}

/// An address that nobody came from yet: whoever looks for a code that is not there yet is guessing, and guesses are limited.
pub(crate) fn stranger() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed);
    format!("100.{}.{}.9", 64 + next / 250 % 64, next % 250)
}

/// Makes each of these functions a test against the embedded store and a test against Redis.
macro_rules! with_both_stores {
    ($($name:ident),* $(,)?) => {
        mod sqlite {
            use crate::backing::Backing;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(Backing::sqlite().await).await;
            })*
        }
        mod redis {
            use crate::backing::Backing;
            $(#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $name() {
                super::$name(Backing::redis().await).await;
            })*
        }
    };
}
pub(crate) use with_both_stores;
