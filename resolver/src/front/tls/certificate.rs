//! The certificate of a front's encrypted transports: read from files, read again when they change or
//! the node is told to. One that cannot be used leaves the one before in use.

use arc_swap::ArcSwap;
use metrics::Counter;
use parking_lot::Mutex;
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::{ClientHello, ResolvesServerCert};
use rustls::sign::CertifiedKey;
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use thiserror::Error;
use tokio_util::sync::CancellationToken;

/// How often the files are looked at.
const LOOK_PERIOD: Duration = Duration::from_secs(2);
/// Permission of everybody to read a file.
const WORLD_READABLE: u32 = 0o004;

/// Where a certificate and its key are, PEM both.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct CertificateFiles {
    /// The certificate chain, the node's own first (RFC 8446 §4.4.2).
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Why a certificate cannot be used.
#[derive(Debug, Error)]
pub(in crate::front) enum CertificateError {
    #[error("{front}.tls_certificate: {path}: {error}")]
    Certificate {
        front: &'static str,
        path: PathBuf,
        error: Unreadable,
    },
    #[error("{front}.tls_key: {path}: {error}")]
    Key {
        front: &'static str,
        path: PathBuf,
        error: Unreadable,
    },
    #[error("{front}.tls_certificate and {front}.tls_key: {error}")]
    Pair {
        front: &'static str,
        error: rustls::Error,
    },
}

/// What a file should hold and does not.
#[derive(Debug, Error)]
pub(in crate::front) enum Unreadable {
    #[error("{0}")]
    Io(std::io::Error),
    #[error("holds no {0} in PEM")]
    Missing(&'static str),
    #[error("is not good PEM: {0}")]
    Pem(pem::Error),
}

impl Unreadable {
    fn of(error: pem::Error, what: &'static str) -> Self {
        match error {
            pem::Error::Io(error) => Self::Io(error),
            pem::Error::NoItemsFound => Self::Missing(what),
            other => Self::Pem(other),
        }
    }
}

/// The certificate in use.
pub(in crate::front) struct Certificate {
    /// Whose it is, as the configuration calls it.
    front: &'static str,
    files: CertificateFiles,
    provider: Arc<CryptoProvider>,
    current: ArcSwap<CertifiedKey>,
    seen: Mutex<[Stamp; 2]>,
    reloads: Counter,
    failures: Counter,
}

impl std::fmt::Debug for Certificate {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        // The key is nobody's to print.
        f.debug_struct("Certificate")
            .field("files", &self.files)
            .finish_non_exhaustive()
    }
}

/// What changes when a file does: time of change in nanoseconds, length, inode.
type Stamp = Option<(i128, u64, u64)>;

impl Certificate {
    /// Reads the files of a front, by its name in the configuration.
    ///
    /// # Errors
    /// A file cannot be read, holds something else, or the key is another certificate's.
    pub(in crate::front) fn open(
        front: &'static str,
        files: CertificateFiles,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, CertificateError> {
        let seen = stamps(&files);
        let current = load(front, &files, &provider)?;
        let counter = |outcome| {
            let name = format!("idnode_{front}_certificate_reloads_total");
            metrics::counter!(name, "outcome" => outcome)
        };
        Ok(Self {
            front,
            files,
            provider,
            current: ArcSwap::from_pointee(current),
            seen: Mutex::new(seen),
            reloads: counter("loaded"),
            failures: counter("failed"),
        })
    }

    /// Follows the files until `shutdown`.
    pub(in crate::front) async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
        let mut look = tokio::time::interval(LOOK_PERIOD);
        loop {
            tokio::select! {
                () = shutdown.cancelled() => return,
                _ = look.tick() => self.clone().look(false).await,
            }
        }
    }

    async fn look(self: Arc<Self>, is_told: bool) {
        // Only a panic in there could be reported here, and that is logged as such.
        let _ = tokio::task::spawn_blocking(move || self.refresh(is_told)).await;
    }

    /// Reads the files again if they have changed, or anyhow if told to.
    fn refresh(&self, is_told: bool) {
        // Taken before the files are read: what changes meanwhile is seen the next time.
        let stamps = stamps(&self.files);
        if std::mem::replace(&mut *self.seen.lock(), stamps) == stamps && !is_told {
            return;
        }
        match load(self.front, &self.files, &self.provider) {
            Ok(new) => {
                self.current.store(Arc::new(new));
                self.reloads.increment(1);
                let file = self.files.certificate.display();
                tracing::info!(front = self.front, %file, "the certificate was read again");
            }
            Err(error) => {
                self.failures.increment(1);
                tracing::error!(%error, "the new certificate cannot be used, the one before stays");
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// What a running front reads again when it is told to: its certificate.
#[derive(Debug, Clone)]
pub struct Reload(Arc<Certificate>);

impl Reload {
    pub(in crate::front) fn of(certificate: Arc<Certificate>) -> Self {
        Self(certificate)
    }

    /// Reads it now, whether it has changed or not; the log says what came of it.
    pub async fn now(&self) {
        self.0.clone().look(true).await;
    }
}

fn stamps(files: &CertificateFiles) -> [Stamp; 2] {
    let stamp = |path: &Path| {
        let metadata = fs::metadata(path).ok()?;
        let changed_ns =
            i128::from(metadata.mtime()) * 1_000_000_000 + i128::from(metadata.mtime_nsec());
        Some((changed_ns, metadata.len(), metadata.ino()))
    };
    [stamp(&files.certificate), stamp(&files.key)]
}

fn load(
    front: &'static str,
    files: &CertificateFiles,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, CertificateError> {
    let bad_certificate = |error| CertificateError::Certificate {
        front,
        path: files.certificate.clone(),
        error,
    };
    let chain: Vec<CertificateDer<'static>> = CertificateDer::pem_file_iter(&files.certificate)
        .and_then(Iterator::collect)
        .map_err(|error| bad_certificate(Unreadable::of(error, "certificate")))?;
    if chain.is_empty() {
        return Err(bad_certificate(Unreadable::Missing("certificate")));
    }
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| CertificateError::Key {
        front,
        path: files.key.clone(),
        error: Unreadable::of(error, "private key"),
    })?;
    warn_of_readers(front, &files.key);
    CertifiedKey::from_der(chain, key, provider)
        .map_err(|error| CertificateError::Pair { front, error })
}

fn warn_of_readers(front: &str, key: &Path) {
    let mode = fs::metadata(key).map_or(0, |metadata| metadata.mode());
    if mode & WORLD_READABLE != 0 {
        tracing::warn!(
            file = %key.display(),
            mode = %format_args!("{:o}", mode & 0o777),
            "everybody on this machine can read the private key of {front}.tls_key"
        );
    }
}
