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
//! | `exchange` | one question to one server |
//! | `kept` | answers and servers, kept |

mod exchange;
mod kept;
#[cfg(test)]
mod tests;

use crate::clock::now_s;
use crate::resolve::Answer;
use bytes::Bytes;
use exchange::{Server, ask_within};
use idnode_proto::handle::{OpFlags, RequestHead, Response, ResponseBody, ResponseCode, Site};
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_proto::value::{Value, types};
use ipnet::IpNet;
use kept::{Kept, MAX_SERVERS, Remote};
use metrics::Counter;
use parking_lot::Mutex;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Weak};
use std::time::Duration;
use thiserror::Error;
use tokio::sync::{OnceCell, Semaphore};

/// Services that one question may pass through, this one among them.
pub const MAX_HOPS: u8 = 8;

/// What an operator sets of recursion.
#[derive(Debug, Clone)]
pub struct RecursionOptions {
    /// Who is asked for prefixes that nobody here knows of: the national resolver.
    pub upstream: Vec<SocketAddr>,
    /// How long all of a question's hops may take together.
    pub timeout: Duration,
    /// Questions under way at once.
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
/// A question that is answered once for all who ask it.
type Question = OnceCell<Outcome>;

/// Asks others.
#[derive(Debug)]
pub struct Recursion {
    options: RecursionOptions,
    kept: Kept,
    /// Questions under way, by identifier: who asks the same meanwhile waits for the answer.
    under_way: Mutex<HashMap<Box<[u8]>, Weak<Question>>>,
    places: Semaphore,
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
            under_way: Mutex::default(),
            places: Semaphore::new(options.max_in_flight.min(Semaphore::MAX_PERMITS)),
            asked: outcome("answered"),
            failed: outcome("failed"),
            from_memory: outcome("kept"),
            options,
        }
    }

    /// What was answered before and still holds. Never waits.
    pub fn kept(&self, identifier: &Identifier) -> Option<Answer> {
        let answer = self.kept.answer(identifier.key())?;
        self.from_memory.increment(1);
        Some(answer)
    }

    /// Asks for an identifier, `handle` being how it is spelled to others. `hops`: the services
    /// that the question has passed through before it came here.
    ///
    /// # Errors
    /// [`RecursionError`].
    pub async fn resolve(
        &self,
        identifier: &Identifier,
        handle: &str,
        start: Start<'_>,
        hops: u8,
    ) -> Outcome {
        if hops >= MAX_HOPS {
            return Err(RecursionError::TooDeep);
        }
        if let Some(answer) = self.kept(identifier) {
            return Ok(answer);
        }
        let question = self.join(identifier.key());
        let ask = async {
            let _place = self
                .places
                .try_acquire()
                .map_err(|_| RecursionError::Busy)?;
            let walk = self.walk(identifier, handle, start, hops);
            let outcome = tokio::time::timeout(self.options.timeout, walk).await;
            outcome.unwrap_or(Err(RecursionError::NoWay))
        };
        let outcome = question.get_or_init(|| ask).await.clone();
        self.under_way.lock().remove(identifier.key());
        match outcome {
            Ok(_) => self.asked.increment(1),
            Err(_) => self.failed.increment(1),
        }
        outcome
    }

    fn join(&self, key: &[u8]) -> Arc<Question> {
        let mut under_way = self.under_way.lock();
        if let Some(question) = under_way.get(key).and_then(Weak::upgrade) {
            return question;
        }
        // Those that everybody has ceased to wait for.
        if under_way.len() > 2 * self.options.max_in_flight {
            under_way.retain(|_, question| question.strong_count() > 0);
        }
        let question = Arc::default();
        under_way.insert(key.into(), Arc::downgrade(&question));
        question
    }

    async fn walk(
        &self,
        identifier: &Identifier,
        handle: &str,
        start: Start<'_>,
        hops: u8,
    ) -> Outcome {
        let mut way = Way {
            recursion: self,
            visited: Vec::new(),
            hops,
        };
        let (known, mut servers) = self.first(identifier, start);
        loop {
            let answered = way.ask(&servers, handle, &[]).await;
            let (server, response) = match answered {
                // Who served the prefix may have changed: those above know.
                Err(_) if known.is_some() && way.hops == hops + 1 => {
                    known
                        .iter()
                        .for_each(|prefix| self.kept.forget_servers(prefix.key()));
                    servers = self.upstream();
                    way.ask(&servers, handle, &[]).await?
                }
                answered => answered?,
            };
            let remote = match response.code {
                ResponseCode::SUCCESS => Remote::values(response.values(), now_s()),
                ResponseCode::VALUES_NOT_FOUND => Remote::values(&[], now_s()),
                ResponseCode::HANDLE_NOT_FOUND => Remote::missing(),
                ResponseCode::SERVICE_REFERRAL | ResponseCode::PREFIX_REFERRAL => {
                    let ttl_s;
                    (servers, ttl_s) = way.referred(&servers, &response).await?;
                    // Kept for the prefix that was asked for and no other, whatever the referral
                    // says that it is for: who was asked must not speak for others.
                    if let (Some(prefix), Start::Upstream) = (named_prefix(identifier), start) {
                        self.kept
                            .keep_servers(prefix.key(), servers.as_slice().into(), ttl_s);
                    }
                    continue;
                }
                code => return Err(refused(server, code, &response)),
            };
            let answer = remote.answer.clone();
            self.kept.keep(identifier.key(), remote);
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

/// One question's way through the services.
struct Way<'a> {
    recursion: &'a Recursion,
    visited: Vec<Server>,
    /// Services it has passed through, those before this node among them.
    hops: u8,
}

impl Way<'_> {
    /// The first answer that one of the servers gives to a resolution of public values. One that
    /// says it is not responsible shares the site with one that is.
    async fn ask(
        &mut self,
        servers: &[Server],
        handle: &str,
        value_types: &[&str],
    ) -> Result<(IpAddr, Response), RecursionError> {
        self.hops += 1;
        if self.hops > MAX_HOPS {
            return Err(RecursionError::TooDeep);
        }
        let mut failure = RecursionError::NoWay;
        for server in servers.iter().take(MAX_SERVERS) {
            if !self.recursion.may_ask(server) {
                continue;
            }
            if self.recursion.is_own(server) || self.visited.contains(server) {
                failure = RecursionError::Circle;
                continue;
            }
            if value_types.is_empty() {
                self.visited.push(*server);
            }
            match self.exchange(server, handle, value_types).await {
                Ok(response) if response.code == ResponseCode::NOT_RESPONSIBLE => {
                    failure = refused(server.address, response.code, &response);
                }
                Ok(response) => return Ok((server.address, response)),
                Err(error) => {
                    failure = RecursionError::Unreachable {
                        server: server.address,
                        cause: error.to_string(),
                    };
                }
            }
        }
        Err(failure)
    }

    async fn exchange(
        &self,
        server: &Server,
        handle: &str,
        value_types: &[&str],
    ) -> std::io::Result<Response> {
        let id = getrandom::u32().map_err(std::io::Error::other)?;
        let mut head = RequestHead::new(id);
        head.flags = OpFlags::PUBLIC_ONLY | OpFlags::REQUEST_DIGEST;
        head.recursion_count = self.hops;
        let request = head
            .resolve(handle, &[], value_types)
            .map_err(std::io::Error::other)?;
        ask_within(server, &request, id, self.recursion.options.timeout).await
    }

    /// The servers that a referral names, and how long it holds, seconds.
    async fn referred(
        &mut self,
        by: &[Server],
        referral: &Response,
    ) -> Result<(Vec<Server>, u32), RecursionError> {
        let ResponseBody::Referral { handle, sites } = &referral.body else {
            return Err(RecursionError::NoWay);
        };
        let mut values = sites.clone();
        let mut of = handle.clone();
        // A handle alone: whoever names it resolves it, to sites or to the service that has them.
        while !values.iter().any(is_site) {
            let next = service(&values).unwrap_or(of);
            let wanted = [types::HS_SITE, types::HS_SERV];
            let (_, response) = self.ask(by, &next, &wanted).await?;
            if response.values().is_empty() {
                return Err(RecursionError::NoWay);
            }
            values = response.values().to_vec();
            of = next;
        }
        let servers: Vec<_> = values
            .iter()
            .filter(|value| is_site(value))
            .filter_map(|value| Site::decode(&value.data).ok())
            .flat_map(|site| Server::of_site(&site).collect::<Vec<_>>())
            .take(MAX_SERVERS)
            .collect();
        let ttl_s = values.iter().map(|value| value.ttl.remaining_s(now_s()));
        Ok((servers, ttl_s.min().unwrap_or(0)))
    }
}

fn is_site(value: &Value) -> bool {
    value.value_type == types::HS_SITE
}

/// The handle of a service, HS_SERV.
fn service(values: &[Value]) -> Option<String> {
    let value = values.iter().find(|it| it.value_type == types::HS_SERV)?;
    String::from_utf8(value.data.clone()).ok()
}
