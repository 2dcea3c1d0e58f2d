//! What is registered is signed as it is registered, whatever happens beside it.

use super::altered_log::Gate;
use super::support::*;
use crate::enterprise::EnterpriseId;
use crate::write::{
    Command, Endorser, IdentifierUpdate, ImportMode, Outcome, PrefixUpdate, SetMode,
};
use crate::{Caller, Registry};
use idnode_proto::handle::{Admin, AdminRights};
use idnode_proto::trust::chain::Verifier;
use idnode_proto::trust::claims::Token;
use idnode_proto::trust::key::{Algorithm, PrivateKey, TrustKey, generate_pem};
use idnode_proto::trust::{Fault, Root, Signer, Step};
use idnode_proto::value::{Permissions, Reference, Value, types};
use std::time::Duration;

const SIGNER: &str = "300:0.NA/88.118.8";

/// Makes the registry sign.
fn endorse(registry: &Registry) {
    let pem = generate_pem(Algorithm::Sm2256).unwrap();
    registry.endorse_by(Endorser {
        signer: Signer {
            name: SIGNER.parse().unwrap(),
            key: PrivateKey::from_pem(&pem).unwrap(),
            chain: Vec::new(),
        },
        validity_s: 3_600,
        imports: false,
    });
}

/// What is wrong with the values of a record, beyond there being nobody who certifies the signer.
fn faults(node: &Node, handle: &str) -> Vec<Fault> {
    let record = node.record(handle).unwrap();
    let name = record.display.clone().unwrap_or_else(|| {
        let identifier: idnode_proto::identifier::Identifier = handle.parse().unwrap();
        identifier.canonical()
    });
    let pem = generate_pem(Algorithm::Sm2256).unwrap();
    let root = Root {
        name: SIGNER.parse().unwrap(),
        key: TrustKey::of(&PrivateKey::from_pem(&pem).unwrap()).unwrap(),
    };
    let values: Vec<_> = record.values().collect();
    let mut verifier = Verifier::new(&root, &name, &values, crate::now_ms() / 1_000);
    let verdict = loop {
        match verifier.step() {
            Step::Done(verdict) => break verdict,
            Step::NeedsCertificates(of) => verifier.resolved(&of, []),
        }
    };
    let of_signature =
        |fault: &&Fault| matches!(fault, Fault::NoCertificate { .. } | Fault::Uncovered(_));
    let all = verdict.all_faults().filter(|fault| !of_signature(fault));
    let unsigned = verdict
        .values
        .iter()
        .any(|value| value.value_type != types::HS_SIGNATURE && value.signed_by.is_empty());
    assert!(!unsigned, "{verdict:?}");
    all.cloned().collect()
}

/// The names that the signatures of a record are over.
fn signed_names(node: &Node, handle: &str) -> Vec<String> {
    let record = node.record(handle).unwrap();
    let signatures = record
        .values()
        .filter(|value| value.value_type() == types::HS_SIGNATURE);
    signatures
        .map(|value| Token::signature(value.data()).unwrap().claims.claims.sub)
        .collect()
}

/// Adds a value, which must not be there yet.
fn add(handle: &str, index: u32) -> Command {
    let identifier = handle.parse().unwrap();
    let value = Value {
        timestamp_s: STAMP_S,
        ..Value::new(index, "URL", "https://example.com/")
    };
    let update = IdentifierUpdate::new(identifier, vec![value], vec![], false, None, None, STAMP_S);
    Command::UpdateIdentifier(update.unwrap().with_mode(SetMode::Add))
}

fn remove(handle: &str, index: u32) -> Command {
    let identifier = handle.parse().unwrap();
    let update = IdentifierUpdate::new(identifier, vec![], vec![index], false, None, None, STAMP_S);
    Command::UpdateIdentifier(update.unwrap())
}

#[test]
fn an_update_is_signed_over_the_registered_spelling() {
    let node = Node::with_prefixes(&["88.118.8"]);
    endorse(node.registry());
    for (registered, other) in [
        ("88.118.8/A-1", "88.118.8/a-1"),
        ("88.118.8/b", "88.118.8/B"),
    ] {
        node.write(create(registered, "1"));
        assert_eq!(signed_names(&node, registered), [registered]);
        for spelling in [other, registered] {
            node.write(update(spelling, spelling, None));
            assert_eq!(signed_names(&node, registered), [registered]);
            assert_eq!(faults(&node, registered), []);
        }
    }
}

/// The operator's first command, and a second one that is signed while the first is not readable,
/// and applied after it.
fn beside(node: &Node, gate: &Gate, first: Command, caller: &Caller, second: Command) {
    gate.shut();
    let write = |caller: &Caller, command: Command| {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        let written = node.registry().write(caller, None, command);
        runtime.unwrap().block_on(written).unwrap();
    };
    std::thread::scope(|scope| {
        scope.spawn(|| write(&node.operator, first));
        gate.wait();
        scope.spawn(|| write(caller, second));
        // Long enough to be signed and handed in.
        std::thread::sleep(Duration::from_millis(200));
        gate.release();
    });
}

/// Puts a value among those of the prefix.
fn put_on_prefix(value: Value) -> Command {
    let value = Value {
        timestamp_s: STAMP_S,
        ..value
    };
    let prefix = "88.118.8".parse().unwrap();
    let update = PrefixUpdate::new(prefix, vec![value], Vec::new(), false, None, STAMP_S);
    Command::UpdatePrefix(update.unwrap())
}

#[test]
fn a_create_that_has_just_become_allowed_is_signed() {
    let mut node = Node::with_prefixes(&["88.118.8"]);
    let gate = Gate::new();
    node.reopen_over(|dir| gate.open(dir));
    node.write(put_on_prefix(Value {
        permissions: Permissions::default_of(types::HS_SECKEY),
        ..Value::new(300, types::HS_SECKEY, "geheim")
    }));
    endorse(node.registry());
    let key = node.registry().administrator(&SIGNER.parse().unwrap());
    let administrator = key.unwrap().unwrap().caller;
    let allow = Admin {
        permissions: AdminRights::ADD_HANDLE,
        reference: Reference {
            handle: "0.NA/88.118.8".into(),
            index: 300,
        },
    };
    let allow = put_on_prefix(Value::new(100, types::HS_ADMIN, allow.encode()));
    let handle = "88.118.8/A-1";
    beside(&node, &gate, allow, &administrator, create(handle, "1"));
    assert_eq!(signed_names(&node, handle), [handle]);
    assert_eq!(faults(&node, handle), []);
}

#[test]
fn an_update_beside_another_write_is_signed_over_what_it_leaves() {
    let mut node = Node::with_prefixes(&["88.118.8"]);
    let gate = Gate::new();
    node.reopen_over(|dir| gate.open(dir));
    endorse(node.registry());
    let handle = "88.118.8/A-1";
    let pairs = [
        (create(handle, "1"), update(handle, "2", None)),
        (create("88.118.8/A-2", "1"), add("88.118.8/A-2", 7)),
        (remove("88.118.8/A-2", 7), add("88.118.8/A-2", 7)),
    ];
    for (first, second) in pairs {
        beside(&node, &gate, first, &node.operator, second);
    }
    assert_eq!(text_of(&node, handle), "2");
    for handle in [handle, "88.118.8/A-2"] {
        assert_eq!(faults(&node, handle), [], "{handle}");
    }
}

#[test]
fn nothing_is_signed_for_those_who_may_not_register_it() {
    // A key that signs nothing: whatever is to be signed fails.
    const UNFIT: &str = "-----BEGIN PRIVATE KEY-----\n\
        MC4CAQAwBQYDK2VwBCIEINTuctv5E1hK1bbY8fdp+K06/nwoy/HU++CXqI9EdVhC\n\
        -----END PRIVATE KEY-----\n";
    let node = Node::with_prefixes(&["88.118.8"]);
    let other = holder(node.enterprise("two"));
    node.write(create("88.118.8/there", "1"));
    node.registry().endorse_by(Endorser {
        signer: Signer {
            name: SIGNER.parse().unwrap(),
            key: PrivateKey::from_pem(UNFIT).unwrap(),
            chain: Vec::new(),
        },
        validity_s: 3_600,
        imports: true,
    });
    let chunk = || Command::ImportChunk {
        import_id: "load".into(),
        number: 1,
        mode: ImportMode::Create,
        items: vec![Ok(draft("88.118.8/item", "x"))],
    };
    let reason = |caller: &Caller, command: Command| -> String {
        match node.write_as(caller, None, command) {
            Err(error) => error.reason().to_owned(),
            Ok(receipt) => match receipt.outcome {
                Outcome::Import(results) => results[0].error.clone().unwrap().reason,
                other => panic!("{other:?}"),
            },
        }
    };
    for (caller, expected) in [(&other, "DENIED"), (&holder(EnterpriseId(1)), "STORAGE")] {
        for command in [
            create("88.118.8/new", "x"),
            update("88.118.8/there", "2", None),
            chunk(),
        ] {
            assert_eq!(reason(caller, command.clone()), expected, "{command:?}");
        }
    }
}

/// The data of a record's value at index 1.
fn text_of(node: &Node, handle: &str) -> String {
    let record = node.record(handle).unwrap();
    let value = record.values().find(|value| value.index() == 1).unwrap();
    String::from_utf8(value.data().to_vec()).unwrap()
}
