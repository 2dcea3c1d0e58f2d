//! The data of value types that name a handle: HS_SERV and HS_ALIAS (RFC 3651 §3.2). Administrators
//! are in [`super::admin`], site records in [`super::site`].

pub use super::admin::{Admin, decode_value_list, encode_value_list};
use super::wire::{WireError, length_field};
use crate::value::MAX_HANDLE_LEN;

/// The handle that HS_SERV or HS_ALIAS data names: the data is its text. Errors:
/// [`WireError::TooLong`] above [`MAX_HANDLE_LEN`], [`WireError::NotUtf8`].
pub fn decode_handle_data(data: &[u8]) -> Result<&str, WireError> {
    let (part, offset, limit) = ("handle", 0, MAX_HANDLE_LEN);
    if data.len() > limit {
        return Err(WireError::TooLong {
            part,
            offset,
            length: u32::from_be_bytes(length_field(data.len())),
            limit,
        });
    }
    std::str::from_utf8(data).map_err(|_| WireError::NotUtf8 { part, offset })
}
