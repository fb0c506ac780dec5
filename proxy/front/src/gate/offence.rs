//! What a client can do wrong, and what it is told.

use bytes::Bytes;
use http::StatusCode;

/// Why a connection or a request is refused. Always the client's fault; the same bytes are refused again.
///
/// The text names the rule and repeats nothing of what came, so it may be logged and sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[non_exhaustive]
pub enum Offence {
    /// RFC 9112 section 2.2.
    #[error("a line does not end in CRLF")]
    LineEnd,
    /// RFC 9112 section 3.
    #[error("the request line is not a method, a target and a version with one space between them")]
    RequestLine,
    /// RFC 9110 section 9.1: no method that is registered, or one that is not served here.
    #[error("the method is not served")]
    Method,
    /// RFC 9112 section 2.3.
    #[error("the version is neither HTTP/1.1 nor HTTP/1.0")]
    Version,
    /// RFC 9112 section 3.2.
    #[error("the target is not a path that may be requested")]
    Target,
    /// RFC 9112 section 3: longer than [`usher_model::limits::REQUEST_LINE_BYTES`].
    #[error("the request line is too long")]
    TargetTooLong,
    /// RFC 6585 section 5.
    #[error("the header is too large")]
    HeadTooLarge,
    /// RFC 9112 section 5.
    #[error("a field's name is not a token that a colon follows")]
    FieldName,
    /// RFC 9110 section 5.5.
    #[error("a field's value holds a control character")]
    FieldValue,
    /// RFC 9112 section 5.2.
    #[error("a field goes on in the next line")]
    Folded,
    /// RFC 9110 section 5.3: a field that stands for one value came more than once.
    #[error("a field with a single value is repeated")]
    Repeated,
    /// RFC 9112 section 3.2.
    #[error("there has to be exactly one Host, a name or an address with or without a port")]
    Host,
    /// RFC 9112 section 3.2.2, RFC 9113 section 8.3.1.
    #[error("the target and Host disagree")]
    Disagreement,
    /// RFC 9112 section 6.1.
    #[error("a transfer coding is not `chunked` in HTTP/1.1, once and alone")]
    TransferEncoding,
    /// RFC 9112 section 6.2.
    #[error("Content-Length is not one decimal number")]
    ContentLength,
    /// RFC 9112 section 6.3.
    #[error("Transfer-Encoding and Content-Length are both there")]
    Framing,
    /// RFC 9110 section 15.5.14.
    #[error("the body is larger than anything can be")]
    BodyTooLarge,
    /// RFC 9110 section 7.6.1.
    #[error("Connection is not a list of options, or names a field that is not the connection's")]
    Connection,
    /// RFC 9110 section 10.1.1.
    #[error("the expectation is not 100-continue")]
    Expect,
    /// RFC 9112 section 7.1.
    #[error("a chunk is malformed")]
    Chunk,
    /// RFC 9110 section 6.5.1.
    #[error("the trailers are malformed, too many, or hold a field that may not be one")]
    Trailer,
    /// RFC 9113 section 8.2.2.
    #[error("a field of the connection stands in a request that has none")]
    ConnectionSpecific,
}

impl Offence {
    /// The status to answer.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::TargetTooLong => StatusCode::URI_TOO_LONG,
            Self::HeadTooLarge => StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::Expect => StatusCode::EXPECTATION_FAILED,
            Self::Method => StatusCode::NOT_IMPLEMENTED,
            Self::Version => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            _ => StatusCode::BAD_REQUEST,
        }
    }

    /// A word for metrics.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::LineEnd => "line_end",
            Self::RequestLine => "request_line",
            Self::Method => "method",
            Self::Version => "version",
            Self::Target => "target",
            Self::TargetTooLong => "target_too_long",
            Self::HeadTooLarge => "head_too_large",
            Self::FieldName => "field_name",
            Self::FieldValue => "field_value",
            Self::Folded => "folded",
            Self::Repeated => "repeated",
            Self::Host => "host",
            Self::Disagreement => "disagreement",
            Self::TransferEncoding => "transfer_encoding",
            Self::ContentLength => "content_length",
            Self::Framing => "framing",
            Self::BodyTooLarge => "body_too_large",
            Self::Connection => "connection",
            Self::Expect => "expect",
            Self::Chunk => "chunk",
            Self::Trailer => "trailer",
            Self::ConnectionSpecific => "connection_specific",
        }
    }

    /// The whole HTTP/1.1 answer, after which the connection is closed.
    #[must_use]
    pub fn answer(self) -> Bytes {
        let (status, body) = (self.status(), self.body());
        let reason = status.canonical_reason().unwrap_or_default();
        let head = format!(
            "HTTP/1.1 {} {reason}\r\nConnection: close\r\nCache-Control: no-store\r\nContent-Type: application/json\r\n\
             X-Content-Type-Options: nosniff\r\nContent-Length: {}\r\n\r\n",
            status.as_u16(),
            body.len()
        );
        Bytes::from(head + &body)
    }

    /// What the client is told, as every error of the interface is (<https://docs.affonso.io/api/with-tracking-pixel>).
    fn body(self) -> String {
        format!(r#"{{"success":false,"error":{{"code":"VALIDATION_ERROR","message":"{self}"}}}}"#)
    }
}
