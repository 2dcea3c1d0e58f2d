//! The servers of a service, which its handle names (RFC 3651 §3.2.4): the handle is found as any
//! other, here or elsewhere, and its HS_SITE values are the service's sites.

use super::exchange::Server;
use super::kept::MAX_SERVERS;
use super::walk::{First, Reached};
use super::way::Way;
use super::{Recursion, RecursionError};
use crate::clock::now_s;
use crate::resolve::{Answer, Filter, Missing, Query, Resolved};
use idnode_proto::handle::{Response, ResponseBody, ResponseCode, Site, decode_handle_data};
use idnode_proto::identifier::Identifier;
use idnode_proto::value::{Value, types};
use idnode_registry::Caller;
use std::pin::Pin;

/// What of a handle says where its service is: sites, or the handle of a service that has them.
const WHERE: [&str; 2] = [types::HS_SITE, types::HS_SERV];

/// Servers that somebody has named.
#[derive(Debug)]
pub(super) struct Named {
    pub(super) servers: Vec<Server>,
    /// How long that holds, seconds.
    pub(super) ttl_s: u32,
    /// The key of the service whose servers were kept, if they are not as others have just said.
    pub(super) kept_as: Option<Box<[u8]>>,
}

type Naming<'n> = Pin<Box<dyn Future<Output = Result<Named, RecursionError>> + Send + 'n>>;

impl Recursion {
    /// The servers of the service with this handle, whose name `by` has given; without, a
    /// delegation of this registry, or another service's handle.
    ///
    /// # Errors
    /// [`RecursionError::Service`]; [`RecursionError::Circle`] where the handle leads to itself.
    // On the heap: to find a service's handle may take another service.
    pub(super) fn service<'n>(
        &'n self,
        way: &'n mut Way<'_>,
        handle: &'n str,
        by: Option<Server>,
    ) -> Naming<'n> {
        Box::pin(async move {
            let identifier = Identifier::parse(handle);
            let identifier = identifier.map_err(|error| lost(handle, error))?;
            way.enter(&identifier)?;
            let named = self.locate(way, &identifier, by).await;
            way.leave();
            named.map_err(|error| match error {
                RecursionError::Refused { .. } | RecursionError::Unreachable { .. } => {
                    lost(handle, error)
                }
                _ => error,
            })
        })
    }

    async fn locate(
        &self,
        way: &mut Way<'_>,
        service: &Identifier,
        by: Option<Server>,
    ) -> Result<Named, RecursionError> {
        let Some(by) = by else {
            return self.locate_as_any(way, service).await;
        };
        // Who names a handle mostly has it.
        match self.locate_at(way, service, by).await {
            Err(error) if error.is_ignorance() => {
                let elsewhere = self.locate_as_any(way, service).await;
                elsewhere.map_err(|other| if other.is_ignorance() { error } else { other })
            }
            there => there,
        }
    }

    /// The servers as one server and those that it refers to know them.
    async fn locate_at(
        &self,
        way: &mut Way<'_>,
        service: &Identifier,
        by: Server,
    ) -> Result<Named, RecursionError> {
        let first = First::asking(vec![by]);
        let reached = self.follow(way, service, first, &WHERE).await?;
        let values = values_of(service, reached)?;
        self.servers_of(way, service, &values, Some(by)).await
    }

    /// The servers, wherever the service's handle is.
    async fn locate_as_any(
        &self,
        way: &mut Way<'_>,
        service: &Identifier,
    ) -> Result<Named, RecursionError> {
        let said = self.core.look_up(service).await;
        let said = said.map_err(|error| lost(&service.display(), error))?;
        if let Answer::Found(resolved) = &said {
            let values = public(resolved, service);
            return self.servers_of(way, service, &values, None).await;
        }
        let Some(start) = self.start(service, &said) else {
            return Err(lost(&service.display(), absent(&said)));
        };
        // Said by others, it holds as long as these are who is asked.
        let key: Box<[u8]> = [service.key(), &self.origin(&start).to_be_bytes()]
            .concat()
            .into();
        if let Some((servers, ttl_s)) = self.kept.service(&key) {
            return Ok(Named {
                servers: servers.to_vec(),
                ttl_s,
                kept_as: Some(key),
            });
        }
        let reached = self.reach(way, service, &start, &WHERE).await?;
        let values = values_of(service, reached)?;
        let named = self.servers_of(way, service, &values, None).await?;
        if named.kept_as.is_none() {
            let servers = named.servers.as_slice().into();
            self.kept.keep_service(key, servers, named.ttl_s);
        }
        Ok(named)
    }

    /// The servers of a service by the values of its handle.
    async fn servers_of(
        &self,
        way: &mut Way<'_>,
        service: &Identifier,
        values: &[Value],
        by: Option<Server>,
    ) -> Result<Named, RecursionError> {
        if let Some(named) = Named::by_sites(values) {
            return Ok(named);
        }
        let Some((next, ttl_s)) = service_in(values) else {
            return Err(lost(&service.display(), "it has no site (HS_SITE)"));
        };
        let mut named = self.service(way, &next, by).await?;
        named.ttl_s = named.ttl_s.min(ttl_s);
        Ok(named)
    }

    /// The servers that a referral of `by` names.
    pub(super) async fn referred(
        &self,
        way: &mut Way<'_>,
        by: Server,
        referral: &Response,
    ) -> Result<Named, RecursionError> {
        let ResponseBody::Referral { handle, sites } = &referral.body else {
            return Err(RecursionError::NoWay);
        };
        if let Some(named) = Named::by_sites(sites) {
            return Ok(named);
        }
        // A handle alone: of the prefix, or of the service.
        let next = service_in(sites).map_or_else(|| handle.clone(), |(next, _)| next);
        if next.is_empty() {
            return Err(RecursionError::NoWay);
        }
        self.service(way, &next, Some(by)).await
    }
}

impl Named {
    /// By HS_SITE values; `None`: there is none.
    fn by_sites(values: &[Value]) -> Option<Self> {
        let sites = || values.iter().filter(|it| it.value_type == types::HS_SITE);
        let servers = sites()
            .filter_map(|value| Site::decode(&value.data).ok())
            .flat_map(|site| Server::of_site(&site).collect::<Vec<_>>())
            .take(MAX_SERVERS)
            .collect();
        let ttl_s = sites().map(|value| value.ttl.remaining_s(now_s())).min()?;
        Some(Self {
            servers,
            ttl_s,
            kept_as: None,
        })
    }
}

/// What anybody may read of a handle that is registered here.
fn public(resolved: &Resolved, identifier: &Identifier) -> Vec<Value> {
    let filter = Filter {
        types: WHERE.map(str::to_owned).to_vec(),
        indexes: Vec::new(),
    };
    let query = Query {
        identifier,
        filter: &filter,
        caller: &Caller::Stranger,
        public_only: true,
    };
    let values = resolved.values(&query);
    values.map(|it| it.to_owned()).collect()
}

/// What others have of it.
fn values_of(service: &Identifier, reached: Reached) -> Result<Vec<Value>, RecursionError> {
    let response = reached.response;
    match (response.code, response.body) {
        (ResponseCode::SUCCESS, ResponseBody::Values { values, .. }) => Ok(values),
        (ResponseCode::HANDLE_NOT_FOUND, _) => Err(lost(&service.display(), NOT_REGISTERED)),
        _ => Ok(Vec::new()),
    }
}

const NOT_REGISTERED: &str = "it is not registered";

/// Why the core has no values, in words.
fn absent(said: &Answer) -> &'static str {
    match said {
        Answer::Missing(Missing::Deleted { .. }) => "it was deleted",
        Answer::Missing(Missing::PrefixNotActive(_)) => "its prefix is not active",
        _ => NOT_REGISTERED,
    }
}

fn lost(handle: &str, cause: impl ToString) -> RecursionError {
    RecursionError::Service {
        handle: handle.to_owned(),
        cause: cause.to_string(),
    }
}

/// The handle of a service, HS_SERV, and how long that holds, seconds.
fn service_in(values: &[Value]) -> Option<(String, u32)> {
    let value = values.iter().find(|it| it.value_type == types::HS_SERV)?;
    let handle = decode_handle_data(&value.data).ok()?;
    Some((handle.to_owned(), value.ttl.remaining_s(now_s())))
}
