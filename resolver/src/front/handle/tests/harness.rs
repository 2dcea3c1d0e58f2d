//! A node with registered identifiers, and clients for it.

use crate::cache::HotCache;
use crate::front::Core;
use crate::front::dns::{Dnssec, DnssecOptions};
use crate::front::handle::{HandleFront, HandleOptions, HandleSockets};
use crate::resolve::Resolver;
use idnode_proto::dnsname::Zones;
use idnode_proto::handle::*;
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_proto::value::{Permissions, Value, types};
use idnode_registry::enterprise::{CertificateType, EnterpriseId, Profile, ReviewAction};
use idnode_registry::prefix::{Delegation, NameServer, PrefixAction};
use idnode_registry::write::{Command, Draft, Outcome};
use idnode_registry::{Caller, Options, Registry};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;

pub const PATIENCE: Duration = Duration::from_secs(10);
pub const HANDLE: &str = "88.118.8/JXDY2106023";
pub const UTF8_HANDLE: &str = "88.118.8/温度传感器-№7";
pub const SITE_SERIAL: u16 = 7;
/// Bytes in each of the 2,048 values of `88.118.8/big`.
pub const BIG_DATA: usize = 90;

/// The longest handle there is.
pub fn longest_handle() -> String {
    format!("88.118.8/{}", "l".repeat(2048 - "88.118.8/".len()))
}

pub fn value(index: u32, value_type: &str, data: &str) -> Value {
    Value {
        timestamp_s: 1_700_000_000,
        ..Value::new(index, value_type, data)
    }
}

pub fn hidden(index: u32, value_type: &str, data: &str) -> Value {
    Value {
        permissions: Permissions(0b1100),
        ..value(index, value_type, data)
    }
}

fn site(port: u16, serial: u16) -> Site {
    let ports = NodePorts {
        tcp: Some(port),
        udp: Some(port),
        ..NodePorts::default()
    };
    let server = Server::of_node(1, Ipv4Addr::LOCALHOST.into(), Vec::new(), ports);
    Site::of_node(serial, "test", server)
}

struct Filling {
    registry: Registry,
    operator: Caller,
    enterprise: EnterpriseId,
}

impl Filling {
    async fn write(&self, command: Command) -> Outcome {
        self.registry
            .write(&self.operator, None, command)
            .await
            .unwrap()
            .outcome
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
        self.enterprise = EnterpriseId(made.id);
        let (id, action) = (self.enterprise, ReviewAction::Verify);
        self.write(Command::ReviewEnterprise {
            id,
            action,
            message: String::new(),
            expected_version: None,
        })
        .await;
    }

    async fn step(&self, prefix: &str, action: PrefixAction) {
        let prefix = Prefix::parse(prefix).unwrap();
        let message = String::new();
        self.write(Command::TransitionPrefix {
            prefix,
            action,
            message,
            expected_version: None,
        })
        .await;
    }

    async fn prefix(&self, text: &str) {
        let (prefix, enterprise) = (Prefix::parse(text).unwrap(), self.enterprise);
        self.write(Command::ApplyPrefix { prefix, enterprise })
            .await;
        self.step(text, PrefixAction::StartReview).await;
        self.step(text, PrefixAction::Approve).await;
    }

    async fn delegate(&self, prefix: &str, delegation: Delegation) {
        self.prefix(prefix).await;
        let (prefix, delegation) = (Prefix::parse(prefix).unwrap(), Some(delegation));
        self.write(Command::SetDelegation {
            prefix,
            delegation,
            expected_version: None,
        })
        .await;
    }

    async fn identifier(&self, text: &str, values: Vec<Value>) {
        let identifier = Identifier::parse(text).unwrap();
        let draft = Draft::new(identifier, values, None, 1_700_000_000).unwrap();
        self.write(Command::CreateIdentifier(draft)).await;
    }

    async fn all(&mut self) {
        self.enterprise().await;
        for prefix in [
            "88.118.8",
            "88.118.10",
            "oid:1.2.156.3001",
            "gs1:6901234",
            "did:bid:byo1",
        ] {
            self.prefix(prefix).await;
        }
        self.step("88.118.10", PrefixAction::Suspend).await;
        let sites = vec![site(2641, 1).encode().into(), site(2642, 2).encode().into()];
        self.delegate(
            "88.118.9",
            Delegation {
                sites: sites.clone(),
                name_servers: Vec::new(),
                ..Delegation::default()
            },
        )
        .await;
        self.delegate(
            "oid:1.2.156.3002",
            Delegation {
                sites,
                name_servers: Vec::new(),
                ..Delegation::default()
            },
        )
        .await;
        let name_servers = vec![NameServer {
            name: "ns.example.".into(),
            addresses: Vec::new(),
        }];
        self.delegate(
            "88.118.11",
            Delegation {
                sites: Vec::new(),
                name_servers,
                ..Delegation::default()
            },
        )
        .await;
        self.delegate(
            "88.118.12",
            Delegation {
                service_handle: "88.119/SVC".into(),
                ..Delegation::default()
            },
        )
        .await;
        self.identifier(
            HANDLE,
            vec![
                value(1, types::URL, "https://example.cn/JXDY2106023"),
                value(2, types::EMAIL, "a@example.cn"),
                hidden(3, types::DESC, "not for strangers"),
                value(4, "88.118.1/model.size", "7"),
            ],
        )
        .await;
        self.identifier(
            "88.118.8/secret",
            vec![hidden(1, types::DESC, "only for the owner")],
        )
        .await;
        let url = || vec![value(1, types::URL, "https://example.cn/")];
        let longest = longest_handle();
        let plain = [
            "88.118.8/a",
            UTF8_HANDLE,
            "88.118.8/gone",
            "oid:1.2.156.3001.7",
            longest.as_str(),
        ];
        let other = [
            "(01)06901234567892",
            "did:bid:byo1:efzV4oV3dzVx8BVREDfuYLTp8bzJHiy9",
        ];
        for text in plain.into_iter().chain(other) {
            self.identifier(text, url()).await;
        }
        let (identifier, reason) = (
            Identifier::parse("88.118.8/gone").unwrap(),
            "scrapped".into(),
        );
        self.write(Command::DeleteIdentifier {
            identifier,
            reason,
            expected_version: None,
        })
        .await;
        let data = "x".repeat(BIG_DATA);
        self.identifier(
            "88.118.8/big",
            (1..=2048).map(|index| value(index, "T", &data)).collect(),
        )
        .await;
        for number in 0..50 {
            self.identifier(&format!("88.118.8/n{number}"), url()).await;
        }
    }
}

/// A serving node. Its registry has been closed and opened again since it was filled, so the
/// first question about an identifier goes to the disk.
pub struct Node {
    pub addr: SocketAddr,
    pub core: Arc<Core>,
    pub shutdown: CancellationToken,
    pub serving: JoinHandle<()>,
    _end: End,
    _dir: tempfile::TempDir,
}

/// Behind a node's other parts: waits for its threads, so that none of them still has the store when the
/// process ends.
struct End {
    shutdown: CancellationToken,
    registry: Arc<Registry>,
}

impl Drop for End {
    fn drop(&mut self) {
        self.shutdown.cancel();
        let began = std::time::Instant::now();
        while Arc::strong_count(&self.registry) > 1 && began.elapsed() < Duration::from_secs(5) {
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

impl Node {
    pub async fn start() -> Self {
        Self::with(HandleOptions::default()).await
    }

    pub async fn with(options: HandleOptions) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry");
        let token = Registry::create(&path).unwrap();
        let registry = Registry::open(&path, &Options::default(), Arc::new(())).unwrap();
        let operator = registry.authenticate(&token).unwrap();
        let mut filling = Filling {
            registry,
            operator,
            enterprise: EnterpriseId(0),
        };
        filling.all().await;
        drop(filling);

        let cache = Arc::new(HotCache::new(16 << 20));
        let registry = Arc::new(Registry::open(&path, &Options::default(), cache.clone()).unwrap());
        let sockets = HandleSockets::bind((Ipv4Addr::LOCALHOST, 0).into(), 2).unwrap();
        let addr = sockets.local_addr();
        let own_site = site(addr.port(), SITE_SERIAL).encode();
        let zones = Zones::parse("id.example.", None, None).unwrap();
        let dnssec =
            Dnssec::open(dir.path().join("dnssec"), &zones, DnssecOptions::default()).unwrap();
        let core = Arc::new(Core {
            resolver: Resolver::new(registry.clone(), cache, own_site),
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
        let front = HandleFront::new(sockets, core.clone(), options);
        assert_eq!(front.local_addr(), addr);
        let shutdown = CancellationToken::new();
        let serving = tokio::spawn(front.serve(shutdown.clone()));
        let end = End {
            shutdown: shutdown.clone(),
            registry: core.registry.clone(),
        };
        Self {
            addr,
            core,
            shutdown,
            serving,
            _end: end,
            _dir: dir,
        }
    }

    pub async fn udp(&self) -> UdpClient {
        let socket = UdpSocket::bind("127.0.0.1:0").await.unwrap();
        socket.connect(self.addr).await.unwrap();
        UdpClient { socket }
    }

    pub async fn tcp(&self) -> TcpClient {
        TcpClient {
            stream: TcpStream::connect(self.addr).await.unwrap(),
            received: Vec::new(),
        }
    }

    /// Asks over both transports; the answers must be alike but for the request id.
    pub async fn ask(&self, request: &[u8]) -> Response {
        let udp = self.udp().await.ask(request).await;
        let mut tcp = self.tcp().await.ask(request).await;
        tcp.header.expiration_s = udp.header.expiration_s;
        if udp.code == ResponseCode::AUTHENTICATION_NEEDED {
            // Each challenge has a nonce and a session of its own.
            assert_eq!((udp.code, udp.digest), (tcp.code, tcp.digest));
            return udp;
        }
        assert_eq!(udp, tcp);
        udp
    }

    pub async fn resolve(&self, handle: &str) -> Response {
        self.ask(&resolution(handle)).await
    }
}

/// A request for all public values, in 2.3 suggesting the latest.
pub fn resolution(handle: &str) -> Vec<u8> {
    RequestHead::new(1).resolve(handle, &[], &[]).unwrap()
}

pub struct UdpClient {
    pub socket: UdpSocket,
}

impl UdpClient {
    pub async fn send(&self, message: &[u8]) {
        let mut datagram = Vec::new();
        for piece in datagrams(message) {
            datagram.clear();
            piece.encode(&mut datagram);
            self.socket.send(&datagram).await.unwrap();
        }
    }

    /// The next whole message and in how many datagrams it came.
    pub async fn receive(&self) -> (Vec<u8>, usize) {
        let mut whole = Reassembler::new(ReassemblyLimits::default());
        let mut buffer = [0; 2048];
        for count in 1.. {
            let length = timeout(PATIENCE, self.socket.recv(&mut buffer))
                .await
                .expect("in time")
                .unwrap();
            assert!(length <= MAX_DATAGRAM_LEN);
            if let Some(message) = whole.accept(&(), &buffer[..length], 0).unwrap() {
                return (message.into_owned(), count);
            }
        }
        unreachable!()
    }

    pub async fn ask(&self, request: &[u8]) -> Response {
        self.send(request).await;
        Response::decode(&self.receive().await.0).unwrap()
    }

    pub async fn silent(&self) {
        let mut buffer = [0; 512];
        let wait = Duration::from_millis(200);
        assert!(
            timeout(wait, self.socket.recv(&mut buffer)).await.is_err(),
            "an answer"
        );
    }
}

pub struct TcpClient {
    pub stream: TcpStream,
    received: Vec<u8>,
}

impl TcpClient {
    pub async fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).await.unwrap();
    }

    /// The next whole message; `None` when the connection is closed before one.
    pub async fn receive(&mut self) -> Option<Vec<u8>> {
        loop {
            if let FrameStatus::Complete { len } = tcp_frame(&self.received) {
                return Some(self.received.drain(..len).collect());
            }
            let read = self.stream.read_buf(&mut self.received);
            match timeout(PATIENCE, read).await.expect("in time") {
                Ok(1..) => {}
                _ => return None,
            }
        }
    }

    pub async fn ask(&mut self, request: &[u8]) -> Response {
        self.send(request).await;
        Response::decode(&self.receive().await.expect("an answer")).unwrap()
    }
}
