//! Judges signatures and the certificates above them, from the root down: what is below something
//! that does not hold is not looked at. A certificate's chain upwards is always the same, so what
//! is found about it holds for everything below it and is found once.

use std::collections::HashMap;

use super::MAX_VERIFICATIONS;
use super::chain::{Certificate, Root};
use super::claims::{Claims, SignatureClaims, Token};
use super::jws::Jws;
use super::key::TrustKey;
use super::name::{ValueName, same_handle};
use super::permission::Permission;
use super::verdict::Fault;

/// What judges, with what it has found so far.
#[derive(Debug)]
pub(super) struct Judge {
    root: Root,
    /// Seconds since 1970.
    now_s: u64,
    /// Certificates by number.
    judged: HashMap<usize, Judged>,
    /// Verifications that are still made.
    left: usize,
}

/// What was found about a certificate.
#[derive(Debug)]
struct Judged {
    faults: Vec<Fault>,
    /// What its subject may sign; `None`: its key, or one above it, is nobody's who is known.
    granted: Option<Vec<Permission>>,
}

impl Judge {
    /// A judge that trusts `root`; `now_s` is seconds since 1970.
    pub fn new(root: Root, now_s: u64) -> Self {
        Self {
            root,
            now_s,
            judged: HashMap::new(),
            left: MAX_VERIFICATIONS,
        }
    }

    /// Judges a signature over `handle` and the chain above it, from the signer up. What is wrong
    /// joins `faults`; where these say already that the chain breaks off, nothing is verified.
    pub fn signature(
        &mut self,
        handle: &str,
        token: &Token<SignatureClaims>,
        links: &[&Certificate],
        faults: &mut Vec<Fault>,
    ) {
        let claims = &token.claims.claims;
        let is_whole = faults.is_empty();
        if !same_handle(&claims.sub, handle) {
            faults.push(Fault::OtherHandle(claims.sub.clone()));
        }
        let what = "the signature";
        self.dates(what, claims, faults);
        let Some(issuer) = links.first().filter(|_| is_whole) else {
            return;
        };
        self.certificates(links);
        let holds = |judged: &Judged| judged.granted.is_some();
        if self.judged.get(&issuer.number).is_some_and(holds) {
            let key = &issuer.token.claims.public_key;
            faults.extend(self.verify(what, claims, &token.jws, key));
        }
        for judged in links
            .iter()
            .filter_map(|link| self.judged.get(&link.number))
        {
            faults.extend(judged.faults.iter().cloned());
        }
        let granted = self.judged.get(&issuer.number);
        if let Some(granted) = granted.and_then(|judged| judged.granted.as_ref()) {
            faults.extend(no_permission(granted, issuer, handle, handle));
        }
    }

    /// Judges certificates from the root down, as far as they hold.
    fn certificates(&mut self, links: &[&Certificate]) {
        let mut above: Option<&Certificate> = None;
        for link in links.iter().rev() {
            if !self.judged.contains_key(&link.number) {
                let judged = self.certificate(link, above);
                self.judged.insert(link.number, judged);
            }
            let judged = self.judged.get(&link.number);
            if judged.is_none_or(|judged| judged.granted.is_none()) {
                return;
            }
            above = Some(link);
        }
    }

    /// Judges one certificate by the one above it, which holds; without one, as the root's.
    fn certificate(&mut self, link: &Certificate, above: Option<&Certificate>) -> Judged {
        let (what, claims) = (link.what(), link.claims());
        let mut faults = Vec::new();
        self.dates(&what, claims, &mut faults);
        let fault = match above {
            Some(above) => {
                let key = &above.token.claims.public_key;
                self.verify(&what, claims, &link.token.jws, key)
            }
            None => self.other_root(link).or_else(|| {
                let key = self.root.key.clone();
                self.verify(&what, claims, &link.token.jws, &key)
            }),
        };
        if let Some(fault) = fault {
            faults.push(fault);
            return Judged {
                faults,
                granted: None,
            };
        }
        let own = &link.token.claims.perms;
        let Some(above) = above else {
            return Judged {
                faults,
                granted: Some(own.clone()),
            };
        };
        let judged = self.judged.get(&above.number);
        let granted = judged.and_then(|judged| judged.granted.as_deref());
        let granted = granted.unwrap_or_default();
        let signed = claims.sub.split_once(':').map_or("", |(_, handle)| handle);
        faults.extend(no_permission(granted, above, signed, &claims.sub));
        let handed_on = own
            .iter()
            .filter(|permission| granted.iter().any(|mine| mine.may_grant(permission)));
        Judged {
            faults,
            granted: Some(handed_on.cloned().collect()),
        }
    }

    /// Why a signature is not the key's.
    fn verify(&mut self, what: &str, claims: &Claims, jws: &Jws, key: &TrustKey) -> Option<Fault> {
        let Some(left) = self.left.checked_sub(jws.signatures()) else {
            return Some(Fault::TooManyVerifications(MAX_VERIFICATIONS));
        };
        self.left = left;
        (!jws.verifies(key)).then(|| Fault::BadSignature {
            what: what.to_owned(),
            issuer: claims.iss.clone(),
        })
    }

    /// Why a certificate is not the trusted root's.
    fn other_root(&self, link: &Certificate) -> Option<Fault> {
        let subject = &link.claims().sub;
        let trusted = &self.root.name;
        let same = subject.parse::<ValueName>().is_ok_and(|name| {
            same_handle(&name.handle, &trusted.handle)
                && (trusted.index == 0 || trusted.index == name.index)
        });
        if !same {
            Some(Fault::OtherRoot(subject.clone()))
        } else if link.token.claims.public_key != self.root.key {
            Some(Fault::OtherRootKey(subject.clone()))
        } else {
            None
        }
    }

    fn dates(&self, what: &str, claims: &Claims, faults: &mut Vec<Fault>) {
        let what = || what.to_owned();
        if self.now_s < claims.nbf {
            faults.push(Fault::NotYet {
                what: what(),
                from_s: claims.nbf,
            });
        }
        if self.now_s >= claims.exp {
            faults.push(Fault::Expired {
                what: what(),
                until_s: claims.exp,
            });
        }
    }

    #[cfg(test)]
    pub fn verifications(&self) -> usize {
        MAX_VERIFICATIONS - self.left
    }
}

/// The fault of a signer who was not granted to sign `handle`, which is `subject`'s.
fn no_permission(
    granted: &[Permission],
    signer: &Certificate,
    handle: &str,
    subject: &str,
) -> Option<Fault> {
    let covered = granted.iter().any(|permission| permission.covers(handle));
    (!covered).then(|| Fault::NoPermission {
        issuer: signer.claims().sub.clone(),
        subject: subject.to_owned(),
    })
}
