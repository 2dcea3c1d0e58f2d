//! Recursion (递归解析): what other services answer, asked for on a client's behalf. The way goes
//! along the delegations of this registry; for prefixes that are not registered here straight to the
//! sibling that has announced them, and where none has up to the national resolver and down from
//! there by its referrals (RFC 3652 §3.4).
//!
//! Fronts ask when the core's answer is a referral or "not registered here" and their client
//! wants recursion. Answers are kept as long as their values say, and the servers of a prefix as
//! long as the referral: a second handle of the prefix goes straight to them.
//!
//! | module | holds |
//! |---|---|
//! | `walk` | where a question starts, and how it follows referrals |
//! | `service` | the servers of a service, by its handle |
//! | `way` | one question's way from service to service: who was asked, and the time that is left |
//! | `exchange` | one question to one server |
//! | `under_way` | questions that are asked at the moment, and how many may be |
//! | `kept` | answers and servers, kept |

mod exchange;
mod kept;
mod service;
#[cfg(test)]
mod tests;
mod under_way;
mod walk;
mod way;

use crate::resolve::{Answer, Missing, Resolver};
use bytes::Bytes;
use exchange::Server;
use idnode_proto::handle::body::challenge::VerifyRequest;
use idnode_proto::handle::{Response, ResponseBody, ResponseCode};
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_registry::prefix::Delegation;
use idnode_registry::prefix_table::PrefixTable;
use idnode_registry::upward::routes::{SiblingRoute, Siblings};
use ipnet::IpNet;
use kept::Kept;
use metrics::Counter;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use under_way::{Asked, Places, UnderWay};
use way::Way;

/// Services that one question may pass through, this one among them.
pub const MAX_HOPS: u8 = 8;

/// What an operator sets of recursion.
#[derive(Debug, Clone)]
pub struct RecursionOptions {
    /// Who is asked for prefixes that nobody here knows of: the national resolver.
    pub upstream: Vec<SocketAddr>,
    /// How long all of a question's hops may take together.
    pub timeout: Duration,
    /// Clients that wait for others' answers at once; a quarter of them for one delegate's.
    pub max_in_flight: usize,
    /// Memory for answers, bytes.
    pub capacity_bytes: u64,
    /// Networks whose servers are not asked: delegations are written by enterprises, and must
    /// not lead this node to what only it can reach.
    pub deny: Vec<IpNet>,
    /// This node's own addresses, which a question must not come back to.
    pub own: Vec<IpAddr>,
    /// The port of the Handle front on them.
    pub own_port: u16,
    /// Where the other secondary nodes are.
    pub siblings: Arc<Siblings>,
}

/// Where a question goes first.
#[derive(Debug, Clone)]
pub enum Start<'a> {
    /// To the sites of a delegation, HS_SITE data.
    Sites(&'a [Bytes]),
    /// To the service that a delegation names by its handle (HS_SERV, RFC 3651 §3.2.4).
    Service(&'a str),
    /// To the secondary node that has announced the prefix, or one above it; if it gives no answer,
    /// once to the national resolver, which may know better.
    Sibling(Arc<SiblingRoute>),
    /// To the servers known of its prefix, else to the national resolver.
    Upstream,
}

impl<'a> Start<'a> {
    /// Where a delegation leads.
    pub fn of(delegation: &'a Delegation) -> Self {
        let service = delegation.service().map(Self::Service);
        service.unwrap_or(Self::Sites(&delegation.sites))
    }
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum RecursionError {
    /// There is nobody to ask.
    #[error("nobody who could be asked serves the handle")]
    NoWay,
    /// The question has passed through [`MAX_HOPS`] services.
    #[error("the question passed through {MAX_HOPS} services without an answer")]
    TooDeep,
    /// It came back to who was asked before, or a service's handle leads to itself.
    #[error("the services refer to each other in a circle")]
    Circle,
    /// The handle of a service does not say where that is.
    #[error("the service {handle} is not found: {cause}")]
    Service {
        /// The service's handle.
        handle: String,
        /// What happened.
        cause: String,
    },
    /// The last one asked does not answer.
    #[error("{server} does not answer: {cause}")]
    Unreachable {
        /// Its address.
        server: IpAddr,
        /// What happened.
        cause: String,
    },
    /// The last one asked refused.
    #[error("{server} refuses with code {code}: {message}")]
    Refused {
        /// Its address.
        server: IpAddr,
        /// Its response code.
        code: u32,
        /// What it said.
        message: String,
    },
    /// More questions are under way than there may be.
    #[error("this node asks others as much as it may")]
    Busy,
}

impl RecursionError {
    /// What it is to a client that reads the Handle protocol's codes.
    pub fn code(&self) -> ResponseCode {
        match self {
            Self::TooDeep | Self::Circle => ResponseCode::RECURSION_LIMIT,
            Self::Busy => ResponseCode::BUSY,
            Self::NoWay => ResponseCode::NOT_RESPONSIBLE,
            Self::Refused { code, .. } if *code == ResponseCode::NOT_RESPONSIBLE.0 => {
                ResponseCode::NOT_RESPONSIBLE
            }
            Self::Service { .. } | Self::Unreachable { .. } | Self::Refused { .. } => {
                ResponseCode::ERROR
            }
        }
    }
}

impl RecursionError {
    /// Whether whoever was asked just does not know, or cannot be asked.
    fn is_ignorance(&self) -> bool {
        match self {
            Self::NoWay | Self::Circle | Self::Service { .. } | Self::Unreachable { .. } => true,
            Self::Refused { code, .. } => *code == ResponseCode::NOT_RESPONSIBLE.0,
            Self::TooDeep | Self::Busy => false,
        }
    }
}

type Outcome = Result<Answer, RecursionError>;

/// Asks others.
#[derive(Debug)]
pub struct Recursion {
    options: RecursionOptions,
    /// What is registered here.
    core: Arc<Resolver>,
    kept: Kept,
    under_way: UnderWay,
    places: Places,
    /// Tells delegations apart.
    hasher: RandomState,
    asked: Counter,
    failed: Counter,
    from_memory: Counter,
    by_sibling: Counter,
    past_sibling: Counter,
}

impl Recursion {
    /// Of the node with this core. Its metrics go to the recorder that is installed by then.
    pub fn new(options: RecursionOptions, core: Arc<Resolver>) -> Self {
        let outcome = |outcome| metrics::counter!("idnode_recursion_total", "outcome" => outcome);
        let sibling = |outcome| metrics::counter!("idnode_sibling_total", "outcome" => outcome);
        Self {
            kept: Kept::new(options.capacity_bytes),
            under_way: UnderWay::default(),
            places: Places::new(options.max_in_flight),
            hasher: RandomState::new(),
            asked: outcome("answered"),
            failed: outcome("failed"),
            from_memory: outcome("kept"),
            by_sibling: sibling("answered"),
            past_sibling: sibling("failed"),
            core,
            options,
        }
    }

    /// Where others are asked after an answer of the core's; `None`: that stands.
    pub fn start<'a>(&self, identifier: &Identifier, answer: &'a Answer) -> Option<Start<'a>> {
        match answer {
            Answer::Referral(entry) => entry.record.delegation.as_ref().map(Start::of),
            Answer::Missing(Missing::Prefix) => Some(self.beyond(identifier)),
            // 0.NA/88.119, a prefix that is not registered here.
            Answer::Missing(Missing::Identifier) => {
                let prefix = identifier.prefix_handle()?;
                let is_ours = self.registered().get(prefix.key()).is_some();
                (!is_ours).then(|| self.beyond(identifier))
            }
            _ => None,
        }
    }

    fn registered(&self) -> &PrefixTable {
        self.core.registry().prefixes()
    }

    fn beyond(&self, identifier: &Identifier) -> Start<'static> {
        let siblings = &self.options.siblings;
        let sibling = siblings.covering(identifier, self.registered());
        sibling.map_or(Start::Upstream, Start::Sibling)
    }

    /// What was answered before, from the same start, and still holds. Never waits.
    pub fn kept(&self, identifier: &Identifier, start: &Start<'_>) -> Option<Answer> {
        let (origin, spelling) = (self.origin(start), identifier.display());
        let answer = self.kept.answer(identifier.key(), origin, &spelling)?;
        self.from_memory.increment(1);
        Some(answer)
    }

    /// Asks for an identifier. `hops`: the services that the question has passed through before it
    /// came here.
    ///
    /// # Errors
    /// [`RecursionError`].
    pub async fn resolve(&self, identifier: &Identifier, start: &Start<'_>, hops: u8) -> Outcome {
        if hops >= MAX_HOPS {
            return Err(RecursionError::TooDeep);
        }
        if let Some(answer) = self.kept(identifier, start) {
            return Ok(answer);
        }
        self.resolve_anew(identifier, start, hops).await
    }

    /// The same without what was answered before, for what must not be as old as its TTL allows.
    ///
    /// # Errors
    /// [`RecursionError`].
    pub async fn resolve_anew(
        &self,
        identifier: &Identifier,
        start: &Start<'_>,
        hops: u8,
    ) -> Outcome {
        self.counted(self.ask(identifier, start, hops).await)
    }

    fn counted<T>(&self, outcome: Result<T, RecursionError>) -> Result<T, RecursionError> {
        match outcome {
            Ok(_) => self.asked.increment(1),
            Err(_) => self.failed.increment(1),
        }
        outcome
    }

    /// Has whoever serves a handle say whether an answer to a challenge proves a secret key among its
    /// values (RFC 3652 §3.5.3).
    ///
    /// # Errors
    /// [`RecursionError`].
    pub async fn verify(
        &self,
        identifier: &Identifier,
        start: &Start<'_>,
        proof: &VerifyRequest<'_>,
    ) -> Result<bool, RecursionError> {
        self.counted(self.have_verified(identifier, start, proof).await)
    }

    async fn have_verified(
        &self,
        identifier: &Identifier,
        start: &Start<'_>,
        proof: &VerifyRequest<'_>,
    ) -> Result<bool, RecursionError> {
        let place = self.places.take(self.delegate(identifier, start));
        let _place = place.ok_or(RecursionError::Busy)?;
        let mut way = Way::new(self, 0);
        let reached = Box::pin(self.reach(&mut way, identifier, start, &[])).await?;
        if reached.response.code == ResponseCode::HANDLE_NOT_FOUND {
            return Ok(false);
        }
        let server = reached.server.address;
        let asked = way.verify(&reached.server, proof).await;
        let response = asked.map_err(|error| RecursionError::Unreachable {
            server,
            cause: error.to_string(),
        })?;
        match response.body {
            ResponseBody::Verified(proven) if response.code == ResponseCode::SUCCESS => Ok(proven),
            _ => Err(refused(server, response.code, &response)),
        }
    }

    /// Asks, or waits for who asks the same already.
    async fn ask(&self, identifier: &Identifier, start: &Start<'_>, hops: u8) -> Outcome {
        // Who waits for another's answer takes as much as who asks.
        let place = self.places.take(self.delegate(identifier, start));
        let _place = place.ok_or(RecursionError::Busy)?;
        let asked = Asked {
            spelling: identifier.display().into(),
            origin: self.origin(start),
            hops,
        };
        let question = self.under_way.join(asked);
        // On the heap: it takes many kilobytes, which would be part of every question on every front.
        let walk = Box::pin(self.walk(identifier, start, hops));
        question.answer(walk).await
    }

    /// Tells starts apart: what was answered from one does not answer from another, as after a
    /// delegation has changed or a sibling has moved.
    fn origin(&self, start: &Start<'_>) -> u64 {
        match start {
            Start::Sites(sites) => self.hasher.hash_one(sites),
            Start::Service(handle) => self.hasher.hash_one(("service", handle)),
            Start::Sibling(route) => self.hasher.hash_one(route),
            Start::Upstream => 0,
        }
    }

    /// Tells apart whose silence a question may have to wait for: a delegation's servers, or above
    /// those of a prefix.
    fn delegate(&self, identifier: &Identifier, start: &Start<'_>) -> u64 {
        match start {
            Start::Sites(_) | Start::Service(_) | Start::Sibling(_) => self.origin(start),
            Start::Upstream => {
                let prefix = identifier.prefix_handle().or_else(|| identifier.prefix());
                self.hasher.hash_one(prefix.as_ref().map(Prefix::key))
            }
        }
    }

    fn upstream(&self) -> Vec<Server> {
        let upstream = self.options.upstream.iter();
        upstream.map(|address| Server::on_both(*address)).collect()
    }

    fn may_ask(&self, server: &Server) -> bool {
        let address = server.address;
        let denied = self.options.deny.iter().any(|net| net.contains(&address));
        let is_host = !address.is_unspecified() && !address.is_multicast();
        let is_upstream = self.upstream().contains(server);
        // Those of siblings were judged when they were told.
        is_host && (!denied || is_upstream || server.is_sibling(&self.options.siblings))
    }

    fn is_own(&self, server: &Server) -> bool {
        self.options.own.contains(&server.address) && server.is_on(self.options.own_port)
    }
}

fn refused(server: IpAddr, code: ResponseCode, response: &Response) -> RecursionError {
    RecursionError::Refused {
        server,
        code: code.0,
        message: response.message().unwrap_or_default().to_owned(),
    }
}
