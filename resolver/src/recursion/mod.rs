//! Recursion (递归解析): what other services answer, asked for on a client's behalf. The way goes
//! along the delegations of this registry, and for prefixes that are not registered here up to
//! the national resolver and down from there by its referrals (RFC 3652 §3.4).
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
use crate::resolve::Answer;
use bytes::Bytes;
use exchange::Server;
use idnode_proto::handle::{Response, ResponseCode, Site};
use idnode_proto::identifier::{Identifier, Prefix};
use ipnet::IpNet;
use kept::{Kept, Remote};
use metrics::Counter;
use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, SocketAddr};
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
}

/// Where a question goes first.
#[derive(Debug, Clone, Copy)]
pub enum Start<'a> {
    /// To the sites of a delegation, HS_SITE data.
    Sites(&'a [Bytes]),
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
}

impl Recursion {
    /// Of this node. Its metrics go to the recorder that is installed by then.
    pub fn new(options: RecursionOptions) -> Self {
        let outcome = |outcome| metrics::counter!("idnode_recursion_total", "outcome" => outcome);
        Self {
            kept: Kept::new(options.capacity_bytes),
            under_way: UnderWay::default(),
            places: Places::new(options.max_in_flight),
            hasher: RandomState::new(),
            asked: outcome("answered"),
            failed: outcome("failed"),
            from_memory: outcome("kept"),
            options,
        }
    }

    /// What was answered before, from the same start, and still holds. Never waits.
    pub fn kept(&self, identifier: &Identifier, start: Start<'_>) -> Option<Answer> {
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
    pub async fn resolve(&self, identifier: &Identifier, start: Start<'_>, hops: u8) -> Outcome {
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
    async fn ask(&self, identifier: &Identifier, start: Start<'_>, hops: u8) -> Outcome {
        // Who waits for another's answer takes as much as who asks.
        let place = self.places.take(self.delegate(identifier, start));
        let _place = place.ok_or(RecursionError::Busy)?;
        let asked = Asked {
            spelling: identifier.display().into(),
            origin: self.origin(start),
            hops,
        };
        let question = self.under_way.join(asked);
        question.answer(self.walk(identifier, start, hops)).await
    }

    /// Tells starts apart: what was answered from one does not answer from another, as after a
    /// delegation has changed.
    fn origin(&self, start: Start<'_>) -> u64 {
        match start {
            Start::Sites(sites) => self.hasher.hash_one(sites),
            Start::Upstream => 0,
        }
    }

    /// Tells apart whose silence a question may have to wait for: a delegation's servers, or above
    /// those of a prefix.
    fn delegate(&self, identifier: &Identifier, start: Start<'_>) -> u64 {
        match start {
            Start::Sites(_) => self.origin(start),
            Start::Upstream => {
                let prefix = identifier.prefix_handle().or_else(|| identifier.prefix());
                self.hasher.hash_one(prefix.as_ref().map(Prefix::key))
            }
        }
    }

    async fn walk(&self, identifier: &Identifier, start: Start<'_>, hops: u8) -> Outcome {
        // As it is recognised: others take what is around it for a part of the handle.
        let handle = identifier.display();
        let mut way = Way::new(self, hops);
        let (known, mut servers) = self.first(identifier, start);
        // Whom a referral has named may be gone, in which case those above need time.
        let mut others = usize::from(known.is_some());
        loop {
            let answered = way.ask(&servers, &handle, &[], others).await;
            others = 0;
            let (server, response) = match answered {
                // Who served the prefix may have changed: those above know.
                Err(_) if known.is_some() && way.hops() == hops + 1 => {
                    known
                        .iter()
                        .for_each(|prefix| self.kept.forget_servers(prefix.key()));
                    servers = self.upstream();
                    way.ask(&servers, &handle, &[], 0).await?
                }
                answered => answered?,
            };
            let remote = match response.code {
                ResponseCode::SUCCESS => Remote::values(response.values(), now_s()),
                ResponseCode::VALUES_NOT_FOUND => Remote::values(&[], now_s()),
                ResponseCode::HANDLE_NOT_FOUND => Remote::missing(&handle),
                ResponseCode::SERVICE_REFERRAL | ResponseCode::PREFIX_REFERRAL => {
                    let ttl_s;
                    (servers, ttl_s) = way.referred(server, &response).await?;
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
            let answer = remote.answer.clone();
            let origin = self.origin(start);
            self.kept.keep(identifier.key(), remote.from(origin));
            return Ok(answer);
        }
    }

    /// Who is asked first, and the prefix that they are kept as the servers of.
    fn first(&self, identifier: &Identifier, start: Start<'_>) -> (Option<Prefix>, Vec<Server>) {
        if let Start::Sites(sites) = start {
            let sites = sites.iter().filter_map(|site| Site::decode(site).ok());
            let servers = sites.flat_map(|site| Server::of_site(&site).collect::<Vec<_>>());
            return (None, servers.collect());
        }
        let prefix = named_prefix(identifier);
        let known = prefix.as_ref().and_then(|it| self.kept.servers(it.key()));
        match known {
            Some(servers) => (prefix, servers.to_vec()),
            None => (None, self.upstream()),
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
        is_host && (is_upstream || !denied)
    }

    fn is_own(&self, server: &Server) -> bool {
        self.options.own.contains(&server.address) && server.is_on(self.options.own_port)
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
