//! Telling secondaries that a zone has changed (NOTIFY, RFC 1996): not more often than once in
//! a delay, again and again until they have heard, and never in anybody's way.

use super::super::DnsOptions;
use super::super::raw;
use super::super::tsig::{self, Key, Signer};
use super::super::zone::ZoneSet;
use crate::front::Core;
use hickory_proto::rr::{Name, Record};
use hickory_proto::serialize::binary::{BinEncodable, BinEncoder};
use idnode_registry::Sequence;
use metrics::Counter;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;
use tokio::net::UdpSocket;
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep, timeout_at};
use tokio_util::sync::CancellationToken;

/// Opcode NOTIFY, and AA, in a header's third byte.
const NOTIFY: u8 = 4 << 3 | 0x04;
/// How long an answer is waited for at first, and at most (RFC 1996 §3.6 suggests a minute).
const FIRST_WAIT: Duration = Duration::from_secs(1);
const MOST_WAIT: Duration = Duration::from_secs(60);
/// The greatest answer that is read, bytes.
const ANSWER_BYTES: usize = 1_232;

/// Tells secondaries.
pub(in super::super) struct Notifier {
    core: Arc<Core>,
    zones: Arc<ZoneSet>,
    targets: Vec<Target>,
    delay: Duration,
    /// The address it is sent from, where the node listens on one.
    source: Option<IpAddr>,
    meters: Arc<Meters>,
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier")
            .field("targets", &self.targets)
            .finish_non_exhaustive()
    }
}

#[derive(Debug, Clone)]
struct Target {
    address: SocketAddr,
    key: Option<Arc<Key>>,
}

struct Meters {
    acknowledged: Counter,
    refused: Counter,
    unanswered: Counter,
}

impl Meters {
    fn new() -> Self {
        let outcome =
            |outcome| metrics::counter!("idnode_dns_notifies_total", "outcome" => outcome);
        Self {
            acknowledged: outcome("acknowledged"),
            refused: outcome("refused"),
            unanswered: outcome("unanswered"),
        }
    }
}

/// What a secondary said.
#[derive(Debug, PartialEq, Eq)]
enum Heard {
    Yes,
    /// With this response code.
    Refused(u8),
    Nothing,
}

impl Notifier {
    /// # Errors
    /// A secondary's key is not there.
    pub(in super::super) fn new(
        core: Arc<Core>,
        zones: Arc<ZoneSet>,
        options: &DnsOptions,
        listening: SocketAddr,
    ) -> io::Result<Self> {
        let mut targets = Vec::new();
        for secondary in &options.notify {
            let key = secondary.key(&options.tsig_keys).map_err(|error| {
                io::Error::new(io::ErrorKind::InvalidInput, format!("notify: {error}"))
            })?;
            targets.push(Target {
                address: secondary.address,
                key,
            });
        }
        Ok(Self {
            core,
            zones,
            targets,
            delay: options.notify_delay,
            source: Some(listening.ip()).filter(|ip| !ip.is_unspecified()),
            meters: Arc::new(Meters::new()),
        })
    }

    /// Tells every secondary of every zone, until `shutdown`.
    pub(in super::super) async fn serve(self, shutdown: CancellationToken) {
        let mut tasks = JoinSet::new();
        for target in &self.targets {
            for zone in self.zones.iter() {
                let one = One {
                    zones: self.zones.clone(),
                    apex: zone.apex().clone(),
                    target: target.clone(),
                    source: self.source,
                    delay: self.delay,
                    meters: self.meters.clone(),
                };
                tasks.spawn(one.tell(self.core.registry.watch_applied()));
            }
        }
        shutdown.cancelled().await;
    }
}

/// One secondary of one zone.
struct One {
    zones: Arc<ZoneSet>,
    apex: Name,
    target: Target,
    source: Option<IpAddr>,
    delay: Duration,
    meters: Arc<Meters>,
}

impl One {
    /// Tells of the zone as it is at first (RFC 1996 §4.7), and of every change.
    async fn tell(self, mut applied: watch::Receiver<Sequence>) {
        loop {
            let told = self.tell_once(&mut applied).await;
            // Wakes also where nothing was written.
            if applied.wait_for(|now| *now != told).await.is_err() {
                return;
            }
            sleep(self.delay).await;
        }
    }

    /// Tells until the secondary has heard, and of what; what changes meanwhile is told along.
    async fn tell_once(&self, applied: &mut watch::Receiver<Sequence>) -> Sequence {
        let mut wait = FIRST_WAIT;
        loop {
            let sequence = *applied.borrow_and_update();
            let until = Instant::now() + wait;
            let heard = self.exchange(sequence, until).await.unwrap_or_else(|error| {
                tracing::debug!(%error, to = %self.target.address, "a NOTIFY could not be sent");
                Heard::Nothing
            });
            match heard {
                Heard::Yes => {
                    self.meters.acknowledged.increment(1);
                    return sequence;
                }
                Heard::Refused(rcode) => {
                    self.meters.refused.increment(1);
                    let (zone, to) = (&self.apex, self.target.address);
                    tracing::warn!(%zone, %to, rcode, "a secondary refuses a NOTIFY");
                }
                Heard::Nothing => self.meters.unanswered.increment(1),
            }
            tokio::time::sleep_until(until).await;
            wait = (wait * 2).min(MOST_WAIT);
        }
    }

    async fn exchange(&self, sequence: Sequence, until: Instant) -> io::Result<Heard> {
        let socket = UdpSocket::bind((self.source_address(), 0)).await?;
        // Only the secondary's own datagrams are received.
        socket.connect(self.target.address).await?;
        let mut id = [0; 2];
        getrandom::fill(&mut id).map_err(io::Error::other)?;
        let mut message = self.message(id, sequence)?;
        let signer = self.target.key.clone().map(|key| {
            let mut signer = Signer::asking(key);
            signer.sign(&mut message, tsig::now_s());
            signer
        });
        socket.send(&message).await?;
        let mut buffer = [0; ANSWER_BYTES];
        loop {
            let Ok(received) = timeout_at(until, socket.recv(&mut buffer)).await else {
                return Ok(Heard::Nothing);
            };
            let answer = buffer.get(..received?).unwrap_or_default();
            if let Some(heard) = judge(answer, id, signer.as_ref()) {
                return Ok(heard);
            }
        }
    }

    fn source_address(&self) -> IpAddr {
        let target = self.target.address;
        match self.source {
            Some(own) if own.is_ipv4() == target.is_ipv4() => own,
            _ if target.is_ipv4() => Ipv4Addr::UNSPECIFIED.into(),
            _ => Ipv6Addr::UNSPECIFIED.into(),
        }
    }

    /// A NOTIFY with the zone's SOA as a hint (RFC 1996 §3.7).
    fn message(&self, [high, low]: [u8; 2], sequence: Sequence) -> io::Result<Vec<u8>> {
        let zone = self.zones.enclosing(&self.apex);
        let zone = zone.ok_or_else(|| io::Error::other("the zone is gone"))?;
        let soa = self.zones.soa_record(zone, &self.apex, sequence, false);
        encode([high, low], &self.apex, &soa).map_err(io::Error::other)
    }
}

fn encode(id: [u8; 2], apex: &Name, soa: &Record) -> Result<Vec<u8>, hickory_proto::ProtoError> {
    let mut bytes = Vec::with_capacity(256);
    let mut encoder = BinEncoder::new(&mut bytes);
    let [high, low] = id;
    encoder.emit_vec(&[high, low, NOTIFY, 0, 0, 1, 0, 1, 0, 0, 0, 0])?;
    apex.emit(&mut encoder)?;
    // QTYPE SOA, QCLASS IN.
    encoder.emit_vec(&[0, 6, 0, 1])?;
    soa.emit(&mut encoder)?;
    Ok(bytes)
}

/// What an answer says; `None`: it is none to this query.
fn judge(answer: &[u8], id: [u8; 2], signer: Option<&Signer>) -> Option<Heard> {
    let [high, low, flags, second, ..] = *answer.first_chunk::<12>()?;
    let is_answer = [high, low] == id && flags & 0xf8 == 0x80 | 4 << 3;
    if !is_answer || raw::records(answer).is_none() {
        return None;
    }
    match second & 0x0f {
        // What is not signed may come from anybody.
        0 if signer.is_none_or(|signer| signer.verifies(answer, tsig::now_s())) => Some(Heard::Yes),
        0 => None,
        rcode => Some(Heard::Refused(rcode)),
    }
}
