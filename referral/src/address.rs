//! Where in an address the pairs stand.

/// The query of an address and what can be read as a query in its fragment, both without their delimiter.
pub(crate) fn queries(url: &str) -> [&[u8]; 2] {
    let (before, fragment) = split_once(url.as_bytes(), b'#');
    let (_, query) = split_once(before, b'?');
    [query.unwrap_or_default(), fragment_query(fragment.unwrap_or_default())]
}

/// Hash routers put a path and a query into the fragment (`#/cart?via=x`); others put the pairs there bare (`#via=x`).
fn fragment_query(fragment: &[u8]) -> &[u8] {
    match split_once(fragment, b'?') {
        (_, Some(query)) => query,
        (bare, None) => match split_once(bare, b'=') {
            (name, Some(_)) if !name.contains(&b'/') => bare,
            _ => b"",
        },
    }
}

/// What stands before the first `delimiter`, and what after it. On bytes: a search through `str` triples the code that
/// the browser has to load.
pub(crate) fn split_once(bytes: &[u8], delimiter: u8) -> (&[u8], Option<&[u8]>) {
    let mut halves = bytes.splitn(2, |&b| b == delimiter);
    (halves.next().unwrap_or_default(), halves.next())
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
            assert_eq!(queries(url), expected.map(str::as_bytes), "{url}");
        }
    }
}
