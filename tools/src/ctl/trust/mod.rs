//! Trusted resolution: `idctl verify`, `idctl sign`, `idctl trust-key`.
//!
//! | module | holds |
//! |---|---|
//! | [`verify`] | verdicts over a handle's values |
//! | [`sign`] | makes HS_SIGNATURE and HS_CERT values |
//! | [`key`] | keys in files |
//! | [`source`] | values of handles: asked for, or from files |

pub(crate) mod key;
pub(crate) mod sign;
mod source;
pub(crate) mod verify;
