//! An origin, and what is forwarded to it.

use crate::{
    BoxError, answer,
    exchange::ask,
    failure::Failure,
    flow::BodyStream,
    pool::Pool,
    request::{self, Rules},
    tunnel::Tunnels,
    upload::Upload,
    wire::Malformed,
};
use bytes::Bytes;
use http::{Response, StatusCode, request::Parts};
use http_body::Body;
use hyper::upgrade::OnUpgrade;
use std::{net::IpAddr, sync::Arc};
use usher_model::OriginAddress;

/// What an origin is to be like.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where it is.
    pub address: OriginAddress,
    /// Cookies that it may not set.
    pub own_cookies: Vec<String>,
    /// Whether it sees them.
    pub shows_own_cookies: bool,
}

/// What is known of who asks.
#[derive(Clone, Copy, Debug)]
pub struct Visitor<'a> {
    /// The visitor's address.
    pub address: IpAddr,
    /// Whether the visitor's side speaks https.
    pub https: bool,
    /// The host that is asked for, when the request itself does not name one.
    pub host: &'a str,
    /// Whether a trusted proxy brings the request; what it adds beyond the address is then passed on.
    pub is_vouched_for: bool,
}

/// The merchant's own server: its connections and how it is spoken to.
pub struct Origin {
    pool: Arc<Pool>,
    rules: Rules,
    own_cookies: Vec<String>,
    tunnels: Tunnels,
}

impl Origin {
    /// Connects to nothing yet.
    #[must_use]
    pub fn new(settings: Settings, tunnels: &Tunnels) -> Self {
        let Settings { address, own_cookies, shows_own_cookies } = settings;
        let mark = format!("usher;to=\"{address}\"");
        let hidden_cookies = if shows_own_cookies { Vec::new() } else { own_cookies.clone() };
        Self {
            pool: Arc::new(Pool::new(address)),
            rules: Rules { hidden_cookies, mark },
            own_cookies,
            tunnels: tunnels.clone(),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn address(&self) -> &OriginAddress {
        self.pool.address()
    }

    /// Asks the origin what the visitor asks. The request's body goes up as fast as both sides take it, and the answer's comes
    /// down so. An upgrade that the origin agrees to goes on in a task of its own. Dropped, it closes the connection.
    ///
    /// # Errors
    /// When there is no answer that could be passed on.
    pub async fn forward<B>(
        &self,
        parts: &Parts,
        body: B,
        visitor: &Visitor<'_>,
    ) -> Result<Response<BodyStream>, Failure>
    where
        B: Body<Data = Bytes> + Send + Unpin + 'static,
        B::Error: Into<BoxError>,
    {
        let switch = parts.extensions.get::<OnUpgrade>().filter(|_| body.is_end_stream());
        let shape = request::Shape::of(&body, switch.is_some());
        let head = request::head(parts, shape, visitor, &self.rules)?;
        let switch = switch.filter(|_| head.upgrades).cloned();
        let mut upload = Upload::new(head, body);
        let mut lease = self.pool.lease().await?;
        let mut head = loop {
            match ask(&mut lease, &mut upload, &parts.method).await {
                // The origin closed it just when it was to be used again.
                Err(Failure::Gone(_))
                    if lease.is_reused && lease.connection.input.is_empty() && upload.is_repeatable() =>
                {
                    lease = self.pool.renew(lease).await?;
                    upload.rewind();
                }
                asked => break asked?,
            }
        };
        if head.status != StatusCode::SWITCHING_PROTOCOLS {
            head.keeps &= upload.keeps();
            return Ok(answer::of(head, lease, upload, &self.own_cookies));
        }
        let switch = switch.ok_or(Malformed("it switches protocols unasked"))?;
        let answer = answer::switched(head)?;
        self.tunnels.join(switch, lease);
        Ok(answer)
    }
}
