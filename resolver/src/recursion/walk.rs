//! Where a question starts, and how it follows referrals to who has the answer.

use super::exchange::Server;
use super::kept::Remote;
use super::way::Way;
use super::{Outcome, Recursion, RecursionError, Start, refused};
use crate::clock::now_s;
use idnode_proto::handle::{Response, ResponseCode, Site};
use idnode_proto::identifier::{Identifier, Prefix};

/// What a way has come to.
#[derive(Debug)]
pub(super) struct Reached {
    /// That the handle is there, that it is not, or that it has no such values.
    pub(super) response: Response,
    /// Who has said so.
    pub(super) server: Server,
    /// Whether it was the best that could be asked; what is answered for want of a better one is
    /// not kept.
    is_settled: bool,
}

/// What those who were asked have answered.
type Answered = Result<(Server, Response), RecursionError>;

impl Recursion {
    pub(super) async fn walk(
        &self,
        identifier: &Identifier,
        start: &Start<'_>,
        hops: u8,
    ) -> Outcome {
        let mut way = Way::new(self, hops);
        let reached = self.reach(&mut way, identifier, start, &[]).await?;
        let response = &reached.response;
        let remote = match response.code {
            ResponseCode::HANDLE_NOT_FOUND => Remote::missing(&identifier.display()),
            _ => Remote::values(response.values(), now_s()),
        };
        let answer = remote.answer.clone();
        if reached.is_settled {
            let origin = self.origin(start);
            self.kept.keep(identifier.key(), remote.from(origin));
        }
        Ok(answer)
    }

    /// Asks for an identifier's values of some types, all if none is named, from a start on.
    pub(super) async fn reach(
        &self,
        way: &mut Way<'_>,
        identifier: &Identifier,
        start: &Start<'_>,
        value_types: &[&str],
    ) -> Result<Reached, RecursionError> {
        let first = self.first(way, identifier, start).await?;
        self.follow(way, identifier, first, value_types).await
    }

    /// The same from servers on.
    pub(super) async fn follow(
        &self,
        way: &mut Way<'_>,
        identifier: &Identifier,
        first: First,
        value_types: &[&str],
    ) -> Result<Reached, RecursionError> {
        let First {
            known,
            mut servers,
            keeps_for,
        } = first;
        // What is answered if nobody knows better than who is asked first.
        let mut otherwise: Option<Answered> = None;
        // Whom a referral has named may be gone, in which case those above need time.
        let mut others = usize::from(self.may_be_gone(&known));
        let mut is_first = true;
        // As it is recognised: others take what is around it for a part of the handle.
        let handle = identifier.display();
        loop {
            let answered = way.ask(&servers, &handle, value_types, others).await;
            others = 0;
            let at_first = std::mem::replace(&mut is_first, false);
            let (server, response) = match answered {
                answered if at_first && known.is_outdated(identifier, &answered) => {
                    otherwise = self.past(&known, answered);
                    servers = match self.instead(way, &known).await {
                        Ok(servers) if !servers.is_empty() => servers,
                        Ok(_) => return better(otherwise, RecursionError::NoWay),
                        Err(error) => return better(otherwise, error),
                    };
                    continue;
                }
                Ok(answered) => answered,
                Err(error) => return better(otherwise, error),
            };
            match response.code {
                ResponseCode::SUCCESS
                | ResponseCode::VALUES_NOT_FOUND
                | ResponseCode::HANDLE_NOT_FOUND => {
                    if at_first && matches!(known, Known::Sibling(_)) {
                        self.by_sibling.increment(1);
                    }
                    return Ok(Reached {
                        response,
                        server,
                        is_settled: true,
                    });
                }
                ResponseCode::SERVICE_REFERRAL | ResponseCode::PREFIX_REFERRAL => {
                    let named = match self.referred(way, server, &response).await {
                        Ok(named) => named,
                        Err(error) => return better(otherwise, error),
                    };
                    servers = named.servers;
                    // Kept for the prefix that was asked for and no other, whatever the referral
                    // says that it is for: who was asked must not speak for others.
                    if let Some(prefix) = &keeps_for {
                        let kept = servers.as_slice().into();
                        self.kept.keep_servers(prefix.key(), kept, named.ttl_s);
                    }
                }
                code => return Err(refused(server.address, code, &response)),
            }
        }
    }

    /// Who is asked first.
    async fn first(
        &self,
        way: &mut Way<'_>,
        identifier: &Identifier,
        start: &Start<'_>,
    ) -> Result<First, RecursionError> {
        Ok(match start {
            Start::Sites(sites) => {
                let sites = sites.iter().filter_map(|site| Site::decode(site).ok());
                let servers = sites.flat_map(|site| Server::of_site(&site).collect::<Vec<_>>());
                First::asking(servers.collect())
            }
            Start::Service(handle) => {
                let named = self.service(way, handle, None).await?;
                let known = named
                    .kept_as
                    .map_or(Known::Nobody, |kept_as| Known::Service {
                        handle: (*handle).to_owned(),
                        kept_as,
                    });
                First {
                    known,
                    ..First::asking(named.servers)
                }
            }
            Start::Sibling(route) => {
                let servers = route.servers.iter();
                let servers = servers.map(|(address, ports)| Server::at(*address, ports));
                First {
                    known: Known::Sibling(route.prefix.clone()),
                    ..First::asking(servers.collect())
                }
            }
            Start::Upstream => {
                let prefix = named_prefix(identifier);
                let kept = prefix.as_ref().and_then(|it| self.kept.servers(it.key()));
                let (known, servers) = match (kept, &prefix) {
                    (Some(servers), Some(it)) => (Known::Kept(it.clone()), servers.to_vec()),
                    _ => (Known::Nobody, self.upstream()),
                };
                First {
                    known,
                    servers,
                    keeps_for: prefix,
                }
            }
        })
    }

    /// Whether who is asked first may be gone while others know who has come instead.
    fn may_be_gone(&self, known: &Known) -> bool {
        match known {
            Known::Nobody => false,
            Known::Service { .. } => true,
            Known::Kept(_) | Known::Sibling(_) => !self.options.upstream.is_empty(),
        }
    }

    /// Those who were asked first do not know: what is answered if nobody knows better.
    fn past(&self, known: &Known, answered: Answered) -> Option<Answered> {
        match known {
            Known::Nobody => None,
            Known::Service { kept_as, .. } => {
                self.kept.forget_service(kept_as);
                Some(answered)
            }
            Known::Kept(prefix) => {
                self.kept.forget_servers(prefix.key());
                None
            }
            Known::Sibling(_) => {
                self.past_sibling.increment(1);
                Some(answered)
            }
        }
    }

    /// Who is asked instead of them.
    async fn instead(
        &self,
        way: &mut Way<'_>,
        known: &Known,
    ) -> Result<Vec<Server>, RecursionError> {
        match known {
            Known::Service { handle, .. } => Ok(self.service(way, handle, None).await?.servers),
            Known::Nobody | Known::Kept(_) | Known::Sibling(_) => Ok(self.upstream()),
        }
    }
}

/// What is answered where those above have failed: what was answered before, if they just do not
/// know.
fn better(otherwise: Option<Answered>, error: RecursionError) -> Result<Reached, RecursionError> {
    let otherwise = otherwise.filter(|_| error.is_ignorance());
    let (server, response) = otherwise.unwrap_or(Err(error))?;
    Ok(Reached {
        response,
        server,
        is_settled: false,
    })
}

/// Who is asked first.
#[derive(Debug)]
pub(super) struct First {
    known: Known,
    servers: Vec<Server>,
    /// The prefix that the servers of a referral are kept for.
    keeps_for: Option<Prefix>,
}

impl First {
    /// These servers, which nobody else is asked instead of.
    pub(super) fn asking(servers: Vec<Server>) -> Self {
        Self {
            known: Known::Nobody,
            servers,
            keeps_for: None,
        }
    }
}

/// What who is asked first rests on.
#[derive(Debug)]
enum Known {
    /// A delegation, or nothing but the configuration.
    Nobody,
    /// What a service's handle has said before.
    Service {
        /// The service that the delegation names.
        handle: String,
        /// The one whose servers were kept: that, or one that it leads to.
        kept_as: Box<[u8]>,
    },
    /// A referral that was kept for this prefix.
    Kept(Prefix),
    /// What a sibling has announced for this prefix.
    Sibling(Prefix),
}

impl Known {
    /// Whether an answer, or that there is none, is a reason to ask others.
    fn is_outdated(&self, identifier: &Identifier, answered: &Answered) -> bool {
        match (self, answered) {
            (Self::Nobody, _) | (_, Err(RecursionError::TooDeep)) => false,
            (_, Err(_)) => true,
            // A node need not have its own prefix registered: whoever gave it knows that handle.
            (Self::Sibling(prefix), Ok((_, response))) => {
                response.code == ResponseCode::HANDLE_NOT_FOUND
                    && identifier.prefix_handle().as_ref() == Some(prefix)
            }
            (Self::Kept(_) | Self::Service { .. }, Ok(_)) => false,
        }
    }
}

/// The prefix whose servers an identifier's referral is about; none of `0.NA/88.118`, which is
/// about another one.
fn named_prefix(identifier: &Identifier) -> Option<Prefix> {
    let is_prefix = identifier.prefix_handle().is_some();
    identifier.prefix().filter(|_| !is_prefix)
}
