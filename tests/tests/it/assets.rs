//! What a page loads: scripts, the parser, and how they are cached.

use usher_tests::{Answer, Edge, Standin};

async fn start() -> Edge {
    let standin = Standin::start().await;
    // These answers need no platform, so it may be gone.
    Edge::builder(&standin).start().await
}

#[tokio::test(flavor = "multi_thread")]
async fn the_script_comes_under_every_name_and_is_not_changed_on_the_way() {
    let edge = start().await;
    let script = edge.get("/r/pixel.js").send().await.expect(200);
    assert!(script.text().contains("affonso_referral"), "it is the snippet");
    for path in ["/r/pixel.js", "/r/js/pixel.min.js"] {
        let answer = edge.get(path).send().await.expect(200);
        assert_eq!(answer.body, script.body, "{path}");
        let kind = answer.header("content-type").unwrap_or_default();
        assert!(kind.contains("javascript"), "{path}: {kind}");
        assert_eq!(answer.header("x-content-type-options"), Some("nosniff"), "{path}");
        assert!(answer.cookies().is_empty(), "{path}");
    }
    for path in ["/r/psl.min.js", "/r/js/psl.min.js"] {
        let answer = edge.get(path).send().await.expect(200);
        assert!(answer.body.len() < 1_000, "{path} is a small no-op");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copy_that_is_still_good_is_not_sent_again() {
    let edge = start().await;
    for encoding in ["identity", "gzip", "br"] {
        let call = || edge.get("/r/pixel.js").header("accept-encoding", encoding);
        let first = call().send().await.expect(200);
        let tag = first.header("etag").expect("an ETag").to_owned();
        assert!(varies(&first), "{encoding}: {:?}", first.headers);
        for known in [tag.clone(), format!("\"other\", {tag}"), format!("W/{tag}"), "*".to_owned()] {
            let again = call().header("if-none-match", &known).send().await;
            assert_eq!((again.status, again.body.len()), (304, 0), "{encoding}: {known}");
            assert_eq!(again.header("etag"), Some(tag.as_str()), "{encoding}");
        }
        assert_eq!(call().header("if-none-match", "\"other\"").send().await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_smallest_form_that_the_browser_takes_is_sent() {
    let edge = start().await;
    let ask = async |accepted: &str| {
        let answer = edge.get("/r/pixel.js").header("accept-encoding", accepted).send().await.expect(200);
        (answer.header("content-encoding").unwrap_or("identity").to_owned(), answer.body.len())
    };
    let (plain, whole) = ask("identity").await;
    let (gzip, zipped) = ask("gzip").await;
    let (br, smallest) = ask("gzip, deflate, br, zstd").await;
    assert_eq!((plain.as_str(), gzip.as_str()), ("identity", "gzip"));
    assert!(matches!(br.as_str(), "br" | "zstd"), "{br}");
    assert!(smallest <= zipped && zipped < whole, "{smallest} {zipped} {whole}");
    assert_eq!(ask("gzip;q=0, br;q=0").await.0, "identity");
    let none = edge.get("/r/pixel.js").send().await.expect(200);
    assert_eq!(none.header("content-encoding"), None);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_parser_is_there_for_a_year() {
    let edge = start().await;
    let script = edge.get("/r/pixel.js").send().await.expect(200).text();
    // The script starts a worker, and the worker loads the parser: both by names that change with their content.
    let mut parser = None;
    for part in files(&script, ".js") {
        let part = edge.get(&format!("/r/{part}")).send().await.expect(200);
        if let Some(name) = files(&part.text(), ".wasm").pop() {
            let policy = part.header("content-security-policy");
            assert!(policy.is_none(), "a worker's own policy decides over WebAssembly");
            parser = Some(name);
        }
    }
    let parser = parser.expect("one of the script's files is the worker, which names its parser");
    let parser = edge.get(&format!("/r/{parser}")).send().await.expect(200);
    assert_eq!(parser.header("content-type"), Some("application/wasm"));
    assert!(parser.body.starts_with(b"\0asm"));
    let caching = parser.header("cache-control").unwrap_or_default();
    assert!(caching.contains("immutable") && caching.contains("max-age=31536000"), "{caching}");
    assert_eq!(edge.get("/r/0000000000000000.wasm").send().await.status, 404);
}

/// The file names with this ending that stand in quotes.
fn files(script: &str, ending: &str) -> Vec<String> {
    let quoted = script.split(['"', '\'', '`']).filter(|text| text.ends_with(ending));
    quoted.filter(|text| !text.contains(char::is_whitespace)).map(str::to_owned).collect()
}

fn varies(answer: &Answer) -> bool {
    answer.header("vary").is_some_and(|vary| vary.to_ascii_lowercase().contains("accept-encoding"))
}
