//! HTTP/2 conformance, frame by frame, over the stack that serves connections: what a client may not do and what it is told
//! (RFC 9113, RFC 7541). The cases follow the sections; those of h2spec are among them.

mod cases;
mod client;
mod limits;
mod table;

use client::{Client, PING, Script};
use table::{Case, Expect};

#[tokio::test(start_paused = true)]
async fn every_case_ends_as_it_has_to() {
    let cases = cases::all();
    let (mut wrong, mut exact) = (Vec::new(), 0);
    for case in &cases {
        match judge(case).await {
            Ok(is_exact) => exact += usize::from(is_exact),
            Err(told) => wrong.push(format!("{} {}: {told}", case.section, case.what)),
        }
    }
    println!("{} of {} cases, {exact} with the very code", cases.len() - wrong.len(), cases.len());
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), cases.len(), wrong.join("\n"));
    assert!(cases.len() >= 146, "{}", cases.len());
}

async fn judge(case: &Case) -> Result<bool, String> {
    let mut client = Client::open();
    let mut seen = None;
    for step in &case.steps {
        client.send(Script(step.clone())).await;
        let now = client.watch().await;
        let before = seen.get_or_insert_with(|| client::Seen { frames: Vec::new(), is_closed: false });
        before.frames.extend(now.frames);
        before.is_closed = now.is_closed;
    }
    let Some(seen) = seen else { return Err("nothing is sent".to_owned()) };
    if case.expect.closes().is_some_and(|closes| closes != seen.is_closed) {
        return Err(format!("closed is {}; {}", seen.is_closed, told(&seen)));
    }
    if !case.expect.is_met(&seen) {
        return Err(format!("not {:?}; {}", case.expect, told(&seen)));
    }
    if !seen.is_closed {
        client.send(Script::default().frame(PING, 0, 0, b"alive???")).await;
        if !client.watch().await.has(PING, client::ACK, b"alive???") && !matches!(case.expect, Expect::Waits)
        {
            return Err("the connection is dead".to_owned());
        }
    }
    Ok(case.expect.is_exact(&seen))
}

fn told(seen: &client::Seen) -> String {
    let frame = |frame: &client::Frame| {
        format!("{}/{:#x}@{} {:?}", frame.kind, frame.flags, frame.stream, frame.payload)
    };
    seen.frames.iter().map(frame).collect::<Vec<_>>().join(", ")
}
