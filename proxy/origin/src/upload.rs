//! The request on its way up: its head, then its body at the visitor's pace and the origin's, whichever is slower.

use crate::{
    BoxError,
    connection::Connection,
    request::{RequestHead, Size, write_trailers},
    stall::Stall,
};
use bytes::{Buf, Bytes};
use http::HeaderMap;
use http_body::{Body, Frame};
use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};
use tokio::time::{Sleep, sleep};
use usher_model::limits::ORIGIN_EXPECT_MS;

/// A request under way.
pub(crate) struct Upload<B> {
    head: RequestHead,
    body: B,
    /// Bytes that have yet to come, when the head says how many there are.
    left: u64,
    output: Output,
    state: State,
    /// Whether any byte has gone out.
    is_begun: bool,
    /// Whether any of the body has been taken from the visitor.
    is_taken: bool,
}

enum State {
    /// The head only, until the origin asks for the body or the time for that is over.
    Held(Pin<Box<Sleep>>),
    /// There is more of the body.
    Open,
    /// What goes out is the last of it.
    Ending,
    Done,
    /// The origin takes no more. It may have answered before.
    Refused,
}

/// Whom an upload waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Waits {
    Visitor,
    Origin,
}

impl<B> Upload<B>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    pub(crate) fn new(head: RequestHead, body: B) -> Self {
        let mut upload = Self {
            head,
            body,
            left: 0,
            output: Output::default(),
            state: State::Done,
            is_begun: false,
            is_taken: false,
        };
        upload.rewind();
        upload
    }

    /// Begins anew, for another connection.
    pub(crate) fn rewind(&mut self) {
        self.output = Output { before: self.head.bytes.clone(), ..Output::default() };
        self.left = if let Size::Length(length) = self.head.size { length } else { 0 };
        self.is_begun = false;
        self.state = match self.head.size {
            Size::None => State::Ending,
            _ if self.head.expects => State::Held(Box::pin(sleep(Duration::from_millis(ORIGIN_EXPECT_MS)))),
            _ => State::Open,
        };
    }

    /// Whether it can be sent once more without any risk that it is done twice.
    pub(crate) fn is_repeatable(&self) -> bool {
        !self.is_taken && (!self.is_begun || (self.head.is_safe && self.head.size == Size::None))
    }

    /// Whether its connection may serve another one.
    pub(crate) fn keeps(&self) -> bool {
        !self.head.size.is_last()
    }

    pub(crate) const fn is_done(&self) -> bool {
        matches!(self.state, State::Done)
    }

    /// The origin asks for the body.
    pub(crate) fn go_on(&mut self) {
        if matches!(self.state, State::Held(_)) {
            self.state = State::Open;
        }
    }

    /// Sends what can be sent, and says who has to move next. An error is the visitor's.
    pub(crate) fn poll(
        &mut self,
        connection: &mut Connection,
        stall: &mut Stall,
        cx: &mut Context<'_>,
    ) -> Result<Waits, BoxError> {
        loop {
            match self.poll_output(connection, stall, cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => self.state = State::Refused,
                Poll::Pending => return Ok(Waits::Origin),
            }
            match &mut self.state {
                State::Done | State::Refused => return Ok(Waits::Origin),
                State::Ending => self.state = State::Done,
                State::Held(end) => match end.as_mut().poll(cx) {
                    Poll::Ready(()) => self.state = State::Open,
                    Poll::Pending => return Ok(Waits::Origin),
                },
                State::Open => {
                    self.is_taken = true;
                    match Pin::new(&mut self.body).poll_frame(cx) {
                        Poll::Pending => return Ok(Waits::Visitor),
                        Poll::Ready(Some(frame)) => self.take(frame.map_err(Into::into)?)?,
                        Poll::Ready(None) => self.finish()?,
                    }
                }
            }
        }
    }

    /// Ready when all that is there has gone out.
    fn poll_output(
        &mut self,
        connection: &mut Connection,
        stall: &mut Stall,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if matches!(self.state, State::Done | State::Refused) {
            return Poll::Ready(Ok(()));
        }
        while self.output.has_remaining() {
            match connection.poll_send(cx, &mut self.output) {
                Poll::Ready(Ok(0)) => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                Poll::Ready(Ok(_)) => {
                    self.is_begun = true;
                    stall.moved();
                }
                Poll::Ready(Err(error)) => return Poll::Ready(Err(error)),
                Poll::Pending => return Poll::Pending,
            }
        }
        connection.poll_flush(cx)
    }

    fn take(&mut self, frame: Frame<Bytes>) -> Result<(), BoxError> {
        match frame.into_data() {
            Ok(data) => self.take_data(data),
            Err(frame) => {
                if let (Ok(trailers), Size::Chunked) = (frame.into_trailers(), self.head.size) {
                    self.end_with(&trailers);
                }
                Ok(())
            }
        }
    }

    fn take_data(&mut self, data: Bytes) -> Result<(), BoxError> {
        if data.is_empty() {
            return Ok(()); // as a chunk it would be the last
        }
        match self.head.size {
            Size::Chunked => {
                let before = Bytes::from(format!("{:x}\r\n", data.len()));
                self.output = if self.body.is_end_stream() {
                    self.state = State::Ending;
                    Output { before, data, after: b"\r\n0\r\n\r\n" }
                } else {
                    Output { before, data, after: b"\r\n" }
                };
            }
            Size::None | Size::Length(_) => {
                self.left =
                    self.left.checked_sub(data.len() as u64).ok_or("the body is longer than it says")?;
                if self.left == 0 {
                    self.state = State::Ending;
                }
                self.output = Output { data, ..Output::default() };
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> Result<(), BoxError> {
        if self.left > 0 {
            return Err("the body is shorter than it says".into());
        }
        if self.head.size == Size::Chunked {
            self.end_with(&HeaderMap::new());
        }
        self.state = State::Ending;
        Ok(())
    }

    fn end_with(&mut self, trailers: &HeaderMap) {
        let mut last = Vec::with_capacity(64);
        last.extend_from_slice(b"0\r\n");
        write_trailers(&mut last, trailers);
        last.extend_from_slice(b"\r\n");
        self.output = Output { before: last.into(), ..Output::default() };
        self.state = State::Ending;
    }
}

/// What goes out next, in one system call where that can be.
#[derive(Default)]
struct Output {
    before: Bytes,
    data: Bytes,
    after: &'static [u8],
}

impl Output {
    fn parts(&self) -> [&[u8]; 3] {
        [&self.before, &self.data, self.after]
    }
}

impl Buf for Output {
    fn remaining(&self) -> usize {
        self.before.len() + self.data.len() + self.after.len()
    }

    fn chunk(&self) -> &[u8] {
        self.parts().into_iter().find(|part| !part.is_empty()).unwrap_or_default()
    }

    fn advance(&mut self, count: usize) {
        let before = count.min(self.before.len());
        self.before.advance(before);
        let data = (count - before).min(self.data.len());
        self.data.advance(data);
        self.after.advance(count - before - data);
    }

    fn chunks_vectored<'a>(&'a self, slices: &mut [IoSlice<'a>]) -> usize {
        let parts = self.parts().into_iter().filter(|part| !part.is_empty());
        slices.iter_mut().zip(parts).map(|(slice, part)| *slice = IoSlice::new(part)).count()
    }
}
