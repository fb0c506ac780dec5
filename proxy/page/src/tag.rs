//! The tag, and who puts it in.

use crate::{
    body::Tagged,
    coding::Coding,
    insert::{self, Plan},
    page::{self, Handling},
};
use bytes::Bytes;
use http::{Method, Response, request::Parts, response};
use http_body::Body;
use std::{fmt::Write as _, sync::Arc};

/// A script's tag.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tag {
    /// Where the script lies: a path of the page's own host, beginning with a slash.
    pub src: String,
    /// What else is known to lead to the same script: paths as above. A page that has one of these needs no tag of ours.
    pub also: Vec<String>,
    /// The attributes beside `src`.
    pub data: Vec<(&'static str, String)>,
}

/// How one page's tag differs from another's.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Particulars<'p> {
    /// What the page's policy knows its own scripts by.
    pub(crate) nonce: Option<&'p str>,
    /// The page's host, with its port, where the page says that its paths lie elsewhere (`<base>`).
    pub(crate) authority: Option<&'p str>,
    /// The page has a policy, which may not let the script start a worker.
    pub(crate) has_policy: bool,
}

/// Puts a tag into pages.
#[derive(Clone, Debug)]
pub struct Tagger {
    tag: Arc<Tag>,
}

impl Tagger {
    /// For `tag`.
    #[must_use]
    pub fn new(tag: Tag) -> Self {
        Self { tag: Arc::new(tag) }
    }

    /// Puts the tag into `response`, which answers the request of `head`, if it is a page that can have it.
    pub fn decorate<B>(&self, head: &Parts, response: Response<B>) -> Response<Tagged<B>>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<crate::BoxError>,
    {
        let (mut answer, body) = response.into_parts();
        let is_head = head.method == Method::HEAD;
        if body.is_end_stream() && !is_head {
            return Response::from_parts(answer, Tagged::as_it_is(body));
        }
        let body = match page::handling(head, &answer) {
            Handling::Leave => Tagged::as_it_is(body),
            Handling::Part(field) => {
                page::vary_by(&mut answer.headers, field);
                Tagged::as_it_is(body)
            }
            Handling::Put { coding, policies, authority } => {
                let plan = Plan { tag: Arc::clone(&self.tag), policies, authority };
                if plan.is_hopeless() {
                    Tagged::as_it_is(body)
                } else {
                    page::unpin(&mut answer.headers);
                    if is_head { Tagged::as_it_is(body) } else { Tagged::rewriting(body, coding, plan) }
                }
            }
        };
        Response::from_parts(answer, body)
    }
}

impl Tagger {
    /// The same for an answer that is here whole: what goes out instead of `html`, or `None` where it has to be
    /// [`Tagger::decorate`]d like one that streams.
    pub fn decorate_whole(&self, head: &Parts, answer: &mut response::Parts, html: &Bytes) -> Option<Bytes> {
        match page::handling(head, answer) {
            Handling::Leave => Some(html.clone()),
            Handling::Part(field) => {
                page::vary_by(&mut answer.headers, field);
                Some(html.clone())
            }
            Handling::Put { coding: Coding::Identity, policies, authority }
                if head.method != Method::HEAD =>
            {
                let plan = Plan { tag: Arc::clone(&self.tag), policies, authority };
                let Some(tagged) = insert::into_whole(&plan, html) else { return Some(html.clone()) };
                page::unpin(&mut answer.headers);
                Some(tagged)
            }
            Handling::Put { .. } => None,
        }
    }
}

impl Tag {
    /// The tag as HTML, as it is pasted into a page.
    #[must_use]
    pub fn html(&self) -> String {
        self.html_for(&Particulars::default())
    }

    pub(crate) fn html_for(&self, page: &Particulars<'_>) -> String {
        const BASE: &str = "data-api-base";
        let mut html = String::from("<script async defer");
        let authority = page.authority.map(|host| format!("//{host}")).unwrap_or_default();
        attribute(&mut html, "src", &format!("{authority}{}", self.src));
        for (name, value) in &self.data {
            let path = *name == BASE && value.starts_with('/');
            attribute(&mut html, name, &if path { format!("{authority}{value}") } else { value.clone() });
        }
        if page.has_policy {
            attribute(&mut html, "data-parser", "edge");
        }
        if let Some(nonce) = page.nonce {
            attribute(&mut html, "nonce", nonce);
        }
        html.push_str("></script>");
        html
    }

    /// Whether `src` leads to the same script, on whatever host.
    pub(crate) fn is_at(&self, src: &str) -> bool {
        let src = src.trim_matches(|c: char| c.is_ascii_whitespace());
        let below_host = match src.split_once("//") {
            Some((scheme, rest)) if scheme.is_empty() || scheme.ends_with(':') => {
                rest.find('/').map_or("", |at| &rest[at..])
            }
            _ => src,
        };
        let path = below_host.split(['?', '#']).next().unwrap_or_default();
        self.src == path || self.also.iter().any(|known| known == path)
    }
}

fn attribute(html: &mut String, name: &str, value: &str) {
    let _ = write!(html, " {name}=\"");
    for c in value.chars() {
        match c {
            '"' => html.push_str("&quot;"),
            '&' => html.push_str("&amp;"),
            '<' => html.push_str("&lt;"),
            _ => html.push(c),
        }
    }
    html.push('"');
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn tag() -> Tag {
        Tag {
            src: "/r/k3f9.js".to_owned(),
            also: vec!["/r/pixel.js".to_owned()],
            data: vec![("data-affonso", "prog".to_owned()), ("data-api-base", "/r".to_owned())],
        }
    }

    #[test]
    fn the_tag_is_as_people_paste_it() {
        assert_eq!(
            tag().html(),
            r#"<script async defer src="/r/k3f9.js" data-affonso="prog" data-api-base="/r"></script>"#
        );
        let page = Particulars { nonce: Some("abc="), authority: Some("shop.example:81"), has_policy: true };
        assert_eq!(
            tag().html_for(&page),
            concat!(
                r#"<script async defer src="//shop.example:81/r/k3f9.js" data-affonso="prog" "#,
                r#"data-api-base="//shop.example:81/r" data-parser="edge" nonce="abc="></script>"#
            )
        );
    }

    #[test]
    fn no_value_breaks_out() {
        let tag = Tag { data: vec![("data-affonso", "a\"><b>&".to_owned())], ..tag() };
        assert!(tag.html().contains(r#" data-affonso="a&quot;>&lt;b>&amp;">"#), "{}", tag.html());
    }

    #[test]
    fn the_same_script_is_known_by_its_path() {
        let tag = tag();
        for src in [
            "/r/k3f9.js",
            " /r/k3f9.js\n",
            "/r/pixel.js?v=1",
            "/r/pixel.js#x",
            "//go.shop.example/r/k3f9.js",
            "https://shop.example/r/pixel.js",
        ] {
            assert!(tag.is_at(src), "{src}");
        }
        for src in ["", "/", "/r", "/r/other.js", "r/k3f9.js", "https://x.example", "/x//r/k3f9.js", "//"] {
            assert!(!tag.is_at(src), "{src}");
        }
    }
}
