//! Static answers, prepared once: each encoding with its header fields, so that serving one is two clones.

use crate::{
    answer::{Answer, RESOURCE_POLICY},
    negotiate::{self, Encoding},
};
use bytes::Bytes;
use flate2::{Compression, write::GzEncoder};
use http::{
    HeaderMap, HeaderValue, Method, Response, StatusCode,
    header::{
        CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, ETAG, VARY, X_CONTENT_TYPE_OPTIONS,
    },
};
use sha2::{Digest, Sha256};
use std::io::Write;

/// How long caches may keep an asset without asking.
#[derive(Clone, Copy)]
pub(crate) enum Keep {
    /// An hour: the name stays when the content changes.
    Hour,
    /// A year: the name changes with the content.
    Forever,
}

/// `text/javascript` is what RFC 9239 asks for.
pub(crate) const JAVASCRIPT: &str = "text/javascript; charset=utf-8";
/// Anything else makes browsers refuse to compile while it loads.
pub(crate) const WASM: &str = "application/wasm";
pub(crate) const JSON: &str = "application/json";

/// One asset in all its encodings.
pub(crate) struct Asset {
    identity: Variant,
    gzip: Option<Variant>,
    brotli: Option<Variant>,
}

struct Variant {
    tag: HeaderValue,
    body: Bytes,
    headers: HeaderMap,
    unchanged: HeaderMap,
}

impl Asset {
    /// Prepares `content`. An encoding that does not make it smaller is left out.
    pub(crate) fn new(content: Bytes, kind: &'static str, keep: Keep) -> Self {
        let smaller = |body: Vec<u8>, encoding: &'static str| {
            (body.len() < content.len()).then(|| Variant::new(body.into(), Some(encoding), kind, keep))
        };
        Self {
            gzip: smaller(gzip(&content), "gzip"),
            brotli: smaller(brotli(&content), "br"),
            identity: Variant::new(content, None, kind, keep),
        }
    }

    /// The answer to a `GET` or `HEAD` with these header fields.
    pub(crate) fn answer(&self, method: &Method, headers: &HeaderMap) -> Answer {
        let variant = match negotiate::encoding(headers) {
            Encoding::Brotli => self.brotli.as_ref(),
            Encoding::Gzip => self.gzip.as_ref(),
            Encoding::Identity => None,
        };
        let variant = variant.unwrap_or(&self.identity);
        if negotiate::names_tag(headers, variant.tag.as_bytes()) {
            let mut answer = Response::new(Bytes::new().into());
            *answer.status_mut() = StatusCode::NOT_MODIFIED;
            *answer.headers_mut() = variant.unchanged.clone();
            return answer;
        }
        let body = if *method == Method::HEAD { Bytes::new() } else { variant.body.clone() };
        let mut answer = Response::new(body.into());
        *answer.headers_mut() = variant.headers.clone();
        answer
    }
}

impl Variant {
    fn new(body: Bytes, encoding: Option<&'static str>, kind: &'static str, keep: Keep) -> Self {
        let tag = tag(&body);
        let mut unchanged = HeaderMap::new();
        unchanged.insert(ETAG, tag.clone());
        unchanged.insert(CACHE_CONTROL, HeaderValue::from_static(keep.cache_control()));
        unchanged.insert(VARY, HeaderValue::from_static("Accept-Encoding, Origin"));
        let mut headers = unchanged.clone();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(kind));
        headers.insert(CONTENT_LENGTH, HeaderValue::from(body.len()));
        headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
        // Public files without secrets. `same-site` would keep them from pages that were loaded by plain http, and from
        // the site's other domains.
        headers.insert(RESOURCE_POLICY, HeaderValue::from_static("cross-origin"));
        if let Some(encoding) = encoding {
            headers.insert(CONTENT_ENCODING, HeaderValue::from_static(encoding));
        }
        Self { tag, body, headers, unchanged }
    }
}

impl Keep {
    const fn cache_control(self) -> &'static str {
        match self {
            Self::Hour => "public, max-age=3600",
            Self::Forever => "public, max-age=31536000, immutable",
        }
    }
}

/// A strong entity tag: 96 bits of the hash of the very bytes that are sent.
fn tag(body: &[u8]) -> HeaderValue {
    let hex: String = Sha256::digest(body).iter().take(12).map(|byte| format!("{byte:02x}")).collect();
    HeaderValue::try_from(format!("\"{hex}\"")).expect("hex digits in quotes are a header value")
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    let written = encoder.write_all(content).and_then(|()| encoder.finish());
    written.expect("writing to memory does not fail")
}

fn brotli(content: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    let settings =
        brotli::enc::BrotliEncoderParams { quality: 11, size_hint: content.len(), ..Default::default() };
    let written = brotli::BrotliCompress(&mut { content }, &mut body, &settings);
    written.map(|_| body).expect("writing to memory does not fail")
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::header::{ACCEPT_ENCODING, IF_NONE_MATCH};
    use std::io::Read;

    fn content() -> Bytes {
        Bytes::from("const words = 'the same again and the same again';\n".repeat(40))
    }

    fn ask(asset: &Asset, method: &Method, accept: &str, tag: Option<&HeaderValue>) -> Answer {
        let mut headers = HeaderMap::new();
        headers.insert(ACCEPT_ENCODING, HeaderValue::from_str(accept).expect("a value"));
        if let Some(tag) = tag {
            headers.insert(IF_NONE_MATCH, tag.clone());
        }
        asset.answer(method, &headers)
    }

    #[test]
    fn every_encoding_decodes_to_the_content_and_has_a_tag_of_its_own() {
        let asset = Asset::new(content(), JAVASCRIPT, Keep::Hour);
        let (gzip, brotli) = (asset.gzip.as_ref().expect("gzip"), asset.brotli.as_ref().expect("brotli"));
        let mut plain = Vec::new();
        flate2::read::GzDecoder::new(&gzip.body[..]).read_to_end(&mut plain).expect("gzip");
        assert_eq!(plain, content());
        plain.clear();
        brotli::Decompressor::new(&brotli.body[..], 4096).read_to_end(&mut plain).expect("brotli");
        assert_eq!(plain, content());
        assert!(brotli.body.len() <= gzip.body.len() && gzip.body.len() < content().len());
        assert!(gzip.tag != brotli.tag && gzip.tag != asset.identity.tag);
    }

    #[test]
    fn fields_are_as_caches_need_them() {
        let asset = Asset::new(content(), JAVASCRIPT, Keep::Hour);
        for (accept, encoding) in
            [("br", Some("br")), ("gzip", Some("gzip")), ("", None), ("identity;q=0, *;q=0", None)]
        {
            let answer = ask(&asset, &Method::GET, accept, None);
            let headers = answer.headers();
            assert_eq!(headers.get(CONTENT_ENCODING).map(|value| value.to_str().expect("text")), encoding);
            assert_eq!(headers[CACHE_CONTROL], "public, max-age=3600");
            assert_eq!(headers[VARY], "Accept-Encoding, Origin");
            assert_eq!(headers[X_CONTENT_TYPE_OPTIONS], "nosniff");
            let length = http_body::Body::size_hint(answer.body()).exact().expect("a length");
            assert_eq!(headers[CONTENT_LENGTH], length.to_string());
        }
    }

    #[test]
    fn a_known_tag_is_answered_without_content() {
        let asset = Asset::new(content(), JAVASCRIPT, Keep::Forever);
        let tag = ask(&asset, &Method::GET, "br", None).headers()[ETAG].clone();
        let answer = ask(&asset, &Method::GET, "br", Some(&tag));
        assert_eq!(answer.status(), 304);
        assert_eq!(answer.headers()[ETAG], tag);
        assert_eq!(answer.headers()[CACHE_CONTROL], "public, max-age=31536000, immutable");
        assert!(
            !answer.headers().contains_key(CONTENT_LENGTH)
                && !answer.headers().contains_key(CONTENT_ENCODING)
        );
        assert_eq!(ask(&asset, &Method::GET, "gzip", Some(&tag)).status(), 200);
    }

    #[test]
    fn head_names_the_length_and_sends_nothing() {
        let asset = Asset::new(content(), JAVASCRIPT, Keep::Hour);
        let answer = ask(&asset, &Method::HEAD, "", None);
        assert_eq!(answer.headers()[CONTENT_LENGTH], content().len().to_string());
        assert_eq!(http_body::Body::size_hint(answer.body()).exact(), Some(0));
    }

    #[test]
    fn what_does_not_shrink_is_sent_as_it_is() {
        let asset = Asset::new(Bytes::from_static(b";"), JAVASCRIPT, Keep::Hour);
        assert!(!ask(&asset, &Method::GET, "br, gzip", None).headers().contains_key(CONTENT_ENCODING));
    }
}
