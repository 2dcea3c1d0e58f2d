//! Zones for secondary servers: whole (AXFR, RFC 5936), as differences (IXFR, RFC 1995), and
//! the news that there are any (NOTIFY, RFC 1996). `docs/secondaries.md` shows how they are
//! used.
//!
//! | module | holds |
//! |---|---|
//! | `contents`, `chain` | what a zone has at the names of one identifier or prefix |
//! | `walk`, `emit` | all of a zone, in constant memory |
//! | `diff` | what has changed since a serial |
//! | `pack` | records in messages |
//! | `access` | who may have it, who is told |
//! | `state` | since when zones are made as they are now |
//! | `notify` | telling secondaries |
//!
//! A transfer is read from one snapshot of the store, whose place in the log is its serial, on
//! a thread of its own; its messages go through a short queue, so that a slow client slows
//! nobody but itself.

mod access;
mod chain;
mod contents;
mod diff;
mod emit;
mod notify;
mod pack;
mod state;
mod walk;

pub use access::{Allowed, BadEntry, Secondary};
pub(super) use notify::Notifier;
pub(super) use pack::Opening;

use super::DnsOptions;
use super::answer::Question;
use super::reply::{ErrorCode, Outcome, Reply};
use super::zone::{Zone, ZoneSet};
use crate::front::Core;
use contents::Contents;
use diff::{Half, Teller};
use hickory_proto::op::ResponseCode;
use hickory_proto::rr::RecordType;
use idnode_registry::Sequence;
use idnode_registry::read::Moment;
use metrics::Counter;
use pack::{PackError, Packer};
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};
use walk::TransferError;

/// Messages that wait to be sent.
const QUEUED_MESSAGES: usize = 4;

/// The messages of a transfer, each whole; the end of them is the end of the transfer.
pub(super) type Messages = mpsc::Receiver<Result<Vec<u8>, EndedEarly>>;

/// A transfer cannot go on: its connection must end, so that nobody waits for the rest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EndedEarly;

/// What became of a request for a zone.
pub(super) enum Started {
    /// It is answered, or refused, in one message.
    Reply(Box<Reply>),
    /// It is sent.
    Messages(Messages),
}

/// A request for a zone.
pub(super) struct Wanted<'a> {
    pub(super) question: &'a Question,
    /// The serial the client has, of IXFR.
    pub(super) serial: Option<u32>,
    pub(super) address: IpAddr,
    /// It came on a connection.
    pub(super) is_connection: bool,
    pub(super) opening: Opening,
}

/// What is sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    Whole,
    /// What has changed since a serial.
    Since(u32),
}

/// Gives zones to secondaries; a handle to one shared state.
#[derive(Debug, Clone)]
pub(super) struct Transfers {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    core: Arc<Core>,
    zones: Arc<ZoneSet>,
    allowed: Vec<Allowed>,
    permits: Arc<Semaphore>,
    /// How long a client may take no message.
    patience: Duration,
    /// Differences to what was before this are not told.
    unchanged_since: Sequence,
    meters: Meters,
}

/// Metric handles, made once.
struct Meters {
    /// By what was sent: a whole zone for AXFR or IXFR, a difference.
    whole: Counter,
    whole_for_difference: Counter,
    difference: Counter,
    aborted: Counter,
    bound: Counter,
}

impl std::fmt::Debug for Meters {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Meters").finish_non_exhaustive()
    }
}

impl Meters {
    fn new() -> Self {
        let sent = |kind| metrics::counter!("idnode_dns_transfers_total", "sent" => kind);
        Self {
            whole: sent("axfr"),
            whole_for_difference: sent("ixfr_whole"),
            difference: sent("ixfr"),
            aborted: sent("aborted"),
            bound: metrics::counter!("idnode_bound_hits_total", "bound" => "dns_transfers"),
        }
    }
}

impl Transfers {
    /// # Errors
    /// The state file cannot be written; an entry names a key that is not there.
    pub(super) fn new(
        core: Arc<Core>,
        zones: Arc<ZoneSet>,
        options: &DnsOptions,
        addresses: &[IpAddr],
    ) -> io::Result<Self> {
        for entry in &options.allow_transfer {
            entry.check(&options.tsig_keys).map_err(|error| {
                io::Error::new(
                    io::ErrorKind::InvalidInput,
                    format!("allow_transfer: {error}"),
                )
            })?;
        }
        let fingerprint = state::fingerprint(&core, options, addresses);
        let now = core.registry.applied();
        let file = options.state_file.as_deref();
        let shared = Shared {
            unchanged_since: state::unchanged_since(file, &fingerprint, now)?,
            core,
            zones,
            allowed: options.allow_transfer.clone(),
            permits: Arc::new(Semaphore::new(options.max_transfers)),
            patience: Duration::from_secs(u64::from(options.tcp_idle_s)),
            meters: Meters::new(),
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// Begins a transfer, or says why there is none. Never waits.
    pub(super) fn begin(&self, wanted: Wanted<'_>) -> Started {
        match self.admit(&wanted) {
            Ok((kind, zone)) => self.start(kind, zone, wanted.opening),
            Err(reply) => Started::Reply(reply),
        }
    }

    /// What is to be sent, of which of the zones; otherwise the whole answer.
    fn admit(&self, wanted: &Wanted<'_>) -> Result<(Kind, usize), Box<Reply>> {
        let shared = &self.shared;
        let key = wanted
            .opening
            .signer
            .as_ref()
            .map(|signer| signer.key_name());
        let mut allowed = shared.allowed.iter();
        if !allowed.any(|entry| entry.admits(wanted.address, key)) {
            let text = "zone transfers are not offered to everybody";
            return Err(Box::new(Reply::refused(ErrorCode::Prohibited, text)));
        }
        let name = &wanted.question.name;
        let mut zones = shared.zones.iter().enumerate();
        let Some((place, zone)) = zones.find(|(_, zone)| zone.apex() == name) else {
            // RFC 5936 §2.2.1.
            let reply = Reply::bare(Outcome::Refused, ResponseCode::NotAuth);
            return Err(Box::new(reply));
        };
        let malformed = || Box::new(Reply::bare(Outcome::Malformed, ResponseCode::FormErr));
        if wanted.question.qtype == RecordType::AXFR {
            // There is no AXFR in datagrams (RFC 5936 §4.2).
            return if wanted.is_connection {
                Ok((Kind::Whole, place))
            } else {
                Err(malformed())
            };
        }
        let serial = wanted.serial.ok_or_else(malformed)?;
        let applied = shared.core.registry.applied();
        // In a datagram the client only learns whether to come back (RFC 1995 §2).
        if !wanted.is_connection || is_current(serial, applied) {
            return Err(Box::new(self.current_soa(zone, applied)));
        }
        Ok((Kind::Since(serial), place))
    }

    fn current_soa(&self, zone: &Zone, applied: Sequence) -> Reply {
        let zones = &self.shared.zones;
        Reply::answered(vec![zones.soa_record(zone, zone.apex(), applied, false)])
    }

    fn start(&self, kind: Kind, zone: usize, opening: Opening) -> Started {
        let shared = self.shared.clone();
        let Ok(permit) = shared.permits.clone().try_acquire_owned() else {
            shared.meters.bound.increment(1);
            let reply = Reply::failed("too many zone transfers are under way");
            return Started::Reply(Box::new(reply));
        };
        let (sender, receiver) = mpsc::channel(QUEUED_MESSAGES);
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            let outlet = Outlet {
                sender,
                runtime,
                patience: shared.patience,
            };
            shared.run(kind, zone, opening, &outlet, permit);
        });
        Started::Messages(receiver)
    }
}

/// Where messages go.
struct Outlet {
    sender: mpsc::Sender<Result<Vec<u8>, EndedEarly>>,
    runtime: Handle,
    patience: Duration,
}

impl Outlet {
    fn send(&self, message: Vec<u8>) -> Result<(), PackError> {
        self.put(Ok(message))
    }

    /// Ends the connection, behind the messages that it has still to send.
    fn end_early(&self) {
        // Where that cannot be told, the client is gone or its connection ends by itself.
        let _ = self.put(Err(EndedEarly));
    }

    fn put(&self, message: Result<Vec<u8>, EndedEarly>) -> Result<(), PackError> {
        let sent = async {
            let sent = self.sender.send(message);
            tokio::time::timeout(self.patience, sent).await
        };
        match self.runtime.block_on(sent) {
            Ok(Ok(())) => Ok(()),
            _ => Err(PackError::Gone),
        }
    }
}

impl Shared {
    fn run(
        &self,
        kind: Kind,
        zone: usize,
        opening: Opening,
        outlet: &Outlet,
        _permit: OwnedSemaphorePermit,
    ) {
        let Some(zone) = self.zones.iter().nth(zone) else {
            return;
        };
        let began = Instant::now();
        let mut packer = Packer::new(opening, |message| outlet.send(message));
        let sent = self.send(kind, zone, &mut packer);
        let (records, bytes) = (packer.packed, packer.bytes);
        let took_ms = began.elapsed().as_millis() as u64;
        match sent {
            Ok((what, serial)) => {
                self.count(what);
                let zone = zone.apex();
                tracing::info!(%zone, serial, ?what, records, bytes, took_ms, "zone transferred");
            }
            Err(error) => {
                outlet.end_early();
                self.meters.aborted.increment(1);
                let zone = zone.apex();
                tracing::warn!(%zone, %error, records, bytes, took_ms, "zone transfer ended early");
            }
        }
    }

    fn count(&self, what: Sent) {
        match what {
            Sent::Whole => self.meters.whole.increment(1),
            Sent::WholeForDifference(_) => self.meters.whole_for_difference.increment(1),
            Sent::Difference => self.meters.difference.increment(1),
            Sent::Nothing => {}
        }
    }

    /// Sends what is asked for; tells what that was, and its serial.
    fn send(
        &self,
        kind: Kind,
        zone: &Zone,
        packer: &mut Packer<impl FnMut(Vec<u8>) -> Result<(), PackError>>,
    ) -> Result<(Sent, u32), TransferError> {
        let moment = self.core.registry.moment()?;
        let contents = Contents::new(&self.core, &self.zones, zone);
        let sent = match kind {
            Kind::Whole => {
                whole(&moment, &contents, packer)?;
                Sent::Whole
            }
            Kind::Since(serial) => self.since(serial, &moment, &contents, zone, packer)?,
        };
        packer.finish()?;
        Ok((sent, moment.sequence() as u32))
    }

    fn since(
        &self,
        serial: u32,
        moment: &Moment<'_>,
        contents: &Contents<'_>,
        zone: &Zone,
        packer: &mut Packer<impl FnMut(Vec<u8>) -> Result<(), PackError>>,
    ) -> Result<Sent, TransferError> {
        let now = moment.sequence();
        if is_current(serial, now) {
            packer.add(&contents.soa(now))?;
            return Ok(Sent::Nothing);
        }
        let from = sequence_of(serial, now).filter(|from| *from >= self.unchanged_since);
        let difference = match from {
            Some(from) => {
                diff::since(moment, contents, zone.kind, from)?.map(|found| (from, found))
            }
            None => Err(diff::Whole::Forgotten),
        };
        match difference {
            Ok((from, found)) => {
                let teller = Teller::new(moment, contents, &found);
                packer.add(&contents.soa(now))?;
                packer.add(&contents.soa(from))?;
                teller.tell(Half::Deleted, |record| packer.add(record))?;
                packer.add(&contents.soa(now))?;
                teller.tell(Half::Added, |record| packer.add(record))?;
                packer.add(&contents.soa(now))?;
                Ok(Sent::Difference)
            }
            Err(why) => {
                whole(moment, contents, packer)?;
                Ok(Sent::WholeForDifference(why))
            }
        }
    }
}

/// What was sent.
#[derive(Debug, Clone, Copy)]
enum Sent {
    /// AXFR.
    Whole,
    /// IXFR.
    Difference,
    /// IXFR, in the form of AXFR, and why.
    WholeForDifference(#[allow(dead_code, reason = "logged by Debug")] diff::Whole),
    /// IXFR to who is up to date.
    Nothing,
}

/// A whole zone between its two SOA records (RFC 5936 §2.2).
fn whole(
    moment: &Moment<'_>,
    contents: &Contents<'_>,
    packer: &mut Packer<impl FnMut(Vec<u8>) -> Result<(), PackError>>,
) -> Result<(), TransferError> {
    let soa = contents.soa(moment.sequence());
    packer.add(&soa)?;
    walk::whole_zone(moment, contents, |record| packer.add(record))?;
    packer.add(&soa)?;
    Ok(())
}

/// How far the log is ahead of a serial, modulo 2³².
fn ahead(serial: u32, now: Sequence) -> u32 {
    (now as u32).wrapping_sub(serial)
}

/// Whether a serial is that of `now`, or newer (RFC 1982 §3.2).
fn is_current(serial: u32, now: Sequence) -> bool {
    let ahead = ahead(serial, now);
    ahead == 0 || ahead > 1 << 31
}

/// The place in the log that an older serial stands for; `None`: the log has never been there.
fn sequence_of(serial: u32, now: Sequence) -> Option<Sequence> {
    now.checked_sub(u64::from(ahead(serial, now)))
}
