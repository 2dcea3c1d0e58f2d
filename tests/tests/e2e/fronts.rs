//! One test body for all four fronts.

use idnode_proto::api as pb;
use idnode_tests::api::{Api, CODES, private, value};
use idnode_tests::node::{DataDir, Node};
use tokio::runtime::Runtime;

use crate::ask::{Dns, Filter, Front, Grpc, Handle, Http, Outcome, shown};

const ELSEWHERE: &str = "192.0.2.11";

/// A node with something of every kind, and what is needed to ask and change it.
struct World {
    runtime: Runtime,
    operator: Api,
    owner_token: String,
    stranger_token: String,
    node: Node,
    _dir: DataDir,
}

fn everything() -> Filter {
    Filter::default()
}

/// The longest handle there is, in bytes that DNS labels must escape.
fn longest() -> String {
    let head = "88.118.8/";
    let suffix = "标".repeat((2048 - head.len()) / 3);
    let handle = format!("{head}{suffix}");
    format!("{handle}{}", "x".repeat(2048 - handle.len()))
}

impl World {
    fn new() -> Self {
        let dir = DataDir::init();
        let node = Node::run(&dir);
        let runtime = Runtime::new().unwrap();
        let operator = runtime.block_on(Api::connect(&node.url(), Some(&dir.token())));
        let operator = operator.unwrap();
        let (owner_token, stranger_token) = runtime.block_on(fill(&operator));
        Self {
            runtime,
            operator,
            owner_token,
            stranger_token,
            node,
            _dir: dir,
        }
    }

    fn fronts(&self) -> Vec<Box<dyn Front>> {
        vec![
            Box::new(Grpc::of(&self.node)),
            Box::new(Dns::of(&self.node)),
            Box::new(Handle::of(&self.node, false)),
            Box::new(Handle::of(&self.node, true)),
            Box::new(Http::of(&self.node)),
        ]
    }
}

async fn fill(operator: &Api) -> (String, String) {
    let owner = operator.verified_enterprise(CODES[0]).await;
    let other = operator.verified_enterprise(CODES[1]).await;
    for prefix in ["88.118.8", "88.118.9", "88.118.10"] {
        operator.active_prefix(prefix, &owner).await;
    }
    let several = vec![
        value(1, "URL", "https://example.cn/1"),
        value(2, "NAME", "轴承 6204"),
        private(3, "COST", "17.20"),
        value(5, "URL", "https://example.cn/5"),
    ];
    let one = || vec![value(1, "URL", "https://example.cn/one")];
    let registered = [
        ("88.118.8/JXDY2106023", several),
        ("88.118.8/gone", one()),
        ("88.118.8/secret", vec![private(1, "COST", "9.99")]),
        ("88.118.8/温度", one()),
        ("88.118.8/CaseFold", one()),
        (&longest(), one()),
        ("88.118.8/changing", one()),
        ("88.118.10/there", one()),
    ];
    for (identifier, values) in registered {
        operator.create(identifier, values, "").await.unwrap();
    }
    let deleted = operator.delete("88.118.8/gone", "withdrawn", "").await;
    deleted.unwrap();
    delegate(operator).await;
    operator
        .transition("88.118.10", pb::PrefixAction::Suspend)
        .await;
    let owner_token = operator.api_key(&owner).await.1;
    (owner_token, operator.api_key(&other).await.1)
}

async fn delegate(operator: &Api) {
    let interface = |protocol: pb::interface::Protocol, port| pb::Interface {
        protocol: protocol.into(),
        port,
        query: true,
        admin: false,
    };
    let server = pb::Server {
        id: 1,
        address: ELSEWHERE.to_owned(),
        public_key: Vec::new(),
        interfaces: vec![
            interface(pb::interface::Protocol::Tcp, 2641),
            interface(pb::interface::Protocol::Http, 8080),
        ],
    };
    let site = pb::Site {
        serial: 1,
        primary: true,
        servers: vec![server],
        description: String::new(),
    };
    let name_server = pb::NameServer {
        name: "ns1.88-118-9.hdl.id.example.".to_owned(),
        addresses: vec![ELSEWHERE.to_owned()],
    };
    let request = operator.request(pb::SetDelegationRequest {
        prefix: "88.118.9".to_owned(),
        delegation: Some(pb::Delegation {
            sites: vec![site],
            name_servers: vec![name_server],
            ..pb::Delegation::default()
        }),
        ..pb::SetDelegationRequest::default()
    });
    operator.prefixes().set_delegation(request).await.unwrap();
}

/// What every front must answer alike.
fn check(front: &dyn Front, world: &World) {
    let name = front.name();
    let ask = |identifier: &str, filter: &Filter| front.ask(identifier, filter, None);
    let one = Outcome::Found(vec![shown(1, "URL", "https://example.cn/one")]);

    let public = Outcome::Found(vec![
        shown(1, "URL", "https://example.cn/1"),
        shown(2, "NAME", "轴承 6204"),
        shown(5, "URL", "https://example.cn/5"),
    ]);
    let hit = ask("88.118.8/JXDY2106023", &everything());
    assert_eq!(hit, public, "{name}: a hit, without what is not public");
    let miss = ask("88.118.8/nothing", &everything());
    assert_eq!(miss, Outcome::Missing, "{name}: a miss");
    let Outcome::Deleted(words) = ask("88.118.8/gone", &everything()) else {
        panic!("{name}: a tombstone")
    };
    assert!(words.contains("withdrawn"), "{name}: {words}");

    check_filters(front);
    check_secrets(front, world);

    let referral = Outcome::Referral(vec![ELSEWHERE.to_owned()]);
    let delegated = ask("88.118.9/anything", &everything());
    assert_eq!(delegated, referral, "{name}: a delegated prefix");
    let Outcome::NotServed(words) = ask("88.118.10/there", &everything()) else {
        panic!("{name}: a suspended prefix")
    };
    let says = words.contains("suspended") || words.contains("停用");
    assert!(says, "{name}: {words}");

    assert_eq!(ask("88.118.8/温度", &everything()), one, "{name}: UTF-8");
    for spelling in [
        "88.118.8/casefold",
        "88.118.8/CASEFOLD",
        "88.118.8/CaseFold",
    ] {
        assert_eq!(ask(spelling, &everything()), one, "{name}: {spelling}");
    }
    assert_eq!(ask(&longest(), &everything()), one, "{name}: 2,048 bytes");
    let Outcome::Invalid(words) = ask(&format!("{}x", longest()), &everything()) else {
        panic!("{name}: 2,049 bytes")
    };
    let says = (words.contains("identifier") || words.contains("handle")) && words.contains("2049");
    assert!(says, "{name} names what is too long: {words}");
}

fn check_filters(front: &dyn Front) {
    let name = front.name();
    let (first, fifth) = (
        shown(1, "URL", "https://example.cn/1"),
        shown(5, "URL", "https://example.cn/5"),
    );
    let second = shown(2, "NAME", "轴承 6204");
    let cases: [(&[&'static str], &[u32], &[&_]); 5] = [
        (&["URL"], &[], &[&first, &fifth]),
        (&["NAME"], &[], &[&second]),
        (&[], &[5], &[&fifth]),
        (&[], &[1, 2], &[&first, &second]),
        (&["NAME"], &[5], &[&second, &fifth]),
    ];
    for (types, indexes, expected) in cases {
        let filter = Filter {
            types: types.to_vec(),
            indexes: indexes.to_vec(),
        };
        let answer = front.ask("88.118.8/JXDY2106023", &filter, None);
        let expected = expected.iter().map(|value| (*value).clone()).collect();
        assert_eq!(answer, Outcome::Found(expected), "{name}: {filter:?}");
    }
    for (types, indexes) in [
        (vec!["EMAIL"], vec![]),
        (vec![], vec![4]),
        (vec![], vec![3]),
    ] {
        let filter = Filter { types, indexes };
        let answer = front.ask("88.118.8/JXDY2106023", &filter, None);
        assert_eq!(answer, Outcome::NoSuchValues, "{name}: {filter:?}");
    }
}

fn check_secrets(front: &dyn Front, world: &World) {
    let name = front.name();
    let secret = front.ask("88.118.8/secret", &everything(), None);
    assert_eq!(secret, Outcome::NoSuchValues, "{name}: nothing is public");
    if !front.knows_credentials() {
        return;
    }
    let own = front.ask("88.118.8/secret", &everything(), Some(&world.owner_token));
    let expected = Outcome::Found(vec![shown(1, "COST", "9.99")]);
    assert_eq!(own, expected, "{name}: its owner");
    let other = front.ask(
        "88.118.8/secret",
        &everything(),
        Some(&world.stranger_token),
    );
    assert_eq!(other, Outcome::NoSuchValues, "{name}: another enterprise");
}

#[test]
fn all_fronts_answer_alike() {
    let world = World::new();
    for front in world.fronts() {
        check(front.as_ref(), &world);
    }
}

#[test]
fn an_acknowledged_write_is_what_every_front_answers_next() {
    let world = World::new();
    let fronts = world.fronts();
    for round in 0..20 {
        let data = format!("https://example.cn/{round}");
        let values = vec![value(1, "URL", &data)];
        let done = world.operator.replace("88.118.8/changing", values, "");
        world.runtime.block_on(done).unwrap();
        let expected = Outcome::Found(vec![shown(1, "URL", &data)]);
        for front in &fronts {
            let answer = front.ask("88.118.8/changing", &everything(), None);
            assert_eq!(answer, expected, "{} in round {round}", front.name());
        }
    }
    // A negative answer that was cached goes away as well.
    for front in &fronts {
        let answer = front.ask("88.118.8/new", &everything(), None);
        assert_eq!(answer, Outcome::Missing, "{}", front.name());
    }
    let values = vec![value(1, "NAME", "new")];
    let done = world.operator.create("88.118.8/new", values, "");
    world.runtime.block_on(done).unwrap();
    for front in &fronts {
        let answer = front.ask("88.118.8/new", &everything(), None);
        let expected = Outcome::Found(vec![shown(1, "NAME", "new")]);
        assert_eq!(answer, expected, "{}", front.name());
    }
    let done = world.operator.delete("88.118.8/new", "again", "");
    world.runtime.block_on(done).unwrap();
    for front in &fronts {
        let answer = front.ask("88.118.8/new", &everything(), None);
        assert!(matches!(answer, Outcome::Deleted(_)), "{}", front.name());
    }
}
