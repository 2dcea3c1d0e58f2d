//! Writing answers (RFC 3652 §3.2.2 to §3.4).

use super::body::challenge::Challenge;
use super::body::list::HandleList;
use super::code::ResponseCode;
use super::envelope::{Envelope, EnvelopeFlags, Version};
use super::header::{Header, OpFlags};
use super::message::{MessageTooLong, encode_message};
use super::request::ReplyTo;
use super::wire::put_sized;

/// The options that an answer repeats from its request. What would claim something about the
/// answer (signed, encrypted, from a primary, checked, trusted, more follows) is set by
/// [`Reply::flags`] alone.
const REPEATED: OpFlags = OpFlags(
    OpFlags::RECURSE.0
        | OpFlags::KEEP_ALIVE.0
        | OpFlags::PUBLIC_ONLY.0
        | OpFlags::OVERWRITE.0
        | OpFlags::MINT.0
        | OpFlags::NO_REFERRAL.0,
);

/// An answer about to be written. Every method appends one whole message to `out`, envelope first,
/// in one piece: one client reads the envelope with a single read. Errors are [`MessageTooLong`],
/// with `out` as it was: answer [`ResponseCode::ERROR`] instead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reply<'c> {
    /// What is taken over from the request.
    pub to: &'c ReplyTo,
    /// The serial of this server's site record.
    pub site_serial: u16,
    /// Until when the answer holds, seconds since 1970, 0 for ever; one client refuses an answer
    /// whose time is past.
    pub expiration_s: u32,
    /// Options beyond the repeated ones, as [`OpFlags::AUTHORITATIVE`].
    pub flags: OpFlags,
}

impl<'c> Reply<'c> {
    /// An answer without further options.
    pub fn new(to: &'c ReplyTo, site_serial: u16, expiration_s: u32) -> Self {
        Self {
            to,
            site_serial,
            expiration_s,
            flags: OpFlags::NONE,
        }
    }

    /// Success with values: `encoded` are slices of encoded values, [`crate::value::ValueRef::raw`]
    /// or whole records, and `count` is how many values they hold together.
    pub fn resolution<'v>(
        &self,
        out: &mut Vec<u8>,
        handle: &str,
        count: u32,
        encoded: impl IntoIterator<Item = &'v [u8]>,
    ) -> Result<(), MessageTooLong> {
        self.message(out, ResponseCode::SUCCESS, |out| {
            put_sized(out, handle.as_bytes());
            put_values(out, count, encoded);
        })
    }

    /// An error with a text for people, which may be empty.
    pub fn error(
        &self,
        out: &mut Vec<u8>,
        code: ResponseCode,
        message: &str,
    ) -> Result<(), MessageTooLong> {
        self.message(out, code, |out| put_sized(out, message.as_bytes()))
    }

    /// A referral ([`ResponseCode::SERVICE_REFERRAL`] or [`ResponseCode::PREFIX_REFERRAL`]) to the
    /// service described by `count` site values, encoded as in [`Reply::resolution`], and kept
    /// under `referral_handle`, which may be empty.
    ///
    /// Before version 2.10 a body has either a handle or sites (RFC 3652 §3.4): the handle is
    /// sent when there is one. From 2.10 on both are sent.
    pub fn referral<'v>(
        &self,
        out: &mut Vec<u8>,
        code: ResponseCode,
        referral_handle: &str,
        count: u32,
        encoded: impl IntoIterator<Item = &'v [u8]>,
    ) -> Result<(), MessageTooLong> {
        let with_sites = self.to.version >= Version::V2_10 || referral_handle.is_empty();
        self.message(out, code, |out| {
            put_sized(out, referral_handle.as_bytes());
            if with_sites {
                put_values(out, count, encoded);
            }
        })
    }

    /// A challenge (RFC 3652 §3.5.1): code 402, and the digest of the request whether or not it
    /// was asked for. The session id of [`ReplyTo`] must be one that finds the challenge again.
    pub fn challenge(
        &self,
        out: &mut Vec<u8>,
        challenge: &Challenge,
    ) -> Result<(), MessageTooLong> {
        let to = ReplyTo {
            digest: Some(challenge.digest),
            ..*self.to
        };
        Reply { to: &to, ..*self }.message(out, ResponseCode::AUTHENTICATION_NEEDED, |out| {
            put_sized(out, &challenge.nonce);
        })
    }

    /// Success with handles or prefixes; `more` says that further messages of the same answer
    /// follow.
    pub fn handles(
        &self,
        out: &mut Vec<u8>,
        list: &HandleList,
        more: bool,
    ) -> Result<(), MessageTooLong> {
        let flags = if more {
            self.flags | OpFlags::CONTINUES
        } else {
            self.flags
        };
        Reply { flags, ..*self }.message(out, ResponseCode::SUCCESS, |out| list.encode(out))
    }

    /// Any answer: `body` without the request digest, which is put in front when it was asked for.
    pub fn raw(
        &self,
        out: &mut Vec<u8>,
        code: ResponseCode,
        body: &[u8],
    ) -> Result<(), MessageTooLong> {
        self.message(out, code, |out| out.extend_from_slice(body))
    }

    fn message(
        &self,
        out: &mut Vec<u8>,
        code: ResponseCode,
        body: impl FnOnce(&mut Vec<u8>),
    ) -> Result<(), MessageTooLong> {
        let envelope = Envelope {
            version: self.to.version,
            flags: EnvelopeFlags::default(),
            suggested: self.to.suggested,
            session_id: self.to.session_id,
            request_id: self.to.request_id,
            ..Envelope::EMPTY
        };
        let mut flags = self.to.flags.and(REPEATED) | self.flags;
        flags = flags.without(OpFlags::REQUEST_DIGEST);
        if self.to.digest.is_some() {
            flags = flags | OpFlags::REQUEST_DIGEST;
        }
        let header = Header {
            op_code: self.to.op_code,
            response_code: code,
            flags,
            site_serial: self.site_serial,
            recursion_count: self.to.recursion_count,
            reserved: 0,
            expiration_s: self.expiration_s,
            body_len: 0,
        };
        encode_message(out, envelope, header, |out| {
            if let Some(digest) = &self.to.digest {
                digest.encode(out);
            }
            body(out);
        })
    }
}

fn put_values<'v>(out: &mut Vec<u8>, count: u32, encoded: impl IntoIterator<Item = &'v [u8]>) {
    out.extend_from_slice(&count.to_be_bytes());
    for values in encoded {
        out.extend_from_slice(values);
    }
}
