//! `idctl trust-key`: keys of trusted resolution, in files.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use clap::{Subcommand, ValueEnum};
use idnode_proto::trust::key::{Algorithm, TrustKeyError, generate_pem};
use idnode_proto::trust::{PrivateKey, TrustKey};
use serde_json::json;

use crate::ctl::error::Failure;
use crate::ctl::output::Table;
use crate::ctl::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Make a key: FILE holds it (PEM, for its owner alone), FILE.pub its public half
    Generate {
        file: PathBuf,
        #[arg(long, default_value = "sm2")]
        algorithm: KeyAlgorithm,
    },
    /// Show the public half of a key
    Public {
        /// The private key, PEM
        file: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum KeyAlgorithm {
    /// SM2 with SM3
    Sm2,
    /// RSA of 2048 bits with SHA-256
    Rsa,
}

pub(crate) fn run(command: &Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Generate { file, algorithm } => generate(file, *algorithm, session),
        Command::Public { file } => {
            let pem = public_pem(file, &private(file)?)?;
            show(session, file, &pem)
        }
    }
}

fn generate(file: &Path, algorithm: KeyAlgorithm, session: &Session) -> Result<(), Failure> {
    let algorithm = match algorithm {
        KeyAlgorithm::Sm2 => Algorithm::Sm2256,
        KeyAlgorithm::Rsa => Algorithm::Rs256,
    };
    let failed = |error: TrustKeyError| refused(file, error.to_string());
    let pem = generate_pem(algorithm).map_err(failed)?;
    let public = PrivateKey::from_pem(&pem).map_err(|error| failed(error.into()))?;
    let public = public_pem(file, &public)?;
    // Never over another key: what it signed could no longer be renewed.
    create(file, &pem, 0o600)?;
    let mut beside = file.as_os_str().to_owned();
    beside.push(".pub");
    create(Path::new(&beside), &public, 0o644)?;
    show(session, file, &public)
}

fn show(session: &Session, file: &Path, public: &str) -> Result<(), Failure> {
    session.out.show(
        || json!({"file": file.to_string_lossy(), "public_key": public}),
        || {
            Table::of_one(&[
                ("file", file.display().to_string()),
                ("public_key", public.trim().to_owned()),
            ])
        },
    )
}

/// Makes a file that is not there yet.
pub(crate) fn create(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)
        .and_then(|mut file| {
            file.write_all(text.as_bytes())
                .and_then(|()| file.sync_all())
        })
        .map_err(|error| refused(path, error.to_string()))
}

fn public_pem(file: &Path, key: &PrivateKey) -> Result<String, Failure> {
    TrustKey::of(key)
        .and_then(|key| Ok(key.key().to_pem()?))
        .map(|pem| pem.replace('\r', ""))
        .map_err(|error| refused(file, error.to_string()))
}

/// Reads a private key.
pub(crate) fn private(path: &Path) -> Result<PrivateKey, Failure> {
    let text = read(path)?;
    PrivateKey::from_pem(&text).map_err(|error| refused(path, error.to_string()))
}

/// Reads a public key.
pub(crate) fn public(path: &Path) -> Result<TrustKey, Failure> {
    let text = read(path)?;
    TrustKey::from_pem(&text).map_err(|error| refused(path, error.to_string()))
}

fn read(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| refused(path, error.to_string()))
}

fn refused(path: &Path, reason: String) -> Failure {
    Failure::File {
        path: path.to_owned(),
        reason,
    }
}
