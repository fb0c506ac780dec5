//! Asking several servers the same, when any of them may be frozen.

use redis::{ErrorKind, RedisError, RedisResult};
use std::{future::Future, time::Duration};
use tokio::{task::JoinSet, time::timeout};

/// How long one has for its answer before the next is asked as well.
const HEAD_START: Duration = Duration::from_millis(100);

/// The first good answer. They are asked in their order: the next when one fails or is slow.
pub(super) async fn first_of<T, F>(tries: impl IntoIterator<Item = F>) -> RedisResult<T>
where
    T: Send + 'static,
    F: Future<Output = RedisResult<T>> + Send + 'static,
{
    let mut tries = tries.into_iter();
    let mut running = JoinSet::new();
    let mut last = RedisError::from((ErrorKind::InvalidClientConfig, "there is nobody to ask"));
    loop {
        let answer = match tries.next() {
            Some(next) => {
                running.spawn(next);
                match timeout(HEAD_START, running.join_next()).await {
                    Ok(answer) => answer,
                    Err(_) => continue,
                }
            }
            None => running.join_next().await,
        };
        match answer {
            Some(Ok(Ok(found))) => return Ok(found),
            Some(Ok(Err(why))) => last = why,
            Some(Err(_)) => {}
            None => return Err(last),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;
    use tokio::time::sleep;

    async fn after(ms: u64, answer: Option<u64>) -> RedisResult<u64> {
        sleep(Duration::from_millis(ms)).await;
        answer.ok_or_else(|| RedisError::from(io::Error::from(io::ErrorKind::ConnectionRefused)))
    }

    #[tokio::test(start_paused = true)]
    async fn a_frozen_one_is_overtaken_and_a_failing_one_passed_over() {
        let all = [after(60_000, Some(1)), after(1, None), after(5, Some(3)), after(0, Some(4))];
        let began = tokio::time::Instant::now();
        assert_eq!(first_of(all).await.expect("an answer"), 3);
        assert!(began.elapsed() < Duration::from_millis(250));
    }

    #[tokio::test(start_paused = true)]
    async fn when_all_fail_so_does_it() {
        assert!(first_of([after(1, None), after(500, None)]).await.is_err_and(|why| why.is_io_error()));
        assert!(first_of(Vec::<std::future::Ready<RedisResult<u8>>>::new()).await.is_err());
    }
}
