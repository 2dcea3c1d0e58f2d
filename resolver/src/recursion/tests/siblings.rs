//! Ways to siblings, and past them.

use super::*;
use idnode_proto::api::{ResolutionConfiguration, Sibling};
use idnode_proto::routes::{Ports, code_type, endpoints};
use idnode_registry::upward::routes::{SiblingRules, Table};

/// The siblings table with one node, which has 88.119 at an address.
fn siblings(address: SocketAddr, allowed: &[&str]) -> Table {
    let ports = Ports {
        handle_udp: Some(address.port()),
        ..Ports::default()
    };
    let prefix = Prefix::parse("88.119").unwrap();
    let sibling = Sibling {
        node: "datong".to_owned(),
        configurations: vec![ResolutionConfiguration {
            code_type: code_type(prefix.scheme()).into(),
            prefix: prefix.canonical(),
            endpoints: endpoints(&[address.ip()], &ports),
        }],
        ..Sibling::default()
    };
    let rules = SiblingRules {
        deny: vec!["127.0.0.0/8".parse().unwrap()],
        allow: allowed.iter().map(|it| it.parse().unwrap()).collect(),
        ..SiblingRules::default()
    };
    Table::of([&sibling].into_iter(), &rules)
}

async fn ask_siblings(recursion: &Recursion, handle: &str) -> Outcome {
    let identifier = Identifier::parse(handle).unwrap();
    let said = match identifier.prefix_handle() {
        Some(_) => Answer::Missing(Missing::Identifier),
        None => Answer::Missing(Missing::Prefix),
    };
    let start = recursion.start(&identifier, &said).unwrap();
    recursion.resolve(&identifier, &start, 0).await
}

async fn answering() -> Service {
    service(Duration::ZERO, Box::new(|to, handle, _| url(to, handle))).await
}

async fn refusing(code: ResponseCode) -> Service {
    service(Duration::ZERO, Box::new(move |to, _, _| error(to, code))).await
}

#[tokio::test]
async fn a_sibling_is_asked_before_those_above_where_it_may_be() {
    let (sibling, above) = (answering().await, answering().await);
    let deny = &["127.0.0.0/8"];
    let it = recursion(&[above.address], deny);
    it.options
        .siblings
        .set(siblings(sibling.address, &["127.0.0.1/32"]));
    assert!(is_found(&ask_siblings(&it, HANDLE).await));
    assert_eq!((sibling.asked(), above.asked()), (1, 0));
    // Kept, and asked anew once it is somewhere else.
    assert!(is_found(&ask_siblings(&it, HANDLE).await));
    assert_eq!((sibling.asked(), above.asked()), (1, 0));
    let moved = answering().await;
    it.options
        .siblings
        .set(siblings(moved.address, &["127.0.0.1/32"]));
    assert!(is_found(&ask_siblings(&it, HANDLE).await));
    assert_eq!((sibling.asked(), moved.asked(), above.asked()), (1, 1, 0));
    // Where it may not be asked there is no sibling.
    it.options.siblings.set(siblings(sibling.address, &[]));
    assert!(is_found(&ask_siblings(&it, "88.119.1/B").await));
    assert_eq!((sibling.asked(), above.asked()), (1, 1));
}

#[tokio::test]
async fn those_above_are_asked_once_where_a_sibling_gives_no_answer() {
    for code in [
        ResponseCode::NOT_RESPONSIBLE,
        ResponseCode::HANDLE_NOT_FOUND,
    ] {
        let (sibling, above) = (refusing(code).await, answering().await);
        let it = recursion(&[above.address], &[]);
        it.options
            .siblings
            .set(siblings(sibling.address, &["127.0.0.1/32"]));
        let outcome = ask_siblings(&it, HANDLE).await;
        if code == ResponseCode::NOT_RESPONSIBLE {
            assert!(is_found(&outcome), "{outcome:?}");
            assert_eq!(above.asked(), 1);
            // Kept as what the sibling's prefix has.
            assert!(is_found(&ask_siblings(&it, HANDLE).await));
            assert_eq!(above.asked(), 1);
        } else {
            // What it has not, nobody has; but its own prefix is those above's to know.
            assert!(matches!(outcome, Ok(Answer::Missing(_))), "{outcome:?}");
            assert_eq!(above.asked(), 0);
            assert!(is_found(&ask_siblings(&it, "0.NA/88.119").await));
            assert_eq!(above.asked(), 1);
            let below = ask_siblings(&it, "0.NA/88.119.1").await;
            assert!(matches!(below, Ok(Answer::Missing(_))), "{below:?}");
        }
    }
}

#[tokio::test]
async fn a_silent_sibling_is_named_if_nobody_knows_better() {
    let (address, _sockets) = silent().await;
    let table = || siblings(address, &["127.0.0.1/32"]);
    let names_it = |outcome: &Outcome| matches!(outcome, Err(RecursionError::Unreachable { server, .. }) if *server == address.ip());
    // Those above refer to the sibling again, or are not responsible, or silent, or not there.
    let sites = site(address);
    let refers: Box<Script> =
        Box::new(move |to, _, _| referral(to, "0.NA/88.119", std::slice::from_ref(&sites)));
    let refers = service(Duration::ZERO, refers).await;
    let ignorant = refusing(ResponseCode::NOT_RESPONSIBLE).await;
    let (mute, _mute) = silent().await;
    for above in [
        vec![refers.address],
        vec![ignorant.address],
        vec![mute],
        Vec::new(),
    ] {
        let it = recursion(&above, &[]);
        it.options.siblings.set(table());
        let began = Instant::now();
        let outcome = ask_siblings(&it, HANDLE).await;
        assert!(names_it(&outcome), "{above:?}: {outcome:?}");
        assert!(began.elapsed() < 2 * TIMEOUT, "{above:?}");
    }
    assert_eq!((refers.asked(), ignorant.asked()), (1, 1));
    // There was time left for one that knows better.
    let knows = answering().await;
    let it = recursion(&[knows.address], &[]);
    it.options.siblings.set(table());
    assert!(is_found(&ask_siblings(&it, HANDLE).await));
}
