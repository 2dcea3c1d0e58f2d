//! One stream of a node: hello, then messages, as many as are there in one transaction.

use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use futures_util::FutureExt as _;
use idnode_proto::api::tell_changes_request::Request as Told;
use idnode_proto::api::tell_changes_response::Response as Answer;
use idnode_proto::api::{
    IntakeAcknowledgement, IntakeHello, IntakeStanding, IntakeStart, TellChangesRequest,
    TellChangesResponse,
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::Inner;
use super::apply::{Change, Refused};
use super::store::Copy;
use crate::national::faults::{Channel, Fault, Kind};
use crate::national::now_ms;

/// Most messages that are taken in one transaction.
const TOGETHER: usize = 16;
/// Answers that may wait for the node.
const ANSWERS: usize = 16;
/// How often it is looked whether the channel is down, or another stream has come.
const LOOK: Duration = Duration::from_millis(100);
/// How far beyond the truth a wrong answer is.
const WRONG: u64 = 1_000;

type Answers = Response<ReceiverStream<Result<TellChangesResponse, Status>>>;

/// Takes the hello, answers it, and lets the rest be taken by a task.
pub(super) async fn begin(
    inner: Arc<Inner>,
    request: Request<Streaming<TellChangesRequest>>,
) -> Result<Answers, Status> {
    let (metadata, extensions, mut messages) = request.into_parts();
    let shown = Request::from_parts(metadata, extensions, ());
    let first = messages.message().await?.and_then(|it| it.request);
    let Some(Told::Hello(hello)) = first else {
        return Err(Status::invalid_argument("the first message is no hello"));
    };
    inner.members.check(&shown, &hello.node)?;
    let fault = inner.faults.next(Channel::Sync);
    if fault.as_ref().is_some_and(|it| it.kind == Kind::Down) {
        return Err(Status::unavailable("down"));
    }
    let turn = inner.next_turn(&hello.node);
    let (answers, answered) = mpsc::channel(ANSWERS);
    let stream = Stream {
        inner,
        node: hello.node.clone(),
        turn,
        answers,
        taken: 0,
        sequence: 0,
        held: None,
    };
    tokio::spawn(stream.run(hello, fault, messages));
    Ok(Response::new(ReceiverStream::new(answered)))
}

struct Stream {
    inner: Arc<Inner>,
    node: String,
    turn: u64,
    answers: mpsc::Sender<Result<TellChangesResponse, Status>>,
    /// Messages that were taken.
    taken: u64,
    /// Everything up to this one is here.
    sequence: u64,
    /// An answer that comes behind the next one.
    held: Option<Answer>,
}

/// Why a stream ends.
enum End {
    /// The node has ended it, or does not listen any more.
    Over,
    /// The node is told so.
    Status(Status),
}

impl From<Status> for End {
    fn from(status: Status) -> Self {
        Self::Status(status)
    }
}

impl Stream {
    async fn run(
        mut self,
        hello: IntakeHello,
        fault: Option<Fault>,
        messages: Streaming<TellChangesRequest>,
    ) {
        let end = match self.greet(hello, fault).await {
            Ok(()) => self.take_on(messages).await,
            Err(end) => end,
        };
        self.inner.ends(&self.node, self.turn);
        if let End::Status(status) = end {
            // Perhaps nobody listens any more.
            let _ = self.answers.send(Err(status)).await;
        }
    }

    async fn greet(&mut self, _hello: IntakeHello, fault: Option<Fault>) -> Result<(), End> {
        let (store, node) = (self.inner.store.clone(), self.node.clone());
        let known = tokio::task::spawn_blocking(move || store.node(&node)).await;
        let known = known.map_err(|error| Status::internal(error.to_string()))?;
        let known = known.map_err(|error| Status::internal(error.to_string()))?;
        self.sequence = known.shown.sequence;
        let start = |copy: &Copy| IntakeStart {
            log: name(&copy.log),
            sequence: copy.sequence,
            mark: copy.mark,
        };
        let standing = Answer::Standing(IntakeStanding {
            log: name(&known.shown.log),
            sequence: known.shown.sequence,
            mark: known.shown.mark,
            making: known.making.as_ref().map(start),
            reached: known.making.map_or_else(Vec::new, |it| name(&it.reached)),
        });
        self.answer(standing, fault).await
    }

    async fn take_on(&mut self, mut messages: Streaming<TellChangesRequest>) -> End {
        loop {
            let first = tokio::select! {
                message = messages.message() => message,
                () = tokio::time::sleep(LOOK) => match self.may_go_on() {
                    Ok(()) => continue,
                    Err(end) => return end,
                },
            };
            let (mut together, mut fault) = (Vec::new(), None);
            let mut next = Some(first);
            while let Some(message) = next.take() {
                match message {
                    Ok(Some(message)) => together.push(message),
                    Ok(None) | Err(_) if together.is_empty() => return End::Over,
                    Ok(None) | Err(_) => break,
                }
                fault = self.inner.faults.next(Channel::Sync);
                if fault.is_none() && together.len() < TOGETHER {
                    next = messages.message().now_or_never();
                }
            }
            if fault.as_ref().is_some_and(|it| it.kind == Kind::Down) {
                return Status::unavailable("down").into();
            }
            if let Err(end) = self.take(together, fault).await {
                return end;
            }
        }
    }

    fn may_go_on(&self) -> Result<(), End> {
        if self.answers.is_closed() {
            return Err(End::Over);
        }
        if self.inner.faults.is_down(Channel::Sync) {
            return Err(Status::unavailable("down").into());
        }
        if !self.inner.is_turn_of(&self.node, self.turn) {
            return Err(Status::failed_precondition("the node has another stream").into());
        }
        Ok(())
    }

    /// Takes messages as one transaction, and acknowledges them.
    async fn take(
        &mut self,
        messages: Vec<TellChangesRequest>,
        fault: Option<Fault>,
    ) -> Result<(), End> {
        let count = messages.len() as u64;
        let (inner, node, turn) = (self.inner.clone(), self.node.clone(), self.turn);
        let taken = tokio::task::spawn_blocking(move || applied(&inner, &node, turn, messages));
        let taken = taken.await;
        let taken = taken.map_err(|error| Status::internal(error.to_string()))?;
        self.sequence = match taken {
            Ok(sequence) => sequence,
            Err(Refused::Told(status)) => return Err(status.into()),
            Err(Refused::Failed(failure)) => {
                eprintln!("idnational: changes of {}: {failure}", self.node);
                return Err(Status::internal(failure.to_string()).into());
            }
        };
        self.taken += count;
        let acknowledgement = IntakeAcknowledgement {
            messages: self.taken,
            sequence: self.sequence,
        };
        self.answer(Answer::Acknowledgement(acknowledgement), fault)
            .await
    }

    /// Answers, or what a fault makes of it.
    async fn answer(&mut self, answer: Answer, fault: Option<Fault>) -> Result<(), End> {
        let delay = Duration::from_millis(fault.as_ref().map_or(0, |it| it.delay_ms));
        match fault.map(|it| it.kind) {
            None | Some(Kind::Down) => self.send(answer).await?,
            Some(Kind::Drop) => {}
            Some(Kind::Delay) => {
                tokio::time::sleep(delay).await;
                self.send(answer).await?;
            }
            Some(Kind::Duplicate) => {
                self.send(answer.clone()).await?;
                self.send(answer).await?;
            }
            Some(Kind::Reorder) => {
                // What was held back before has waited long enough.
                if let Some(held) = self.held.replace(answer) {
                    self.send(held).await?;
                }
                return Ok(());
            }
            Some(Kind::HalfAnswer) => {
                return Err(Status::unavailable("the answer breaks off").into());
            }
            Some(Kind::WrongAnswer) => {
                let wrong = IntakeAcknowledgement {
                    messages: self.taken + WRONG,
                    sequence: self.sequence + WRONG,
                };
                self.send(Answer::Acknowledgement(wrong)).await?;
            }
        }
        if let Some(held) = self.held.take() {
            self.send(held).await?;
        }
        Ok(())
    }

    async fn send(&self, answer: Answer) -> Result<(), End> {
        let response = TellChangesResponse {
            response: Some(answer),
        };
        let sent = self.answers.send(Ok(response)).await;
        sent.map_err(|_| End::Over)
    }
}

/// Carries messages out as one transaction: everything up to which sequence is here then.
fn applied(
    inner: &Inner,
    node: &str,
    turn: u64,
    messages: Vec<TellChangesRequest>,
) -> Result<u64, Refused> {
    let (sequence, committed_ms) = inner.store.write(node, |transaction, row| {
        // There is one transaction at a time: whoever has it knows whose turn it is.
        if !inner.is_turn_of(node, turn) {
            let reason = "the node has another stream";
            return Err(Refused::Told(Status::failed_precondition(reason)));
        }
        let mut change = Change::new(transaction, &inner.members, node, row);
        for message in messages {
            match message.request {
                Some(Told::Batch(batch)) => change.batch(batch)?,
                Some(Told::Start(start)) => change.start(start)?,
                Some(Told::Part(part)) => change.part(part)?,
                Some(Told::Hello(_)) => {
                    return Err(Status::invalid_argument("a second hello").into());
                }
                None => return Err(Status::invalid_argument("an empty message").into()),
            }
        }
        Ok((change.sequence(), std::mem::take(&mut change.committed_ms)))
    })?;
    inner.lags.took(node, &committed_ms, now_ms());
    Ok(sequence)
}

/// Bytes that were kept in hex.
fn name(hex: &str) -> Vec<u8> {
    HEXLOWER.decode(hex.as_bytes()).unwrap_or_default()
}
