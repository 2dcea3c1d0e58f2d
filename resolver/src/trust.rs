//! Trusted resolution on the node's side (draft-chen-trusted-resolution-01): the key that signs
//! what is registered, and verdicts for clients that ask whether an answer is trusted.

use crate::config::TrustConfig;
use crate::resolve::{Answer, Filter, Query, Resolved, Resolver};
use idnode_proto::identifier::Identifier;
use idnode_proto::trust::chain::{Root, Step, Verifier};
use idnode_proto::trust::key::TrustKeyError;
use idnode_proto::trust::name::same_handle;
use idnode_proto::trust::{PrivateKey, Signer, TrustKey, ValueName};
use idnode_proto::value::{Value, ValueRef, Values, encode_values, types};
use idnode_registry::Caller;
use idnode_registry::write::Endorser;
use moka::sync::Cache;
use serde::Deserialize;
use std::fs::File;
use std::io::{self, Read as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;

/// The longest file of a key, bytes.
const KEY_FILE_BYTES: u64 = 1 << 16;
/// The longest file of certificates, bytes.
const CERTIFICATE_FILE_BYTES: u64 = 16 << 20;
/// Verdicts that are remembered.
const KEPT_VERDICTS: u64 = 10_000;
/// How long: a certificate above may be withdrawn.
const VERDICT_LASTS: Duration = Duration::from_secs(60);
/// Most handles one verdict asks for certificates.
const MAX_LOOKUPS: usize = 200;

/// Why the files of the `trust` section cannot be used.
#[derive(Debug, Error)]
pub enum TrustError {
    /// A file cannot be read.
    #[error("{path}: {error}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// A file's key cannot be used.
    #[error("{path}: {error}", path = path.display())]
    Key {
        /// Which.
        path: PathBuf,
        /// Why.
        error: TrustKeyError,
    },
    /// A line of the file of certificates is none.
    #[error("{path}, line {line}: {reason}", path = path.display())]
    Certificate {
        /// The file.
        path: PathBuf,
        /// Which line, from 1.
        line: usize,
        /// What is wrong with it.
        reason: String,
    },
    /// A name is not `index:handle`; the configuration has been checked for that.
    #[error("{0:?} is not an index and a handle")]
    Name(String),
}

/// What signs the values that are registered; `None` if nothing does.
///
/// # Errors
/// The key's file cannot be read, others may read it, or it holds no key.
pub fn endorser(config: &TrustConfig) -> Result<Option<Endorser>, TrustError> {
    if config.signer.is_empty() {
        return Ok(None);
    }
    let path = &config.key_file;
    let key = PrivateKey::from_pem(&read(path, KEY_FILE_BYTES, true)?)
        .map_err(TrustKeyError::from)
        // What nobody could verify must not sign.
        .and_then(|key| TrustKey::of(&key).map(|_| key));
    let chain = config.chain.iter().map(|text| value_name(text));
    Ok(Some(Endorser {
        signer: Signer {
            name: value_name(&config.signer)?,
            key: key.map_err(|error| unusable(path, error))?,
            chain: chain.collect::<Result<_, _>>()?,
        },
        validity_s: config.validity_s.into(),
        imports: config.sign_imports,
    }))
}

/// Says whether a registered handle's signatures lead to the trusted root.
#[derive(Debug)]
pub struct Verdicts {
    root: Root,
    /// Certificates of handles that are not registered here, encoded values by handle.
    certificates: Vec<(String, Vec<u8>)>,
    /// By identifier: the version of the record, and what was said of it.
    kept: Cache<Box<[u8]>, (u64, bool)>,
}

impl Verdicts {
    /// With the root of the configuration; `None` if it names none.
    ///
    /// # Errors
    /// A file cannot be read, or does not hold what it should.
    pub fn open(config: &TrustConfig) -> Result<Option<Self>, TrustError> {
        if config.root.is_empty() {
            return Ok(None);
        }
        let path = &config.root_key_file;
        let key = TrustKey::from_pem(&read(path, KEY_FILE_BYTES, false)?);
        let certificates = match config.certificates_file.as_os_str().is_empty() {
            true => Vec::new(),
            false => certificates(&config.certificates_file)?,
        };
        Ok(Some(Self {
            root: Root {
                name: value_name(&config.root)?,
                key: key.map_err(|error| unusable(path, error))?,
            },
            certificates,
            kept: Cache::builder()
                .max_capacity(KEPT_VERDICTS)
                .time_to_live(VERDICT_LASTS)
                .build(),
        }))
    }

    /// Whether what whoever asks may read of a record is signed up to the root, whatever of it is
    /// asked for; `now_s` is seconds since 1970. Verdicts for strangers are remembered for a
    /// minute.
    pub async fn is_trusted(
        &self,
        resolver: &Arc<Resolver>,
        query: &Query<'_>,
        resolved: &Resolved,
        now_s: u64,
    ) -> bool {
        if !query.public_only && !matches!(query.caller, Caller::Stranger) {
            return self.verify(resolver, query, resolved, now_s).await;
        }
        let (identifier, version) = (query.identifier, resolved.version());
        if let Some((of, trusted)) = self.kept.get(identifier.key())
            && of == version
        {
            return trusted;
        }
        let trusted = self.verify(resolver, query, resolved, now_s).await;
        self.kept
            .insert(identifier.key().into(), (version, trusted));
        trusted
    }

    async fn verify(
        &self,
        resolver: &Arc<Resolver>,
        query: &Query<'_>,
        resolved: &Resolved,
        now_s: u64,
    ) -> bool {
        let handle = resolved.spelling(query.identifier);
        let mut verifier = {
            let whole = Query {
                filter: &Filter::default(),
                ..query.clone()
            };
            let values: Vec<_> = resolved.values(&whole).collect();
            Verifier::new(&self.root, &handle, &values, now_s)
        };
        for _ in 0..MAX_LOOKUPS {
            match verifier.step() {
                Step::Done(verdict) => {
                    if let Some(fault) = verdict.all_faults().next() {
                        tracing::debug!(handle, %fault, "not trusted");
                    }
                    return verdict.is_valid();
                }
                Step::NeedsCertificates(of) => self.look_up(resolver, &of, &mut verifier).await,
            }
        }
        false
    }

    /// Gives the verifier a handle's certificates: those registered here, else the file's.
    async fn look_up(&self, resolver: &Arc<Resolver>, handle: &str, verifier: &mut Verifier<'_>) {
        if let Ok(identifier) = Identifier::parse(handle) {
            let filter = Filter {
                types: vec![types::HS_CERT.to_owned()],
                indexes: Vec::new(),
            };
            let query = public(&identifier, &filter, &Caller::Stranger);
            if let Ok(Answer::Found(resolved)) = resolver.resolve(&query).await {
                let mut values = resolved.values(&query).peekable();
                if values.peek().is_some() {
                    return verifier.resolved(handle, values);
                }
            }
        }
        let mut known = self.certificates.iter();
        match known.find(|(name, _)| same_handle(name, handle)) {
            Some((_, encoded)) => verifier.resolved(handle, views(encoded)),
            None => verifier.unavailable(handle, "no certificate of it is known here"),
        }
    }
}

fn public<'a>(identifier: &'a Identifier, filter: &'a Filter, caller: &'a Caller) -> Query<'a> {
    Query {
        identifier,
        filter,
        caller,
        public_only: true,
    }
}

fn views(encoded: &[u8]) -> impl Iterator<Item = ValueRef<'_>> {
    Values::all(encoded).map_while(Result::ok)
}

fn value_name(text: &str) -> Result<ValueName, TrustError> {
    text.parse().map_err(|_| TrustError::Name(text.to_owned()))
}

fn unusable(path: &Path, error: TrustKeyError) -> TrustError {
    TrustError::Key {
        path: path.to_owned(),
        error,
    }
}

/// Reads a file of at most `limit` bytes; of a secret one nobody else may know the content.
fn read(path: &Path, limit: u64, secret: bool) -> Result<String, TrustError> {
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
        .take(limit)
        .read_to_string(&mut text)
        .map_err(failed)?;
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

fn certificates(path: &Path) -> Result<Vec<(String, Vec<u8>)>, TrustError> {
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
            match values.is_empty() {
                true => Err(wrong(format!("{} has no HS_CERT value", read.identifier))),
                false => Ok((read.identifier, encode_values(&values))),
            }
        })
        .collect()
}
