//! Whether somebody looks at what is answered: a page in a window of its own, and not a picture, a frame, or what a script
//! fetches (<https://www.w3.org/TR/fetch-metadata/>). Clicks are faked by loading links where nobody sees them.

use http::{HeaderName, Method, header::ACCEPT, request::Parts};

const FETCH_MODE: HeaderName = HeaderName::from_static("sec-fetch-mode");
const FETCH_DEST: HeaderName = HeaderName::from_static("sec-fetch-dest");
/// What scripts say that put pages together themselves.
const SCRIPTED: [HeaderName; 2] =
    [HeaderName::from_static("x-requested-with"), HeaderName::from_static("hx-request")];

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// A window, as the browser says.
    Window,
    /// A window, as far as can be told: browsers before 2020 (Safari before 2023), and all where there is no https, do not say.
    Unsaid,
    /// A frame in another page.
    Frame,
    /// Something else.
    Other,
}

impl Purpose {
    pub(crate) fn of(head: &Parts) -> Self {
        if !matches!(head.method, Method::GET | Method::HEAD) {
            return Self::Other;
        }
        let said = |name: &HeaderName| head.headers.get(name).map(|value| value.as_bytes().trim_ascii());
        match (said(&FETCH_MODE), said(&FETCH_DEST)) {
            (Some(b"navigate"), Some(b"document")) => Self::Window,
            (_, Some(b"iframe" | b"frame" | b"embed" | b"object" | b"fencedframe")) => Self::Frame,
            (None | Some(b"navigate"), None)
                if takes_html(head) && !SCRIPTED.iter().any(|name| head.headers.contains_key(name)) =>
            {
                Self::Unsaid
            }
            _ => Self::Other,
        }
    }
}

/// Whether `Accept` names HTML, which only what shows pages does, or no kind at all: anything is taken then (RFC 9110 section
/// 12.5.1), as by old browsers and by tools that follow a link.
fn takes_html(head: &Parts) -> bool {
    let elements = head.headers.get_all(ACCEPT).iter().flat_map(|line| line.as_bytes().split(|b| *b == b','));
    let mut kinds =
        elements.filter_map(|element| element.split(|b| *b == b';').next()).map(<[u8]>::trim_ascii);
    let Some(first) = kinds.next() else { return true };
    let is_html = |kind: &[u8]| kind.eq_ignore_ascii_case(b"text/html");
    let mut is_alone = first == b"*/*";
    let mut names_html = is_html(first);
    for kind in kinds {
        is_alone = false;
        names_html |= is_html(kind);
    }
    is_alone || names_html
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::Request;

    #[test]
    fn only_what_opens_a_page_is_a_window() {
        const HTML: (&str, &str) = ("accept", "text/html,application/xhtml+xml,*/*;q=0.8");
        let navigates = ("sec-fetch-mode", "navigate");
        type Fields<'f> = &'f [(&'f str, &'f str)];
        let table: [(&str, Fields<'_>, Purpose); 20] = [
            ("GET", &[navigates, ("sec-fetch-dest", "document")], Purpose::Window),
            ("GET", &[navigates, ("sec-fetch-dest", "document"), HTML], Purpose::Window),
            ("HEAD", &[navigates, ("sec-fetch-dest", "document")], Purpose::Window),
            ("POST", &[navigates, ("sec-fetch-dest", "document")], Purpose::Other),
            ("GET", &[navigates, ("sec-fetch-dest", "iframe"), HTML], Purpose::Frame),
            ("GET", &[navigates, ("sec-fetch-dest", "embed")], Purpose::Frame),
            ("GET", &[navigates, HTML], Purpose::Unsaid),
            ("GET", &[("sec-fetch-mode", "no-cors"), HTML], Purpose::Other),
            ("GET", &[("sec-fetch-dest", "document"), HTML], Purpose::Other),
            ("GET", &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "image"), HTML], Purpose::Other),
            ("GET", &[("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty"), HTML], Purpose::Other),
            ("GET", &[("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "document")], Purpose::Other),
            ("GET", &[HTML], Purpose::Unsaid),
            ("GET", &[("accept", "*/*, Text/HTML;level=1")], Purpose::Unsaid),
            ("GET", &[("accept", "*/*")], Purpose::Unsaid),
            ("GET", &[("accept", "*/*;q=0.8, image/png")], Purpose::Other),
            ("GET", &[("accept", "image/avif,image/webp,*/*")], Purpose::Other),
            ("GET", &[], Purpose::Unsaid),
            ("GET", &[("accept", "")], Purpose::Other),
            ("GET", &[HTML, ("x-requested-with", "XMLHttpRequest")], Purpose::Other),
        ];
        for (method, fields, wanted) in table {
            let mut request = Request::builder().method(method);
            for (name, value) in fields {
                request = request.header(*name, *value);
            }
            let head = request.body(()).expect("a request").into_parts().0;
            assert_eq!(Purpose::of(&head), wanted, "{method} {fields:?}");
        }
    }
}
