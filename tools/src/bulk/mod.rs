//! The files of bulk registration (批量注册): what `idctl export` writes, `idctl import` reads.
//!
//! Both formats carry everything a registration can set, so that export, import and export
//! again gives the same bytes.
//!
//! | module | holds |
//! |---|---|
//! | [`mod@format`] | which format and compression a file has; opening and creating one |
//! | [`field`] | the text forms of TTL, permissions and references |
//! | [`json`] | values as JSON, in files and in `--json` answers |
//! | [`jsonl`] | JSON Lines: one identifier a line |
//! | [`csv_record`] | CSV records with the physical line each starts on |
//! | [`csv`] | CSV: one value a row, rows of one identifier adjacent; reading it |
//! | [`csv_write`] | writing it |
//! | [`item`] | an item as it is encoded while it is read |
//! | [`read`] | either format as a sequence of items and rejects |
//! | [`mod@write`] | either format from exported records |
//! | [`chunk`] | items cut into encoded chunks, the same on every run |

pub mod chunk;
pub mod csv;
pub mod csv_record;
pub mod csv_write;
pub mod field;
pub mod format;
pub mod item;
pub mod json;
pub mod jsonl;
pub mod read;
pub mod write;

/// The most bytes one item, line or CSV record may have: a chunk of one must still fit
/// a gRPC message of 4 MiB with room for its frame.
pub const MAX_ITEM_BYTES: usize = 3_670_016;
