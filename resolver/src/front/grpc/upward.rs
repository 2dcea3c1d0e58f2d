//! UpwardService: what was told to the national node, for the operator alone.

use super::call::Api;
use super::convert::{self, timestamp, unnamed};
use super::routes;
use super::takeover;
use bytes::Bytes;
use idnode_proto::api;
use idnode_proto::api::UpwardTransactionState;
use idnode_proto::api::upward_channel::State;
use idnode_proto::api::upward_service_server::UpwardService;
use idnode_proto::identifier::Prefix;
use idnode_registry::read::MAX_PAGE;
use idnode_registry::upward::epp::records::{Kind, Records, Transaction, TransactionState};
use idnode_registry::upward::escrow::Deposit;
use idnode_registry::upward::escrow::entry::listed;
use idnode_registry::upward::sync;
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

    async fn list_upward_transactions(
        &self,
        request: Request<api::ListUpwardTransactionsRequest>,
    ) -> Result<Response<api::ListUpwardTransactionsResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            caller.require_operator("the uplink")?;
            let wanted = Wanted::parse(&request)?;
            api.read(move |registry| {
                let records = Records(registry.journal());
                let mut found = Vec::new();
                let newest = |found: &mut Vec<Transaction>, limit| {
                    found.sort_by(|a, b| {
                        let order = b.created_at_ms.cmp(&a.created_at_ms);
                        order.then_with(|| a.client_id.cmp(&b.client_id))
                    });
                    found.truncate(limit);
                };
                // However many there are, no more are held than are to be shown, and as many again.
                let held = wanted.limit + 1;
                records.each_transaction(|transaction| {
                    if wanted.is(&transaction) {
                        found.push(transaction);
                    }
                    if found.len() >= 2 * held {
                        newest(&mut found, held);
                    }
                    Ok(())
                })?;
                newest(&mut found, held);
                let more = found.len() > wanted.limit;
                found.truncate(wanted.limit);
                Ok(api::ListUpwardTransactionsResponse {
                    transactions: found.into_iter().map(shown_transaction).collect(),
                    more,
                })
            })
            .await
        })
        .await
    }

    async fn restart_changes(
        &self,
        request: Request<api::RestartChangesRequest>,
    ) -> Result<Response<api::RestartChangesResponse>, Status> {
        self.unary(request, |api, caller, _| async move {
            caller.require_operator("the uplink")?;
            let uplink = api.core.uplink.clone();
            let is_sync = |(channel, _): &(Channel, ChannelStatus)| *channel == Channel::Sync;
            if !uplink.channels().iter().any(is_sync) {
                let reason = "is off: upward.sync.server names no server";
                return Err(Error::state(Object::Prefix, "the stream of changes", reason).into());
            }
            tokio::task::spawn_blocking(move || sync::restart(&uplink))
                .await
                .map_err(|_| Error::Unavailable("the node is shutting down".into()))??;
            Ok(api::RestartChangesResponse {})
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

    async fn list_siblings(
        &self,
        request: Request<api::ListSiblingsRequest>,
    ) -> Result<Response<api::ListSiblingsResponse>, Status> {
        self.unary(request, |api, caller, _| async move {
            caller.require_operator("the uplink")?;
            let siblings = api.core.uplink.siblings().clone();
            api.read(move |registry| routes::listed(registry, &siblings))
                .await
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

    async fn get_takeover(
        &self,
        request: Request<api::GetTakeoverRequest>,
    ) -> Result<Response<api::TakeoverStatus>, Status> {
        self.unary(request, |api, caller, _| takeover::status(api, caller))
            .await
    }

    async fn list_takeover_conflicts(
        &self,
        request: Request<api::ListTakeoverConflictsRequest>,
    ) -> Result<Response<api::ListTakeoverConflictsResponse>, Status> {
        self.unary(request, takeover::conflicts).await
    }

    async fn settle_takeover_conflict(
        &self,
        request: Request<api::SettleTakeoverConflictRequest>,
    ) -> Result<Response<api::ShownConflict>, Status> {
        self.unary(request, takeover::settled).await
    }
}

/// Which transactions are listed.
struct Wanted {
    limit: usize,
    state: Option<TransactionState>,
    kind: Option<Kind>,
    subject: String,
}

impl Wanted {
    fn parse(request: &api::ListUpwardTransactionsRequest) -> super::status::Result<Self> {
        let state = match UpwardTransactionState::try_from(request.state) {
            Ok(UpwardTransactionState::Unspecified) => None,
            Ok(UpwardTransactionState::Owed) => Some(TransactionState::Owed),
            Ok(UpwardTransactionState::Sent) => Some(TransactionState::Sent),
            Ok(UpwardTransactionState::Done) => Some(TransactionState::Done),
            Ok(UpwardTransactionState::Refused) => Some(TransactionState::Refused),
            Err(_) => return Err(unnamed("state", request.state)),
        };
        let kind = match Kind::try_from(request.kind) {
            Ok(Kind::Unspecified) => None,
            Ok(kind) => Some(kind),
            Err(_) => return Err(unnamed("kind", request.kind)),
        };
        Ok(Self {
            limit: match request.limit {
                0 => 100,
                limit => (limit as usize).min(MAX_PAGE),
            },
            state,
            kind,
            subject: request.subject.clone(),
        })
    }

    fn is(&self, transaction: &Transaction) -> bool {
        self.state.is_none_or(|state| transaction.state() == state)
            && self.kind.is_none_or(|kind| transaction.kind() == kind)
            && (self.subject.is_empty() || self.subject == transaction.subject)
    }
}

fn shown_transaction(transaction: Transaction) -> api::UpwardTransaction {
    let state = match transaction.state() {
        TransactionState::Owed => UpwardTransactionState::Owed,
        TransactionState::Sent => UpwardTransactionState::Sent,
        TransactionState::Done => UpwardTransactionState::Done,
        TransactionState::Refused => UpwardTransactionState::Refused,
    };
    let known = |at_ms: u64| (at_ms > 0).then(|| timestamp(at_ms)).flatten();
    api::UpwardTransaction {
        kind: transaction.kind,
        state: state.into(),
        code: transaction.code,
        attempts: transaction.attempts,
        created_at: known(transaction.created_at_ms),
        sent_at: known(transaction.sent_at_ms),
        settled_at: known(transaction.settled_at_ms),
        client_id: transaction.client_id,
        server_id: transaction.server_id,
        subject: transaction.subject,
        message: transaction.message,
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
        owed_since: (status.owed_since_ms > 0)
            .then(|| timestamp(status.owed_since_ms))
            .flatten(),
        aside: status.aside,
    }
}
