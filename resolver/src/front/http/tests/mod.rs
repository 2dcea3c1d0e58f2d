//! A node with this front alone, asked by curl and by raw TCP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod bounds;
mod kept;
mod listings;
mod login;
mod operation;
mod rates;
mod redirects;
mod values;
mod writes;

use super::{HttpFront, HttpOptions};
use crate::cache::HotCache;
use crate::front::Core;
use crate::front::dns::{Dnssec, DnssecOptions};
use crate::resolve::Resolver;
use idnode_proto::dnsname::Zones;
use idnode_proto::handle::site::{NodePorts, Server, Site};
use idnode_proto::handle::{Admin, AdminPermissions};
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_proto::value::{Permissions, Reference, Ttl, Value};
use idnode_registry::credential::Credential;
use idnode_registry::enterprise::{CertificateType, EnterpriseId, Profile, ReviewAction};
use idnode_registry::prefix::{Delegation, NameServer, PrefixAction};
use idnode_registry::write::{Command, Draft, IdentifierUpdate};
use idnode_registry::{Caller, Options, Registry};
use metrics_exporter_prometheus::PrometheusBuilder;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::process;
use std::sync::Arc;
use std::time::Duration;
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_util::sync::CancellationToken;

/// The longest handle, 2,048 bytes of which every suffix byte is percent-encoded in a path.
fn longest_handle() -> String {
    let handle = format!("88.118.8/{}X", "产".repeat(679));
    assert_eq!(handle.len(), 2_047);
    handle + "Y"
}

/// A serving node. Its registry has been closed and opened again since it was filled, so the
/// first question about an identifier goes to the disk.
struct Node {
    runtime: Option<Runtime>,
    addr: SocketAddr,
    core: Arc<Core>,
    operator: Caller,
    operator_token: String,
    owner_token: String,
    stranger_token: String,
    shutdown: CancellationToken,
    serving: JoinHandle<()>,
    _dir: tempfile::TempDir,
}

/// What curl got.
#[derive(Debug)]
struct Answer {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl Answer {
    fn field(&self, name: &str) -> Option<&str> {
        self.head.lines().skip(1).find_map(|line| {
            let (field, value) = line.split_once(':')?;
            field.eq_ignore_ascii_case(name).then(|| value.trim())
        })
    }

    fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    #[track_caller]
    fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|e| panic!("{e}: {self:?}"))
    }

    /// Indexes of the values answered.
    #[track_caller]
    fn indexes(&self) -> Vec<u64> {
        self.json()["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|value| value["index"].as_u64().unwrap())
            .collect()
    }

    #[track_caller]
    fn assert_problem(&self, status: u16, name: &str, part: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.field("content-type"), Some("application/problem+json"));
        let problem = self.json();
        assert_eq!(problem["type"], format!("urn:idnode:problem:{name}"));
        assert_eq!(problem["status"], status);
        assert_eq!(problem["part"], part, "{problem}");
        assert!(!problem["detail"].as_str().unwrap().is_empty());
        assert!(problem["instance"].as_str().unwrap().starts_with('/'));
    }

    #[track_caller]
    fn assert_code(&self, status: u16, code: u32, message: &str) {
        assert_eq!(self.status, status, "{self:?}");
        assert_eq!(self.field("content-type"), Some("application/json"));
        let answer = self.json();
        assert_eq!(answer["responseCode"], code, "{answer}");
        assert!(
            answer["message"]
                .as_str()
                .unwrap_or_default()
                .contains(message),
            "{answer}"
        );
    }
}

impl Node {
    fn start() -> Self {
        Self::with(|_| {})
    }

    fn with(adjust: impl FnOnce(&mut HttpOptions)) -> Self {
        Self::build(Duration::from_secs(5), adjust)
    }

    fn build(request_deadline: Duration, adjust: impl FnOnce(&mut HttpOptions)) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(2)
            .enable_all()
            .build()
            .unwrap();
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("registry");
        let operator_token = Registry::create(&path).unwrap();
        let mut options = HttpOptions::new(PrometheusBuilder::new().build_recorder().handle());
        adjust(&mut options);
        let [owner_token, stranger_token] = runtime.block_on(fill(&path, &operator_token));
        let cache = Arc::new(HotCache::new(16 << 20));
        let registry = Arc::new(Registry::open(&path, &Options::default(), cache.clone()).unwrap());
        let operator = registry.authenticate(&operator_token).unwrap();
        let zones = Zones::parse("id.example.", None, None).unwrap();
        let dnssec =
            Dnssec::open(dir.path().join("dnssec"), &zones, DnssecOptions::default()).unwrap();
        let core = Arc::new(Core {
            resolver: Resolver::new(registry.clone(), cache, site(Some(8000)).encode()),
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
            started_at_ms: 1_700_000_000_000,
            request_deadline,
        });
        let front = runtime
            .block_on(HttpFront::bind(
                (Ipv4Addr::LOCALHOST, 0).into(),
                core.clone(),
                options,
            ))
            .unwrap();
        let addr = front.local_addr();
        let shutdown = CancellationToken::new();
        let serving = runtime.spawn(front.serve(shutdown.clone()));
        Self {
            runtime: Some(runtime),
            addr,
            core,
            operator,
            operator_token,
            owner_token,
            stranger_token,
            shutdown,
            serving,
            _dir: dir,
        }
    }

    fn write(&self, command: Command) {
        let runtime = self.runtime.as_ref().unwrap();
        runtime
            .block_on(self.core.registry.write(&self.operator, None, command))
            .unwrap();
    }

    /// `curl <arguments> http://node<path>`, the path sent as it is.
    fn curl(&self, path: &str, arguments: &[&str]) -> Answer {
        let output = process::Command::new("curl")
            .args(["-sS", "-i", "--path-as-is", "--globoff", "--max-time", "20"])
            .args(arguments)
            .arg(format!("http://{}{path}", self.addr))
            .output()
            .expect("curl runs");
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{path:.100}: {stderr}");
        parse(&output.stdout)
    }

    fn get(&self, path: &str) -> Answer {
        self.curl(path, &[])
    }

    /// `GET /api/handles/<path>`.
    fn handle(&self, path: &str) -> Answer {
        self.get(&format!("/api/handles/{path}"))
    }

    fn handle_as(&self, token: &str, path: &str) -> Answer {
        self.curl(
            &format!("/api/handles/{path}"),
            &["-H", &format!("Authorization: Bearer {token}")],
        )
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.addr).unwrap();
        stream
            .set_read_timeout(Some(Duration::from_secs(20)))
            .unwrap();
        stream
    }

    /// What is answered to raw bytes until the node closes.
    fn raw(&self, request: &[u8]) -> Answer {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        let mut answer = Vec::new();
        // A node that closes early may reset: what came before counts.
        let _ = stream.read_to_end(&mut answer);
        parse(&answer)
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.shutdown.cancel();
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(Duration::from_secs(5));
        }
    }
}

fn parse(answer: &[u8]) -> Answer {
    let end = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n");
    let end = end.unwrap_or_else(|| panic!("no answer: {:?}", String::from_utf8_lossy(answer)));
    let head = String::from_utf8(answer[..end].to_vec()).unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    Answer {
        status,
        head,
        body: answer[end + 4..].to_vec(),
    }
}

fn site(http_port: Option<u16>) -> Site {
    let ports = NodePorts {
        tcp: Some(2641),
        udp: Some(2641),
        http: http_port,
        https: None,
    };
    Site::of_node(
        1,
        "a node",
        Server::of_node(1, "192.0.2.7".parse().unwrap(), Vec::new(), ports),
    )
}

fn url(index: u32, url: &str) -> Value {
    Value {
        ttl: Ttl::RelativeS(600),
        timestamp_s: 1_700_000_000,
        ..Value::new(index, "URL", url)
    }
}

fn draft(identifier: &str, values: Vec<Value>) -> Command {
    Command::CreateIdentifier(
        Draft::new(identifier.parse().unwrap(), values, None, 1_700_000_000).unwrap(),
    )
}

/// `88.118.8/full`: public and not, typed and not.
fn full_record() -> Vec<Value> {
    let admin = Admin {
        permissions: AdminPermissions(0x7f3),
        reference: Reference {
            handle: "0.NA/88.118.8".into(),
            index: 200,
        },
    };
    vec![
        url(1, "https://example.com/product/1"),
        Value {
            ttl: Ttl::RelativeS(60),
            ..Value::new(2, "DESC", "一号产品")
        },
        Value {
            permissions: Permissions(0b1100),
            ..Value::new(3, "PRICE", "7")
        },
        Value::new(4, "BIN", [0_u8, 159, 146, 150]),
        Value::new(100, "HS_ADMIN", admin.encode()),
    ]
}

/// Fills a registry and returns the tokens of the owner of `88.118.8` and of another.
async fn fill(path: &std::path::Path, operator_token: &str) -> [String; 2] {
    let registry = Registry::open(path, &Options::default(), Arc::new(())).unwrap();
    let operator = registry.authenticate(operator_token).unwrap();
    let write = async |command| registry.write(&operator, None, command).await.unwrap();
    let mut tokens = Vec::new();
    for (number, code) in [(1, "91110000600037341L"), (2, "914403001922038216")] {
        let profile = Profile {
            certificate_type: CertificateType::SocialCreditCode as i32,
            certificate_code: code.into(),
            name: format!("企业{number}"),
            ..Profile::default()
        };
        let id = EnterpriseId(number);
        write(Command::CreateEnterprise { profile }).await;
        let (action, message) = (ReviewAction::Verify, String::new());
        write(Command::ReviewEnterprise {
            id,
            action,
            message,
            expected_version: None,
        })
        .await;
        let (credential, token) = Credential::generate(Some(id), "test".into()).unwrap();
        write(Command::AddCredential(credential)).await;
        tokens.push(token);
    }
    let transition = |prefix: &str, action| Command::TransitionPrefix {
        prefix: prefix.parse().unwrap(),
        action,
        message: "测试".into(),
        expected_version: None,
    };
    for prefix in [
        "88.118.8",
        "88.118.9",
        "88.118.10",
        "88.118.11",
        "88.118.12",
        "01",
        "oid:1.2.156.3001",
        "oid:1.2.156.3002",
        "gs1:9506000",
        "did:bid:efnn",
    ] {
        let applied: Prefix = prefix.parse().unwrap();
        write(Command::ApplyPrefix {
            prefix: applied,
            enterprise: EnterpriseId(1),
        })
        .await;
        write(transition(prefix, PrefixAction::StartReview)).await;
        write(transition(prefix, PrefixAction::Approve)).await;
    }
    let delegate = |prefix: &str, sites: Vec<Site>, name_servers| Command::SetDelegation {
        prefix: prefix.parse().unwrap(),
        delegation: Some(Delegation {
            sites: sites.iter().map(|site| site.encode().into()).collect(),
            name_servers,
            ..Delegation::default()
        }),
        expected_version: None,
    };
    write(delegate(
        "88.118.9",
        vec![site(None), site(Some(8000))],
        Vec::new(),
    ))
    .await;
    write(delegate("88.118.10", vec![site(None)], Vec::new())).await;
    let name_server = NameServer {
        name: "ns.example.".into(),
        addresses: Vec::new(),
    };
    write(delegate("88.118.11", Vec::new(), vec![name_server])).await;
    write(transition("88.118.12", PrefixAction::Suspend)).await;
    write(Command::SetDelegation {
        prefix: "oid:1.2.156.3002".parse().unwrap(),
        delegation: Some(Delegation {
            service_handle: "88.119/SVC".into(),
            ..Delegation::default()
        }),
        expected_version: None,
    })
    .await;

    write(draft("88.118.8/full", full_record())).await;
    for (identifier, target) in [
        ("88.118.8/a/b//c", "https://example.com/slashes"),
        ("88.118.8/../../etc/passwd", "https://example.com/dots"),
        ("88.118.8/产品 1+1", "https://例.cn/产品?名=值"),
        ("88.118.8/%2F", "https://example.com/percent"),
        ("88.118.8/n\0l", "https://example.com/nul"),
        (
            "88.118.8/crlf",
            "https://example.com/\r\nset-cookie: a=b\r\n\r\n<script>",
        ),
        ("88.118.8/script", "javascript:alert(1)"),
        ("01/09506000134352", "https://example.com/handle-01"),
        ("1.2.156.3001.7", "https://example.com/oid"),
        (
            "did:bid:efnn:efzV4oV3dzVx8BVREDfuYLTp8bzJHiy9",
            "https://example.com/did",
        ),
        ("(01)09506000134352", "https://example.com/product"),
        ("(01)09506000134352(10)AB/C", "https://example.com/batch"),
    ] {
        write(draft(identifier, vec![url(1, target)])).await;
    }
    write(draft(
        &longest_handle(),
        vec![url(1, "https://example.com/long")],
    ))
    .await;
    write(draft("88.118.8/nourl", vec![Value::new(1, "DESC", "x")])).await;
    let hidden = Value {
        permissions: Permissions(0b1100),
        ..url(1, "https://example.com/hidden")
    };
    write(draft("88.118.8/hiddenurl", vec![hidden])).await;
    let second = vec![
        Value::new(1, "URL", "mailto:a@example.com"),
        url(2, "https://example.com/second"),
    ];
    write(draft("88.118.8/second", second)).await;
    write(draft(
        "88.118.8/gone",
        vec![url(1, "https://example.com/gone")],
    ))
    .await;
    write(Command::DeleteIdentifier {
        identifier: "88.118.8/gone".parse().unwrap(),
        reason: "停产".into(),
        expected_version: None,
    })
    .await;
    tokens.try_into().unwrap()
}

/// A write that changes `88.118.8/full`.
fn change_full() -> Command {
    let identifier: Identifier = "88.118.8/full".parse().unwrap();
    let set = vec![Value::new(2, "DESC", "二号产品")];
    Command::UpdateIdentifier(
        IdentifierUpdate::new(identifier, set, Vec::new(), false, None, None, 1).unwrap(),
    )
}
