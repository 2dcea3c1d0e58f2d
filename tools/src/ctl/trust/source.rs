//! Where the values of handles come from: a node, or files.

use std::path::PathBuf;

use idnode_proto::api;
use idnode_proto::api::resolve_response::Outcome;
use idnode_proto::trust::name::same_handle;
use idnode_proto::value::{ValueRef, Values, encode_values};
use serde::Deserialize;

use crate::bulk::json::ValueIn;
use crate::ctl::error::Failure;
use crate::ctl::resolve::Server;
use crate::ctl::session::Session;
use crate::ctl::wire_value::wire_value;

/// Where values are looked for.
#[derive(Debug, clap::Args)]
pub(crate) struct SourceArgs {
    #[command(flatten)]
    server: Server,
    /// Read values from this file and ask nobody: JSON as `resolve --json` or `export` prints, one
    /// handle after another; may be repeated
    #[arg(long = "file", value_name = "FILE")]
    files: Vec<PathBuf>,
}

/// Files that have been read, or the node.
pub(super) struct Source<'s> {
    server: &'s Server,
    session: &'s Session,
    /// What the files hold, if there are any.
    read: Option<Vec<(String, Vec<api::Value>)>>,
}

/// The values of a handle as they are signed.
#[derive(Debug)]
pub(super) struct Encoded(Vec<u8>);

impl Encoded {
    /// Encodes values. Errors: which of them no signature can be over, since it has no encoding.
    fn of(values: Vec<api::Value>) -> Result<Self, String> {
        let values: Vec<_> = values
            .into_iter()
            .map(wire_value)
            .collect::<Result<_, _>>()?;
        let encoded = encode_values(&values);
        // Whatever is not read back as it was is not what anybody signed.
        let read: Vec<_> = Values::all(&encoded)
            .collect::<Result<_, _>>()
            .map_err(|error| error.to_string())?;
        match read.len() == values.len() {
            true => Ok(Self(encoded)),
            false => Err(format!("{} of {} are read", read.len(), values.len())),
        }
    }

    /// The values.
    pub fn views(&self) -> impl Iterator<Item = ValueRef<'_>> {
        Values::all(&self.0).flatten()
    }
}

/// One handle in a file.
#[derive(Deserialize)]
struct Document {
    identifier: String,
    values: Option<Vec<ValueIn>>,
    record: Option<Record>,
}

#[derive(Deserialize)]
struct Record {
    values: Vec<ValueIn>,
}

impl SourceArgs {
    /// Reads the files.
    pub(super) fn open<'s>(&'s self, session: &'s Session) -> Result<Source<'s>, Failure> {
        let mut read = Vec::new();
        for path in &self.files {
            let refused = |reason: String| Failure::File {
                path: path.clone(),
                reason,
            };
            let text = std::fs::read(path).map_err(|error| refused(error.to_string()))?;
            for document in serde_json::Deserializer::from_slice(&text).into_iter::<Document>() {
                let document = document.map_err(|error| refused(error.to_string()))?;
                let record = document.record.map(|record| record.values);
                let values = document.values.or(record).unwrap_or_default();
                let values = values.into_iter().map(ValueIn::into_value);
                let values = values.collect::<Result<_, _>>();
                let values = values.map_err(|reason| refused(reason.to_owned()))?;
                read.push((document.identifier, values));
            }
        }
        Ok(Source {
            server: &self.server,
            session,
            read: (!self.files.is_empty()).then_some(read),
        })
    }
}

impl Source<'_> {
    /// What everybody may read of a handle; an error of its own if it is there and some of it has
    /// no encoding.
    pub(super) async fn values(&self, handle: &str) -> Result<Result<Encoded, String>, Failure> {
        Ok(Encoded::of(self.shown(handle).await?))
    }

    async fn shown(&self, handle: &str) -> Result<Vec<api::Value>, Failure> {
        if let Some(read) = &self.read {
            let mut known = read.iter().filter(|(name, _)| same_handle(name, handle));
            let missing = || Failure::Answer(format!("{handle} is in none of the files"));
            return known
                .next()
                .map(|(_, values)| values.clone())
                .ok_or_else(missing);
        }
        let request = api::ResolveRequest {
            identifier: handle.to_owned(),
            types: Vec::new(),
            indexes: Vec::new(),
            public_only: true,
            recurse: false,
        };
        match self.server.resolve(request, self.session).await?.outcome {
            Some(Outcome::Record(record)) => Ok(record.values),
            Some(Outcome::Referral(referral)) => Err(Failure::Answer(format!(
                "{handle} is served elsewhere, by the sites of {}",
                referral.prefix
            ))),
            None => Ok(Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use idnode_proto::value::{MAX_TYPE_LEN, MAX_VALUES};

    fn value(index: u32) -> api::Value {
        api::Value {
            index,
            r#type: "URL".to_owned(),
            ..api::Value::default()
        }
    }

    #[test]
    fn values_without_an_encoding_are_refused_whole() {
        let all = |count: usize| (1..).take(count).map(value).collect();
        let encoded = Encoded::of(all(MAX_VALUES)).unwrap();
        assert_eq!(encoded.views().count(), MAX_VALUES);
        assert!(Encoded::of(all(MAX_VALUES + 1)).is_err());
        let long = api::Value {
            r#type: "T".repeat(MAX_TYPE_LEN + 1),
            ..value(2)
        };
        let error = Encoded::of(vec![value(1), long, value(3)]).unwrap_err();
        assert!(error.contains("value type"), "{error}");
        let permitted = |bits| api::Value {
            permissions: Some(bits),
            ..value(7)
        };
        assert!(Encoded::of(vec![permitted(255)]).is_ok());
        let error = Encoded::of(vec![permitted(256)]).unwrap_err();
        assert_eq!(
            error,
            "the permissions of value 7 are 256, which is above 255"
        );
    }
}
