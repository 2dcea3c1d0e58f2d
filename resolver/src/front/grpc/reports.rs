//! ReportService: what was reported to the national node, for the operator alone.

use super::call::Api;
use super::status::Result;
use idnode_proto::api::report_service_server::ReportService;
use idnode_proto::api::{self, ReportKind, ReportState};
use idnode_proto::report::Kind;
use idnode_registry::upward::report::Reports;
use idnode_registry::{Caller, Error, Object};
use std::sync::Arc;
use tonic::{Request, Response, Status};

/// Rows of a page, if the caller does not say.
const PAGE: usize = 100;
/// Most rows of a page.
const MAX_PAGE: usize = 1_000;

#[tonic::async_trait]
impl ReportService for Api {
    async fn list_reports(
        &self,
        request: Request<api::ListReportsRequest>,
    ) -> std::result::Result<Response<api::ListReportsResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            let kind = Kind::of_message(request.kind());
            let state = Some(request.state()).filter(|it| *it != ReportState::Unspecified);
            known(request.kind, |it| ReportKind::try_from(it).is_ok(), "kind")?;
            known(
                request.state,
                |it| ReportState::try_from(it).is_ok(),
                "state",
            )?;
            let (size, after) = (page_size(request.page_size)?, request.page_token);
            on_reports(api, &caller, move |reports| {
                let listed = reports.outbox().list(kind, state, &after, size)?;
                let (pending, refused) = reports.outbox().counts();
                Ok(api::ListReportsResponse {
                    reports: listed.rows,
                    next_page_token: listed.next.unwrap_or_default(),
                    pending,
                    refused,
                    aside: reports.outbox().aside(),
                })
            })
            .await
        })
        .await
    }

    async fn get_report(
        &self,
        request: Request<api::GetReportRequest>,
    ) -> std::result::Result<Response<api::ReportRow>, Status> {
        self.unary(request, |api, caller, request| async move {
            on_reports(api, &caller, move |reports| {
                let row = reports.outbox().get(&request.key)?;
                row.ok_or_else(|| no_report(&request.key))
            })
            .await
        })
        .await
    }

    async fn resend_report(
        &self,
        request: Request<api::GetReportRequest>,
    ) -> std::result::Result<Response<api::ReportRow>, Status> {
        self.unary(request, |api, caller, request| async move {
            on_reports(api, &caller, move |reports| {
                let known = reports.outbox().get(&request.key)?;
                known.ok_or_else(|| no_report(&request.key))?;
                reports.resend(&request.key)?.ok_or_else(|| Error::State {
                    object: Object::Report,
                    name: request.key.clone(),
                    reason: "is not refused".to_owned(),
                })
            })
            .await
        })
        .await
    }

    async fn list_fault_events(
        &self,
        request: Request<api::ListFaultEventsRequest>,
    ) -> std::result::Result<Response<api::ListFaultEventsResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            let size = page_size(request.page_size)?;
            on_reports(api, &caller, move |reports| {
                Ok(api::ListFaultEventsResponse {
                    events: reports.events().newest(size)?,
                    checks: reports.checks(),
                })
            })
            .await
        })
        .await
    }
}

/// Works on the reports, for the operator, on a thread where waiting for the disk hurts nobody.
async fn on_reports<T: Send + 'static>(
    api: Api,
    caller: &Caller,
    work: impl FnOnce(&Reports) -> idnode_registry::Result<T> + Send + 'static,
) -> Result<T> {
    caller.require_operator("reports to the national node")?;
    let off = || {
        Error::invalid(
            "upward.report.server",
            "is not set: the node does not report",
        )
    };
    let reports: Arc<Reports> = api.core.uplink.reports().cloned().ok_or_else(off)?;
    let lost = |_| Error::Storage("work on reports ended without a result".into());
    Ok(tokio::task::spawn_blocking(move || work(&reports))
        .await
        .map_err(lost)??)
}

fn no_report(key: &str) -> Error {
    Error::not_found(Object::Report, key)
}

fn page_size(asked: u32) -> Result<usize> {
    match asked as usize {
        0 => Ok(PAGE),
        size if size <= MAX_PAGE => Ok(size),
        size => {
            let reason = format!("{size} is more than {MAX_PAGE}");
            Err(Error::invalid("page_size", reason).into())
        }
    }
}

fn known(number: i32, is_known: impl Fn(i32) -> bool, field: &str) -> Result<()> {
    match is_known(number) {
        true => Ok(()),
        false => Err(Error::invalid(field, format!("there is no {number}")).into()),
    }
}
