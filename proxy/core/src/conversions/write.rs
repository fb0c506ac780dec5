//! Writing down: an entry, once; then waiting a little for the platform.

use super::Conversions;
use crate::{Refusal, delivery::News};
use std::time::Duration;
use tokio::sync::oneshot;
use usher_model::{Acceptance, Answer, Entry, EntryState, Job, RecordId, Send, SiteName, Source, limits};

/// What became of a report.
pub(crate) enum Written {
    /// It is on stable storage now.
    New(Receipt),
    /// It was there before, with the same content.
    Known(EntryState),
}

/// A record that has just been written.
pub(crate) struct Receipt {
    /// Its id.
    pub(crate) id: RecordId,
    /// What its delivery comes to, when it goes out at once.
    news: Option<oneshot::Receiver<News>>,
}

impl Conversions {
    /// Writes an entry; `None` when its code is used up. Its delivery is handed over, or comes when its turn does.
    pub(super) async fn write(&self, entry: Entry) -> Result<Option<Written>, Refusal> {
        let (id, key) = (entry.id.clone(), entry.key.clone());
        let mut news = (entry.send == Send::Now).then(|| self.delivery.news_of(&id));
        let accepted = self.tools.store.accept(entry).await;
        if news.is_some() && !matches!(accepted, Ok(Acceptance::New(_) | Acceptance::Waiting)) {
            self.delivery.forget(&id);
        }
        Ok(Some(match accepted? {
            Acceptance::New(deliveries) => {
                self.delivery.hand_over(deliveries).await;
                Written::New(Receipt { id, news: news.take() })
            }
            Acceptance::Waiting => Written::New(Receipt { id, news: news.take() }),
            Acceptance::Same(state) => Written::Known(state),
            Acceptance::Conflict(held) => return Err(conflict(&key, &held)),
            Acceptance::UsedUp => return Ok(None),
        }))
    }

    /// The platform's answer, if it comes in time.
    pub(super) async fn said(&self, receipt: &mut Receipt) -> Option<Answer> {
        let news = receipt.news.take()?;
        let waited = tokio::time::timeout(Duration::from_millis(limits::UPSTREAM_WAIT_MS), news).await;
        self.delivery.forget(&receipt.id);
        match waited {
            Ok(Ok(News::Answered(answer))) => Some(answer),
            _ => None,
        }
    }

    /// What was written before under that key.
    ///
    /// # Errors
    /// [`Refusal::Conflict`] when its content was another.
    pub(super) async fn earlier(
        &self,
        site: &SiteName,
        source: &Source,
        job: Job,
        key: &str,
        fingerprint: &[u8; 32],
    ) -> Result<Option<EntryState>, Refusal> {
        match self.tools.store.accepted(site, source, job, key).await? {
            None => Ok(None),
            Some((same, state)) if same == fingerprint => Ok(Some(state)),
            Some((_, state)) => Err(conflict(key, &state.id)),
        }
    }
}

fn conflict(key: &str, held: &RecordId) -> Refusal {
    let message =
        format!("{key} was reported before with other content (as {held}); a new event needs a new id");
    Refusal::Conflict { message }
}
