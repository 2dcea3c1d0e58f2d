//! Who holds what: the registrations that IIIDAP and WHOIS tell of, in one place for both, so that
//! one is a view of the other. It answers with documents of [`idnode_proto::iiidap`], in which
//! there is nothing that the caller may not see.
//!
//! | module | holds |
//! |---|---|
//! | `files` | the node's own registrations, the bootstrap registry: files that are followed |
//! | `lookup` | queries answered |
//! | `make` | documents made of what is registered |
//! | `help` | what `help` says |

mod files;
mod help;
mod lookup;
mod make;

pub use files::FileError;

use super::abuse;
use super::rate::{Rates, network_of};
use arc_swap::ArcSwap;
use files::{Files, Known};
use idnode_proto::iiidap::{Bootstrap, Document, Query, QueryError};
use idnode_registry::{Caller, Registry};
use ipnet::IpNet;
use metrics::{Counter, counter};
use std::net::IpAddr;
use std::path::PathBuf;
use std::sync::Arc;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;

/// Queries at once: each has a thread for as long as the store takes.
const AT_ONCE: usize = 8;

/// What an operator sets of it.
#[derive(Debug, Clone)]
pub struct DirectoryOptions {
    /// Language of what is registered (RFC 5646).
    pub lang: String,
    /// File of the node's own registrations; none: it has none.
    pub own_file: Option<PathBuf>,
    /// File of the bootstrap registry; none: nobody is sent elsewhere.
    pub bootstrap_file: Option<PathBuf>,
    /// Base URL of this node's IIIDAP with its final slash, as others find it; empty: it is told
    /// to nobody.
    pub base_url: String,
    /// Whom users can turn to; may be empty.
    pub support: String,
    /// Results of a search for strangers.
    pub max_results: usize,
    /// Results of a search for those who have shown a credential.
    pub max_results_known: usize,
    /// Queries from one network in a second; 0: any number.
    pub queries_per_s: u32,
    /// Searches among them; 0: any number.
    pub searches_per_s: u32,
    /// Networks that may ask as often as they like.
    pub rate_exempt: Vec<IpNet>,
    /// Whether personal data is shown in clear to other machines.
    pub personal_without_tls: bool,
}

impl Default for DirectoryOptions {
    /// The defaults of the configuration's `[iiidap]` section.
    fn default() -> Self {
        Self {
            lang: "zh-CN".to_owned(),
            own_file: None,
            bootstrap_file: None,
            base_url: String::new(),
            support: String::new(),
            max_results: 25,
            max_results_known: 500,
            queries_per_s: 100,
            searches_per_s: 10,
            rate_exempt: Vec::new(),
            personal_without_tls: false,
        }
    }
}

/// What is answered to a query.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// The document.
    Document(Box<Document>),
    /// Another registry knows: the URL of the same query there.
    Elsewhere(String),
}

/// A query that is not answered, in the terms of both protocols.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Failure {
    /// HTTP status.
    pub(super) status: u16,
    /// When to come again, if that helps.
    pub(super) retry_after_s: Option<u32>,
    title: &'static str,
    description: Vec<String>,
}

impl From<QueryError> for Failure {
    fn from(error: QueryError) -> Self {
        let title = match error.status() {
            422 => "Unprocessable Entity",
            _ => "Bad Request",
        };
        Self::new(error.status(), title, error.to_string())
    }
}

impl Failure {
    /// A failure; the description's parts are paragraphs.
    pub(super) fn new(status: u16, title: &'static str, description: impl Into<String>) -> Self {
        Self {
            status,
            retry_after_s: None,
            title,
            description: vec![description.into()],
        }
    }

    /// The node cannot answer now.
    pub(super) fn busy(reason: &str) -> Self {
        Self::new(503, "Busy", reason).after(1)
    }

    /// Too much is asked: what it is that is too much (RFC 6585 §4).
    pub(super) fn too_many(reason: impl Into<String>, retry_after_s: u32) -> Self {
        Self::new(429, "Too Many Requests", reason).after(retry_after_s)
    }

    fn after(self, retry_after_s: u32) -> Self {
        Self {
            retry_after_s: Some(retry_after_s),
            ..self
        }
    }

    /// The error document (RESPONSES §6).
    pub(super) fn document(&self) -> Document {
        Document::error(self.status, self.title, self.description.clone())
    }
}

/// The registrations this node tells of.
pub struct Directory {
    registry: Arc<Registry>,
    options: DirectoryOptions,
    files: Files,
    known: ArcSwap<Known>,
    rates: Rates,
    permits: Arc<Semaphore>,
    limited: Counter,
    truncated: Counter,
}

impl std::fmt::Debug for Directory {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Directory")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

impl Directory {
    /// Reads the files. The metrics recorder must be installed by then.
    ///
    /// # Errors
    /// A file cannot be read or holds something else.
    pub fn open(registry: Arc<Registry>, options: DirectoryOptions) -> Result<Self, FileError> {
        let files = Files::of(&options);
        let known = files.read()?;
        let bound = |bound: &'static str| counter!("idnode_bound_hits_total", "bound" => bound);
        Ok(Self {
            registry,
            options,
            files,
            known: ArcSwap::from_pointee(known),
            rates: Rates::new(),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
            limited: bound("iiidap_rate"),
            truncated: bound("iiidap_results"),
        })
    }

    /// Follows the files until `shutdown`: what cannot be used leaves what was there before.
    pub async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
        let mut look = tokio::time::interval(files::LOOK_PERIOD);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = look.tick() => {}
            }
            let directory = self.clone();
            // Only a panic in there could be reported here, and that is logged as such.
            let _ = tokio::task::spawn_blocking(move || {
                let changed = directory.files.read_if_changed(&directory.known.load());
                if let Some(known) = changed {
                    directory.known.store(Arc::new(known));
                }
            })
            .await;
        }
    }

    /// Whether personal data may be shown over a connection.
    pub(super) fn shows_personal(&self, protected: bool) -> bool {
        protected || self.options.personal_without_tls
    }

    /// Counts a query of a network.
    ///
    /// # Errors
    /// 429: it has sent too many in this second (HTTP §5.5).
    pub(super) fn admit(&self, source: IpAddr, is_search: bool) -> Result<(), Failure> {
        let source = source.to_canonical();
        let options = &self.options;
        if options.rate_exempt.iter().any(|net| net.contains(&source)) {
            return Ok(());
        }
        let over = |kind: u8, limit: u32| {
            limit > 0 && self.rates.count((network_of(source), kind), 1) > limit
        };
        let refused = match (over(0, options.queries_per_s), is_search) {
            (true, _) => Some((options.queries_per_s, "queries")),
            (false, true) if over(1, options.searches_per_s) => {
                Some((options.searches_per_s, "searches"))
            }
            _ => None,
        };
        let Some((limit, what)) = refused else {
            return Ok(());
        };
        self.limited.increment(1);
        abuse::turned_away();
        let reason = format!("a network may send {limit} {what} a second; try again in a second");
        Err(Failure::too_many(reason, 1))
    }

    /// Answers a query on a thread where the store may take its time. `help_url` is where help is
    /// found, if that is known.
    ///
    /// # Errors
    /// 404, or 5xx when the store fails.
    pub(super) async fn ask(
        self: &Arc<Self>,
        query: Query,
        caller: Caller,
        help_url: Option<String>,
    ) -> Result<Answer, Failure> {
        let permit = self.permits.clone().acquire_owned().await;
        let permit = permit.map_err(|_| Failure::busy("the node is shutting down"))?;
        let directory = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            let answer = directory.answer(&query, &caller, help_url.as_deref());
            drop(permit);
            answer
        });
        task.await.unwrap_or_else(|_| {
            Err(Failure::new(
                500,
                "Failed",
                "the query could not be answered",
            ))
        })
    }

    /// The bootstrap registry as this node knows it, its own entry included.
    pub(super) fn bootstrap(&self) -> Bootstrap {
        self.known.load().published.clone()
    }
}

/// Counts the answers of a front.
pub(super) fn count(front: &'static str, status: u16) {
    let outcome = match status {
        200 => "found",
        300..400 => "elsewhere",
        401 | 403 => "denied",
        404 => "missing",
        429 => "limited",
        400..500 => "invalid",
        _ => "failed",
    };
    counter!("idnode_registration_queries_total", "front" => front, "outcome" => outcome)
        .increment(1);
}
