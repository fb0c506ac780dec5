//! Threads that read, beside the one that writes: in WAL mode neither waits for the other.
//!
//! A read takes microseconds as a rule, far less than it takes to wake a thread. So whoever is awake goes on until nothing is
//! left, and another is woken only when reads pile up behind those that are, as they do when the disk is slow. Reads that take
//! long by their nature, such as lists, hold up no others: whoever does one does not count as awake.

use super::file;
use crate::contract::{Result, StoreError};
use rusqlite::Connection;
use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::sync::oneshot;
use usher_model::limits;

/// Reads at once.
const THREADS: usize = 4;
/// Reads that wait behind each thread that is awake before another is woken.
const BEHIND: usize = 4;
/// Reads that wait at all: whoever comes then is told at once.
const QUEUED: usize = 4_096;

/// A thread's connection, opened when it is needed.
type Slot = Option<Connection>;
type Work = Box<dyn FnOnce(&mut Slot) + Send>;

struct Job {
    is_long: bool,
    work: Work,
}

/// The way to the threads. They end with the last of these.
#[derive(Clone)]
pub(super) struct Readers(Arc<Pool>);

struct Pool {
    shared: Arc<Shared>,
    path: Arc<Path>,
    threads: Vec<JoinHandle<()>>,
}

struct Shared {
    queue: Mutex<Queue>,
    woken: Condvar,
}

#[derive(Default)]
struct Queue {
    jobs: VecDeque<Job>,
    /// Threads that do one short read after the other, or are called to it.
    awake: usize,
    /// Threads that wait to be called.
    asleep: usize,
    /// Threads that are called and have not come yet.
    called: usize,
    is_closed: bool,
}

impl Readers {
    /// Starts the threads.
    pub(super) fn start(path: &Path) -> Result<Self> {
        // A thread that has just been started looks at the queue before it sleeps.
        let queue = Queue { awake: THREADS, ..Queue::default() };
        let shared = Arc::new(Shared { queue: Mutex::new(queue), woken: Condvar::new() });
        let mut pool = Pool { shared, path: path.into(), threads: Vec::new() };
        for _ in 0..THREADS {
            let shared = Arc::clone(&pool.shared);
            let thread = thread::Builder::new().name("store-reader".to_owned()).spawn(move || shared.serve());
            pool.threads.push(
                thread.map_err(|why| StoreError::Unavailable(format!("cannot start its thread: {why}")))?,
            );
        }
        Ok(Self(Arc::new(pool)))
    }

    /// Runs `work` on a thread that may block, within `deadline_ms`.
    pub(super) async fn run<T, F>(&self, deadline_ms: u64, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let path = Arc::clone(&self.0.path);
        let work: Work = Box::new(move |slot| {
            // Nobody is there any more when the caller's deadline has passed.
            if !reply.is_closed() {
                let _ = reply.send(read(slot, &path, work));
            }
        });
        self.0.shared.push(Job { is_long: deadline_ms > limits::STORE_EMBEDDED_READ_MS, work })?;
        let late = |_| StoreError::Unavailable(format!("no answer from the disk in {deadline_ms} ms"));
        let stopped = |_| StoreError::Unavailable("its reader has stopped".to_owned());
        tokio::time::timeout(Duration::from_millis(deadline_ms), answer)
            .await
            .map_err(late)?
            .map_err(stopped)?
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.shared.lock().is_closed = true;
        self.shared.woken.notify_all();
        for thread in self.threads.drain(..) {
            let _ = thread.join();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn push(&self, job: Job) -> Result<()> {
        let mut queue = self.lock();
        if queue.jobs.len() >= QUEUED {
            return Err(StoreError::Unavailable(format!("{QUEUED} reads wait for the disk")));
        }
        queue.jobs.push_back(job);
        if queue.calls() {
            drop(queue);
            self.woken.notify_one();
        }
        Ok(())
    }

    fn serve(&self) {
        let mut slot = None;
        let mut queue = self.lock();
        loop {
            while let Some(Job { is_long, work }) = queue.jobs.pop_front() {
                queue.awake -= usize::from(is_long);
                if queue.calls() {
                    self.woken.notify_one();
                }
                drop(queue);
                if catch_unwind(AssertUnwindSafe(|| work(&mut slot))).is_err() {
                    slot = None;
                }
                queue = self.lock();
                queue.awake += usize::from(is_long);
            }
            queue.awake -= 1;
            queue.asleep += 1;
            while queue.called == 0 && !queue.is_closed {
                queue = self.woken.wait(queue).unwrap_or_else(PoisonError::into_inner);
            }
            if queue.is_closed {
                return;
            }
            queue.called -= 1;
        }
    }
}

impl Queue {
    /// Whether to wake a thread, which then counts as awake.
    fn calls(&mut self) -> bool {
        let calls = self.asleep > 0 && self.jobs.len() > BEHIND * self.awake;
        if calls {
            self.asleep -= 1;
            self.awake += 1;
            self.called += 1;
        }
        calls
    }
}

fn read<T>(slot: &mut Slot, path: &Path, work: impl FnOnce(&Connection) -> Result<T>) -> Result<T> {
    let connection = match slot.take() {
        Some(connection) => connection,
        None => file::reader(path)?,
    };
    let outcome = work(&connection);
    // A connection that met an error is not trusted again.
    if outcome.is_ok() {
        *slot = Some(connection);
    }
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn readers(folder: &tempfile::TempDir) -> Readers {
        let file = folder.path().join("usher.db");
        file::prepare(&file).expect("a file");
        Readers::start(&file).expect("readers")
    }

    fn one(connection: &Connection) -> Result<i64> {
        Ok(connection.query_row("SELECT 1", [], |row| row.get(0))?)
    }

    #[tokio::test]
    async fn long_reads_hold_up_no_short_ones() {
        let folder = tempfile::tempdir().expect("a folder");
        let readers = readers(&folder);
        let (mut ends, mut long) = (Vec::new(), Vec::new());
        for _ in 1..THREADS {
            let (end, ended) = channel::<()>();
            let (begun, has_begun) = oneshot::channel();
            let pool = readers.clone();
            long.push(tokio::spawn(async move {
                let work = move |connection: &Connection| {
                    let _ = begun.send(());
                    let _ = ended.recv();
                    one(connection)
                };
                pool.run(limits::STORE_WRITE_MS, work).await
            }));
            has_begun.await.expect("it begins");
            ends.push(end);
        }
        for _ in 0..1_000 {
            let short = readers.run(limits::STORE_EMBEDDED_READ_MS, one).await;
            assert!(short.is_ok(), "{short:?}");
        }
        drop(ends);
        for read in long {
            assert_eq!(read.await.expect("a task").expect("a read"), 1);
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn many_at_once_are_all_answered() {
        let folder = tempfile::tempdir().expect("a folder");
        let readers = readers(&folder);
        let reads: Vec<_> = (0..2_000)
            .map(|_| {
                let readers = readers.clone();
                tokio::spawn(async move { readers.run(limits::STORE_WRITE_MS, one).await })
            })
            .collect();
        for read in reads {
            assert_eq!(read.await.expect("a task").expect("a read"), 1);
        }
    }

    #[tokio::test]
    async fn a_read_that_panics_is_its_callers_own() {
        let folder = tempfile::tempdir().expect("a folder");
        let readers = readers(&folder);
        for _ in 0..2 * THREADS {
            let broken =
                readers.run(limits::STORE_WRITE_MS, |_| -> Result<i64> { panic!("on purpose") }).await;
            assert!(matches!(broken, Err(StoreError::Unavailable(why)) if why.contains("stopped")));
            assert_eq!(readers.run(limits::STORE_WRITE_MS, one).await.expect("a read"), 1);
        }
    }

    #[tokio::test]
    async fn who_waits_too_long_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let readers = readers(&folder);
        let (end, ended) = channel::<()>();
        let late = readers.run(1, move |_| {
            let _ = ended.recv();
            Ok(())
        });
        assert!(matches!(late.await, Err(StoreError::Unavailable(why)) if why.contains("1 ms")));
        drop(end);
        assert_eq!(readers.run(limits::STORE_WRITE_MS, one).await.expect("a read"), 1);
    }
}
