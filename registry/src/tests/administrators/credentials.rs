//! Administrators who are taken for an enterprise or the operator, by a credential.

use super::*;
use crate::administrator::ProofKey;
use crate::change::Change;
use crate::credential::Credential;
use crate::enterprise::EnterpriseId;
use crate::read::PageRequest;

const OTHER: &str = "301:88.118.8/staff";

fn credential(enterprise: Option<u64>, administrator: &str) -> Credential {
    let key = ProofKey::Secret("of the credential".into());
    let enterprise = enterprise.map(EnterpriseId);
    Credential::of_administrator(enterprise, "label".into(), &id(administrator), key).unwrap()
}

#[test]
fn whoever_proves_it_is_the_enterprise() {
    let node = node();
    let made = credential(Some(2), ADMIN);
    node.write(Command::AddCredential(made.clone()));
    let key = node.registry().administrator(&id(ADMIN)).unwrap().unwrap();
    // The credential's key, not the value's.
    assert_eq!(key.key, ProofKey::Secret("of the credential".into()));
    assert_eq!(
        key.caller,
        Caller::Enterprise {
            id: EnterpriseId(2),
            credential: made.id.clone()
        }
    );
    node.try_as(&key.caller, create(&format!("{AWAY}/1"), "x"))
        .unwrap();
    assert!(
        node.try_as(&key.caller, create(&format!("{HOME}/1"), "x"))
            .is_err()
    );
    node.registry().require_valid(&key.caller).unwrap();

    let revoke = Command::RevokeCredential {
        id: made.id.clone(),
    };
    node.write(revoke);
    assert!(node.registry().require_valid(&key.caller).is_err());
    let key = node.registry().administrator(&id(ADMIN)).unwrap().unwrap();
    assert_eq!(
        key.key,
        ProofKey::Secret("geheim".into()),
        "the value's again"
    );
    let page = PageRequest::default();
    let listed = node
        .registry()
        .list_credentials(&node.operator, None, &page)
        .unwrap();
    let revoked = listed
        .items
        .iter()
        .find(|found| found.id == made.id)
        .unwrap();
    assert!(
        revoked.revoked && revoked.proof_key().is_none(),
        "its key is kept"
    );
    assert_eq!(
        revoked.administrator.as_ref().unwrap().id().unwrap(),
        id(ADMIN)
    );
    let last = node
        .registry()
        .read_log(node.registry().applied(), 1, 1)
        .unwrap();
    assert!(matches!(&last[0].change, Some(Change::Credential(c)) if c.proof_key().is_none()));
}

#[test]
fn an_operator_s_administrator_is_the_operator() {
    let node = node();
    node.write(Command::AddCredential(credential(None, OTHER)));
    assert!(node.administrator(OTHER).is_operator());
}

#[test]
fn one_administrator_has_one_credential() {
    let mut node = node();
    let first = credential(Some(1), OTHER);
    node.write(Command::AddCredential(first.clone()));
    let again = Command::AddCredential(credential(Some(1), "301:88.118.8/STAFF"));
    assert_eq!(node.refusal(again.clone()), "ADMINISTRATOR_EXISTS");
    node.write(Command::AddCredential(credential(
        Some(1),
        "302:88.118.8/staff",
    )));
    node.reopen();
    assert_eq!(node.refusal(again.clone()), "ADMINISTRATOR_EXISTS");
    node.write(Command::RevokeCredential { id: first.id });
    node.write(again);
}

#[test]
fn an_enterprise_names_handles_of_its_own_alone() {
    let node = node();
    let owner = holder(EnterpriseId(1));
    let add = |administrator: &str| Command::AddCredential(credential(Some(1), administrator));
    for own in [ADMIN, OTHER] {
        node.try_as(&owner, add(own)).unwrap();
    }
    for other in ["300:0.NA/88.118.9", "300:88.118.9/x", "300:86.1000/x"] {
        let refused = node.try_as(&owner, add(other)).unwrap_err();
        assert!(matches!(refused, Error::Denied(_)), "{refused:?}");
        // The operator answers for what it does.
        node.write(add(other));
    }
    let for_another = Command::AddCredential(credential(Some(2), "303:88.118.8/staff"));
    assert!(matches!(
        node.try_as(&owner, for_another),
        Err(Error::Denied(_))
    ));
    let operator_s = Command::AddCredential(credential(None, "303:88.118.8/staff"));
    assert!(matches!(
        node.try_as(&owner, operator_s),
        Err(Error::Denied(_))
    ));
}

#[test]
fn an_administrator_s_credential_has_no_token_and_its_key_a_size() {
    let node = node();
    let made = credential(Some(1), OTHER);
    node.write(Command::AddCredential(made.clone()));
    for secret in ["a".repeat(52), String::new(), "of the credential".into()] {
        let token = format!("idn_{}_{secret}", made.id);
        assert!(node.registry().authenticate(&token).is_err());
    }
    for (key, field) in [
        (ProofKey::Secret(Default::default()), "secret_key"),
        (ProofKey::Public(vec![0; 16_385]), "public_key"),
    ] {
        let refused = Credential::of_administrator(None, String::new(), &id(OTHER), key);
        assert!(matches!(refused, Err(Error::Invalid { field: at, .. }) if at == field));
    }
    let any = ProofKey::Secret("x".into());
    let refused = Credential::of_administrator(None, String::new(), &id("0:88.118.8/x"), any);
    assert!(refused.is_err(), "index 0 names no key");
}
