//! Who may do what: each call of the registry by strangers, by an enterprise on another's
//! property, by a revoked key; and where the secrets of credentials are.

mod calls;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use idnode_proto::api as pb;
use idnode_tests::api::{Api, CODES, code, private, reason, value};
use idnode_tests::call;
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::files_below;
use tonic::Code;

use calls::{
    Import, Property, SECRET, World, export, named_reads, names, open_reads, reads, resolutions,
    watch, writes, wrote,
};

/// What an enterprise may do with nothing, not even its own.
const OPERATOR_ONLY: [&str; 3] = ["CreateEnterprise", "ReviewEnterprise", "SetQuota"];
/// What needs no credential.
const PUBLIC: [&str; 2] = ["Resolve", "BatchResolve"];

/// Credentials that nobody was given, some of them near those that somebody was.
fn wrong_tokens(world: &World) -> Vec<String> {
    let operator = world.dir.token();
    let (id, secret) = operator.rsplit_once('_').unwrap();
    let (other_id, _) = world.other.token.rsplit_once('_').unwrap();
    vec![
        String::new(),
        "idn_".to_owned(),
        format!("idn_{}_{}", "a".repeat(16), "a".repeat(52)),
        format!("{id}_{}", "a".repeat(52)),
        format!("{id}_"),
        format!("{other_id}_{secret}"),
        operator[..operator.len() - 1].to_owned(),
        operator.to_uppercase(),
    ]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_a_valid_credential_nothing_is_written_and_nothing_private_is_shown() {
    let world = World::new().await;
    let before = world.head().await;
    let wrong = wrong_tokens(&world);
    for token in std::iter::once(None).chain(wrong.iter().map(|token| Some(token.as_str()))) {
        let api = world.operator.with_token(token);
        let written = writes(&api, &world.owner).await;
        for (name, outcome) in &written {
            assert_eq!(
                code(outcome),
                Code::Unauthenticated,
                "{name} with {token:?}"
            );
        }
        assert_eq!(world.head().await, before, "written with {token:?}");
        let read = reads(&api, &world.owner).await;
        for (name, outcome) in &read {
            let public = token.is_none() && PUBLIC.contains(name);
            let expected = if public {
                Code::Ok
            } else {
                Code::Unauthenticated
            };
            assert_eq!(code(outcome), expected, "{name} with {token:?}");
            let answer = outcome.as_deref().unwrap_or_default();
            assert!(!answer.contains(SECRET), "{name} with {token:?}: {answer}");
        }
        let called: BTreeSet<_> = names(&written).chain(names(&read)).collect();
        let protos = [
            include_str!("../../../proto/proto/idnode/v1/registry.proto"),
            include_str!("../../../proto/proto/idnode/v1/resolution.proto"),
            include_str!("../../../proto/proto/idnode/v1/sync.proto"),
        ];
        let methods = protos
            .into_iter()
            .flat_map(str::lines)
            .filter_map(|line| line.trim().strip_prefix("rpc "));
        for method in methods.filter_map(|line| line.split('(').next()) {
            assert!(called.contains(method), "{method} is not tried");
        }
    }
    // Nothing else was wrong with these calls.
    for (name, outcome) in writes(&world.operator, &world.owner).await {
        assert_eq!(
            code(&outcome),
            Code::Ok,
            "{name} by the operator: {outcome:?}"
        );
    }
    assert!(world.head().await > before);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enterprise_writes_only_what_is_its_own() {
    let world = World::new().await;
    let before = world.head().await;
    let other = world.with(&world.other);
    for (name, outcome) in writes(&other, &world.owner).await {
        // Another enterprise's key looks like none.
        let expected = match name {
            "RevokeApiKey" => Code::NotFound,
            _ => Code::PermissionDenied,
        };
        assert_eq!(code(&outcome), expected, "{name}: {outcome:?}");
    }
    only_the_operator_reviews(&other, &world.other).await;
    assert_eq!(world.head().await, before, "something is written");

    let mut import = Import::start(&other, "mixed").await.unwrap();
    let (own, theirs) = (&world.other, &world.owner);
    let mixed = ["a", "b"].map(|name| [own.named(name), theirs.named(name)]);
    let codes = import.chunk(1, &mixed.concat()).await.unwrap();
    let (yes, no) = (Code::Ok, Code::PermissionDenied);
    assert_eq!(codes, [yes, no, yes, no]);
    let found = world.operator.get(&theirs.named("a")).await;
    assert_eq!(code(&found), Code::NotFound, "an item that was refused");

    for (name, outcome) in writes(&other, &world.other).await {
        let expected = if OPERATOR_ONLY.contains(&name) {
            no
        } else {
            yes
        };
        assert_eq!(code(&outcome), expected, "{name} on its own: {outcome:?}");
    }
}

/// Steps of an enterprise's own affairs that it may not take itself.
async fn only_the_operator_reviews(api: &Api, own: &Property) {
    use pb::PrefixAction as Step;
    use pb::review_enterprise_request::Action;
    let steps = [
        Step::StartReview,
        Step::Approve,
        Step::Reject,
        Step::Suspend,
        Step::Resume,
        Step::CancelDeletion,
        Step::Remove,
    ];
    for action in steps {
        let request = pb::TransitionPrefixRequest {
            prefix: own.prefix.to_owned(),
            action: action.into(),
            message: "why".to_owned(),
            ..Default::default()
        };
        let outcome = wrote!(api, prefixes.transition_prefix(request));
        assert_eq!(code(&outcome), Code::PermissionDenied, "{action:?}");
    }
    for action in [
        Action::Verify,
        Action::Reject,
        Action::Suspend,
        Action::Resume,
    ] {
        let request = pb::ReviewEnterpriseRequest {
            id: own.enterprise.clone(),
            action: action.into(),
            message: "why".to_owned(),
            ..Default::default()
        };
        let outcome = wrote!(api, enterprises.review_enterprise(request));
        assert_eq!(code(&outcome), Code::PermissionDenied, "{action:?}");
    }
    let mut of_the_node = own.template();
    let template = of_the_node.template.as_mut().unwrap();
    (template.name, template.enterprise_id) = ("everybodys".to_owned(), String::new());
    let outcome = wrote!(api, templates.put_template(of_the_node));
    assert_eq!(
        code(&outcome),
        Code::PermissionDenied,
        "the node's template"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_enterprise_sees_only_what_is_its_own() {
    let world = World::new().await;
    let other = world.with(&world.other);
    for (name, outcome) in named_reads(&other, &world.owner).await {
        // Another's template looks like none.
        let expected = match name {
            "GetTemplate" => Code::NotFound,
            _ => Code::PermissionDenied,
        };
        assert_eq!(code(&outcome), expected, "{name}: {outcome:?}");
    }
    let mut seen = open_reads(&other).await;
    seen.extend(named_reads(&other, &world.other).await);
    for (name, outcome) in seen {
        let answer = outcome.unwrap_or_else(|refused| panic!("{name}: {refused:?}"));
        for mark in world.owner.marks().iter().filter(|mark| **mark != SECRET) {
            assert!(!answer.contains(mark), "{name} shows {mark}: {answer}");
        }
    }
    for (name, outcome) in resolutions(&other, &world.owner).await {
        assert!(!outcome.unwrap().contains(SECRET), "{name}");
    }
    // What is looked for above is what the owner is shown.
    let mut seen = open_reads(&world.with(&world.owner)).await;
    seen.extend(resolutions(&world.with(&world.owner), &world.owner).await);
    for (calls, mark) in [
        (vec!["Export", "Watch", "Resolve", "BatchResolve"], SECRET),
        (vec!["ListEnterprises", "Watch"], world.owner.code),
        (vec!["ListPrefixes", "Export", "Watch"], world.owner.prefix),
        (vec!["ListTemplates", "Watch"], &world.owner.template),
        (vec!["ListApiKeys", "Watch"], &world.owner.spare_key),
    ] {
        for (name, outcome) in seen.iter().filter(|(name, _)| calls.contains(name)) {
            assert!(
                outcome.as_ref().unwrap().contains(mark),
                "{name} lacks {mark}"
            );
        }
    }
}

/// A prefix of another enterprise inside one's own: what is under it is the other's alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_prefix_inside_anothers_keeps_its_values_to_itself() {
    let world = World::new().await;
    let (outer, inner) = ("oid:1.2.156.3001", "oid:1.2.156.3001.7");
    let operator = &world.operator;
    operator.active_prefix(outer, &world.owner.enterprise).await;
    operator.active_prefix(inner, &world.other.enterprise).await;
    let api = world.with(&world.other);
    let values = || {
        vec![
            private(1, "COST", "inner-secret"),
            value(2, "URL", "https://e.cn"),
        ]
    };
    api.create("1.2.156.3001.7.1", values(), "").await.unwrap();
    let above = world.with(&world.owner);
    let refused = above.replace("1.2.156.3001.7.1", values(), "").await;
    assert_eq!(code(&refused), Code::PermissionDenied);
    let refused = above.get("1.2.156.3001.7.1").await;
    assert_eq!(code(&refused), Code::PermissionDenied);
    let listing = pb::ListIdentifiersRequest {
        prefix: outer.to_owned(),
        ..Default::default()
    };
    let listed = call!(above, identifiers.list_identifiers(listing)).unwrap();
    let seen = [
        ("ListIdentifiers", format!("{listed:?}")),
        ("Export", export(&above, outer).await.unwrap()),
        ("Export of all", export(&above, "").await.unwrap()),
        ("Watch", watch(&above, outer).await.unwrap()),
        ("Watch of all", watch(&above, "").await.unwrap()),
    ];
    let shown = seen
        .iter()
        .filter(|(_, seen)| seen.contains("inner-secret"));
    let shown: Vec<_> = shown.map(|(name, _)| name).collect();
    assert!(
        shown.is_empty(),
        "the holder above is shown it by {shown:?}"
    );
    assert!(seen.iter().all(|(_, seen)| !seen.contains("3001.7.1")));
    let own = watch(&api, inner).await.unwrap();
    assert!(own.contains("inner-secret"), "its own holder is");

    // Nor when the prefix has gone, and what was under it would be the holder's above.
    api.delete("1.2.156.3001.7.1", "", "").await.unwrap();
    for step in [pb::PrefixAction::MarkForDeletion, pb::PrefixAction::Remove] {
        operator.transition(inner, step).await;
    }
    for prefix in [outer, ""] {
        let seen = watch(&above, prefix).await.unwrap();
        assert!(!seen.contains("inner-secret"), "under {prefix:?}: {seen}");
    }
}

/// Whoever a prefix is registered for is shown nothing of what another had under it: neither where
/// it was the other's and was removed, nor where it is inside one that still is.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_applies_for_a_prefix_does_not_see_what_another_had_under_it() {
    let world = World::new().await;
    let operator = &world.operator;
    let enterprise = &world.owner.enterprise;
    for (prefix, identifier) in [
        ("88.118.20", "88.118.20/was"),
        ("oid:1.2.156.3001", "1.2.156.3001.9.1"),
    ] {
        operator.active_prefix(prefix, enterprise).await;
        let values = vec![private(1, "COST", "earlier-secret")];
        operator.create(identifier, values, "").await.unwrap();
        operator.delete(identifier, "", "").await.unwrap();
    }
    for step in [pb::PrefixAction::MarkForDeletion, pb::PrefixAction::Remove] {
        operator.transition("88.118.20", step).await;
    }
    let next = world.with(&world.other);
    let mut shown = Vec::new();
    for prefix in ["88.118.20", "oid:1.2.156.3001.9"] {
        let apply = pb::ApplyPrefixRequest {
            prefix: prefix.to_owned(),
            enterprise_id: world.other.enterprise.clone(),
            ..Default::default()
        };
        let applied = wrote!(next, prefixes.apply_prefix(apply.clone()));
        if prefix.starts_with("oid:") {
            // Part of what another holds is the operator's to give.
            assert_eq!(code(&applied), Code::PermissionDenied);
            wrote!(operator, prefixes.apply_prefix(apply)).unwrap();
        } else {
            applied.unwrap();
        }
        for (name, seen) in [
            ("Watch", watch(&next, prefix).await),
            ("Export", export(&next, prefix).await),
        ] {
            if seen.unwrap().contains("earlier-secret") {
                shown.push((name, prefix));
            }
        }
    }
    assert!(shown.is_empty(), "who applied is shown it by {shown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_revoked_key_stops_at_once() {
    let world = World::new().await;
    let api = world.with(&world.owner);
    let me = call!(api, credentials.who_am_i(pb::WhoAmIRequest {})).unwrap();
    assert_eq!(
        (me.operator, &me.enterprise_id),
        (false, &world.owner.enterprise)
    );

    let mut import = Import::start(&api, "long").await.unwrap();
    let item = |name| [world.owner.named(name)];
    assert_eq!(import.chunk(1, &item("before")).await.unwrap(), [Code::Ok]);
    let following = pb::WatchRequest {
        follow: true,
        ..Default::default()
    };
    let mut watch = call!(api, changes.watch(following)).unwrap();
    assert!(watch.message().await.unwrap().is_some(), "a sign of life");

    let revoke = pb::RevokeApiKeyRequest {
        id: me.credential_id.clone(),
    };
    wrote!(world.operator, credentials.revoke_api_key(revoke)).unwrap();
    let head = world.head().await;
    let refused = import.chunk(2, &item("after")).await;
    assert_eq!(code(&refused), Code::Unauthenticated, "the open import");
    let ended = loop {
        match watch.message().await {
            Ok(Some(message)) => assert!(message.changes.is_empty(), "{message:?}"),
            Ok(None) => panic!("the watch ended well"),
            Err(status) => break status,
        }
    };
    assert_eq!(
        ended.code(),
        Code::Unauthenticated,
        "the open watch: {ended:?}"
    );
    assert_eq!(reason(&ended), "UNAUTHENTICATED");
    every_call_is_refused(&api, &world.owner).await;
    assert_eq!(world.head().await, head, "written with a revoked key");

    let World {
        node,
        dir,
        owner,
        other,
        ..
    } = world;
    node.stop();
    let node = Node::run(&dir);
    let api = Api::connect(&node.url(), Some(&owner.token)).await.unwrap();
    every_call_is_refused(&api, &owner).await;
    let api = api.with_token(Some(&other.token));
    let me = call!(api, credentials.who_am_i(pb::WhoAmIRequest {})).unwrap();
    assert_eq!(
        me.enterprise_id, other.enterprise,
        "a key that is valid still"
    );
}

async fn every_call_is_refused(api: &Api, on: &Property) {
    let written = writes(api, on).await;
    let read = reads(api, on).await;
    let codes = written.iter().map(|(name, outcome)| (name, code(outcome)));
    for (name, code) in codes.chain(read.iter().map(|(name, outcome)| (name, code(outcome)))) {
        assert_eq!(code, Code::Unauthenticated, "{name}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_secrets_of_credentials_are_in_no_file_and_in_no_log() {
    let dir = DataDir::init();
    let mode = fs::metadata(dir.token_file()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600, "operator.token");
    let loud = ["--set", "log.level=debug"];
    let mut node = Node::run_at(&dir, &Addresses::free(), &loud);
    let operator = Api::connect(&node.url(), Some(&dir.token())).await.unwrap();
    let owner = Property::new(&operator, CODES[0], "88.118.8").await;
    let api = operator.with_token(Some(&owner.token));
    for (name, outcome) in named_reads(&api, &owner).await {
        assert_eq!(code(&outcome), Code::Ok, "{name}");
    }
    // Near misses are what a careless node would write down whole.
    let nearly = format!("{}x", &owner.token[..owner.token.len() - 1]);
    every_call_is_refused(&api.with_token(Some(&nearly)), &owner).await;

    let secrets = [dir.token(), owner.token.clone(), nearly];
    let secrets = secrets.map(|token| token.rsplit_once('_').unwrap().1.to_owned());
    // A token's id is kept: it is how one sees that the search finds what is there.
    let id = owner.token.split('_').nth(1).unwrap().to_owned();
    assert!(
        found(&dir, &id),
        "the key is kept in no file that is searched"
    );
    search(&dir, &node.log(), &secrets);
    node.terminate();
    assert!(node.wait().success());
    search(&dir, &node.log(), &secrets);
}

/// Whether a text is in a file of the data directory, other than `operator.token`.
fn found(dir: &DataDir, text: &str) -> bool {
    let files = files_below(&dir.path()).into_iter();
    let files = files.filter(|file| *file != dir.token_file());
    // A file may go away while it is looked for.
    let mut contents = files.filter_map(|file| fs::read(file).ok());
    contents.any(|bytes| {
        bytes
            .windows(text.len())
            .any(|part| part == text.as_bytes())
    })
}

fn search(dir: &DataDir, log: &str, secrets: &[String]) {
    assert!(!log.is_empty(), "nothing is logged");
    for (place, secret) in secrets.iter().enumerate() {
        assert!(!found(dir, secret), "secret {place} is in a file");
        assert!(!log.contains(secret), "secret {place} is in the log");
    }
}
