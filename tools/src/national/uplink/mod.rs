//! The listener of nodes' streams: one gRPC server with TLS on both sides, whose services are
//! changes upward, takeover, and routes.
//!
//! | module | holds |
//! |---|---|
//! | [`peer`] | which nodes there are, and whether who speaks is the node it says |
//! | `settings` | where it listens, whom it trusts |
//!
//! Every service calls [`Members::check`] with the node that a message names, before anything else,
//! and goes by the faults of its own channel: `sync`, `takeover`, `routes`.

pub mod peer;
pub mod settings;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Map, Value, json};
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::service::Routes;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};

use super::change::Intake;
use super::page::escaped;
use super::routes as routes_of_nodes;
use super::takeover;
use super::{Failure, Part, Shared, Started};
use peer::Members;
use settings::UplinkSettings;

/// Longest message of a stream, both ways, bytes.
pub const MESSAGE_LIMIT_BYTES: usize = 8 << 20;
/// What a node may send before it is read: of a stream, and of a connection.
const WINDOW_BYTES: u32 = 4 << 20;
/// How often a silent connection is asked whether it is still there.
const KEEP_ALIVE: Duration = Duration::from_secs(20);

/// Starts the listener and every service on it; none where it is off.
///
/// # Errors
/// A file can't be read, a setting is wrong, or the address can't be had.
pub async fn start(
    shared: &Shared,
    data_dir: &Path,
    settings: &UplinkSettings,
) -> Result<Vec<Started>, Failure> {
    let Some(address) = settings.listen_sync else {
        return Ok(Vec::new());
    };
    let members = Arc::new(Members::parse(&settings.sync_node)?);
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(
            read(settings.sync_certificate.as_ref(), "--sync-certificate")?,
            read(settings.sync_key.as_ref(), "--sync-key")?,
        ))
        .client_ca_root(Certificate::from_pem(read(
            settings.sync_authority.as_ref(),
            "--sync-authority",
        )?));
    let listener = TcpListener::bind(address).await?;
    let at = listener.local_addr()?;
    let (services, mut started) = services(shared, data_dir, &members)?;
    let server = Server::builder()
        .tls_config(tls)?
        .initial_stream_window_size(WINDOW_BYTES)
        .initial_connection_window_size(2 * WINDOW_BYTES)
        .http2_keepalive_interval(Some(KEEP_ALIVE))
        .add_routes(services);
    let serving = async move {
        let served = server.serve_with_incoming(TcpListenerStream::new(listener));
        if let Err(error) = served.await {
            eprintln!("idnational: the listener of streams ended: {error}");
        }
    };
    started.push(Started {
        part: Arc::new(Listener { members }),
        addresses: vec![("sync", at)],
        tasks: vec![Box::pin(serving)],
    });
    Ok(started)
}

/// The services of the listener, and what they bring along.
fn services(
    shared: &Shared,
    data_dir: &Path,
    members: &Arc<Members>,
) -> Result<(Routes, Vec<Started>), Failure> {
    let mut routes = Routes::builder();
    let mut started = Vec::new();
    let changes = Intake::open(data_dir, shared, members)?;
    routes.add_service(changes.service());
    shared.takeovers.ask(Arc::new(changes.clone()));
    started.push(part(changes));
    routes.add_service(takeover::service(shared, members));
    started.push(Started {
        part: takeover::part(shared),
        addresses: Vec::new(),
        tasks: Vec::new(),
    });
    let (service, announced) = routes_of_nodes::service(shared, members);
    routes.add_service(service);
    started.push(announced);
    Ok((routes.routes(), started))
}

/// A part of the listener, which has no listener of its own.
fn part(part: impl Part + 'static) -> Started {
    Started {
        part: Arc::new(part),
        addresses: Vec::new(),
        tasks: Vec::new(),
    }
}

fn read(path: Option<&PathBuf>, flag: &str) -> Result<Vec<u8>, Failure> {
    let path = path.ok_or_else(|| format!("{flag} is missing"))?;
    Ok(std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// The listener itself, which shows who may speak.
#[derive(Debug)]
struct Listener {
    members: Arc<Members>,
}

impl Part for Listener {
    fn name(&self) -> &'static str {
        "uplink"
    }

    fn status(&self) -> Result<Value, Failure> {
        let mut nodes = Map::new();
        for (name, prefixes) in self.members.iter() {
            let prefixes: Vec<String> = prefixes.iter().map(ToString::to_string).collect();
            nodes.insert(name.to_owned(), json!({"prefixes": prefixes}));
        }
        Ok(json!({"nodes": nodes}))
    }

    fn section(&self) -> Result<String, Failure> {
        let mut html = String::from("<table><tr><th>node</th><th>prefixes</th></tr>");
        for (name, prefixes) in self.members.iter() {
            let prefixes: Vec<String> = prefixes.iter().map(ToString::to_string).collect();
            let (name, prefixes) = (escaped(name), escaped(&prefixes.join(", ")));
            html.push_str(&format!("<tr><td>{name}</td><td>{prefixes}</td></tr>"));
        }
        html.push_str("</table>");
        Ok(html)
    }
}
