//! What is checked: the store, the disk, registration and resolution by probes of the node's own,
//! each front over its own socket, how much fronts turn away, the channels upward.

use super::HealthOptions;
use super::abuse::LastMinute;
use crate::clock::now_s;
use crate::front::{Core, abuse};
use crate::measure::gather::effective;
use idnode_proto::api::FaultType;
use idnode_proto::handle::{RequestHead, Response};
use idnode_proto::identifier::Identifier;
use idnode_proto::value::Value;
use idnode_registry::upward::LinkState;
use idnode_registry::write::{Command, Draft, IdentifierUpdate};
use idnode_registry::{Caller, Error};
use nix::sys::statvfs::statvfs;
use std::fmt::Display;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpStream, UdpSocket};
use tonic::transport::Endpoint;
use tonic_health::pb::HealthCheckRequest;
use tonic_health::pb::health_client::HealthClient;

/// The checks, and what kind of fault each is about.
pub(super) const CHECKS: [(&str, FaultType); 10] = [
    ("store", FaultType::System),
    ("disk", FaultType::System),
    ("registration", FaultType::System),
    ("resolution", FaultType::System),
    ("dns", FaultType::System),
    ("handle", FaultType::System),
    ("http", FaultType::System),
    ("grpc", FaultType::System),
    ("attack", FaultType::Attack),
    ("uplink", FaultType::Network),
];

/// How long one check may take.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often a front that answers in datagrams is asked, within that time.
const TRIES: u32 = 2;
/// Longest answer that is read, bytes.
const MAX_ANSWER_BYTES: usize = 4_096;

/// Where the fronts are.
#[derive(Debug, Clone, Copy)]
pub struct Fronts {
    /// DNS, asked over UDP.
    pub dns: SocketAddr,
    /// Handle, asked over UDP.
    pub handle: SocketAddr,
    /// HTTP.
    pub http: SocketAddr,
    /// gRPC.
    pub grpc: SocketAddr,
}

/// What a check saw.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    pub(super) is_good: bool,
    /// In words for an operator.
    pub(super) detail: String,
}

/// Checks.
#[derive(Debug)]
pub(super) struct Checker {
    core: Arc<Core>,
    options: HealthOptions,
    /// The version of the probe's record that registration has left, and when it began.
    registered: Option<(u64, Instant)>,
    number: u32,
    began: Instant,
    turned_away: LastMinute,
}

type Checked = Result<String, String>;

impl Checker {
    pub(super) fn new(core: Arc<Core>, options: HealthOptions) -> Self {
        Self {
            core,
            options,
            registered: None,
            number: 0,
            began: Instant::now(),
            turned_away: LastMinute::default(),
        }
    }

    /// Does the check of a name.
    pub(super) async fn check(&mut self, name: &str) -> Seen {
        self.number = self.number.wrapping_add(1);
        let fronts = self.options.fronts;
        let checked = tokio::time::timeout(PATIENCE, async {
            match name {
                "store" => self.store(),
                "disk" => self.disk(),
                "registration" => self.registration().await,
                "resolution" => self.resolution().await,
                "dns" => dns(reachable(fronts.dns), self.number as u16).await,
                "handle" => handle(reachable(fronts.handle), self.number).await,
                "http" => http(reachable(fronts.http)).await,
                "grpc" => grpc(reachable(fronts.grpc)).await,
                "attack" => self.attack(),
                _ => self.uplink(),
            }
        });
        match checked.await {
            Ok(Ok(detail)) => Seen {
                is_good: true,
                detail,
            },
            Ok(Err(detail)) => Seen {
                is_good: false,
                detail,
            },
            Err(_) => Seen {
                is_good: false,
                detail: format!("no answer within {} s", PATIENCE.as_secs()),
            },
        }
    }

    fn store(&self) -> Checked {
        match self.core.registry.takes_writes() {
            true => Ok("writes are taken".to_owned()),
            false => Err("the store takes no writes until the node is started again".to_owned()),
        }
    }

    fn disk(&self) -> Checked {
        let about = statvfs(&self.options.data_dir).map_err(in_words)?;
        let free = about.blocks_available() * about.fragment_size();
        let (free_mib, least_mib) = (free >> 20, self.options.min_free_bytes >> 20);
        match free >= self.options.min_free_bytes {
            true => Ok(format!("{free_mib} MiB free")),
            false => Err(format!("{free_mib} MiB free, less than {least_mib} MiB")),
        }
    }

    /// Registers, or changes, the node's own identifier.
    async fn registration(&mut self) -> Checked {
        let caller = Caller::Operator {
            credential: "node".into(),
        };
        let registry = &self.core.registry;
        let probe = self.options.probe.as_ref();
        let Some(identifier) = probe.filter(|it| self.is_served(it)) else {
            let written = registry.write(&caller, None, Command::Prune).await;
            let detail = || match probe {
                Some(probe) => format!("the writer answers; no prefix of {probe} is active here"),
                None => "the writer answers".to_owned(),
            };
            return written.map(|_| detail()).map_err(in_words);
        };
        let began = Instant::now();
        let changed = registry.write(&caller, None, change(identifier)?).await;
        let written = match changed {
            Err(Error::NotFound { .. }) => {
                registry.write(&caller, None, creation(identifier)?).await
            }
            written => written,
        };
        if let Err(taken @ Error::TakenOver { .. }) = &written {
            // The writer says so: it works, and the national node registers.
            return Ok(taken.to_string());
        }
        let receipt = written.map_err(in_words)?;
        self.registered = Some((receipt.sequence, began));
        Ok(format!("{identifier} is registered"))
    }

    /// Whether its prefix is active here. One that waits for its review, or that the operator has suspended,
    /// is no fault of the node's.
    fn is_served(&self, identifier: &Identifier) -> bool {
        let prefix = self.core.registry.prefixes().governing(identifier);
        prefix.is_some_and(|it| it.record.is_active() && it.record.delegation.is_none())
    }

    /// Asks for what was registered, until it is answered as it was registered last.
    async fn resolution(&mut self) -> Checked {
        let Some((version, began)) = self.registered else {
            let nobody = Identifier::parse("88/idnode-probe").map_err(in_words)?;
            self.core.resolver.probe(&nobody).await.map_err(in_words)?;
            return Ok("the store answers".to_owned());
        };
        let Some(identifier) = self.options.probe.clone() else {
            return Ok("nothing is registered".to_owned());
        };
        loop {
            let seen = self.core.resolver.probe(&identifier).await;
            if seen.map_err(in_words)?.is_some_and(|seen| seen >= version) {
                break;
            }
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        effective(began.elapsed());
        self.registered = None;
        Ok(format!("{identifier} is answered as it was registered"))
    }

    /// Whether fronts turn away much more than somebody's mistake would be.
    fn attack(&mut self) -> Checked {
        let count = abuse::count();
        let last_minute = self.turned_away.grown(self.began.elapsed(), count);
        let most = u64::from(self.options.attack_per_minute);
        match most == 0 || last_minute <= most {
            true => Ok(format!("{last_minute} turned away in a minute")),
            false => Err(format!(
                "{last_minute} guesses at keys, and queries beyond what a network may ask, were \
                 turned away in a minute, more than {most}"
            )),
        }
    }

    fn uplink(&self) -> Checked {
        let down = self.core.uplink.channels().into_iter();
        let mut down = down.filter(|(_, status)| status.state == LinkState::Down);
        match down.next() {
            None => Ok("no channel is down".to_owned()),
            Some((channel, status)) => Err(format!("{}: {}", channel.name(), status.last_error)),
        }
    }
}

/// A value that says when.
fn values() -> Vec<Value> {
    vec![Value::new(1, "PROBE", now_s().to_string())]
}

fn creation(identifier: &Identifier) -> Result<Command, String> {
    let draft = Draft::new(identifier.clone(), values(), None, now_s() as u32);
    draft.map(Command::CreateIdentifier).map_err(in_words)
}

fn change(identifier: &Identifier) -> Result<Command, String> {
    let now_s = now_s() as u32;
    let identifier = identifier.clone();
    let update = IdentifierUpdate::new(identifier, values(), vec![], true, None, None, now_s);
    update.map(Command::UpdateIdentifier).map_err(in_words)
}

fn in_words(error: impl Display) -> String {
    error.to_string()
}

/// An address of this machine that leads to one on all addresses.
fn reachable(mut address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(Ipv4Addr::UNSPECIFIED) => address.set_ip(Ipv4Addr::LOCALHOST.into()),
        IpAddr::V6(Ipv6Addr::UNSPECIFIED) => address.set_ip(Ipv6Addr::LOCALHOST.into()),
        _ => {}
    }
    address
}

/// Asks in a datagram; what comes back and is the answer by `is_answer`.
async fn ask(
    server: SocketAddr,
    question: &[u8],
    is_answer: impl Fn(&[u8]) -> bool,
) -> Result<(), String> {
    let local: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    let socket = UdpSocket::bind((local, 0)).await.map_err(in_words)?;
    socket.connect(server).await.map_err(in_words)?;
    let mut answer = [0; MAX_ANSWER_BYTES];
    for _ in 0..TRIES {
        socket.send(question).await.map_err(in_words)?;
        let received = tokio::time::timeout(PATIENCE / (TRIES + 1), socket.recv(&mut answer));
        match received.await {
            Ok(Ok(length)) if is_answer(answer.get(..length).unwrap_or_default()) => {
                return Ok(());
            }
            Ok(Ok(_)) | Err(_) => {}
            Ok(Err(error)) => return Err(in_words(error)),
        }
    }
    Err("no answer over UDP".to_owned())
}

/// Asks for the name servers of the root, which the front refuses: an answer, and no resolution.
async fn dns(server: SocketAddr, number: u16) -> Checked {
    let [high, low] = number.to_be_bytes();
    // Header, the root's name, type NS, class IN.
    let question = [high, low, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 2, 0, 1];
    let is_answer = |answer: &[u8]| {
        answer.starts_with(&[high, low]) && answer.get(2).is_some_and(|flags| flags & 0x80 != 0)
    };
    ask(server, &question, is_answer).await?;
    Ok("answers over UDP".to_owned())
}

/// Asks for the node's site.
async fn handle(server: SocketAddr, number: u32) -> Checked {
    let question = RequestHead::new(number).site_info().map_err(in_words)?;
    let is_answer = |answer: &[u8]| {
        let answer = Response::decode(answer);
        answer.is_ok_and(|answer| answer.envelope.request_id == number && answer.site().is_some())
    };
    ask(server, &question, is_answer).await?;
    Ok("answers over UDP".to_owned())
}

/// Asks whether it is alive.
async fn http(server: SocketAddr) -> Checked {
    let mut stream = TcpStream::connect(server).await.map_err(in_words)?;
    let question = format!("GET /healthz HTTP/1.1\r\nhost: {server}\r\nconnection: close\r\n\r\n");
    stream
        .write_all(question.as_bytes())
        .await
        .map_err(in_words)?;
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).await.map_err(in_words)?;
    let line = String::from_utf8_lossy(&answer);
    match line.strip_prefix("HTTP/1.1 ") {
        Some("200") => Ok("answers 200".to_owned()),
        _ => Err(format!("answers {line:?}")),
    }
}

/// Asks the health service.
async fn grpc(server: SocketAddr) -> Checked {
    let endpoint = Endpoint::from_shared(format!("http://{server}")).map_err(in_words)?;
    let channel = endpoint.connect().await.map_err(in_words)?;
    let request = HealthCheckRequest {
        service: String::new(),
    };
    let answer = HealthClient::new(channel).check(request).await;
    answer.map_err(in_words)?;
    Ok("answers".to_owned())
}
