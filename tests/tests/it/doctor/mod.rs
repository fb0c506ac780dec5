//! `usher doctor` at shops that are in order and at shops that are not.

mod shop;
mod zone;

use std::process::Command;

use serde_json::Value;
use shop::{Authority, Forwards, Plan};
use tempfile::TempDir;
use usher_tests::{Edge, HOST, Standin, repository, usher};

const HOSTS: &str = "[\"shop.example\", \"www.shop.example\", \"go.shop.example\"]";

/// An edge that believes the shop's web server, which comes from 127.0.0.1, and nobody else: doctor comes from 127.83.83.83.
async fn edge(standin: &Standin) -> Edge {
    Edge::builder(standin)
        .server("trusted_proxies", "[\"127.0.0.1\"]")
        .site("hosts", HOSTS)
        .site("parameters", "[\"via\", \"atp\"]")
        .site("click_signing_key", "\"signs the clicks\"")
        .start()
        .await
}

/// The tag as `usher snippet` prints it.
async fn tag(edge: &Edge, host: Option<&str>) -> String {
    let arguments = [&["snippet"][..], host.map_or(&[][..], |_| &["--host"]), host.as_slice()].concat();
    let printed = edge.usher(&arguments).await;
    let text = String::from_utf8(printed.stdout).expect("text");
    text.lines().find(|line| line.starts_with("<script async")).expect("a tag").to_owned()
}

struct Said {
    code: Option<i32>,
    out: String,
    error: String,
}

impl Said {
    /// What was said of a check, at that level.
    fn has(&self, level: &str, check: &str, text: &str) -> bool {
        self.out.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok()).any(|verdict| {
            let whole = format!(
                "{}; {}",
                verdict["what"].as_str().unwrap_or(""),
                verdict["mend"].as_str().unwrap_or("")
            );
            verdict["level"] == level && verdict["check"] == check && whole.contains(text)
        })
    }

    #[track_caller]
    fn expect(&self, code: i32, verdicts: &[(&str, &str, &str)]) {
        for (level, check, text) in verdicts {
            assert!(
                self.has(level, check, text),
                "no {level} {check} {text:?} in\n{}{}",
                self.out,
                self.error
            );
        }
        assert_eq!(self.code, Some(code), "{}{}", self.out, self.error);
    }
}

/// Runs it in an empty folder.
async fn doctor(arguments: &[&str]) -> Said {
    let folder = tempfile::tempdir().expect("a folder");
    let mut command = Command::new(usher());
    command.arg("doctor").args(arguments).current_dir(folder.path()).env("SHOP_KEY", usher_tests::KEY);
    let ran = tokio::task::spawn_blocking(move || command.output()).await.expect("it is not cancelled");
    let ran = ran.expect("the binary runs");
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).expect("text");
    Said { code: ran.status.code(), out: text(ran.stdout), error: text(ran.stderr) }
}

/// Runs it at a shop on this port of loopback, over http, and reads its lines.
async fn doctor_at(port: u16, more: &[&str]) -> Said {
    let (url, place) = (format!("http://{HOST}:{port}/"), format!("{HOST}:{port}:127.0.0.1"));
    doctor(&[&[url.as_str(), "--resolve", &place, "--json"], more].concat()).await
}

fn file(folder: &TempDir, name: &str, text: &str) -> String {
    let path = folder.path().join(name);
    std::fs::write(&path, text).expect("it is written");
    path.display().to_string()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_shop_in_order_has_nothing_that_fails_and_the_page_of_the_manual_shows_it() {
    let standin = Standin::start().await;
    let edge = edge(&standin).await;
    let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
    let policy = "content-security-policy: default-src 'self'; img-src *\r\ncache-control: private\r\nset-cookie: s=1\r\n";
    let mut plan = Plan::new(edge.http(), policy, &tag(&edge, None).await);
    plan.tls = Some(authority.tls(&[HOST], 60));
    let port = plan.open().await;
    let ca = file(&folder, "root.pem", &authority.pem);
    let list = file(
        &folder,
        "easyprivacy.txt",
        "! a list\n/r/pixel.js\n/track|$ping\n||vendor.example^$third-party\n",
    );
    let (url, place) = (format!("https://{HOST}:{port}"), format!("{HOST}:{port}:127.0.0.1"));
    let config = edge.config().display().to_string();
    let all = [&url, "--resolve", &place, "--ca", &ca, "--lists", &list, "--config", &config];

    let said = doctor(&[&all[..], &["--json"]].concat()).await;
    said.expect(0, &[("info", "cookies", "give --click"), ("ok", "address", "arrives: 127.83.83.83")]);
    assert!(standin.received().await.clicks().is_empty(), "looking is no click");

    let said = doctor(&[&all[..], &["--click", "alice"]].concat()).await;
    assert_eq!(said.code, Some(0), "{}{}", said.out, said.error);
    assert!(!said.out.contains("fail ") && !said.out.contains("warn "), "{}", said.out);
    assert_eq!(standin.received().await.clicks().len(), 1);

    let manual = std::fs::read_to_string(repository().join("docs/doctor.md")).expect("the manual");
    let shown = manual.split("```").find_map(|block| block.strip_prefix("text\n")).expect("an output in it");
    assert_eq!(steady(shown), steady(&said.out), "docs/doctor.md shows another output than:\n{}", said.out);
}

/// Without what differs from run to run: ports, and names that come from a file's content.
fn steady(text: &str) -> String {
    let mut words = Vec::new();
    for line in text.trim().lines() {
        let word = |word: &str| match word.rsplit('/').next() {
            Some(file) if file.len() > 16 && file.ends_with(".js") => "WORKER".to_owned(),
            _ => word.replace(|c: char| c.is_ascii_digit(), "").replace("shop.example:", "shop.example"),
        };
        words.push(line.split_whitespace().map(word).collect::<Vec<_>>().join(" "));
    }
    words.join("\n")
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alias_of_a_vendor_is_seen_as_safari_and_blockers_see_it() {
    let standin = Standin::start().await;
    let edge = edge(&standin).await;
    let folder = tempfile::tempdir().expect("a folder");
    let html = tag(&edge, Some("go.shop.example"))
        .await
        .replace("https://go.shop.example", "http://go.shop.example:PORT");
    let plan = Plan::new(edge.http(), "", "");
    let port = plan.clone().open().await;
    let page = Plan {
        pages: vec![("/".to_owned(), String::new(), html.replace("PORT", &port.to_string()))],
        ..plan
    };
    let www = page.open().await;
    let list = file(&folder, "list.txt", "||vendor.example^\n");
    let url = format!("http://www.shop.example:{www}/");
    let places = [format!("www.shop.example:{www}:127.0.0.1"), format!("go.shop.example:{port}:127.0.0.1")];
    for (zone, code, verdicts) in [
        (
            [
                ("www.shop.example", "192.0.2.10"),
                ("go.shop.example", "e.vendor.example"),
                ("e.vendor.example", "192.0.2.10"),
            ],
            1,
            &[
                ("fail", "safari", "7 days: go.shop.example points to vendor.example"),
                ("ok", "dns", "go.shop.example -> e.vendor.example is 192.0.2.10"),
                ("fail", "lists", "||vendor.example^ blocks e.vendor.example"),
                ("warn", "names", "uBlock Origin in Firefox"),
                ("ok", "calls", "may call"),
            ][..],
        ),
        (
            [
                ("www.shop.example", "e.cdn.example"),
                ("e.cdn.example", "192.0.2.1"),
                ("go.shop.example", "198.51.100.1"),
            ],
            1,
            &[("fail", "safari", "198.51.100.1 is not beside the page's 192.0.2.1")],
        ),
        (
            [
                ("www.shop.example", "192.0.2.1 2001:db8::1"),
                ("go.shop.example", "192.0.77.1 2001:db8::2"),
                ("x.example", ""),
            ],
            0,
            &[("ok", "safari", "lies beside www.shop.example"), ("ok", "lists", "no rule blocks")],
        ),
        (
            [("www.shop.example", "192.0.2.1"), ("x.example", ""), ("y.example", "")],
            1,
            &[("fail", "dns", "go.shop.example is not found"), ("info", "safari", "not known")],
        ),
    ] {
        let dns = zone::serve(&zone).await.to_string();
        let dns = ["--dns", &dns, "--resolve", &places[0], "--resolve", &places[1]];
        let said = doctor(&[&[url.as_str(), "--lists", &list, "--json"], &dns[..]].concat()).await;
        said.expect(code, verdicts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn certificates_are_judged_as_browsers_judge_them() {
    let standin = Standin::start().await;
    let edge = edge(&standin).await;
    let (folder, authority) = (tempfile::tempdir().expect("a folder"), Authority::new());
    let ca = file(&folder, "root.pem", &authority.pem);
    let html = tag(&edge, None).await;
    for (names, days, ca, level, says) in [
        (&[HOST][..], 60, Some(&ca), "ok", "holds for 60 days; TLS 1.3, HTTP/2"),
        (&[HOST], 5, Some(&ca), "warn", "holds for 5 days"),
        (&[HOST], -3, Some(&ca), "fail", "it has expired, 3 days ago"),
        (&["other.example"], 60, Some(&ca), "fail", "it is for another name"),
        (&[HOST], 60, None, "fail", "nobody that browsers trust has issued it"),
    ] {
        let mut plan = Plan::new(edge.http(), "", &html);
        plan.tls = Some(authority.tls(names, days));
        let port = plan.open().await;
        let (url, place) = (format!("https://{HOST}:{port}/"), format!("{HOST}:{port}:127.0.0.1"));
        let trusted = ca.map_or(Vec::new(), |ca| vec!["--ca", ca.as_str()]);
        let keyed = ["--json", "--api-key-env", "SHOP_KEY", "--click", "alice"];
        let said = doctor(&[&[&url, "--resolve", &place][..], &trusted, &keyed].concat()).await;
        let is_refused = level == "fail";
        said.expect(
            i32::from(is_refused),
            &[(level, "certificate", says), ("ok", "script", "as it should be")],
        );
        assert_eq!(
            said.has("info", "address", "nothing is sent where the certificate is wrong"),
            is_refused,
            "{}",
            said.out
        );
        assert_eq!(
            said.has("fail", "cookies", "nothing is sent where the certificate is wrong"),
            is_refused,
            "{}",
            said.out
        );
        if is_refused {
            let bold =
                doctor(&[&[&url, "--resolve", &place, "--insecure"][..], &trusted, &keyed].concat()).await;
            bold.expect(1, &[("ok", "address", "arrives"), ("fail", "certificate", says)]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn policies_caches_and_markup_of_the_page_are_looked_at() {
    let standin = Standin::start().await;
    let edge = edge(&standin).await;
    let tag = tag(&edge, None).await;
    let vendor = "<script src=\"https://cdn.affonso.io/js/pixel.min.js\" data-affonso=\"p\"></script>";
    let meta =
        format!("<meta http-equiv=content-security-policy content=\"script-src &#39;none&#39;\">{tag}");
    let nonced = tag.replace("<script ", "<script nonce=\"n\" ");
    let old = "<script src=\"/r/pixel.js\" data-affonso=\"p\"></script>".to_owned();
    let elsewhere = "HTTP/1.1 302 Found\r\nlocation: https://other.test/\r\n";
    for (fields, html, code, verdicts) in [
        ("", tag.as_str(), 0, &[("ok", "policy", "has no Content-Security-Policy")][..]),
        (
            "content-security-policy: script-src https://cdn.example\r\n",
            &tag,
            1,
            &[("fail", "policy", "forbids the script")],
        ),
        (
            "content-security-policy: script-src 'nonce-n' 'strict-dynamic'\r\n",
            &nonced,
            0,
            &[("ok", "policy", "lets the script run")],
        ),
        (
            "content-security-policy: script-src 'nonce-n'\r\n",
            &tag,
            1,
            &[("fail", "policy", "give the tag the page's nonce")],
        ),
        (
            "content-security-policy: default-src 'self'; connect-src https://api.example\r\n",
            &tag,
            1,
            &[("fail", "policy", "forbids the calls")],
        ),
        (
            "content-security-policy: worker-src 'none'\r\n",
            &tag,
            0,
            &[("warn", "policy", "forbids the worker")],
        ),
        (
            "content-security-policy-report-only: default-src 'none'\r\n",
            &tag,
            0,
            &[("warn", "policy", "only reports")],
        ),
        ("", &meta, 1, &[("fail", "policy", "\"script-src 'none'\" forbids the script")]),
        (
            "cache-control: public, max-age=600\r\nset-cookie: s=1\r\n",
            &tag,
            1,
            &[("fail", "caching", "visitors get each other's")],
        ),
        ("cache-control: public, max-age=600\r\n", &tag, 0, &[("ok", "caching", "sets no cookie")]),
        ("", "<p>no tag</p>", 1, &[("fail", "page", "nothing says where Usher answers")]),
        ("", vendor, 1, &[("fail", "page", "cdn.affonso.io: blockers list such")]),
        ("", &old, 0, &[("warn", "names", "put in the tag that `usher snippet` prints")]),
        (elsewhere, "", 1, &[("fail", "page", "redirects to another site, https://other.test/")]),
    ] {
        let port = Plan::new(edge.http(), fields, html).open().await;
        doctor_at(port, &[]).await.expect(code, verdicts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn without_a_tag_whoever_knows_where_usher_is_can_say_so() {
    let standin = Standin::start().await;
    let edge = edge(&standin).await;
    let port = Plan::new(edge.http(), "", "<p>no tag</p>").open().await;
    let config = edge.config().display().to_string();
    for more in [&["--prefix", "/r"], &["--config", config.as_str()]] {
        let said = doctor_at(port, more).await;
        said.expect(
            0,
            &[("warn", "page", "the page's HTML has no tag"), ("ok", "script", "as it should be")],
        );
    }
    let (url, place) = (format!("http://{HOST}:{port}/r"), format!("{HOST}:{port}:127.0.0.1"));
    let said = doctor(&[&url, "--resolve", &place, "--json"]).await;
    said.expect(0, &[("info", "page", "without a page"), ("ok", "calls", "may call")]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_web_server_in_front_spoils_is_seen() {
    let standin = Standin::start().await;
    let edge = edge(&standin).await;
    let good = Plan::new(edge.http(), "", &tag(&edge, None).await);
    let changing =
        |from: &str, to: &str| Plan { changes: vec![(from.to_owned(), to.to_owned())], ..good.clone() };
    let keyed = ["--api-key-env", "SHOP_KEY"];
    let click = ["--click", "alice"];
    for (plan, more, code, verdicts) in [
        (good.clone(), &keyed[..], 0, &[("ok", "address", "arrives: 127.83.83.83")][..]),
        (
            Plan { forwards: Forwards::AsItCame, ..good.clone() },
            &keyed,
            1,
            &[("fail", "address", "passes X-Forwarded-For on")],
        ),
        (
            Plan { forwards: Forwards::Nothing, ..good.clone() },
            &keyed,
            1,
            &[("fail", "address", "every visitor has the proxy's address 127.0.0.1")],
        ),
        // Over https its cookies would have to be Secure; by http browsers refuse a Secure one.
        (
            good.clone(),
            &click,
            1,
            &[("fail", "cookies", "browsers refuse affonso_referral: it is Secure and came by plain http")],
        ),
        (
            Plan { says_https: false, ..good.clone() },
            &click,
            0,
            &[("ok", "cookies", "kept for 30 days, in Safari too: for shop.example and all below it")],
        ),
        (
            changing("Domain=shop.example", "Domain=example"),
            &click,
            1,
            &[("fail", "cookies", "public suffix")],
        ),
        (changing("Path=/;", "Path=/r;"), &click, 1, &[("fail", "cookies", "browsers refuse")]),
        (changing("set-cookie", "x-cookie"), &click, 1, &[("fail", "cookies", "without a affonso_referral")]),
        (
            changing("text/javascript", "text/html"),
            &[],
            1,
            &[("fail", "script", "which browsers do not run")],
        ),
        (changing("etag", "x-etag"), &[], 0, &[("warn", "script", "sent whole again")]),
        (changing("x-content-type-options", "x-x"), &[], 0, &[("warn", "script", "nosniff")]),
        (
            changing("x-content-type-options: nosniff", "content-security-policy: default-src 'self'"),
            &[],
            0,
            &[("warn", "worker", "forbids WebAssembly")],
        ),
        (changing("204 No Content", "404 Not Found"), &[], 1, &[("fail", "calls", "do not reach Usher")]),
    ] {
        let port = plan.open().await;
        doctor_at(port, more).await.expect(code, verdicts);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_that_name_what_the_page_asks_for_fail() {
    let standin = Standin::start().await;
    let edge = edge(&standin).await;
    let folder = tempfile::tempdir().expect("a folder");
    let html = tag(&edge, None).await;
    let script = html.split("src=\"").nth(1).and_then(|rest| rest.split('"').next()).expect("an address");
    let port = Plan::new(edge.http(), "", &html).open().await;
    for (list, code, verdicts) in [
        (
            "/r/pixel.js\n/r/track\n".to_owned(),
            0,
            &[("ok", "lists", "no rule blocks"), ("info", "lists", "/r/track blocks")][..],
        ),
        (format!("{script}|$script\n"), 1, &[("fail", "lists", "blocks http://shop.example")]),
        (format!("||{HOST}^$xmlhttprequest,ping\n"), 1, &[("fail", "lists", "another prefix")]),
        ("$removeparam=via\n".to_owned(), 0, &[("warn", "lists", "hand out links with \"atp\"")]),
        (
            "$removeparam=via\n$removeparam=atp\n".to_owned(),
            1,
            &[("fail", "lists", "take \"via\", \"atp\" off")],
        ),
    ] {
        let list = file(&folder, "list.txt", &list);
        doctor_at(port, &["--lists", &list]).await.expect(code, verdicts);
    }
    let said = doctor_at(port, &["--lists", "/no/such/list.txt"]).await;
    assert_eq!((said.code, said.out.as_str()), (Some(1), ""));
    assert!(said.error.contains("/no/such/list.txt"), "{}", said.error);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_site_behind_the_edge_sets_its_cookies_on_the_page_itself() {
    let standin = Standin::start().await;
    let origin =
        Plan::new(standin.address(), "", "<html><head><title>A shop</title></head></html>").open().await;
    let edge = Edge::builder(&standin)
        .site("origin", &format!("\"http://127.0.0.1:{origin}\""))
        .site("click_signing_key", "\"signs the clicks\"")
        .start()
        .await;
    let port = edge.http().port();
    doctor_at(port, &[]).await.expect(0, &[("ok", "page", "the tag loads"), ("ok", "calls", "may call")]);
    assert!(standin.received().await.clicks().is_empty(), "looking is no click");
    let said = doctor_at(port, &["--click", "alice"]).await;
    said.expect(
        0,
        &[("ok", "cookies", "set on the page's own answer"), ("ok", "caching", "no cache in between")],
    );
    assert_eq!(standin.received().await.clicks().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn wrong_usage_and_a_shop_that_is_away() {
    for wrong in [
        &[][..],
        &["ftp://shop.example"],
        &["https://shop.example", "--resolve", "x"],
        &["https://shop.example", "--dns", "x"],
    ] {
        let said = doctor(wrong).await;
        assert_eq!((said.code, said.out.as_str()), (Some(2), ""), "{wrong:?}: {}", said.error);
    }
    // nobody listens there any more
    let port = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port")
        .local_addr()
        .expect("an address")
        .port();
    let said = doctor_at(port, &[]).await;
    said.expect(1, &[("fail", "page", "cannot connect to shop.example at 127.0.0.1")]);
}
