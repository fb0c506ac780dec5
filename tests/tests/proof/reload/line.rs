//! An edge, and those that take its place.

use std::net::SocketAddr;

use bytes::Bytes;
use serde_json::json;
use usher_tests::{Builder, Edge};

/// Two configurations that differ in three things, two of which show in the snippet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Settings {
    A,
    B,
}

impl Settings {
    const fn names_secret(self) -> &'static str {
        match self {
            Self::A => "names_secret = \"the first secret\"",
            Self::B => "names_secret = \"another secret\"",
        }
    }

    const fn parameters(self) -> &'static str {
        match self {
            Self::A => "parameters = [\"via\"]",
            Self::B => "parameters = [\"ref\", \"aff\"]",
        }
    }

    const fn key(self) -> &'static str {
        match self {
            Self::A => "key-of-a",
            Self::B => "key-of-b",
        }
    }

    const fn other(self) -> Self {
        match self {
            Self::A => Self::B,
            Self::B => Self::A,
        }
    }
}

/// A line of processes that serve one after the other at the same address.
pub(crate) struct Line {
    edge: Edge,
    settings: Settings,
    /// The snippet by A and by B.
    scripts: [Bytes; 2],
}

impl Line {
    /// Starts the first of them, with the settings A.
    pub(crate) async fn start(builder: Builder) -> Self {
        let value = |line: &'static str| line.split_once(" = ").expect("a setting").1;
        let edge = builder
            .site("names_secret", value(Settings::A.names_secret()))
            .site("parameters", value(Settings::A.parameters()))
            .site("api_keys", &format!("[{:?}, {:?}]", usher_tests::KEY, Settings::A.key()))
            .start()
            .await;
        let mut line = Self { edge, settings: Settings::A, scripts: Default::default() };
        let first = line.script().await;
        line.scripts = [first.clone(), first];
        line.change_to(Settings::B).await;
        line.scripts[1] = line.script().await;
        assert_ne!(line.scripts[0], line.scripts[1], "the two differ in what a page sees");
        line.reload(Settings::A).await;
        line
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.edge.http()
    }

    /// A click that the platform knows, for sales.
    pub(crate) async fn referral(&self) -> String {
        let tracked = self.edge.track("alice").await.json();
        tracked["cid"].as_str().expect("a click").to_owned()
    }

    /// What its processes warned of, apart from what the configuration is warned of.
    pub(crate) fn complaints(&self) -> String {
        let said = self.edge.process().transcript();
        let is_one = |line: &&str| {
            (line.contains(" WARN ") || line.contains(" ERROR ")) && !line.contains("usher.toml:")
        };
        said.lines().filter(is_one).map(|line| format!("{line}\n")).collect()
    }

    /// The snippet by A and by B.
    pub(crate) fn scripts(&self) -> [Bytes; 2] {
        self.scripts.clone()
    }

    /// Writes another configuration and has it read.
    pub(crate) async fn reload(&mut self, settings: Settings) {
        self.change_to(settings).await;
        self.check().await;
    }

    async fn change_to(&mut self, settings: Settings) {
        self.write(settings, "");
        self.signal("HUP", "INFO", " reloaded ").await;
        self.settings = settings;
    }

    /// Has a file read in which one thing is wrong: nothing of it may take effect.
    pub(crate) async fn reload_wrong_file(&mut self) {
        let running = self.settings;
        self.write(running.other(), "unheard_of = true\n");
        self.signal("HUP", "ERROR", " not reloaded; ").await;
        self.check().await;
        let metrics = usher_tests::get(self.edge.admin(), "/metrics").send().await.expect(200).text();
        assert!(metrics.contains("usher_config_last_reload_successful 0"), "{metrics}");
        self.write(running, "");
    }

    /// Has the running process hand over to a new one.
    pub(crate) async fn hand_over(&mut self) {
        let said = self.signal("USR2", "INFO", " handed over to=").await;
        let heir = said.rsplit_once('=').and_then(|(_, process)| process.trim().parse().ok());
        self.edge.process_mut().succeeded_by(heir.expect("a process"));
        self.check().await;
    }

    /// Everything that is asked for now is answered by the settings that hold, and nothing by the others.
    async fn check(&self) {
        let which = usize::from(self.settings == Settings::B);
        assert_eq!(self.script().await, self.scripts[which], "the snippet of {:?}", self.settings);
        for (settings, status) in [(self.settings, 400), (self.settings.other(), 401)] {
            let call = self.edge.server_call("conversions", &json!({})).bearer(settings.key());
            call.send().await.expect(status);
        }
    }

    async fn script(&self) -> Bytes {
        self.edge.get("/r/pixel.js").send().await.expect(200).body
    }

    fn write(&self, settings: Settings, addition: &str) {
        let text = std::fs::read_to_string(self.edge.config()).expect("the configuration");
        let keys = format!("api_keys = [{:?}, {:?}]", usher_tests::KEY, settings.key());
        let line = |line: &str| match line.split(' ').next() {
            Some("names_secret") => settings.names_secret().to_owned(),
            Some("parameters") => settings.parameters().to_owned(),
            Some("api_keys") => keys.clone(),
            Some("unheard_of") => String::new(),
            _ => line.to_owned(),
        };
        let text: String = text.lines().map(|old| line(old) + "\n").collect();
        std::fs::write(self.edge.config(), text + addition).expect("the configuration is written");
    }

    /// Sends a signal and waits until the answer to it stands in the log.
    async fn signal(&self, name: &str, level: &str, words: &str) -> String {
        let process = self.edge.process();
        let before = process.said_so_far();
        process.signal(name);
        let is_it = |line: &str| (line.contains(level) && line.contains(words)).then(|| line.to_owned());
        process.said_after(before, words, is_it).await
    }
}
