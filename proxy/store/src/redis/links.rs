//! The links that a store needs: one to one primary, or in a cluster one for each key's slot that is in use.

use super::{
    fault, keys,
    link::{Goal, Link},
    servers::Servers,
};
use crate::{
    Role,
    contract::{Result, StoreError},
};
use std::{
    collections::{HashMap, hash_map::Entry},
    sync::{Arc, Mutex, PoisonError},
};
use usher_model::SiteName;

/// Links by the key that they lead to; by nothing where all keys are on one server.
pub(super) struct Links {
    servers: Arc<Servers>,
    /// The sites that are served.
    pub(super) sites: Vec<SiteName>,
    links: Arc<Mutex<HashMap<String, Arc<Link>>>>,
}

impl Links {
    /// Connects to all servers that the sites' keys are on.
    pub(super) async fn open(servers: Arc<Servers>, sites: &[SiteName], role: Role) -> Result<Self> {
        let links = Self { servers, sites: sites.to_vec(), links: Arc::default() };
        links.connect_all(role).await?;
        Ok(links)
    }

    /// The same links for other sites, and those that they need beside them.
    pub(super) async fn with(&self, sites: &[SiteName]) -> Result<Self> {
        let links = Arc::clone(&self.links);
        let links = Self { servers: self.servers(), sites: sites.to_vec(), links };
        links.connect_all(Role::Service).await?;
        Ok(links)
    }

    /// The servers that they lead to.
    pub(super) fn servers(&self) -> Arc<Servers> {
        Arc::clone(&self.servers)
    }

    async fn connect_all(&self, role: Role) -> Result<()> {
        let mut patience = Some(role);
        if self.sites.is_empty() && !self.servers.is_cluster() {
            self.connect((String::new(), "usher:probe".to_owned()), &mut patience).await?;
        }
        for site in &self.sites {
            self.connect((keys::outbox(site), keys::probe(site)), &mut patience).await?;
            self.connect((keys::codes(site), keys::codes_probe(site)), &mut patience).await?;
        }
        Ok(())
    }

    /// To the server that has the site's keys, but for its promo codes.
    pub(super) fn of(&self, site: &SiteName) -> Arc<Link> {
        self.get(|| (keys::outbox(site), keys::probe(site)))
    }

    /// To the server that has the site's promo codes. Their key is documented without braces, so its slot is another.
    pub(super) fn of_codes(&self, site: &SiteName) -> Arc<Link> {
        self.get(|| (keys::codes(site), keys::codes_probe(site)))
    }

    /// All sites that are served, with those on one link together.
    pub(super) fn groups(&self) -> Vec<(Arc<Link>, Vec<&SiteName>)> {
        let mut groups: Vec<(Arc<Link>, Vec<&SiteName>)> = Vec::new();
        for site in &self.sites {
            let link = self.of(site);
            match groups.iter_mut().find(|(other, _)| Arc::ptr_eq(other, &link)) {
                Some((_, sites)) => sites.push(site),
                None => groups.push((link, vec![site])),
            }
        }
        groups
    }

    /// Whether the servers of all sites take a write now.
    pub(super) async fn take_writes(&self) -> Result<()> {
        if self.sites.is_empty() {
            let any = || (String::new(), "usher:probe".to_owned());
            return self.get(any).takes_writes().await;
        }
        for (link, _) in self.groups() {
            link.takes_writes().await?;
        }
        Ok(())
    }

    /// A service that meets one server which is away does not wait for each of the others in turn: `patience` is over.
    async fn connect(&self, names: (String, String), patience: &mut Option<Role>) -> Result<()> {
        let goal = self.goal(names);
        if self.lock().contains_key(&goal.key) {
            return Ok(());
        }
        let first = match patience {
            None => None,
            Some(role) => match goal.reach().await.map_err(|why| fault::of(&why)) {
                Ok(live) => Some(live),
                // The service starts also while Redis is down, and says that it is not ready.
                Err(StoreError::Unavailable(why)) if *role == Role::Service => {
                    tracing::warn!(%why, "Redis does not answer yet; it is waited for");
                    *patience = None;
                    None
                }
                Err(why) => return Err(why),
            },
        };
        self.lock().insert(goal.key.clone(), Arc::new(Link::start(goal, first)));
        Ok(())
    }

    fn get(&self, names: impl Fn() -> (String, String)) -> Arc<Link> {
        let key = if self.servers.is_cluster() { names().0 } else { String::new() };
        match self.lock().entry(key) {
            Entry::Occupied(found) => Arc::clone(found.get()),
            Entry::Vacant(none) => Arc::clone(none.insert(Arc::new(Link::start(self.goal(names()), None)))),
        }
    }

    fn goal(&self, (key, probe): (String, String)) -> Goal {
        let key = if self.servers.is_cluster() { key } else { String::new() };
        Goal { servers: Arc::clone(&self.servers), key, probe }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<String, Arc<Link>>> {
        self.links.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
