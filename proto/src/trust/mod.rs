//! Trusted resolution (draft-chen-trusted-resolution-01): signatures over a handle's values and
//! the certificates that lead from their signer to a trusted root, made and verified, sans I/O.
//!
//! | module | holds |
//! |---|---|
//! | [`jws`] | JSON Web Signatures, compact and general (RFC 7515), as HS_SIGNATURE and HS_CERT carry them |
//! | [`key`] | keys of handles as certificates write them (JWK), and new ones |
//! | [`name`] | `index:handle`, how issuers and subjects are written |
//! | [`claims`] | what a signature and a certificate say |
//! | [`permission`] | which handles a certificate lets its subject sign |
//! | [`digest`] | digests over values |
//! | [`sign`] | makes HS_SIGNATURE and HS_CERT data |
//! | [`chain`] | the verifier: a state machine that asks for certificates until it has a verdict |
//! | `judge` | whether signatures and certificates hold, from the root down |
//! | [`verdict`] | what it found, and what failed |

pub mod chain;
pub mod claims;
pub mod digest;
mod judge;
pub mod jws;
pub mod key;
pub mod name;
pub mod permission;
pub mod sign;
pub mod verdict;

pub use chain::{Root, Step, Verifier};
pub use claims::{CertificateClaims, Claims, SignatureClaims};
pub use key::{PrivateKey, TrustKey};
pub use name::ValueName;
pub use permission::{Permission, Scope};
pub use sign::{Signer, Validity};
pub use verdict::{Fault, Verdict};

/// Most certificates between a signature and its root, the root's own among them.
pub const MAX_LINKS: usize = 50;
/// Most HS_SIGNATURE values of one handle that are looked at; more fail the verdict.
pub const MAX_SIGNATURES: usize = 16;
/// Most HS_CERT values of one handle that are looked at, the first by index.
pub const MAX_CERTIFICATES: usize = 64;
/// Most HS_CERT values that are looked at for one verdict; what is beyond is as if it were not there.
pub const MAX_CERTIFICATES_READ: usize = 256;
/// Most verifications of one verdict, each signature of a JWS counted: a longest chain and all
/// signatures of a handle. One takes up to a millisecond of a core (RSA-8192) and the digest over at
/// most 262,144 bytes.
pub const MAX_VERIFICATIONS: usize = 128;

#[cfg(test)]
mod tests;
