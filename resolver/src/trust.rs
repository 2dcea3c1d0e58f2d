//! Trusted resolution on the node's side (draft-chen-trusted-resolution-01): the key that signs
//! what is registered, and verdicts for clients that ask whether an answer is trusted.

mod files;
mod others;
mod own;

use crate::config::TrustConfig;
use crate::resolve::{Answer, Filter, Query, Resolved, Resolver};
use bytes::Bytes;
use files::{KEY_FILE_BYTES, certificates, read};
use idnode_proto::identifier::Identifier;
use idnode_proto::trust::chain::{Root, Step, Verifier};
use idnode_proto::trust::key::TrustKeyError;
use idnode_proto::trust::name::same_handle;
use idnode_proto::trust::{PrivateKey, Signer, TrustKey, ValueName};
use idnode_proto::value::{ValueRef, Values, types};
use idnode_registry::Caller;
use idnode_registry::write::Endorser;
use metrics::{Counter, counter};
use moka::sync::Cache;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Verdicts that are remembered.
const KEPT_VERDICTS: u64 = 10_000;
/// How long: a certificate above may be withdrawn.
const VERDICT_LASTS: Duration = Duration::from_secs(60);
/// Most handles one verdict asks for certificates: more than a longest chain.
const MAX_LOOKUPS: usize = 64;
/// Verdicts that wait or are being found.
const MAX_VERDICTS: usize = 256;
/// The same of what other nodes have answered, which may wait for these.
const MAX_VERDICTS_OF_OTHERS: usize = 64;

pub use others::Others;
pub use own::{OWN_KEY_FILE, own_key};

/// The text of a file of a key; of a secret one nobody else may know the content.
///
/// # Errors
/// It can't be read, is longer than keys are, or is open to others.
pub(crate) fn read_text(path: &Path, secret: bool) -> Result<String, io::Error> {
    read(path, KEY_FILE_BYTES, secret).map_err(|error| match error {
        TrustError::File { error, .. } => error,
        other => io::Error::other(other.to_string()),
    })
}

/// Why the files of the `trust` section cannot be used.
#[derive(Debug, Error)]
pub enum TrustError {
    /// A file cannot be read.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file's key cannot be used.
    #[error("{path}: {error}", path = path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        error: TrustKeyError,
    },
    /// A line of the file of certificates is none.
    #[error("{path}, line {line}: {reason}", path = path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A name is not `index:handle`; the configuration has been checked for that.
    #[error("{0:?} is not an index and a handle")]
    Name(String),
}

/// What signs the values that are registered; `None` if nothing does.
///
/// # Errors
/// The key's file cannot be read, others may read it, or it holds no key.
pub fn endorser(config: &TrustConfig) -> Result<Option<Endorser>, TrustError> {
    if config.signer.is_empty() {
        return Ok(None);
    }
    let path = &config.key_file;
    let key = PrivateKey::from_pem(&read(path, KEY_FILE_BYTES, true)?)
        .map_err(TrustKeyError::from)
        // What nobody could verify must not sign.
        .and_then(|key| TrustKey::of(&key).map(|_| key));
    let chain = config.chain.iter().map(|text| value_name(text));
    Ok(Some(Endorser {
        signer: Signer {
            name: value_name(&config.signer)?,
            key: key.map_err(|error| unusable(path, error))?,
            chain: chain.collect::<Result<_, _>>()?,
        },
        validity_s: config.validity_s.into(),
        imports: config.sign_imports,
    }))
}

/// Says whether a registered handle's signatures lead to the trusted root.
///
/// A verdict takes up to some tenths of a second of a core, if whoever registered the handle wants
/// it to: as many as half the cores are found at once, where nobody else waits for them.
#[derive(Debug)]
pub struct Verdicts {
    root: Arc<Root>,
    /// Certificates of handles that are not registered here, encoded values by handle.
    certificates: Vec<(String, Bytes)>,
    /// By identifier: the version of the record, and what was said of it.
    kept: Cache<Box<[u8]>, (u64, bool)>,
    /// By the digest of what another node has answered: what was said of it.
    kept_of_others: Cache<Box<[u8]>, bool>,
    places: Arc<Semaphore>,
    places_of_others: Arc<Semaphore>,
    cores: Arc<Semaphore>,
    at_bound: Counter,
}

/// Where a verdict's certificates are found.
struct Certificates<'a> {
    verdicts: &'a Verdicts,
    resolver: &'a Arc<Resolver>,
    /// Who is asked for those that are not known here, if anybody is.
    others: Option<Others<'a>>,
    /// How many were asked for.
    asked: usize,
}

impl Verdicts {
    /// With the root of the configuration; `None` if it names none. Its metric goes to the recorder
    /// that is installed by then.
    ///
    /// # Errors
    /// A file cannot be read, or does not hold what it should.
    pub fn open(config: &TrustConfig) -> Result<Option<Self>, TrustError> {
        if config.root.is_empty() {
            return Ok(None);
        }
        let path = &config.root_key_file;
        let key = TrustKey::from_pem(&read(path, KEY_FILE_BYTES, false)?);
        let certificates = match config.certificates_file.as_os_str().is_empty() {
            true => Vec::new(),
            false => certificates(&config.certificates_file)?,
        };
        let root = Root {
            name: value_name(&config.root)?,
            key: key.map_err(|error| unusable(path, error))?,
        };
        let cores = available_parallelism().map_or(1, usize::from);
        Ok(Some(Self {
            root: Arc::new(root),
            places: Arc::new(Semaphore::new(MAX_VERDICTS)),
            places_of_others: Arc::new(Semaphore::new(MAX_VERDICTS_OF_OTHERS)),
            cores: Arc::new(Semaphore::new(cores.div_ceil(2))),
            at_bound: counter!("idnode_bound_hits_total", "bound" => "trust_verdicts"),
            certificates,
            kept: kept_for_a_minute(),
            kept_of_others: kept_for_a_minute(),
        }))
    }

    /// Whether what whoever asks may read of a record is signed up to the root, whatever of it is
    /// asked for; `now_s` is seconds since 1970. Verdicts for strangers are remembered for a
    /// minute. Nothing is trusted while too many verdicts wait.
    pub async fn is_trusted(
        &self,
        resolver: &Arc<Resolver>,
        query: &Query<'_>,
        resolved: &Resolved,
        now_s: u64,
    ) -> bool {
        // Signatures are over a suffix with its case, and the answer has the client's: whoever verifies
        // would not take one for the other.
        let registered = resolved.spelling(query.identifier);
        if !same_handle(&query.identifier.display(), &registered) {
            return false;
        }
        if !query.public_only && !matches!(query.caller, Caller::Stranger) {
            let trusted = self.verify_here(resolver, query, resolved, now_s).await;
            return trusted.unwrap_or(false);
        }
        let (identifier, version) = (query.identifier, resolved.version());
        if let Some((of, trusted)) = self.kept.get(identifier.key())
            && of == version
        {
            return trusted;
        }
        let Some(trusted) = self.verify_here(resolver, query, resolved, now_s).await else {
            return false;
        };
        self.kept
            .insert(identifier.key().into(), (version, trusted));
        trusted
    }

    /// What is registered here, by certificates that are known here.
    async fn verify_here(
        &self,
        resolver: &Arc<Resolver>,
        query: &Query<'_>,
        resolved: &Resolved,
        now_s: u64,
    ) -> Option<bool> {
        let whole = Query {
            filter: &Filter::default(),
            ..query.clone()
        };
        let mut certificates = Certificates {
            verdicts: self,
            resolver,
            others: None,
            asked: 0,
        };
        let handle = resolved.spelling(query.identifier);
        let own = encoded(resolved.values(&whole));
        self.verify(&self.places, handle, own, &mut certificates, now_s)
            .await
    }

    /// Whether a handle's encoded values are signed up to the root. `None`: there is no verdict, too
    /// many wait.
    async fn verify(
        &self,
        places: &Arc<Semaphore>,
        handle: String,
        own: Vec<u8>,
        certificates: &mut Certificates<'_>,
        now_s: u64,
    ) -> Option<bool> {
        let place = places.clone().try_acquire_owned();
        let place = place.inspect_err(|_| self.at_bound.increment(1)).ok()?;
        let root = self.root.clone();
        let begin = move || {
            let values: Vec<_> = views(&own).collect();
            Verifier::new(&root, &handle, &values, now_s)
        };
        let (mut verifier, mut step, mut place) = self.stepped(place, begin).await?;
        for _ in 0..MAX_LOOKUPS {
            let Step::NeedsCertificates(of) = step else {
                break;
            };
            let found = certificates.look_up(&of).await;
            let go_on = move || {
                match found {
                    Some(values) => verifier.resolved(&of, views(&values)),
                    None => verifier.unavailable(&of, "no certificate of it is known here"),
                }
                verifier
            };
            (verifier, step, place) = self.stepped(place, go_on).await?;
        }
        let Step::Done(verdict) = step else {
            return Some(false);
        };
        if let Some(fault) = verdict.all_faults().next() {
            tracing::debug!(handle = verdict.handle, %fault, "not trusted");
        }
        Some(verdict.is_valid())
    }

    /// Makes a verifier's next step where it may take its time, on a core that nobody else's step has:
    /// between steps others are, since certificates may be waited for. Who no longer waits for it
    /// leaves its place when the step is done. `None`: the node is shutting down.
    async fn stepped(
        &self,
        place: OwnedSemaphorePermit,
        verifier: impl FnOnce() -> Verifier + Send + 'static,
    ) -> Option<(Verifier, Step, OwnedSemaphorePermit)> {
        let core = self.cores.clone().acquire_owned().await.ok()?;
        let work = move || {
            let _until_it_is_done = core;
            let mut verifier = verifier();
            let step = verifier.step();
            (verifier, step, place)
        };
        tokio::task::spawn_blocking(work).await.ok()
    }
}

impl Certificates<'_> {
    /// A handle's encoded certificates: those registered here, else the file's, else what others
    /// answer, where they are asked.
    async fn look_up(&mut self, handle: &str) -> Option<Bytes> {
        if let Ok(identifier) = Identifier::parse(handle) {
            let filter = Filter {
                types: vec![types::HS_CERT.to_owned()],
                indexes: Vec::new(),
            };
            let query = public(&identifier, &filter, &Caller::Stranger);
            if let Ok(Answer::Found(resolved)) = self.resolver.resolve(&query).await {
                let found = encoded(resolved.values(&query));
                if !found.is_empty() {
                    return Some(found.into());
                }
            }
        }
        let mut known = self.verdicts.certificates.iter();
        if let Some((_, encoded)) = known.find(|(name, _)| same_handle(name, handle)) {
            return Some(encoded.clone());
        }
        let others = self.others?;
        // On the heap: recursion takes many kilobytes, which would be part of every question.
        Box::pin(self.ask(others, handle)).await
    }
}

fn kept_for_a_minute<V: Clone + Send + Sync + 'static>() -> Cache<Box<[u8]>, V> {
    Cache::builder()
        .max_capacity(KEPT_VERDICTS)
        .time_to_live(VERDICT_LASTS)
        .build()
}

fn encoded<'v>(values: impl Iterator<Item = ValueRef<'v>>) -> Vec<u8> {
    let mut encoded = Vec::new();
    for value in values {
        encoded.extend_from_slice(value.raw());
    }
    encoded
}

fn public<'a>(identifier: &'a Identifier, filter: &'a Filter, caller: &'a Caller) -> Query<'a> {
    Query {
        identifier,
        filter,
        caller,
        public_only: true,
    }
}

fn views(encoded: &[u8]) -> impl Iterator<Item = ValueRef<'_>> {
    Values::all(encoded).map_while(Result::ok)
}

fn value_name(text: &str) -> Result<ValueName, TrustError> {
    text.parse().map_err(|_| TrustError::Name(text.to_owned()))
}

fn unusable(path: &Path, error: TrustKeyError) -> TrustError {
    TrustError::Key {
        path: path.to_owned(),
        error,
    }
}
