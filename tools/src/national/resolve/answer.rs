//! A request's bytes to its answer's: without waiting, from what is in memory.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use idnode_proto::handle::{
    NodePorts, OpFlags, Reply, ReplyTo, Request, ResolveRequest, ResponseCode, Server, Site,
    Transport, Version, decode_request,
};
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_proto::routes::endpoint::by_address;
use idnode_proto::value::{Ttl, Value, encode_values, types};

use super::settings::HandRoute;
use super::takeovers::{TakenOver, Takeovers};
use crate::national::now_ms;
use crate::national::routes::directory::{Directory, Route};

/// How long where a prefix is resolved may be kept, seconds: nodes move.
const SITE_TTL_S: u32 = 300;
/// How long an answer holds by its header, seconds.
const EXPIRATION_S: u64 = 300;
/// Longest text of an error, bytes: with it, it is a single datagram.
const MAX_TEXT_BYTES: usize = 300;
/// Since when clients read prefix referrals.
const PREFIX_REFERRALS: Version = Version::new(2, 5);

/// What questions came to.
const OUTCOMES: [&str; 7] = [
    "values",
    "referrals",
    "taken_over",
    "not_found",
    "not_responsible",
    "refused",
    "ignored",
];

/// What an answer was, as it is counted.
#[derive(Debug, Clone, Copy)]
enum Outcome {
    Values = 0,
    Referral = 1,
    TakenOver = 2,
    NotFound = 3,
    NotResponsible = 4,
    Refused = 5,
    Ignored = 6,
}

/// Where a prefix is resolved.
struct Place {
    prefix: Prefix,
    site: Site,
}

/// Answers requests.
#[derive(Debug)]
pub(super) struct Answerer {
    /// Where it is asked.
    at: SocketAddr,
    /// The prefixes whose nodes it knows.
    prefixes: Vec<Prefix>,
    by_hand: Vec<HandRoute>,
    directory: Arc<Directory>,
    takeovers: Arc<dyn Takeovers>,
    counts: [AtomicU64; OUTCOMES.len()],
}

impl Answerer {
    pub(super) fn new(
        at: SocketAddr,
        prefixes: Vec<Prefix>,
        by_hand: Vec<HandRoute>,
        directory: Arc<Directory>,
        takeovers: Arc<dyn Takeovers>,
    ) -> Self {
        Self {
            at,
            prefixes,
            by_hand,
            directory,
            takeovers,
            counts: Default::default(),
        }
    }

    /// The prefixes whose nodes it knows.
    pub(super) fn prefixes(&self) -> &[Prefix] {
        &self.prefixes
    }

    /// How many questions there were.
    pub(super) fn questions(&self) -> u64 {
        self.counts().map(|(_, count)| count).sum()
    }

    /// How many came to what.
    pub(super) fn counts(&self) -> impl Iterator<Item = (&'static str, u64)> {
        let counts = self.counts.iter().map(|it| it.load(Ordering::Relaxed));
        OUTCOMES.into_iter().zip(counts)
    }

    /// The answer to a message; `None`: it gets none.
    pub(super) fn answer(&self, message: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let outcome = self.write(message, transport, &mut out);
        if let Some(count) = self.counts.get(outcome as usize) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        (!out.is_empty()).then_some(out)
    }

    /// An answer to a message that is another handle's.
    pub(super) fn wrong_answer(&self, message: &[u8], transport: Transport) -> Option<Vec<u8>> {
        let request = decode_request(message, transport).ok()?;
        let mut out = Vec::new();
        let encoded = encode_values(&[Value::new(1, types::URL, "https://wrong.example/")]);
        reply(&request.reply_to)
            .resolution(&mut out, "88.0/another", 1, [&encoded[..]])
            .ok()?;
        Some(out)
    }

    fn write(&self, message: &[u8], transport: Transport, out: &mut Vec<u8>) -> Outcome {
        let request = match decode_request(message, transport) {
            Ok(request) => request,
            Err(refused) if refused.fault.answerable() => {
                let code = refused.fault.code();
                error(&refused.reply_to, code, &refused.to_string(), out);
                return Outcome::Refused;
            }
            Err(_) => return Outcome::Ignored,
        };
        let to = request.reply_to;
        match request.request {
            Request::Resolve(asked) => self.resolve(&to, &asked, out),
            Request::SiteInfo => {
                let site = self.own_site().encode();
                match reply(&to).raw(out, ResponseCode::SUCCESS, &site) {
                    Ok(()) => Outcome::Values,
                    Err(_) => Outcome::Refused,
                }
            }
            Request::Other { op_code } => {
                let text = format!("operation {} is not offered here", op_code.0);
                error(&to, ResponseCode::NOT_SUPPORTED, &text, out);
                Outcome::Refused
            }
        }
    }

    fn resolve(&self, to: &ReplyTo, asked: &ResolveRequest<'_>, out: &mut Vec<u8>) -> Outcome {
        let identifier = match Identifier::parse(asked.handle) {
            Ok(identifier) => identifier,
            Err(fault) => {
                error(to, ResponseCode::INVALID_HANDLE, &fault.to_string(), out);
                return Outcome::Refused;
            }
        };
        if let Some(taken_over) = self.takeovers.record(&identifier) {
            match taken_over {
                TakenOver::Values(all) => values(to, asked, &all, out),
                TakenOver::Missing => missing(to, &identifier, out),
            }
            return Outcome::TakenOver;
        }
        let described = identifier.prefix_handle();
        let place = self.place(&identifier);
        match (described, place) {
            (Some(prefix), _) if self.prefixes.contains(&prefix) => {
                values(to, asked, &[site_value(&self.own_site())], out);
                Outcome::Values
            }
            (Some(prefix), Some(place)) if place.prefix == prefix => {
                values(to, asked, &[site_value(&place.site)], out);
                Outcome::Values
            }
            (_, Some(place)) => refer(to, &place, out),
            (described, None) if self.is_own(&identifier, described.as_ref()) => {
                missing(to, &identifier, out);
                Outcome::NotFound
            }
            (_, None) => {
                let text = format!("no node has announced a prefix of {identifier}");
                error(to, ResponseCode::NOT_RESPONSIBLE, &text, out);
                Outcome::NotResponsible
            }
        }
    }

    /// Whether nobody else could know: a prefix's handle below a prefix of its own, or a handle of
    /// that prefix itself.
    fn is_own(&self, identifier: &Identifier, described: Option<&Prefix>) -> bool {
        let is_below = |prefix: &Prefix| {
            let mut candidates = prefix.candidates();
            candidates.any(|it| self.prefixes.iter().any(|own| own.key() == it.key))
        };
        match described {
            Some(prefix) => is_below(prefix),
            None => identifier
                .prefix()
                .is_some_and(|it| self.prefixes.contains(&it)),
        }
    }

    /// Where an identifier is resolved: by the longest prefix, what was given by hand first.
    fn place(&self, identifier: &Identifier) -> Option<Place> {
        let by_hand = self.by_hand.iter().filter(|it| it.covers(identifier));
        let by_hand = by_hand.max_by_key(|it| it.prefix.key().len());
        let snapshot = self.directory.snapshot();
        let announced = snapshot.covering(identifier);
        match (by_hand, announced) {
            (Some(hand), Some(route)) if hand.prefix.key().len() < route.prefix.key().len() => {
                Some(announced_place(route))
            }
            (Some(hand), _) => Some(Place {
                prefix: hand.prefix.clone(),
                site: site_at(1, "by hand", hand.address),
            }),
            (None, route) => route.map(|it| announced_place(it)),
        }
    }

    fn own_site(&self) -> Site {
        site_at(1, "idnational", self.at)
    }
}

fn site_at(serial: u16, description: &str, address: SocketAddr) -> Site {
    let ports = NodePorts {
        tcp: Some(address.port()),
        udp: Some(address.port()),
        ..NodePorts::default()
    };
    let server = Server::of_node(1, address.ip(), Vec::new(), ports);
    Site::of_node(serial, description, server)
}

fn announced_place(route: &Route) -> Place {
    let servers = (1..).zip(by_address(&route.configuration));
    let servers = servers.map(|(id, (address, ports))| {
        let ports = NodePorts {
            tcp: ports.handle_tcp,
            udp: ports.handle_udp,
            http: ports.http,
            https: ports.https,
        };
        Server::of_node(id, address, Vec::new(), ports)
    });
    let servers: Vec<Server> = servers.collect();
    // The serial goes up with every change, and wraps around.
    let serial = (route.version & 0xffff) as u16;
    let site = site_at(serial, &route.node, SocketAddr::from(([0, 0, 0, 0], 0)));
    Place {
        prefix: route.prefix.clone(),
        site: Site { servers, ..site },
    }
}

fn site_value(site: &Site) -> Value {
    Value {
        ttl: Ttl::RelativeS(SITE_TTL_S),
        ..Value::new(1, types::HS_SITE, site.encode())
    }
}

fn reply(to: &ReplyTo) -> Reply<'_> {
    let until_s = now_ms() / 1_000 + EXPIRATION_S;
    Reply::new(to, 1, u32::try_from(until_s).unwrap_or(u32::MAX))
}

fn error(to: &ReplyTo, code: ResponseCode, text: &str, out: &mut Vec<u8>) {
    let text = text.get(..text.floor_char_boundary(MAX_TEXT_BYTES));
    // A text of this length always fits a message.
    let _ = reply(to).error(out, code, text.unwrap_or_default());
}

fn missing(to: &ReplyTo, identifier: &Identifier, out: &mut Vec<u8>) {
    let text = format!("{identifier} is not registered");
    error(to, ResponseCode::HANDLE_NOT_FOUND, &text, out);
}

/// Those of the values that are asked for and public.
fn values(to: &ReplyTo, asked: &ResolveRequest<'_>, all: &[Value], out: &mut Vec<u8>) {
    let any = asked.types.is_empty() && asked.indexes.is_empty();
    let is_asked = |value: &Value| {
        any || asked.indexes.contains(&value.index)
            || asked.types.iter().any(|wanted| {
                value.value_type.eq_ignore_ascii_case(wanted)
                    || wanted.ends_with('.') && value.value_type.starts_with(wanted)
            })
    };
    let shown = all.iter().filter(|it| it.permissions.public_read());
    let shown: Vec<Value> = shown.filter(|it| is_asked(it)).cloned().collect();
    if shown.is_empty() {
        error(to, ResponseCode::VALUES_NOT_FOUND, "", out);
        return;
    }
    let encoded = encode_values(&shown);
    let count = u32::try_from(shown.len()).unwrap_or(u32::MAX);
    let written = reply(to).resolution(out, asked.handle, count, [&encoded[..]]);
    if written.is_err() {
        error(to, ResponseCode::ERROR, "the answer is too long", out);
    }
}

/// To a node's site.
fn refer(to: &ReplyTo, place: &Place, out: &mut Vec<u8>) -> Outcome {
    if to.flags.contains(OpFlags::NO_REFERRAL) {
        let text = format!("{} is resolved elsewhere", place.prefix);
        error(to, ResponseCode::NOT_RESPONSIBLE, &text, out);
        return Outcome::NotResponsible;
    }
    let code = match to.version >= PREFIX_REFERRALS {
        true => ResponseCode::PREFIX_REFERRAL,
        false => ResponseCode::SERVICE_REFERRAL,
    };
    let handle = place.prefix.prefix_identifier();
    let handle = handle.filter(|it| it.prefix_handle().is_some());
    let handle = handle.map_or_else(String::new, |it| it.canonical());
    let encoded = encode_values(&[site_value(&place.site)]);
    match reply(to).referral(out, code, &handle, 1, [&encoded[..]]) {
        Ok(()) => Outcome::Referral,
        Err(_) => {
            error(to, ResponseCode::ERROR, "the answer is too long", out);
            Outcome::Refused
        }
    }
}
