//! The least that durability can cost: records appended to a file and synced, as many with one sync as wait for one.

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::load::Measured;

/// A sale in a log, without an index, a name or a second copy.
const RECORD_BYTES: usize = 400;
const GROUPED: usize = 1_024;

/// Callers append records for some time, each the next when its last is on disk.
pub(crate) async fn append(folder: &Path, callers: usize, time: Duration) -> Measured {
    let mut file = File::create(folder.join("raw.log")).expect("a file");
    let (queue, mut waiting) = mpsc::channel::<oneshot::Sender<()>>(GROUPED);
    let writer = std::thread::spawn(move || {
        let (mut group, record) = (Vec::new(), [b'x'; RECORD_BYTES]);
        while waiting.blocking_recv_many(&mut group, GROUPED) > 0 {
            file.write_all(&record.repeat(group.len())).expect("written");
            file.sync_data().expect("synced");
            group.drain(..).for_each(|caller| caller.send(()).expect("somebody waits"));
        }
    });
    let start = Instant::now();
    let tasks: Vec<_> = (0..callers)
        .map(|_| {
            let queue = queue.clone();
            tokio::spawn(async move {
                let mut waits = Vec::new();
                while start.elapsed() < time {
                    let began = Instant::now();
                    let (tell, told) = oneshot::channel();
                    queue.send(tell).await.expect("the writer lives");
                    told.await.expect("the writer answers");
                    waits.push(Some(began.elapsed()));
                }
                waits
            })
        })
        .collect();
    drop(queue);
    let mut waits = Vec::new();
    for task in tasks {
        waits.extend(task.await.expect("a caller ends"));
    }
    let took = start.elapsed();
    writer.join().expect("the writer ends");
    Measured::of(waits, took)
}
