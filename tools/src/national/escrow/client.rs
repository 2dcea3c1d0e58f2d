//! Nodes whose deposits are taken, and the receiver's own key.

use std::collections::BTreeMap;
use std::path::Path;

use idnode_proto::escrow::seal::key_name;
use idnode_proto::trust::{PrivateKey, TrustKey};
use russh::keys::PublicKey;

use crate::national::Failure;

/// A node.
#[derive(Debug)]
pub(super) struct Client {
    /// What it proves when it logs in.
    pub login: PublicKey,
    /// What its manifests are signed with.
    pub signer: TrustKey,
}

/// The receiver's key, which deposits are encrypted to.
pub(super) fn receiver(path: &Path) -> Result<PrivateKey, Failure> {
    let key = PrivateKey::from_pem(&text(path)?).map_err(|error| named(path, error))?;
    match key {
        PrivateKey::Sm2(_) => Ok(key),
        _ => Err(named(path, "it is no SM2 key")),
    }
}

/// A public key that deposits are signed with.
pub(super) fn signer(path: &Path) -> Result<TrustKey, Failure> {
    let key = TrustKey::from_pem(&text(path)?).map_err(|error| named(path, error))?;
    key_name(&key).map_err(|error| named(path, error))?;
    Ok(key)
}

/// Nodes, each as name=login key,signing key: files of OpenSSH's format and of PEM.
pub(super) fn all(texts: &[String]) -> Result<BTreeMap<String, Client>, Failure> {
    let mut clients = BTreeMap::new();
    for entry in texts {
        let parts = entry
            .split_once('=')
            .and_then(|(name, files)| Some((name, files.split_once(',')?)));
        let Some((name, (login, signing))) = parts else {
            return Err(format!("{entry:?} is not name=FILE,FILE").into());
        };
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_".contains(&byte);
        if name.is_empty() || !name.bytes().all(allowed) {
            return Err(format!("{name:?} is no name of letters, digits, - and _").into());
        }
        let login = Path::new(login);
        let client = Client {
            login: PublicKey::from_openssh(text(login)?.trim())
                .map_err(|error| named(login, error))?,
            signer: signer(Path::new(signing))?,
        };
        if clients.insert(name.to_owned(), client).is_some() {
            return Err(format!("the node {name} is there twice").into());
        }
    }
    Ok(clients)
}

fn text(path: &Path) -> Result<String, Failure> {
    std::fs::read_to_string(path).map_err(|error| named(path, error))
}

fn named(path: &Path, reason: impl std::fmt::Display) -> Failure {
    format!("{}: {reason}", path.display()).into()
}
