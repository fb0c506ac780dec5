//! What `docs/deploy` tells users to write, as it stands there, run by the real servers: nginx, Caddy, HAProxy and Apache httpd.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::Path;
use std::process::Command;

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use serde_json::json;
use tempfile::TempDir;
use usher_tests::{Answer, Authority, Browser, Edge, HOST, KEY, PROGRAM, Process, Shop, Standin, eventually};

const BROWSER: &str = "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0";
/// Whence the visitor comes, and whence they say that they come.
const VISITOR: Ipv4Addr = Ipv4Addr::new(127, 0, 0, 5);
const CLAIMED: &str = "203.0.113.66";

#[tokio::test(flavor = "multi_thread")]
async fn nginx() {
    let before = |world: &World| {
        format!(
            "daemon off; master_process off; pid {dir}/pid; error_log stderr; events {{}}\n\
             http {{ access_log off; client_body_temp_path {dir}/b; proxy_temp_path {dir}/p; fastcgi_temp_path {dir}/f;\n\
             uwsgi_temp_path {dir}/u; scgi_temp_path {dir}/s;\n\
             server {{ listen {at} ssl; server_name {HOST}; ssl_certificate {dir}/shop.crt; ssl_certificate_key {dir}/shop.key;\n",
            dir = world.dir(),
            at = world.at
        )
    };
    let world = World::new("nginx").await;
    let after = format!("location / {{ proxy_pass http://{}; }} }} }}\n", world.shop.address());
    let config = world.write("nginx.conf", &(before(&world) + &world.block + &after));
    let mut command = Command::new("nginx");
    command.args(["-e", "stderr", "-c"]).arg(config);
    world.try_with(command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn caddy() {
    let world = World::new("caddy").await;
    let config = format!(
        "{{\n admin off\n auto_https disable_redirects\n storage file_system {dir}\n}}\n\
         https://{HOST}:{port} {{\n bind 127.0.0.1\n tls {dir}/shop.crt {dir}/shop.key\n{block}\n\
         handle {{\n reverse_proxy {shop}\n }}\n}}\n",
        dir = world.dir(),
        port = world.at.port(),
        block = world.block,
        shop = world.shop.address()
    );
    let config = world.write("Caddyfile", &config);
    let mut command = Command::new("caddy");
    command
        .args(["run", "--adapter", "caddyfile", "--config"])
        .arg(config)
        .env("HOME", world.dir())
        .env("XDG_CONFIG_HOME", world.dir());
    world.try_with(command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn haproxy() {
    let world = World::new("haproxy").await;
    let [certificate, key] =
        ["crt", "key"].map(|kind| fs::read_to_string(world.folder.path().join("shop.".to_owned() + kind)));
    world.write("shop.pem", &(certificate.expect("a certificate") + &key.expect("a key")));
    let block = filled(&world.block, "bind :443", &format!("bind {}", world.at));
    let block = filled(&block, "/etc/haproxy/shop.pem", &format!("{}/shop.pem", world.dir()));
    let config = format!(
        "defaults\n mode http\n timeout connect 5s\n timeout client 30s\n timeout server 30s\n\
         {block}\nbackend shop\n server shop {}\n",
        world.shop.address()
    );
    let config = world.write("haproxy.cfg", &config);
    let mut command = Command::new("haproxy");
    command.args(["-db", "-f"]).arg(config);
    world.try_with(command).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn apache() {
    const MODULES: [&str; 6] = ["mpm_event", "authz_core", "ssl", "proxy", "proxy_http", "headers"];
    let world = World::new("apache").await;
    let modules =
        MODULES.map(|name| format!("LoadModule {name}_module /usr/lib/apache2/modules/mod_{name}.so\n"));
    let config = format!(
        "ServerRoot {dir}\nPidFile {dir}/pid\nDefaultRuntimeDir {dir}\nErrorLog /dev/stderr\nServerName {HOST}\n{modules}\
         Listen {at}\n<VirtualHost {at}>\nSSLEngine on\nSSLCertificateFile {dir}/shop.crt\nSSLCertificateKeyFile {dir}/shop.key\n\
         {block}\nProxyPass / http://{shop}/\n</VirtualHost>\n",
        dir = world.dir(),
        modules = modules.concat(),
        at = world.at,
        block = world.block,
        shop = world.shop.address()
    );
    let config = world.write("apache.conf", &config);
    let mut command = Command::new("apache2");
    // One process, so that its end is the end.
    command.args(["-X", "-f"]).arg(config);
    world.try_with(command).await;
}

#[test]
fn the_units_are_what_systemd_takes() {
    let folder = tempfile::tempdir().expect("a folder");
    let mut units = Vec::new();
    for name in ["usher.service", "usher.socket"] {
        let text = fs::read_to_string(docs(name)).expect("a unit");
        let here = usher_tests::usher().display().to_string();
        let unit = folder.path().join(name);
        fs::write(&unit, text.replace("/usr/local/bin/usher", &here)).expect("it is written");
        units.push(unit);
    }
    let verified = Command::new("systemd-analyze").arg("verify").args(&units).output().expect("it runs");
    let said = String::from_utf8_lossy(&verified.stderr);
    assert!(verified.status.success() && !said.contains("usher."), "{said}");
}

/// A shop, an edge as the page wants it, and a place for the server between.
struct World {
    /// What the page tells users to write.
    block: String,
    at: SocketAddr,
    shop: Shop,
    edge: Edge,
    standin: Standin,
    folder: TempDir,
    authority: Authority,
}

impl World {
    async fn new(page: &str) -> Self {
        let text = fs::read_to_string(docs(&format!("{page}.md"))).expect("a page");
        let language = if page == "caddy" { "caddyfile" } else { page };
        let standin = Standin::start().await;
        let settings = fenced(&text, "toml");
        let trusted = settings.lines().find_map(|line| line.strip_prefix("trusted_proxies = "));
        let edge = Edge::builder(&standin)
            .server("trusted_proxies", trusted.expect("the page says who is trusted"))
            .site("webhook", "[{ provider = \"stripe\", secret = [\"whsec_of_the_shop\"] }]")
            .start()
            .await;
        assert!(settings.contains("http = \"127.0.0.1:8080\""), "{settings}");
        let block = filled(&fenced(&text, language), "127.0.0.1:8080", &edge.http().to_string());
        let folder = tempfile::tempdir().expect("a folder");
        let authority = Authority::new();
        authority.issue(&[HOST], 3, folder.path(), "shop");
        let shop = Shop::start(async |_| Response::new(Bytes::from_static(b"the shop"))).await;
        let port = TcpListener::bind("127.0.0.1:0").and_then(|free| free.local_addr()).expect("a port");
        Self { block, at: port, shop, edge, standin, folder, authority }
    }

    fn dir(&self) -> String {
        self.folder.path().display().to_string()
    }

    fn write(&self, name: &str, text: &str) -> std::path::PathBuf {
        let path = self.folder.path().join(name);
        fs::write(&path, text).expect("it is written");
        path
    }

    /// Starts the server, and is a visitor who claims to be another one.
    async fn try_with(self, mut command: Command) {
        let _server = Process::start("the server", &mut command);
        let browser = Browser::trusting(self.authority.pem()).at(VISITOR.into());
        let home = eventually("the shop's page", async || {
            browser
                .send(self.at, "http/1.1", request("GET", "/", ""))
                .await
                .ok()
                .filter(|answer| answer.status == 200)
        });
        let home = home.await;
        assert_eq!((home.text().as_str(), home.cookies().len()), ("the shop", 0));
        let send = async |method: &str, path: &str, body: &str| -> Answer {
            browser.send(self.at, "http/1.1", request(method, path, body)).await.expect("an answer")
        };

        for path in ["/rr/track", "/about?via=alice", "/v1/track"] {
            assert_eq!(send("GET", path, "").await.text(), "the shop", "{path} is none of ours");
        }
        assert!(send("GET", "/r/pixel.js", "").await.expect(200).text().contains("affonso_referral"));
        assert_eq!(send("GET", "/r/nothing", "").await.status, 404);

        let click =
            json!({"programId": PROGRAM, "trackingId": "alice", "userAgent": BROWSER, "referrer": ""});
        let tracked = send("POST", "/r/track", &click.to_string()).await.expect(200);
        let cookie = tracked.cookie("affonso_referral").expect("a cookie");
        assert!(cookie.attribute("secure").is_some(), "{cookie:?}");
        assert_eq!(cookie.attribute("domain"), Some(HOST), "{cookie:?}");
        let received = self.standin.received().await;
        assert_eq!(
            received.clicks_of("alice")[0]["ip"],
            VISITOR.to_string(),
            "whom the platform takes for the visitor"
        );

        let large = json!({"pad": "x".repeat(200 * 1024)}).to_string();
        assert!(
            send("POST", "/r/v1/conversions", &large).await.expect(400).text().contains("VALIDATION_ERROR")
        );
        let webhook = json!({"pad": "x".repeat(1_000_000)}).to_string();
        assert_eq!(
            send("POST", "/r/hooks/stripe", &webhook).await.status,
            401,
            "it came whole, and is not signed"
        );
        let arrived = send("GET", "/r/v1/arrival", "").await.expect(200).json();
        assert_eq!(arrived["data"]["host"], HOST, "{arrived}");
        assert_eq!(arrived["data"]["https"], true, "{arrived}");
        drop(self.edge);
    }
}

/// A request of a visitor who claims to come from elsewhere, to another host, without encryption.
fn request(method: &str, path: &str, body: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(format!("https://{HOST}{path}"))
        .header("user-agent", BROWSER)
        .header("content-type", "application/json")
        .header("authorization", format!("Bearer {KEY}"))
        .header("x-forwarded-for", CLAIMED)
        .header("x-real-ip", CLAIMED)
        .header("forwarded", format!("for={CLAIMED};proto=http;host=evil.example"))
        .header("x-forwarded-proto", "http")
        .header("x-forwarded-host", "evil.example")
        .body(Full::from(body.to_owned()))
        .expect("a request")
}

fn docs(name: &str) -> std::path::PathBuf {
    Path::new(usher_tests::repository()).join("docs/deploy").join(name)
}

/// The page's first block in that language.
fn fenced(page: &str, language: &str) -> String {
    let (_, rest) =
        page.split_once(&format!("```{language}\n")).unwrap_or_else(|| panic!("no block of {language}"));
    rest.split_once("```").expect("the block ends").0.to_owned()
}

/// The block with what is another one here.
fn filled(block: &str, there: &str, here: &str) -> String {
    assert!(block.contains(there), "{there} does not stand in\n{block}");
    block.replace(there, here)
}
