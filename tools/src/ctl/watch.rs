//! `idctl watch`: the change log (变更日志), from any sequence on.

use idnode_proto::api::change::Change as What;
use idnode_proto::api::change_service_client::ChangeServiceClient;
use idnode_proto::api::{Change, WatchRequest};

use super::error::Failure;
use super::json;
use super::output::printable;
use super::session::{MAX_ANSWER_BYTES, Session};

/// Print the change log, one line for each change.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// First sequence wanted; without it: 1, or with --follow only changes to come
    #[arg(long, value_name = "SEQUENCE")]
    from: Option<u64>,
    /// Go on with changes as they happen
    #[arg(long)]
    follow: bool,
    /// Only changes under this prefix
    #[arg(
        long,
        value_name = "PREFIX",
        default_value = "",
        hide_default_value = true
    )]
    prefix: String,
}

pub(crate) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let from_sequence = args.from.unwrap_or(if args.follow { 0 } else { 1 });
    let request = WatchRequest {
        from_sequence,
        follow: args.follow,
        prefix: args.prefix,
    };
    let mut client = ChangeServiceClient::new(session.channel().await?)
        .max_decoding_message_size(MAX_ANSWER_BYTES);
    let mut answers = client
        .watch(session.stream_request(request))
        .await?
        .into_inner();
    let mut next = from_sequence;
    loop {
        match answers.message().await {
            Ok(Some(answer)) => {
                for change in &answer.changes {
                    session
                        .out
                        .stream(|| json::change(change), || line(change))?;
                    next = change.sequence.saturating_add(1);
                }
            }
            Ok(None) => return Ok(()),
            Err(status) if next == 0 => return Err(status.into()),
            Err(status) => {
                return Err(Failure::BrokenOff {
                    cause: Box::new(status.into()),
                    hint: format!("go on with --from {next}"),
                });
            }
        }
    }
}

fn line(change: &Change) -> String {
    let what = match &change.change {
        Some(What::Identifiers(changes)) => {
            let first = changes
                .identifiers
                .first()
                .map_or("", |record| &record.identifier);
            let deleted = changes
                .identifiers
                .iter()
                .filter(|record| record.deleted)
                .count();
            let more = match changes.identifiers.len() {
                0 | 1 => String::new(),
                several => format!(" and {} more", several - 1),
            };
            let deleted = if deleted > 0 {
                format!(", {deleted} deleted")
            } else {
                String::new()
            };
            format!("identifier {first}{more}{deleted}")
        }
        Some(What::Enterprise(enterprise)) => {
            format!(
                "enterprise {} {}",
                enterprise.id,
                json::enterprise_state(enterprise)
            )
        }
        Some(What::Prefix(changed)) => {
            let prefix = changed.prefix.clone().unwrap_or_default();
            let state = if changed.removed {
                "removed".to_owned()
            } else {
                json::prefix_state(&prefix)
            };
            format!("prefix {} {state}", prefix.prefix)
        }
        Some(What::Template(changed)) => {
            let template = changed.template.clone().unwrap_or_default();
            let state = if changed.deleted { " deleted" } else { "" };
            format!(
                "template {} revision {}{state}",
                template.name, template.revision
            )
        }
        Some(What::ApiKey(key)) => {
            format!(
                "api key {} {}",
                key.id,
                if key.revoked { "revoked" } else { "made" }
            )
        }
        None => "a change this idctl does not know".to_owned(),
    };
    let at = json::time(change.committed_at.as_ref()).unwrap_or_default();
    printable(&format!(
        "{:>10} {at} {} {what}",
        change.sequence, change.actor
    ))
}
