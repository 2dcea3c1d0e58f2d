//! The node's own key. It signs answers of the Handle protocol where no signer is configured, and
//! nothing else: what is registered is signed in the name of a handle, which this key has none of.

use super::{KEY_FILE_BYTES, TrustError, read, unusable};
use idnode_proto::trust::key::{Algorithm, TrustKeyError, generate_pem};
use idnode_proto::trust::{PrivateKey, TrustKey};
use idnode_registry::private;
use std::path::Path;

/// What its file is called in the data directory. Beside the registry, not in it: backups, deposits
/// and whoever follows the log must not carry it.
pub const OWN_KEY_FILE: &str = "site.key";

/// The key of a data directory, which is made where there is none: RSA of 2,048 bits, which clients
/// of every age read. Making takes some tenths of a second of a core. Blocks.
///
/// # Errors
/// Its file cannot be read or written, others may read it, or it holds no key that signs. A key is
/// never replaced: clients know it.
pub fn own_key(data_dir: &Path) -> Result<PrivateKey, TrustError> {
    let path = data_dir.join(OWN_KEY_FILE);
    if !path.exists() {
        let pem = generate_pem(Algorithm::Rs256).map_err(|error| unusable(&path, error))?;
        private::replace(&path, pem.as_bytes()).map_err(|error| TrustError::File {
            path: path.clone(),
            error,
        })?;
        tracing::info!(file = %path.display(), "the node's own key was made");
    }
    let key = PrivateKey::from_pem(&read(&path, KEY_FILE_BYTES, true)?)
        .map_err(TrustKeyError::from)
        // What nobody could verify must not sign.
        .and_then(|key| TrustKey::of(&key).map(|_| key));
    key.map_err(|error| unusable(&path, error))
}
