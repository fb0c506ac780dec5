//! Where in an address the pairs stand.

/// The query of an address and what can be read as a query in its fragment, both without their delimiter.
pub(crate) fn queries(url: &str) -> [&str; 2] {
    let (before, fragment) = url.split_once('#').unwrap_or((url, ""));
    let query = before.split_once('?').map_or("", |(_, query)| query);
    [query, fragment_query(fragment)]
}

/// Hash routers put a path and a query into the fragment (`#/cart?via=x`); others put the pairs there bare (`#via=x`).
fn fragment_query(fragment: &str) -> &str {
    if let Some((_, query)) = fragment.split_once('?') {
        return query;
    }
    match fragment.split_once('=') {
        Some((name, _)) if !name.as_bytes().contains(&b'/') => fragment,
        _ => "",
    }
}

#[cfg(test)]
mod tests {
    use super::queries;

    #[test]
    fn finds_the_query_and_the_fragments_query() {
        for (url, expected) in [
            ("", ["", ""]),
            ("https://shop.example/a", ["", ""]),
            ("https://shop.example/a?b=c", ["b=c", ""]),
            ("?b=c?d=e", ["b=c?d=e", ""]),
            ("/a?b=c#/d?e=f", ["b=c", "e=f"]),
            ("#e=f", ["", "e=f"]),
            ("#?e=f", ["", "e=f"]),
            ("#/d=e", ["", ""]),
            ("#d=/e", ["", "d=/e"]),
            ("#top", ["", ""]),
            ("#a#b=c", ["", "a#b=c"]),
            ("/a#b?c=d", ["", "c=d"]),
        ] {
            assert_eq!(queries(url), expected, "{url}");
        }
    }
}
