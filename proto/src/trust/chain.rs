//! The verifier: from a handle's values to a verdict, asking for the certificates it needs.
//!
//! [`Verifier::step`] either names a handle whose HS_CERT values are needed next, which are given
//! by [`Verifier::resolved`] or refused by [`Verifier::unavailable`], or has the verdict. What is
//! verified is what the wild's id-pointer-sdk verifies, and more: a value that was changed, is
//! missing or is not covered fails the verdict, and nobody grants more than they were granted.

use std::collections::HashMap;

use super::claims::{CertificateClaims, Claims, SignatureClaims, Token};
use super::key::TrustKey;
use super::name::{ValueName, folded, same_handle};
use super::permission::Permission;
use super::verdict::{Fault, LinkReport, SignatureReport, ValueReport, Verdict};
use super::{MAX_CERTIFICATES, MAX_LINKS, MAX_SIGNATURES};
use crate::value::{ValueRef, types};

/// Whom a verifier trusts.
#[derive(Debug, Clone, PartialEq)]
pub struct Root {
    /// The root's handle, and the index of its key; 0 for any.
    pub name: ValueName,
    /// The root's key.
    pub key: TrustKey,
}

/// What the verifier has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// The values of this handle are needed, HS_CERT at least.
    NeedsCertificates(String),
    /// It is done.
    Done(Verdict),
}

/// Verifies one handle's values.
#[derive(Debug)]
pub struct Verifier<'r> {
    root: &'r Root,
    now_s: u64,
    verdict: Verdict,
    /// The signatures that could be read, each with its place in the verdict.
    signatures: Vec<(usize, Token<SignatureClaims>)>,
    /// How many of them have been judged.
    judged: usize,
    /// What is known of handles, by [`folded`] name.
    known: HashMap<String, Known>,
}

#[derive(Debug)]
enum Known {
    Certificates {
        certificates: Vec<Certificate>,
        unreadable: Vec<Fault>,
    },
    Unavailable(String),
}

#[derive(Debug)]
struct Certificate {
    /// `index:handle` of the value it is.
    found_at: String,
    token: Token<CertificateClaims>,
}

/// A chain as far as certificates are known.
enum Chain<'k> {
    Incomplete(String),
    /// Followed to its end, or to where it breaks off.
    Followed {
        links: Vec<&'k Certificate>,
        faults: Vec<Fault>,
    },
}

impl<'r> Verifier<'r> {
    /// A verifier of `handle`, whose values, all that the reader may see, are `values`; `now_s`
    /// is seconds since 1970.
    pub fn new(root: &'r Root, handle: &str, values: &[ValueRef<'_>], now_s: u64) -> Self {
        let mut verifier = Self {
            root,
            now_s,
            verdict: Verdict {
                handle: handle.to_owned(),
                signatures: Vec::new(),
                values: value_reports(values),
                faults: Vec::new(),
            },
            signatures: Vec::new(),
            judged: 0,
            known: HashMap::new(),
        };
        verifier.read_signatures(values);
        verifier.resolved(handle, values.iter().copied());
        verifier
    }

    fn read_signatures(&mut self, values: &[ValueRef<'_>]) {
        let mut found = values
            .iter()
            .filter(|value| value.value_type() == types::HS_SIGNATURE);
        for value in found.by_ref().take(MAX_SIGNATURES) {
            let mut report = SignatureReport {
                index: value.index(),
                issuer: String::new(),
                expires_s: 0,
                chain: Vec::new(),
                faults: Vec::new(),
            };
            match Token::signature(value.data()) {
                Ok(token) => {
                    report.issuer.clone_from(&token.claims.claims.iss);
                    report.expires_s = token.claims.claims.exp;
                    compare(
                        &mut self.verdict.values,
                        values,
                        value.index(),
                        &token.claims,
                    );
                    self.signatures.push((self.verdict.signatures.len(), token));
                }
                Err(error) => report.faults.push(Fault::Unreadable {
                    what: named_signature(value.index()),
                    error,
                }),
            }
            self.verdict.signatures.push(report);
        }
        if self.verdict.signatures.is_empty() {
            self.verdict.faults.push(Fault::Unsigned);
        } else if found.next().is_some() {
            let fault = Fault::TooManySignatures(MAX_SIGNATURES);
            self.verdict.faults.push(fault);
        }
    }

    /// Gives the values of a handle that [`Step::NeedsCertificates`] named.
    pub fn resolved<'v>(&mut self, handle: &str, values: impl IntoIterator<Item = ValueRef<'v>>) {
        let (mut certificates, mut unreadable) = (Vec::new(), Vec::new());
        let found = values
            .into_iter()
            .filter(|value| value.value_type() == types::HS_CERT);
        for value in found.take(MAX_CERTIFICATES) {
            let found_at = format!("{}:{handle}", value.index());
            match Token::certificate(value.data()) {
                Ok(token) => certificates.push(Certificate { found_at, token }),
                Err(error) => unreadable.push(Fault::Unreadable {
                    what: format!("certificate {found_at}"),
                    error,
                }),
            }
        }
        let known = Known::Certificates {
            certificates,
            unreadable,
        };
        self.known.insert(folded(handle), known);
    }

    /// Says that a handle's values cannot be had.
    pub fn unavailable(&mut self, handle: &str, reason: impl Into<String>) {
        let known = Known::Unavailable(reason.into());
        self.known.insert(folded(handle), known);
    }

    /// Goes on as far as what is known allows.
    pub fn step(&mut self) -> Step {
        while let Some((place, token)) = self.signatures.get(self.judged) {
            let (links, faults) = match self.follow(&token.claims.claims) {
                Chain::Incomplete(handle) => return Step::NeedsCertificates(handle),
                Chain::Followed { links, mut faults } => {
                    self.judge(token, &links, &mut faults);
                    (links.iter().map(|link| link.report()).collect(), faults)
                }
            };
            if let Some(report) = self.verdict.signatures.get_mut(*place) {
                report.chain = links;
                report.faults = faults;
            }
            self.judged += 1;
        }
        self.cover();
        Step::Done(self.verdict.clone())
    }

    /// Follows a chain upwards from what `signed` says of its issuer.
    fn follow<'k>(&'k self, signed: &Claims) -> Chain<'k> {
        let (mut links, mut faults) = (Vec::<&Certificate>::new(), Vec::new());
        let mut child = signed.clone();
        loop {
            let Ok(place) = child.issuer_certificate().parse::<ValueName>() else {
                faults.push(Fault::BadName(child.issuer_certificate().to_owned()));
                break;
            };
            let certificate = match self.known.get(&folded(&place.handle)) {
                None => return Chain::Incomplete(place.handle),
                Some(Known::Unavailable(reason)) => {
                    faults.push(Fault::Unavailable {
                        handle: place.handle,
                        reason: reason.clone(),
                    });
                    break;
                }
                Some(Known::Certificates {
                    certificates,
                    unreadable,
                }) => match latest_of(certificates, &child.iss) {
                    Some(certificate) => certificate,
                    None => {
                        faults.extend(unreadable.iter().cloned());
                        faults.push(Fault::NoCertificate {
                            handle: place.handle,
                            subject: child.iss,
                        });
                        break;
                    }
                },
            };
            if links
                .iter()
                .any(|link| link.found_at == certificate.found_at)
            {
                faults.push(Fault::Loop(child.iss));
                break;
            }
            if links.len() == MAX_LINKS {
                faults.push(Fault::TooManyLinks(MAX_LINKS));
                break;
            }
            links.push(certificate);
            let claims = certificate.claims();
            if claims.iss == claims.sub {
                break;
            }
            child = claims.clone();
        }
        Chain::Followed { links, faults }
    }

    /// Judges a signature and the chain above it.
    fn judge(
        &self,
        token: &Token<SignatureClaims>,
        links: &[&Certificate],
        faults: &mut Vec<Fault>,
    ) {
        let claims = &token.claims.claims;
        if !same_handle(&claims.sub, &self.verdict.handle) {
            faults.push(Fault::OtherHandle(claims.sub.clone()));
        }
        let what = "the signature";
        self.dates(what, claims, faults);
        if let Some(issuer) = links.first() {
            if !token.jws.verifies(&issuer.token.claims.public_key) {
                faults.push(bad_signature(what, claims));
            }
            self.certificates(links, faults);
            permissions(&self.verdict.handle, links, faults);
        }
    }

    /// Judges the dates and signatures of certificates, and where they end.
    fn certificates(&self, links: &[&Certificate], faults: &mut Vec<Fault>) {
        for (place, link) in links.iter().enumerate() {
            let (what, claims) = (link.what(), link.claims());
            self.dates(&what, claims, faults);
            let above = links.get(place + 1);
            let issuer = match above {
                Some(above) => &above.token.claims.public_key,
                // What the chain breaks off at has no issuer to verify it.
                None if claims.iss != claims.sub => continue,
                None => {
                    self.is_root(link, faults);
                    &self.root.key
                }
            };
            if !link.token.jws.verifies(issuer) {
                faults.push(bad_signature(&what, claims));
            }
        }
    }

    fn is_root(&self, link: &Certificate, faults: &mut Vec<Fault>) {
        let subject = link.claims().sub.clone();
        let trusted = &self.root.name;
        let same = subject.parse::<ValueName>().is_ok_and(|name| {
            same_handle(&name.handle, &trusted.handle)
                && (trusted.index == 0 || trusted.index == name.index)
        });
        if !same {
            faults.push(Fault::OtherRoot(subject));
        } else if link.token.claims.public_key != self.root.key {
            faults.push(Fault::OtherRootKey(subject));
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

    /// Finds the values that nothing good covers.
    fn cover(&mut self) {
        let good: Vec<u32> = self
            .verdict
            .signatures
            .iter()
            .filter(|report| report.faults.is_empty())
            .map(|report| report.index)
            .collect();
        for value in &mut self.verdict.values {
            let covered = value.signed_by.iter().any(|index| good.contains(index));
            let uncovered = Fault::Uncovered(value.index);
            // Signatures need none over themselves; what is absent has been found missing.
            let exempt = ["", types::HS_SIGNATURE].contains(&value.value_type.as_str());
            if !covered && !exempt && !value.faults.contains(&uncovered) {
                value.faults.push(uncovered);
            }
        }
    }
}

impl Certificate {
    fn claims(&self) -> &Claims {
        &self.token.claims.claims
    }

    fn what(&self) -> String {
        format!("the certificate of {}", self.claims().sub)
    }

    fn report(&self) -> LinkReport {
        let claims = self.claims();
        LinkReport {
            found_at: self.found_at.clone(),
            subject: claims.sub.clone(),
            issuer: claims.iss.clone(),
            expires_s: claims.exp,
        }
    }
}

fn named_signature(index: u32) -> String {
    format!("signature {index}")
}

fn bad_signature(what: &str, claims: &Claims) -> Fault {
    Fault::BadSignature {
        what: what.to_owned(),
        issuer: claims.iss.clone(),
    }
}

/// The certificate of `subject` that was made last; of several the first.
fn latest_of<'k>(certificates: &'k [Certificate], subject: &str) -> Option<&'k Certificate> {
    let mut latest: Option<&Certificate> = None;
    for certificate in certificates {
        let made_later = |other: &Certificate| certificate.claims().iat > other.claims().iat;
        if certificate.claims().sub == subject && latest.is_none_or(made_later) {
            latest = Some(certificate);
        }
    }
    latest
}

/// Judges, from the top down, whether each signer may sign what it signed, by what it was granted
/// by those above it.
fn permissions(handle: &str, links: &[&Certificate], faults: &mut Vec<Fault>) {
    let Some(top) = links.last() else { return };
    let mut granted: Vec<&Permission> = top.token.claims.perms.iter().collect();
    for (place, link) in links.iter().enumerate().rev() {
        let below = place.checked_sub(1).and_then(|below| links.get(below));
        let subject = below.map_or(handle, |below| below.claims().sub.as_str());
        let signed = match below {
            None => handle,
            Some(_) => match subject.split_once(':') {
                Some((_, handle)) => handle,
                None => "",
            },
        };
        if !granted.iter().any(|permission| permission.covers(signed)) {
            faults.push(Fault::NoPermission {
                issuer: link.claims().sub.clone(),
                subject: subject.to_owned(),
            });
        }
        if let Some(below) = below {
            let handed_on = below.token.claims.perms.iter();
            granted = handed_on
                .filter(|permission| granted.iter().any(|mine| mine.may_grant(permission)))
                .collect();
        }
    }
}

/// The reports of all values.
fn value_reports(values: &[ValueRef<'_>]) -> Vec<ValueReport> {
    let mut reports: Vec<ValueReport> = values
        .iter()
        .map(|value| ValueReport {
            index: value.index(),
            value_type: value.value_type().to_owned(),
            signed_by: Vec::new(),
            faults: Vec::new(),
        })
        .collect();
    reports.sort_by_key(|report| report.index);
    let mut before = None;
    for report in &mut reports {
        if before == Some(report.index) {
            report.faults.push(Fault::Twice(report.index));
        }
        before = Some(report.index);
    }
    reports
}

/// Compares a signature's digests with the values.
fn compare(
    reports: &mut Vec<ValueReport>,
    values: &[ValueRef<'_>],
    signature: u32,
    claims: &SignatureClaims,
) {
    let by_index: HashMap<u32, &ValueRef<'_>> =
        values.iter().map(|value| (value.index(), value)).collect();
    for one in &claims.digests.digests {
        let index = one.index;
        // Values of one index stand together.
        let first = reports.partition_point(|report| report.index < index);
        let Some(value) = by_index.get(&index) else {
            let fault = Fault::Missing { signature, index };
            match reports
                .get_mut(first)
                .filter(|report| report.index == index)
            {
                Some(report) => report.faults.push(fault),
                None => reports.insert(first, absent(index, fault)),
            }
            continue;
        };
        let intact = claims.digests.alg.of_value(value) == one.digest;
        let same = reports.iter_mut().skip(first);
        for report in same.take_while(|report| report.index == index) {
            match intact {
                true => report.signed_by.push(signature),
                false => report.faults.push(Fault::Tampered { signature, index }),
            }
        }
    }
}

/// The report of a value that should be there.
fn absent(index: u32, fault: Fault) -> ValueReport {
    ValueReport {
        index,
        value_type: String::new(),
        signed_by: Vec::new(),
        faults: vec![fault],
    }
}
