//! The SSH server below.

use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use russh::keys::ssh_key::LineEnding;
use russh::keys::{Algorithm, PrivateKey};
use russh::server::{self, Auth, ChannelOpenHandle, Msg, Session, VerifiedPublicKey};
use russh::{Channel, ChannelId, MethodKind, MethodSet};
use tokio::net::TcpListener;

use super::files::Files;
use super::intake::Intake;
use crate::national::Failure;
use crate::national::faults::{Channel as FaultChannel, Faults};

/// Most SFTP sessions of one connection.
const MAX_CHANNELS: usize = 8;
/// Longest SFTP packet, bytes.
const MAX_PACKET: u32 = 512 << 10;

/// The server's own key; made if the file is not there.
pub(super) fn host_key(path: &Path) -> Result<PrivateKey, Failure> {
    let named = |error: String| format!("{}: {error}", path.display());
    if path.exists() {
        let text = fs::read_to_string(path).map_err(|error| named(error.to_string()))?;
        let key = PrivateKey::from_openssh(text).map_err(|error| named(error.to_string()))?;
        return Ok(key);
    }
    let key = PrivateKey::random(&mut russh::keys::key::safe_rng(), Algorithm::Ed25519)?;
    let text = key.to_openssh(LineEnding::LF)?;
    let mut options = OpenOptions::new();
    let file = options.write(true).create_new(true).mode(0o600).open(path);
    let mut file = file.map_err(|error| named(error.to_string()))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    Ok(key)
}

/// The public half, as known_hosts has it.
pub(super) fn public(key: &PrivateKey) -> Result<String, Failure> {
    Ok(key.public_key().to_openssh()?)
}

/// Serves until the process ends.
pub(super) async fn serve(
    listener: TcpListener,
    host_key: PrivateKey,
    intake: Arc<Intake>,
    faults: Arc<Faults>,
) {
    let config = Arc::new(server::Config {
        methods: MethodSet::from(&[MethodKind::PublicKey][..]),
        auth_rejection_time: Duration::from_millis(200),
        auth_rejection_time_initial: Some(Duration::ZERO),
        keys: vec![host_key],
        nodelay: true,
        ..server::Config::default()
    });
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            // Too many open files: some will be closed.
            tokio::time::sleep(Duration::from_millis(50)).await;
            continue;
        };
        if faults.is_down(FaultChannel::Sftp) {
            continue;
        }
        let session = Client {
            intake: intake.clone(),
            faults: faults.clone(),
            name: None,
            channels: HashMap::new(),
        };
        let config = config.clone();
        tokio::spawn(async move {
            // What a client does wrong is its own affair.
            if let Ok(running) = server::run_stream(config, stream, session).await {
                let _ = running.await;
            }
        });
    }
}

/// A connection.
struct Client {
    intake: Arc<Intake>,
    faults: Arc<Faults>,
    /// Who it is, once it has proved it.
    name: Option<String>,
    channels: HashMap<ChannelId, Channel<Msg>>,
}

impl server::Handler for Client {
    type Error = russh::Error;

    async fn auth_publickey(
        &mut self,
        user: &str,
        key: VerifiedPublicKey<'_>,
    ) -> Result<Auth, Self::Error> {
        let known = self.intake.client(user);
        let proved = known.is_some_and(|it| it.login.key_data() == key.public_key.key_data());
        if !proved {
            return Ok(Auth::reject());
        }
        self.name = Some(user.to_owned());
        Ok(Auth::Accept)
    }

    async fn channel_open_session(
        &mut self,
        channel: Channel<Msg>,
        reply: ChannelOpenHandle,
        _session: &mut Session,
    ) -> Result<(), Self::Error> {
        if self.channels.len() < MAX_CHANNELS {
            self.channels.insert(channel.id(), channel);
            reply.accept().await;
        }
        Ok(())
    }

    async fn channel_eof(
        &mut self,
        channel: ChannelId,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        session.close(channel)
    }

    async fn subsystem_request(
        &mut self,
        channel: ChannelId,
        name: &str,
        session: &mut Session,
    ) -> Result<(), Self::Error> {
        let stream = self.channels.remove(&channel).filter(|_| name == "sftp");
        let (Some(stream), Some(client)) = (stream, self.name.clone()) else {
            return session.channel_failure(channel);
        };
        session.channel_success(channel)?;
        let files = Files::new(self.intake.clone(), self.faults.clone(), client);
        let config = russh_sftp::server::Config {
            max_client_packet_len: MAX_PACKET,
        };
        russh_sftp::server::run_with_config(stream.into_stream(), files, config).await;
        Ok(())
    }
}
