//! What a page's markup says: the tag, and the policies in it.

use lol_html::{HtmlRewriter, Settings, element};
use std::cell::RefCell;
use url::Url;

/// A script that the page loads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Script {
    pub(super) url: Url,
    pub(super) nonce: Option<String>,
    pub(super) integrity: Option<String>,
    /// `data-affonso`: it is the tag, ours or the platform's own.
    pub(super) program: Option<String>,
    /// `data-api-base`
    pub(super) base: Option<String>,
    /// `data-parser="edge"`: it starts no worker.
    pub(super) is_parsed_at_edge: bool,
    /// `data-requires-consent="true"`: nothing is stored before it is granted.
    pub(super) requires_consent: bool,
}

/// What was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) scripts: Vec<Script>,
    /// `<meta http-equiv="Content-Security-Policy">`
    pub(super) policies: Vec<String>,
    /// Whether any script has a nonce.
    pub(super) has_nonces: bool,
}

impl Page {
    /// Reads HTML, as far as it can be read.
    pub(super) fn read(html: &[u8], url: &Url) -> Self {
        let (page, base) = (RefCell::new(Self::default()), RefCell::new(None::<Url>));
        let on_base = element!("base[href]", |element| {
            let href = element.get_attribute("href").map(|href| unescape(&href));
            let mut base = base.borrow_mut();
            if base.is_none() {
                *base = href.and_then(|href| url.join(href.trim()).ok());
            }
            Ok(())
        });
        let on_meta = element!("meta[http-equiv][content]", |element| {
            let kind = element.get_attribute("http-equiv").unwrap_or_default();
            if kind.trim().eq_ignore_ascii_case("content-security-policy") {
                let content = element.get_attribute("content").unwrap_or_default();
                page.borrow_mut().policies.push(unescape(&content));
            }
            Ok(())
        });
        let on_script = element!("script", |element| {
            let attribute = |name: &str| element.get_attribute(name).map(|value| unescape(&value));
            let nonce = attribute("nonce").filter(|nonce| !nonce.is_empty());
            let mut page = page.borrow_mut();
            page.has_nonces |= element.has_attribute("nonce");
            let base = base.borrow();
            let src = attribute("src").and_then(|src| base.as_ref().unwrap_or(url).join(src.trim()).ok());
            if let Some(src) = src {
                page.scripts.push(Script {
                    url: src,
                    nonce,
                    integrity: attribute("integrity").filter(|digest| !digest.trim().is_empty()),
                    program: attribute("data-affonso"),
                    base: attribute("data-api-base").filter(|base| !base.is_empty()),
                    is_parsed_at_edge: attribute("data-parser").as_deref() == Some("edge"),
                    requires_consent: attribute("data-requires-consent").as_deref() == Some("true"),
                });
            }
            Ok(())
        });
        let settings = Settings::new().append_element_content_handler(on_base);
        let settings =
            settings.append_element_content_handler(on_meta).append_element_content_handler(on_script);
        let mut rewriter = HtmlRewriter::new(settings, |_: &[u8]| {});
        // What cannot be read further is read so far.
        match rewriter.write(html) {
            Ok(()) => drop(rewriter.end()),
            Err(_) => drop(rewriter),
        }
        page.into_inner()
    }

    /// The tag: as the snippet finds itself, the first script with `data-affonso`.
    pub(super) fn tag(&self) -> Option<&Script> {
        self.scripts.iter().find(|script| script.program.is_some())
    }
}

impl Script {
    /// Where its calls go, without a slash at the end: as the snippet reads it from `data-api-base`, else from its own address.
    pub(super) fn calls(&self, page: &Url) -> Option<Url> {
        let mut base = match &self.base {
            Some(base) => page.join(base).ok()?,
            None => self.url.clone(),
        };
        let path = match &self.base {
            Some(_) => base.path().strip_suffix('/').unwrap_or(base.path()).to_owned(),
            None => {
                let path = base.path();
                let folder = || path.rsplit_once('/').map_or("", |(folder, _)| folder);
                path.strip_suffix("/js/pixel.min.js").unwrap_or_else(folder).to_owned()
            }
        };
        base.set_path(&path);
        base.set_query(None);
        base.set_fragment(None);
        Some(base)
    }
}

/// The references that quotes and ampersands in attributes are written as. Others stay as they are.
fn unescape(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('&') {
        plain.push_str(&rest[..at]);
        rest = &rest[at..];
        let known =
            rest.find(';').filter(|end| *end <= 10).and_then(|end| Some((reference(&rest[1..end])?, end)));
        match known {
            Some((c, end)) => {
                plain.push(c);
                rest = &rest[end + 1..];
            }
            None => {
                plain.push('&');
                rest = &rest[1..];
            }
        }
    }
    plain + rest
}

fn reference(name: &str) -> Option<char> {
    match name {
        "amp" => Some('&'),
        "quot" => Some('"'),
        "apos" => Some('\''),
        "lt" => Some('<'),
        "gt" => Some('>'),
        _ => {
            let number = name.strip_prefix('#')?;
            let code = match number.strip_prefix(['x', 'X']) {
                Some(hex) => u32::from_str_radix(hex, 16),
                None => number.parse(),
            };
            code.ok().and_then(char::from_u32)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn page(html: &str) -> Page {
        Page::read(html.as_bytes(), &Url::parse("https://shop.com/a/b?via=x").expect("a URL"))
    }

    #[test]
    fn the_tag_is_found_where_browsers_find_it() {
        let html = r#"<!DOCTYPE html><html><head>
            <!-- <script src="/no/a.js" data-affonso="no"></script> -->
            <script>const tag = '<script src="/no/b.js" data-affonso="no">'</script>
            <template><p></template>
            <META HTTP-EQUIV=content-security-policy CONTENT="script-src &#39;self&#39; &quot;">
            <script src=plain.js nonce=n></script>
            <script async src="/k3/f24if0.js?a=1&amp;b=2" data-affonso="p1" data-api-base="/k3/" data-parser="edge"></script>
            </head>"#;
        let page = page(html);
        assert_eq!(page.policies, ["script-src 'self' \""]);
        assert!(page.has_nonces);
        assert_eq!(page.scripts[0].url.as_str(), "https://shop.com/a/plain.js");
        let tag = page.tag().expect("a tag");
        assert_eq!(tag.url.as_str(), "https://shop.com/k3/f24if0.js?a=1&b=2");
        assert_eq!(
            (tag.program.as_deref(), tag.is_parsed_at_edge, tag.nonce.as_deref()),
            (Some("p1"), true, None)
        );
    }

    #[test]
    fn calls_go_where_the_snippet_says() {
        for (tag, calls) in [
            (r#"src="/r/pixel.js""#, "https://shop.com/r"),
            (r#"src="/r/js/pixel.min.js""#, "https://shop.com/r"),
            (r#"src="/pixel.js""#, "https://shop.com/"),
            (r#"src="https://go.shop.com/k/x.js?v=1#y""#, "https://go.shop.com/k"),
            (r#"src="/x.js" data-api-base="/r""#, "https://shop.com/r"),
            (r#"src="/x.js" data-api-base="/r/""#, "https://shop.com/r"),
            (r#"src="/x.js" data-api-base="https://go.shop.com""#, "https://go.shop.com/"),
            (r#"src="/x.js" data-api-base="""#, "https://shop.com/"),
        ] {
            let page = page(&format!("<script {tag} data-affonso></script>"));
            let found =
                page.tag().and_then(|tag| tag.calls(&Url::parse("https://shop.com/a").expect("a URL")));
            assert_eq!(found.map(String::from).as_deref(), Some(calls), "{tag}");
        }
        let based = page(r#"<base href="/c/"><base href="/d/"><script src="x.js"></script>"#);
        assert_eq!(based.scripts[0].url.as_str(), "https://shop.com/c/x.js");
    }

    #[test]
    fn references_are_resolved() {
        for (written, plain) in [
            ("a&b", "a&b"),
            ("&amp;amp;", "&amp;"),
            ("&#39;&#x27;&#X27;&apos;", "''''"),
            ("&nbsp;&#xffffffff;&#;&;", "&nbsp;&#xffffffff;&#;&;"),
            ("&", "&"),
        ] {
            assert_eq!(unescape(written), plain, "{written}");
        }
    }

    proptest! {
        #[test]
        fn no_page_panics(html in prop::collection::vec(any::<u8>(), 0..200), text in "[<>a-z&#;/=\"' -]{0,80}") {
            let url = Url::parse("https://shop.com/").expect("a URL");
            Page::read(&html, &url);
            let page = Page::read(format!("<script src={text} data-affonso={text}>").as_bytes(), &url);
            let _ = page.tag().and_then(|tag| tag.calls(&url));
            let _ = unescape(&text);
        }
    }
}
