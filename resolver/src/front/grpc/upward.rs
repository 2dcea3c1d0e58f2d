//! UpwardService: what was told to the national node, for the operator alone.

use super::call::Api;
use super::convert::{timestamp, unnamed};
use idnode_proto::api;
use idnode_proto::api::UpwardTransactionState;
use idnode_proto::api::upward_channel::State;
use idnode_proto::api::upward_service_server::UpwardService;
use idnode_registry::read::MAX_PAGE;
use idnode_registry::upward::epp::records::{Kind, Records, Transaction, TransactionState};
use idnode_registry::upward::{Channel, ChannelStatus, LinkState};
use tonic::{Request, Response, Status};

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
                let mut found = records.transactions()?;
                found.retain(|it| wanted.is(it));
                found.sort_by(|a, b| {
                    let order = b.created_at_ms.cmp(&a.created_at_ms);
                    order.then_with(|| a.client_id.cmp(&b.client_id))
                });
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
