//! The store's URL, as far as it is ours to read: `redis://` and `rediss://`, and the same with `+sentinel` or `+cluster`
//! and several hosts.

use crate::contract::{Result, StoreError};

/// What a URL says.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Address {
    /// A URL for each host, with user, password and database, as the crate reads it.
    pub(super) hosts: Vec<String>,
    /// The name under which Sentinels know the primary.
    pub(super) master: Option<String>,
    /// Whether the hosts are a cluster's.
    pub(super) cluster: bool,
    /// `?wait=N`: how many replicas must have what is acknowledged.
    pub(super) replicas: u32,
}

impl Address {
    /// Reads it. No error repeats the URL: it may hold a password.
    pub(super) fn parse(url: &str) -> Result<Self> {
        let (scheme, rest) = url.split_once("://").ok_or_else(|| wrong("must begin with redis://"))?;
        let (rest, fragment) = cut(rest, '#');
        let (rest, query) = cut(rest, '?');
        let replicas = wait(query)?;
        let (transport, kind) = cut(scheme, '+');
        let fragment = if fragment.is_empty() { String::new() } else { format!("#{fragment}") };
        if kind.is_empty() {
            let hosts = vec![format!("{transport}://{rest}{fragment}")];
            return Ok(Self { hosts, master: None, cluster: false, replicas });
        }
        let (authority, path) = cut(rest, '/');
        let (login, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
        let login = if login.is_empty() { String::new() } else { format!("{login}@") };
        let (master, database, port) = match kind {
            "sentinel" => {
                let (master, database) = cut(path, '/');
                let named = !master.is_empty();
                let master = named.then(|| master.to_owned());
                let master =
                    master.ok_or_else(|| wrong("names no primary: write …/NAME behind the Sentinels"))?;
                (Some(master), database, 26_379)
            }
            "cluster" if matches!(path, "" | "0") => (None, "", 6_379),
            "cluster" => return Err(wrong("a cluster has no database but 0")),
            _ => return Err(wrong("is neither redis://, redis+sentinel:// nor redis+cluster://")),
        };
        let of_host = |host: &str| {
            let has_port = host.rsplit_once(':').is_some_and(|(_, port)| !port.contains(']'));
            let port = if has_port { String::new() } else { format!(":{port}") };
            format!("{transport}://{login}{host}{port}/{database}{fragment}")
        };
        let hosts: Vec<&str> = hosts.split(',').map(str::trim).collect();
        if hosts.iter().any(|host| host.is_empty()) {
            return Err(wrong("names a host that is empty"));
        }
        let hosts = hosts.into_iter().map(of_host).collect();
        Ok(Self { hosts, cluster: master.is_none(), master, replicas })
    }
}

fn wrong(why: &str) -> StoreError {
    StoreError::Settings(format!("store url: {why}"))
}

fn cut(text: &str, at: char) -> (&str, &str) {
    text.split_once(at).unwrap_or((text, ""))
}

/// Another option may be a slip of the pen, which would cost a promise without a word.
fn wait(query: &str) -> Result<u32> {
    let mut replicas = 0;
    for option in query.split('&').filter(|option| !option.is_empty()) {
        let (name, value) = cut(option, '=');
        if name != "wait" {
            return Err(wrong(&format!("knows no option {name:?}; there is wait=REPLICAS")));
        }
        replicas = value.parse().map_err(|_| wrong("wait= takes a number of replicas, such as wait=1"))?;
    }
    Ok(replicas)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(url: &str) -> Address {
        Address::parse(url).expect(url)
    }

    #[test]
    fn hosts_take_over_what_the_url_says_once() {
        let one = read("rediss://u:p@h:1/2?wait=1#insecure");
        assert_eq!((one.hosts, one.replicas), (vec!["rediss://u:p@h:1/2#insecure".to_owned()], 1));

        let sentinels = read("redis+sentinel://:p@a,b:2,[::1]/shop-primary/3");
        let hosts = ["redis://:p@a:26379/3", "redis://:p@b:2/3", "redis://:p@[::1]:26379/3"];
        assert_eq!(sentinels.hosts, hosts);
        assert_eq!((sentinels.master.as_deref(), sentinels.cluster), (Some("shop-primary"), false));

        let cluster = read("rediss+cluster://a:1,[::1]:2,c?wait=2");
        assert_eq!(cluster.hosts, ["rediss://a:1/", "rediss://[::1]:2/", "rediss://c:6379/"]);
        assert_eq!((cluster.master, cluster.cluster, cluster.replicas), (None, true, 2));
    }

    #[test]
    fn what_cannot_be_meant_is_refused_without_repeating_the_password() {
        for (url, says) in [
            ("redis+sentinel://u:s3cret@a:1", "names no primary"),
            ("redis+sentinel://u:s3cret@a:1,/name", "a host that is empty"),
            ("redis+cluster://u:s3cret@a:1/3", "no database but 0"),
            ("redis+other://u:s3cret@a", "is neither"),
            ("redis://u:s3cret@a?wiat=1", "no option \"wiat\""),
            ("redis://u:s3cret@a?wait=all", "a number of replicas"),
            ("redis", "must begin"),
        ] {
            let why = Address::parse(url).expect_err(url).to_string();
            assert!(why.contains(says) && !why.contains("s3cret"), "{url}: {why}");
        }
    }
}
