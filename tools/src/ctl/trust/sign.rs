//! `idctl sign`: makes HS_SIGNATURE and HS_CERT values from a private key in a file.

use std::path::PathBuf;
use std::time::{SystemTime, UNIX_EPOCH};

use clap::Subcommand;
use idnode_proto::api;
use idnode_proto::api::value::Data;
use idnode_proto::trust::{Permission, Scope, Signer, TrustKey, Validity, ValueName};
use idnode_proto::value::types;

use super::key;
use super::source::SourceArgs;
use crate::ctl::error::Failure;
use crate::ctl::json;
use crate::ctl::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Sign all that everybody may read of a handle: an HS_SIGNATURE value
    ///
    /// Prints the value's data; with --json an array for --values-file of `identifier update` and
    /// `prefix values update`.
    Values {
        #[arg(value_name = "HANDLE")]
        name: String,
        #[command(flatten)]
        by: By,
        #[command(flatten)]
        source: SourceArgs,
    },
    /// Certify a key: an HS_CERT value
    ///
    /// A root certifies itself: SUBJECT is --signer.
    Certificate {
        /// The value that holds the key, e.g. 300:0.NA/88.118.8
        subject: ValueName,
        /// The key, PEM; that of --key unless given
        #[arg(long, value_name = "FILE")]
        public_key: Option<PathBuf>,
        /// What the subject may sign: `everything`, or `thisHandle`, `derivedPrefixes` or
        /// `handlesUnderThisPrefix`, each with `=HANDLE` if it is not about the subject's; may be
        /// repeated. Everything for a root, else all but `everything`
        #[arg(long = "permission", value_name = "PERMISSION[=HANDLE]")]
        permissions: Vec<String>,
        #[command(flatten)]
        by: By,
    },
}

/// Who signs, and for how long.
#[derive(Debug, clap::Args)]
pub(crate) struct By {
    /// The value that holds the signer's public key, e.g. 300:0.NA/88.118
    #[arg(long, value_name = "INDEX:HANDLE")]
    signer: ValueName,
    /// The signer's private key, PEM
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// Where the signer's certificate is, then those above it, if not at the signer's handle; may
    /// be repeated
    #[arg(long, value_name = "INDEX:HANDLE")]
    chain: Vec<ValueName>,
    /// How long it holds
    #[arg(long, value_name = "DAYS", default_value_t = 365)]
    days: u32,
    /// The index of the value
    #[arg(long, value_name = "INDEX", default_value_t = 400)]
    index: u32,
}

impl By {
    fn signer(&self) -> Result<Signer, Failure> {
        Ok(Signer {
            name: self.signer.clone(),
            key: key::private(&self.key)?,
            chain: self.chain.clone(),
        })
    }

    fn validity(&self) -> Validity {
        Validity::starting(now_s(), u64::from(self.days) * 86_400)
    }
}

/// Seconds since 1970.
pub(super) fn now_s() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_secs())
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let unsigned = |error: idnode_proto::trust::sign::SignError| Failure::Usage(error.to_string());
    let (index, value_type, data) = match &command {
        Command::Values { name, by, source } => {
            let values = source.open(session)?.values(name).await?;
            let values = values.map_err(|reason| {
                Failure::Answer(format!("the values of {name} cannot be signed: {reason}"))
            })?;
            let views = values.views();
            let data = by
                .signer()?
                .signature(name, views, by.validity())
                .map_err(unsigned)?;
            (by.index, types::HS_SIGNATURE, data)
        }
        Command::Certificate {
            subject,
            public_key,
            permissions,
            by,
        } => {
            let signer = by.signer()?;
            let key = match public_key {
                Some(path) => key::public(path)?,
                None if *subject == by.signer => {
                    let own = TrustKey::of(&signer.key);
                    own.map_err(|error| Failure::Usage(error.to_string()))?
                }
                None => {
                    let reason = "--public-key is needed: the subject is not the signer";
                    return Err(Failure::Usage(reason.to_owned()));
                }
            };
            let permissions = match permissions.is_empty() {
                true if *subject == by.signer => vec![Permission::new(Scope::Everything, "")],
                true => Permission::of_prefix(&subject.handle),
                false => permissions
                    .iter()
                    .map(|text| permission(text, &subject.handle))
                    .collect::<Result<_, _>>()?,
            };
            let data = signer
                .certificate(subject, &key, permissions, by.validity())
                .map_err(unsigned)?;
            (by.index, types::HS_CERT, data)
        }
    };
    let value = api::Value {
        index,
        r#type: value_type.to_owned(),
        data: Some(Data::Text(data.clone())),
        ..api::Value::default()
    };
    session.out.stream(|| json::values(&[value]), || data)
}

fn permission(text: &str, subject: &str) -> Result<Permission, Failure> {
    let (name, handle) = text.split_once('=').unwrap_or((text, subject));
    let scope = match name {
        "everything" => return Ok(Permission::new(Scope::Everything, "")),
        "thisHandle" => Scope::ThisHandle,
        "derivedPrefixes" => Scope::DerivedPrefixes,
        "handlesUnderThisPrefix" => Scope::HandlesUnderThisPrefix,
        _ => {
            return Err(Failure::Usage(format!(
                "--permission {name:?}: is none of everything, thisHandle, derivedPrefixes, \
                 handlesUnderThisPrefix"
            )));
        }
    };
    Ok(Permission::new(scope, handle))
}
