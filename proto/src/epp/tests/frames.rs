//! Lengths before documents (RFC 5734 section 4).

use crate::epp::frame::*;

#[test]
fn a_length_counts_itself() {
    let frame = framed("<epp/>").unwrap();
    assert_eq!(frame, b"\0\0\0\x0a<epp/>");
    assert_eq!(document_length([0, 0, 0, 10]), Ok(6));
}

#[test]
fn lengths_are_bounded_on_both_sides() {
    for total in [0_u32, 1, 4, (MAX_DOCUMENT_BYTES + 5) as u32, u32::MAX] {
        assert_eq!(document_length(total.to_be_bytes()), Err(BadLength(total)));
    }
    let longest = "x".repeat(MAX_DOCUMENT_BYTES);
    assert!(framed(&longest).is_ok());
    assert!(framed(&format!("{longest}x")).is_err());
    assert!(framed("").is_err());
}
