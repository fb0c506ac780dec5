//! `usher demo`: shop, edge and stand-in in one process, on ports of this machine, in a folder that goes with it.

use super::{shop, standin};
use crate::{
    config::{self, ProcessEnv},
    serve::{Service, stop_signal},
    system::SystemClock,
};
use anyhow::{Context, anyhow};
use std::{
    io::Write,
    net::{Ipv4Addr, SocketAddr},
    path::{Path, PathBuf},
    sync::Arc,
};
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;
use usher_model::{Clock, Code, PromoCode, SiteName};
use usher_store::Role;

/// The port that people remember; the next free one when it is taken.
const SHOP_PORT: u16 = 8080;
const PROGRAM: &str = "cm4ya9sik0009l9fbcvl9m05z";
const API_KEY: &str = "sk_demo_shop";
const UPSTREAM_KEY: &str = "sk_demo_upstream";
const SIGNING_SECRET: &str = "whsec_demo";
/// The codes that the shop gives a discount for, and whose they are.
const CODES: [(&str, &str); 2] = [
    ("ALICE10", r#"{"affiliate":"alice","discount":{"amount":10,"type":"percentage"}}"#),
    ("BOB15", r#"{"affiliate":"bob","discount":{"amount":15,"type":"percentage"},"max_uses":100}"#),
];

/// Runs the demo until the process is asked to stop.
///
/// # Errors
/// When an address cannot be bound or its folder cannot be written.
pub(crate) async fn run(port: Option<u16>, store: Option<&str>) -> anyhow::Result<()> {
    let signal = stop_signal()?;
    let folder = Folder::make()?;
    let stop = CancellationToken::new();
    let clock: Arc<dyn Clock> = Arc::new(SystemClock);

    let platform = listener(0).await?;
    let platform_at = platform.local_addr()?;
    let settings = standin::Settings {
        api_key: Some(UPSTREAM_KEY.to_owned()),
        signing_secret: Some(SIGNING_SECRET.to_owned()),
        program: Some(PROGRAM.to_owned()),
        ..standin::Settings::open(Arc::clone(&clock))
    };
    let platform =
        tokio::spawn(standin::Standin::new(settings).serve(platform, stop.clone().cancelled_owned()));

    let config = folder.configuration(platform_at, store)?;
    put_codes(&config).await?;
    let edge = Box::pin(Service::start(config)).await?;
    let edge_at = *edge.http.first().context("the edge listens nowhere")?;

    let front = shop_listener(port).await?;
    let shop_at = front.local_addr()?;
    let shop = shop::ShopSettings {
        program: PROGRAM.to_owned(),
        prefix: "/r".to_owned(),
        edge: edge_at,
        edge_host: "localhost".to_owned(),
        api_key: API_KEY.to_owned(),
        clock,
    };
    let shop = tokio::spawn(shop::serve(shop, front, stop.clone().cancelled_owned()));
    announce(shop_at, edge_at, platform_at, &folder.0)?;

    signal.await;
    stop.cancel();
    shop.await??;
    edge.stop().await;
    platform.await??;
    Ok(())
}

async fn put_codes(config: &config::Config) -> anyhow::Result<()> {
    let site = SiteName::new("shop")?;
    let store = usher_store::open(config.store_url.expose(), std::slice::from_ref(&site), Role::Tool).await?;
    let mut codes = Vec::new();
    for (typed, json) in CODES {
        let code = PromoCode::fold(typed).ok_or_else(|| anyhow!("{typed} is no code"))?;
        codes.push((code, Code::from_json(json)?));
    }
    Ok(store.put_codes(&site, codes).await?)
}

async fn listener(port: u16) -> anyhow::Result<TcpListener> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    TcpListener::bind(address).await.with_context(|| format!("cannot listen on {address}"))
}

/// The port that was asked for, else the usual one, else any.
async fn shop_listener(port: Option<u16>) -> anyhow::Result<TcpListener> {
    match port {
        Some(port) => listener(port).await,
        None => match listener(SHOP_PORT).await {
            Ok(usual) => Ok(usual),
            Err(_) => listener(0).await,
        },
    }
}

fn announce(shop: SocketAddr, edge: SocketAddr, platform: SocketAddr, folder: &Path) -> anyhow::Result<()> {
    let (shop_port, folder) = (shop.port(), folder.display());
    let mut out = std::io::stdout();
    writeln!(
        out,
        "
  shop      http://localhost:{shop_port}/    a merchant's site; its tag is served from /r, its own domain
  edge      http://{edge}/r/    usher itself, behind the shop's /r (configuration: {folder}/usher.toml)
  platform  http://{platform}/    a stand-in for the affiliate platform: what arrived there

  Try:
  1. http://localhost:{shop_port}/?via=alice  buy something, then look at the platform: one click, one conversion of alice
  2. Buy in a private window without any link, with the promo code ALICE10: alice is credited all the same
  3. Press \"down\" on the platform's page, come through /?via=bob, buy, press \"healthy\": nothing was lost

  Ctrl-C ends it and removes its folder.
"
    )?;
    Ok(out.flush()?)
}

/// A folder for the demo's files, removed with them.
struct Folder(PathBuf);

impl Folder {
    fn make() -> anyhow::Result<Self> {
        let path = std::env::temp_dir().join(format!("usher-demo-{}", std::process::id()));
        std::fs::create_dir_all(&path)
            .with_context(|| format!("cannot make the folder {}", path.display()))?;
        Ok(Self(path))
    }

    /// Writes a configuration as a merchant would and reads it as `serve` does.
    fn configuration(&self, platform: SocketAddr, store: Option<&str>) -> anyhow::Result<config::Config> {
        let store = store.unwrap_or("sqlite:usher.db");
        let text = format!(
            r#"[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
trusted_proxies = ["127.0.0.0/8"]

[store]
url = "{store}"

[upstream]
base_url = "http://{platform}/v1"
api_key = "{UPSTREAM_KEY}"
signing_secret = "{SIGNING_SECRET}"

[[site]]
name = "shop"
hosts = ["localhost", "127.0.0.1"]
program = "{PROGRAM}"
prefix = "/r"
names_secret = "names of the demo"
api_keys = ["{API_KEY}"]
"#
        );
        let path = self.0.join("usher.toml");
        std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))?;
        config::load(&path, &ProcessEnv).map_err(|findings| {
            anyhow!("{}", findings.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
        })
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        // What is left behind lies in the system's folder for such things.
        let _ = std::fs::remove_dir_all(&self.0);
    }
}
