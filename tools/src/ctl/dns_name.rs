//! `idctl dns-name`: the mapping between identifiers and names in the node's DNS zone.

use idnode_proto::dnsname::{MappedName, NameError, Subject, Zones, ons_name, ors_name, to_name};
use idnode_proto::identifier::Identifier;
use serde_json::json;

use super::error::Failure;
use super::session::Session;

/// Print an identifier's name under the node's DNS zone, or with --reverse the identifier of a name.
///
/// Asks no server. A name too long for DNS is hashed: it has no way back but a TXT query, whose answer names the
/// identifier.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Of any scheme; with --reverse a domain name
    #[arg(value_name = "IDENTIFIER|NAME")]
    subject: String,
    /// From a name to its identifier
    #[arg(long)]
    reverse: bool,
    /// The node's zone
    #[arg(
        long,
        value_name = "ZONE",
        env = "IDCTL_ZONE",
        default_value = "id.example."
    )]
    zone: String,
    /// The zone OIDs are also in (ITU-T X.672), e.g. oid-res.org.
    #[arg(long, value_name = "ZONE")]
    ors_zone: Option<String>,
    /// The zone GS1 keys are also in (ONS 2.0.1), e.g. onsepc.com.
    #[arg(long, value_name = "ZONE")]
    ons_zone: Option<String>,
}

pub(crate) fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let zones = Zones::parse(
        &args.zone,
        args.ors_zone.as_deref(),
        args.ons_zone.as_deref(),
    )
    .map_err(|error| Failure::Usage(error.to_string()))?;
    match args.reverse {
        false => forward(&args.subject, &zones, session),
        true => reverse(&args.subject, &zones, session),
    }
}

fn forward(text: &str, zones: &Zones, session: &Session) -> Result<(), Failure> {
    let identifier = Identifier::parse(text)
        .map_err(|error| Failure::Answer(format!("{text} is no identifier: {error}")))?;
    let name = to_name(&identifier, zones);
    let others: Vec<MappedName> = [ors_name(&identifier, zones), ons_name(&identifier, zones)]
        .into_iter()
        .flatten()
        .collect();
    session.out.stream(
        || {
            json!({
                "identifier": identifier.to_string(),
                "name": name.to_string(),
                "hashed": name.is_hashed(),
                "other_names": others.iter().map(ToString::to_string).collect::<Vec<_>>(),
            })
        },
        || {
            let names: Vec<_> = [&name]
                .into_iter()
                .chain(&others)
                .map(ToString::to_string)
                .collect();
            names.join("\n")
        },
    )
}

fn reverse(text: &str, zones: &Zones, session: &Session) -> Result<(), Failure> {
    let labels = text
        .strip_suffix('.')
        .unwrap_or(text)
        .split('.')
        .map(str::as_bytes);
    let subject = zones
        .parse_name(labels)
        .map_err(|error| Failure::Answer(explain(text, &error, zones)))?;
    let (kind, what) = match &subject {
        Subject::Identifier(identifier) => ("identifier", identifier.to_string()),
        Subject::Prefix(prefix) => ("prefix", prefix.to_string()),
        Subject::HashedIdentifier { .. } | Subject::HashedPrefix { .. } => {
            return Err(Failure::Answer(format!(
                "{text} is hashed: ask the node for its TXT record, which names the identifier"
            )));
        }
        Subject::SchemeRoot(_) | Subject::Apex(_) | Subject::EmptyNonTerminal(_) => {
            return Err(Failure::Answer(format!(
                "{text} names no identifier: there are only names below it"
            )));
        }
    };
    session.out.stream(
        || json!({"name": text, "kind": kind, kind: what}),
        || what.clone(),
    )
}

fn explain(text: &str, error: &NameError, zones: &Zones) -> String {
    match error {
        NameError::OutsideZones => format!("{text}: {error} (--zone is {})", zones.node),
        _ => format!("{text}: {error}"),
    }
}
