//! Static files, admission and routing, over a socket.

mod support;

use support::{Ask, World};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

#[tokio::test]
async fn the_snippet_is_served_under_all_its_names_and_encodings() {
    let world = World::new().await;
    let neutral = format!("/r/{}", world.names().script);
    let plain = world.ask("GET", "/r/pixel.js").send().await;
    assert!(plain.text().contains(&world.names().track), "the snippet knows the site's own names");
    for path in ["/r/pixel.js?v=1", "/r/pixel.min.js", "/r/js/pixel.min.js", &neutral] {
        let reply = world.ask("GET", path).send().await;
        assert_eq!((reply.status, &reply.body), (200, &plain.body), "{path}");
        assert_eq!(reply.header("content-type"), Some("text/javascript; charset=utf-8"));
        assert_eq!(reply.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(reply.header("cache-control"), Some("public, max-age=3600"));
        assert!(reply.all("set-cookie").is_empty());
    }
    let packed =
        world.ask("GET", "/r/pixel.js").header("Accept-Encoding", "gzip, deflate, br, zstd").send().await;
    assert_eq!(packed.header("content-encoding"), Some("br"));
    assert!(
        packed.body.len() < plain.body.len()
            && packed.header("vary").is_some_and(|vary| vary.contains("Accept-Encoding"))
    );
    assert_eq!(packed.header("content-length"), Some(packed.body.len().to_string().as_str()));
    assert_ne!(packed.header("etag"), plain.header("etag"));

    let tag = plain.header("etag").expect("a tag");
    let known =
        world.ask("GET", "/r/pixel.js").header("If-None-Match", &format!("\"x\", W/{tag}")).send().await;
    assert_eq!((known.status, known.body.len(), known.header("etag")), (304, 0, Some(tag)));
    let head = world.ask("HEAD", "/r/pixel.js").send().await;
    assert_eq!((head.status, head.body.len()), (200, 0));
    assert_eq!(head.header("content-length"), Some(plain.body.len().to_string().as_str()));
}

#[tokio::test]
async fn the_other_files_are_served_as_browsers_need_them() {
    let world = World::new().await;
    let wasm = world.ask("GET", &format!("/r/{}", snippet::WASM_NAME)).send().await;
    assert_eq!(wasm.header("content-type"), Some("application/wasm"));
    assert_eq!(wasm.header("cache-control"), Some("public, max-age=31536000, immutable"));
    assert_eq!(wasm.body, snippet::WASM);
    let worker = world.ask("GET", &format!("/r/{}", snippet::WORKER_NAME)).send().await;
    assert_eq!((worker.status, worker.text()), (200, snippet::WORKER_JS));
    assert_eq!(worker.header("content-security-policy"), None);
    let more = world.ask("GET", &format!("/r/{}", snippet::MORE_NAME)).send().await;
    assert_eq!((more.status, more.text()), (200, snippet::MORE_JS));
    assert_eq!(more.header("content-type"), Some("text/javascript; charset=utf-8"));
    for path in ["/r/psl.min.js", "/r/js/psl.min.js"] {
        assert_eq!(world.ask("GET", path).send().await.text(), snippet::PSL_JS);
    }
    let sibling = world.ask("GET", "/r/pixel.js").header("Origin", "https://go.shop.example").send().await;
    assert_eq!(sibling.header("access-control-allow-origin"), Some("https://go.shop.example"));
    let foreign = world.ask("GET", "/r/pixel.js").header("Origin", "https://evil.example").send().await;
    assert_eq!((foreign.status, foreign.header("access-control-allow-origin")), (200, None));
}

#[tokio::test]
async fn only_known_hosts_and_paths_are_answered() {
    let world = World::new().await;
    let at = |target: &str, hosts: &[&str]| {
        hosts.iter().fold(Ask::new(world.at, "GET", target), |ask, host| ask.header("Host", host)).send()
    };
    let unknown = at("/r/pixel.js?canary", &["canary.example"]).await;
    assert_eq!(unknown.status, 421);
    assert_eq!(unknown.json()["success"], false);
    assert!(!unknown.text().contains("canary"));
    let other = at("/r/pixel.js", &["other.example"]).await;
    assert_eq!(other.body, unknown.body, "the answer does not depend on the unknown host");

    for hosts in
        [&[][..], &["shop.example", "shop.example"], &[""], &["shop.example evil"], &["u@shop.example"]]
    {
        assert_eq!(at("/r/pixel.js", hosts).await.status, 400, "{hosts:?}");
    }
    assert_eq!(at("/r/pixel.js", &["SHOP.example.:8080"]).await.status, 200);
    assert_eq!(at("http://shop.example/r/pixel.js", &["shop.example"]).await.status, 200);
    assert_eq!(at("http://shop.example/r/pixel.js", &["evil.example"]).await.status, 400);
    assert_eq!(at("http://evil.example/r/pixel.js", &["shop.example"]).await.status, 400);

    for path in [
        "/r/",
        "/r",
        "/r/x",
        "/r/v1/click",
        "/r//track",
        "/r/track/",
        "/r/%74rack",
        "/r/codes",
        "/r/codes/",
        "/r/codes/a/b",
    ] {
        let reply = at(path, &["shop.example"]).await;
        assert_eq!(
            (reply.status, reply.json()["error"]["code"].as_str()),
            (404, Some("NOT_FOUND")),
            "{path}"
        );
        assert_eq!(reply.header("cache-control"), Some("no-store"));
    }
    assert_eq!(at("//r/pixel.js", &["shop.example"]).await.status, 400);
    for path in ["/", "/other", "/rx/pixel.js"] {
        assert_eq!(at(path, &["shop.example"]).await.status, 404, "{path}");
    }
}

#[tokio::test]
async fn other_methods_are_refused_and_the_answer_names_the_right_ones() {
    let world = World::new().await;
    for (method, path, allow) in [
        ("POST", "/r/pixel.js", "GET, HEAD, OPTIONS"),
        ("GET", "/r/track", "POST, OPTIONS"),
        ("HEAD", "/r/signups", "POST, OPTIONS"),
        ("PUT", "/r/codes/x", "GET, HEAD, POST, OPTIONS"),
        ("GET", "/r/v1/conversions", "POST"),
        ("OPTIONS", "/r/v1/conversions", "POST"),
        ("DELETE", "/r/track", "POST, OPTIONS"),
        ("TRACE", "/r/track", "POST, OPTIONS"),
        ("PUT", "/r/unknown", "GET, HEAD, POST, OPTIONS"),
    ] {
        let reply = world.ask(method, path).send().await;
        assert_eq!((reply.status, reply.header("allow")), (405, Some(allow)), "{method} {path}");
    }
    for (method, path) in [("BREW", "/r/v1/events"), ("CONNECT", "shop.example:80")] {
        assert_eq!(world.ask(method, path).send().await.status, 501, "{method} {path}");
    }
}

#[tokio::test]
async fn a_connection_carries_several_requests_and_oversized_heads_are_refused() {
    let world = World::new().await;
    let mut stream = tokio::net::TcpStream::connect(world.at).await.expect("a connection");
    let one = "HEAD /r/pixel.js HTTP/1.1\r\nHost: shop.example\r\n";
    stream.write_all(format!("{one}\r\n{one}Connection: close\r\n\r\n").as_bytes()).await.expect("sent");
    let mut answers = String::new();
    stream.read_to_string(&mut answers).await.expect("answers");
    assert_eq!(answers.matches("HTTP/1.1 200 OK").count(), 2);

    let many = (0..101).fold(world.ask("GET", "/r/pixel.js"), |ask, n| ask.header(&format!("X-{n}"), "x"));
    assert_eq!(many.send().await.status, 431);
    let cookies =
        world.ask("GET", "/r/pixel.js").header("Cookie", &format!("a={}", "x".repeat(40_000))).send().await;
    assert_eq!(cookies.status, 200, "other people's cookies are nobody's fault");
}

#[tokio::test]
async fn settings_change_without_a_restart() {
    let world = World::new().await;
    let mut site = world.site.clone();
    site.hosts = vec!["new.example".to_owned()];
    world.edge.reload(usher_edge::Settings {
        sites: vec![site],
        webhooks: Default::default(),
        trusted_proxies: Vec::new(),
    });
    let at = |host: &str| Ask::new(world.at, "GET", "/r/pixel.js").header("Host", host).send();
    assert_eq!((at("new.example").await.status, at("shop.example").await.status), (200, 421));
}
