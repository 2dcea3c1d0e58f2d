//! Escrow as the configuration has it.

use super::UpwardError;
use crate::config::Config;
use crate::front::Core;
use crate::trust::read_text;
use idnode_proto::escrow::compress::Compression;
use idnode_proto::escrow::package::PackOptions;
use idnode_proto::escrow::seal::key_name;
use idnode_proto::trust::{PrivateKey, TrustKey};
use idnode_registry::upward::escrow::sftp::{HostKey, LoginKey, SftpOptions};
use idnode_registry::upward::escrow::{Escrow, EscrowOptions, Plan};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// The directory of deposits that are not yet sent, in the data directory.
const SPOOL: &str = "escrow";

/// The node's escrow, if it is on.
///
/// # Errors
/// A file of a key can't be used.
pub(super) fn of(config: &Config, core: &Arc<Core>) -> Result<Option<Escrow>, UpwardError> {
    let escrow = &config.upward_escrow;
    if escrow.server.is_empty() {
        return Ok(None);
    }
    let receiver = file(&escrow.receiver_key_file, false, |text| {
        let key = TrustKey::from_pem(text).map_err(|error| error.to_string())?;
        key_name(&key).map_err(|error| error.to_string())?;
        Ok(key)
    })?;
    let signer = signing_key(&escrow.signing_key_file)?;
    let key = file(&escrow.key_file, true, LoginKey::parse)?;
    let host_key = host_key(&escrow.host_key).map_err(|reason| UpwardError {
        path: "upward.escrow.host_key".into(),
        reason,
    })?;
    let user = match escrow.user.is_empty() {
        true => &config.upward.user,
        false => &escrow.user,
    };
    let spool = match escrow.spool_dir.as_os_str().is_empty() {
        true => config.node.data_dir.join(SPOOL),
        false => escrow.spool_dir.clone(),
    };
    let timeout = Duration::from_millis(escrow.timeout_ms.into());
    let options = EscrowOptions {
        plan: Plan {
            begins_at_min: minutes(&escrow.begins_at).unwrap_or_default(),
            full_every: escrow.full_every,
        },
        node: config.upward.prefixes.first().cloned().unwrap_or_default(),
        pack: PackOptions {
            compression: compression(&escrow.compression).unwrap_or(Compression::Zip),
            part_bytes: escrow.part_bytes,
            receiver,
        },
        signer,
        spool,
        sftp: SftpOptions {
            server: escrow.server.clone(),
            user: user.clone(),
            key,
            host_key,
            directory: escrow.directory.clone(),
            timeout,
        },
        check: Duration::from_millis(escrow.check_ms.into()),
    };
    let (registry, uplink) = (core.registry.clone(), core.uplink.clone());
    Ok(Some(Escrow::new(registry, uplink, options)))
}

/// An SM2 key of a file, for its owner alone.
pub(crate) fn signing_key(path: &Path) -> Result<PrivateKey, UpwardError> {
    file(path, true, |text| {
        match PrivateKey::from_pem(text).map_err(|error| error.to_string())? {
            key @ PrivateKey::Sm2(_) => Ok(key),
            _ => Err("it is no SM2 key".to_owned()),
        }
    })
}

/// A public SM2 key of a file.
pub(crate) fn public_key(path: &Path) -> Result<TrustKey, UpwardError> {
    file(path, false, |text| {
        TrustKey::from_pem(text).map_err(|error| error.to_string())
    })
}

/// A server's key as known_hosts has it.
pub(crate) fn host_key(text: &str) -> Result<HostKey, String> {
    HostKey::parse(text)
}

/// Minutes from midnight of a time of day such as 08:00.
pub(crate) fn minutes(text: &str) -> Option<u32> {
    let (hours, minutes) = text.split_once(':')?;
    let number = |text: &str, below: u32| -> Option<u32> {
        let digits = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_digit());
        text.parse().ok().filter(|number| digits && *number < below)
    };
    Some(number(hours, 24)? * 60 + number(minutes, 60)?)
}

/// The compression of a name.
pub(crate) fn compression(name: &str) -> Option<Compression> {
    match name {
        "zip" => Some(Compression::Zip),
        "zstd" => Some(Compression::Zstd),
        _ => None,
    }
}

fn file<T>(
    path: &Path,
    secret: bool,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<T, UpwardError> {
    let failed = |reason: String| UpwardError {
        path: path.to_owned(),
        reason,
    };
    let text = read_text(path, secret).map_err(|error| failed(error.to_string()))?;
    parse(&text).map_err(failed)
}
