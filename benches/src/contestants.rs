//! Who is compared, each started as it would be in earnest.

use std::{
    fmt::Write as _,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::fd::OwnedFd,
    path::Path,
    process::{Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use anyhow::{Context as _, ensure};

use crate::{
    ask::ask,
    child::{Running, address_in},
    scenario::{CODE, HOST, PROGRAM, Scenario},
};

/// Header fields that belong to the connection or the moment. nginx cannot be told to leave its `Server` and `Connection`.
const OWN_FIELDS: [&str; 4] = ["date", "server", "connection", "content-length"];

/// Where nginx passes requests on to the platform.
const PROXIED: &str = "/platform/track";

/// Whom a turn goes to.
pub(crate) struct Contestant<'a> {
    pub(crate) name: &'static str,
    pub(crate) process: &'a Running,
    pub(crate) address: SocketAddr,
    pub(crate) path: String,
    /// Whether each of its requests costs a call to the platform.
    pub(crate) asks_platform: bool,
}

/// `usher serve` on the embedded store.
pub(crate) struct Usher {
    process: Running,
    pub(crate) address: SocketAddr,
    warnings: Arc<AtomicUsize>,
}

/// nginx that knows the scenarios' answers.
pub(crate) struct Nginx {
    process: Running,
    address: SocketAddr,
}

/// hyper with nothing on top.
pub(crate) struct Hello {
    process: Running,
    address: SocketAddr,
}

/// The contestants of a scenario, Usher first, once it is certain that they answer alike.
///
/// # Errors
/// When one of them does not.
pub(crate) fn of<'a>(
    scenario: &Scenario,
    usher: &'a Usher,
    nginx: &'a Nginx,
    hello: &'a Hello,
) -> anyhow::Result<Vec<Contestant<'a>>> {
    let contestant = |name, process, address, path: &str| {
        let asks_platform = scenario.new_visitors && matches!(name, "usher" | "nginx as proxy");
        Contestant { name, process, address, path: path.to_owned(), asks_platform }
    };
    let mut all = vec![
        contestant("usher", &usher.process, usher.address, scenario.path),
        contestant("nginx", &nginx.process, nginx.address, &nginx_path(scenario)),
        contestant("bare hyper", &hello.process, hello.address, scenario.path),
    ];
    check_same(scenario, &all[1])?;
    if scenario.new_visitors {
        all.push(contestant("nginx as proxy", &nginx.process, nginx.address, PROXIED));
    }
    for other in &all[2..] {
        let answer = ask(other.address, scenario.method, &other.path, &scenario.fields, &scenario.body)?;
        let (got, wanted) = (answer.body.len(), scenario.model.body.len());
        ensure!(answer.status == 200 && got == wanted, "{}: {got} bytes, not {wanted}", other.name);
    }
    Ok(all)
}

/// The same status, the same bytes, and every header field that Usher sends.
fn check_same(scenario: &Scenario, nginx: &Contestant<'_>) -> anyhow::Result<()> {
    let answer = ask(nginx.address, scenario.method, &nginx.path, &scenario.fields, &scenario.body)?;
    let model = &scenario.model;
    let name = scenario.name;
    ensure!(answer.status == model.status && answer.body == model.body, "{name}: nginx sends other bytes");
    let comparable = |answer: &crate::ask::Answer| {
        let mut fields = answer.fields.clone();
        fields.retain(|(field, _)| !OWN_FIELDS.contains(&field.as_str()));
        fields.sort();
        fields
    };
    let (sent, wanted) = (comparable(&answer), comparable(model));
    ensure!(sent == wanted, "{name}: nginx sends {sent:?}, Usher {wanted:?}");
    Ok(())
}

impl Usher {
    /// Writes a promo code and starts the service.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) fn start(
        binary: &Path,
        folder: &Path,
        platform: SocketAddr,
        shop: SocketAddr,
    ) -> anyhow::Result<Self> {
        let binary = fs::canonicalize(binary).with_context(|| format!("there is no {}", binary.display()))?;
        let config = folder.join("usher.toml");
        let store = folder.join("usher.db");
        let text = format!(
            r#"[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
trusted_proxies = ["127.0.0.0/8"]

[store]
url = "sqlite:{}"

[upstream]
base_url = "http://{platform}"
api_key = "key-of-the-comparison"

[[site]]
name = "shop"
hosts = ["{HOST}"]
program = "{PROGRAM}"
origin = "http://{shop}"
names_secret = "names of the comparison, which nobody keeps"
"#,
            store.display()
        );
        fs::write(&config, text)?;
        let usher = || {
            let mut command = Command::new(&binary);
            command
                .arg("--config")
                .arg(&config)
                .current_dir(folder)
                .env_remove("USHER_LOG")
                .env_remove("RUST_LOG");
            command
        };
        let added =
            usher().args(["codes", "add", CODE, "--affiliate", "alice", "--percent", "10"]).output()?;
        ensure!(added.status.success(), "no promo code: {}", String::from_utf8_lossy(&added.stderr));
        let mut process = Running::start(usher().arg("serve").stderr(Stdio::piped()), None)?;
        let stderr = process.child().stderr.take().context("its log was asked for")?;
        let (address, warnings) = address_in(stderr, "http=")?;
        Ok(Self { process, address, warnings })
    }

    /// What runs.
    pub(crate) const fn process(&self) -> &Running {
        &self.process
    }

    /// How many warnings it has logged since it listened.
    pub(crate) fn warnings(&self) -> usize {
        self.warnings.load(Ordering::Relaxed)
    }
}

impl Hello {
    /// Starts it with as many bytes as the scenario's answer has.
    ///
    /// # Errors
    /// When it does not come up.
    pub(crate) fn start(binary: &Path, scenario: &Scenario) -> anyhow::Result<Self> {
        let bytes = scenario.model.body.len().to_string();
        let mut process = Running::start(Command::new(binary).arg(bytes).stdout(Stdio::piped()), None)?;
        let stdout = process.child().stdout.take().context("its output was asked for")?;
        let (address, _) = address_in(stdout, "listening ")?;
        Ok(Self { process, address })
    }
}

impl Nginx {
    /// Starts nginx on a socket that is opened here, so that the port is the kernel's and there before nginx is.
    ///
    /// # Errors
    /// When it does not start.
    pub(crate) fn start(
        binary: &Path,
        folder: &Path,
        platform: SocketAddr,
        shop: SocketAddr,
        scenarios: &[Scenario],
    ) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let config = folder.join("nginx.conf");
        fs::write(&config, configuration(folder, address, [platform, shop], scenarios)?)?;
        let nginx = || {
            let mut command = Command::new(binary);
            command.arg("-c").arg(&config).arg("-p").arg(folder).arg("-e").arg(folder.join("error.log"));
            command.stderr(Stdio::null());
            command
        };
        let mut stop = nginx();
        stop.args(["-s", "stop"]);
        // The variable by which nginx hands its sockets to a newer binary (core/nginx.c, ngx_add_inherited_sockets).
        let mut start = nginx();
        start.env("NGINX", "0;").stdin(Stdio::from(OwnedFd::from(listener)));
        Ok(Self { process: Running::start(&mut start, Some(stop))?, address })
    }

    /// What runs.
    pub(crate) const fn process(&self) -> &Running {
        &self.process
    }

    /// Where it listens.
    pub(crate) const fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Each scenario has a path of its own, as one path may have several answers.
fn nginx_path(scenario: &Scenario) -> String {
    let words = scenario.name.split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    format!("/{}", words.collect::<Vec<_>>().join("-"))
}

fn configuration(
    folder: &Path,
    address: SocketAddr,
    [platform, shop]: [SocketAddr; 2],
    scenarios: &[Scenario],
) -> anyhow::Result<String> {
    let at = folder.display();
    let mut locations = String::new();
    for scenario in scenarios.iter().filter(|scenario| !scenario.proxied) {
        write!(locations, "{}", location(folder, scenario)?)?;
    }
    Ok(format!(
        r#"daemon off;
user root root; # heeded only when root starts it: the folder is private
worker_processes auto;
pid {at}/nginx.pid;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    server_tokens off;
    sendfile on;
    tcp_nopush on;
    open_file_cache max=100 inactive=600s;
    open_file_cache_valid 600s;
    keepalive_requests 1000000000;
    etag off;
    max_ranges 0;
    client_body_temp_path {at}/body;
    proxy_temp_path {at}/proxy;
    fastcgi_temp_path {at}/fastcgi;
    uwsgi_temp_path {at}/uwsgi;
    scgi_temp_path {at}/scgi;
    upstream platform {{
        server {platform};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    upstream shop {{
        server {shop};
        keepalive 64;
        keepalive_requests 1000000000;
    }}
    server {{
        listen {address};
        location = {PROXIED} {{
            proxy_pass http://platform/track;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
        }}
        location / {{
            proxy_pass http://shop;
            proxy_http_version 1.1;
            proxy_set_header Connection "";
            proxy_set_header Host $host;
            proxy_set_header X-Real-IP $remote_addr;
            proxy_set_header X-Forwarded-For $remote_addr;
            proxy_set_header X-Forwarded-Proto $scheme;
        }}
{locations}    }}
}}
"#
    ))
}

/// A GET of a file is answered from that file, anything else from the configuration.
fn location(folder: &Path, scenario: &Scenario) -> anyhow::Result<String> {
    let path = nginx_path(scenario);
    let mut lines = String::new();
    for (name, value) in &scenario.model.fields {
        if name == "content-type" {
            writeln!(lines, "            types {{}} default_type '{value}';")?;
        } else if !OWN_FIELDS.contains(&name.as_str()) {
            ensure!(!value.contains(['\'', '$', '\\']), "nginx would not take {name}: {value} as it is");
            writeln!(lines, "            add_header {name} '{value}';")?;
        }
    }
    if scenario.path.ends_with(".js") {
        let file = folder.join(path.trim_start_matches('/'));
        fs::write(&file, &scenario.model.body)?;
        writeln!(lines, "            add_header Last-Modified '';")?;
        writeln!(lines, "            alias {};", file.display())?;
    } else {
        let body = std::str::from_utf8(&scenario.model.body)?;
        ensure!(!body.contains(['\'', '$', '\\']), "nginx would not take {body} as it is");
        writeln!(lines, "            return 200 '{body}';")?;
    }
    Ok(format!("        location = {path} {{\n{lines}        }}\n"))
}
