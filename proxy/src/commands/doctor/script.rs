//! What our script tells of itself: the path names and parameters that are written into it.

/// The names below the base that a page calls, and what it looks for in its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) track: String,
    pub(super) signups: String,
    pub(super) codes: String,
    pub(super) bind: String,
    pub(super) worker: String,
    pub(super) parameters: Vec<String>,
}

impl Names {
    /// The first list of texts that looks like them; `None` when the script is another one's.
    pub(super) fn read(script: &str) -> Option<Self> {
        script.match_indices("[\"").find_map(|(at, _)| {
            let mut values = serde_json::Deserializer::from_str(&script[at..]).into_iter::<Vec<String>>();
            Self::from_list(&values.next()?.ok()?)
        })
    }

    /// Those that every site has.
    pub(super) fn well_known(parameters: Vec<String>) -> Self {
        let [track, signups, codes, bind] = ["track", "signups", "codes", "bind"].map(str::to_owned);
        Self { track, signups, codes, bind, worker: snippet::WORKER_NAME.to_owned(), parameters }
    }

    fn from_list(list: &[String]) -> Option<Self> {
        let [track, signups, codes, bind, worker, parameters, ..] = list else { return None };
        let is_name = |name: &String| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let known = [track, signups, codes, bind, worker].into_iter().all(is_name) && worker.ends_with(".js");
        known.then(|| Self {
            track: track.clone(),
            signups: signups.clone(),
            codes: codes.clone(),
            bind: bind.clone(),
            worker: worker.clone(),
            parameters: parameters.split(',').filter(|name| !name.is_empty()).map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_edge_writes_in_is_read_back() {
        let told = snippet::Names {
            track: "k1",
            signups: "k2",
            codes: "k3",
            bind: "k4",
            worker: snippet::WORKER_NAME,
        };
        let names = Names::read(&snippet::pixel(&told, &["via", "x&y"])).expect("names");
        assert_eq!([names.track, names.signups, names.codes, names.bind], ["k1", "k2", "k3", "k4"]);
        assert_eq!(
            (names.worker.as_str(), names.parameters),
            (snippet::WORKER_NAME, vec!["via".into(), "x&y".into()])
        );
        for other in
            ["", "[\"", "x=[\"a\",\"b\"]", r#"["a","b","c","d","e","f"]"#, r#"["a","","c","d","e.js","f"]"#]
        {
            assert_eq!(Names::read(other), None, "{other}");
        }
    }
}
