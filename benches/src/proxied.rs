//! A file and a page of a shop, through each of the proxies.

use std::{
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::{Context as _, ensure};

use crate::{
    ask::ask,
    child::Running,
    contestants::{Contestant, Nginx, Usher},
    scenario::{HOST, Scenario},
};

/// Bytes of the file and of the page: what a compressed page of a shop has.
const BYTES: usize = 12_000;

/// The shop: an nginx of its own that knows two files.
pub(crate) struct Shop {
    process: Running,
    pub(crate) address: SocketAddr,
}

/// HAProxy before the shop.
pub(crate) struct Haproxy {
    process: Running,
    address: SocketAddr,
}

impl Shop {
    /// Starts it.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(binary: &Path, folder: &Path) -> anyhow::Result<Self> {
        let folder = folder.join("shop");
        fs::create_dir_all(folder.join("files"))?;
        fs::write(folder.join("files/shop.css"), "a{b:c}".repeat(BYTES / 6))?;
        let (begin, end) = ("<!doctype html><html><head><title>Shop</title></head><body>", "</body></html>");
        let text = "<p>Things.</p>".repeat((BYTES - begin.len() - end.len()) / 14);
        fs::write(folder.join("files/page.html"), format!("{begin}{text}{end}"))?;
        let (listener, address) = listener()?;
        let at = folder.display();
        let text = format!(
            r"daemon off;
user root root; # heeded only when root starts it: the folder is private
worker_processes auto;
pid {at}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=100 inactive=600s;
    open_file_cache_valid 600s;
    keepalive_requests 1000000000;
    types {{ text/css css; text/html html; }}
    client_body_temp_path {at}/body;
    proxy_temp_path {at}/proxy;
    fastcgi_temp_path {at}/fastcgi;
    uwsgi_temp_path {at}/uwsgi;
    scgi_temp_path {at}/scgi;
    server {{
        listen {address};
        root {at}/files;
    }}
}}
"
        );
        let config = folder.join("nginx.conf");
        fs::write(&config, text)?;
        let nginx = || {
            let mut command = Command::new(binary);
            command.arg("-c").arg(&config).arg("-p").arg(&folder).arg("-e").arg(folder.join("error.log"));
            command.stderr(Stdio::null());
            command
        };
        let mut stop = nginx();
        stop.args(["-s", "stop"]);
        let mut start = nginx();
        start.env("NGINX", "0;").stdin(Stdio::from(OwnedFd::from(listener)));
        Ok(Self { process: Running::start(&mut start, Some(stop))?, address })
    }
}

impl Haproxy {
    /// Starts it before `shop`, with as many threads as cores and connections that are used again.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(binary: &Path, folder: &Path, shop: &Shop) -> anyhow::Result<Self> {
        let (listener, address) = listener()?;
        let config = folder.join("haproxy.cfg");
        let text = format!(
            "global\n    maxconn 4096\n\
             defaults\n    mode http\n    http-reuse always\n    \
             timeout connect 5s\n    timeout client 60s\n    timeout server 60s\n\
             frontend visitors\n    bind fd@0\n    option forwardfor\n    default_backend shop\n\
             backend shop\n    server shop {}\n",
            shop.address
        );
        fs::write(&config, text)?;
        let mut start = Command::new(binary);
        start.arg("-db").arg("-f").arg(&config).stdin(Stdio::from(OwnedFd::from(listener)));
        start.stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self { process: Running::start(&mut start, None)?, address })
    }
}

/// The port is the kernel's, and there before the server is.
fn listener() -> anyhow::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    listener.set_nonblocking(true)?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// The two scenarios, each with the shop's own answer.
///
/// # Errors
/// When the shop does not answer.
pub(crate) fn scenarios(shop: &Shop) -> anyhow::Result<Vec<Scenario>> {
    let fields: Vec<(&'static str, String)> = [
        ("Host", HOST),
        ("User-Agent", "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0"),
        ("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"),
        ("Accept-Language", "en-US,en;q=0.5"),
        ("Cookie", "session=0123456789abcdef; theme=dark"),
    ]
    .map(|(name, value)| (name, value.to_owned()))
    .into();
    let new = |name, path: &'static str| {
        let model = ask(shop.address, "GET", path, &fields, "")?;
        ensure!(model.status == 200, "{name}: the shop answers {}", model.status);
        anyhow::Ok(Scenario {
            name,
            method: "GET",
            path,
            fields: fields.clone(),
            body: String::new(),
            new_visitors: false,
            proxied: true,
            model,
        })
    };
    Ok(vec![new("GET a shop's file", "/shop.css")?, new("GET a shop's page, tagged", "/page.html")?])
}

/// Usher first, once it is certain that what each passes on is what the shop sends; Usher adds its tag to pages.
///
/// # Errors
/// When one of them passes something else on.
pub(crate) fn contestants<'a>(
    scenario: &Scenario,
    shop: &'a Shop,
    usher: &'a Usher,
    nginx: &'a Nginx,
    haproxy: &'a Haproxy,
) -> anyhow::Result<Vec<Contestant<'a>>> {
    let contestant = |name, process, address| Contestant {
        name,
        process,
        address,
        path: scenario.path.to_owned(),
        asks_platform: false,
    };
    let all = vec![
        contestant("usher", usher.process(), usher.address),
        contestant("nginx", nginx.process(), nginx.address()),
        contestant("haproxy", &haproxy.process, haproxy.address),
        contestant("the shop itself", &shop.process, shop.address),
    ];
    let model = &scenario.model.body;
    for proxy in &all {
        let answer = passed_on(proxy, scenario)?;
        let is_tagged = proxy.name == "usher" && scenario.path.ends_with(".html");
        let tag = if is_tagged { answer.len().checked_sub(model.len()) } else { Some(0) };
        let added = tag.with_context(|| format!("{}: {} bytes are too few", proxy.name, answer.len()))?;
        ensure!(is_tagged == (added > 0), "{}: {added} bytes were added", proxy.name);
        ensure!(is_tagged || answer == *model, "{}: it passes other bytes on", proxy.name);
    }
    Ok(all)
}

fn passed_on(proxy: &Contestant<'_>, scenario: &Scenario) -> anyhow::Result<Vec<u8>> {
    let answer = ask(proxy.address, scenario.method, &proxy.path, &scenario.fields, "")?;
    ensure!(answer.status == 200, "{}: {}", proxy.name, answer.status);
    Ok(answer.body)
}
