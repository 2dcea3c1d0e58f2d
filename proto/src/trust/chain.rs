//! The verifier: from a handle's values to a verdict, asking for the certificates it needs.
//!
//! [`Verifier::step`] either names a handle whose HS_CERT values are needed next, which are given
//! by [`Verifier::resolved`] or refused by [`Verifier::unavailable`], or has the verdict. What is
//! verified is what the wild's id-pointer-sdk verifies, and more: a value that was changed, is
//! missing or is not covered fails the verdict, and nobody grants more than they were granted.

use std::collections::{BTreeMap, HashMap};

use super::claims::{CertificateClaims, Claims, SignatureClaims, Token};
use super::judge::Judge;
use super::key::TrustKey;
use super::name::{ValueName, folded};
use super::verdict::{Fault, LinkReport, SignatureReport, ValueReport, Verdict};
use super::{MAX_CERTIFICATES, MAX_CERTIFICATES_READ, MAX_LINKS, MAX_SIGNATURES};
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
///
/// What others can make it do is bounded, whatever they register: it hashes each value once for
/// each of [`MAX_SIGNATURES`], reads [`MAX_CERTIFICATES_READ`] certificates and makes
/// [`MAX_VERIFICATIONS`](super::MAX_VERIFICATIONS) verifications, each certificate's once.
#[derive(Debug)]
pub struct Verifier {
    judge: Judge,
    verdict: Verdict,
    /// The signatures that could be read, each with its place in the verdict.
    signatures: Vec<(usize, Token<SignatureClaims>)>,
    /// How many of them have been judged.
    judged: usize,
    /// What is known of handles, by [`folded`] name.
    known: HashMap<String, Known>,
    /// How many certificates have been read.
    read: usize,
}

#[derive(Debug)]
enum Known {
    Certificates {
        certificates: Vec<Certificate>,
        unreadable: Vec<Fault>,
    },
    Unavailable(String),
}

/// A certificate that has been read.
#[derive(Debug)]
pub(super) struct Certificate {
    /// No other one's of this verifier.
    pub number: usize,
    /// `index:handle` of the value it is.
    found_at: String,
    pub token: Token<CertificateClaims>,
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

impl Verifier {
    /// A verifier of `handle`, whose values, all that the reader may see, are `values`; `now_s`
    /// is seconds since 1970.
    pub fn new(root: &Root, handle: &str, values: &[ValueRef<'_>], now_s: u64) -> Self {
        let mut verifier = Self {
            judge: Judge::new(root.clone(), now_s),
            verdict: Verdict {
                handle: handle.to_owned(),
                signatures: Vec::new(),
                values: value_reports(values),
                faults: Vec::new(),
            },
            signatures: Vec::new(),
            judged: 0,
            known: HashMap::new(),
            read: 0,
        };
        verifier.read_signatures(values);
        verifier.resolved(handle, values.iter().copied());
        verifier
    }

    /// Says that the handle's values cannot be read all, so that nothing can vouch for them.
    pub fn unreadable(&mut self, reason: impl Into<String>) {
        // Whether it has signatures is not known.
        self.verdict
            .faults
            .retain(|fault| *fault != Fault::Unsigned);
        self.verdict.faults.push(Fault::BadValues(reason.into()));
    }

    fn read_signatures(&mut self, values: &[ValueRef<'_>]) {
        let mut found = values
            .iter()
            .filter(|value| value.value_type() == types::HS_SIGNATURE);
        let mut missing = BTreeMap::new();
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
                    let reports = &mut self.verdict.values;
                    compare(reports, &mut missing, values, value.index(), &token.claims);
                    self.signatures.push((self.verdict.signatures.len(), token));
                }
                Err(error) => report.faults.push(Fault::Unreadable {
                    what: named_signature(value.index()),
                    error,
                }),
            }
            self.verdict.signatures.push(report);
        }
        let missing = missing.into_iter();
        let missing = missing.map(|(index, faults)| missing_report(index, faults));
        self.verdict.values.extend(missing);
        self.verdict.values.sort_by_key(|report| report.index);
        if self.verdict.signatures.is_empty() {
            self.verdict.faults.push(Fault::Unsigned);
        } else if found.next().is_some() {
            let fault = Fault::TooManySignatures(MAX_SIGNATURES);
            self.verdict.faults.push(fault);
        }
    }

    /// Gives the values of a handle that [`Step::NeedsCertificates`] named. The first ones given
    /// count.
    pub fn resolved<'v>(&mut self, handle: &str, values: impl IntoIterator<Item = ValueRef<'v>>) {
        let (mut certificates, mut unreadable) = (Vec::new(), Vec::new());
        let found = values
            .into_iter()
            .filter(|value| value.value_type() == types::HS_CERT);
        let most = MAX_CERTIFICATES.min(MAX_CERTIFICATES_READ - self.read);
        for value in found.take(most) {
            let number = self.read;
            self.read += 1;
            let found_at = format!("{}:{handle}", value.index());
            match Token::certificate(value.data()) {
                Ok(token) => certificates.push(Certificate {
                    number,
                    found_at,
                    token,
                }),
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
        self.known.entry(folded(handle)).or_insert(known);
    }

    /// Says that a handle's values cannot be had.
    pub fn unavailable(&mut self, handle: &str, reason: impl Into<String>) {
        let known = Known::Unavailable(reason.into());
        self.known.entry(folded(handle)).or_insert(known);
    }

    /// Goes on as far as what is known allows.
    pub fn step(&mut self) -> Step {
        while let Some((place, token)) = self.signatures.get(self.judged) {
            let (links, faults) = match follow(&self.known, &token.claims.claims) {
                Chain::Incomplete(handle) => return Step::NeedsCertificates(handle),
                Chain::Followed { links, mut faults } => {
                    let handle = &self.verdict.handle;
                    self.judge.signature(handle, token, &links, &mut faults);
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
            // Signatures need none over themselves.
            let exempt = value.is_missing || value.value_type == types::HS_SIGNATURE;
            if !covered && !exempt && !value.faults.contains(&uncovered) {
                value.faults.push(uncovered);
            }
        }
    }
}

/// Follows a chain upwards from what `signed` says of its issuer.
fn follow<'k>(known: &'k HashMap<String, Known>, signed: &Claims) -> Chain<'k> {
    let (mut links, mut faults) = (Vec::<&Certificate>::new(), Vec::new());
    let mut child = signed.clone();
    loop {
        let Ok(place) = child.issuer_certificate().parse::<ValueName>() else {
            faults.push(Fault::BadName(child.issuer_certificate().to_owned()));
            break;
        };
        let certificate = match known.get(&folded(&place.handle)) {
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

impl Certificate {
    /// What it says.
    pub fn claims(&self) -> &Claims {
        &self.token.claims.claims
    }

    /// What faults call it.
    pub fn what(&self) -> String {
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

/// The reports of all values.
fn value_reports(values: &[ValueRef<'_>]) -> Vec<ValueReport> {
    let mut reports: Vec<ValueReport> = values
        .iter()
        .map(|value| ValueReport {
            index: value.index(),
            value_type: value.value_type().to_owned(),
            is_missing: false,
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

/// Compares a signature's digests with the values; `missing` gets the faults of those that are not
/// there, by index.
fn compare(
    reports: &mut [ValueReport],
    missing: &mut BTreeMap<u32, Vec<Fault>>,
    values: &[ValueRef<'_>],
    signature: u32,
    claims: &SignatureClaims,
) {
    let by_index: HashMap<u32, &ValueRef<'_>> =
        values.iter().map(|value| (value.index(), value)).collect();
    for one in &claims.digests.digests {
        let index = one.index;
        let Some(value) = by_index.get(&index) else {
            let fault = Fault::Missing { signature, index };
            missing.entry(index).or_default().push(fault);
            continue;
        };
        let intact = claims.digests.alg.of_value(value) == one.digest;
        // Values of one index stand together.
        let first = reports.partition_point(|report| report.index < index);
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
fn missing_report(index: u32, faults: Vec<Fault>) -> ValueReport {
    ValueReport {
        index,
        value_type: String::new(),
        is_missing: true,
        signed_by: Vec::new(),
        faults,
    }
}

#[cfg(test)]
impl Verifier {
    /// How many verifications it has made.
    pub(super) fn verifications(&self) -> usize {
        self.judge.verifications()
    }
}
