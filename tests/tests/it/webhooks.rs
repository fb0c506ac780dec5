//! Payment providers' deliveries to the real binary, and the commands that explain and replay them. The configurations are
//! those of `docs/providers`, as they stand there.

use std::fmt::Write as _;
use std::net::SocketAddr;
use std::process::{Command, Output};
use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit as _, Mac as _};
use serde_json::{Value, json};
use sha2::Sha512;
use tempfile::TempDir;
use usher_tests::{
    Answer, HOST, PROGRAM, Process, Standin, eventually, get, hmac_hex, post, repository, usher,
};

/// What every secret of the documents' examples is here: Paytm's keys have sixteen characters.
const SECRET: &str = "sixteen-letters!";

/// An edge that was set up from a document.
struct Shop {
    process: Process,
    http: SocketAddr,
    folder: TempDir,
    variables: Vec<String>,
}

/// The TOML blocks of a document, and the environment variables that they name.
fn blocks(document: &str) -> (Vec<String>, Vec<String>) {
    let path = repository().join("docs/providers").join(document);
    let text = std::fs::read_to_string(&path).expect("the document");
    let fenced = text.split("```toml\n").skip(1);
    let blocks: Vec<String> =
        fenced.map(|rest| rest.split("```").next().expect("it ends").to_owned()).collect();
    let named = blocks.iter().flat_map(|block| block.split("env = \"").skip(1));
    let variables = named.map(|rest| rest.split('"').next().expect("it ends").to_owned()).collect();
    (blocks, variables)
}

fn configuration(platform: SocketAddr, webhooks: &str) -> String {
    format!(
        r#"
[server]
http = "127.0.0.1:0"
admin = "127.0.0.1:0"
[store]
url = "sqlite:usher.db"
[upstream]
base_url = "http://{platform}/v1"
api_key = "sk_live_stand_in"
[[site]]
name = "shop"
hosts = ["{HOST}", "127.0.0.1"]
program = "{PROGRAM}"
prefix = "/r"
names_secret = "names of the shop"

{webhooks}"#
    )
}

fn command(folder: &TempDir, variables: &[String], arguments: &[&str]) -> Command {
    let mut command = Command::new(usher());
    command.args(arguments).current_dir(folder).envs(variables.iter().map(|name| (name, SECRET)));
    command
}

impl Shop {
    async fn open(standin: &Standin, webhooks: &str, variables: Vec<String>) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let text = configuration(standin.address(), webhooks);
        std::fs::write(folder.path().join("usher.toml"), text).expect("it is written");
        let mut serve = command(&folder, &variables, &["serve", "--config", "usher.toml"]);
        let process = Process::start("the edge", &mut serve);
        let address = |line: &str, name: &str| {
            let (_, rest) = line.split_once(&format!(" {name}="))?;
            rest.split_whitespace().next()?.trim_matches('"').parse().ok()
        };
        let listening = |line: &str| {
            line.contains("listening").then(|| Some((address(line, "http")?, address(line, "admin")?)))?
        };
        let (http, admin): (SocketAddr, SocketAddr) = process.said("where it listens", listening).await;
        eventually("it is ready", async || {
            let answer = get(admin, "/readyz").try_send().await;
            answer.is_ok_and(|answer| answer.status == 200).then_some(())
        })
        .await;
        Self { process, http, folder, variables }
    }

    /// Another command beside it.
    fn usher(&self, arguments: &[&str]) -> Output {
        command(&self.folder, &self.variables, arguments).output().expect("it runs")
    }

    fn done(&self, arguments: &[&str]) -> String {
        let output = self.usher(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{arguments:?}: {said}");
        String::from_utf8(output.stdout).expect("UTF-8")
    }

    /// A visitor's click on alice's link: the platform counts no sale without one.
    async fn click(&self) -> String {
        let visit = json!({"programId": PROGRAM, "trackingId": "alice", "userAgent": "Mozilla/5.0 (X11; Linux x86_64)"});
        let call =
            post(self.http, "/r/track").host(HOST).header("origin", "http://shop.example").json(&visit);
        let answer = call.header("user-agent", "Mozilla/5.0 (X11; Linux x86_64)").send().await.expect(200);
        answer.json()["cid"].as_str().expect("a click's id").to_owned()
    }

    async fn hook(&self, name: &str, header: (&str, &str), body: &str) -> Answer {
        let call = post(self.http, &format!("/r/hooks/{name}")).host(HOST).header(header.0, header.1);
        call.body("application/json", body.to_owned()).send().await
    }

    fn record(&self, name: &str, record: &Value) -> String {
        std::fs::write(self.folder.path().join(name), record.to_string()).expect("it is written");
        name.to_owned()
    }

    /// `usher trace`, once it tells that this has arrived.
    async fn story(&self, id: &str, parts: &[&str]) -> String {
        eventually(&format!("the story of {id} has {parts:?}"), async || {
            let output = self.usher(&["trace", id, "--config", "usher.toml"]);
            let told = String::from_utf8_lossy(&output.stdout).into_owned();
            parts.iter().all(|part| told.contains(part)).then_some(told)
        })
        .await
    }
}

fn paystack_signature(body: &str) -> String {
    let mut mac = Hmac::<Sha512>::new_from_slice(SECRET.as_bytes()).expect("any length");
    mac.update(body.as_bytes());
    mac.finalize().into_bytes().iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn paystack(event: &str, data: &Value) -> String {
    json!({"event": event, "data": data}).to_string()
}

fn charge(click: &str) -> String {
    let data = json!({
        "id": 302_961, "domain": "live", "status": "success", "reference": "qTPrJoy9Bx", "amount": 1_050_025,
        "currency": "NGN", "customer": {"customer_code": "CUS_hdhye17yj8qd2tx"}, "plan": {},
        "metadata": {"affonso_referral": click, "order_id": "1001"},
    });
    paystack("charge.success", &data)
}

fn refund() -> String {
    let data = json!({
        "id": 1_107_499, "status": "processed", "transaction_reference": "qTPrJoy9Bx", "amount": 50_025,
        "currency": "NGN", "domain": "live",
    });
    paystack("refund.processed", &data)
}

/// A recorded delivery in the format of `usher webhook explain`, without secrets and time.
fn recorded(provider: &str, header: (&str, &str), body: &str) -> Value {
    json!({"provider": provider, "case": "recorded", "method": "POST", "headers": {header.0: header.1}, "body": body})
}

#[tokio::test(flavor = "multi_thread")]
async fn the_examples_of_the_documents_are_checked() {
    let standin = Standin::start().await;
    let folder = tempfile::tempdir().expect("a folder");
    let mut checked = 0;
    for entry in std::fs::read_dir(repository().join("docs/providers")).expect("the documents") {
        let name = entry.expect("an entry").file_name().into_string().expect("UTF-8");
        let (blocks, variables) = blocks(&name);
        for block in &blocks {
            let text = configuration(standin.address(), block);
            std::fs::write(folder.path().join("usher.toml"), text).expect("it is written");
            let output =
                command(&folder, &variables, &["check", "--config", "usher.toml"]).output().expect("it runs");
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            assert!(output.status.success(), "{name}: {said}\n{block}");
            assert!(!said.contains("is not known"), "{name}: {said}\n{block}");
            // What proves no body is said to prove none.
            let proves_a_token = ["chargebee.md", "xendit.md", "gumroad.md"].contains(&name.as_str());
            assert!(!proves_a_token || said.contains("prove that they know a token"), "{name}: {said}");
            checked += 1;
        }
    }
    assert!(checked >= 18, "{checked} examples");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_described_provider_is_served_as_the_document_describes_it() {
    let standin = Standin::start().await;
    let (blocks, variables) = blocks("custom.md");
    let shop = Shop::open(&standin, &blocks[0], variables).await;
    let click = shop.click().await;
    let (charge, refund) = (charge(&click), refund());
    let (signed, wrong) = (paystack_signature(&charge), paystack_signature(&refund));

    let turned_away = shop.hook("paystack", ("x-paystack-signature", &wrong), &charge).await;
    assert!((400..500).contains(&turned_away.status), "{}", turned_away.text());
    let taken = shop.hook("paystack", ("x-paystack-signature", &signed), &charge).await.expect(200);
    assert_eq!(taken.json(), json!({"received": true}));
    let sale = standin.conversion("qTPrJoy9Bx").await;
    assert_eq!(
        (&sale["sale_amount_text"], &sale["sale_amount_currency"], &sale["body"]["referral_id"]),
        (&json!("10500.25"), &json!("NGN"), &json!(click)),
        "{sale}"
    );
    shop.story("qTPrJoy9Bx", &["a sale of 10500.25 NGN", "paystack", "delivered at "]).await;

    // The refund comes as a file that somebody looks at, and replays.
    let file = shop.record("refund.json", &recorded("paystack", ("x-paystack-signature", &wrong), &refund));
    let told = shop.done(&["webhook", "explain", &file, "--config", "usher.toml"]);
    let told: Value = serde_json::from_str(&told).expect("one line of JSON");
    assert_eq!(
        (&told["verified"], &told["kind"], &told["refund"]["payment_id"], &told["refund"]["amount"]),
        (&json!(true), &json!("refund"), &json!("qTPrJoy9Bx"), &json!("500.25")),
        "{told}"
    );
    let to = format!("http://{}/r/hooks/paystack", shop.http);
    for time in ["once", "twice"] {
        let said = shop.done(&["webhook", "send", &file, "--to", &to]);
        assert_eq!(said, "200 {\"received\":true}\n", "{time}");
    }
    standin.shows("the refund", |received| received.refunds().first().cloned()).await;
    shop.story("qTPrJoy9Bx", &["What went back", "went back 500.25, 10000 is left"]).await;
    let received = standin.received().await;
    assert_eq!((received.conversions().len(), received.refunds().len()), (1, 1));
    assert_eq!(received.refunds()[0]["amount"], "500.25", "{}", received.refunds()[0]);

    let forged =
        shop.record("forged.json", &recorded("paystack", ("x-paystack-signature", &signed), &refund));
    let output = shop.usher(&["webhook", "send", &forged, "--to", &to]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stdout));
    let told = shop.done(&["webhook", "explain", &forged, "--config", "usher.toml"]);
    assert!(told.contains(r#""verified":false"#) && told.contains(r#""kind":"rejected""#), "{told}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_payment_of_stripes_is_taken_when_it_is_signed_now() {
    let standin = Standin::start().await;
    let (blocks, variables) = blocks("stripe.md");
    let shop = Shop::open(&standin, &blocks[0], variables).await;
    let file = repository().join("tests/vectors/webhooks/stripe/checkout-completed-one-time-eur.json");
    let record: Value =
        serde_json::from_str(&std::fs::read_to_string(file).expect("a vector")).expect("JSON");
    let body = record["body"].as_str().expect("a body");
    let body = &body.replace("cm9yvemnejl6hnspuzvxiwmdk", &shop.click().await);
    let payment = record["expect"]["conversion"]["external_event_id"].as_str().expect("an id");

    #[expect(
        clippy::disallowed_methods,
        reason = "Stripe signs the moment, and the edge looks at a real clock"
    )]
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    for (at, status) in [(now - 310, 401), (now, 200), (now, 200)] {
        let at = at.to_string();
        let signature = format!("t={at},v1={}", hmac_hex(SECRET, &at, body));
        shop.hook("stripe", ("stripe-signature", &signature), body).await.expect(status);
    }
    let sale = standin.conversion(payment).await;
    assert_eq!((&sale["sale_amount_text"], &sale["replays"]), (&json!("129"), &json!(0)), "{sale}");
    shop.story(payment, &["a sale of 129 EUR", "stripe", "delivered at "]).await;
    assert!(!shop.process.transcript().contains(SECRET));
}
