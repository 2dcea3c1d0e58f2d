//! `idctl dnssec`: the keys that the node signs its DNS zones with.

use clap::{Subcommand, ValueEnum};
use idnode_proto::api::dnssec_service_client::DnssecServiceClient;
use idnode_proto::api::{
    ActivateDnssecKeyRequest, DnssecAlgorithm, DnssecKey, DsRecord, GenerateDnssecKeyRequest,
    GetDsRecordsRequest, ListDnssecKeysRequest, RemoveDnssecKeyRequest, RetireDnssecKeyRequest,
    SetDsWithdrawalRequest, SignedZone,
};
use serde_json::{Value, json};
use tonic::transport::Channel;

use super::dnssec_rollover;
use super::error::Failure;
use super::json;
use super::output::Table;
use super::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// List the zones and their keys
    Keys {
        /// Only of this zone
        #[arg(default_value = "", hide_default_value = true)]
        zone: String,
    },
    /// Make a key and publish it in the zone; it does not sign yet
    Generate {
        zone: String,
        #[arg(long, default_value = "ecdsap256sha256")]
        algorithm: Algorithm,
    },
    /// Let a key sign; the active one of its algorithm is retired
    Activate {
        #[command(flatten)]
        key: KeyArgs,
        /// Although caches may not know the key yet
        #[arg(long)]
        force: bool,
    },
    /// Let an active key cease to sign, where another signs
    Retire {
        #[command(flatten)]
        key: KeyArgs,
    },
    /// Forget a key
    Remove {
        #[command(flatten)]
        key: KeyArgs,
        /// Although caches may hold signatures made by it
        #[arg(long)]
        force: bool,
        /// Although the zone is no longer signed then
        #[arg(long)]
        unsign: bool,
    },
    /// Print the DS records for the parent zone, as zone file lines
    Ds {
        zone: String,
        /// Let CDS and CDNSKEY ask the parent to take the DS records away (RFC 8078)
        #[arg(long, conflicts_with = "restore")]
        withdraw: bool,
        /// Let CDS and CDNSKEY show the zone's keys again
        #[arg(long)]
        restore: bool,
    },
    /// Do the next step of signing a zone or of replacing its key, and say what comes then; to be
    /// run again until it says that nothing is left to do
    Rollover(dnssec_rollover::Args),
}

/// A key of a zone.
#[derive(Debug, clap::Args)]
pub(crate) struct KeyArgs {
    zone: String,
    /// The key's tag, as `dnssec keys` shows it
    key_tag: u16,
}

/// An algorithm of signatures.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Algorithm {
    /// ECDSA on P-256 with SHA-256 (13): every validator knows it
    #[value(name = "ecdsap256sha256", alias = "13")]
    EcdsaP256Sha256,
    /// Ed25519 (15)
    #[value(name = "ed25519", alias = "15")]
    Ed25519,
}

impl From<Algorithm> for DnssecAlgorithm {
    fn from(algorithm: Algorithm) -> Self {
        match algorithm {
            Algorithm::EcdsaP256Sha256 => Self::Ecdsap256sha256,
            Algorithm::Ed25519 => Self::Ed25519,
        }
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let mut client = DnssecServiceClient::new(session.channel().await?);
    match command {
        Command::Keys { zone } => {
            let request = session.request(ListDnssecKeysRequest { zone });
            let listed = client.list_dnssec_keys(request).await?.into_inner();
            session.out.show(
                || json!({"zones": listed.zones.iter().map(zone_json).collect::<Vec<_>>()}),
                || zones_table(&listed.zones),
            )
        }
        Command::Generate { zone, algorithm } => {
            let key = generate(&mut client, session, &zone, algorithm).await?;
            show_key(session, &key)
        }
        Command::Activate { key, force } => {
            let key = activate(&mut client, session, key.zone, key.key_tag.into(), force).await?;
            show_key(session, &key)
        }
        Command::Retire { key } => {
            let request = session.request(RetireDnssecKeyRequest {
                zone: key.zone,
                key_tag: key.key_tag.into(),
            });
            let key = client.retire_dnssec_key(request).await?.into_inner();
            show_key(session, &key)
        }
        Command::Remove { key, force, unsign } => {
            let request = session.request(RemoveDnssecKeyRequest {
                zone: key.zone.clone(),
                key_tag: key.key_tag.into(),
                force,
                unsign,
            });
            client.remove_dnssec_key(request).await?;
            session.out.show(
                || json!({"zone": key.zone, "key_tag": key.key_tag, "removed": true}),
                || {
                    Table::of_one(&[
                        ("zone", key.zone.clone()),
                        ("key_tag", key.key_tag.to_string()),
                        ("state", "removed".to_owned()),
                    ])
                },
            )
        }
        Command::Ds {
            zone,
            withdraw,
            restore,
        } => ds(&mut client, session, zone, withdraw, restore).await,
        Command::Rollover(args) => dnssec_rollover::run(args, &mut client, session).await,
    }
}

/// Makes a key.
pub(super) async fn generate(
    client: &mut DnssecServiceClient<Channel>,
    session: &Session,
    zone: &str,
    algorithm: Algorithm,
) -> Result<DnssecKey, Failure> {
    let request = session.request(GenerateDnssecKeyRequest {
        zone: zone.to_owned(),
        algorithm: DnssecAlgorithm::from(algorithm).into(),
    });
    Ok(client.generate_dnssec_key(request).await?.into_inner())
}

/// Lets a key sign.
pub(super) async fn activate(
    client: &mut DnssecServiceClient<Channel>,
    session: &Session,
    zone: String,
    key_tag: u32,
    force: bool,
) -> Result<DnssecKey, Failure> {
    let request = session.request(ActivateDnssecKeyRequest {
        zone,
        key_tag,
        force,
    });
    Ok(client.activate_dnssec_key(request).await?.into_inner())
}

/// The DS records of a zone as zone file lines.
pub(super) async fn ds_lines(
    client: &mut DnssecServiceClient<Channel>,
    session: &Session,
    zone: &str,
) -> Result<(String, Vec<DsRecord>, Vec<String>), Failure> {
    let request = session.request(GetDsRecordsRequest {
        zone: zone.to_owned(),
    });
    let answer = client.get_ds_records(request).await?.into_inner();
    let line = |record: &DsRecord| {
        let digest = data_encoding::HEXUPPER.encode(&record.digest);
        let DsRecord {
            key_tag,
            algorithm,
            digest_type,
            ..
        } = record;
        format!(
            "{} IN DS {key_tag} {algorithm} {digest_type} {digest}",
            answer.zone
        )
    };
    let lines = answer.records.iter().map(line).collect();
    Ok((answer.zone, answer.records, lines))
}

async fn ds(
    client: &mut DnssecServiceClient<Channel>,
    session: &Session,
    zone: String,
    withdraw: bool,
    restore: bool,
) -> Result<(), Failure> {
    if withdraw || restore {
        let request = session.request(SetDsWithdrawalRequest {
            zone: zone.clone(),
            withdrawn: withdraw,
        });
        let changed = client.set_ds_withdrawal(request).await?.into_inner();
        return session.out.show(
            || zone_json(&changed),
            || zones_table(std::slice::from_ref(&changed)),
        );
    }
    let (zone, records, lines) = ds_lines(client, session, &zone).await?;
    if !session.out.is_json() {
        // For a zone file or a registrar's form: lines, no table.
        return lines
            .iter()
            .try_for_each(|line| session.out.stream(|| Value::Null, || line.clone()));
    }
    let records: Vec<_> = records
        .iter()
        .zip(lines)
        .map(|(record, line)| {
            json!({
                "key_tag": record.key_tag,
                "algorithm": record.algorithm,
                "digest_type": record.digest_type,
                "digest": data_encoding::HEXUPPER.encode(&record.digest),
                "record": line,
            })
        })
        .collect();
    session.out.show(
        || json!({"zone": zone, "records": records}),
        || Table::new(&[]),
    )
}

fn algorithm_name(key: &DnssecKey) -> String {
    json::name(key.algorithm().as_str_name(), "DNSSEC_ALGORITHM_")
}

/// A key's state.
pub(super) fn state_name(key: &DnssecKey) -> String {
    json::name(key.state().as_str_name(), "DNSSEC_KEY_STATE_")
}

/// A zone and its keys.
pub(super) fn zone_json(zone: &SignedZone) -> Value {
    json!({
        "zone": zone.zone,
        "signed": zone.signed,
        "ds_withdrawn": zone.ds_withdrawn,
        "dnskey_ttl_s": zone.dnskey_ttl_s,
        "keys": zone.keys.iter().map(key_json).collect::<Vec<_>>(),
    })
}

fn key_json(key: &DnssecKey) -> Value {
    json!({
        "zone": key.zone,
        "key_tag": key.key_tag,
        "algorithm": algorithm_name(key),
        "state": state_name(key),
        "public_key": data_encoding::BASE64.encode(&key.public_key),
        "published_at": json::time(key.published_at.as_ref()),
        "activated_at": json::time(key.activated_at.as_ref()),
        "retired_at": json::time(key.retired_at.as_ref()),
        "ready_at": json::time(key.ready_at.as_ref()),
    })
}

/// Zones and their keys, one key a row.
pub(super) fn zones_table(zones: &[SignedZone]) -> Table {
    let mut table = Table::new(&[
        "ZONE",
        "KEY TAG",
        "ALGORITHM",
        "STATE",
        "PUBLISHED",
        "ACTIVATED",
        "RETIRED",
        "READY",
    ]);
    for zone in zones {
        for key in &zone.keys {
            let time = |at: &Option<_>| json::time(at.as_ref()).unwrap_or_default();
            table.row([
                key.zone.clone(),
                key.key_tag.to_string(),
                algorithm_name(key),
                state_name(key),
                time(&key.published_at),
                time(&key.activated_at),
                time(&key.retired_at),
                time(&key.ready_at),
            ]);
        }
    }
    for zone in zones {
        let withdrawn = if zone.ds_withdrawn {
            "; CDS asks the parent to take the DS records away"
        } else {
            ""
        };
        let signed = if zone.signed { "signed" } else { "not signed" };
        table = table.below(format!("{} is {signed}{withdrawn}", zone.zone));
    }
    table
}

fn show_key(session: &Session, key: &DnssecKey) -> Result<(), Failure> {
    session.out.show(
        || key_json(key),
        || {
            let time = |at: &Option<_>| json::time(at.as_ref()).unwrap_or_default();
            Table::of_one(&[
                ("zone", key.zone.clone()),
                ("key_tag", key.key_tag.to_string()),
                ("algorithm", algorithm_name(key)),
                ("state", state_name(key)),
                ("public_key", data_encoding::BASE64.encode(&key.public_key)),
                ("published_at", time(&key.published_at)),
                ("activated_at", time(&key.activated_at)),
                ("retired_at", time(&key.retired_at)),
                ("ready_at", time(&key.ready_at)),
            ])
        },
    )
}
