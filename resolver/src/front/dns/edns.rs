//! EDNS (RFC 6891): what a client's OPT record says, and the OPT record of an answer.

use super::cookie::{CLIENT_BYTES, Cookies, MAX_SERVER_BYTES, SERVER_BYTES};
use super::frame::{Opt, next_option};
use crate::clock;
use std::net::IpAddr;

/// The EDNS version spoken (RFC 6891 §6.1.3).
pub(super) const VERSION: u8 = 0;
/// DO: the client wants signatures (RFC 3225).
const DNSSEC_OK: u16 = 0x8000;
/// CO: the client understands compact denial (RFC 9824 §5.1).
const COMPACT_OK: u16 = 0x4000;
/// Padded answers are multiples of this (RFC 8467 §4.1), bytes.
const PADDING_BLOCK_BYTES: usize = 468;
/// Bytes of an option's code and length.
const OPTION_HEAD_BYTES: usize = 4;

/// Option codes (IANA, DNS EDNS0 option codes).
mod code {
    pub(super) const NSID: u16 = 3;
    pub(super) const COOKIE: u16 = 10;
    pub(super) const KEEPALIVE: u16 = 11;
    pub(super) const PADDING: u16 = 12;
}

/// What a client says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ClientEdns {
    /// EDNS version.
    pub(super) version: u8,
    /// The greatest UDP message it takes, bytes.
    pub(super) max_payload: u16,
    /// It wants signatures.
    pub(super) dnssec_ok: bool,
    /// It understands compact denial.
    pub(super) compact_ok: bool,
    /// It asks for the name of this server (RFC 5001).
    pub(super) nsid: bool,
    /// It asks how long a connection may be idle (RFC 7828).
    pub(super) keepalive: bool,
    /// It wants answers of few different sizes (RFC 7830).
    pub(super) padding: bool,
    /// Its cookie.
    pub(super) cookie: Option<Cookie>,
    /// An option that is here understood breaks its own rules.
    pub(super) malformed: bool,
}

/// A COOKIE option (RFC 7873 §4).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Cookie {
    pub(super) client: [u8; CLIENT_BYTES],
    server: [u8; MAX_SERVER_BYTES],
    server_bytes: u8,
}

impl Cookie {
    fn read(data: &[u8]) -> Option<Self> {
        let (client, sent) = data.split_first_chunk::<CLIENT_BYTES>()?;
        if !(sent.is_empty() || (8..=MAX_SERVER_BYTES).contains(&sent.len())) {
            return None;
        }
        let mut server = [0; MAX_SERVER_BYTES];
        server.get_mut(..sent.len())?.copy_from_slice(sent);
        Some(Self {
            client: *client,
            server,
            server_bytes: sent.len() as u8,
        })
    }

    /// Whether it has a server part that was made here for this client.
    pub(super) fn is_own(&self, cookies: &Cookies, address: IpAddr, now_s: u32) -> bool {
        self.server
            .get(..usize::from(self.server_bytes))
            .is_some_and(|server| cookies.is_own(&self.client, server, address, now_s))
    }
}

impl ClientEdns {
    /// Reads an OPT record, and of its options those that are understood (RFC 6891 §6.1.2: the
    /// others are ignored).
    pub(super) fn read(opt: &Opt<'_>) -> Self {
        let mut edns = Self {
            version: opt.version,
            max_payload: opt.max_payload,
            dnssec_ok: opt.flags & DNSSEC_OK != 0,
            compact_ok: opt.flags & COMPACT_OK != 0,
            nsid: false,
            keepalive: false,
            padding: false,
            cookie: None,
            malformed: false,
        };
        let mut rest = opt.options;
        while let Some((option, data, after)) = next_option(rest) {
            edns.take(option, data);
            rest = after;
        }
        edns
    }

    fn take(&mut self, option: u16, data: &[u8]) {
        match option {
            code::NSID => self.nsid = true,
            code::KEEPALIVE => {
                self.keepalive = true;
                // A client has no time to tell (RFC 7828 §3.2.1).
                self.malformed |= !data.is_empty();
            }
            code::PADDING => self.padding = true,
            // The first of several counts (RFC 7873 §5.2).
            code::COOKIE if self.cookie.is_none() => {
                self.cookie = Cookie::read(data);
                self.malformed |= self.cookie.is_none();
            }
            _ => {}
        }
    }
}

/// What this server says in its OPT records.
#[derive(Debug)]
pub(super) struct ServerEdns {
    /// The greatest UDP answer, bytes.
    pub(super) max_payload: u16,
    /// What NSID answers; empty: nothing.
    pub(super) nsid: Vec<u8>,
    /// How long a connection may be idle, units of 100 ms.
    pub(super) keepalive_100ms: u16,
    pub(super) cookies: Cookies,
}

/// The options of one answer.
#[derive(Debug, Clone, Copy)]
pub(super) struct AnswerOptions<'a> {
    pub(super) client: &'a ClientEdns,
    pub(super) address: IpAddr,
    /// The connection can be kept open.
    pub(super) is_connection: bool,
    /// Options that belong to the answer itself, encoded.
    pub(super) own: &'a [u8],
}

impl ServerEdns {
    /// Appends the OPT record of an answer; `rcode_high`: the upper bits of its rcode.
    pub(super) fn append(&self, rcode_high: u8, options: &AnswerOptions<'_>, out: &mut Vec<u8>) {
        let client = options.client;
        // CO goes with signatures alone; it says that they are understood here (RFC 9824 §5.1).
        let compact_ok = client.dnssec_ok && client.compact_ok;
        let flags =
            (u16::from(client.dnssec_ok) * DNSSEC_OK) | (u16::from(compact_ok) * COMPACT_OK);
        out.extend_from_slice(&[0, 0, 41]);
        out.extend_from_slice(&self.max_payload.to_be_bytes());
        out.extend_from_slice(&[rcode_high, VERSION]);
        out.extend_from_slice(&flags.to_be_bytes());
        let length_at = out.len();
        out.extend_from_slice(&[0, 0]);
        out.extend_from_slice(options.own);
        if let Some(cookie) = &client.cookie {
            let server = self.cookies.make(&cookie.client, options.address, now_s());
            append_option_head(code::COOKIE, CLIENT_BYTES + SERVER_BYTES, out);
            out.extend_from_slice(&cookie.client);
            out.extend_from_slice(&server);
        }
        if client.nsid && !self.nsid.is_empty() {
            append_option_head(code::NSID, self.nsid.len(), out);
            out.extend_from_slice(&self.nsid);
        }
        if client.keepalive && options.is_connection {
            append_option_head(code::KEEPALIVE, 2, out);
            out.extend_from_slice(&self.keepalive_100ms.to_be_bytes());
        }
        set_length(length_at, out);
    }

    /// Pads a message whose last record is the OPT record that begins at `opt_at`.
    pub(super) fn pad(opt_at: usize, limit: usize, out: &mut Vec<u8>) {
        let unpadded = out.len() + OPTION_HEAD_BYTES;
        let padded = unpadded.next_multiple_of(PADDING_BLOCK_BYTES).min(limit);
        let Some(padding) = padded.checked_sub(unpadded) else {
            return;
        };
        append_option_head(code::PADDING, padding, out);
        out.resize(out.len() + padding, 0);
        set_length(opt_at + 9, out);
    }
}

fn append_option_head(option: u16, length: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(&option.to_be_bytes());
    // Options made here are far smaller than 64 KiB.
    out.extend_from_slice(&(length as u16).to_be_bytes());
}

/// Writes the length of all that follows it.
fn set_length(at: usize, out: &mut [u8]) {
    let length = out.len().saturating_sub(at + 2) as u16;
    if let Some(place) = out.get_mut(at..at + 2) {
        place.copy_from_slice(&length.to_be_bytes());
    }
}

/// Seconds since the Unix epoch, modulo 2³².
pub(super) fn now_s() -> u32 {
    clock::now_s() as u32
}
