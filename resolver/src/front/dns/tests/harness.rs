//! A node with registered identifiers, and clients for it.

use crate::cache::HotCache;
use crate::front::Core;
use crate::front::dns::{DnsFront, DnsOptions, Dnssec, DnssecOptions};
use crate::resolve::Resolver;
use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType};
use idnode_proto::dnsname::{Zones, ons_name, ors_name, to_name};
use idnode_proto::handle::site::{NodePorts, Server, Site};
use idnode_proto::identifier::{Identifier, Prefix, gs1_check_digit};
use idnode_proto::value::{Permissions, Ttl, Value, types};
use idnode_registry::enterprise::{CertificateType, EnterpriseId, Profile, ReviewAction};
use idnode_registry::prefix::{Delegation, NameServer, PrefixAction};
use idnode_registry::write::{Command, Draft, Outcome};
use idnode_registry::{Caller, Error, Options, Registry};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(10);
pub const ZONE: &str = "id.example.cn.";
pub const HANDLE: &str = "88.118.8/JXDY2106023";
pub const HANDLE_NAME: &str = "jxdy2106023.88-118-8.hdl.id.example.cn.";
pub const UTF8_HANDLE: &str = "88.118.8/温度";
pub const DATA_BYTES_OF_BIG: usize = 60;
pub const URI: RecordType = RecordType::Unknown(256);

pub fn longest_handle() -> String {
    format!("88.118.8/{}", "l".repeat(2048 - "88.118.8/".len()))
}

/// A GTIN of which only a batch is registered.
pub fn gtin_with_batch_only() -> String {
    format!("0950600013436{}", gs1_check_digit("0950600013436"))
}

pub fn value(index: u32, value_type: &str, data: &str) -> Value {
    Value {
        ttl: Ttl::RelativeS(7_200),
        ..Value::new(index, value_type, data)
    }
}

fn hidden(index: u32, value_type: &str, data: &str) -> Value {
    Value {
        permissions: Permissions(0b1100),
        ..value(index, value_type, data)
    }
}

pub fn site(http: u16) -> Site {
    let ports = NodePorts {
        tcp: Some(2641),
        udp: Some(2641),
        http: Some(http),
        https: None,
    };
    Site::of_node(
        1,
        "test",
        Server::of_node(1, Ipv4Addr::new(192, 0, 2, 9).into(), Vec::new(), ports),
    )
}

pub struct Filling {
    pub registry: Arc<Registry>,
    operator: Caller,
    enterprise: EnterpriseId,
}

impl Filling {
    pub async fn write(&self, command: Command) -> Outcome {
        self.registry
            .write(&self.operator, None, command)
            .await
            .unwrap()
            .outcome
    }

    pub async fn try_write(&self, command: Command) -> Result<Outcome, Error> {
        let written = self.registry.write(&self.operator, None, command).await;
        written.map(|receipt| receipt.outcome)
    }

    /// Applies for a prefix and approves it, unless it is there.
    pub async fn try_prefix(&self, text: &str) {
        let (prefix, enterprise) = (Prefix::parse(text).unwrap(), self.enterprise);
        let applied = self.try_write(Command::ApplyPrefix { prefix, enterprise });
        if applied.await.is_ok() {
            self.step(text, PrefixAction::StartReview).await;
            self.step(text, PrefixAction::Approve).await;
        }
    }

    async fn enterprise(&mut self) {
        let profile = Profile {
            certificate_type: CertificateType::Other as i32,
            certificate_code: "1".into(),
            name: "Jinxing".into(),
            ..Profile::default()
        };
        let Outcome::Enterprise(made) = self.write(Command::CreateEnterprise { profile }).await
        else {
            panic!("no enterprise");
        };
        let id = EnterpriseId(made.id);
        self.enterprise = id;
        let (action, message) = (ReviewAction::Verify, String::new());
        self.write(Command::ReviewEnterprise {
            id,
            action,
            message,
            expected_version: None,
        })
        .await;
    }

    pub async fn step(&self, prefix: &str, action: PrefixAction) {
        let (prefix, message) = (Prefix::parse(prefix).unwrap(), String::new());
        self.write(Command::TransitionPrefix {
            prefix,
            action,
            message,
            expected_version: None,
        })
        .await;
    }

    pub async fn apply(&self, text: &str) {
        let (prefix, enterprise) = (Prefix::parse(text).unwrap(), self.enterprise);
        self.write(Command::ApplyPrefix { prefix, enterprise })
            .await;
    }

    pub async fn prefix(&self, text: &str) {
        self.apply(text).await;
        self.step(text, PrefixAction::StartReview).await;
        self.step(text, PrefixAction::Approve).await;
    }

    pub async fn delegate(&self, prefix: &str, sites: &[Site], servers: &[(&str, &[&str])]) {
        self.prefix(prefix).await;
        let name_servers = servers.iter().map(|(name, addresses)| NameServer {
            name: (*name).to_owned(),
            addresses: addresses
                .iter()
                .map(|address| (*address).to_owned())
                .collect(),
        });
        let delegation = Delegation {
            sites: sites.iter().map(|site| site.encode().into()).collect(),
            name_servers: name_servers.collect(),
            ..Delegation::default()
        };
        self.set_delegation(prefix, delegation).await;
    }

    pub async fn delegate_to_service(&self, prefix: &str, handle: &str) {
        self.prefix(prefix).await;
        let delegation = Delegation {
            service_handle: handle.to_owned(),
            ..Delegation::default()
        };
        self.set_delegation(prefix, delegation).await;
    }

    async fn set_delegation(&self, prefix: &str, delegation: Delegation) {
        let (prefix, delegation) = (Prefix::parse(prefix).unwrap(), Some(delegation));
        self.write(Command::SetDelegation {
            prefix,
            delegation,
            expected_version: None,
        })
        .await;
    }

    pub async fn identifier(&self, text: &str, values: Vec<Value>) {
        let draft = Draft::new(
            Identifier::parse(text).unwrap(),
            values,
            None,
            1_700_000_000,
        )
        .unwrap();
        self.write(Command::CreateIdentifier(draft)).await;
    }

    pub async fn delete(&self, text: &str, reason: &str) {
        let (identifier, reason) = (Identifier::parse(text).unwrap(), reason.to_owned());
        self.write(Command::DeleteIdentifier {
            identifier,
            reason,
            expected_version: None,
        })
        .await;
    }

    async fn prefixes(&self) {
        for prefix in [
            "88.118.8",
            "88.118.10",
            "oid:1.2.156.3001",
            "gs1:9506000",
            "did:bid:byo1",
            "ecode:10003",
        ] {
            self.prefix(prefix).await;
        }
        self.step("88.118.10", PrefixAction::Suspend).await;
        self.delegate("88.118.9", &[site(8080)], &[]).await;
        let servers: &[(&str, &[&str])] = &[
            ("ns1.factory.example", &["192.0.2.11", "2001:db8::11"]),
            ("ns2.factory.example", &["192.0.2.12"]),
        ];
        for prefix in ["88.118.11", "oid:1.2.156.3002", "gs1:6901234"] {
            self.delegate(prefix, &[], servers).await;
        }
    }

    async fn identifiers(&self) {
        let url = || vec![value(1, types::URL, "https://example.cn/")];
        self.identifier(
            HANDLE,
            vec![
                value(1, types::URL, "https://example.cn/JXDY2106023"),
                Value {
                    ttl: Ttl::RelativeS(300),
                    ..value(2, types::EMAIL, "a@example.cn")
                },
                hidden(3, types::DESC, "not for strangers"),
                value(4, types::INET_HOST, "192.0.2.7"),
                value(5, "AAAA", "2001:db8::7"),
                value(6, types::INET_HOST, "host.example.cn"),
                Value {
                    ttl: Ttl::RelativeS(60),
                    ..value(9, types::URL, "http://b.example/!x")
                },
                Value::new(12, "KEY", vec![0, 0xff]),
            ],
        )
        .await;
        for text in [
            UTF8_HANDLE,
            "88.118.8/gone",
            "did:bid:byo1:efzV4oV3dzVx8BVREDfuYL",
            "ecode:10003693010",
        ] {
            self.identifier(text, url()).await;
        }
        self.delete("88.118.8/gone", "withdrawn").await;
        self.identifier(
            "88.118.8/secret",
            vec![hidden(1, types::DESC, "only for the owner")],
        )
        .await;
        self.identifier(
            &longest_handle(),
            vec![
                value(1, types::URL, "https://example.cn/longest"),
                value(2, "A", "192.0.2.8"),
            ],
        )
        .await;
        let data = "x".repeat(DATA_BYTES_OF_BIG);
        self.identifier(
            "88.118.8/big",
            (1..=2_048)
                .map(|index| value(index, "PART", &data))
                .collect(),
        )
        .await;
        self.identifier(
            "88.118.8/hundred",
            (1..=100).map(|index| value(index, "PART", &data)).collect(),
        )
        .await;
        self.identifier(
            "1.2.156.3001.5.6",
            vec![
                value(1, types::URL, "https://oid.example/6"),
                value(2, "RINF", "https://oid.example/6.xml"),
            ],
        )
        .await;
        self.identifier(
            "gtin:9506000134352",
            vec![
                value(1, types::URL, "https://example.com/product"),
                value(2, "gs1:recallStatus", "https://example.com/recall"),
            ],
        )
        .await;
        let batch = format!("https://id.gs1.org/01/{}/10/ABC", gtin_with_batch_only());
        self.identifier(&batch, url()).await;
    }
}

pub struct Node {
    pub addr: SocketAddr,
    pub core: Arc<Core>,
    pub filling: Filling,
    pub shutdown: CancellationToken,
    pub served: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

impl Node {
    pub async fn start() -> Self {
        Self::start_with(DnsOptions {
            node_addresses: vec![
                "192.0.2.53".parse().unwrap(),
                "2001:db8::53".parse().unwrap(),
            ],
            ..DnsOptions::default()
        })
        .await
    }

    pub async fn start_with(options: DnsOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let data = dir.path().join("data");
        let token = Registry::create(&data).unwrap();
        let cache = Arc::new(HotCache::new(16 << 20));
        let registry = Arc::new(Registry::open(&data, &Options::default(), cache.clone()).unwrap());
        let operator = registry.authenticate(&token).unwrap();
        let mut filling = Filling {
            registry: registry.clone(),
            operator,
            enterprise: EnterpriseId(0),
        };
        filling.enterprise().await;
        filling.prefixes().await;
        filling.identifiers().await;
        let zones = Zones::parse(ZONE, Some("ors.example."), Some("ons.example.")).unwrap();
        let dnssec =
            Dnssec::open(dir.path().join("dnssec"), &zones, DnssecOptions::default()).unwrap();
        let core = Arc::new(Core {
            resolver: Resolver::new(registry.clone(), cache, site(8080).encode()),
            directory: Arc::new(
                crate::front::directory::Directory::open(registry.clone(), Default::default())
                    .unwrap(),
            ),
            proofs: crate::front::proofs::Proofs::new(registry.clone()),
            uplink: Arc::new(idnode_registry::upward::Uplink::new(registry.journal())),
            registry,
            zones,
            dnssec: Arc::new(dnssec),
            recursion: None,
            started_at_ms: 0,
            request_deadline: Duration::from_secs(5),
        });
        let any_port = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
        let front = DnsFront::bind(any_port, core.clone(), options)
            .await
            .unwrap();
        let (addr, shutdown) = (front.local_addr(), CancellationToken::new());
        let served = tokio::spawn(front.serve(shutdown.clone()));
        Self {
            addr,
            core,
            filling,
            shutdown,
            served,
            _dir: dir,
        }
    }

    pub fn name(&self, identifier: &str) -> String {
        to_name(&Identifier::parse(identifier).unwrap(), &self.core.zones).to_string()
    }

    pub fn ors(&self, identifier: &str) -> String {
        ors_name(&Identifier::parse(identifier).unwrap(), &self.core.zones)
            .unwrap()
            .to_string()
    }

    pub fn ons(&self, identifier: &str) -> String {
        ons_name(&Identifier::parse(identifier).unwrap(), &self.core.zones)
            .unwrap()
            .to_string()
    }

    /// Asks over UDP with EDNS and 1,232 bytes.
    pub async fn ask(&self, name: &str, qtype: RecordType) -> Message {
        let answer = self
            .udp(&Ask::new(name, qtype).edns(0, 1_232).bytes())
            .await;
        checked(&answer.expect("an answer"), name)
    }

    /// Asks over TCP with EDNS.
    pub async fn ask_tcp(&self, name: &str, qtype: RecordType) -> Message {
        let mut stream = TcpStream::connect(self.addr).await.unwrap();
        let answer = exchange(&mut stream, &Ask::new(name, qtype).edns(0, 1_232).bytes()).await;
        checked(&answer.expect("an answer"), name)
    }

    /// What is answered to a datagram, if anything within a moment.
    pub async fn udp(&self, query: &[u8]) -> Option<Vec<u8>> {
        let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
        socket.connect(self.addr).await.unwrap();
        socket.send(query).await.unwrap();
        let mut buffer = vec![0; 65_536];
        let length = timeout(Duration::from_millis(1_500), socket.recv(&mut buffer))
            .await
            .ok()?
            .unwrap();
        buffer.truncate(length);
        Some(buffer)
    }

    pub async fn stop(self) {
        self.shutdown.cancel();
        timeout(PATIENCE, self.served)
            .await
            .expect("the front ends")
            .unwrap();
    }
}

/// Sends one query over TCP and reads one answer; `None`: the connection ended.
pub async fn exchange(stream: &mut TcpStream, query: &[u8]) -> Option<Vec<u8>> {
    let mut framed = (query.len() as u16).to_be_bytes().to_vec();
    framed.extend_from_slice(query);
    stream.write_all(&framed).await.ok()?;
    next_message(stream).await
}

/// The next message on a connection; `None`: it ended.
pub async fn next_message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let mut length = [0; 2];
    timeout(PATIENCE, stream.read_exact(&mut length))
        .await
        .unwrap()
        .ok()?;
    let mut answer = vec![0; usize::from(u16::from_be_bytes(length))];
    timeout(PATIENCE, stream.read_exact(&mut answer))
        .await
        .unwrap()
        .ok()?;
    Some(answer)
}

/// An answer, and that it repeats the question to the letter.
fn checked(answer: &[u8], name: &str) -> Message {
    let message = Message::from_vec(answer).unwrap();
    assert_eq!(
        message.queries[0].name().to_ascii(),
        name,
        "the question's spelling"
    );
    assert!(!message.metadata.recursion_available);
    for record in &message.answers {
        assert_eq!(
            record.name.to_ascii(),
            name,
            "owner names repeat the question's spelling"
        );
    }
    message
}

/// A query under construction.
#[derive(Clone)]
pub struct Ask {
    pub name: String,
    pub qtype: u16,
    pub qclass: u16,
    pub opcode: u8,
    pub questions: u16,
    pub opt: Vec<u8>,
}

impl Ask {
    pub fn new(name: &str, qtype: RecordType) -> Self {
        let (name, qtype) = (name.to_owned(), qtype.into());
        Self {
            name,
            qtype,
            qclass: 1,
            opcode: 0,
            questions: 1,
            opt: Vec::new(),
        }
    }

    pub fn edns(self, version: u8, payload: u16) -> Self {
        self.edns_options(version, payload, &[])
    }

    pub fn edns_options(mut self, version: u8, payload: u16, options: &[u8]) -> Self {
        self.opt = vec![0, 0, 41];
        self.opt.extend_from_slice(&payload.to_be_bytes());
        self.opt.extend_from_slice(&[0, version, 0x80, 0]);
        self.opt
            .extend_from_slice(&(options.len() as u16).to_be_bytes());
        self.opt.extend_from_slice(options);
        self
    }

    pub fn bytes(&self) -> Vec<u8> {
        let extras = u8::from(!self.opt.is_empty());
        let mut out = vec![0x12, 0x34, self.opcode << 3 | 1, 0];
        out.extend_from_slice(&self.questions.to_be_bytes());
        out.extend_from_slice(&[0, 0, 0, 0, 0, extras]);
        for _ in 0..self.questions {
            for label in self.name.split('.').filter(|label| !label.is_empty()) {
                out.push(label.len() as u8);
                out.extend_from_slice(label.as_bytes());
            }
            out.push(0);
            out.extend_from_slice(&self.qtype.to_be_bytes());
            out.extend_from_slice(&self.qclass.to_be_bytes());
        }
        out.extend_from_slice(&self.opt);
        out
    }
}

pub fn rcode(message: &Message) -> ResponseCode {
    message.metadata.response_code
}

/// TXT records, each with its strings joined.
pub fn texts(records: &[Record]) -> Vec<String> {
    let texts = records.iter().filter_map(|record| match &record.data {
        RData::TXT(txt) => Some(txt.txt_data.concat()),
        _ => None,
    });
    texts.map(|text| String::from_utf8(text).unwrap()).collect()
}

/// The text of the extended error, if there is one.
pub fn extended_error(message: &Message) -> Option<(u16, String)> {
    use hickory_proto::rr::rdata::opt::{EdnsCode, EdnsOption};
    match message.edns.as_ref()?.option(EdnsCode::Unknown(15))? {
        EdnsOption::Unknown(_, data) => {
            let code = u16::from_be_bytes([data[0], data[1]]);
            Some((code, String::from_utf8(data[2..].to_vec()).unwrap()))
        }
        _ => None,
    }
}

pub fn assert_nxdomain(message: &Message, zone: &str) {
    assert_eq!(rcode(message), ResponseCode::NXDomain);
    assert_negative(message, zone);
}

pub fn assert_nodata(message: &Message, zone: &str) {
    assert_eq!(rcode(message), ResponseCode::NoError);
    assert_negative(message, zone);
}

fn assert_negative(message: &Message, zone: &str) {
    assert!(message.metadata.authoritative && message.answers.is_empty());
    let [soa] = &message.authorities[..] else {
        panic!("{:?}", message.authorities)
    };
    assert_eq!(soa.name, Name::from_ascii(zone).unwrap());
    let RData::SOA(data) = &soa.data else {
        panic!("{soa}")
    };
    assert_eq!((soa.ttl, data.minimum), (300, 300), "RFC 2308 §3");
}
