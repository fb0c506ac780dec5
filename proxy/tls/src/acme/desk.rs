//! Everything that belongs to one directory: account, what is kept, what is due.

use super::{
    backoff::{Backoff, Proof},
    call::{self, Calls},
    challenges::Challenges,
    order::{self, Issued, insist, is_bad_nonce},
    renewal::{self, Answer, Plan},
    storage::{Lock, Storage},
};
use crate::{Acme, Error, Settings, certificate::Certificate};
use instant_acme::{Account, CertificateIdentifier, NewAccount};
use rustls_pki_types::CertificateDer;
use std::{collections::HashMap, sync::Arc};
use tokio::sync::OnceCell;
use usher_model::{UnixMs, limits};

/// What is due with one directory.
pub(crate) struct Desk {
    /// Those that it was made for.
    pub(crate) settings: Arc<Settings>,
    pub(crate) clerk: Arc<Clerk>,
    pub(crate) backoffs: HashMap<String, Backoff>,
    pub(crate) plans: HashMap<String, Plan>,
    /// Held by one process.
    lock: Option<Lock>,
}

/// Speaks with the directory; shared by the jobs under way.
pub(crate) struct Clerk {
    acme: Acme,
    pub(crate) storage: Storage,
    calls: Calls,
    account: OnceCell<Account>,
}

/// What a host waits for.
pub(crate) enum Next {
    /// An order, now.
    Order,
    /// That the directory says when this one is to be renewed.
    Ask(CertificateDer<'static>),
    /// This moment.
    At(UnixMs),
}

impl Desk {
    /// Takes the place of `before`.
    ///
    /// # Errors
    /// When its folder cannot be made.
    pub(crate) fn open(settings: &Arc<Settings>, acme: &Acme, before: Option<Self>) -> Result<Self, Error> {
        let clerk = Clerk::new(acme)?;
        // The lock of the same folder goes on to the new desk: it cannot be taken twice.
        let is_same = |desk: &Self| super::folder(&desk.clerk.acme) == super::folder(acme);
        let (lock, plans) = before.filter(is_same).map(|desk| (desk.lock, desk.plans)).unwrap_or_default();
        let (settings, clerk) = (Arc::clone(settings), Arc::new(clerk));
        let mut desk = Self { settings, clerk, backoffs: HashMap::new(), plans, lock };
        desk.remember();
        Ok(desk)
    }

    /// Whether it is ours to order. Another process that did ends sooner or later.
    ///
    /// # Errors
    /// When that cannot be found out.
    pub(crate) fn is_ours(&mut self) -> Result<bool, Error> {
        if self.lock.is_none() {
            self.lock = self.clerk.storage.lock()?;
            if self.lock.is_some() {
                self.remember(); // whoever had it has written since
            }
        }
        Ok(self.lock.is_some())
    }

    fn remember(&mut self) {
        let hosts = self.clerk.acme.hosts.iter();
        self.backoffs = hosts.map(|host| (host.clone(), self.clerk.storage.backoff(host))).collect();
    }

    /// The first host that waits for something now, but for those that `is_busy`; else when the next one does.
    pub(crate) fn next<'t>(
        &mut self,
        is_busy: impl Fn(&str) -> bool,
        certificate_of: impl Fn(&str) -> Option<&'t Arc<Certificate>>,
        now: UnixMs,
    ) -> (Option<String>, Next) {
        let (clerk, mut earliest, mut question) = (Arc::clone(&self.clerk), UnixMs(i64::MAX), None);
        for host in clerk.acme.hosts.iter().filter(|host| !is_busy(host)) {
            match self.next_of(host, certificate_of(host), now) {
                Next::At(moment) => earliest = earliest.min(moment),
                Next::Order => return (Some(host.clone()), Next::Order),
                // Questions wait until no host does.
                ask @ Next::Ask(_) => drop(question.get_or_insert((Some(host.clone()), ask))),
            }
        }
        question.unwrap_or((None, Next::At(earliest)))
    }

    fn next_of(&mut self, host: &str, certificate: Option<&Arc<Certificate>>, now: UnixMs) -> Next {
        let rests = self.backoffs.get(host).map_or(now, |backoff| backoff.not_before(now));
        let due = match certificate {
            None => now,
            Some(one) if !self.clerk.has_issued(one) => renewal::due_of_foreign(one),
            Some(one) => {
                let known = self.plans.get(host).filter(|plan| plan.is_about(one)).cloned();
                let Some(plan) = known.or_else(|| Plan::new(one, now)) else { return Next::At(rests) };
                let (due, ask) = (plan.due, (plan.ask_at <= now).then(|| plan.certificate.clone()));
                self.plans.insert(host.to_owned(), plan);
                if let Some(certificate) = ask {
                    return Next::Ask(certificate);
                }
                due
            }
        };
        let at = due.max(rests);
        if at <= now { Next::Order } else { Next::At(at) }
    }

    /// What `certificate` is called in an order that replaces it. Only a directory that has spoken of its renewal knows such
    /// names.
    pub(crate) fn replaced(
        &self,
        host: &str,
        certificate: Option<&Arc<Certificate>>,
    ) -> Option<CertificateIdentifier<'static>> {
        let certificate = certificate.filter(|one| self.clerk.has_issued(one))?;
        self.plans.get(host).filter(|plan| plan.is_told() && plan.is_about(certificate))?;
        renewal::id(certificate.key.cert.first()?)
    }

    /// The directory does not know the account any more: the next job makes another.
    pub(crate) fn forget_account(&mut self) {
        self.clerk.storage.forget_account();
        if let Ok(clerk) = Clerk::new(&self.clerk.acme) {
            self.clerk = Arc::new(clerk);
        }
    }
}

impl Clerk {
    fn new(acme: &Acme) -> Result<Self, Error> {
        Ok(Self {
            acme: acme.clone(),
            storage: Storage::open(&acme.storage, &acme.directory)?,
            calls: Calls(Arc::clone(&acme.http)),
            account: OnceCell::new(),
        })
    }

    fn has_issued(&self, certificate: &Certificate) -> bool {
        certificate.stands_below(&super::folder(&self.acme))
    }

    /// Orders a certificate for `host`. What was written of it before it began is on disk then.
    ///
    /// # Errors
    /// Says whose fault it is.
    pub(crate) async fn order(
        &self,
        host: &str,
        proof: Proof,
        challenges: &Challenges,
        replaced: Option<CertificateIdentifier<'static>>,
    ) -> Result<Issued, Error> {
        if let Some(url) = &self.acme.ask {
            call::ask(&self.calls, url, host).await?;
        }
        let account = self.account().await?;
        order::order(&account, host, proof, challenges, replaced).await
    }

    /// Asks the directory when `certificate` is to be renewed.
    pub(crate) async fn ask(&self, certificate: &CertificateDer<'static>) -> Answer {
        match self.account().await {
            Ok(account) => renewal::ask(&account, certificate).await,
            Err(_) => Answer::nothing(), // that it could not be asked is no failed order
        }
    }

    /// The account with the directory: the one that was made before, or a new one. Made once, however many ask.
    async fn account(&self) -> Result<Account, Error> {
        let made = self.account.get_or_try_init(|| async {
            let builder = || Account::builder_with_http(Box::new(self.calls.clone()));
            if let Some(before) = self.storage.account() {
                return Ok(builder().from_credentials(before).await?);
            }
            let contact: Vec<&str> = self.acme.contact.iter().map(String::as_str).collect();
            let asked =
                NewAccount { contact: &contact, terms_of_service_agreed: true, only_return_existing: false };
            let create = || builder().create(&asked, self.acme.directory.clone(), None);
            let (account, credentials) = insist!(create().await)?;
            self.storage.keep_account(&credentials)?;
            Ok::<_, Error>(account)
        });
        made.await.cloned()
    }
}
