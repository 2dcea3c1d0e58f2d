//! `idctl dnssec rollover`: signing a zone and replacing its key, one step a run. What must be
//! waited for, and what only the parent can do, is said and not guessed.

use idnode_proto::api::dnssec_service_client::DnssecServiceClient;
use idnode_proto::api::{
    DnssecKey, DnssecKeyState, ListDnssecKeysRequest, RemoveDnssecKeyRequest, SignedZone,
};
use prost_types::Timestamp;
use serde_json::json;
use tonic::transport::Channel;

use super::dnssec::{Algorithm, activate, ds_lines, generate, state_name, zone_json, zones_table};
use super::error::Failure;
use super::json;
use super::session::Session;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    zone: String,
    /// Algorithm of the new key
    #[arg(long, default_value = "ecdsap256sha256")]
    algorithm: Algorithm,
    /// The parent zone has the DS record of the published key, and the TTL of its DS set has
    /// passed since
    #[arg(long)]
    ds_at_parent: bool,
    /// Begin to replace the active key; without it a rollover is only gone on with
    #[arg(long)]
    start: bool,
}

/// The next step of a zone.
#[derive(Debug, PartialEq)]
enum Step {
    /// Make the zone's first key, and sign with it.
    Sign,
    /// Let a key sign that was made for a zone that is not signed yet.
    SignWith(u32),
    /// Make and publish the next key.
    Publish,
    /// Wait until caches know the published key.
    WaitToActivate(u32, Timestamp),
    /// Ask whether the parent has the published key's DS record.
    AskParent(u32),
    /// Let the published key sign instead of the active ones.
    Activate(u32),
    /// Another algorithm's key signs still, beside the new one.
    Retire(u32),
    /// Wait until no cache holds signatures of the retired key.
    WaitToRemove(u32, Timestamp),
    /// Forget the retired key.
    Remove(u32),
    /// Nothing is under way.
    Rest,
}

fn next_step(zone: &SignedZone, args: &Args, now_s: i64) -> Step {
    let with = |state: DnssecKeyState| zone.keys.iter().filter(move |key| key.state() == state);
    let is_ready = |key: &DnssecKey| key.ready_at.is_none_or(|at| at.seconds <= now_s);
    let published = with(DnssecKeyState::Published).next_back();
    if !zone.signed {
        return published.map_or(Step::Sign, |key| Step::SignWith(key.key_tag));
    }
    // What is older goes first, so that keys do not pile up.
    if let Some(key) = with(DnssecKeyState::Retired).next() {
        return match key.ready_at {
            Some(at) if !is_ready(key) => Step::WaitToRemove(key.key_tag, at),
            _ => Step::Remove(key.key_tag),
        };
    }
    let newest = with(DnssecKeyState::Active).max_by_key(|key| {
        let at = key.activated_at.unwrap_or_default();
        (at.seconds, at.nanos)
    });
    let others = with(DnssecKeyState::Active)
        .filter(|key| newest.is_some_and(|newest| newest.key_tag != key.key_tag));
    if let Some(key) = others.min_by_key(|key| key.published_at.unwrap_or_default().seconds) {
        return Step::Retire(key.key_tag);
    }
    match published {
        Some(key) => match key.ready_at {
            Some(at) if !is_ready(key) => Step::WaitToActivate(key.key_tag, at),
            _ if args.ds_at_parent => Step::Activate(key.key_tag),
            _ => Step::AskParent(key.key_tag),
        },
        None if args.start => Step::Publish,
        None => Step::Rest,
    }
}

/// Does the next step and says what comes then.
pub(crate) async fn run(
    args: Args,
    client: &mut DnssecServiceClient<Channel>,
    session: &Session,
) -> Result<(), Failure> {
    let zone = zone(client, session, &args.zone).await?;
    let now_s = jiff::Timestamp::now().as_second();
    let (done, next) = take(next_step(&zone, &args, now_s), &args, client, session).await?;
    let zone = self::zone(client, session, &args.zone).await?;
    let (_, _, ds) = ds_lines(client, session, &args.zone).await?;
    session.out.show(
        || json!({"done": done, "next": next, "ds": ds, "zone": zone_json(&zone)}),
        || {
            let table = zones_table(std::slice::from_ref(&zone));
            let table = table
                .below(format!("done: {done}"))
                .below(format!("next: {next}"));
            ds.iter().fold(table, |table, line| table.below(line))
        },
    )
}

async fn zone(
    client: &mut DnssecServiceClient<Channel>,
    session: &Session,
    name: &str,
) -> Result<SignedZone, Failure> {
    let request = session.request(ListDnssecKeysRequest {
        zone: name.to_owned(),
    });
    let listed = client.list_dnssec_keys(request).await?.into_inner();
    Ok(listed.zones.into_iter().next().unwrap_or_default())
}

/// Carries a step out: what was done, and what is next.
async fn take(
    step: Step,
    args: &Args,
    client: &mut DnssecServiceClient<Channel>,
    session: &Session,
) -> Result<(String, String), Failure> {
    let zone = args.zone.clone();
    let give_ds = "give the parent the DS records below (CDS and CDNSKEY show them too)";
    Ok(match step {
        Step::Sign => {
            let made = generate(client, session, &zone, args.algorithm).await?;
            let key = activate(client, session, zone, made.key_tag, false).await?;
            (signs(&key), give_ds.to_owned())
        }
        Step::SignWith(tag) => {
            let key = activate(client, session, zone, tag, false).await?;
            (signs(&key), give_ds.to_owned())
        }
        Step::Publish => {
            let key = generate(client, session, &zone, args.algorithm).await?;
            let at = json::time(key.ready_at.as_ref()).unwrap_or_default();
            let next = format!(
                "{give_ds}; when it has them, the TTL of its DS set has passed and it is past \
                 {at}, run this again with --ds-at-parent"
            );
            (format!("key {} is {}", key.key_tag, state_name(&key)), next)
        }
        Step::WaitToActivate(tag, at) => (
            "nothing: caches may not know the published key yet".to_owned(),
            format!(
                "wait until {} to activate key {tag}; meanwhile {give_ds}",
                shown(at)
            ),
        ),
        Step::AskParent(tag) => (
            "nothing: only you know whether the parent has the DS record".to_owned(),
            format!(
                "{give_ds}; when it has that of key {tag} and the TTL of its DS set has passed, \
                 run this again with --ds-at-parent"
            ),
        ),
        Step::Activate(tag) => {
            let key = activate(client, session, zone, tag, false).await?;
            let next = "the parent may take the other DS records away; run this again later to \
                        remove the retired key";
            (signs(&key), next.to_owned())
        }
        Step::Retire(tag) => {
            let request =
                session.request(idnode_proto::api::RetireDnssecKeyRequest { zone, key_tag: tag });
            client.retire_dnssec_key(request).await?;
            let next = "the parent may take its DS record away; run this again later to remove it";
            (format!("key {tag} is retired"), next.to_owned())
        }
        Step::WaitToRemove(tag, at) => (
            "nothing: caches may hold signatures of the retired key".to_owned(),
            format!("wait until {} to remove key {tag}", shown(at)),
        ),
        Step::Remove(tag) => {
            let request = session.request(RemoveDnssecKeyRequest {
                zone,
                key_tag: tag,
                force: false,
                unsign: false,
            });
            client.remove_dnssec_key(request).await?;
            let next = "nothing is left to do if the parent has the DS records below and no others";
            (format!("key {tag} is removed"), next.to_owned())
        }
        Step::Rest => (
            "nothing: no rollover is under way".to_owned(),
            "--start begins one".to_owned(),
        ),
    })
}

fn signs(key: &DnssecKey) -> String {
    format!("key {} is {} and signs", key.key_tag, state_name(key))
}

fn shown(at: Timestamp) -> String {
    json::time(Some(&at)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Option<Timestamp> {
        Some(Timestamp { seconds, nanos: 0 })
    }

    fn key(key_tag: u32, state: DnssecKeyState, ready_s: Option<i64>) -> DnssecKey {
        DnssecKey {
            key_tag,
            state: state.into(),
            published_at: at(key_tag.into()),
            activated_at: at(key_tag.into()),
            ready_at: ready_s.and_then(at),
            ..DnssecKey::default()
        }
    }

    fn args(ds_at_parent: bool, start: bool) -> Args {
        Args {
            zone: "id.example.".into(),
            algorithm: Algorithm::EcdsaP256Sha256,
            ds_at_parent,
            start,
        }
    }

    #[test]
    fn each_state_has_one_next_step() {
        use DnssecKeyState::{Active, Published, Retired};
        let step = |keys: &[DnssecKey], args: &Args| {
            let zone = SignedZone {
                signed: keys.iter().any(|key| key.state() == Active),
                keys: keys.to_vec(),
                ..SignedZone::default()
            };
            next_step(&zone, args, 100)
        };
        let plain = args(false, false);
        let active = key(1, Active, None);
        assert_eq!(step(&[], &plain), Step::Sign);
        assert_eq!(step(&[key(2, Published, None)], &plain), Step::SignWith(2));
        assert_eq!(step(std::slice::from_ref(&active), &plain), Step::Rest);
        assert_eq!(
            step(std::slice::from_ref(&active), &args(false, true)),
            Step::Publish
        );
        let waits = [active.clone(), key(2, Published, Some(101))];
        let until = Timestamp {
            seconds: 101,
            nanos: 0,
        };
        assert_eq!(
            step(&waits, &args(true, false)),
            Step::WaitToActivate(2, until)
        );
        let ready = [active.clone(), key(2, Published, Some(100))];
        assert_eq!(step(&ready, &plain), Step::AskParent(2));
        assert_eq!(step(&ready, &args(true, false)), Step::Activate(2));
        let both = [active.clone(), key(2, Active, None)];
        assert_eq!(step(&both, &plain), Step::Retire(1));
        let held = [key(1, Retired, Some(101)), key(2, Active, None)];
        assert_eq!(step(&held, &plain), Step::WaitToRemove(1, until));
        let over = [key(1, Retired, Some(100)), key(2, Active, None)];
        assert_eq!(step(&over, &args(true, true)), Step::Remove(1));
    }
}
