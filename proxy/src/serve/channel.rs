//! What a process and its successor say to each other, over a socket that the successor finds as its standard input:
//!
//! 1. the old one: `usher sockets NAMES`, with the sockets themselves (SCM_RIGHTS, unix(7)), names parted by colons
//! 2. the new one: `ready`: its configuration can be served
//! 3. the old one: `take`: the store is free
//! 4. the new one: `serving`

use super::sockets::{Pool, Socket, Use};
use anyhow::{Context, bail, ensure};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use std::{
    io::{IoSlice, IoSliceMut},
    mem::MaybeUninit,
    net::TcpListener,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::net::UnixStream as Blocking,
    },
    time::Duration,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::UnixStream,
    time::timeout,
};
use usher_model::limits::SOCKETS_HANDED_OVER;

const GREETING: &str = "usher sockets ";
/// The greeting, and the longest name with its colon for each socket.
const LONGEST: usize = GREETING.len() + 1 + 6 * SOCKETS_HANDED_OVER;

/// A word of the conversation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word {
    Ready,
    Take,
    Serving,
}

impl Word {
    const fn byte(self) -> u8 {
        match self {
            Self::Ready => b'r',
            Self::Take => b't',
            Self::Serving => b's',
        }
    }
}

/// One end of it.
#[derive(Debug)]
pub(super) struct Channel(UnixStream);

impl Channel {
    /// Both ends: ours, and the one that the successor is to find as its standard input.
    pub(super) fn pair() -> anyhow::Result<(Self, OwnedFd)> {
        let (own, other) = Blocking::pair().context("cannot make a socket pair")?;
        Ok((Self::of(own)?, other.into()))
    }

    fn of(stream: Blocking) -> anyhow::Result<Self> {
        stream.set_nonblocking(true)?;
        Ok(Self(UnixStream::from_std(stream)?))
    }

    /// Sends the sockets. There is room for so little in the empty channel.
    pub(super) fn send(&self, sockets: &[Socket]) -> anyhow::Result<()> {
        ensure!(
            sockets.len() <= SOCKETS_HANDED_OVER,
            "at most {SOCKETS_HANDED_OVER} sockets can be handed over"
        );
        let names: Vec<&str> = sockets.iter().map(|socket| socket.usage.word()).collect();
        let greeting = format!("{GREETING}{}\n", names.join(":"));
        let handles: Vec<BorrowedFd<'_>> = sockets.iter().map(|socket| socket.listener.as_fd()).collect();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_HANDED_OVER))];
        let mut rights = SendAncillaryBuffer::new(&mut space);
        ensure!(rights.push(SendAncillaryMessage::ScmRights(&handles)), "the sockets do not fit one message");
        let sent = rustix::net::sendmsg(
            &self.0,
            &[IoSlice::new(greeting.as_bytes())],
            &mut rights,
            SendFlags::NOSIGNAL,
        )?;
        ensure!(sent == greeting.len(), "the sockets could not be sent at once");
        Ok(())
    }

    /// Takes the sockets that came over standard input.
    pub(super) fn receive(stdin: OwnedFd, patience: Duration) -> anyhow::Result<(Self, Pool)> {
        let stream = Blocking::from(stdin);
        stream.set_read_timeout(Some(patience))?;
        let (mut bytes, mut pool) = ([0; LONGEST], Pool::default());
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(SOCKETS_HANDED_OVER))];
        let mut rights = RecvAncillaryBuffer::new(&mut space);
        let slices = &mut [IoSliceMut::new(&mut bytes)];
        let received = rustix::net::recvmsg(&stream, slices, &mut rights, RecvFlags::CMSG_CLOEXEC)?;
        let handles: Vec<OwnedFd> = rights
            .drain()
            .filter_map(|message| match message {
                RecvAncillaryMessage::ScmRights(handles) => Some(handles),
                _ => None,
            })
            .flatten()
            .collect();
        let greeting = bytes.get(..received.bytes).unwrap_or_default();
        let names = std::str::from_utf8(greeting)
            .ok()
            .and_then(|text| text.strip_prefix(GREETING)?.strip_suffix('\n'));
        let Some(names) = names else { bail!("the process before this one speaks another language") };
        let names: Vec<&str> = names.split(':').filter(|name| !name.is_empty()).collect();
        ensure!(names.len() == handles.len(), "{} sockets came for {} names", handles.len(), names.len());
        for (name, handle) in names.into_iter().zip(handles) {
            // A purpose that this version does not know is none of its configuration's addresses.
            if let Some(usage) = Use::named(name) {
                pool.add(Some(usage), TcpListener::from(handle))?;
            }
        }
        stream.set_read_timeout(None)?;
        Ok((Self::of(stream)?, pool))
    }

    /// Says a word.
    pub(super) async fn say(&mut self, word: Word) -> anyhow::Result<()> {
        self.0.write_all(&[word.byte()]).await.context("the other process has gone")
    }

    /// Waits for a word.
    ///
    /// # Errors
    /// When the other process ends, or says something else, or nothing within `patience`.
    pub(super) async fn hear(&mut self, word: Word, patience: Duration) -> anyhow::Result<()> {
        let Ok(heard) = timeout(patience, self.0.read_u8()).await else {
            bail!("it did not say {word:?} within {} ms", patience.as_millis());
        };
        let heard = heard.with_context(|| format!("it ended before it said {word:?}"))?;
        ensure!(heard == word.byte(), "it said something else than {word:?}");
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{io::Write, net::SocketAddr};

    const SOON: Duration = Duration::from_secs(5);

    fn socket(usage: Use) -> Socket {
        let wanted: SocketAddr = "127.0.0.1:0".parse().expect("an address");
        let listener = TcpListener::bind(wanted).expect("a port");
        Socket { usage, at: listener.local_addr().expect("an address"), listener }
    }

    #[tokio::test]
    async fn sockets_arrive_and_listen_and_then_words() {
        let (mut ours, theirs) = Channel::pair().expect("a pair");
        let sockets = [socket(Use::Http), socket(Use::Admin), socket(Use::Http)];
        ours.send(&sockets).expect("sent");
        let (mut other, pool) = Channel::receive(theirs, SOON).expect("received");
        assert!(
            pool.check_all_used().is_err_and(|error| error.to_string().contains(&sockets[0].at.to_string()))
        );
        drop(pool);
        other.say(Word::Ready).await.expect("said");
        ours.hear(Word::Ready, SOON).await.expect("heard");
        other.say(Word::Ready).await.expect("said");
        assert!(ours.hear(Word::Serving, SOON).await.is_err(), "it is another word");
        drop(other);
        assert!(ours.hear(Word::Serving, SOON).await.is_err(), "it has ended");
    }

    #[tokio::test]
    async fn what_is_no_greeting_is_refused() {
        let received = |greeting: &[u8]| {
            let (mut ours, theirs) = Blocking::pair().expect("a pair");
            ours.write_all(greeting).expect("written");
            Channel::receive(theirs.into(), SOON).expect_err("no sockets came").to_string()
        };
        assert!(received(b"GET / HTTP/1.1\r\n").contains("another language"));
        assert!(received(b"usher sockets http:http\n").contains("0 sockets came for 2 names"));
    }
}
