//! The keys of signed zones are the operator's alone.

use idnode_proto::api as pb;
use idnode_proto::api::dnssec_service_client::DnssecServiceClient;
use idnode_tests::api::{Api, fields, reason};
use serde_json::Value;
use tonic::transport::Channel;
use tonic::{Code, Status};

use super::world::{World, ZONE};

/// What each call of the service answers; a service with more calls is not tried whole.
async fn try_all(api: &Api, key_tag: u32) -> Vec<Result<(), Status>> {
    let mut client: DnssecServiceClient<Channel> = api.dnssec();
    let zone = || ZONE.to_owned();
    vec![
        client
            .list_dnssec_keys(api.request(pb::ListDnssecKeysRequest { zone: zone() }))
            .await
            .map(drop),
        client
            .generate_dnssec_key(api.request(pb::GenerateDnssecKeyRequest {
                zone: zone(),
                algorithm: 0,
            }))
            .await
            .map(drop),
        client
            .activate_dnssec_key(api.request(pb::ActivateDnssecKeyRequest {
                zone: zone(),
                key_tag,
                force: true,
            }))
            .await
            .map(drop),
        client
            .retire_dnssec_key(api.request(pb::RetireDnssecKeyRequest {
                zone: zone(),
                key_tag,
            }))
            .await
            .map(drop),
        client
            .remove_dnssec_key(api.request(pb::RemoveDnssecKeyRequest {
                zone: zone(),
                key_tag,
                force: true,
                unsign: true,
            }))
            .await
            .map(drop),
        client
            .get_ds_records(api.request(pb::GetDsRecordsRequest { zone: zone() }))
            .await
            .map(drop),
        client
            .set_ds_withdrawal(api.request(pb::SetDsWithdrawalRequest {
                zone: zone(),
                withdrawn: true,
            }))
            .await
            .map(drop),
    ]
}

#[test]
fn strangers_and_enterprises_are_refused() {
    let world = World::new(&[]);
    let tag = u32::try_from(world.sign(ZONE, "ed25519")).unwrap();
    let before = world.idctl.json(&["dnssec", "keys"]);
    world.runtime.block_on(async {
        let (_, token) = world.operator.api_key(&world.enterprise).await;
        let enterprise = world.operator.with_token(Some(&token));
        for refused in try_all(&enterprise, tag).await {
            assert_eq!(refused.unwrap_err().code(), Code::PermissionDenied);
        }
        let stranger = world.operator.with_token(None);
        for refused in try_all(&stranger, tag).await {
            assert_eq!(refused.unwrap_err().code(), Code::Unauthenticated);
        }
    });
    assert_eq!(world.idctl.json(&["dnssec", "keys"]), before);
    // All calls there are were tried.
    let proto = "../proto/proto/idnode/v1/dnssec.proto";
    let text = std::fs::read_to_string(proto).unwrap();
    let calls = text
        .lines()
        .filter(|line| line.trim_start().starts_with("rpc "));
    let tried = world.runtime.block_on(try_all(&world.operator, tag));
    assert_eq!(calls.count(), tried.len());
}

#[test]
fn the_operator_is_told_what_is_wrong() {
    let world = World::new(&[]);
    let refused = |arguments: &[&str]| world.idctl.refused(arguments).1;
    let unknown = refused(&["dnssec", "generate", "nowhere.example."]);
    assert_eq!(unknown["reason"], "ZONE_NOT_FOUND", "{unknown}");
    let absent = refused(&["dnssec", "activate", ZONE, "1"]);
    assert_eq!(absent["reason"], "DNSSEC_KEY_NOT_FOUND", "{absent}");
    let tag = world.sign("ID.Example", "ecdsap256sha256").to_string();
    let last = refused(&["dnssec", "retire", ZONE, &tag]);
    assert_eq!(last["reason"], "DNSSEC_LAST_ACTIVE_KEY", "{last}");
    let again = refused(&["dnssec", "activate", ZONE, &tag]);
    assert_eq!(again["reason"], "DNSSEC_KEY_STATE", "{again}");
    for _ in 1..8 {
        world
            .idctl
            .json(&["dnssec", "generate", ZONE, "--algorithm", "ed25519"]);
    }
    let many = refused(&["dnssec", "generate", ZONE]);
    assert_eq!(many["reason"], "BOUND", "{many}");
    world.runtime.block_on(async {
        let request = world.operator.request(pb::RetireDnssecKeyRequest {
            zone: ZONE.to_owned(),
            key_tag: 65_536,
        });
        let status = world
            .operator
            .dnssec()
            .retire_dnssec_key(request)
            .await
            .unwrap_err();
        assert_eq!(
            (reason(&status), fields(&status)),
            ("INVALID".into(), vec!["key_tag".into()])
        );
    });
    // Tables for people: what is there, and what comes next.
    let mut command = world.idctl.command();
    let text = idnode_tests::run::success(command.args(["dnssec", "keys", ZONE]));
    assert!(
        text.contains("KEY TAG") && text.contains("id.example. is signed"),
        "{text}"
    );
    let rest: Value =
        world
            .idctl
            .json(&["dnssec", "rollover", "ors.example.", "--algorithm", "15"]);
    assert!(
        rest["next"].as_str().unwrap().contains("DS records"),
        "{rest}"
    );
    let rest: Value = world.idctl.json(&["dnssec", "rollover", "ors.example."]);
    assert!(rest["next"].as_str().unwrap().contains("--start"), "{rest}");
}
