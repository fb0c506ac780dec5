//! `usher serve`: the service, from its first breath to the process that takes its place.

mod channel;
mod encryption;
mod manager;
mod predecessor;
mod reload;
mod service;
mod sockets;
mod successor;
mod untold;
pub(crate) mod wiring;

pub(crate) use service::Service;

use crate::config::Config;
use predecessor::Predecessor;
use service::Prepared;
use sockets::Pool;
use std::path::Path;
use successor::{Program, Successor};
use tokio::signal::unix::{Signal, SignalKind, signal};

/// Serves by `config`, which was read from `path`, until the process is asked to stop or another one takes its place.
///
/// # Errors
/// When it cannot start.
pub(crate) async fn run(path: &Path, config: Config) -> anyhow::Result<()> {
    let program = Program::of_this_process()?;
    let mut signals = Signals::listen()?;
    let mut service = start(config).await?;
    loop {
        match signals.next().await {
            Asked::Stop => {
                manager::stopping();
                service.stop().await;
                return Ok(());
            }
            Asked::Reload => {
                manager::reloading();
                service.reload(path).await;
                manager::ready();
            }
            Asked::HandOver => match Box::pin(hand_over(service, &program)).await? {
                Some(back) => service = back,
                None => return Ok(()),
            },
        }
    }
}

/// Starts, in the place of another process where one asks for it.
async fn start(config: Config) -> anyhow::Result<Service> {
    if let Some((mut predecessor, mut pool)) = Predecessor::find()? {
        let prepared = Prepared::new(config, &mut pool).await?.after_another();
        // Its other sockets are closed here and when it ends.
        drop(pool);
        predecessor.take_over().await?;
        let service = prepared.start().await?;
        predecessor.relieved().await;
        return Ok(service);
    }
    let mut pool = Pool::of_systemd()?;
    let prepared = Prepared::new(config, &mut pool).await?;
    pool.check_all_used()?;
    let service = prepared.start().await?;
    manager::ready();
    Ok(service)
}

/// Lets a new process take this one's place. The service comes back when that one cannot: then it goes on as before, or,
/// when it had let go of its store already, it has started again.
///
/// # Errors
/// When it could not start again.
async fn hand_over(service: Service, program: &Program) -> anyhow::Result<Option<Service>> {
    tracing::info!("handing over");
    let begun = async { Successor::start(program, &service.sockets()?).await };
    let successor = match begun.await {
        Ok(successor) => successor,
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "not handed over; this process goes on");
            return Ok(Some(service));
        }
    };
    let process = successor.process();
    let retired = service.retire().await;
    match successor.take().await {
        Ok(()) => {
            manager::succeeded_by(process);
            tracing::info!(to = process, "handed over");
            retired.drained().await;
            Ok(None)
        }
        Err(error) => {
            tracing::error!(error = format!("{error:#}"), "the new process failed; this one serves again");
            Box::pin(retired.revive()).await.map(Some)
        }
    }
}

/// What a signal asks for.
enum Asked {
    /// SIGTERM, SIGINT
    Stop,
    /// SIGHUP
    Reload,
    /// SIGUSR2
    HandOver,
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hang_up: Signal,
    upgrade: Signal,
}

impl Signals {
    fn listen() -> anyhow::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hang_up: signal(SignalKind::hangup())?,
            upgrade: signal(SignalKind::user_defined2())?,
        })
    }

    async fn next(&mut self) -> Asked {
        tokio::select! {
            biased;
            _ = self.interrupt.recv() => Asked::Stop,
            _ = self.terminate.recv() => Asked::Stop,
            _ = self.hang_up.recv() => Asked::Reload,
            _ = self.upgrade.recv() => Asked::HandOver,
        }
    }
}

/// Ready when the process is asked to stop (SIGINT, SIGTERM). Nothing else ends it.
///
/// # Errors
/// When signals cannot be listened for.
pub(crate) fn stop_signal() -> anyhow::Result<impl Future<Output = ()>> {
    let mut signals = Signals::listen()?;
    Ok(async move { while !matches!(signals.next().await, Asked::Stop) {} })
}
