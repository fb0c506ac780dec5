//! One request and the head of its answer.

use crate::{
    BoxError,
    failure::Failure,
    pool::Lease,
    stall::Stall,
    upload::{Upload, Waits},
    wire::{Head, Malformed, Reader},
};
use bytes::Bytes;
use http::{Method, StatusCode};
use http_body::Body;
use std::{
    future::poll_fn,
    io,
    task::{Context, Poll},
};
use usher_model::limits::{ORIGIN_HEAD_MS, ORIGIN_INTERIM};

/// Sends what it can of `upload` until the head of the answer is there. Interim answers end here, but for the one that asks for
/// the body: hyper's server has no way to pass others on.
pub(crate) async fn ask<B>(
    lease: &mut Lease,
    upload: &mut Upload<B>,
    method: &Method,
) -> Result<Head, Failure>
where
    B: Body<Data = Bytes> + Unpin,
    B::Error: Into<BoxError>,
{
    let mut asking = Asking { reader: Reader::default(), stall: Stall::new(ORIGIN_HEAD_MS), interim: 0 };
    poll_fn(|cx| asking.poll(lease, upload, method, cx)).await
}

struct Asking {
    reader: Reader,
    stall: Stall,
    interim: u32,
}

impl Asking {
    fn poll<B>(
        &mut self,
        lease: &mut Lease,
        upload: &mut Upload<B>,
        method: &Method,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Head, Failure>>
    where
        B: Body<Data = Bytes> + Unpin,
        B::Error: Into<BoxError>,
    {
        let connection = &mut lease.connection;
        loop {
            let waits = upload.poll(connection, &mut self.stall, cx).map_err(Failure::Visitor)?;
            match connection.poll_receive(cx) {
                Poll::Ready(Ok(0)) => {
                    return Poll::Ready(Err(Failure::Gone(io::ErrorKind::UnexpectedEof.into())));
                }
                Poll::Ready(Ok(_)) => {}
                Poll::Ready(Err(error)) => return Poll::Ready(Err(Failure::Gone(error))),
                Poll::Pending => {
                    let late =
                        waits == Waits::Origin && self.stall.poll(cx, &mut connection.alarm).is_ready();
                    return if late { Poll::Ready(Err(Failure::Slow)) } else { Poll::Pending };
                }
            }
            while let Some(head) = self.reader.read(&mut connection.input, method)? {
                if !head.status.is_informational() || head.status == StatusCode::SWITCHING_PROTOCOLS {
                    return Poll::Ready(Ok(head));
                }
                self.interim += 1;
                if self.interim > ORIGIN_INTERIM {
                    return Poll::Ready(Err(Malformed("too many interim answers").into()));
                }
                if head.status == StatusCode::CONTINUE {
                    upload.go_on();
                }
            }
        }
    }
}
