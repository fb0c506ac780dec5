//! The one place that turns faults and refusals into status codes and the platform's error envelope
//! (`{"success":false,"error":{code,message,field?}}`, <https://docs.affonso.io/api/with-tracking-pixel>).

use crate::{
    answer::{self, Answer},
    fault::Fault,
};
use http::{
    HeaderValue, StatusCode,
    header::{ALLOW, CONNECTION, RETRY_AFTER, WWW_AUTHENTICATE},
};
use serde::Serialize;
use usher_core::Refusal;
use usher_model::limits;
use usher_origin::Failure;

#[derive(Serialize)]
struct Envelope<'m> {
    success: bool,
    error: Told<'m>,
}

/// What the caller is told.
#[derive(Serialize)]
struct Told<'m> {
    code: &'static str,
    message: &'m str,
    #[serde(skip_serializing_if = "Option::is_none")]
    field: Option<&'static str>,
    #[serde(rename = "retryAfter", skip_serializing_if = "Option::is_none")]
    retry_after_s: Option<u64>,
}

/// The answer to a request that came to nothing.
pub(crate) fn rescue(fault: &Fault) -> Answer {
    log(fault);
    let mut answer = match fault {
        Fault::Outside => return answer::plain(StatusCode::NOT_FOUND, "Not Found\n"),
        Fault::Origin(failure) => return unanswered(failure),
        Fault::Refused(refusal) => refused(refusal),
        Fault::Leaving => {
            let message = "The service is being replaced; try again.";
            envelope(StatusCode::SERVICE_UNAVAILABLE, "SERVICE_UNAVAILABLE", message, None, Some(1))
        }
        Fault::Shed => {
            let (status, message) = (StatusCode::SERVICE_UNAVAILABLE, "There is too much to do; try again.");
            envelope(status, "SERVICE_UNAVAILABLE", message, None, Some(limits::SHED_RETRY_S))
        }
        _ => {
            let (status, code, message) = told(fault);
            envelope(status, code, message, None, None)
        }
    };
    let headers = answer.headers_mut();
    match fault {
        Fault::Method(allow) => {
            headers.insert(ALLOW, HeaderValue::from_static(allow));
        }
        Fault::Unauthorized(_) => {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        // What is left of the body will not be read.
        Fault::Offence(_) | Fault::TooLarge(_) | Fault::TooSlow | Fault::Broken | Fault::Leaving => {
            headers.insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    answer
}

/// What a person sees in place of the shop's page. It says nothing of what is behind us.
fn unanswered(failure: &Failure) -> Answer {
    let (status, line) = match failure {
        Failure::Connect(_) | Failure::Gone(_) | Failure::Malformed(_) => {
            (StatusCode::BAD_GATEWAY, "This site does not answer right now. Please try again in a moment.")
        }
        Failure::ConnectSlow | Failure::Slow => {
            (StatusCode::GATEWAY_TIMEOUT, "This site takes too long to answer. Please try again in a moment.")
        }
        Failure::Busy => {
            (StatusCode::SERVICE_UNAVAILABLE, "This site is very busy. Please try again in a moment.")
        }
        Failure::Circle => {
            (StatusCode::LOOP_DETECTED, "This site is not set up right: it leads back to itself.")
        }
        Failure::Visitor(_) => (StatusCode::BAD_REQUEST, "The request did not arrive as a whole."),
    };
    let mut answer = answer::page(status, line);
    match failure {
        Failure::Busy => {
            answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
        }
        Failure::Visitor(_) => {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
        _ => {}
    }
    answer
}

fn told(fault: &Fault) -> (StatusCode, &'static str, &'static str) {
    const INPUT: &str = "VALIDATION_ERROR";
    match fault {
        Fault::Offence(offence) => (offence.status(), INPUT, "The request is not what HTTP allows."),
        Fault::Host => (StatusCode::BAD_REQUEST, INPUT, "The request needs exactly one well-formed Host."),
        Fault::UnknownHost => {
            (StatusCode::MISDIRECTED_REQUEST, "NOT_FOUND", "No site is served under this host.")
        }
        Fault::NotFound | Fault::Outside => (StatusCode::NOT_FOUND, "NOT_FOUND", "There is nothing here."),
        Fault::Method(_) => {
            (StatusCode::METHOD_NOT_ALLOWED, INPUT, "This path takes other methods; see Allow.")
        }
        Fault::Foreign => (StatusCode::FORBIDDEN, "FORBIDDEN", "Only the site's own pages may call this."),
        Fault::Unauthorized(_) => {
            (StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "The key or the signature is missing or not valid.")
        }
        Fault::Unsigned => {
            (StatusCode::UNAUTHORIZED, "UNAUTHORIZED", "The signature is missing or not valid.")
        }
        Fault::Unreadable => {
            (StatusCode::BAD_REQUEST, INPUT, "The delivery cannot be read; `usher webhook explain` says why.")
        }
        Fault::MediaType => (StatusCode::UNSUPPORTED_MEDIA_TYPE, INPUT, "The body must be JSON."),
        Fault::TooLarge(_) => (StatusCode::PAYLOAD_TOO_LARGE, INPUT, "The body is too large."),
        Fault::TooSlow => (StatusCode::REQUEST_TIMEOUT, INPUT, "The body did not arrive in time."),
        Fault::Broken => (StatusCode::BAD_REQUEST, INPUT, "The body could not be read."),
        Fault::Lost | Fault::Leaving | Fault::Shed | Fault::Origin(_) | Fault::Refused(_) => {
            (StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL_ERROR", "Something went wrong; try again.")
        }
    }
}

fn refused(refusal: &Refusal) -> Answer {
    match refusal {
        Refusal::Invalid { field, message } => {
            envelope(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message, *field, None)
        }
        Refusal::NotFound { field, message } => {
            envelope(StatusCode::NOT_FOUND, "NOT_FOUND", message, *field, None)
        }
        Refusal::Conflict { message } => {
            envelope(StatusCode::CONFLICT, "DUPLICATE_ERROR", message, None, None)
        }
        Refusal::TooMany { retry_after_ms } => {
            let seconds = retry_after_ms.div_ceil(1000).max(1);
            envelope(
                StatusCode::TOO_MANY_REQUESTS,
                "RATE_LIMIT_EXCEEDED",
                &refusal.to_string(),
                None,
                Some(seconds),
            )
        }
        Refusal::Unavailable(_) => envelope(
            StatusCode::SERVICE_UNAVAILABLE,
            "SERVICE_UNAVAILABLE",
            &refusal.to_string(),
            None,
            Some(1),
        ),
    }
}

fn envelope(
    status: StatusCode,
    code: &'static str,
    message: &str,
    field: Option<&'static str>,
    retry_after_s: Option<u64>,
) -> Answer {
    let told = Told { code, message, field, retry_after_s };
    let mut answer = answer::json(status, &Envelope { success: false, error: told });
    if let Some(seconds) = retry_after_s {
        answer.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    answer
}

/// The inside message. A refusal's own text may repeat what the caller sent, so only the store's is logged.
fn log(fault: &Fault) {
    match fault {
        Fault::Refused(Refusal::Unavailable(cause)) => tracing::warn!(%cause, "the store did not do it"),
        Fault::Refused(_) | Fault::Origin(_) | Fault::Shed => {} // told where it happened
        Fault::Lost => tracing::error!("{fault}"),
        Fault::Unauthorized(_) => tracing::info!("refused: {fault}"),
        _ => tracing::debug!("refused: {fault}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http_body_util::BodyExt;

    fn body(answer: Answer) -> String {
        let collected = futures_now(answer.into_body().collect()).expect("a full body never fails");
        String::from_utf8(collected.to_bytes().to_vec()).expect("text")
    }

    /// A body that is in memory is ready at once.
    fn futures_now<F: Future>(future: F) -> F::Output {
        let mut future = std::pin::pin!(future);
        match future.as_mut().poll(&mut std::task::Context::from_waker(std::task::Waker::noop())) {
            std::task::Poll::Ready(output) => output,
            std::task::Poll::Pending => panic!("not ready"),
        }
    }

    #[test]
    fn refusals_become_the_platforms_envelope() {
        let invalid = rescue(&Refusal::invalid("sale_amount", "must be more than 0").into());
        assert_eq!(invalid.status(), 400);
        assert_eq!(
            body(invalid),
            r#"{"success":false,"error":{"code":"VALIDATION_ERROR","message":"must be more than 0","field":"sale_amount"}}"#
        );
        let many = rescue(&Refusal::TooMany { retry_after_ms: 1_001 }.into());
        assert_eq!(many.status(), 429);
        assert_eq!(many.headers()[RETRY_AFTER], "2");
        assert!(body(many).contains(r#""code":"RATE_LIMIT_EXCEEDED""#));
        let cause = usher_store::StoreError::Full("the disk of /var".to_owned());
        let unavailable = rescue(&Refusal::Unavailable(cause).into());
        assert_eq!(
            (unavailable.status(), &unavailable.headers()[RETRY_AFTER]),
            (StatusCode::SERVICE_UNAVAILABLE, &HeaderValue::from(1))
        );
        assert!(!body(unavailable).contains("/var"));
        let conflict = rescue(&Refusal::Conflict { message: String::new() }.into());
        assert_eq!(conflict.status(), 409);
    }

    #[test]
    fn faults_say_what_the_protocol_asks_for() {
        let method = rescue(&Fault::Method("GET, HEAD"));
        assert_eq!(method.status(), 405);
        assert_eq!(method.headers()[ALLOW], "GET, HEAD");
        let unauthorized = rescue(&Fault::Unauthorized("an inside reason"));
        assert_eq!(unauthorized.headers()[WWW_AUTHENTICATE], "Bearer");
        assert!(!body(unauthorized).contains("inside"));
        assert_eq!(rescue(&Fault::TooLarge(1)).headers()[CONNECTION], "close");
        assert_eq!(rescue(&Fault::UnknownHost).status(), 421);
        assert_eq!(body(rescue(&Fault::Outside)), "Not Found\n");
    }
}
