//! `idctl escrow keygen`.

use std::path::{Path, PathBuf};

use idnode_proto::trust::key::{Algorithm, generate_pem};
use idnode_proto::trust::{PrivateKey, TrustKey};
use russh::keys::ssh_key::LineEnding;
use russh::keys::{self, Algorithm as LoginAlgorithm};
use serde_json::json;

use crate::ctl::error::Failure;
use crate::ctl::output::Table;
use crate::ctl::session::Session;
use crate::ctl::trust::key::create;

#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    file: PathBuf,
    /// Make a key to log in with
    #[arg(long)]
    login: bool,
}

pub(super) fn run(args: &Args, session: &Session) -> Result<(), Failure> {
    let made = match args.login {
        true => login_key(),
        false => sm2_key(),
    };
    let (private, public) = made.map_err(|reason| Failure::File {
        path: args.file.clone(),
        reason,
    })?;
    // Never over another key: what was encrypted to it could no longer be read.
    create(&args.file, &private, 0o600)?;
    let mut beside = args.file.as_os_str().to_owned();
    beside.push(".pub");
    create(Path::new(&beside), &public, 0o644)?;
    session.out.show(
        || json!({"file": args.file.to_string_lossy(), "public_key": public}),
        || {
            Table::of_one(&[
                ("file", args.file.display().to_string()),
                ("public_key", public.trim().to_owned()),
            ])
        },
    )
}

/// The private and the public half, PEM.
fn sm2_key() -> Result<(String, String), String> {
    let pem = generate_pem(Algorithm::Sm2256).map_err(|error| error.to_string())?;
    let key = PrivateKey::from_pem(&pem).map_err(|error| error.to_string())?;
    let public = TrustKey::of(&key).map_err(|error| error.to_string())?;
    let public = public.key().to_pem().map_err(|error| error.to_string())?;
    Ok((pem, public.replace('\r', "")))
}

/// The private and the public half, OpenSSH's format.
fn login_key() -> Result<(String, String), String> {
    let mut random = keys::key::safe_rng();
    let key = keys::PrivateKey::random(&mut random, LoginAlgorithm::Ed25519)
        .map_err(|error| error.to_string())?;
    let private = key
        .to_openssh(LineEnding::LF)
        .map_err(|error| error.to_string())?;
    let public = key
        .public_key()
        .to_openssh()
        .map_err(|error| error.to_string())?;
    Ok((private.to_string(), format!("{public}\n")))
}
