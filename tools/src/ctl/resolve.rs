//! `idctl resolve`: what an identifier stands for (标识解析), over gRPC or the Handle protocol.

use std::net::SocketAddr;

use clap::ValueEnum;
use idnode_proto::api::resolution_service_client::ResolutionServiceClient;
use idnode_proto::api::resolve_response::Outcome;
use idnode_proto::api::value::Data;
use idnode_proto::api::{ResolveRequest, ResolveResponse, Value};
use idnode_proto::value::types;

use super::error::Failure;
use super::json;
use super::output::Table;
use super::prefix_delegation;
use super::resolve_handle::{self, Transport};
use super::session::{MAX_ANSWER_BYTES, Session};
use crate::bulk::field;

/// Show an identifier's values, or where its prefix is served.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of any scheme, in any accepted spelling
    identifier: String,
    /// Go on to the identifier that an HS_ALIAS value names, and on from there
    #[arg(long)]
    follow_alias: bool,
    /// Have the node ask others where they answer for the identifier, instead of referring to them
    #[arg(long)]
    recurse: bool,
    #[command(flatten)]
    filters: Filters,
    #[command(flatten)]
    server: Server,
}

/// Most aliases that are followed.
const MAX_ALIASES: usize = 8;

/// Whom to ask, and how.
#[derive(Debug, clap::Args)]
pub(crate) struct Server {
    /// Which front of the node to ask
    #[arg(long, value_name = "FRONT", default_value = "grpc")]
    front: Front,
    /// Address of the Handle front, e.g. 127.0.0.1:2641
    #[arg(long, value_name = "ADDRESS:PORT", required_if_eq("front", "handle"))]
    handle: Option<SocketAddr>,
    /// How to ask the Handle front
    #[arg(long, value_name = "TRANSPORT", default_value = "udp")]
    transport: Transport,
}

/// Which values are wanted.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Filters {
    /// Only values of this type; may be repeated
    #[arg(long = "type", value_name = "TYPE")]
    types: Vec<String>,
    /// Only the value of this index; may be repeated. A value is shown if its type or its index
    /// is asked for
    #[arg(long = "index", value_name = "INDEX")]
    indexes: Vec<u32>,
    /// Leave non-public values out even for their owner
    #[arg(long)]
    public_only: bool,
}

impl Args {
    fn request(&self) -> ResolveRequest {
        ResolveRequest {
            recurse: self.recurse,
            ..self.filters.request(self.identifier.clone())
        }
    }
}

impl Filters {
    /// The request for an identifier.
    pub(crate) fn request(&self, identifier: String) -> ResolveRequest {
        ResolveRequest {
            identifier,
            types: self.types.clone(),
            indexes: self.indexes.clone(),
            public_only: self.public_only,
            recurse: false,
        }
    }
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Front {
    /// The node's API
    Grpc,
    /// The Handle protocol, as a stranger
    Handle,
}

impl Server {
    /// Asks one question.
    pub(crate) async fn resolve(
        &self,
        request: ResolveRequest,
        session: &Session,
    ) -> Result<ResolveResponse, Failure> {
        if let (Front::Handle, Some(server)) = (self.front, self.handle) {
            return resolve_handle::resolve(server, self.transport, &request, session.timeout())
                .await;
        }
        let mut client = ResolutionServiceClient::new(session.channel().await?)
            .max_decoding_message_size(MAX_ANSWER_BYTES);
        Ok(client.resolve(session.request(request)).await?.into_inner())
    }
}

pub(crate) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let answer = if args.follow_alias {
        resolve_aliased(&args, session).await?
    } else {
        let request = args.request();
        args.server.resolve(request, session).await?
    };
    session
        .out
        .show(|| json::resolved(&answer), || table(&answer))
}

/// The answer for the identifier behind all aliases.
async fn resolve_aliased(args: &Args, session: &Session) -> Result<ResolveResponse, Failure> {
    let mut request = args.request();
    // Filters must not hide that it is an alias; what is none has no such value to show.
    if !request.types.is_empty() || !request.indexes.is_empty() {
        request.types.push(types::HS_ALIAS.to_owned());
    }
    for _ in 0..=MAX_ALIASES {
        let answer = args.server.resolve(request.clone(), session).await?;
        match alias(&answer) {
            Some(aliased) => request.identifier = aliased.to_owned(),
            None => return Ok(answer),
        }
    }
    Err(Failure::Answer(format!(
        "{} leads through more than {MAX_ALIASES} aliases, or in a circle",
        args.identifier
    )))
}

/// The identifier that an identifier is an alias of.
fn alias(answer: &ResolveResponse) -> Option<&str> {
    let Some(Outcome::Record(record)) = &answer.outcome else {
        return None;
    };
    let mut aliases = record
        .values
        .iter()
        .filter(|value| value.r#type.eq_ignore_ascii_case(types::HS_ALIAS));
    aliases.find_map(|value| match &value.data {
        Some(Data::Text(text)) => Some(text.trim()),
        _ => None,
    })
}

fn table(answer: &ResolveResponse) -> Table {
    match &answer.outcome {
        Some(Outcome::Record(record)) => {
            let mut facts = vec![answer.identifier.clone()];
            if !record.template.is_empty() {
                facts.push(format!("template {}", record.template));
            }
            if record.version > 0 {
                facts.push(format!("version {}", record.version));
            }
            facts.extend(json::time(record.updated_at.as_ref()).map(|at| format!("updated {at}")));
            value_table(&record.values).below(super::output::printable(&facts.join(", ")))
        }
        Some(Outcome::Referral(referral)) => {
            let table =
                Table::of_one(&[("prefix", referral.prefix.clone())]).below("is served elsewhere:");
            match &referral.delegation {
                Some(delegation) => table.with(&prefix_delegation::table(delegation)),
                None => table,
            }
        }
        None => Table::of_one(&[("identifier", answer.identifier.clone())]),
    }
}

/// Values as a table.
pub(crate) fn value_table(values: &[Value]) -> Table {
    let mut table = Table::new(&["INDEX", "TYPE", "DATA", "TTL", "PERMISSIONS", "CHANGED"]);
    for value in values {
        let mut ttl = String::new();
        if let Some(given) = value.ttl {
            field::write_ttl(given, &mut ttl);
        }
        let mut permissions = String::new();
        if let Some(bits) = value.permissions {
            field::write_permissions(bits, &mut permissions);
        }
        let changed = match value.timestamp_s {
            0 => String::new(),
            seconds => jiff::Timestamp::from_second(seconds.into())
                .map(|time| time.to_string())
                .unwrap_or_default(),
        };
        let row = [
            value.index.to_string(),
            value.r#type.clone(),
            data_label(value),
        ];
        table.row(row.into_iter().chain([ttl, permissions, changed]));
    }
    table
}

/// Data for people: text as it is, other bytes as hexadecimal digits, long ones cut.
pub(crate) fn data_label(value: &Value) -> String {
    const SHOWN_BYTES: usize = 64;
    match &value.data {
        Some(Data::Text(text)) => text.clone(),
        Some(Data::Raw(bytes)) => {
            let shown = bytes.get(..SHOWN_BYTES).unwrap_or(bytes);
            let hex = data_encoding::HEXLOWER.encode(shown);
            match bytes.len() {
                length if length > SHOWN_BYTES => format!("0x{hex}… ({length} bytes)"),
                _ => format!("0x{hex}"),
            }
        }
        None => String::new(),
    }
}
