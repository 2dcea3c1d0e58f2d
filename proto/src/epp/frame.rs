//! The length before each document on TLS: four bytes, the most significant first, that count
//! themselves (RFC 5734 section 4).

use thiserror::Error;

/// Bytes of a length.
pub const HEADER_BYTES: usize = 4;
/// Longest document: images of two certificates in base64, and what is around them.
pub const MAX_DOCUMENT_BYTES: usize = 1 << 20;

/// A length that is not taken.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("a frame of {0} bytes, 5 to {most} are taken", most = MAX_DOCUMENT_BYTES + HEADER_BYTES)]
pub struct BadLength(pub u32);

/// Bytes of the document behind a length.
///
/// # Errors
/// No document, or one longer than [`MAX_DOCUMENT_BYTES`].
pub fn document_length(header: [u8; HEADER_BYTES]) -> Result<usize, BadLength> {
    let total = u32::from_be_bytes(header);
    match (total as usize).checked_sub(HEADER_BYTES) {
        Some(length) if (1..=MAX_DOCUMENT_BYTES).contains(&length) => Ok(length),
        _ => Err(BadLength(total)),
    }
}

/// A document with its length before it.
///
/// # Errors
/// It is empty, or longer than [`MAX_DOCUMENT_BYTES`].
pub fn framed(document: &str) -> Result<Vec<u8>, BadLength> {
    let total = u32::try_from(document.len() + HEADER_BYTES).unwrap_or(u32::MAX);
    document_length(total.to_be_bytes())?;
    let mut frame = Vec::with_capacity(document.len() + HEADER_BYTES);
    frame.extend_from_slice(&total.to_be_bytes());
    frame.extend_from_slice(document.as_bytes());
    Ok(frame)
}
