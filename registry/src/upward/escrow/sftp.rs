//! The way to the receiver: SFTP over SSH, with a key of ours and the server's pinned.
//!
//! A part is uploaded under another name and renamed when it is whole; the manifest comes last. So
//! what bears its name is whole, and an upload that was cut off goes on where it was: behind the
//! parts that are there, and in the one that was not finished, a bit before its end.

use bytes::Bytes;
use idnode_proto::escrow::manifest::{MANIFEST_NAME, MAX_RECEIPT_BYTES, Manifest, RECEIPT_NAME};
use idnode_proto::escrow::part::part_name;
use russh::Disconnect;
use russh::client::{self, Handle};
use russh::keys::{HashAlg, PrivateKey, PrivateKeyWithHashAlg, PublicKey, PublicKeyOrCertificate};
use russh_sftp::client::SftpSession;
use russh_sftp::client::error::Error as SftpError;
use russh_sftp::protocol::{OpenFlags, StatusCode};
use serde::Deserialize;
use std::io::SeekFrom;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};

/// Behind the name of what is not whole.
const PARTIAL: &str = ".partial";
/// What of an unfinished part is uploaded again: more than is ever under way at once.
const OVERLAP_BYTES: u64 = 2 << 20;
const BUFFER_BYTES: usize = 256 << 10;

/// A key that the node logs in with.
#[derive(Clone)]
pub struct LoginKey(Arc<PrivateKey>);

impl std::fmt::Debug for LoginKey {
    /// Without the key.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("LoginKey")
    }
}

impl LoginKey {
    /// Reads OpenSSH's format.
    ///
    /// # Errors
    /// It is no such key, or needs a passphrase.
    pub fn parse(text: &str) -> Result<Self, String> {
        let key = PrivateKey::from_openssh(text).map_err(|error| error.to_string())?;
        match key.is_encrypted() {
            true => Err("the key needs a passphrase".to_owned()),
            false => Ok(Self(Arc::new(key))),
        }
    }
}

/// A server's host key.
#[derive(Debug, Clone)]
pub struct HostKey(PublicKey);

impl HostKey {
    /// Reads a key type and its base64, as known_hosts has them.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, String> {
        let key = PublicKey::from_openssh(text).map_err(|error| error.to_string());
        key.map(Self)
    }
}

/// Where deposits are sent.
#[derive(Debug, Clone)]
pub struct SftpOptions {
    /// Host and port.
    pub server: String,
    /// The user that the node logs in as.
    pub user: String,
    /// The key that it proves.
    pub key: LoginKey,
    /// The server's key: no other is spoken with.
    pub host_key: HostKey,
    /// The directory of deposits; empty: where the server puts the user.
    pub directory: String,
    /// How long one answer may take.
    pub timeout: Duration,
}

/// Why nothing was sent, or not all.
#[derive(Debug, Error)]
pub enum SendError {
    /// No connection.
    #[error("{server} cannot be reached: {reason}")]
    Connect {
        /// Where.
        server: String,
        /// Why.
        reason: String,
    },
    /// Another server than the one that is meant.
    #[error("{server} has the host key {found}; {pinned} is configured")]
    HostKey {
        /// Where.
        server: String,
        /// The fingerprint that it showed.
        found: String,
        /// The one that is configured.
        pinned: String,
    },
    /// The server does not take the key.
    #[error("{server} does not let user {user} in with the node's key")]
    Refused {
        /// Where.
        server: String,
        /// Who.
        user: String,
    },
    /// A file on the server.
    #[error("{path} on the server: {reason}")]
    Remote {
        /// Which.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// A file here.
    #[error("{}: {reason}", path.display())]
    Local {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
}

/// What a receiver has found.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Receipt {
    /// Whether it holds the deposit.
    pub accepted: bool,
    /// Why not.
    #[serde(default)]
    pub reason: String,
}

/// Compares the server's key with the one that is meant.
struct Pinned {
    host_key: PublicKey,
    found: Arc<parking_lot::Mutex<Option<String>>>,
}

impl client::Handler for Pinned {
    type Error = russh::Error;

    async fn check_server_key(
        &mut self,
        key: &PublicKeyOrCertificate,
    ) -> Result<bool, Self::Error> {
        let PublicKeyOrCertificate::PublicKey { key, .. } = key else {
            *self.found.lock() = Some("of a certificate".to_owned());
            return Ok(false);
        };
        let same = key.key_data() == self.host_key.key_data();
        if !same {
            *self.found.lock() = Some(fingerprint(key));
        }
        Ok(same)
    }
}

fn fingerprint(key: &PublicKey) -> String {
    key.fingerprint(HashAlg::Sha256).to_string()
}

/// A connection.
pub struct Link {
    handle: Handle<Pinned>,
    sftp: SftpSession,
    directory: String,
}

impl std::fmt::Debug for Link {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Link").finish_non_exhaustive()
    }
}

impl Link {
    /// Connects and logs in.
    ///
    /// # Errors
    /// [`SendError`]
    pub async fn open(options: &SftpOptions) -> Result<Self, SendError> {
        let server = options.server.clone();
        let failed = |reason: String| SendError::Connect {
            server: server.clone(),
            reason,
        };
        let opened = tokio::time::timeout(options.timeout * 2, Self::log_in(options));
        match opened.await {
            Err(_) => Err(failed("it does not answer in time".to_owned())),
            Ok(opened) => opened,
        }
    }

    async fn log_in(options: &SftpOptions) -> Result<Self, SendError> {
        let server = options.server.clone();
        let failed = |reason: String| SendError::Connect {
            server: server.clone(),
            reason,
        };
        let config = client::Config {
            inactivity_timeout: Some(options.timeout * 3),
            nodelay: true,
            ..client::Config::default()
        };
        let found = Arc::default();
        let pinned = Pinned {
            host_key: options.host_key.0.clone(),
            found: Arc::clone(&found),
        };
        let connected = client::connect(Arc::new(config), options.server.as_str(), pinned).await;
        let mut handle = connected.map_err(|error| match found.lock().take() {
            Some(found) => SendError::HostKey {
                server: server.clone(),
                found,
                pinned: fingerprint(&options.host_key.0),
            },
            None => failed(error.to_string()),
        })?;
        let key = PrivateKeyWithHashAlg::new(options.key.0.clone(), Some(HashAlg::Sha256));
        let proved = handle
            .authenticate_publickey(options.user.as_str(), key)
            .await;
        if !proved.map_err(|error| failed(error.to_string()))?.success() {
            let user = options.user.clone();
            return Err(SendError::Refused { server, user });
        }
        let channel = handle.channel_open_session().await;
        let channel = channel.map_err(|error| failed(error.to_string()))?;
        let asked = channel.request_subsystem(true, "sftp").await;
        asked.map_err(|error| failed(error.to_string()))?;
        let config = russh_sftp::client::Config {
            request_timeout_secs: options.timeout.as_secs().max(1),
            ..russh_sftp::client::Config::default()
        };
        let sftp = SftpSession::new_with_config(channel.into_stream(), config).await;
        Ok(Self {
            handle,
            sftp: sftp.map_err(|error| failed(error.to_string()))?,
            directory: options.directory.trim_end_matches('/').to_owned(),
        })
    }

    /// Ends the connection.
    pub async fn close(self) {
        // Whoever goes need not hear whether it was heard.
        let _ = self.sftp.close().await;
        let _ = self
            .handle
            .disconnect(Disconnect::ByApplication, "", "en")
            .await;
    }

    /// Uploads a deposit that lies in a directory; what of it has arrived before stays.
    ///
    /// # Errors
    /// [`SendError`]
    pub async fn upload(&self, local: &Path, prefix: &str, id: &str) -> Result<(), SendError> {
        let manifest_path = local.join(MANIFEST_NAME);
        let at_manifest = |reason: String| SendError::Local {
            path: manifest_path.clone(),
            reason,
        };
        let file = tokio::fs::read(&manifest_path).await;
        let file = Bytes::from(file.map_err(|error| at_manifest(error.to_string()))?);
        let manifest =
            Manifest::unverified(&file).map_err(|error| at_manifest(error.to_string()))?;
        let remote = self.make_directories(prefix, id).await?;
        for part in &manifest.parts {
            let name = part_name(part.number);
            let to = format!("{remote}/{name}");
            self.put(&local.join(name), &to, part.bytes).await?;
        }
        let to = format!("{remote}/{MANIFEST_NAME}");
        self.put(&manifest_path, &to, file.len() as u64).await
    }

    /// What the receiver has said of a deposit; `None`: nothing yet.
    ///
    /// # Errors
    /// [`SendError`]
    pub async fn receipt(&self, prefix: &str, id: &str) -> Result<Option<Receipt>, SendError> {
        let path = format!("{}/{RECEIPT_NAME}", self.place(&[prefix, id]));
        if self.size(&path).await?.is_none() {
            return Ok(None);
        }
        let opened = self.sftp.open_with_flags(path.as_str(), OpenFlags::READ);
        let file = opened.await.map_err(|error| remote(&path, error))?;
        // Whatever the server says its length is.
        let mut text = Vec::new();
        let mut bounded = file.take(MAX_RECEIPT_BYTES + 1);
        let read = bounded.read_to_end(&mut text).await;
        read.map_err(|error| remote(&path, error))?;
        let closed = bounded.into_inner().close().await;
        closed.map_err(|error| remote(&path, error))?;
        if text.len() as u64 > MAX_RECEIPT_BYTES {
            return Err(remote(&path, "is too long for a receipt"));
        }
        let receipt = serde_json::from_slice(&text);
        receipt.map(Some).map_err(|error| remote(&path, error))
    }

    fn place(&self, names: &[&str]) -> String {
        let names = names.join("/");
        match self.directory.is_empty() {
            true => names,
            false => format!("{}/{names}", self.directory),
        }
    }

    /// The directory of a deposit.
    async fn make_directories(&self, prefix: &str, id: &str) -> Result<String, SendError> {
        let remote_dir = self.place(&[prefix, id]);
        if self.size(&remote_dir).await?.is_some() {
            return Ok(remote_dir);
        }
        let mut at = String::new();
        for name in remote_dir.split('/') {
            if !at.is_empty() || remote_dir.starts_with('/') {
                at.push('/');
            }
            at.push_str(name);
            if at.trim_matches('/').is_empty() || self.size(&at).await?.is_some() {
                continue;
            }
            let made = self.sftp.create_dir(at.as_str()).await;
            made.map_err(|error| remote(&at, error))?;
        }
        Ok(remote_dir)
    }

    /// Uploads a file of a known length under another name, and gives it its name.
    async fn put(&self, local: &Path, to: &str, length: u64) -> Result<(), SendError> {
        match self.size(to).await? {
            Some(there) if there == length => return Ok(()),
            Some(_) => self.remove(to).await?,
            None => {}
        }
        let partial = [to, PARTIAL].concat();
        let from = match self.size(&partial).await? {
            Some(there) if there > length => {
                self.remove(&partial).await?;
                0
            }
            Some(there) => there.saturating_sub(OVERLAP_BYTES),
            None => 0,
        };
        self.write_from(local, &partial, from).await?;
        let there = self.size(&partial).await?;
        if there != Some(length) {
            let reason = format!("has {there:?} bytes instead of {length}");
            return Err(remote(&partial, reason));
        }
        let renamed = self.sftp.rename(partial.as_str(), to).await;
        renamed.map_err(|error| remote(to, error))
    }

    /// Writes a file from an offset on.
    async fn write_from(&self, local: &Path, to: &str, from: u64) -> Result<(), SendError> {
        let here = |error: std::io::Error| SendError::Local {
            path: local.to_owned(),
            reason: error.to_string(),
        };
        let there = |error: std::io::Error| remote(to, error);
        let mut source = tokio::fs::File::open(local).await.map_err(here)?;
        source.seek(SeekFrom::Start(from)).await.map_err(here)?;
        let flags = OpenFlags::WRITE | OpenFlags::CREATE;
        let opened = self.sftp.open_with_flags(to, flags).await;
        let mut target = opened.map_err(|error| remote(to, error))?;
        target.seek(SeekFrom::Start(from)).await.map_err(there)?;
        let mut buffer = vec![0; BUFFER_BYTES];
        loop {
            let length = source.read(&mut buffer).await.map_err(here)?;
            if length == 0 {
                break;
            }
            let bytes = buffer.get(..length).unwrap_or_default();
            target.write_all(bytes).await.map_err(there)?;
        }
        target.flush().await.map_err(there)?;
        // Where the server can: on its disk before it bears its name.
        target.sync_all().await.map_err(|error| remote(to, error))?;
        target.close().await.map_err(there)
    }

    async fn remove(&self, path: &str) -> Result<(), SendError> {
        let removed = self.sftp.remove_file(path).await;
        removed.map_err(|error| remote(path, error))
    }

    /// The length of a file; `None`: it is not there.
    async fn size(&self, path: &str) -> Result<Option<u64>, SendError> {
        match self.sftp.metadata(path).await {
            Ok(metadata) => Ok(Some(metadata.size.unwrap_or_default())),
            Err(SftpError::Status(status)) if status.status_code == StatusCode::NoSuchFile => {
                Ok(None)
            }
            Err(error) => Err(remote(path, error)),
        }
    }
}

fn remote(path: &str, reason: impl ToString) -> SendError {
    SendError::Remote {
        path: path.to_owned(),
        reason: reason.to_string(),
    }
}
