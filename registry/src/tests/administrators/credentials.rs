//! Administrators who are taken for an enterprise or the operator, by a credential.

use super::*;
use crate::administrator::ProofKey;
use crate::change::Change;
use crate::credential::Credential;
use crate::enterprise::EnterpriseId;
use crate::read::PageRequest;
use crate::write::ImportMode;

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
fn a_name_that_its_owner_took_is_good_for_as_long_as_the_handle_is_its_own() {
    let node = Node::with_prefixes(&[HOME, AWAY]);
    let name = "300:0.NA/88.118.9";
    let owner = holder(EnterpriseId(1));
    let made = Command::AddCredential(credential(Some(1), name));
    node.write_as(&owner, None, made).unwrap();
    let caller = node.administrator(name);
    node.registry().require_valid(&caller).unwrap();
    node.try_as(&caller, create(&format!("{HOME}/1"), "x"))
        .unwrap();
    for action in [
        PrefixAction::Suspend,
        PrefixAction::MarkForDeletion,
        PrefixAction::Remove,
    ] {
        node.registry().require_valid(&caller).unwrap();
        node.write(step(AWAY, action));
    }
    // Who has proven it before is nobody now, too.
    let valid = node.registry().require_valid(&caller);
    assert!(matches!(valid, Err(Error::Unauthenticated(_))), "{valid:?}");
    let refused = node.try_as(&caller, create(&format!("{HOME}/2"), "x"));
    assert!(
        matches!(refused, Err(Error::Unauthenticated(_))),
        "{refused:?}"
    );
    assert!(node.registry().administrator(&id(name)).unwrap().is_none());
    // Nor when somebody else has the prefix.
    let other = node.enterprise("two");
    node.activate(AWAY, other);
    assert!(node.registry().require_valid(&caller).is_err());
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

#[test]
fn a_revoked_credential_writes_nothing() {
    let node = node();
    let (made, token) = Credential::generate(Some(EnterpriseId(1)), "key".into()).unwrap();
    let revoke = Command::RevokeCredential {
        id: made.id.clone(),
    };
    node.write(Command::AddCredential(made));
    let caller = node.registry().authenticate(&token).unwrap();
    let (first, second) = (
        create(&format!("{HOME}/1"), "x"),
        create(&format!("{HOME}/2"), "x"),
    );
    let chunk = Command::ImportChunk {
        import_id: "load".into(),
        number: 1,
        mode: ImportMode::Create,
        items: vec![Ok(draft(&format!("{HOME}/3"), "x"))],
    };
    node.write_as(&caller, key("k", "1"), first.clone())
        .unwrap();
    node.write(revoke);
    // What was under way when it was revoked; what was done is not told again, either.
    for (key, command) in [(None, second), (None, chunk), (key("k", "1"), first)] {
        let refused = node.write_as(&caller, key, command).unwrap_err();
        assert!(matches!(refused, Error::Unauthenticated(_)), "{refused:?}");
    }
    for name in ["2", "3"] {
        assert!(node.record(&format!("{HOME}/{name}")).is_err());
    }
}

#[test]
fn a_name_goes_with_the_prefix_it_was_taken_for() {
    let node = node();
    let (one, two) = (EnterpriseId(1), EnterpriseId(2));
    let prefix = "88.118.10";
    let name = format!("300:0.NA/{prefix}");
    let add = |made: &Credential| Command::AddCredential(made.clone());
    let of_one = credential(Some(1), &name);
    // A prefix that is not active yet gives no names.
    node.write(apply(prefix, one));
    let refused = node.try_as(&holder(one), add(&of_one)).unwrap_err();
    assert!(matches!(refused, Error::Denied(_)), "{refused:?}");
    node.write(step(prefix, PrefixAction::StartReview));
    node.write(step(prefix, PrefixAction::Approve));
    node.try_as(&holder(one), add(&of_one)).unwrap();
    assert_eq!(node.administrator(&name).enterprise(), Some(one));

    node.write(step(prefix, PrefixAction::MarkForDeletion));
    node.write(step(prefix, PrefixAction::Remove));
    node.activate(prefix, two);
    assert_eq!(node.registry().administrator(&id(&name)), Ok(None));
    // The key among the values of whoever has the prefix now is asked for.
    node.write(put_on(prefix, vec![secret(300, "two")]));
    let found = node.registry().administrator(&id(&name)).unwrap().unwrap();
    assert_eq!(found.key, ProofKey::Secret("two".into()));
    let of_two = credential(Some(2), &name);
    node.try_as(&holder(two), add(&of_two)).unwrap();
    // The first one's end takes nothing from the second.
    node.write(Command::RevokeCredential { id: of_one.id });
    assert_eq!(node.administrator(&name).enterprise(), Some(two));
    let again = add(&credential(Some(2), &name));
    assert_eq!(node.refusal(again), "ADMINISTRATOR_EXISTS");
}
