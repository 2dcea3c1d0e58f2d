//! A node with a name of every kind, for the tests of the DNS front.

use std::sync::{Arc, Mutex, Weak};

use idnode_proto::api as pb;
use idnode_tests::api::{Api, CODES, private, value};
use idnode_tests::node::{Addresses, DataDir, Node};
use idnode_tests::run::curl;
use tokio::runtime::Runtime;

pub const ZONES: [&str; 3] = ["id.example", "ors.example", "ons.example"];
pub const ZONE: &str = ZONES[0];
/// An identifier's name.
pub const HIT: &str = "one.88-118-8.hdl.id.example";
/// An identifier whose TXT records take about 30 kB.
pub const BIG: &str = "big.88-118-8.hdl.id.example";
/// Its values are not for everybody.
pub const SECRET: &str = "secret.88-118-8.hdl.id.example";
/// It was deleted.
pub const GONE: &str = "gone.88-118-8.hdl.id.example";
/// It was never there.
pub const MISS: &str = "nothing.88-118-8.hdl.id.example";
/// A prefix.
pub const PREFIX: &str = "88-118-8.hdl.id.example";
/// There is something below it, and nothing at it.
pub const EMPTY: &str = "hdl.id.example";
/// A prefix that another name server answers for, and a name below it.
pub const CUT: &str = "88-118-11.hdl.id.example";
pub const BELOW_CUT: &str = "any.88-118-11.hdl.id.example";
/// A name below a prefix that is served elsewhere, which DNS knows nothing of.
pub const ELSEWHERE: &str = "any.88-118-9.hdl.id.example";
/// Of none of the zones.
pub const OUTSIDE: &str = "www.example.net";

/// A node with them.
pub struct World {
    pub node: Node,
    dir: DataDir,
    /// The name of an identifier that only the store can tell: it is a hash.
    pub hashed: String,
}

impl World {
    /// With keys of the configuration.
    pub fn with(settings: &[&str]) -> Self {
        Self::at(&Addresses::free(), settings)
    }

    /// On these ports.
    pub fn at(at: &Addresses, settings: &[&str]) -> Self {
        let dir = DataDir::init();
        let set = settings.iter().flat_map(|setting| ["--set", setting]);
        let node = Node::run_at(&dir, at, &set.collect::<Vec<_>>());
        Runtime::new().unwrap().block_on(fill(&node, &dir));
        let identifier = hashed();
        let idctl = node.idctl(None).run(&["dns-name", &identifier]);
        let hashed = idctl.stdout.trim().trim_end_matches('.').to_owned();
        Self { node, dir, hashed }
    }

    /// The one that all tests share which change nothing; it ends with the last of them.
    pub fn shared() -> Arc<Self> {
        static SHARED: Mutex<Weak<World>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(|error| error.into_inner());
        shared.upgrade().unwrap_or_else(|| {
            let made = Arc::new(Self::with(&[]));
            *shared = Arc::downgrade(&made);
            made
        })
    }

    /// Signs [`ZONE`] by a new key.
    pub fn sign(&self) {
        let idctl = self.node.idctl(Some(&self.dir.token_file()));
        let made = idctl.run(&["dnssec", "rollover", ZONE, "--algorithm", "ecdsap256sha256"]);
        assert_eq!(made.code, 0, "{made:?}");
    }

    /// How often a bound was met.
    pub fn bound_hits(&self, bound: &str) -> u64 {
        let (_, _, text) = curl(&self.node.http("/metrics"), &[]);
        let series = format!("idnode_bound_hits_total{{bound=\"{bound}\"}}");
        let line = text.lines().find_map(|line| line.strip_prefix(&series));
        line.map_or(0, |count| count.trim().parse().unwrap())
    }
}

fn hashed() -> String {
    format!("88.118.8/{}", "h".repeat(200))
}

async fn fill(node: &Node, dir: &DataDir) {
    let api = Api::connect(&node.url(), Some(&dir.token())).await.unwrap();
    let enterprise = api.verified_enterprise(CODES[0]).await;
    for prefix in ["88.118.8", "88.118.9", "88.118.11", "oid:1.2.156.3001"] {
        api.active_prefix(prefix, &enterprise).await;
    }
    let url = |name: &str| value(1, "URL", &format!("https://example.cn/{name}"));
    let one = vec![url("one"), value(2, "INET_HOST", "192.0.2.7")];
    api.create("88.118.8/one", one, "").await.unwrap();
    let part = "x".repeat(60);
    let parts = (1..=400).map(|index| value(index, "PART", &part)).collect();
    api.create("88.118.8/big", parts, "").await.unwrap();
    let secret = vec![private(1, "DESC", "hidden")];
    api.create("88.118.8/secret", secret, "").await.unwrap();
    for identifier in ["88.118.8/gone", &hashed(), "1.2.156.3001.5"] {
        api.create(identifier, vec![url("x")], "").await.unwrap();
    }
    api.delete("88.118.8/gone", "withdrawn", "").await.unwrap();
    for (prefix, delegation) in [("88.118.9", to_site()), ("88.118.11", to_servers())] {
        let request = pb::SetDelegationRequest {
            prefix: prefix.to_owned(),
            delegation: Some(delegation),
            ..pb::SetDelegationRequest::default()
        };
        let request = api.request(request);
        api.prefixes().set_delegation(request).await.unwrap();
    }
}

fn to_servers() -> pb::Delegation {
    let server = |name: &str, addresses: &[&str]| pb::NameServer {
        name: name.to_owned(),
        addresses: addresses.iter().map(|text| (*text).to_owned()).collect(),
    };
    pb::Delegation {
        sites: Vec::new(),
        name_servers: vec![
            server("ns1.factory.example.", &[]),
            server(
                "ns1.88-118-11.hdl.id.example.",
                &["192.0.2.11", "2001:db8::11"],
            ),
        ],
        ..pb::Delegation::default()
    }
}

fn to_site() -> pb::Delegation {
    let interface = pb::Interface {
        protocol: pb::interface::Protocol::Http.into(),
        port: 8080,
        query: true,
        admin: false,
    };
    let server = pb::Server {
        id: 1,
        address: "192.0.2.9".to_owned(),
        public_key: Vec::new(),
        interfaces: vec![interface],
    };
    let site = pb::Site {
        serial: 1,
        primary: true,
        servers: vec![server],
        description: String::new(),
    };
    pb::Delegation {
        sites: vec![site],
        name_servers: Vec::new(),
        ..pb::Delegation::default()
    }
}
