//! The files of the `trust` section.

use super::TrustError;
use bytes::Bytes;
use idnode_proto::value::{Value, Values, encode_values, types};
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// The longest file of a key, bytes.
pub(super) const KEY_FILE_BYTES: u64 = 1 << 16;
/// The longest file of certificates, bytes.
const CERTIFICATE_FILE_BYTES: u64 = 16 << 20;

/// Reads a file of at most `limit` bytes; of a secret one nobody else may know the content.
pub(super) fn read(path: &Path, limit: u64, secret: bool) -> Result<String, TrustError> {
    let failed = |error| TrustError::File {
        path: path.to_owned(),
        error,
    };
    let opened = File::open(path).map_err(failed)?;
    let mode = opened.metadata().map_err(failed)?.permissions().mode();
    if secret && mode & 0o077 != 0 {
        let reason = "others have access to the key: its mode must be 0600";
        return Err(failed(io::Error::new(
            io::ErrorKind::PermissionDenied,
            reason,
        )));
    }
    let mut text = String::new();
    opened
        .take(limit + 1)
        .read_to_string(&mut text)
        .map_err(failed)?;
    if text.len() as u64 > limit {
        let reason = format!("is longer than {limit} bytes");
        return Err(failed(io::Error::new(io::ErrorKind::FileTooLarge, reason)));
    }
    Ok(text)
}

/// A line of the file of certificates: what `idctl resolve --json` or `idctl export` prints.
#[derive(Deserialize)]
struct Line {
    identifier: String,
    values: Option<Vec<LineValue>>,
    record: Option<LineRecord>,
}

#[derive(Deserialize)]
struct LineRecord {
    values: Vec<LineValue>,
}

#[derive(Deserialize)]
struct LineValue {
    #[serde(default)]
    index: u32,
    r#type: String,
    data: LineData,
}

#[derive(Deserialize)]
struct LineData {
    format: String,
    value: String,
}

/// The certificates of a file, encoded values by handle.
pub(super) fn certificates(path: &Path) -> Result<Vec<(String, Bytes)>, TrustError> {
    let text = read(path, CERTIFICATE_FILE_BYTES, false)?;
    let lines = text
        .lines()
        .zip(1..)
        .filter(|(text, _)| !text.trim().is_empty());
    lines
        .map(|(text, line)| {
            let wrong = |reason: String| TrustError::Certificate {
                path: path.to_owned(),
                line,
                reason,
            };
            let read: Line =
                serde_json::from_str(text).map_err(|error| wrong(error.to_string()))?;
            let record = read.record.map(|record| record.values);
            let values: Vec<Value> = read
                .values
                .or(record)
                .unwrap_or_default()
                .into_iter()
                .filter(|value| value.r#type == types::HS_CERT && value.data.format == "string")
                .map(|value| Value::new(value.index, value.r#type, value.data.value))
                .collect();
            if values.is_empty() {
                return Err(wrong(format!("{} has no HS_CERT value", read.identifier)));
            }
            let encoded = encode_values(&values);
            match Values::all(&encoded).find_map(Result::err) {
                Some(error) => Err(wrong(error.to_string())),
                None => Ok((read.identifier, encoded.into())),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_file_is_read_whole_or_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        std::fs::write(&path, "a".repeat(100)).unwrap();
        assert_eq!(read(&path, 100, false).unwrap().len(), 100);
        let error = read(&path, 99, false).unwrap_err().to_string();
        assert!(error.ends_with("is longer than 99 bytes"), "{error}");
    }

    #[test]
    fn a_certificate_that_no_record_could_hold_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("certificates");
        let line = |data: &str| {
            let value = format!(
                r#"{{"index":1,"type":"HS_CERT","data":{{"format":"string","value":"{data}"}}}}"#
            );
            format!("{{\"identifier\":\"0.NA/88.1\",\"values\":[{value}]}}\n")
        };
        std::fs::write(&path, line("a.b.c")).unwrap();
        assert_eq!(certificates(&path).unwrap().len(), 1);
        let long = "a".repeat(idnode_proto::value::MAX_DATA_LEN + 1);
        std::fs::write(&path, format!("{}{}", line("a.b.c"), line(&long))).unwrap();
        let error = certificates(&path).unwrap_err().to_string();
        assert!(error.contains("line 2: "), "{error}");
    }
}
