//! `Authorization: Digest` (RFC 7616): a handle administrator proves its secret key without
//! sending it. Nothing is kept for a challenge: a nonce is a time with this process's seal on it,
//! and is taken for two minutes, over connections of the kind that it was given on. Whoever
//! overhears a proof in clear can show it again as long, but in clear alone, where the answer has
//! nothing that was not overheard with it: over TLS, where there is more to see, it proves nothing.
//!
//! API keys cannot be proven so: of them the node keeps a hash alone, which is no password.

use super::super::Shared;
use super::super::auth;
use super::super::deadline::Deadline;
use super::super::peer::{Peer, Secrecy};
use super::super::proof::{failed, parameters, unquoted};
use super::super::refusal::Refusal;
use crate::clock;
use crate::front::proofs::Says;
use data_encoding::{BASE64URL_NOPAD, HEXLOWER};
use idnode_registry::Caller;
use idnode_registry::administrator::ProofKey;
use ring::hmac;
use sha2::{Digest as _, Sha256};
use std::io;
use std::sync::Arc;
use subtle::ConstantTimeEq as _;

/// What credentials are for.
const REALM: &str = "idnode";
/// How long a nonce is taken, seconds.
const NONCE_VALID_S: u64 = 120;
/// Bytes of a seal.
const SEAL_BYTES: usize = 16;
/// Longest parameter, bytes: a path and its query.
const MAX_PARAMETER_BYTES: usize = 16 << 10;

/// Makes nonces and knows its own.
pub(in super::super) struct Digests {
    key: hmac::Key,
}

impl std::fmt::Debug for Digests {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Digests")
    }
}

impl Digests {
    /// # Errors
    /// The system has no random numbers.
    pub(in super::super) fn new() -> io::Result<Self> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(|error| io::Error::other(error.to_string()))?;
        Ok(Self {
            key: hmac::Key::new(hmac::HMAC_SHA256, &secret),
        })
    }

    /// The challenge on a connection (RFC 7616 §3.3). `stale`: what was proven was right, its nonce
    /// too old or given on another kind of connection.
    pub(super) fn challenge(&self, on: Secrecy, stale: bool) -> String {
        let nonce = self.nonce(clock::now_s(), on);
        let stale = if stale { ", stale=true" } else { "" };
        format!(
            "Digest realm=\"{REALM}\", qop=\"auth\", algorithm=SHA-256, nonce=\"{nonce}\", \
             charset=UTF-8{stale}"
        )
    }

    /// The kind of connection is in the seal alone.
    fn nonce(&self, at_s: u64, on: Secrecy) -> String {
        let time = at_s.to_be_bytes();
        let seal = hmac::sign(&self.key, &[&time[..], &[on as u8]].concat());
        let seal = seal.as_ref().get(..SEAL_BYTES).unwrap_or_default();
        BASE64URL_NOPAD.encode(&[&time[..], seal].concat())
    }

    /// When a nonce was made; `None`: not here, or for another kind of connection.
    fn made_at(&self, nonce: &str, on: Secrecy) -> Option<u64> {
        let bytes = BASE64URL_NOPAD.decode(nonce.as_bytes()).ok()?;
        let at_s = u64::from_be_bytes(*bytes.first_chunk()?);
        let is_own = bool::from(self.nonce(at_s, on).as_bytes().ct_eq(nonce.as_bytes()));
        is_own.then_some(at_s)
    }

    fn is_fresh(&self, nonce: &str, on: Secrecy) -> bool {
        let (at_s, now_s) = (self.made_at(nonce, on), clock::now_s());
        // A clock may have been set back meanwhile.
        at_s.is_some_and(|at_s| at_s.abs_diff(now_s) <= NONCE_VALID_S)
    }
}

/// What a client says.
#[derive(Debug, Default, PartialEq, Eq)]
struct Proof {
    username: String,
    realm: String,
    nonce: String,
    uri: String,
    response: String,
    algorithm: String,
    qop: String,
    nc: String,
    cnonce: String,
}

impl Proof {
    /// # Errors
    /// The part that is wrong.
    fn parse(field: &str) -> Result<Self, String> {
        let mut proof = Self::default();
        for parameter in parameters(field) {
            let (name, value) = parameter
                .split_once('=')
                .ok_or("what follows Digest is not name=value, …")?;
            let (name, value) = (name.trim().to_ascii_lowercase(), unquoted(value.trim()));
            if value.len() > MAX_PARAMETER_BYTES {
                return Err(format!("{name:.20} is too long"));
            }
            let place = match name.as_str() {
                "username" => &mut proof.username,
                "realm" => &mut proof.realm,
                "nonce" => &mut proof.nonce,
                "uri" => &mut proof.uri,
                "response" => &mut proof.response,
                "algorithm" => &mut proof.algorithm,
                "qop" => &mut proof.qop,
                "nc" => &mut proof.nc,
                "cnonce" => &mut proof.cnonce,
                _ => continue,
            };
            *place = value.to_owned();
        }
        let counted = proof.nc.len() == 8 && proof.nc.bytes().all(|c| c.is_ascii_hexdigit());
        if !proof.algorithm.eq_ignore_ascii_case("SHA-256") {
            return Err("algorithm of Digest is to be SHA-256".to_owned());
        }
        if proof.qop != "auth" || !counted || proof.cnonce.is_empty() {
            return Err("Digest needs qop=auth with cnonce and nc".to_owned());
        }
        if proof.realm != REALM {
            return Err(format!("realm of Digest is {REALM}"));
        }
        Ok(proof)
    }

    /// What a password's response is (RFC 7616 §3.4.1).
    fn response_with(&self, password: &[u8], method: &str) -> String {
        let hex = |parts: &[&[u8]]| {
            let mut digest = Sha256::new();
            for (position, part) in parts.iter().enumerate() {
                if position > 0 {
                    digest.update(b":");
                }
                digest.update(part);
            }
            HEXLOWER.encode(&digest.finalize())
        };
        let who = hex(&[self.username.as_bytes(), self.realm.as_bytes(), password]);
        let what = hex(&[method.as_bytes(), self.uri.as_bytes()]);
        hex(&[
            who.as_bytes(),
            self.nonce.as_bytes(),
            self.nc.as_bytes(),
            self.cnonce.as_bytes(),
            self.qop.as_bytes(),
            what.as_bytes(),
        ])
    }
}

/// The request that is to be proven.
pub(super) struct Login<'a> {
    pub(super) method: &'a str,
    /// Path and query as they were sent.
    pub(super) target: &'a str,
    /// Who sent it.
    pub(super) peer: &'a Peer,
}

impl Login<'_> {
    /// Who proves a key by what follows `Digest`.
    ///
    /// # Errors
    /// Why not, and whether it is for the nonce's age alone.
    pub(super) async fn caller(
        &self,
        shared: &Arc<Shared>,
        field: &str,
        deadline: Deadline,
    ) -> Result<Caller, (Refusal, bool)> {
        let wrong = |reason: &str| (Refusal::unauthenticated(reason), false);
        let proof = Proof::parse(field).map_err(|reason| wrong(&reason))?;
        if proof.uri != self.target {
            return Err(wrong("uri of Digest is not what is asked for"));
        }
        let id = auth::administrator(&proof.username).ok_or_else(|| {
            wrong("the user of Digest is an administrator such as 300%3A0.NA/88.118.8")
        })?;
        let on = self.peer.secrecy();
        let fresh = shared.digests.is_fresh(&proof.nonce, on);
        let of = id.clone();
        let method = self.method.to_owned();
        let proven = auth::check(shared, self.peer, id, deadline, move |administrator| {
            let is_it = match &administrator.key {
                ProofKey::Secret(key) => {
                    let expected = proof.response_with(key, &method);
                    let given = proof.response.to_ascii_lowercase();
                    bool::from(expected.as_bytes().ct_eq(given.as_bytes()))
                }
                ProofKey::Public(_) => false,
            };
            match (is_it, fresh) {
                (false, _) => (Says::Wrong, Err(None)),
                (true, false) => (Says::Nothing, Ok(None)),
                // Whoever sends it may have overheard it.
                (true, true) if on == Secrecy::InClear => {
                    (Says::Nothing, Ok(Some(administrator.caller)))
                }
                (true, true) => (Says::Proven, Ok(Some(administrator.caller))),
            }
        });
        let caller = proven.await.map_err(|refusal| (refusal, false))?;
        caller.ok_or_else(|| (failed(&of), true))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_rfcs_own_example_is_computed() {
        // RFC 7616 §3.9.1.
        let proof = Proof {
            username: "Mufasa".into(),
            realm: "http-auth@example.org".into(),
            nonce: "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v".into(),
            uri: "/dir/index.html".into(),
            algorithm: "SHA-256".into(),
            qop: "auth".into(),
            nc: "00000001".into(),
            cnonce: "f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ".into(),
            ..Proof::default()
        };
        let response = proof.response_with(b"Circle of Life", "GET");
        assert_eq!(
            response,
            "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"
        );
    }

    #[test]
    fn nonces_are_this_processs_own_and_grow_old() {
        let (digests, others) = (Digests::new().unwrap(), Digests::new().unwrap());
        let (now_s, on) = (clock::now_s(), Secrecy::Encrypted);
        assert!(digests.is_fresh(&digests.nonce(now_s, on), on));
        assert!(!digests.is_fresh(&digests.nonce(now_s - NONCE_VALID_S - 2, on), on));
        assert!(!digests.is_fresh(&others.nonce(now_s, on), on));
        for junk in ["", "AAAA", "é", &"A".repeat(32)] {
            assert!(!digests.is_fresh(junk, on), "{junk}");
        }
    }

    #[test]
    fn a_nonce_is_taken_over_the_kind_of_connection_it_was_given_on() {
        let (digests, now_s) = (Digests::new().unwrap(), clock::now_s());
        let kinds = [Secrecy::InClear, Secrecy::Local, Secrecy::Encrypted];
        for given in kinds {
            let nonce = digests.nonce(now_s, given);
            for shown in kinds {
                assert_eq!(digests.is_fresh(&nonce, shown), given == shown);
            }
        }
    }

    #[test]
    fn what_is_not_asked_for_is_refused() {
        let good = "username=\"u\", realm=\"idnode\", nonce=\"n\", uri=\"/a,b=c\", \
            response=\"r\", algorithm=SHA-256, qop=auth, nc=00000001, cnonce=\"c\"";
        assert_eq!(Proof::parse(good).unwrap().uri, "/a,b=c");
        for (from, to) in [
            ("SHA-256", "MD5"),
            ("qop=auth", "qop=auth-int"),
            ("00000001", "1"),
            ("\"idnode\"", "\"other\""),
            ("cnonce=\"c\"", "x"),
        ] {
            assert!(Proof::parse(&good.replace(from, to)).is_err(), "{to}");
        }
    }
}
