//! ResolutionService: one identifier at a time. Batches are in [`super::batch`].

use super::call::Api;
use super::convert::{self, prefix, scheme, timestamp, value};
use super::identifiers::now_s;
use super::status::{Outcome, Refused, Result};
use super::{auth, batch};
use crate::measure;
use crate::recursion::RecursionError;
use crate::resolve::{Answer, Filter, Query, Resolved};
use idnode_proto::api;
use idnode_proto::api::resolution_service_server::ResolutionService;
use idnode_proto::api::resolve_response::Outcome as Resolution;
use idnode_proto::identifier::Identifier;
use idnode_proto::value::MAX_VALUES;
use idnode_registry::{Caller, Error};
use std::pin::Pin;
use std::time::Instant;
use tokio_stream::Stream;
use tonic::metadata::MetadataMap;
use tonic::{Request, Response, Status, Streaming};

#[tonic::async_trait]
impl ResolutionService for Api {
    async fn resolve(
        &self,
        request: Request<api::ResolveRequest>,
    ) -> std::result::Result<Response<api::ResolveResponse>, Status> {
        let started = Instant::now();
        let from = request.remote_addr().map(|address| address.ip());
        let (metadata, _, request) = request.into_parts();
        let resolving = self.resolve_one(&metadata, request);
        let (result, asked) = measure::asker::of_task(from, resolving).await;
        let took = started.elapsed();
        self.meter.count(took, outcome(&result));
        measure::answered(took, asked);
        result.map(Response::new).map_err(Refused::into_status)
    }

    type BatchResolveStream =
        Pin<Box<dyn Stream<Item = std::result::Result<api::BatchResolveResponse, Status>> + Send>>;

    async fn batch_resolve(
        &self,
        request: Request<Streaming<api::BatchResolveRequest>>,
    ) -> std::result::Result<Response<Self::BatchResolveStream>, Status> {
        let from = request.remote_addr().map(|address| address.ip());
        let (metadata, _, inbound) = request.into_parts();
        auth::caller(&self.core, &metadata).map_err(|refused| self.refuse(refused))?;
        Ok(Response::new(Box::pin(batch::answers(
            self.clone(),
            metadata,
            inbound,
            from,
        ))))
    }
}

impl Api {
    async fn resolve_one(
        &self,
        metadata: &MetadataMap,
        request: api::ResolveRequest,
    ) -> Result<api::ResolveResponse> {
        let caller = auth::caller(&self.core, metadata)?;
        let asked = Asked::parse(request)?;
        let query = asked.query(&caller);
        match self.core.resolver.try_resolve(&query) {
            Some(answer) => self.shown_further(answer?, &asked, &query).await,
            None if asked.recurse => {
                let answer = self
                    .in_time(async { Ok(self.core.resolver.resolve(&query).await?) })
                    .await?;
                self.shown_further(answer, &asked, &query).await
            }
            None => self.resolve_from_disk(&query).await,
        }
    }

    /// The core's answer, or that of others where they are to be asked.
    async fn shown_further(
        &self,
        answer: Answer,
        asked: &Asked,
        query: &Query<'_>,
    ) -> Result<api::ResolveResponse> {
        let recursion = self.core.recursion.as_ref().filter(|_| asked.recurse);
        let further = recursion.and_then(|it| {
            let start = it.start(query.identifier, &answer)?;
            Some((it, start))
        });
        let Some((recursion, start)) = further else {
            return shown(answer, query);
        };
        let others = self
            .in_time(async { Ok(recursion.resolve(query.identifier, &start, 0).await) })
            .await?;
        match others {
            Ok(others) => shown(others, query),
            Err(RecursionError::NoWay) => shown(answer, query),
            Err(error) => Err(error.into()),
        }
    }

    /// The answer to a query that memory alone can't answer.
    pub async fn resolve_from_disk(&self, query: &Query<'_>) -> Result<api::ResolveResponse> {
        let answer = self
            .in_time(async { Ok(self.core.resolver.resolve(query).await?) })
            .await?;
        shown(answer, query)
    }
}

/// What a result is counted as.
pub(super) fn outcome(result: &Result<api::ResolveResponse>) -> Outcome {
    match result {
        Ok(api::ResolveResponse {
            outcome: Some(Resolution::Referral(_)),
            ..
        }) => Outcome::Referral,
        Ok(_) => Outcome::Ok,
        Err(refused) => refused.outcome(),
    }
}

/// A request, parsed.
#[derive(Debug)]
pub(super) struct Asked {
    identifier: Identifier,
    filter: Filter,
    public_only: bool,
    /// Others are asked where they answer for the identifier.
    pub recurse: bool,
}

impl Asked {
    /// Errors: it names no identifier, or has more filters than an identifier has values.
    pub fn parse(request: api::ResolveRequest) -> Result<Self> {
        let filters = request.types.len() + request.indexes.len();
        if filters > MAX_VALUES {
            let field = if request.types.len() > MAX_VALUES {
                "types"
            } else {
                "indexes"
            };
            let reason = format!("{filters} filters, at most {MAX_VALUES} are taken");
            return Err(Error::invalid(field, reason).into());
        }
        Ok(Self {
            identifier: convert::identifier(&request.identifier, "identifier")?,
            filter: Filter {
                types: request.types,
                indexes: request.indexes,
            },
            public_only: request.public_only,
            recurse: request.recurse,
        })
    }

    /// The same in a batch, where others are not asked: ten thousand questions at once would keep
    /// everybody else's out.
    pub fn without_recursion(self) -> Result<Self> {
        match self.recurse {
            true => Err(Error::invalid("recurse", "is for one identifier at a time").into()),
            false => Ok(self),
        }
    }

    /// The question to the core.
    pub fn query<'a>(&'a self, caller: &'a Caller) -> Query<'a> {
        Query {
            identifier: &self.identifier,
            filter: &self.filter,
            caller,
            public_only: self.public_only,
        }
    }
}

/// An answer as a message, or why there is none.
pub(super) fn shown(answer: Answer, query: &Query<'_>) -> Result<api::ResolveResponse> {
    let (identifier, resolution) = match answer {
        Answer::Found(resolved) => (
            resolved.spelling(query.identifier),
            Resolution::Record(shown_record(&resolved, query)),
        ),
        Answer::Referral(entry) => {
            let referral = api::Referral {
                prefix: entry.record.prefix()?.canonical(),
                delegation: entry
                    .record
                    .delegation
                    .as_ref()
                    .map(prefix::shown_delegation),
            };
            (query.identifier.canonical(), Resolution::Referral(referral))
        }
        Answer::Missing(missing) => {
            return Err(Refused::Missing {
                missing,
                name: query.identifier.to_string(),
            });
        }
    };
    Ok(api::ResolveResponse {
        identifier,
        scheme: scheme(query.identifier.scheme()),
        outcome: Some(resolution),
    })
}

fn shown_record(resolved: &Resolved, query: &Query<'_>) -> api::Record {
    let now_s = u64::from(now_s());
    let mut ttl_s = None;
    let values = resolved.values(query).map(|found| {
        let left_s = found.ttl().remaining_s(now_s);
        ttl_s = Some(ttl_s.map_or(left_s, |least_s: u32| least_s.min(left_s)));
        value::shown(found)
    });
    api::Record {
        values: values.collect(),
        version: resolved.version(),
        template: resolved.template().unwrap_or_default().to_owned(),
        created_at: timestamp(resolved.created_at_ms()),
        updated_at: timestamp(resolved.updated_at_ms()),
        // An answer without values has no TTL to go by: it is not to be kept.
        ttl_s: ttl_s.unwrap_or(0).saturating_sub(resolved.age_s(now_s)),
    }
}
