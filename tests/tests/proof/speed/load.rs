//! A load of sales that costs little itself: kept connections, bytes that are put together once.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use usher_tests::{HOST, KEY};

use crate::chance::Chance;

/// What a load came to.
pub(crate) struct Measured {
    pub(crate) per_second: f64,
    pub(crate) answers: usize,
    /// Answers that were no acknowledgements, and connections that broke.
    pub(crate) failed: usize,
    waits: Vec<Duration>,
}

impl Measured {
    /// The wait that this share of the calls did not exceed.
    pub(crate) fn at(&self, share: f64) -> Duration {
        let place = (self.waits.len() as f64 * share) as usize;
        self.waits.get(place.min(self.waits.len().saturating_sub(1))).copied().unwrap_or_default()
    }

    /// From the waits of all callers, `None` for each call that failed.
    pub(crate) fn of(waits: Vec<Option<Duration>>, took: Duration) -> Self {
        let failed = waits.iter().filter(|wait| wait.is_none()).count();
        let mut waits: Vec<Duration> = waits.into_iter().flatten().collect();
        waits.sort_unstable();
        Self { per_second: waits.len() as f64 / took.as_secs_f64(), answers: waits.len(), failed, waits }
    }
}

/// Each connection reports its next sale as soon as the last was acknowledged.
pub(crate) async fn closed(edge: SocketAddr, referral: &str, connections: usize, time: Duration) -> Measured {
    let start = Instant::now();
    let callers: Vec<_> = (0..connections)
        .map(|_| {
            let referral = referral.to_owned();
            tokio::spawn(async move {
                let (mut caller, mut waits) = (Caller::connect(edge, &referral).await, Vec::new());
                while start.elapsed() < time {
                    let began = Instant::now();
                    waits.push(caller.report().await.ok().map(|()| began.elapsed()));
                }
                waits
            })
        })
        .collect();
    let mut waits = Vec::new();
    for caller in callers {
        waits.extend(caller.await.expect("a caller ends"));
    }
    Measured::of(waits, start.elapsed())
}

/// Sales come at a rate of their own, whether or not the last was acknowledged; each is waited for from the moment at which
/// it came.
pub(crate) async fn open(
    edge: SocketAddr,
    referral: &str,
    connections: usize,
    rate: u32,
    time: Duration,
) -> Measured {
    let count = u64::from(rate) * time.as_secs();
    let next = Arc::new(AtomicU64::new(0));
    let start = Instant::now() + Duration::from_millis(100);
    let callers: Vec<_> = (0..connections)
        .map(|_| {
            let (referral, next) = (referral.to_owned(), Arc::clone(&next));
            tokio::spawn(async move {
                let (mut caller, mut waits) = (Caller::connect(edge, &referral).await, Vec::new());
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    if number >= count {
                        return waits;
                    }
                    let comes = start + Duration::from_nanos(1_000_000_000 / u64::from(rate) * number);
                    tokio::time::sleep_until(comes.into()).await;
                    waits.push(caller.report().await.ok().map(|()| comes.elapsed()));
                }
            })
        })
        .collect();
    let mut waits = Vec::new();
    for caller in callers {
        waits.extend(caller.await.expect("a caller ends"));
    }
    Measured::of(waits, start.elapsed())
}

/// A merchant's server with one connection.
struct Caller {
    stream: TcpStream,
    request: Vec<u8>,
    /// Where the event's name stands in the request.
    name: usize,
    answer: Vec<u8>,
    chance: Chance,
}

const NAME: &str = "0000000000000000";

impl Caller {
    async fn connect(edge: SocketAddr, referral: &str) -> Self {
        static SEED: AtomicU64 = AtomicU64::new(1);
        let stream = TcpStream::connect(edge).await.expect("the edge takes connections");
        stream.set_nodelay(true).expect("a connection");
        let body = format!(
            r#"{{"external_event_id":"evt_{NAME}","referral_id":{referral:?},"sale_amount":99.90,"sale_amount_currency":"USD","customer_id":"cus_{NAME}","metadata":{{"provider":"stripe","order":"1001","note":"a usual sale"}}}}"#
        );
        let request = format!(
            "POST /r/v1/conversions HTTP/1.1\r\nHost: {HOST}\r\nAuthorization: Bearer {KEY}\r\n\
             Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
            body.len()
        );
        let name = request.find(NAME).expect("it stands in the body");
        let chance = Chance::from_seed(SEED.fetch_add(1, Ordering::Relaxed) << 32);
        Self { stream, request: request.into_bytes(), name, answer: vec![0; 16 * 1024], chance }
    }

    /// Reports a sale of its own, as payment providers name them: at random.
    async fn report(&mut self) -> io::Result<()> {
        let name = format!("{:08x}{:08x}", self.chance.below(1 << 32), self.chance.below(1 << 32));
        self.request[self.name..self.name + NAME.len()].copy_from_slice(name.as_bytes());
        self.stream.write_all(&self.request).await?;
        let mut filled = 0;
        loop {
            let count = self.stream.read(&mut self.answer[filled..]).await?;
            if count == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            filled += count;
            if let Some(is_good) = whole(&self.answer[..filled]) {
                return if is_good { Ok(()) } else { Err(io::ErrorKind::Other.into()) };
            }
        }
    }
}

/// Whether an answer is a good one; `None` while it is not whole.
fn whole(answer: &[u8]) -> Option<bool> {
    const LENGTH: &[u8] = b"content-length: ";
    let head = answer.windows(4).position(|four| four == b"\r\n\r\n")?;
    let at = answer[..head].windows(LENGTH.len()).position(|words| words == LENGTH)? + LENGTH.len();
    let digits = answer[at..].iter().take_while(|byte| byte.is_ascii_digit());
    let length = digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'));
    (answer.len() >= head + 4 + length).then(|| answer.starts_with(b"HTTP/1.1 20"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_are_whole_when_their_body_is() {
        let answer = b"HTTP/1.1 202 Accepted\r\ncontent-length: 4\r\n\r\nbody";
        assert_eq!(whole(answer), Some(true));
        assert_eq!(whole(&answer[..answer.len() - 1]), None);
        assert_eq!(whole(b"HTTP/1.1 503 Not now\r\ncontent-length: 0\r\n\r\n"), Some(false));
    }
}
