//! PrefixService.

use super::call::{Api, idempotency};
use super::convert::{self, prefix};
use super::identifiers::now_s;
use super::status::Result;
use idnode_proto::api;
use idnode_proto::api::prefix_service_server::PrefixService;
use idnode_registry::Error;
use idnode_registry::write::{Command, Outcome, PrefixUpdate, Receipt};
use std::mem::take;
use std::sync::atomic::Ordering;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl PrefixService for Api {
    async fn apply_prefix(
        &self,
        request: Request<api::ApplyPrefixRequest>,
    ) -> std::result::Result<Response<api::PrefixReceipt>, Status> {
        self.unary(request, |api, caller, mut request| async move {
            let key = take(&mut request.idempotency_key);
            let idempotency = idempotency("ApplyPrefix", key, &request);
            let named = convert::optional_enterprise_id(&request.enterprise_id, "enterprise_id")?;
            let enterprise = named.or_else(|| caller.enterprise()).ok_or_else(|| {
                Error::invalid("enterprise_id", "must name the enterprise that applies")
            })?;
            let command = Command::ApplyPrefix {
                prefix: convert::prefix(&request.prefix, "prefix")?,
                enterprise,
            };
            answer(api.write(&caller, idempotency, command).await?)
        })
        .await
    }

    async fn get_prefix(
        &self,
        request: Request<api::GetPrefixRequest>,
    ) -> std::result::Result<Response<api::Prefix>, Status> {
        self.unary(request, |api, caller, request| async move {
            let asked = convert::prefix(&request.prefix, "prefix")?;
            Ok(prefix::shown(api.registry().get_prefix(&caller, &asked)?)?)
        })
        .await
    }

    async fn list_prefixes(
        &self,
        request: Request<api::ListPrefixesRequest>,
    ) -> std::result::Result<Response<api::ListPrefixesResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            let enterprise =
                convert::optional_enterprise_id(&request.enterprise_id, "enterprise_id")?;
            let state = prefix::parse_state(request.state)?;
            let page = convert::page(request.page);
            api.read(move |registry| {
                let listed = registry.list_prefixes(&caller, enterprise, state, &page)?;
                let prefixes = listed.items.into_iter().map(prefix::shown);
                Ok(api::ListPrefixesResponse {
                    prefixes: prefixes.collect::<idnode_registry::Result<_>>()?,
                    next_page_token: listed.next_token,
                })
            })
            .await
        })
        .await
    }

    async fn transition_prefix(
        &self,
        request: Request<api::TransitionPrefixRequest>,
    ) -> std::result::Result<Response<api::PrefixReceipt>, Status> {
        self.unary(request, |api, caller, mut request| async move {
            let key = take(&mut request.idempotency_key);
            let idempotency = idempotency("TransitionPrefix", key, &request);
            let command = Command::TransitionPrefix {
                prefix: convert::prefix(&request.prefix, "prefix")?,
                action: prefix::parse_action(request.action)?,
                message: request.message,
                expected_version: request.expected_version,
            };
            answer(api.write(&caller, idempotency, command).await?)
        })
        .await
    }

    async fn set_delegation(
        &self,
        request: Request<api::SetDelegationRequest>,
    ) -> std::result::Result<Response<api::PrefixReceipt>, Status> {
        self.unary(request, |api, caller, mut request| async move {
            let key = take(&mut request.idempotency_key);
            let idempotency = idempotency("SetDelegation", key, &request);
            let command = Command::SetDelegation {
                prefix: convert::prefix(&request.prefix, "prefix")?,
                delegation: request
                    .delegation
                    .map(prefix::parse_delegation)
                    .transpose()?,
                expected_version: request.expected_version,
            };
            answer(api.write(&caller, idempotency, command).await?)
        })
        .await
    }

    async fn update_prefix_values(
        &self,
        request: Request<api::UpdatePrefixValuesRequest>,
    ) -> std::result::Result<Response<api::PrefixReceipt>, Status> {
        self.unary(request, |api, caller, mut request| async move {
            let key = take(&mut request.idempotency_key);
            let idempotency = idempotency("UpdatePrefixValues", key, &request);
            let update = PrefixUpdate::new(
                convert::prefix(&request.prefix, "prefix")?,
                convert::value::parse_all(&request.set_values, "set_values")?,
                request.remove_indexes,
                request.replace_all,
                request.expected_version,
                now_s(),
            )?;
            answer(
                api.write(&caller, idempotency, Command::UpdatePrefix(update))
                    .await?,
            )
        })
        .await
    }

    async fn get_prefix_statistics(
        &self,
        request: Request<api::GetPrefixStatisticsRequest>,
    ) -> std::result::Result<Response<api::PrefixStatistics>, Status> {
        self.unary(request, |api, caller, request| async move {
            let asked = convert::prefix(&request.prefix, "prefix")?;
            let counters = api.registry().prefix_counters(&caller, &asked)?;
            let entry = api.registry().prefixes().get(asked.key());
            let traffic = entry.as_ref().map(|entry| &entry.traffic);
            let changed = Some(counters.last_change_ms).filter(|at_ms| *at_ms > 0);
            Ok(api::PrefixStatistics {
                prefix: asked.canonical(),
                identifiers: counters.identifiers,
                deleted: counters.deleted,
                creations: counters.creations,
                updates: counters.updates,
                deletions: counters.deletions,
                value_bytes: counters.value_bytes,
                queries: traffic.map_or(0, |traffic| traffic.queries.load(Ordering::Relaxed)),
                successes: traffic.map_or(0, |traffic| traffic.successes.load(Ordering::Relaxed)),
                last_change_at: changed.and_then(convert::timestamp),
            })
        })
        .await
    }
}

fn answer(receipt: Receipt) -> Result<api::PrefixReceipt> {
    let answered = Some(convert::receipt(&receipt));
    let prefix = match receipt.outcome {
        Outcome::Prefix(record) => Some(prefix::shown(*record)?),
        _ => None,
    };
    Ok(api::PrefixReceipt {
        receipt: answered,
        prefix,
    })
}
