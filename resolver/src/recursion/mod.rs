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
//! | `way` | one question's way from service to service |
//! | `exchange` | one question to one server |
//! | `under_way` | questions that are asked at the moment, and how many may be |
//! | `kept` | answers and servers, kept |

mod exchange;
mod kept;
#[cfg(test)]
mod tests;
mod under_way;
mod way;

use crate::clock::now_s;
use crate::resolve::{Answer, Missing};
use bytes::Bytes;
use exchange::Server;
use idnode_proto::handle::{Response, ResponseCode, Site};
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_registry::prefix_table::PrefixTable;
use idnode_registry::upward::routes::{SiblingRoute, Siblings};
use ipnet::IpNet;
use kept::{Kept, Remote};
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
    /// To the secondary node that has announced the prefix, or one above it; if it gives no answer,
    /// once to the national resolver, which may know better.
    Sibling(Arc<SiblingRoute>),
    /// To the servers known of its prefix, else to the national resolver.
    Upstream,
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
    /// It came back to who was asked before.
    #[error("the services refer to each other in a circle")]
    Circle,
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
            Self::Unreachable { .. } | Self::Refused { .. } => ResponseCode::ERROR,
        }
    }
}

impl RecursionError {
    /// Whether whoever was asked just does not know, or cannot be asked.
    fn is_ignorance(&self) -> bool {
        match self {
            Self::NoWay | Self::Circle | Self::Unreachable { .. } => true,
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
    /// Of this node. Its metrics go to the recorder that is installed by then.
    pub fn new(options: RecursionOptions) -> Self {
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
            options,
        }
    }

    /// Where others are asked after an answer of the core's; `None`: that stands.
    pub fn start<'a>(
        &self,
        identifier: &Identifier,
        answer: &'a Answer,
        registered: &PrefixTable,
    ) -> Option<Start<'a>> {
        match answer {
            Answer::Referral(entry) => Some(Start::Sites(&entry.record.delegation.as_ref()?.sites)),
            Answer::Missing(Missing::Prefix) => Some(self.beyond(identifier, registered)),
            // 0.NA/88.119, a prefix that is not registered here.
            Answer::Missing(Missing::Identifier) => {
                let prefix = identifier.prefix_handle()?;
                let is_ours = registered.get(prefix.key()).is_some();
                (!is_ours).then(|| self.beyond(identifier, registered))
            }
            _ => None,
        }
    }

    fn beyond(&self, identifier: &Identifier, registered: &PrefixTable) -> Start<'static> {
        let sibling = self.options.siblings.covering(identifier, registered);
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
        let outcome = self.ask(identifier, start, hops).await;
        match outcome {
            Ok(_) => self.asked.increment(1),
            Err(_) => self.failed.increment(1),
        }
        outcome
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
            Start::Sibling(route) => self.hasher.hash_one(route),
            Start::Upstream => 0,
        }
    }

    /// Tells apart whose silence a question may have to wait for: a delegation's servers, or above
    /// those of a prefix.
    fn delegate(&self, identifier: &Identifier, start: &Start<'_>) -> u64 {
        match start {
            Start::Sites(_) | Start::Sibling(_) => self.origin(start),
            Start::Upstream => {
                let prefix = identifier.prefix_handle().or_else(|| identifier.prefix());
                self.hasher.hash_one(prefix.as_ref().map(Prefix::key))
            }
        }
    }

    async fn walk(&self, identifier: &Identifier, start: &Start<'_>, hops: u8) -> Outcome {
        // As it is recognised: others take what is around it for a part of the handle.
        let handle = identifier.display();
        let mut way = Way::new(self, hops);
        let (known, mut servers) = self.first(identifier, start);
        // What is answered if those above know nothing better than who is asked first.
        let mut otherwise: Option<Outcome> = None;
        // Whom a referral has named may be gone, in which case those above need time.
        let mut others = usize::from(known.may_be_gone() && !self.options.upstream.is_empty());
        loop {
            let answered = way.ask(&servers, &handle, &[], others).await;
            others = 0;
            let at_first = way.hops() == hops + 1 && otherwise.is_none();
            let (server, response) = match answered {
                answered if at_first && known.is_outdated(identifier, &answered) => {
                    otherwise = self.past(&known, &handle, answered);
                    servers = self.upstream();
                    if servers.is_empty() {
                        return otherwise.unwrap_or(Err(RecursionError::NoWay));
                    }
                    continue;
                }
                Ok(answered) => answered,
                Err(error) => return better(otherwise, error),
            };
            let remote = match response.code {
                ResponseCode::SUCCESS => Remote::values(response.values(), now_s()),
                ResponseCode::VALUES_NOT_FOUND => Remote::values(&[], now_s()),
                ResponseCode::HANDLE_NOT_FOUND => Remote::missing(&handle),
                ResponseCode::SERVICE_REFERRAL | ResponseCode::PREFIX_REFERRAL => {
                    let ttl_s;
                    (servers, ttl_s) = match way.referred(server, &response).await {
                        Ok(referred) => referred,
                        Err(error) => return better(otherwise, error),
                    };
                    // Kept for the prefix that was asked for and no other, whatever the referral
                    // says that it is for: who was asked must not speak for others.
                    if let (Some(prefix), Start::Upstream) = (named_prefix(identifier), start) {
                        self.kept
                            .keep_servers(prefix.key(), servers.as_slice().into(), ttl_s);
                    }
                    continue;
                }
                code => return Err(refused(server.address, code, &response)),
            };
            if at_first && matches!(known, Known::Sibling(_)) {
                self.by_sibling.increment(1);
            }
            let answer = remote.answer.clone();
            let origin = self.origin(start);
            self.kept.keep(identifier.key(), remote.from(origin));
            return Ok(answer);
        }
    }

    /// Those who were asked first do not know: what is answered if nobody knows better.
    fn past(
        &self,
        known: &Known,
        handle: &str,
        answered: Result<(Server, Response), RecursionError>,
    ) -> Option<Outcome> {
        match known {
            Known::Nobody => None,
            Known::Kept(prefix) => {
                self.kept.forget_servers(prefix.key());
                None
            }
            Known::Sibling(_) => {
                self.past_sibling.increment(1);
                Some(answered.map(|_| Remote::missing(handle).answer))
            }
        }
    }

    /// Who is asked first.
    fn first(&self, identifier: &Identifier, start: &Start<'_>) -> (Known, Vec<Server>) {
        match start {
            Start::Sites(sites) => {
                let sites = sites.iter().filter_map(|site| Site::decode(site).ok());
                let servers = sites.flat_map(|site| Server::of_site(&site).collect::<Vec<_>>());
                (Known::Nobody, servers.collect())
            }
            Start::Sibling(route) => {
                let servers = route.servers.iter();
                let servers = servers.map(|(address, ports)| Server::at(*address, ports));
                (Known::Sibling(route.prefix.clone()), servers.collect())
            }
            Start::Upstream => {
                let prefix = named_prefix(identifier);
                let kept = prefix.and_then(|it| Some((self.kept.servers(it.key())?, it)));
                match kept {
                    Some((servers, prefix)) => (Known::Kept(prefix), servers.to_vec()),
                    None => (Known::Nobody, self.upstream()),
                }
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

/// What is answered where those above have failed: what was answered before, if they just do not
/// know.
fn better(otherwise: Option<Outcome>, error: RecursionError) -> Outcome {
    let otherwise = otherwise.filter(|_| error.is_ignorance());
    otherwise.unwrap_or(Err(error))
}

/// What who is asked first rests on.
#[derive(Debug)]
enum Known {
    /// A delegation, or nothing but the configuration.
    Nobody,
    /// A referral that was kept for this prefix.
    Kept(Prefix),
    /// What a sibling has announced for this prefix.
    Sibling(Prefix),
}

impl Known {
    /// Whether it may have changed without this node's knowing: those above know then.
    fn may_be_gone(&self) -> bool {
        !matches!(self, Self::Nobody)
    }

    /// Whether an answer, or that there is none, is a reason to ask those above.
    fn is_outdated(
        &self,
        identifier: &Identifier,
        answered: &Result<(Server, Response), RecursionError>,
    ) -> bool {
        match (self, answered) {
            (Self::Nobody, _) | (_, Err(RecursionError::TooDeep)) => false,
            (_, Err(_)) => true,
            // A node need not have its own prefix registered: whoever gave it knows that handle.
            (Self::Sibling(prefix), Ok((_, response))) => {
                response.code == ResponseCode::HANDLE_NOT_FOUND
                    && identifier.prefix_handle().as_ref() == Some(prefix)
            }
            (Self::Kept(_), Ok(_)) => false,
        }
    }
}

/// The prefix whose servers an identifier's referral is about; none of `0.NA/88.118`, which is
/// about another one.
fn named_prefix(identifier: &Identifier) -> Option<Prefix> {
    let is_prefix = identifier.prefix_handle().is_some();
    identifier.prefix().filter(|_| !is_prefix)
}

fn refused(server: IpAddr, code: ResponseCode, response: &Response) -> RecursionError {
    RecursionError::Refused {
        server,
        code: code.0,
        message: response.message().unwrap_or_default().to_owned(),
    }
}
