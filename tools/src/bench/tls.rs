//! TLS for the encrypted transports.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{ClientConfig, DigitallySignedStruct, SignatureScheme};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::error::Failure;
use crate::tls::{read_roots, server_name};

/// How servers are authenticated.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Certificates that the server's must lead to, PEM (TLS, HTTPS); without it any is accepted
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// Name the server's certificate must have (TLS, HTTPS) [default: its address]
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
}

/// Makes TLS connections to one server.
#[derive(Clone)]
pub(super) struct Tls {
    connector: TlsConnector,
    name: ServerName<'static>,
}

impl Tls {
    /// For connections to `server` that carry the protocol `alpn` (RFC 7301), if it has a name.
    pub(super) fn new(
        args: &Args,
        server: SocketAddr,
        alpn: Option<&[u8]>,
    ) -> Result<Self, Failure> {
        let provider = Arc::new(ring::default_provider());
        let broken = |error: rustls::Error| Failure::Usage(error.to_string());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(broken)?;
        let builder = match &args.ca {
            Some(path) => {
                let broken = |reason| Failure::File {
                    path: path.clone(),
                    reason,
                };
                builder.with_root_certificates(read_roots(path).map_err(broken)?)
            }
            None => builder
                .dangerous()
                .with_custom_certificate_verifier(Arc::new(AnyCertificate(provider))),
        };
        let mut config = builder.with_no_client_auth();
        config.alpn_protocols = alpn.into_iter().map(<[u8]>::to_vec).collect();
        let name = server_name(args.server_name.as_deref(), server).map_err(Failure::Usage)?;
        Ok(Self {
            connector: TlsConnector::from(Arc::new(config)),
            name,
        })
    }

    /// The handshake on a connection.
    pub(super) async fn connect(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
        let handshake = self.connector.connect(self.name.clone(), stream);
        handshake.await.map_err(Failure::io("the TLS handshake"))
    }
}

impl std::fmt::Debug for Tls {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tls")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

/// Accepts whatever certificate the server has: load is measured, not identity. The handshake's
/// signatures are checked all the same, as any client does.
#[derive(Debug)]
struct AnyCertificate(Arc<CryptoProvider>);

impl ServerCertVerifier for AnyCertificate {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(
            message,
            cert,
            dss,
            &self.0.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
