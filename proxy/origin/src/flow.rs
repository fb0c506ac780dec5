//! The answer's body on its way down, with what is left of the request on its way up.

use crate::{
    BoxError,
    pool::Lease,
    request::keep_trailers,
    stall::Stall,
    upload::{Upload, Waits},
    wire::{Decoder, Step},
};
use bytes::Bytes;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use usher_model::limits::ORIGIN_SILENCE_MS;

/// The body of an origin's answer. It ends in an error when the origin does not send all of it; whoever passes it on must then
/// not let it look complete. Dropped before its end, it closes the connection to the origin.
pub struct BodyStream(Kind);

enum Kind {
    /// All of it came with the head.
    Whole(Bytes),
    Flow(Pin<Box<dyn Body<Data = Bytes, Error = BoxError> + Send>>),
}

impl BodyStream {
    pub(crate) const fn whole(bytes: Bytes) -> Self {
        Self(Kind::Whole(bytes))
    }

    pub(crate) fn flow(flow: impl Body<Data = Bytes, Error = BoxError> + Send + 'static) -> Self {
        Self(Kind::Flow(Box::pin(flow)))
    }

    /// All of it, when it is here already.
    ///
    /// # Errors
    /// Itself, when it is not.
    pub fn into_whole(self) -> Result<Bytes, Self> {
        match self.0 {
            Kind::Whole(bytes) => Ok(bytes),
            flow @ Kind::Flow(_) => Err(Self(flow)),
        }
    }
}

impl Body for BodyStream {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match &mut self.get_mut().0 {
            Kind::Whole(bytes) if bytes.is_empty() => Poll::Ready(None),
            Kind::Whole(bytes) => Poll::Ready(Some(Ok(Frame::data(std::mem::take(bytes))))),
            Kind::Flow(flow) => flow.as_mut().poll_frame(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            Kind::Whole(bytes) => bytes.is_empty(),
            Kind::Flow(flow) => flow.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            Kind::Whole(bytes) => SizeHint::with_exact(bytes.len() as u64),
            Kind::Flow(flow) => flow.size_hint(),
        }
    }
}

/// An exchange that goes on.
pub(crate) struct Flow<B> {
    /// None when the body has ended.
    lease: Option<Lease>,
    upload: Upload<B>,
    decoder: Decoder,
    stall: Stall,
    keeps: bool,
}

impl<B> Flow<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    pub(crate) const fn new(lease: Lease, upload: Upload<B>, decoder: Decoder, keeps: bool) -> Self {
        Self { lease: Some(lease), upload, decoder, stall: Stall::new(ORIGIN_SILENCE_MS), keeps }
    }

    fn poll_next(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let Some(lease) = &mut self.lease else { return Poll::Ready(None) };
        let connection = &mut lease.connection;
        loop {
            let waits = self.upload.poll(connection, &mut self.stall, cx)?;
            match self.decoder.next(&mut connection.input)? {
                Step::Data(data) => return Poll::Ready(Some(Ok(Frame::data(data)))),
                Step::Trailers(trailers) => {
                    return Poll::Ready(Some(Ok(Frame::trailers(keep_trailers(trailers)))));
                }
                Step::Done => return Poll::Ready(None),
                Step::More => {}
            }
            match connection.poll_receive(cx) {
                Poll::Ready(Ok(0)) if self.decoder.end() => return Poll::Ready(None),
                Poll::Ready(Ok(0)) => return Poll::Ready(Some(Err("the origin's answer ends early".into()))),
                Poll::Ready(Ok(_)) => self.stall.moved(),
                Poll::Ready(Err(error)) => return Poll::Ready(Some(Err(error.into()))),
                Poll::Pending if waits == Waits::Visitor => return Poll::Pending,
                Poll::Pending => {
                    ready!(self.stall.poll(cx, &mut connection.alarm));
                    return Poll::Ready(Some(Err("the origin keeps silent within its answer".into())));
                }
            }
        }
    }

    /// A connection on which both sides are through is good for another request.
    fn end(&mut self) {
        if let Some(lease) = self.lease.take()
            && self.keeps
            && self.upload.is_done()
            && self.decoder.is_done()
            && lease.connection.input.is_empty()
        {
            lease.give_back();
        }
    }
}

impl<B> Body for Flow<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        let next = ready!(this.poll_next(cx));
        if this.decoder.is_done() || !matches!(next, Some(Ok(_))) {
            this.end();
        } else {
            this.stall.moved(); // whoever reads may take their time before they come for more
        }
        Poll::Ready(next)
    }

    fn is_end_stream(&self) -> bool {
        self.lease.is_none()
    }

    fn size_hint(&self) -> SizeHint {
        self.decoder.left().map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}
