//! A page's body on its way to the client.

use crate::{
    coding::Coding,
    decode::{Decoder, Step},
    encode::Encoder,
    insert::{Inserter, Plan},
    page::DIGESTS,
};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;
use http_body::{Body, Frame, SizeHint};
use std::{
    pin::Pin,
    task::{Context, Poll, ready},
};
use usher_model::limits::{PAGE_STEP_BYTES, PAGE_UNSURE_BYTES};

/// What can end a body early.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// A body, with a tag in it if it is a page.
pub struct Tagged<B>(State<B>);

enum State<B> {
    AsItIs(B),
    Rewriting(Box<Rewriting<B>>),
}

/// A page that is taken apart and put together again. What it holds is bounded: it asks for more only when what it has is
/// gone.
struct Rewriting<B> {
    body: B,
    /// What came last and is not decoded yet.
    input: Bytes,
    /// The decoder has nothing more to give without more of it.
    is_hungry: bool,
    /// All that came, until it is clear that it can be decoded.
    unsure: Option<BytesMut>,
    decoder: Decoder,
    inserter: Inserter,
    encoder: Encoder,
    /// The encoder holds something back.
    unflushed: bool,
    is_plain: bool,
    end: Option<End>,
}

/// How the origin's body ended.
enum End {
    Clean,
    Trailers(HeaderMap),
    Failed(BoxError),
    /// And everything of it is told.
    Told,
}

impl<B> Tagged<B> {
    pub(crate) fn as_it_is(body: B) -> Self {
        Self(State::AsItIs(body))
    }

    pub(crate) fn rewriting(body: B, coding: Coding, plan: Plan) -> Self {
        let (Ok(decoder), Ok(encoder)) = (Decoder::new(coding), Encoder::new(coding)) else {
            return Self::as_it_is(body);
        };
        let is_plain = coding == Coding::Identity;
        Self(State::Rewriting(Box::new(Rewriting {
            body,
            input: Bytes::new(),
            is_hungry: true,
            unsure: (!is_plain).then(BytesMut::new),
            decoder,
            inserter: Inserter::new(plan),
            encoder,
            unflushed: false,
            is_plain,
            end: None,
        })))
    }
}

impl<B> Tagged<B> {
    /// The body itself where nothing is done with it.
    ///
    /// # Errors
    /// Gives itself back where it is a page.
    pub fn into_untouched(self) -> Result<B, Self> {
        match self.0 {
            State::AsItIs(body) => Ok(body),
            rewriting => Err(Self(rewriting)),
        }
    }
}

impl<B> Body for Tagged<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Self::Data>, Self::Error>>> {
        let this = self.get_mut();
        match &mut this.0 {
            State::AsItIs(body) => Pin::new(body).poll_frame(cx).map_err(Into::into),
            State::Rewriting(page) => page.poll(cx),
        }
    }

    fn is_end_stream(&self) -> bool {
        match &self.0 {
            State::AsItIs(body) => body.is_end_stream(),
            State::Rewriting(page) => matches!(page.end, Some(End::Told)),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match &self.0 {
            State::AsItIs(body) => body.size_hint(),
            State::Rewriting(_) => SizeHint::default(),
        }
    }
}

impl<B> Rewriting<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    fn poll(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        loop {
            if self.encoder.ready() >= if self.only_passes() { 1 } else { PAGE_STEP_BYTES } {
                return Poll::Ready(Some(Ok(Frame::data(self.encoder.take()))));
            }
            if !self.is_hungry {
                match self.work() {
                    Some(whole) => return Poll::Ready(Some(Ok(Frame::data(whole)))),
                    None => continue,
                }
            }
            if self.end.is_some() {
                return Poll::Ready(self.last());
            }
            match Pin::new(&mut self.body).poll_frame(cx) {
                // What came so far may be all that comes for a while.
                Poll::Pending => return self.flush().map_or(Poll::Pending, |out| Poll::Ready(Some(Ok(out)))),
                frame => self.take(ready!(frame)),
            }
        }
    }

    /// Takes the origin's next frame.
    fn take(&mut self, frame: Option<Result<Frame<Bytes>, B::Error>>) {
        match frame.map(|frame| frame.map(Frame::into_data)) {
            Some(Ok(Ok(data))) => {
                if let Some(unsure) = &mut self.unsure {
                    unsure.extend_from_slice(&data);
                }
                self.is_hungry = data.is_empty();
                self.input = data;
            }
            Some(Ok(Err(other))) => {
                if let Ok(mut trailers) = other.into_trailers() {
                    DIGESTS.iter().for_each(|name| drop(trailers.remove(name)));
                    self.end = Some(End::Trailers(trailers));
                }
            }
            Some(Err(error)) => self.end = Some(End::Failed(error.into())),
            None => self.end = Some(End::Clean),
        }
    }

    /// Whether nothing is left to be done but to pass on what comes.
    fn only_passes(&self) -> bool {
        self.is_plain && self.inserter.is_done()
    }

    /// Gets on with the input. What it returns goes out as it is.
    fn work(&mut self) -> Option<Bytes> {
        if self.only_passes() {
            self.is_hungry = true;
            return Some(std::mem::take(&mut self.input));
        }
        let mut plain = Vec::new();
        let step = self.decoder.step(&mut self.input, &mut plain);
        self.is_hungry = !matches!(step, Ok(Step::More));
        if !plain.is_empty() {
            self.unsure = None;
            self.inserter.take(&plain, &mut self.encoder);
            self.unflushed = true;
        }
        if let Err(broken) = step {
            if let Some(raw) = self.unsure.take() {
                return Some(self.give_up(raw.freeze()));
            }
            self.end = Some(End::Failed(broken.into()));
        }
        let is_hungry = self.is_hungry;
        let raw = self.unsure.take_if(|raw| is_hungry && raw.len() > PAGE_UNSURE_BYTES)?;
        Some(self.give_up(raw.freeze()))
    }

    /// It is not what it says: everything goes through as it comes.
    fn give_up(&mut self, raw: Bytes) -> Bytes {
        tracing::debug!("a page is not encoded as it says, and passes untouched");
        self.is_plain = true;
        self.decoder = Decoder::Identity;
        self.encoder = Encoder::Identity(Vec::new());
        self.inserter.end(&mut Encoder::Ended);
        self.unflushed = false;
        self.is_hungry = true;
        self.input = Bytes::new();
        raw
    }

    /// What a client that waits can have now.
    fn flush(&mut self) -> Option<Frame<Bytes>> {
        if self.unflushed {
            self.encoder.flush();
            self.unflushed = false;
        }
        (self.encoder.ready() > 0).then(|| Frame::data(self.encoder.take()))
    }

    /// What there is to tell when the origin has told everything.
    fn last(&mut self) -> Option<Result<Frame<Bytes>, BoxError>> {
        // Too short to tell, or empty.
        if let Some(raw) = self.unsure.take() {
            let raw = self.give_up(raw.freeze());
            if !raw.is_empty() {
                return Some(Ok(Frame::data(raw)));
            }
        }
        self.inserter.end(&mut self.encoder);
        let rest = if matches!(self.end, Some(End::Failed(_))) || !self.decoder.is_complete() {
            // A page that was cut off stays so: its end is not made up.
            self.encoder.flush();
            let rest = self.encoder.take();
            self.encoder = Encoder::Ended;
            rest
        } else {
            self.encoder.finish()
        };
        if !rest.is_empty() {
            return Some(Ok(Frame::data(rest)));
        }
        match self.end.replace(End::Told) {
            Some(End::Trailers(trailers)) => Some(Ok(Frame::trailers(trailers))),
            Some(End::Failed(error)) => Some(Err(error)),
            _ => None,
        }
    }
}
