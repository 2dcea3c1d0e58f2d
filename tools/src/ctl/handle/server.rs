//! The Handle server, the way there, and who asks.

use std::cell::Cell;
use std::net::SocketAddr;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use clap::ValueEnum;
use idnode_proto::handle::auth::{ClientKey, PrivateKey};
use idnode_proto::handle::{
    AdminId, ExchangeError, MessageTooLong, OpFlags, RequestHead, Response, ResponseBody,
};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::time::{Instant, sleep_until};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::ctl::error::{Failure, Refusal};
use crate::handle_client::{AskError, Connection, connect, without_line_end};
use crate::tls;

/// Whom to ask, as whom.
#[derive(Debug, clap::Args)]
#[command(next_help_heading = "Handle server")]
pub(crate) struct ServerArgs {
    /// Address of the Handle front, e.g. 127.0.0.1:2641
    #[arg(long = "handle", value_name = "ADDRESS:PORT")]
    address: SocketAddr,
    /// How to ask it
    #[arg(long, value_name = "TRANSPORT", default_value = "tcp")]
    transport: Transport,
    /// Certificates that the server's must lead to, PEM (TLS)
    #[arg(long, value_name = "FILE", required_if_eq("transport", "tls"))]
    ca: Option<PathBuf>,
    /// Name the server's certificate must have (TLS) [default: its address]
    #[arg(long, value_name = "NAME")]
    server_name: Option<String>,
    /// Whose key is proven, e.g. 300:0.NA/88.118.8
    #[arg(long, value_name = "INDEX:HANDLE")]
    identity: AdminId,
    #[command(flatten)]
    key: KeyArgs,
    /// Log in first, instead of proving the key for the request
    #[arg(long, value_name = "HOW")]
    log_in: Option<LogIn>,
}

/// How a connection is logged in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogIn {
    /// By a challenge (operation 2001)
    Proof,
    /// With the secret itself (operation 2000): the server and, without TLS, the way there see it
    Password,
}

/// A connection: the protocol lets nobody write in datagrams.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Transport {
    /// Plain
    Tcp,
    /// Encrypted
    Tls,
}

/// The identity's key.
#[derive(Debug, clap::Args)]
#[group(required = true, multiple = false)]
struct KeyArgs {
    /// File with the secret key; a line end behind it is left out
    #[arg(long, value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// File with the private key, PEM: RSA, DSA, Ed25519 or SM2
    #[arg(long, value_name = "FILE")]
    key_file: Option<PathBuf>,
}

impl KeyArgs {
    fn read(&self) -> Result<ClientKey, Failure> {
        if let Some(path) = &self.secret_file {
            return Ok(ClientKey::secret(without_line_end(contents(path)?)));
        }
        let path = self.key_file.as_deref().unwrap_or(Path::new(""));
        let pem = contents(path)?;
        PrivateKey::from_pem(&String::from_utf8_lossy(&pem))
            .map(ClientKey::Private)
            .map_err(|error| in_file(path)(error.to_string()))
    }
}

fn contents(path: &Path) -> Result<Vec<u8>, Failure> {
    std::fs::read(path).map_err(|error| in_file(path)(error.to_string()))
}

fn in_file(path: &Path) -> impl FnOnce(String) -> Failure {
    let path = path.to_owned();
    move |reason| Failure::File { path, reason }
}

impl ServerArgs {
    /// Where it is.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Asks one request and answers its challenge; all messages of the answer but the last go to
    /// `part`, as long as that wants more. Each of them is to come `within` this time.
    ///
    /// # Errors
    /// What the server refuses is one, too.
    pub(super) async fn ask(
        &self,
        within: Duration,
        flags: OpFlags,
        write: impl FnOnce(&RequestHead) -> Result<Vec<u8>, MessageTooLong>,
        mut part: impl FnMut(Response) -> ControlFlow<()>,
    ) -> Result<Response, Failure> {
        let key = self.key.read()?;
        let due = Cell::new(Instant::now() + within);
        let part = |response| {
            let flow = part(response);
            due.set(Instant::now() + within);
            flow
        };
        let asked = async {
            let stream = connect(self.address)
                .await
                .map_err(|error| self.unreachable(error.to_string()))?;
            match self.transport {
                Transport::Tcp => self.ask_on(stream, &key, flags, write, part).await,
                Transport::Tls => {
                    let stream = self.encrypted(stream).await?;
                    self.ask_on(stream, &key, flags, write, part).await
                }
            }
        };
        let answer = before(&due, asked).await.unwrap_or_else(|| {
            let words = "no answer in time (--timeout); a write may still happen";
            Err(self.unreachable(words.to_owned()))
        })?;
        match answer.code.is_success() {
            true => Ok(answer),
            false => Err(refused(answer)),
        }
    }

    async fn ask_on(
        &self,
        stream: impl AsyncRead + AsyncWrite + Unpin,
        key: &ClientKey,
        flags: OpFlags,
        write: impl FnOnce(&RequestHead) -> Result<Vec<u8>, MessageTooLong>,
        part: impl FnMut(Response) -> ControlFlow<()>,
    ) -> Result<Response, Failure> {
        let identity = (&self.identity, key);
        let mut connection = Connection::new(stream);
        let logged_in = match (self.log_in, key) {
            (None, _) => None,
            (Some(LogIn::Proof), _) => Some(connection.log_in(identity).await),
            (Some(LogIn::Password), ClientKey::Secret(secret)) => {
                let name = self.identity.to_string();
                let password = String::from_utf8(secret.0.clone())
                    .map_err(|_| Failure::Usage("a password is text (UTF-8)".to_owned()))?;
                Some(connection.log_in_with_password(&name, &password).await)
            }
            (Some(LogIn::Password), _) => {
                let text = "a password is a secret: --secret-file";
                return Err(Failure::Usage(text.to_owned()));
            }
        };
        let refused = logged_in.filter(|it| !it.as_ref().is_ok_and(|it| it.code.is_success()));
        let answer = match (refused, self.log_in) {
            (Some(refused), _) => refused,
            (None, None) => connection.ask(flags, write, Some(identity), part).await,
            (None, Some(_)) => connection.ask(flags, write, None, part).await,
        };
        answer.map_err(|error| match error {
            AskError::Stopped => Failure::Answer(error.to_string()),
            AskError::Io(error) => self.unreachable(format!("{error}; a write may still happen")),
            AskError::Exchange(ExchangeError::TooLong(error)) => Failure::Usage(error.to_string()),
            AskError::Exchange(ExchangeError::Proof(error)) => Failure::Usage(error.to_string()),
            AskError::Exchange(error) => Failure::Answer(format!("{}: {error}", self.address)),
        })
    }

    async fn encrypted(&self, stream: TcpStream) -> Result<TlsStream<TcpStream>, Failure> {
        let path = self.ca.as_deref().unwrap_or(Path::new(""));
        let roots = tls::read_roots(path).map_err(in_file(path))?;
        let config =
            tls::client_config(roots).map_err(|error| Failure::Usage(error.to_string()))?;
        let name =
            tls::server_name(self.server_name.as_deref(), self.address).map_err(Failure::Usage)?;
        let handshake = TlsConnector::from(Arc::new(config)).connect(name, stream);
        handshake
            .await
            .map_err(|error| self.unreachable(format!("the TLS handshake: {error}")))
    }

    fn unreachable(&self, reason: String) -> Failure {
        Failure::Unreachable {
            server: self.address.to_string(),
            reason,
        }
    }
}

/// What comes of something before a time that may be put off meanwhile.
async fn before<T>(due: &Cell<Instant>, something: impl Future<Output = T>) -> Option<T> {
    let mut something = pin!(something);
    loop {
        tokio::select! {
            done = &mut something => return Some(done),
            () = sleep_until(due.get()) => {
                if Instant::now() >= due.get() {
                    return None;
                }
            }
        }
    }
}

/// An answer that is no success: the code's name, the server's words, the values to blame.
fn refused(answer: Response) -> Failure {
    let (message, indexes) = match answer.body {
        ResponseBody::Error { message, indexes } => (message, indexes),
        ResponseBody::Referral { handle, .. } => {
            (format!("served elsewhere, see {handle}"), Vec::new())
        }
        _ => (String::new(), Vec::new()),
    };
    let mut refusal = Refusal::of_handle_server(answer.code, message);
    if !indexes.is_empty() {
        let indexes: Vec<_> = indexes.iter().map(u32::to_string).collect();
        refusal = refusal.with("indexes", indexes.join(" "));
    }
    Failure::Refused(Box::new(refusal))
}
