//! One stream: hello, what is there, then messages out and acknowledgements in.

use super::Teller;
use super::pace::Pace;
use super::plan::{Next, Own, next};
use super::reader::{Begin, Reader, mark_of};
use super::state::State;
use super::window::Window;
use super::wire::Told;
use crate::Result as Stored;
use bytes::Bytes;
use idnode_proto::api::tell_changes_response::Response;
use idnode_proto::api::{
    IntakeAcknowledgement, IntakeHello, IntakeStanding, IntakeStart, TellChangesResponse,
};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::{mpsc, watch};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::Channel;
use tonic::{Request, Status, Streaming};
use tonic_prost::ProstCodec;

/// What is called.
const METHOD: &str = "/idnode.v1.ChangeIntakeService/TellChanges";
/// Messages that the thread may have ready.
const READY: usize = 1;
/// How often it is written how far the log was told; the national node knows it, too.
const KEEP: Duration = Duration::from_secs(1);
/// How long a stream that waits for the operator's word waits before it looks again.
const STOPPED: Duration = Duration::from_secs(60);
/// How often it is looked whether an acknowledgement is late.
const LOOK: Duration = Duration::from_millis(100);

type Answers = Streaming<TellChangesResponse>;

/// What is decided of a stream when it begins.
enum Decided {
    Begin(State, Begin),
    Stop(String),
}

impl Teller {
    /// Tells changes over a connection until it fails: why.
    pub(super) async fn talk(self: Arc<Self>, connection: Channel, line: super::Line) -> String {
        // From here on no restart is missed: one before shows in the journal.
        let restarts = self.restart.watch();
        let (out, messages) = mpsc::channel(READY);
        let docked = tokio::time::timeout(self.timeout, self.dock(connection, &out, messages));
        let (standing, answers) = match docked.await {
            Ok(Ok(docked)) => docked,
            Ok(Err(reason)) => return reason,
            Err(_) => return "the national node does not say how it stands".to_owned(),
        };
        let sync = self.clone();
        let decided = tokio::task::spawn_blocking(move || sync.decide(&standing)).await;
        let (state, begin) = match decided {
            Ok(Ok(Decided::Begin(state, begin))) => (state, begin),
            Ok(Ok(Decided::Stop(reason))) => {
                line.fails(&reason);
                told_to_go_on(restarts).await;
                return reason;
            }
            Ok(Err(error)) => return error.to_string(),
            Err(error) => return error.to_string(),
        };
        tracing::info!(?begin, "changes are told");
        line.works();
        let window = Arc::new(Window::new());
        let (failed, failure) = mpsc::channel(1);
        // However this ends, the thread ends with it.
        let over = CancellationToken::new();
        let _over = over.clone().drop_guard();
        let reader = Reader {
            registry: self.registry.clone(),
            scope: self.scope.clone(),
            window: window.clone(),
            out,
            pace: Pace::default(),
            per_s: self.per_s.clone(),
            runtime: Handle::current(),
            over,
        };
        if let Err(error) = reader.start(begin, failed, &self.threads) {
            return error.to_string();
        }
        let listener = Listener {
            sync: &self,
            line,
            window,
            state,
            kept: Instant::now(),
        };
        listener.listen(answers, failure, restarts).await
    }

    /// Says hello: how the national node stands.
    async fn dock(
        &self,
        connection: Channel,
        out: &mpsc::Sender<Told>,
        messages: mpsc::Receiver<Told>,
    ) -> Result<(IntakeStanding, Answers), String> {
        let (journal, prefixes) = (self.registry.journal(), self.prefixes.clone());
        let state = tokio::task::spawn_blocking(move || State::open(&journal, &prefixes)).await;
        let state = state.map_err(|error| error.to_string())?;
        let state = state.map_err(|error| error.to_string())?;
        let hello = IntakeHello {
            node: self.node.clone(),
            log: state.log.to_vec(),
            head: self.registry.applied(),
            prefixes: self.scope.names(),
        };
        let over = |_| "the stream is over".to_owned();
        out.send(Told::hello(hello)).await.map_err(over)?;
        let mut grpc = tonic::client::Grpc::new(connection);
        grpc.ready().await.map_err(|error| error.to_string())?;
        let codec = ProstCodec::<Told, TellChangesResponse>::default();
        let method = http::uri::PathAndQuery::from_static(METHOD);
        let request = Request::new(ReceiverStream::new(messages));
        let answered = grpc.streaming(request, method, codec).await;
        let mut answers = answered.map_err(|status| said(&status))?.into_inner();
        match answers.message().await.map_err(|status| said(&status))? {
            Some(TellChangesResponse {
                response: Some(Response::Standing(standing)),
            }) => Ok((standing, answers)),
            _ => Err("the national node does not answer the hello".to_owned()),
        }
    }

    /// What is told next; the journal is put right by it. Blocks on the disk.
    fn decide(&self, there: &IntakeStanding) -> Stored<Decided> {
        let journal = self.registry.journal();
        // The journal's row is read and written by nobody else meanwhile.
        let _row = self.restart.row();
        let mut state = State::open(&journal, &self.prefixes)?;
        let own = Own {
            log: state.log.clone(),
            head: self.registry.applied(),
            oldest: self.registry.oldest()?,
        };
        let start = |sequence: u64| -> Stored<IntakeStart> {
            Ok(IntakeStart {
                log: own.log.to_vec(),
                sequence,
                mark: mark_of(&self.registry, sequence)?.unwrap_or_default(),
            })
        };
        let begin = match next(&own, there, |sequence| mark_of(&self.registry, sequence))? {
            Next::Stop(reason) => return Ok(Decided::Stop(reason)),
            Next::Entries(from) => Begin::Entries(from),
            Next::LogAnew => Begin::LogAnew(start(0)?),
            Next::SnapshotAnew => Begin::Snapshot {
                start: Some(start(own.head)?),
                sequence: own.head,
                after: Bytes::new(),
            },
            Next::Snapshot { sequence, after } => Begin::Snapshot {
                start: None,
                sequence,
                after,
            },
        };
        let told = match &begin {
            Begin::Entries(from) => from - 1,
            _ => 0,
        };
        if told < state.told {
            let (here, there) = (state.told, told);
            tracing::warn!(
                here,
                there,
                "the national node has less than it said it had"
            );
        }
        state.told = told;
        state.keep(&journal)?;
        self.progress.moved(told);
        Ok(Decided::Begin(state, begin))
    }
}

/// Takes acknowledgements.
struct Listener<'a> {
    sync: &'a Teller,
    line: super::Line,
    window: Arc<Window>,
    state: State,
    kept: Instant,
}

impl Listener<'_> {
    async fn listen(
        mut self,
        mut answers: Answers,
        mut failure: mpsc::Receiver<String>,
        mut restarts: watch::Receiver<u64>,
    ) -> String {
        loop {
            let answer = tokio::select! {
                answer = answers.message() => answer,
                Some(reason) = failure.recv() => return reason,
                _ = restarts.changed() => return "the stream begins anew".to_owned(),
                () = tokio::time::sleep(LOOK) => {
                    let since = self.window.waits_since();
                    if since.is_some_and(|since| since.elapsed() > self.sync.timeout) {
                        return "no acknowledgement has come".to_owned();
                    }
                    if let Err(reason) = self.keep().await {
                        return reason;
                    }
                    continue;
                }
            };
            let acknowledgement = match answer {
                Ok(Some(TellChangesResponse {
                    response: Some(Response::Acknowledgement(it)),
                })) => it,
                Ok(Some(_)) => return "the national node says what was not asked".to_owned(),
                Ok(None) => return "the national node has ended the stream".to_owned(),
                Err(status) => return said(&status),
            };
            if let Err(reason) = self.take(&acknowledgement) {
                return reason;
            }
            if let Err(reason) = self.keep().await {
                return reason;
            }
        }
    }

    fn take(&mut self, it: &IntakeAcknowledgement) -> Result<(), String> {
        let told = self.window.acknowledged(it)?;
        self.line.works();
        if let Some(told) = told.filter(|told| *told > self.state.told) {
            self.state.told = told;
            self.sync.progress.moved(told);
        }
        Ok(())
    }

    /// Writes now and then how far the log was told.
    async fn keep(&mut self) -> Result<(), String> {
        let is_due = self.kept.elapsed() >= KEEP && self.sync.progress.is_unkept();
        if !is_due {
            return Ok(());
        }
        self.kept = Instant::now();
        let (journal, state) = (self.sync.registry.journal(), self.state.clone());
        let restart = self.sync.restart.clone();
        let kept = tokio::task::spawn_blocking(move || {
            let _row = restart.row();
            state.keep_on(&journal)
        });
        let kept = kept.await;
        self.sync.progress.kept(self.state.told);
        let kept = kept.map_err(|error| error.to_string())?;
        kept.map_err(|error| error.to_string())
    }
}

/// Waits for the operator's word, or a while.
async fn told_to_go_on(mut restarts: watch::Receiver<u64>) {
    tokio::select! {
        _ = restarts.changed() => {}
        () = tokio::time::sleep(STOPPED) => {}
    }
}

fn said(status: &Status) -> String {
    format!("{}: {}", status.code(), status.message())
}
