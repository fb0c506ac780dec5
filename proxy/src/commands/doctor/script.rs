//! What our script tells of itself: the path names and parameters that are written into it.

/// The names below the base that a page calls, and what it looks for in its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Names {
    pub(super) track: String,
    pub(super) codes: String,
    /// What else is called.
    pub(super) others: Vec<String>,
    pub(super) worker: String,
    /// What else is loaded.
    pub(super) files: Vec<String>,
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
        Self {
            track: "track".to_owned(),
            codes: "codes".to_owned(),
            others: ["signups", "bind", "consent"].map(str::to_owned).to_vec(),
            worker: snippet::WORKER_NAME.to_owned(),
            files: Vec::new(),
            parameters,
        }
    }

    /// Calls (track, signups, codes, bind and further ones), files (the worker and further ones), parameters, settings.
    fn from_list(list: &[String]) -> Option<Self> {
        let is_file = |name: &String| name.ends_with(".js");
        let calls = list.iter().take_while(|name| !is_file(name)).count();
        let files = list[calls..].iter().take_while(|name| is_file(name)).count();
        let (calls, rest) = list.split_at(calls);
        let (files, rest) = rest.split_at(files);
        let [track, signups, codes, others @ ..] = calls else { return None };
        let (worker, files) = files.split_first()?;
        let is_name = |name: &String| {
            !name.is_empty() && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b))
        };
        let known = !others.is_empty() && calls.iter().chain(files).chain([worker]).all(is_name);
        let parameters = rest.first()?.split(',').filter(|name| !name.is_empty());
        known.then(|| Self {
            track: track.clone(),
            codes: codes.clone(),
            others: std::iter::once(signups).chain(others).cloned().collect(),
            worker: worker.clone(),
            files: files.to_vec(),
            parameters: parameters.map(str::to_owned).collect(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_from_the_list_in_the_script() {
        for (script, others, files, parameters) in [
            (r#"var x=[];var[a,b]=["k1","k2","k3","k4","w.js","via,x\u0026y"];"#, "k2 k4", "", "via x&y"),
            (
                r#"=["k1","k2","k3","k4","k5","w.js","m.js","atp","a.example","1",""]"#,
                "k2 k4 k5",
                "m.js",
                "atp",
            ),
            (r#"["script"],["k1","k2","k3","k4","w.js",""]"#, "k2 k4", "", ""),
        ] {
            let names = Names::read(script).expect(script);
            assert_eq!(
                (names.track.as_str(), names.codes.as_str(), names.worker.as_str()),
                ("k1", "k3", "w.js")
            );
            let joined = [names.others.join(" "), names.files.join(" "), names.parameters.join(" ")];
            assert_eq!(joined, [others, files, parameters], "{script}");
        }
        for other in [
            "",
            "[\"",
            "x=[\"a\",\"b\"]",
            r#"["a","b","c","d","e","f"]"#,
            r#"["a","b","c","w.js","f"]"#,
            r#"["a","","c","d","e.js","f"]"#,
            r#"["a","b","c","d","e.js"]"#,
        ] {
            assert_eq!(Names::read(other), None, "{other}");
        }
    }
}
