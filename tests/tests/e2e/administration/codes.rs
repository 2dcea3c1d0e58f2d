//! Every response code that this node answers with, each drawn from it by a request over TCP; and
//! which codes cannot arise here (docs/handle.md says why).

use super::mirror;
use super::sessions::PRIME;
use super::{
    ADD, CREATE, Client, DELETE, LIST, LOGIN, MINT, MODIFY, PRIVATE, PUBLIC, PUBLIC_ONLY, REMOVE,
    World, url,
};
use idnode_proto::handle::ResponseCode;
use idnode_tests::node::{Addresses, DataDir, Node};
use serde_json::{Value, json};
use std::collections::BTreeSet;

/// Known to clients, and answered to nothing by this node: nobody publishes what they mean.
const NEVER: [u32; 2] = [601, 602];
const RECURSE: u32 = 0x1000_0000;

/// A node in which everything can go wrong.
struct Stage {
    world: World,
    /// Logged in as the enterprise.
    owner: Client,
    stranger: Client,
}

impl Stage {
    fn new() -> Self {
        // Where others are asked nobody listens.
        let world = World::with(DataDir::init(), &["handle.upstream=127.0.0.1:1"]);
        let idctl = world.idctl();
        for prefix in ["88.118.9", "88.118.10"] {
            idctl.active_prefix(prefix, &world.enterprise);
        }
        let service = "127.0.0.1,tcp:1";
        idctl.json(&["prefix", "delegate", "88.118.9", "--service", service]);
        idctl.json(&["prefix", "suspend", "88.118.10"]);
        let mut owner = world.logged_in();
        let values = json!([url(1, "x"), [2, "COST", "17.20", PRIVATE]]);
        owner.gets(
            1,
            CREATE,
            json!({"handle": "88.118.8/here", "values": values}),
        );
        let works = json!([
            [400, "HS_SECKEY", "of the works", PRIVATE],
            [401, "HS_PUBKEY", "no key", PUBLIC],
            // May create and list, and neither change nor delete.
            [
                100,
                "HS_ADMIN",
                "hex:08010000000d302e4e412f38382e3131382e3800000190",
                PUBLIC
            ],
        ]);
        owner.gets(1, ADD, json!({"handle": "0.NA/88.118.8", "values": works}));
        let own = json!([
            url(1, "x"),
            [
                100,
                "HS_ADMIN",
                "hex:00100000000d302e4e412f38382e3131382e3800000190",
                PUBLIC
            ],
        ]);
        owner.gets(
            1,
            CREATE,
            json!({"handle": "88.118.8/works", "values": own}),
        );
        let stranger = world.client(&["--secret", "another"]);
        Self {
            world,
            owner,
            stranger,
        }
    }

    fn works(&self) -> Client {
        let identity = [
            "--identity",
            "400:0.NA/88.118.8",
            "--secret",
            "of the works",
        ];
        let mut works = self.world.client(&identity);
        works.log_in("0.NA/88.118.8", 400);
        works
    }

    fn quota(&self, limit: &[&str]) {
        let command = ["enterprise", "set-quota", &self.world.enterprise];
        self.world.idctl().json(&[&command[..], limit].concat());
    }
}

/// What is asked, and what with.
type Case = (u32, &'static str, fn(&mut Stage) -> Value);

fn create(name: &str) -> Value {
    json!({"handle": format!("88.118.8/{name}"), "values": [url(1, "x")]})
}

fn prefix(name: &str) -> Value {
    json!({"handle": format!("0.NA/{name}"), "values": []})
}

/// Codes 1 to 7.
const GENERAL: [Case; 13] = [
    (1, "a handle", |it| {
        it.stranger
            .send(1, json!({"handle": "88.118.8/here", "types": ["URL"]}))
    }),
    (2, "an unknown operation", |it| {
        it.stranger.send(999, json!({"body": ""}))
    }),
    (2, "a length beyond the message", |it| {
        it.stranger.send(1, json!({"body": "000000ff41"}))
    }),
    (3, "no room for a connection", |_| {
        let node = Node::run_at(
            &DataDir::init(),
            &Addresses::free(),
            &["--set", "handle.max_tcp_connections=1"],
        );
        let mut first = Client::start(&node, &[]);
        first.gets(301, 1, json!({"handle": "88.118.8/x"}));
        Client::start(&node, &[]).send(1, json!({"handle": "88.118.8/x"}))
    }),
    (4, "operation 0", |it| {
        it.stranger.send(0, json!({"body": ""}))
    }),
    (5, "a compressed message", |it| {
        it.stranger
            .send(1, json!({"handle": "88.118.8/here", "compressed": true}))
    }),
    (402, "a dump", |it| {
        let all = json!({"body": mirror::prefixes(&[])});
        it.stranger.send(1002, all)
    }),
    (2, "a dump of what is no list of prefixes", |it| {
        it.stranger.send(1002, json!({"body": ""}))
    }),
    (401, "a backup, for an enterprise", |it| {
        it.owner.send(1003, json!({"body": ""}))
    }),
    (301, "the transactions of an unknown prefix", |it| {
        let of = mirror::prefixes(&["0.NA/88.119"]);
        let body = format!("{:016x}{:08x}{of}", 1, 0);
        it.owner.send(1001, json!({"body": body}))
    }),
    (7, "a backup while another is made", |it| {
        mirror::a_second_backup(&it.world)
    }),
    (6, "a question that has passed through eight", |it| {
        let far = json!({"handle": "88.200/x", "flags": RECURSE | PUBLIC_ONLY, "passed": 8});
        it.stranger.send(1, far)
    }),
    (2, "nobody answers recursion", |it| {
        it.stranger.send(
            1,
            json!({"handle": "88.200/x", "flags": RECURSE | PUBLIC_ONLY}),
        )
    }),
];

/// Codes 100 to 303.
const HANDLES: [Case; 29] = [
    (100, "no such handle", |it| {
        it.stranger.send(1, json!({"handle": "88.118.8/none"}))
    }),
    (100, "no such handle to delete", |it| {
        it.owner.send(DELETE, json!({"handle": "88.118.8/none"}))
    }),
    (101, "a handle that is there", |it| {
        it.owner.send(CREATE, create("here"))
    }),
    (101, "a prefix that is there", |it| {
        it.owner.send(CREATE, prefix("88.118.8"))
    }),
    (1, "a prefix that is applied for", |it| {
        it.owner.send(CREATE, prefix("88.118.11"))
    }),
    (101, "a prefix that has been applied for", |it| {
        it.owner.send(CREATE, prefix("88.118.11"))
    }),
    (202, "a site of a prefix that is applied for", |it| {
        let site = json!([[1, "HS_SITE", "here", PUBLIC]]);
        it.owner
            .send(CREATE, json!({"handle": "0.NA/88.118.12", "values": site}))
    }),
    (202, "a service of a prefix that is applied for", |it| {
        let service = json!([[17, "HS_SERV", "88.119/SVC", PUBLIC]]);
        let handle = "0.NA/88.118.12";
        it.owner
            .send(CREATE, json!({"handle": handle, "values": service}))
    }),
    (202, "a service of a prefix", |it| {
        let service = json!([[17, "HS_SERV", "88.119/SVC", PUBLIC]]);
        let handle = "0.NA/88.118.8";
        it.owner
            .send(ADD, json!({"handle": handle, "values": service}))
    }),
    (102, "no handle", |it| {
        it.stranger.send(1, json!({"handle": "no handle"}))
    }),
    (102, "no handle to create", |it| {
        it.owner.send(
            CREATE,
            json!({"handle": "no handle", "values": [url(1, "x")]}),
        )
    }),
    (200, "no such type", |it| {
        let mail = json!({"handle": "88.118.8/here", "types": ["EMAIL"], "flags": PUBLIC_ONLY});
        it.stranger.send(1, mail)
    }),
    (200, "no such value to modify", |it| {
        it.owner.send(
            MODIFY,
            json!({"handle": "88.118.8/here", "values": [url(9, "x")]}),
        )
    }),
    (201, "a value that is there", |it| {
        it.owner.send(
            ADD,
            json!({"handle": "88.118.8/here", "values": [url(1, "x")]}),
        )
    }),
    (202, "a wrong value", |it| {
        let open = json!([[1, "HS_SECKEY", "everybody reads it", PUBLIC]]);
        it.owner
            .send(CREATE, json!({"handle": "88.118.8/open", "values": open}))
    }),
    (202, "no values", |it| {
        it.owner
            .send(CREATE, json!({"handle": "88.118.8/none", "values": []}))
    }),
    (301, "an unknown prefix", |it| {
        it.stranger.send(1, json!({"handle": "88.119/x"}))
    }),
    (301, "the handle of an unknown prefix", |it| {
        it.stranger.send(1, json!({"handle": "0.NA/88.119"}))
    }),
    (
        100,
        "the handle of a prefix below one that is known",
        |it| it.stranger.send(1, json!({"handle": "0.NA/88.118.8.1"})),
    ),
    (300, "an unknown prefix, by old site information", |it| {
        it.stranger
            .send(1, json!({"handle": "88.119/x", "serial": 4_711}))
    }),
    (301, "an unknown prefix, by none", |it| {
        it.stranger
            .send(1, json!({"handle": "88.119/x", "serial": 0}))
    }),
    (1, "a handle, by old site information", |it| {
        let url = json!({"handle": "88.118.8/here", "types": ["URL"], "serial": 4_711});
        it.stranger.send(1, url)
    }),
    (
        300,
        "an unknown prefix to write under, by old site information",
        |it| {
            let mut create = json!({"handle": "88.119/x", "values": [url(1, "x")]});
            create["serial"] = 4_711.into();
            it.owner.send(CREATE, create)
        },
    ),
    (301, "a suspended prefix", |it| {
        it.stranger.send(1, json!({"handle": "88.118.10/x"}))
    }),
    (301, "an unknown prefix to write under", |it| {
        it.owner.send(
            CREATE,
            json!({"handle": "88.119/x", "values": [url(1, "x")]}),
        )
    }),
    (301, "a delegated prefix to write under", |it| {
        it.owner.send(
            CREATE,
            json!({"handle": "88.118.9/x", "values": [url(1, "x")]}),
        )
    }),
    (302, "a delegated prefix, for an old client", |it| {
        let mut old = it.world.client(&["--version", "2.3", "--suggests", "3"]);
        old.send(1, json!({"handle": "88.118.9/x"}))
    }),
    (303, "a delegated prefix", |it| {
        it.stranger.send(1, json!({"handle": "88.118.9/x"}))
    }),
    (301, "a delegated prefix without referrals", |it| {
        it.stranger
            .send(1, json!({"handle": "88.118.9/x", "flags": 0x0010_0000}))
    }),
];

/// Codes 400 to 406.
const PROOFS: [Case; 14] = [
    (400, "another's handle", |it| {
        it.works().send(
            MODIFY,
            json!({"handle": "88.118.8/here", "values": [url(1, "y")]}),
        )
    }),
    (401, "a right that is not given", |it| {
        it.works()
            .send(REMOVE, json!({"handle": "88.118.8/works", "indexes": [1]}))
    }),
    (401, "a prefix without the right to add prefixes", |it| {
        it.works().send(CREATE, prefix("88.118.8.1"))
    }),
    (400, "a prefix that nobody here is above of", |it| {
        it.works().send(CREATE, prefix("88.118.13"))
    }),
    (401, "a prefix with a name that is made up", |it| {
        let made_up = json!({"handle": "0.NA/88.118.8.", "values": [], "flags": MINT});
        it.owner.send(CREATE, made_up)
    }),
    (402, "a stranger's change", |it| {
        it.stranger.send(DELETE, json!({"handle": "88.118.8/here"}))
    }),
    (402, "what is not public", |it| {
        it.stranger.send(1, json!({"handle": "88.118.8/here"}))
    }),
    (402, "a log-in", |it| {
        it.stranger
            .send(LOGIN, json!({"handle": "0.NA/88.118.8", "index": 300}))
    }),
    (403, "a wrong secret", |it| {
        it.stranger.gets(402, CREATE, create("wrong"));
        it.stranger.prove()
    }),
    (403, "a wrong password", |it| {
        it.stranger.send(
            2000,
            json!({"handle": "300:0.NA/88.118.8", "types": ["wrong"]}),
        )
    }),
    (404, "the MAC of no session", |it| {
        it.stranger.run(json!({"do": "agree", "prime": PRIME}));
        it.stranger.send(
            1,
            json!({"handle": "88.118.8/here", "session": 4_711, "mac": true}),
        )
    }),
    (405, "an answer to no challenge", |it| {
        it.stranger.run(json!({"do": "connect"}));
        it.stranger.gets(402, CREATE, create("late"));
        it.stranger.prove();
        it.stranger.prove()
    }),
    (406, "a key that is none", |it| {
        let (private, _) = it.world.rsa_keys();
        let mut broken = it
            .world
            .client(&["--identity", "401:0.NA/88.118.8", "--key", &private]);
        broken.gets(402, CREATE, create("broken"));
        broken.prove()
    }),
    (403, "a key that was taken away since", |it| {
        let mut works = it.works();
        it.owner.gets(
            1,
            REMOVE,
            json!({"handle": "0.NA/88.118.8", "indexes": [400]}),
        );
        works.send(LIST, json!({"handle": "0.NA/88.118.8"}))
    }),
];

/// Codes 500 to 505: the tests of sessions have more of them.
const SESSIONS: [Case; 7] = [
    (500, "a session that was silent", |it| {
        let text = |text: &str| {
            let octets: String = text.bytes().map(|octet| format!("{octet:02x}")).collect();
            format!("{:08x}{octets}", text.len())
        };
        let (exchange, server) = (text("HS_SESSION_KEY_EXCHANGE"), text("SERVER_CIPHER"));
        let body = format!(
            "00000002{exchange}{server}{}00000000",
            text("HS_SESSION_TIMEOUT")
        );
        let opened = it.stranger.gets(1, 400, json!({"body": body}));
        std::thread::sleep(std::time::Duration::from_millis(20));
        it.stranger.send(
            402,
            json!({"body": "00000000", "session": opened["session"]}),
        )
    }),
    (501, "no such session", |it| {
        it.stranger.run(json!({"do": "agree", "prime": PRIME}));
        it.stranger.send(
            1,
            json!({"handle": "88.118.8/here", "session": 4_711, "encrypt": true}),
        )
    }),
    (501, "a key that nothing is encrypted to", |it| {
        it.stranger
            .send(400, json!({"body": "000100000000ffffffff00000000"}))
    }),
    (502, "a session without its key", |it| {
        it.stranger.run(json!({"do": "agree", "prime": PRIME}));
        let waiting = it.stranger.run(json!({"do": "exchange", "no_key": true}));
        let sealed = json!({"handle": "88.118.8/here", "session": waiting["session"],
                            "encrypt": true});
        it.stranger.send(1, sealed)
    }),
    (503, "a session that needs no key", |it| {
        it.stranger.send(400, json!({"body": "00000000"}))
    }),
    (504, "a weak group", |it| {
        it.stranger
            .run(json!({"do": "agree", "prime": "35", "generator": 5}))
    }),
    (505, "a message that is repeated", |it| {
        let agreed = it.stranger.run(json!({"do": "agree", "prime": PRIME}));
        let sealed = json!({"handle": "88.118.8/none", "session": agreed["session"],
                            "encrypt": true, "number": 77});
        it.stranger.gets(100, 1, sealed.clone());
        it.stranger.send(1, sealed)
    }),
];

/// Codes 603 to 605.
const QUOTAS: [Case; 5] = [
    (603, "the registrations of the day", |it| {
        it.quota(&["--registrations-per-day", "1"]);
        it.owner.gets(1, CREATE, create("first"));
        it.owner.send(CREATE, create("daily"))
    }),
    (604, "the registrations", |it| {
        it.quota(&["--registrations", "1"]);
        it.owner.send(CREATE, create("more"))
    }),
    (605, "the prefixes", |it| {
        it.quota(&["--prefixes", "1"]);
        it.owner.send(CREATE, prefix("88.118.14"))
    }),
    (605, "the prefixes, for one with values", |it| {
        let mut with_values = prefix("88.118.14");
        with_values["values"] = json!([[300, "HS_SECKEY", "of the works", PRIVATE]]);
        it.owner.send(CREATE, with_values)
    }),
    (1, "no quota any more", |it| {
        it.quota(&[]);
        it.owner.send(CREATE, create("more"))
    }),
];

#[test]
fn every_response_code_is_drawn_or_cannot_arise() {
    let mut stage = Stage::new();
    let mut drawn = BTreeSet::new();
    let tables = [&GENERAL[..], &HANDLES, &PROOFS, &SESSIONS, &QUOTAS];
    for (code, what, ask) in tables.into_iter().flatten() {
        let answer = ask(&mut stage);
        assert_eq!(answer["code"], *code, "{what}: {answer}");
        drawn.insert(*code);
    }
    let known = ResponseCode::ALL
        .iter()
        .filter(|code| code.known_to_clients());
    let known: BTreeSet<u32> = known.map(|code| code.0).collect();
    drawn.extend(NEVER);
    let missing: Vec<_> = known.difference(&drawn).collect();
    assert!(missing.is_empty(), "no test draws {missing:?}");
    // No client waits for ever for an answer that it does not know.
    let unknown: Vec<_> = drawn.difference(&known).collect();
    assert!(unknown.is_empty(), "{unknown:?}");
}
