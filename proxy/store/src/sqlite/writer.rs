//! One thread writes. It commits all that has queued up while the last commit reached the disk in one transaction
//! (group commit), so that a sync is shared by everybody who waits for one.

use super::{
    file::{self, Lock},
    held::Held,
};
use crate::contract::{Result, StoreError};
use rusqlite::Connection;
use std::{
    path::{Path, PathBuf},
    thread::{self, JoinHandle},
    time::Duration,
};
use tokio::sync::{mpsc, oneshot};
use usher_model::limits;

/// Jobs that wait for the thread; whoever comes then waits for a place within its own deadline.
const QUEUED: usize = 4_096;
/// Jobs in one transaction.
const GROUPED: usize = 1_024;

/// The way to the thread. Dropping it lets the thread finish what has queued up, and waits for that.
pub(super) struct Writer {
    jobs: Option<mpsc::Sender<Box<dyn Job>>>,
    thread: Option<JoinHandle<()>>,
}

impl Writer {
    /// Starts the thread; it keeps `lock` until it ends.
    pub(super) fn start(path: &Path, lock: Option<Lock>) -> Result<Self> {
        let (sender, receiver) = mpsc::channel(QUEUED);
        let mut disk = Disk {
            path: path.to_owned(),
            connection: Some(file::writer(path)?),
            _anchor: file::anchor(path)?,
            held: Held::default(),
        };
        let thread = thread::Builder::new()
            .name("store-writer".to_owned())
            .spawn(move || {
                serve(&mut disk, receiver);
                drop(disk);
                drop(lock);
            })
            .map_err(|why| StoreError::Unavailable(format!("cannot start its thread: {why}")))?;
        Ok(Self { jobs: Some(sender), thread: Some(thread) })
    }

    /// Runs `work` in a transaction; returns when that is on stable storage, or did not happen. After a time-out it may
    /// still happen, unacknowledged.
    pub(super) async fn run<T, F>(&self, work: F) -> Result<T>
    where
        T: Send + 'static,
        F: FnOnce(&Connection, &mut Held) -> Result<T> + Send + 'static,
    {
        let (reply, answer) = oneshot::channel();
        let task = Box::new(Task { work: Some(work), outcome: None, reply });
        let stopped = || StoreError::Unavailable("its writer has stopped".to_owned());
        let queue = self.jobs.as_ref().ok_or_else(stopped)?;
        let done = async {
            queue.send(task).await.map_err(|_| stopped())?;
            answer.await.map_err(|_| stopped())?
        };
        let deadline = Duration::from_millis(limits::STORE_WRITE_MS);
        tokio::time::timeout(deadline, done).await.map_err(|_| {
            StoreError::Unavailable(format!("no answer from the disk in {} ms", limits::STORE_WRITE_MS))
        })?
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.jobs = None;
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A job, whatever its result.
trait Job: Send {
    /// Does its work inside a savepoint.
    fn run(&mut self, connection: &Connection, held: &mut Held) -> std::result::Result<(), StoreError>;
    /// Tells whoever waits, once it is known whether the transaction was committed.
    fn finish(self: Box<Self>, committed: Result<()>);
}

struct Task<T, F> {
    work: Option<F>,
    outcome: Option<Result<T>>,
    reply: oneshot::Sender<Result<T>>,
}

impl<T, F> Job for Task<T, F>
where
    T: Send,
    F: FnOnce(&Connection, &mut Held) -> Result<T> + Send,
{
    fn run(&mut self, connection: &Connection, held: &mut Held) -> Result<()> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let outcome = work(connection, held);
        let told = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        self.outcome = Some(outcome);
        told
    }

    fn finish(self: Box<Self>, committed: Result<()>) {
        let outcome = match (committed, self.outcome) {
            // A job that failed by itself says why, also when its neighbours were committed.
            (_, Some(Err(own))) => Err(own),
            (Err(why), _) => Err(why),
            (Ok(()), Some(done)) => done,
            (Ok(()), None) => Err(StoreError::Unavailable("it was not reached".to_owned())),
        };
        // Nobody is there any more when the caller's deadline has passed.
        let _ = self.reply.send(outcome);
    }
}

struct Disk {
    path: PathBuf,
    connection: Option<Connection>,
    _anchor: Connection,
    held: Held,
}

fn serve(disk: &mut Disk, mut jobs: mpsc::Receiver<Box<dyn Job>>) {
    let mut group = Vec::with_capacity(GROUPED);
    while jobs.blocking_recv_many(&mut group, GROUPED) > 0 {
        let committed = disk.commit(&mut group);
        match &committed {
            Ok(()) => disk.held.commit(),
            Err(why) => {
                tracing::error!(jobs = group.len(), %why, "the store could not commit");
                disk.held.roll_back();
                // After a failed sync the kernel may believe that pages are clean which never reached the disk, so a
                // second sync of the same proves nothing. Nothing of this transaction is built on: a new connection
                // begins with what was committed before, since the anchor keeps the log's index, and it writes over the
                // frames of this one, which makes them dirty again. A checkpoint that fails marks nothing as copied, so
                // the next one copies all of it again.
                disk.connection = None;
            }
        }
        for job in group.drain(..) {
            job.finish(committed.clone());
        }
    }
}

impl Disk {
    fn commit(&mut self, group: &mut [Box<dyn Job>]) -> Result<()> {
        let connection = match &mut self.connection {
            Some(connection) => connection,
            none => none.insert(file::writer(&self.path)?),
        };
        execute(connection, "BEGIN IMMEDIATE")?;
        for job in group {
            execute(connection, "SAVEPOINT job")?;
            if let Err(why) = job.run(connection, &mut self.held) {
                // A full disk or a failing one may make SQLite undo the whole transaction by itself.
                if connection.is_autocommit() {
                    return Err(why);
                }
                execute(connection, "ROLLBACK TO job")?;
            }
            execute(connection, "RELEASE job")?;
        }
        execute(connection, "COMMIT")
    }
}

fn execute(connection: &Connection, sql: &str) -> Result<()> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::{Sender, channel};
    use tempfile::TempDir;
    use usher_model::UnixMs;

    struct Bench {
        writer: Writer,
        file: PathBuf,
        _folder: TempDir,
    }

    fn bench() -> Bench {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("usher.db");
        file::prepare(&file).expect("a file");
        Bench { writer: Writer::start(&file, None).expect("a writer"), file, _folder: folder }
    }

    fn add(name: &'static str) -> impl FnOnce(&Connection, &mut Held) -> Result<()> + Send + 'static {
        move |connection, _| {
            connection.execute("INSERT INTO code VALUES ('shop', ?1, '{}')", [name])?;
            Ok(())
        }
    }

    fn names(connection: &Connection) -> Result<String> {
        let all = "SELECT coalesce(group_concat(code, ' '), '') FROM (SELECT code FROM code ORDER BY code)";
        Ok(connection.query_row(all, [], |row| row.get(0))?)
    }

    /// Keeps the thread busy until `queue` is done, so that the jobs which it queues become one group.
    async fn while_busy<T>(bench: &Bench, queue: impl Future<Output = T>) -> T {
        let (begun, has_begun) = oneshot::channel();
        let (sender, receiver): (Sender<()>, _) = channel();
        let wait = bench.writer.run(move |_, _| {
            let _ = begun.send(());
            let _ = receiver.recv();
            Ok(())
        });
        let queue = async {
            has_begun.await.expect("it begins");
            // A job is queued when it is polled for the first time; the thread goes on after that.
            tokio::join!(queue, async move { drop(sender) }).0
        };
        let (waited, done) = tokio::join!(wait, queue);
        waited.expect("waited");
        done
    }

    /// Runs three jobs as one group.
    async fn group<F>(bench: &Bench, middle: F) -> [Result<()>; 3]
    where
        F: FnOnce(&Connection, &mut Held) -> Result<()> + Send + 'static,
    {
        let writer = &bench.writer;
        let three = async { tokio::join!(writer.run(add("a")), writer.run(middle), writer.run(add("c"))) };
        while_busy(bench, three).await.into()
    }

    #[tokio::test]
    async fn a_job_that_fails_leaves_its_neighbours_alone() {
        let bench = bench();
        let fail = |connection: &Connection, held: &mut Held| {
            add("b")(connection, held)?;
            Err(StoreError::Corrupt("mine".to_owned()))
        };
        let [first, middle, last] = group(&bench, fail).await;
        assert!(first.is_ok() && last.is_ok());
        assert!(matches!(middle, Err(StoreError::Corrupt(why)) if why == "mine"));
        let reader = file::reader(&bench.file).expect("a reader");
        assert_eq!(names(&reader).expect("names"), "a c");
    }

    #[tokio::test]
    async fn when_the_transaction_fails_nobody_is_told_that_it_did_not() {
        let bench = bench();
        let undo = |connection: &Connection, held: &mut Held| {
            held.take(1, UnixMs(9));
            // What SQLite does by itself after some errors.
            Ok(connection.execute_batch("ROLLBACK")?)
        };
        for outcome in group(&bench, undo).await {
            assert!(outcome.is_err(), "{outcome:?}");
        }
        let after =
            bench.writer.run(|connection, held| Ok((names(connection)?, held.is_held(1, UnixMs(0))))).await;
        assert_eq!(after.expect("it goes on"), (String::new(), false));
    }

    #[tokio::test]
    async fn a_full_disk_is_said_to_be_full_and_used_again_when_there_is_room() {
        let bench = bench();
        let limit = |pages: i64| {
            bench.writer.run(move |connection, _| {
                let used: i64 = connection.pragma_query_value(None, "page_count", |row| row.get(0))?;
                Ok(connection.pragma_update(None, "max_page_count", used + pages)?)
            })
        };
        let big = |connection: &Connection, _: &mut Held| {
            connection.execute("INSERT INTO code VALUES ('shop', 'big', hex(zeroblob(100000)))", [])?;
            Ok(())
        };
        limit(2).await.expect("a limit");
        let [first, middle, last] = group(&bench, big).await;
        assert!(matches!(middle, Err(StoreError::Full(_))), "{middle:?}");
        assert!(first.is_ok() && last.is_ok(), "{first:?} {last:?}");
        limit(1_000).await.expect("room");
        bench.writer.run(big).await.expect("written");
        assert_eq!(names(&file::reader(&bench.file).expect("a reader")).expect("names"), "a big c");
    }

    #[tokio::test]
    async fn a_writer_that_is_kept_waiting_by_another_process_says_so_and_goes_on() {
        let bench = bench();
        let other = file::writer(&bench.file).expect("another");
        other.execute_batch("BEGIN IMMEDIATE").expect("its lock");
        let refused = bench.writer.run(add("a")).await;
        assert!(matches!(refused, Err(StoreError::Unavailable(_))), "{refused:?}");
        other.execute_batch("COMMIT").expect("let go");
        bench.writer.run(add("a")).await.expect("written");
    }

    #[tokio::test]
    async fn what_was_queued_is_written_before_the_writer_ends() {
        let bench = bench();
        let queue = bench.writer.jobs.clone().expect("open");
        let (reply, answer) = oneshot::channel();
        let task: Box<dyn Job> = Box::new(Task { work: Some(add("a")), outcome: None, reply });
        assert!(while_busy(&bench, queue.send(task)).await.is_ok());
        drop(queue);
        let Bench { writer, file, _folder } = bench;
        drop(writer);
        answer.await.expect("an answer").expect("written");
        assert_eq!(names(&file::reader(&file).expect("a reader")).expect("names"), "a");
    }
}
