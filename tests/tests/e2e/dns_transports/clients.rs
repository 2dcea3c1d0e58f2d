//! Clients of the transports. They trust the test's authority and nothing else.

use std::fs;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use idnode_tests::run::output;
use quinn::crypto::rustls::QuicClientConfig;
use quinn::{Connection, Endpoint};
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};

use super::world::{HOST, World, framed};

/// How long any answer may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// A byte stream that carries messages.
pub struct Wire<S> {
    pub stream: S,
}

pub type Tcp = Wire<TcpStream>;
pub type Tls = Wire<StreamOwned<ClientConnection, TcpStream>>;

fn connected(addr: SocketAddr) -> TcpStream {
    let stream = TcpStream::connect(addr).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.set_write_timeout(Some(PATIENCE)).unwrap();
    stream.set_nodelay(true).unwrap();
    stream
}

pub fn tcp(addr: SocketAddr) -> Tcp {
    let stream = connected(addr);
    Wire { stream }
}

/// DNS over TLS as most clients speak it.
pub fn tls(world: &World) -> Tls {
    let wire = try_tls(
        world.node.at.dot.unwrap(),
        &world.files.authority,
        &["dot"],
        false,
    );
    wire.unwrap()
}

/// A TLS connection after its handshake, with these protocols offered.
pub fn try_tls(
    addr: SocketAddr,
    authority: &Path,
    protocols: &[&str],
    is_old: bool,
) -> io::Result<Tls> {
    let config = Arc::new(client_config(authority, protocols, is_old));
    let name = ServerName::try_from(HOST).unwrap();
    let connection = ClientConnection::new(config, name).map_err(io::Error::other)?;
    let mut stream = StreamOwned::new(connection, connected(addr));
    stream.conn.complete_io(&mut stream.sock)?;
    Ok(Wire { stream })
}

fn client_config(authority: &Path, protocols: &[&str], is_old: bool) -> ClientConfig {
    let mut roots = RootCertStore::empty();
    let pem = fs::read(authority).unwrap();
    roots
        .add(CertificateDer::from_pem_slice(&pem).unwrap())
        .unwrap();
    let versions = if is_old { [&TLS12] } else { [&TLS13] };
    let mut config = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_protocol_versions(&versions)
        .unwrap()
        .with_root_certificates(roots)
        .with_no_client_auth();
    config.alpn_protocols = protocols
        .iter()
        .map(|name| name.as_bytes().to_vec())
        .collect();
    config
}

impl<S: Read + Write> Wire<S> {
    pub fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).unwrap();
        self.stream.flush().unwrap();
    }

    /// The next message; `None`: the node has ended the connection.
    pub fn receive(&mut self) -> Option<Vec<u8>> {
        let mut length = [0; 2];
        match self.stream.read_exact(&mut length) {
            Ok(()) => {}
            Err(error) if is_end(&error) => return None,
            Err(error) => panic!("{error}"),
        }
        let mut message = vec![0; usize::from(u16::from_be_bytes(length))];
        self.stream.read_exact(&mut message).unwrap();
        Some(message)
    }

    pub fn ask(&mut self, query: &[u8]) -> Option<Vec<u8>> {
        self.send(&framed(query));
        self.receive()
    }
}

fn is_end(error: &io::Error) -> bool {
    use io::ErrorKind::{BrokenPipe, ConnectionReset, UnexpectedEof};
    matches!(error.kind(), UnexpectedEof | ConnectionReset | BrokenPipe)
}

/// A response of HTTP.
pub struct Response {
    pub status: u16,
    /// The head in lower case.
    pub head: String,
    pub body: Vec<u8>,
}

impl Response {
    pub fn field(&self, name: &str) -> &str {
        let lines = self.head.lines().map(|line| line.split_once(": "));
        let mut fields = lines.flatten().filter(|(is, _)| *is == name);
        fields.next().map_or("", |(_, value)| value.trim())
    }
}

/// What `curl` gets below the front for DNS over HTTPS.
pub fn https(world: &World, target: &str, arguments: &[&str]) -> Response {
    let at = world.node.at.doh.unwrap();
    let mut command = Command::new("curl");
    command
        .args(["-s", "-S", "-i", "--max-time", "20", "--cacert"])
        .arg(&world.files.authority)
        .args(["--resolve", &format!("{HOST}:{}:127.0.0.1", at.port())])
        .args(arguments)
        .arg(format!("https://{HOST}:{}{target}", at.port()));
    let done = output(&mut command);
    let errors = String::from_utf8_lossy(&done.stderr).into_owned();
    assert!(done.status.success(), "{command:?}: {errors}");
    let end = done.stdout.windows(4).position(|four| four == b"\r\n\r\n");
    let (head, body) = done.stdout.split_at(end.unwrap() + 4);
    let head = String::from_utf8_lossy(head).to_ascii_lowercase();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    let body = body.to_vec();
    Response { status, head, body }
}

/// A query by POST, its body from a file.
pub fn post(world: &World, query: &[u8], arguments: &[&str]) -> Response {
    let file = world.dir.beside("query.bin");
    fs::write(&file, query).unwrap();
    let data = format!("@{}", file.display());
    let mut all = vec![
        "-H",
        "content-type: application/dns-message",
        "--data-binary",
        &data,
    ];
    all.extend(arguments);
    https(world, "/dns-query", &all)
}

/// base64url without padding (RFC 4648 §5).
pub fn base64url(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for three in bytes.chunks(3) {
        let mut group = [0; 4];
        group[1..=three.len()].copy_from_slice(three);
        let bits = u32::from_be_bytes(group);
        for place in 0..=three.len() {
            let digit = (bits >> (18 - 6 * place)) & 63;
            text.push(char::from(DIGITS[digit as usize]));
        }
    }
    text
}

/// A QUIC connection; the endpoint must live as long.
pub async fn quic(world: &World) -> (Endpoint, Connection) {
    let (endpoint, connecting) = quic_offering(world, "doq");
    let connection = connecting.await.unwrap();
    (endpoint, connection)
}

pub fn quic_offering(world: &World, protocol: &str) -> (Endpoint, quinn::Connecting) {
    let config = client_config(&world.files.authority, &[protocol], false);
    let config = QuicClientConfig::try_from(config).unwrap();
    let config = quinn::ClientConfig::new(Arc::new(config));
    let endpoint = Endpoint::client(SocketAddr::from(([127, 0, 0, 1], 0))).unwrap();
    let at = world.node.at.doq.unwrap();
    let connecting = endpoint.connect_with(config, at, HOST).unwrap();
    (endpoint, connecting)
}

/// Sends these bytes on a new stream and reads it to its end.
pub async fn on_stream(
    connection: &Connection,
    bytes: &[u8],
) -> Result<Vec<u8>, quinn::ReadToEndError> {
    let (mut send, mut receive) = connection.open_bi().await.unwrap();
    send.write_all(bytes).await.unwrap();
    send.finish().unwrap();
    tokio::time::timeout(PATIENCE, receive.read_to_end(65_537))
        .await
        .expect("an answer in time")
}

/// The answer to one query.
pub async fn ask_quic(connection: &Connection, query: &[u8]) -> Vec<u8> {
    let frame = on_stream(connection, &framed(query)).await.unwrap();
    assert_eq!(
        usize::from(u16::from_be_bytes([frame[0], frame[1]])),
        frame.len() - 2
    );
    frame[2..].to_vec()
}
