//! Proofs of handle administrators, checked for every front. A derived key takes up to 20 ms of a
//! core, and strangers choose how long: so many are checked at once as there are cores, so many
//! wait, and whoever goes away leaves a place only when the work for it is done.

use super::Core;
use super::guesses::{GuessLimits, Guesses};
use crate::recursion::{Recursion, RecursionError};
use crate::resolve::{Answer, Filter, Query};
use idnode_proto::handle::ResponseCode;
use idnode_proto::handle::admin::AdminId;
use idnode_proto::handle::body::challenge::VerifyRequest;
use idnode_registry::administrator::AdministratorKey;
use idnode_registry::{Caller, Error, Registry};
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
    /// Others may know it, and do not answer.
    Away,
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
    /// where it comes from, if that cannot be forged; `shown`: the key that others show, where they
    /// serve the administrator's handle.
    async fn check<T: Send + 'static>(
        &self,
        id: AdminId,
        source: Option<IpAddr>,
        shown: Option<AdministratorKey>,
        check: impl FnOnce(AdministratorKey) -> (Says, T) + Send + 'static,
    ) -> Result<T, Unchecked> {
        if !self.allows(&id, source) {
            return Err(Unchecked::Guessing);
        }
        let source = source.map(|source| source.to_canonical());
        let (registry, guesses) = (self.registry.clone(), self.guesses.clone());
        let checked = self.work(move || {
            // Those that were sent at once have waited for each other here.
            if !guesses.allows(&id, source) {
                return Err(Unchecked::Guessing);
            }
            let known = registry.administrator(&id).map_err(Unchecked::Registry)?;
            let Some(known) = known.or(shown) else {
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

    /// Whether an administrator has a key here.
    async fn knows(&self, id: &AdminId) -> Result<bool, Unchecked> {
        match self.with_key(id.clone(), drop).await {
            Ok(()) => Ok(true),
            Err(Unchecked::Unknown) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Whether not too many proofs have failed.
    fn allows(&self, id: &AdminId, source: Option<IpAddr>) -> bool {
        let source = source.map(|source| source.to_canonical());
        self.guesses.allows(id, source)
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

impl Core {
    /// Checks something with an administrator's key as [`Proofs::check`] does, asking others for the key
    /// if they serve the administrator's handle: anew each time, so that one that was replaced there
    /// proves nothing here.
    pub(super) async fn check_key<T: Send + 'static>(
        &self,
        id: AdminId,
        source: Option<IpAddr>,
        check: impl FnOnce(AdministratorKey) -> (Says, T) + Send + 'static,
    ) -> Result<T, Unchecked> {
        let shown = self.key_elsewhere(&id, source).await?;
        self.proofs.check(id, source, shown, check).await
    }

    /// The key that others show of an administrator whose handle they serve, if none is known here.
    ///
    /// # Errors
    /// [`Unchecked::Away`] if they do not answer, which says nothing of the administrator.
    async fn key_elsewhere(
        &self,
        id: &AdminId,
        source: Option<IpAddr>,
    ) -> Result<Option<AdministratorKey>, Unchecked> {
        let Some((recursion, here)) = self.may_be_elsewhere(id, source).await? else {
            return Ok(None);
        };
        let query = Query {
            identifier: &id.handle,
            filter: &Filter::default(),
            caller: &Caller::Stranger,
            public_only: true,
        };
        let Some(start) = recursion.start(&id.handle, &here) else {
            return Ok(None);
        };
        let asked = recursion.resolve_anew(&id.handle, &start, 0);
        match self.answered(asked).await? {
            Answer::Found(found) => Ok(AdministratorKey::shown(id, found.values(&query))),
            _ => Ok(None),
        }
    }

    /// Whoever has answered a challenge by a secret key that others keep, if they say that the answer
    /// proves it (RFC 3652 §3.5.3). `None`: the key is not others' to keep.
    ///
    /// # Errors
    /// [`Unchecked::Unknown`]: they say that it does not; else as [`Proofs::check`], or
    /// [`Unchecked::Away`].
    pub(super) async fn vouched_elsewhere(
        &self,
        id: &AdminId,
        source: Option<IpAddr>,
        proof: &VerifyRequest<'_>,
    ) -> Result<Option<Caller>, Unchecked> {
        let Some((recursion, here)) = self.may_be_elsewhere(id, source).await? else {
            return Ok(None);
        };
        let Some(start) = recursion.start(&id.handle, &here) else {
            return Ok(None);
        };
        // Those that were sent at once may have been counted since.
        if !self.proofs.allows(id, source) {
            return Err(Unchecked::Guessing);
        }
        let (guesses, source) = (&self.proofs.guesses, source.map(|it| it.to_canonical()));
        let sent = guesses.sent(id, source);
        let asked = recursion.verify(&id.handle, &start, proof);
        let answered = self.answered(asked).await;
        let vouched = match &answered {
            Ok(true) => Caller::vouched(id),
            _ => None,
        };
        let proven = answered.is_ok().then_some(vouched.is_some());
        guesses.judged(sent, id, source, proven);
        answered?;
        vouched.map(Some).ok_or(Unchecked::Unknown)
    }

    /// How others are asked, if an administrator's key may be theirs, and what is known of its handle
    /// here.
    async fn may_be_elsewhere(
        &self,
        id: &AdminId,
        source: Option<IpAddr>,
    ) -> Result<Option<(&Recursion, Answer)>, Unchecked> {
        let Some(recursion) = &self.recursion else {
            return Ok(None);
        };
        let is_here = self.registry.has_keys_of(&id.handle).unwrap_or(true);
        if is_here || !self.proofs.allows(id, source) || self.proofs.knows(id).await? {
            return Ok(None);
        }
        let here = self.resolver.look_up(&id.handle).await;
        Ok(Some((recursion, here.map_err(Unchecked::Registry)?)))
    }

    /// What others answer in the time of a request.
    ///
    /// # Errors
    /// [`Unchecked::Unknown`]: nobody serves the handle, as far as those know who would, which says
    /// nothing of the proof; [`Unchecked::Away`].
    async fn answered<T>(
        &self,
        asked: impl Future<Output = Result<T, RecursionError>>,
    ) -> Result<T, Unchecked> {
        match tokio::time::timeout(self.request_deadline, asked).await {
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(error)) if error.code() == ResponseCode::NOT_RESPONSIBLE => {
                Err(Unchecked::Unknown)
            }
            Ok(Err(_)) | Err(_) => Err(Unchecked::Away),
        }
    }
}
