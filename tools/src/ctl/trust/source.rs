//! Where the values of handles come from: a node, or files.

use std::path::PathBuf;

use idnode_proto::api;
use idnode_proto::api::resolve_response::Outcome;
use idnode_proto::api::value::{Data, Ttl as ApiTtl};
use idnode_proto::trust::name::same_handle;
use idnode_proto::value::{Permissions, Reference, Ttl, Value};
use serde::Deserialize;

use crate::bulk::json::ValueIn;
use crate::ctl::error::Failure;
use crate::ctl::resolve::Server;
use crate::ctl::session::Session;

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
    read: Option<Vec<(String, Vec<Value>)>>,
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
                let values = values.into_iter().map(|value| {
                    let value = value.into_value().map_err(str::to_owned)?;
                    Ok(wire_value(value))
                });
                let values = values.collect::<Result<_, String>>().map_err(refused)?;
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
    /// What everybody may read of a handle.
    pub(super) async fn values(&self, handle: &str) -> Result<Vec<Value>, Failure> {
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
        };
        match self.server.resolve(request, self.session).await?.outcome {
            Some(Outcome::Record(record)) => {
                Ok(record.values.into_iter().map(wire_value).collect())
            }
            Some(Outcome::Referral(referral)) => Err(Failure::Answer(format!(
                "{handle} is served elsewhere, by the sites of {}",
                referral.prefix
            ))),
            None => Ok(Vec::new()),
        }
    }
}

/// A value as it is signed.
fn wire_value(value: api::Value) -> Value {
    Value {
        index: value.index,
        value_type: value.r#type,
        data: match value.data {
            Some(Data::Text(text)) => text.into_bytes(),
            Some(Data::Raw(bytes)) => bytes,
            None => Vec::new(),
        },
        ttl: match value.ttl {
            Some(ApiTtl::TtlS(seconds)) => Ttl::RelativeS(seconds),
            Some(ApiTtl::ExpiresAtS(seconds)) => Ttl::AbsoluteS(seconds),
            None => Ttl::DEFAULT,
        },
        timestamp_s: value.timestamp_s,
        permissions: value
            .permissions
            .and_then(|bits| u8::try_from(bits).ok())
            .map_or_else(Permissions::default, Permissions),
        references: value
            .references
            .into_iter()
            .map(|reference| Reference {
                handle: reference.handle,
                index: reference.index,
            })
            .collect(),
    }
}
