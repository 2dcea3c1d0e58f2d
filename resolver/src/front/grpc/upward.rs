//! UpwardService: what was told to the national node, for the operator alone.

use super::call::Api;
use super::convert::{self, timestamp};
use bytes::Bytes;
use idnode_proto::api;
use idnode_proto::api::upward_channel::State;
use idnode_proto::api::upward_service_server::UpwardService;
use idnode_proto::identifier::Prefix;
use idnode_registry::upward::escrow::Deposit;
use idnode_registry::upward::escrow::entry::listed;
use idnode_registry::upward::{Channel, ChannelStatus, LinkState};
use idnode_registry::{Error, Object};
use tonic::{Request, Response, Status};

/// Deposits listed where nobody says how many, and at most.
const DEFAULT_DEPOSITS: usize = 100;
const MAX_DEPOSITS: usize = 10_000;

#[tonic::async_trait]
impl UpwardService for Api {
    async fn get_upward_status(
        &self,
        request: Request<api::GetUpwardStatusRequest>,
    ) -> Result<Response<api::UpwardStatus>, Status> {
        self.unary(request, |api, caller, _| async move {
            caller.require_operator("the uplink")?;
            let channels = api.core.uplink.channels();
            Ok(api::UpwardStatus {
                channels: channels.into_iter().map(shown_channel).collect(),
            })
        })
        .await
    }

    async fn list_deposits(
        &self,
        request: Request<api::ListDepositsRequest>,
    ) -> Result<Response<api::ListDepositsResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            caller.require_operator("the uplink")?;
            let prefix = match request.prefix.as_str() {
                "" => None,
                text => Some(convert::prefix(text, "prefix")?),
            };
            let limit = match request.limit {
                0 => DEFAULT_DEPOSITS,
                limit => (limit as usize).min(MAX_DEPOSITS),
            };
            let journal = api.core.uplink.journal().clone();
            let found = tokio::task::spawn_blocking(move || {
                listed(&journal, prefix.as_ref().map(Prefix::key), limit)
            });
            let found = found
                .await
                .map_err(|_| Error::Unavailable("the node is shutting down".into()))??;
            let deposits = found
                .into_iter()
                .map(|(key, deposit)| shown_deposit(&key, deposit));
            Ok(api::ListDepositsResponse {
                deposits: deposits.collect(),
            })
        })
        .await
    }

    async fn make_deposits(
        &self,
        request: Request<api::MakeDepositsRequest>,
    ) -> Result<Response<api::MakeDepositsResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            caller.require_operator("the uplink")?;
            let uplink = &api.core.uplink;
            if uplink
                .channels()
                .iter()
                .all(|(channel, _)| *channel != Channel::Escrow)
            {
                let reason = "is off: upward.escrow.server names no server";
                return Err(Error::state(Object::Prefix, "escrow", reason).into());
            }
            let keys = if request.prefix.is_empty() {
                let registry = api.core.registry.clone();
                let keys = tokio::task::spawn_blocking(move || -> Result<Vec<Bytes>, Error> {
                    let moment = registry.moment()?;
                    moment
                        .prefixes(&[], None)?
                        .map(|record| Ok(record?.key))
                        .collect()
                });
                keys.await
                    .map_err(|_| Error::Unavailable("the node is shutting down".into()))??
            } else {
                let prefix = convert::prefix(&request.prefix, "prefix")?;
                vec![api.registry().get_prefix(&caller, &prefix)?.key]
            };
            let prefixes = keys.len() as u32;
            uplink.desk().ask(keys, request.full);
            Ok(api::MakeDepositsResponse { prefixes })
        })
        .await
    }
}

fn shown_deposit(key: &[u8], deposit: Deposit) -> api::Deposit {
    let some = |at_ms: u64| (at_ms > 0).then(|| timestamp(at_ms)).flatten();
    api::Deposit {
        prefix: Prefix::from_key(key).map_or_else(|_| String::new(), |it| it.canonical()),
        // The numbers are the same.
        status: deposit.status,
        watermark: some(deposit.watermark_ms),
        started: some(deposit.started_ms),
        ended: some(deposit.ended_ms),
        id: deposit.id,
        prev_id: deposit.prev_id,
        full: deposit.full,
        revision: deposit.revision,
        reason: deposit.reason,
        attempts: deposit.attempts,
        parts: deposit.parts,
        bytes: deposit.bytes,
        identifiers: deposit.identifiers,
        listing: deposit.listing,
        closes: deposit.closes,
    }
}

fn shown_channel((channel, status): (Channel, ChannelStatus)) -> api::UpwardChannel {
    let state = match status.state {
        LinkState::Starting => State::Starting,
        LinkState::Up => State::Up,
        LinkState::Down => State::Down,
    };
    let last = status.last_exchange_ms;
    api::UpwardChannel {
        name: channel.name().to_owned(),
        server: status.server,
        state: state.into(),
        since: timestamp(status.since_ms),
        last_exchange: (last > 0).then(|| timestamp(last)).flatten(),
        last_error: status.last_error,
        backlog: status.backlog,
    }
}
