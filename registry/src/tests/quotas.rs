//! Quotas: what is counted, where it is refused, who may go beyond.

use super::support::*;
use crate::Error;
use crate::enterprise::EnterpriseId;
use crate::prefix::PrefixAction;
use crate::quota::{Quota, QuotaKind};
use crate::write::{Command, ImportMode, ImportStatus, Outcome};

const OWNER: EnterpriseId = EnterpriseId(1);

fn limit(per_day: Option<u64>, total: Option<u64>, prefixes: Option<u64>) -> Command {
    Command::SetQuota {
        id: OWNER,
        quota: Quota {
            registrations_per_day: per_day,
            registrations: total,
            prefixes,
        },
        expected_version: None,
    }
}

#[track_caller]
fn beyond(node: &Node, command: Command) -> (QuotaKind, u64) {
    match node.write_as(&holder(OWNER), None, command) {
        Err(Error::Quota { kind, limit, .. }) => (kind, limit),
        other => panic!("{other:?}"),
    }
}

#[track_caller]
fn within(node: &Node, command: Command) {
    node.write_as(&holder(OWNER), None, command).unwrap();
}

#[test]
fn what_is_registered_counts_until_it_is_deleted() {
    let mut node = Node::with_prefixes(&["88.118.8", "88.118.7"]);
    within(&node, create("88.118.8/before", "x"));
    node.write(limit(None, Some(3), None));
    within(&node, create("88.118.8/1", "x"));
    within(&node, create("88.118.7/2", "x"));
    let total = (QuotaKind::Registrations, 3);
    assert_eq!(beyond(&node, create("88.118.8/3", "x")), total);
    within(&node, update("88.118.8/1", "y", None));
    node.reopen();
    assert_eq!(beyond(&node, create("88.118.8/3", "x")), total);
    // The operator may, and it counts.
    node.write(create("88.118.8/3", "x"));
    within(&node, delete("88.118.8/1", None));
    assert_eq!(beyond(&node, create("88.118.8/1", "x")), total);
    within(&node, delete("88.118.8/before", None));
    within(&node, create("88.118.8/1", "x"));
    assert_eq!(beyond(&node, create("88.118.8/4", "x")), total);
    // What is refused leaves nothing: neither an identifier nor a count.
    assert!(node.record("88.118.8/4").is_err());
    node.write(limit(None, Some(4), None));
    within(&node, create("88.118.8/4", "x"));
    node.write(limit(None, None, None));
    within(&node, create("88.118.8/5", "x"));
    // Counting begins anew with what there is: 2, 3, 1, 4 and 5.
    node.write(limit(None, Some(6), None));
    within(&node, create("88.118.8/6", "x"));
    assert_eq!(
        beyond(&node, create("88.118.8/7", "x")),
        (QuotaKind::Registrations, 6)
    );
}

#[test]
fn a_day_s_registrations_count_whatever_becomes_of_them() {
    let node = Node::with_prefixes(&["88.118.8"]);
    node.write(limit(Some(2), None, None));
    within(&node, create("88.118.8/1", "x"));
    within(&node, delete("88.118.8/1", None));
    within(&node, create("88.118.8/1", "x"));
    let daily = (QuotaKind::RegistrationsPerDay, 2);
    assert_eq!(beyond(&node, create("88.118.8/2", "x")), daily);
    // Those of others are not its own.
    let other = node.enterprise("two");
    node.activate("88.118.9", other);
    let made = node.write_as(&holder(other), None, create("88.118.9/1", "x"));
    made.unwrap();
}

#[test]
fn a_chunk_is_taken_as_far_as_the_quota_goes() {
    let node = Node::with_prefixes(&["88.118.8", "88.118.7"]);
    within(&node, create("88.118.8/0", "x"));
    node.write(limit(None, Some(3), None));
    let chunk = |number| Command::ImportChunk {
        import_id: "i".into(),
        number,
        mode: ImportMode::Upsert,
        items: [
            "88.118.8/0",
            "88.118.8/1",
            "88.118.7/2",
            "88.118.8/3",
            "88.118.7/4",
        ]
        .map(|identifier| Ok(draft(identifier, "y")))
        .to_vec(),
    };
    let done = node.write_as(&holder(OWNER), None, chunk(1)).unwrap();
    let Outcome::Import(results) = done.outcome else {
        panic!("{done:?}");
    };
    use ImportStatus::{Created, Rejected, Updated};
    let statuses: Vec<_> = results.iter().map(|result| result.status).collect();
    assert_eq!(statuses, [Updated, Created, Created, Rejected, Rejected]);
    let error = results[4].error.as_ref().unwrap();
    assert_eq!(
        (error.code, error.reason.as_str()),
        (8, "QUOTA_REGISTRATIONS")
    );
    assert_eq!(
        beyond(&node, create("88.118.8/3", "x")),
        (QuotaKind::Registrations, 3)
    );
    node.write(chunk(2));
    assert!(
        node.record("88.118.7/4").is_ok(),
        "the operator may go beyond"
    );
}

#[test]
fn prefixes_count_from_application_to_removal() {
    let node = Node::with_prefixes(&["88.118.8"]);
    node.write(limit(None, None, Some(2)));
    within(&node, apply("88.118.7", OWNER));
    let most = (QuotaKind::Prefixes, 2);
    assert_eq!(beyond(&node, apply("88.118.6", OWNER)), most);
    within(&node, step("88.118.7", PrefixAction::MarkForDeletion));
    assert_eq!(beyond(&node, apply("88.118.6", OWNER)), most);
    node.write(step("88.118.7", PrefixAction::Remove));
    within(&node, apply("88.118.6", OWNER));
    assert_eq!(beyond(&node, apply("88.118.5", OWNER)), most);
    node.write(apply("88.118.5", OWNER));
}

#[test]
fn many_at_once_do_not_go_beyond() {
    let node = Node::with_prefixes(&["88.118.8"]);
    node.write(limit(None, Some(10), None));
    let results: Vec<_> = node.runtime.block_on(async {
        let mut running = tokio::task::JoinSet::new();
        for number in 0..30 {
            let registry = node.registry().clone();
            running.spawn(async move {
                let command = create(&format!("88.118.8/{number}"), "x");
                registry.write(&holder(OWNER), None, command).await
            });
        }
        running.join_all().await
    });
    let made = results.iter().filter(|result| result.is_ok()).count();
    assert_eq!(made, 10);
}

#[test]
fn only_the_operator_sets_a_quota() {
    let node = Node::with_prefixes(&["88.118.8"]);
    let refused = node.write_as(&holder(OWNER), None, limit(Some(1), None, None));
    assert!(matches!(refused, Err(Error::Denied(_))), "{refused:?}");
    let receipt = node.write(limit(Some(1), None, None));
    let Outcome::Enterprise(enterprise) = receipt.outcome else {
        panic!("{receipt:?}");
    };
    assert_eq!(enterprise.quota.unwrap().registrations_per_day, Some(1));
    let receipt = node.write(limit(None, None, None));
    assert!(matches!(receipt.outcome, Outcome::Enterprise(e) if e.quota.is_none()));
}
