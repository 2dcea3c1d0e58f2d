//! TakeoverService: nodes are told how they stand, and answer.
//!
//! Faults of the channel `takeover`: `drop` leaves a notice out, and carries a call out without answering
//! it; `delay` is late; `duplicate` tells twice, carries out twice; `reorder` tells behind the next
//! notice, answers late; `half-answer` breaks off; `wrong-answer` answers as if to another node;
//! `down` takes nothing.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use idnode_proto::api::takeover_service_server::TakeoverService;
use idnode_proto::api::{
    AcknowledgeTakeoverRequest, ConfirmMergeRequest, FollowTakeoverRequest,
    ListTakeoverRegistrationsRequest, ListTakeoverRegistrationsResponse,
    ReportTakeoverConflictRequest, ReportTakeoverConflictResponse, TakeoverNotice,
};
use tokio::sync::mpsc;
use tokio_stream::Stream;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

use super::ledger::Ledger;
use super::row::{Phase, Refusal, Row};
use crate::national::Failure;
use crate::national::faults::{Channel, Faults, Kind};
use crate::national::uplink::peer::Members;

/// How often is told again what is not acknowledged.
const AGAIN: Duration = Duration::from_secs(1);
/// How often a sign of life comes.
const ALIVE: Duration = Duration::from_secs(10);
/// Notices that wait for a node to read them.
const AHEAD: usize = 4;
/// Registrations of a page.
const PAGE: usize = 100;
const MAX_PAGE: usize = 1_000;
/// What another node is called, in a wrong answer.
const ANOTHER: &str = "another-node";

type Answer<T> = Result<Response<T>, Status>;

/// The service.
#[derive(Debug, Clone)]
pub(super) struct Service {
    faults: Arc<Faults>,
    members: Arc<Members>,
    ledger: Arc<Ledger>,
}

impl Service {
    pub(super) fn new(faults: Arc<Faults>, members: Arc<Members>, ledger: Arc<Ledger>) -> Self {
        Self {
            faults,
            members,
            ledger,
        }
    }

    /// Carries a call out on the ledger, as the faults have it.
    async fn carry_out<T: Send + 'static>(
        &self,
        work: impl Fn(&Ledger) -> Result<T, Failure> + Send + Sync + 'static,
        wrong: impl FnOnce(T) -> T,
    ) -> Answer<T> {
        let fault = self.faults.next(Channel::Takeover);
        let kind = fault.as_ref().map(|it| it.kind);
        if kind == Some(Kind::Down) {
            return Err(Status::unavailable("down"));
        }
        let ledger = self.ledger.clone();
        let twice = kind == Some(Kind::Duplicate);
        let worked = tokio::task::spawn_blocking(move || {
            if twice {
                work(&ledger)?;
            }
            work(&ledger)
        });
        let worked = worked
            .await
            .map_err(|error| Status::internal(error.to_string()))?;
        let answer = worked.map_err(status)?;
        match kind {
            Some(Kind::Drop) => std::future::pending().await,
            Some(Kind::HalfAnswer) => Err(Status::unavailable("the answer breaks off")),
            Some(Kind::WrongAnswer) => Ok(Response::new(wrong(answer))),
            Some(Kind::Delay | Kind::Reorder) => {
                let late_ms = fault.map_or(0, |it| it.delay_ms);
                tokio::time::sleep(Duration::from_millis(late_ms)).await;
                Ok(Response::new(answer))
            }
            _ => Ok(Response::new(answer)),
        }
    }
}

/// An error of the ledger: what is asked for is not to be had, or the book has failed.
fn status(failure: Failure) -> Status {
    match failure.downcast_ref::<Refusal>() {
        Some(refusal) => Status::failed_precondition(refusal.to_string()),
        None => Status::internal(failure.to_string()),
    }
}

fn misnamed(notice: TakeoverNotice) -> TakeoverNotice {
    TakeoverNotice {
        node: ANOTHER.to_owned(),
        ..notice
    }
}

#[tonic::async_trait]
impl TakeoverService for Service {
    type FollowTakeoverStream =
        Pin<Box<dyn Stream<Item = Result<TakeoverNotice, Status>> + Send + 'static>>;

    async fn follow_takeover(
        &self,
        request: Request<FollowTakeoverRequest>,
    ) -> Answer<Self::FollowTakeoverStream> {
        self.members.check(&request, &request.get_ref().node)?;
        if self.faults.is_down(Channel::Takeover) {
            self.faults.next(Channel::Takeover);
            return Err(Status::unavailable("down"));
        }
        let FollowTakeoverRequest { node, revision } = request.into_inner();
        let (notices, told) = mpsc::channel(AHEAD);
        let teller = Teller {
            node,
            service: self.clone(),
            notices,
            held_back: None,
        };
        let here = teller.row().await?.revision;
        if revision > here {
            let reason = format!("the node keeps to revision {revision}, and here is {here}");
            return Err(Status::failed_precondition(reason));
        }
        tokio::spawn(teller.tell());
        Ok(Response::new(Box::pin(ReceiverStream::new(told))))
    }

    async fn acknowledge_takeover(
        &self,
        request: Request<AcknowledgeTakeoverRequest>,
    ) -> Answer<TakeoverNotice> {
        self.members.check(&request, &request.get_ref().node)?;
        let AcknowledgeTakeoverRequest { node, revision } = request.into_inner();
        let work = move |ledger: &Ledger| Ok(ledger.acknowledge(&node, revision)?.notice(&node));
        self.carry_out(work, misnamed).await
    }

    async fn list_takeover_registrations(
        &self,
        request: Request<ListTakeoverRegistrationsRequest>,
    ) -> Answer<ListTakeoverRegistrationsResponse> {
        self.members.check(&request, &request.get_ref().node)?;
        let ListTakeoverRegistrationsRequest {
            node,
            epoch,
            after,
            limit,
        } = request.into_inner();
        let limit = match limit as usize {
            0 => PAGE,
            limit => limit.min(MAX_PAGE),
        };
        let work = move |ledger: &Ledger| {
            let row = ledger.row(&node)?;
            if row.epoch != epoch || row.phase != Phase::HandingBack {
                let reason = format!("takeover {epoch} is not being handed back");
                return Err(Refusal(reason).into());
            }
            let found = ledger.registrations(&node, epoch, after, limit)?;
            let told = found.iter().map(super::registered::Registered::told);
            Ok(ListTakeoverRegistrationsResponse {
                node: node.clone(),
                epoch,
                registrations: told.collect::<Result<_, _>>()?,
            })
        };
        let wrong = |mut answer: ListTakeoverRegistrationsResponse| {
            for registration in &mut answer.registrations {
                registration.number += 1;
            }
            answer
        };
        self.carry_out(work, wrong).await
    }

    async fn report_takeover_conflict(
        &self,
        request: Request<ReportTakeoverConflictRequest>,
    ) -> Answer<ReportTakeoverConflictResponse> {
        self.members.check(&request, &request.get_ref().node)?;
        let ReportTakeoverConflictRequest { node, conflict } = request.into_inner();
        let conflict = conflict.ok_or_else(|| Status::invalid_argument("no conflict"))?;
        let work = move |ledger: &Ledger| {
            ledger.report(&node, &conflict)?;
            Ok(ReportTakeoverConflictResponse {
                node: node.clone(),
                epoch: conflict.epoch,
                number: conflict.number,
                settlement: conflict.settlement,
            })
        };
        let wrong = |answer| ReportTakeoverConflictResponse {
            node: ANOTHER.to_owned(),
            ..answer
        };
        self.carry_out(work, wrong).await
    }

    async fn confirm_merge(&self, request: Request<ConfirmMergeRequest>) -> Answer<TakeoverNotice> {
        self.members.check(&request, &request.get_ref().node)?;
        let request = request.into_inner();
        let work = move |ledger: &Ledger| {
            let ConfirmMergeRequest {
                node,
                epoch,
                revision,
                registrations,
            } = &request;
            let row = ledger.confirm(node, *epoch, *revision, *registrations)?;
            Ok(row.notice(node))
        };
        self.carry_out(work, misnamed).await
    }
}

/// Tells one node how it stands until it is gone.
struct Teller {
    node: String,
    service: Service,
    notices: mpsc::Sender<Result<TakeoverNotice, Status>>,
    /// Comes behind the next one.
    held_back: Option<TakeoverNotice>,
}

impl Teller {
    async fn tell(mut self) {
        let mut changes = self.service.ledger.changes();
        loop {
            let row = match self.row().await {
                Ok(row) => row,
                Err(status) => {
                    let _ = self.notices.send(Err(status)).await;
                    return;
                }
            };
            if !self.tell_once(&row).await {
                return;
            }
            let wait = match row.acknowledged < row.revision {
                true => AGAIN,
                false => ALIVE,
            };
            tokio::select! {
                () = self.notices.closed() => return,
                () = tokio::time::sleep(wait) => {}
                changed = changes.changed() => if changed.is_err() {
                    return;
                },
            }
        }
    }

    async fn row(&self) -> Result<Row, Status> {
        let (ledger, node) = (self.service.ledger.clone(), self.node.clone());
        let row = tokio::task::spawn_blocking(move || ledger.row(&node)).await;
        let row = row.map_err(|error| Status::internal(error.to_string()))?;
        row.map_err(|error| Status::internal(error.to_string()))
    }

    /// Tells a notice as the faults have it; whether there is more to be told on this stream.
    async fn tell_once(&mut self, row: &Row) -> bool {
        let notice = row.notice(&self.node);
        let fault = self.service.faults.next(Channel::Takeover);
        let mut goes_on = match fault.as_ref().map(|it| it.kind) {
            Some(Kind::Drop) => true,
            Some(Kind::Delay) => {
                let late_ms = fault.map_or(0, |it| it.delay_ms);
                tokio::time::sleep(Duration::from_millis(late_ms)).await;
                self.send(notice).await
            }
            Some(Kind::Duplicate) => self.send(notice.clone()).await && self.send(notice).await,
            Some(Kind::Reorder) if self.held_back.is_none() => {
                self.held_back = Some(notice);
                return true;
            }
            Some(Kind::HalfAnswer | Kind::Down) => {
                let broken = Status::unavailable("the stream breaks off");
                let _ = self.notices.send(Err(broken)).await;
                return false;
            }
            Some(Kind::WrongAnswer) => self.send(misnamed(notice)).await,
            Some(Kind::Reorder) | None => self.send(notice).await,
        };
        if let Some(late) = self.held_back.take() {
            goes_on = goes_on && self.send(late).await;
        }
        goes_on
    }

    async fn send(&self, notice: TakeoverNotice) -> bool {
        self.notices.send(Ok(notice)).await.is_ok()
    }
}
