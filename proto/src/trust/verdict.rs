//! What the verifier found.

use thiserror::Error;

use super::claims::ClaimsError;

/// Whether a handle's values are what their signers say, and if not, why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// The handle.
    pub handle: String,
    /// Its signatures, by index.
    pub signatures: Vec<SignatureReport>,
    /// Its values, signatures among them, and those that are missing, by index.
    pub values: Vec<ValueReport>,
    /// What is wrong with the handle as a whole.
    pub faults: Vec<Fault>,
}

/// What was found about one HS_SIGNATURE value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SignatureReport {
    /// Its index.
    pub index: u32,
    /// Who signed, as far as it can be read.
    pub issuer: String,
    /// When it ceases to hold, seconds since 1970; 0 if that cannot be read.
    pub expires_s: u64,
    /// The certificates above it, as far as the chain was followed.
    pub chain: Vec<LinkReport>,
    /// What is wrong with it or its chain.
    pub faults: Vec<Fault>,
}

/// One certificate of a chain.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LinkReport {
    /// The handle whose value it is, and the value's index.
    pub found_at: String,
    /// Whose key it is about, `index:handle`.
    pub subject: String,
    /// Who signed it, `index:handle`.
    pub issuer: String,
    /// When it ceases to hold, seconds since 1970.
    pub expires_s: u64,
}

/// What was found about one value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValueReport {
    /// Its index.
    pub index: u32,
    /// Its type; empty for one that is missing, and for one that has none.
    pub value_type: String,
    /// A signature covers it and it is not there.
    pub is_missing: bool,
    /// The signatures whose digest is the value's, by index; whether they hold themselves is in
    /// their reports.
    pub signed_by: Vec<u32>,
    /// What is wrong with it.
    pub faults: Vec<Fault>,
}

/// What is wrong.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Fault {
    /// No HS_SIGNATURE value.
    #[error("the handle has no signature")]
    Unsigned,
    /// More signatures than are looked at.
    #[error("the handle has more than {0} signatures")]
    TooManySignatures(usize),
    /// A signature or certificate that cannot be read.
    #[error("{what}: {error}")]
    Unreadable {
        /// Which.
        what: String,
        /// Why.
        error: ClaimsError,
    },
    /// A signature over another handle.
    #[error("the signature is over {0:?}, another handle")]
    OtherHandle(String),
    /// It does not hold yet.
    #[error("{what} does not hold before {from_s} s since 1970")]
    NotYet {
        /// Which.
        what: String,
        /// From when on it holds, seconds since 1970.
        from_s: u64,
    },
    /// It holds no longer.
    #[error("{what} expired at {until_s} s since 1970")]
    Expired {
        /// Which.
        what: String,
        /// Since when, seconds since 1970.
        until_s: u64,
    },
    /// The bytes are not what the signer signed.
    #[error("{what} is not signed by the key of {issuer}")]
    BadSignature {
        /// Which.
        what: String,
        /// Whose key it should be.
        issuer: String,
    },
    /// A signer without a certificate.
    #[error("{handle} has no certificate of {subject}")]
    NoCertificate {
        /// Where one was looked for.
        handle: String,
        /// Whose.
        subject: String,
    },
    /// The certificate's handle could not be read.
    #[error("{handle} cannot be resolved: {reason}")]
    Unavailable {
        /// Which.
        handle: String,
        /// Why.
        reason: String,
    },
    /// An issuer or a chain that names no value.
    #[error("{0:?} is not an index and a handle, as in \"300:0.NA/88.118.8\"")]
    BadName(String),
    /// The chain ends at another root.
    #[error("the chain ends at {0}, which is not the trusted root")]
    OtherRoot(String),
    /// The chain ends at the root's handle, with another key.
    #[error("the root's certificate {0} has another key than the trusted one")]
    OtherRootKey(String),
    /// The chain does not end.
    #[error("the chain has more than {0} certificates")]
    TooManyLinks(usize),
    /// The chain comes back to where it was.
    #[error("the chain comes back to the certificate of {0}")]
    Loop(String),
    /// More signatures to verify than any honest handle has; the rest was not looked at.
    #[error("more than {0} signatures would have to be verified")]
    TooManyVerifications(usize),
    /// A signer that may not sign this.
    #[error("{issuer} has no permission to sign {subject}")]
    NoPermission {
        /// Who signed.
        issuer: String,
        /// What.
        subject: String,
    },
    /// A signature's value that the handle has not.
    #[error("signature {signature} covers value {index}, which is missing")]
    Missing {
        /// The signature's index.
        signature: u32,
        /// The value's index.
        index: u32,
    },
    /// A value that is not what was signed.
    #[error("value {index} is not what signature {signature} covers")]
    Tampered {
        /// The signature's index.
        signature: u32,
        /// The value's index.
        index: u32,
    },
    /// A value no signature that holds vouches for.
    #[error("value {0} is not covered by a signature that holds")]
    Uncovered(u32),
    /// Two values of one index: which one a digest means cannot be said.
    #[error("value {0} is there twice")]
    Twice(u32),
    /// Values that cannot be read.
    #[error("the values cannot be read: {0}")]
    BadValues(String),
}

impl Verdict {
    /// Whether everything holds: every value is covered, and every signature, certificate, date
    /// and permission is good.
    pub fn is_valid(&self) -> bool {
        self.all_faults().next().is_none()
    }

    /// Everything that is wrong.
    pub fn all_faults(&self) -> impl Iterator<Item = &Fault> {
        let signatures = self.signatures.iter().flat_map(|report| &report.faults);
        let values = self.values.iter().flat_map(|report| &report.faults);
        self.faults.iter().chain(signatures).chain(values)
    }
}
