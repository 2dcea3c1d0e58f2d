//! `idctl prefix`: prefixes (前缀) and their lifecycle: 待审核 → 审核中 → 启用 | 驳回; 停用, 待删除.

use clap::{Subcommand, ValueEnum};
use idnode_proto::api::prefix_service_client::PrefixServiceClient;
use idnode_proto::api::{
    ApplyPrefixRequest, Delegation, GetPrefixRequest, GetPrefixStatisticsRequest,
    ListPrefixesRequest, Prefix, PrefixAction, PrefixReceipt, PrefixState, PrefixStatistics,
    SetDelegationRequest, TransitionPrefixRequest,
};
use serde_json::json;
use tonic::transport::Channel;

use super::error::Failure;
use super::json;
use super::output::Table;
use super::page::{OnceArgs, PageArgs, WriteArgs};
use super::prefix_delegation::{self, DelegateArgs};
use super::prefix_values;
use super::resolve::value_table;
use super::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Apply for a prefix
    Apply {
        /// e.g. 88.118.8, oid:1.2.156.3001, gs1:6901234
        prefix: String,
        /// For which enterprise; the caller's own unless given
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        enterprise_id: String,
        #[command(flatten)]
        once: OnceArgs,
    },
    /// Show a prefix
    Get { prefix: String },
    /// List prefixes
    List {
        #[arg(long, value_name = "ID", default_value = "", hide_default_value = true)]
        enterprise_id: String,
        #[arg(long)]
        state: Option<State>,
        #[command(flatten)]
        page: PageArgs,
    },
    /// 待审核 → 审核中
    StartReview(TransitionArgs),
    /// 审核中 → 启用; its enterprise must be verified
    Approve(TransitionArgs),
    /// 审核中 → 驳回; needs --message
    Reject(TransitionArgs),
    /// 驳回 → 待审核
    Reapply(TransitionArgs),
    /// 启用 → 停用
    Suspend(TransitionArgs),
    /// 停用 → 启用
    Resume(TransitionArgs),
    /// → 待删除
    MarkForDeletion(TransitionArgs),
    /// 待删除 → 停用
    CancelDeletion(TransitionArgs),
    /// 待删除 → gone; no live identifier may be left
    Remove(TransitionArgs),
    /// Say where the prefix is served when it is not served here
    Delegate {
        prefix: String,
        #[command(flatten)]
        delegation: DelegateArgs,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Serve the prefix here again
    Undelegate {
        prefix: String,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// The values of 0.NA/<prefix>: administrators, their keys and groups, and others
    #[command(subcommand)]
    Values(prefix_values::Command),
    /// Counters of a prefix
    Stats { prefix: String },
}

#[derive(Debug, clap::Args)]
pub(crate) struct TransitionArgs {
    prefix: String,
    /// Why
    #[arg(long, default_value = "", hide_default_value = true)]
    message: String,
    #[command(flatten)]
    write: WriteArgs,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum State {
    /// 待审核
    PendingReview,
    /// 审核中
    UnderReview,
    /// 启用
    Active,
    /// 驳回
    Rejected,
    /// 停用
    Suspended,
    /// 待删除
    PendingDeletion,
}

impl From<State> for PrefixState {
    fn from(state: State) -> Self {
        match state {
            State::PendingReview => Self::PendingReview,
            State::UnderReview => Self::UnderReview,
            State::Active => Self::Active,
            State::Rejected => Self::Rejected,
            State::Suspended => Self::Suspended,
            State::PendingDeletion => Self::PendingDeletion,
        }
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::StartReview(args) => transition(session, args, PrefixAction::StartReview).await,
        Command::Approve(args) => transition(session, args, PrefixAction::Approve).await,
        Command::Reject(args) => transition(session, args, PrefixAction::Reject).await,
        Command::Reapply(args) => transition(session, args, PrefixAction::Reapply).await,
        Command::Suspend(args) => transition(session, args, PrefixAction::Suspend).await,
        Command::Resume(args) => transition(session, args, PrefixAction::Resume).await,
        Command::MarkForDeletion(args) => {
            transition(session, args, PrefixAction::MarkForDeletion).await
        }
        Command::CancelDeletion(args) => {
            transition(session, args, PrefixAction::CancelDeletion).await
        }
        Command::Remove(args) => transition(session, args, PrefixAction::Remove).await,
        Command::Delegate {
            prefix,
            delegation,
            write,
        } => delegate(session, prefix, Some(delegation.into_delegation()?), write).await,
        Command::Values(command) => prefix_values::run(command, session).await,
        Command::Undelegate { prefix, write } => delegate(session, prefix, None, write).await,
        Command::Apply {
            prefix,
            enterprise_id,
            once,
        } => {
            let idempotency_key = once.idempotency_key;
            let request = ApplyPrefixRequest {
                prefix,
                enterprise_id,
                idempotency_key,
            };
            let mut client = connect(session).await?;
            let done = client.apply_prefix(session.request(request)).await?;
            show_receipt(session, &done.into_inner())
        }
        Command::Get { prefix } => {
            let request = session.request(GetPrefixRequest { prefix });
            let found = connect(session)
                .await?
                .get_prefix(request)
                .await?
                .into_inner();
            session.out.show(|| json::prefix(&found), || table(&found))
        }
        Command::List {
            enterprise_id,
            state,
            page,
        } => list(session, enterprise_id, state, page).await,
        Command::Stats { prefix } => {
            let request = session.request(GetPrefixStatisticsRequest { prefix });
            let counters = connect(session)
                .await?
                .get_prefix_statistics(request)
                .await?;
            show_statistics(session, &counters.into_inner())
        }
    }
}

pub(crate) async fn connect(session: &Session) -> Result<PrefixServiceClient<Channel>, Failure> {
    Ok(PrefixServiceClient::new(session.channel().await?))
}

async fn transition(
    session: &Session,
    args: TransitionArgs,
    action: PrefixAction,
) -> Result<(), Failure> {
    let request = TransitionPrefixRequest {
        prefix: args.prefix,
        action: action.into(),
        message: args.message,
        expected_version: args.write.expected_version,
        idempotency_key: args.write.once.idempotency_key,
    };
    let done = connect(session)
        .await?
        .transition_prefix(session.request(request))
        .await?;
    show_receipt(session, &done.into_inner())
}

async fn delegate(
    session: &Session,
    prefix: String,
    delegation: Option<Delegation>,
    write: WriteArgs,
) -> Result<(), Failure> {
    let request = SetDelegationRequest {
        prefix,
        delegation,
        expected_version: write.expected_version,
        idempotency_key: write.once.idempotency_key,
    };
    let done = connect(session)
        .await?
        .set_delegation(session.request(request))
        .await?;
    show_receipt(session, &done.into_inner())
}

async fn list(
    session: &Session,
    enterprise_id: String,
    state: Option<State>,
    page: PageArgs,
) -> Result<(), Failure> {
    let mut client = connect(session).await?;
    let state = state.map_or(PrefixState::Unspecified, PrefixState::from);
    let (found, next) = page
        .fetch(async |page| {
            let request = ListPrefixesRequest {
                page: Some(page),
                enterprise_id: enterprise_id.clone(),
                state: state.into(),
            };
            let listed = client
                .list_prefixes(session.request(request))
                .await?
                .into_inner();
            Ok((listed.prefixes, listed.next_page_token))
        })
        .await?;
    show_list(session, &found, &next)
}

pub(crate) fn show_receipt(session: &Session, done: &PrefixReceipt) -> Result<(), Failure> {
    let prefix = done.prefix.clone().unwrap_or_default();
    session.out.show(
        || {
            json!({
                "receipt": json::receipt(done.receipt.as_ref()),
                "prefix": json::prefix(&prefix),
            })
        },
        || table(&prefix),
    )
}

fn show_list(session: &Session, found: &[Prefix], next: &str) -> Result<(), Failure> {
    session.out.show(
        || {
            let prefixes: Vec<_> = found.iter().map(json::prefix).collect();
            json!({"prefixes": prefixes, "next_page_token": next})
        },
        || {
            let mut table = Table::new(&["PREFIX", "ENTERPRISE", "STATE", "SERVED", "VERSION"]);
            for prefix in found {
                let served = if prefix.delegation.is_some() {
                    "elsewhere"
                } else {
                    "here"
                };
                table.row([
                    prefix.prefix.clone(),
                    prefix.enterprise_id.clone(),
                    state_label(prefix),
                    served.to_owned(),
                    prefix.version.to_string(),
                ]);
            }
            table.more(next)
        },
    )
}

fn table(prefix: &Prefix) -> Table {
    let table = Table::of_one(&[
        ("prefix", prefix.prefix.clone()),
        ("scheme", json::scheme(prefix.scheme())),
        ("enterprise_id", prefix.enterprise_id.clone()),
        ("state", state_label(prefix)),
        ("review_message", prefix.review_message.clone()),
        ("version", prefix.version.to_string()),
        (
            "created_at",
            json::time(prefix.created_at.as_ref()).unwrap_or_default(),
        ),
        (
            "updated_at",
            json::time(prefix.updated_at.as_ref()).unwrap_or_default(),
        ),
    ]);
    let table = match &prefix.delegation {
        Some(delegation) => table.with(&prefix_delegation::table(delegation)),
        None => table,
    };
    match prefix.values.as_slice() {
        [] => table,
        values => table.with(&value_table(values)),
    }
}

fn show_statistics(session: &Session, counters: &PrefixStatistics) -> Result<(), Failure> {
    let last_change_at = json::time(counters.last_change_at.as_ref());
    let numbers = [
        ("identifiers", counters.identifiers),
        ("deleted", counters.deleted),
        ("creations", counters.creations),
        ("updates", counters.updates),
        ("deletions", counters.deletions),
        ("value_bytes", counters.value_bytes),
        ("queries", counters.queries),
        ("successes", counters.successes),
    ];
    session.out.show(
        || {
            let mut document = json!({"prefix": counters.prefix});
            if let Some(fields) = document.as_object_mut() {
                fields.extend(numbers.map(|(name, number)| (name.to_owned(), json!(number))));
                fields.insert("last_change_at".to_owned(), json!(last_change_at));
            }
            document
        },
        || {
            let mut rows = vec![("prefix", counters.prefix.clone())];
            rows.extend(numbers.map(|(name, number)| (name, number.to_string())));
            rows.push(("last_change_at", last_change_at.clone().unwrap_or_default()));
            Table::of_one(&rows)
        },
    )
}

fn state_label(prefix: &Prefix) -> String {
    let official = match prefix.state() {
        PrefixState::Unspecified => return String::new(),
        PrefixState::PendingReview => "待审核",
        PrefixState::UnderReview => "审核中",
        PrefixState::Active => "启用",
        PrefixState::Rejected => "驳回",
        PrefixState::Suspended => "停用",
        PrefixState::PendingDeletion => "待删除",
    };
    format!("{} {official}", json::prefix_state(prefix))
}
