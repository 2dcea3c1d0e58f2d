//! The certificate of the encrypted transports: read from files, read again when they change or
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
pub(super) enum CertificateError {
    #[error("dns.tls_certificate: {path}: {error}")]
    Certificate { path: PathBuf, error: Unreadable },
    #[error("dns.tls_key: {path}: {error}")]
    Key { path: PathBuf, error: Unreadable },
    #[error("dns.tls_certificate and dns.tls_key: {0}")]
    Pair(rustls::Error),
}

/// What a file should hold and does not.
#[derive(Debug, Error)]
pub(super) enum Unreadable {
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
pub(super) struct Certificate {
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
    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read, holds something else, or the key is another certificate's.
    pub(super) fn open(
        files: CertificateFiles,
        provider: Arc<CryptoProvider>,
    ) -> Result<Self, CertificateError> {
        let seen = stamps(&files);
        let current = load(&files, &provider)?;
        let counter = |outcome| metrics::counter!("idnode_dns_certificate_reloads_total", "outcome" => outcome);
        Ok(Self {
            files,
            provider,
            current: ArcSwap::from_pointee(current),
            seen: Mutex::new(seen),
            reloads: counter("loaded"),
            failures: counter("failed"),
        })
    }

    /// Follows the files until `shutdown`.
    pub(super) async fn follow(self: Arc<Self>, shutdown: CancellationToken) {
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
        match load(&self.files, &self.provider) {
            Ok(new) => {
                self.current.store(Arc::new(new));
                self.reloads.increment(1);
                tracing::info!(file = %self.files.certificate.display(), "the DNS certificate was read again");
            }
            Err(error) => {
                self.failures.increment(1);
                tracing::error!(%error, "the new DNS certificate cannot be used, the one before stays");
            }
        }
    }
}

impl ResolvesServerCert for Certificate {
    fn resolve(&self, _: ClientHello<'_>) -> Option<Arc<CertifiedKey>> {
        Some(self.current.load_full())
    }
}

/// What a running DNS front reads again when it is told to: its certificate.
#[derive(Debug, Clone)]
pub struct Reload(Arc<Certificate>);

impl Reload {
    pub(super) fn of(certificate: Arc<Certificate>) -> Self {
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
    files: &CertificateFiles,
    provider: &CryptoProvider,
) -> Result<CertifiedKey, CertificateError> {
    let bad_certificate = |error| CertificateError::Certificate {
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
        path: files.key.clone(),
        error: Unreadable::of(error, "private key"),
    })?;
    warn_of_readers(&files.key);
    CertifiedKey::from_der(chain, key, provider).map_err(CertificateError::Pair)
}

fn warn_of_readers(key: &Path) {
    let mode = fs::metadata(key).map_or(0, |metadata| metadata.mode());
    if mode & WORLD_READABLE != 0 {
        tracing::warn!(
            file = %key.display(),
            mode = %format_args!("{:o}", mode & 0o777),
            "everybody on this machine can read the private key of dns.tls_key"
        );
    }
}
