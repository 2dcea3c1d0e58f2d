//! A node with a few handles, and what is asked of it.

use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::process::Command;
use std::time::Duration;

use idnode_proto::handle::{Reassembler, ReassemblyLimits, RequestHead, Response, datagrams};
use idnode_tests::api::{Api, CODES, value};
use idnode_tests::node::{Addresses, DataDir, Node, idnode};
use tokio::runtime::Runtime;

use crate::dns_transports::world::{Authority, Files, metric};

/// Handles `88.118.8/n0` and on, with one value each.
pub const SMALL: u32 = 50;
pub const HANDLE: &str = "88.118.8/n1";
/// An answer of about 12 datagrams, one of about 90.
pub const LONG: &str = "88.118.8/long";
pub const LONGER: &str = "88.118.8/longer";

/// A node that listens for TLS too.
pub struct World {
    pub node: Node,
    pub dir: DataDir,
    pub files: Files,
}

impl World {
    /// With further keys of the configuration.
    pub fn with(settings: &[&str]) -> Self {
        Self::at(&Addresses::free(), settings)
    }

    /// The same on these addresses.
    pub fn at(at: &Addresses, settings: &[&str]) -> Self {
        Self::by(idnode(), at, settings)
    }

    /// The same, started by a command that becomes `idnode`.
    pub fn by(mut command: Command, at: &Addresses, settings: &[&str]) -> Self {
        let dir = DataDir::init();
        let (files, authority) = (Files::of(&dir), Authority::new("handle authority"));
        authority.issue(&files);
        let mut arguments = Vec::new();
        let own = [
            "handle.tls_listen=127.0.0.1:0".to_owned(),
            format!("handle.tls_certificate={}", files.certificate.display()),
            format!("handle.tls_key={}", files.key.display()),
        ];
        let settings = settings.iter().map(|setting| (*setting).to_owned());
        for setting in own.into_iter().chain(settings) {
            arguments.extend(["--set".to_owned(), setting]);
        }
        command.arg("run").arg("--data-dir").arg(dir.path());
        command.args(at.flags()).args(arguments);
        let node = Node::start(&mut command, &dir.beside("node.log"));
        fill(&node, &dir);
        Self { node, dir, files }
    }

    /// How often a bound was met.
    pub fn bound_hits(&self, bound: &str) -> u64 {
        let series = format!("idnode_bound_hits_total{{bound=\"{bound}\"}}");
        metric(&self.node, &series)
    }

    /// Gives the prefix's enterprise an administrator with a secret; the options of who writes.
    pub fn administrator(&self, secret: &str) -> [String; 4] {
        let path = self.dir.beside("administrator.secret");
        std::fs::write(&path, format!("{secret}\n")).unwrap();
        let path = path.to_str().unwrap().to_owned();
        let id = "300:0.NA/88.118.8";
        self.has_administrator(id, ["--secret-key-file", &path]);
        ["--identity", id, "--secret-file", &path].map(str::to_owned)
    }

    /// Whoever proves the key is the prefix's enterprise.
    pub fn has_administrator(&self, id: &str, key: [&str; 2]) {
        let idctl = self.node.idctl(Some(&self.dir.token_file()));
        let prefix = idctl.json(&["prefix", "get", "88.118.8"]);
        let enterprise = prefix["enterprise_id"].as_str().unwrap();
        let add = [&["key", "add-administrator", id][..], &key].concat();
        idctl.json(&[&add[..], &["--enterprise-id", enterprise]].concat());
    }

    /// Whether the node answers as always.
    pub fn serves(&self) -> bool {
        let client = Udp::from([127, 0, 0, 1].into(), self.node.at.handle);
        client.send(&request(7, HANDLE));
        let answer = client.receive(Duration::from_secs(5));
        answer.is_some_and(|answer| answer.envelope.request_id == 7 && answer.code.is_success())
    }
}

fn fill(node: &Node, dir: &DataDir) {
    Runtime::new().unwrap().block_on(async {
        let api = Api::connect(&node.url(), Some(&dir.token())).await.unwrap();
        let enterprise = api.verified_enterprise(CODES[0]).await;
        api.active_prefix("88.118.8", &enterprise).await;
        for number in 0..SMALL {
            let url = vec![value(1, "URL", &format!("https://example.cn/{number}"))];
            let handle = format!("88.118.8/n{number}");
            api.create(&handle, url, "").await.unwrap();
        }
        let data = "x".repeat(400);
        for (handle, values) in [(LONG, 12), (LONGER, 100)] {
            let parts = (1..=values).map(|index| value(index, "PART", &data));
            api.create(handle, parts.collect(), "").await.unwrap();
        }
    });
}

/// A request for all public values.
pub fn request(id: u32, handle: &str) -> Vec<u8> {
    RequestHead::new(id).resolve(handle, &[], &[]).unwrap()
}

/// A client that sends from one address and takes answers from one.
pub struct Udp(UdpSocket);

impl Udp {
    pub fn from(source: IpAddr, at: SocketAddr) -> Self {
        let socket = UdpSocket::bind((source, 0)).unwrap();
        socket.connect(at).unwrap();
        Self(socket)
    }

    /// Sends a message in as many datagrams as it takes.
    pub fn send(&self, message: &[u8]) {
        for datagram in pieces(message) {
            self.send_datagram(&datagram);
        }
    }

    pub fn send_datagram(&self, datagram: &[u8]) {
        self.0.send(datagram).unwrap();
    }

    /// One datagram, if one comes in time.
    pub fn receive_datagram(&self, patience: Duration) -> Option<Vec<u8>> {
        self.0.set_read_timeout(Some(patience)).unwrap();
        let mut buffer = vec![0; 65_536];
        let length = self.0.recv(&mut buffer).ok()?;
        buffer.truncate(length);
        Some(buffer)
    }

    /// One whole answer, if all of it comes in time.
    pub fn receive(&self, patience: Duration) -> Option<Response> {
        let mut whole = Reassembler::new(ReassemblyLimits::default());
        loop {
            let datagram = self.receive_datagram(patience)?;
            if let Some(message) = whole.accept(&(), &datagram, 0).unwrap() {
                return Some(Response::decode(&message).unwrap());
            }
        }
    }
}

/// A message's datagrams.
pub fn pieces(message: &[u8]) -> Vec<Vec<u8>> {
    let encoded = |datagram: idnode_proto::handle::Datagram<'_>| {
        let mut bytes = Vec::new();
        datagram.encode(&mut bytes);
        bytes
    };
    datagrams(message).map(encoded).collect()
}
