//! Proofs of handle administrators, checked for every front. A derived key takes up to 20 ms of a
//! core, and strangers choose how long: so many are checked at once as there are cores, so many
//! wait, and whoever goes away leaves a place only when the work for it is done.

use super::guesses::{GuessLimits, Guesses};
use idnode_proto::handle::admin::AdminId;
use idnode_registry::administrator::AdministratorKey;
use idnode_registry::{Error, Registry};
use metrics::{Counter, counter};
use std::net::IpAddr;
use std::sync::Arc;
use std::thread::available_parallelism;
use tokio::sync::Semaphore;

/// Proofs that wait or are being checked.
const MOST: usize = 256;

/// Looks keys up and checks proofs with them.
#[derive(Debug)]
pub struct Proofs {
    registry: Arc<Registry>,
    places: Arc<Semaphore>,
    cores: Arc<Semaphore>,
    guesses: Arc<Guesses>,
    at_bound: Counter,
}

/// What a check says of whoever asked for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Says {
    /// It has the key: it has proven that now, over what this node has asked it.
    Proven,
    /// It has tried a key, and that is another.
    Wrong,
    /// Neither.
    Nothing,
}

/// Why a proof was not checked.
#[derive(Debug)]
pub(super) enum Unchecked {
    /// Too many wait.
    Busy,
    /// Too many have failed.
    Guessing,
    /// There is no such administrator.
    Unknown,
    /// The registry failed.
    Registry(Error),
}

impl Proofs {
    /// With the keys of a registry. Its metric goes to the recorder that is installed by then.
    pub fn new(registry: Arc<Registry>) -> Self {
        let cores = available_parallelism().map_or(1, usize::from);
        Self {
            registry,
            places: Arc::new(Semaphore::new(MOST)),
            cores: Arc::new(Semaphore::new(cores)),
            guesses: Arc::new(Guesses::new(GuessLimits::default())),
            at_bound: counter!("idnode_bound_hits_total", "bound" => "proofs"),
        }
    }

    /// The same with other limits of guessing.
    #[must_use]
    pub fn with_limits(mut self, limits: GuessLimits) -> Self {
        self.guesses = Arc::new(Guesses::new(limits));
        self
    }

    /// Looks an administrator's key up and checks something with it, where it may take its time.
    /// What that says is counted, and that there is no such administrator is a wrong key; `source`:
    /// where it comes from, if that cannot be forged.
    pub(super) async fn check<T: Send + 'static>(
        &self,
        id: AdminId,
        source: Option<IpAddr>,
        check: impl FnOnce(AdministratorKey) -> (Says, T) + Send + 'static,
    ) -> Result<T, Unchecked> {
        let source = source.map(|source| source.to_canonical());
        if !self.guesses.allows(&id, source) {
            return Err(Unchecked::Guessing);
        }
        let (registry, guesses) = (self.registry.clone(), self.guesses.clone());
        let checked = self.work(move || {
            // Those that were sent at once have waited for each other here.
            if !guesses.allows(&id, source) {
                return Err(Unchecked::Guessing);
            }
            let known = registry.administrator(&id).map_err(Unchecked::Registry)?;
            let Some(known) = known else {
                guesses.failed(&id, source);
                return Err(Unchecked::Unknown);
            };
            let (says, checked) = check(known);
            match says {
                Says::Proven => guesses.proven(&id, source),
                Says::Wrong => guesses.failed(&id, source),
                Says::Nothing => {}
            }
            Ok(checked)
        });
        checked.await?
    }

    /// Does something with an administrator's key where nobody proves or guesses anything: nothing is
    /// counted, and nobody is too much of a guesser for it.
    pub(super) async fn with_key<T: Send + 'static>(
        &self,
        id: AdminId,
        work: impl FnOnce(AdministratorKey) -> T + Send + 'static,
    ) -> Result<T, Unchecked> {
        let registry = self.registry.clone();
        let done = self.work(move || {
            let known = registry.administrator(&id).map_err(Unchecked::Registry)?;
            known.map(work).ok_or(Unchecked::Unknown)
        });
        done.await?
    }

    /// Does other work that strangers ask for in the same places.
    ///
    /// # Errors
    /// [`Unchecked::Busy`].
    pub(super) async fn work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Unchecked> {
        let place = self.places.clone().try_acquire_owned().map_err(|_| {
            self.at_bound.increment(1);
            Unchecked::Busy
        })?;
        let core = self.cores.clone().acquire_owned().await;
        let core = core.map_err(|_| Unchecked::Busy)?;
        let done = tokio::task::spawn_blocking(move || {
            let _until_it_is_done = (place, core);
            work()
        });
        done.await.map_err(|_| Unchecked::Busy)
    }
}
