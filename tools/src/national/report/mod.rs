//! The intake of reports: a gRPC server with TLS on both sides that takes each report once, checks
//! it in itself and against those before it, and shows which periods are missing.
//!
//! A node reports for itself alone: the certificate that it shows names it, as common name or DNS name.
//!
//! | module | holds |
//! |---|---|
//! | `intake` | what is taken, known or refused |
//! | `ledger` | which periods of which node are there |
//! | `settings` | where it listens, whom it trusts |
//!
//! Faults of the channel `report`: `drop` takes the report and never answers, `delay` and `reorder`
//! answer late, `duplicate` takes it twice, `half-answer` takes it and breaks off, `wrong-answer`
//! takes nothing and answers nonsense, `down` takes nothing.

mod intake;
mod ledger;
pub mod settings;

use std::net::SocketAddr;
use std::sync::Arc;

use axum::Json;
use axum::Router;
use axum::extract::{Query, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use idnode_proto::api::report_intake_service_server::{
    ReportIntakeService, ReportIntakeServiceServer,
};
use idnode_proto::api::{ReportVerdict, SubmitReportRequest, SubmitReportResponse};
use serde::Deserialize;
use serde_json::Value;
use tokio::net::TcpListener;
use tokio_stream::wrappers::TcpListenerStream;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Status};

use super::faults::{Channel, Faults};
use super::uplink::peer::is_shown;
use super::{Failure, Part, Shared, Started};
use intake::Intake;
use settings::ReportSettings;

/// Longest message, both ways, bytes.
const MESSAGE_LIMIT_BYTES: usize = 8 << 20;

/// Starts the intake.
///
/// # Errors
/// A file can't be read, or the address can't be had.
pub async fn start(shared: &Shared, settings: &ReportSettings) -> Result<Started, Failure> {
    let read = |path: &Option<std::path::PathBuf>, flag: &str| -> Result<Vec<u8>, Failure> {
        let path = path.as_ref().ok_or_else(|| format!("{flag} is missing"))?;
        Ok(std::fs::read(path).map_err(|error| format!("{}: {error}", path.display()))?)
    };
    let certificate = read(&settings.report_certificate, "--report-certificate")?;
    let key = read(&settings.report_key, "--report-key")?;
    let authority = read(&settings.report_authority, "--report-authority")?;
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(certificate, key))
        .client_ca_root(Certificate::from_pem(authority));
    let address = settings.listen_report.ok_or("--listen-report is missing")?;
    let listener = TcpListener::bind(address).await?;
    let at: SocketAddr = listener.local_addr()?;
    let desk = Desk {
        intake: Arc::new(Intake::new(shared.book.clone())),
        faults: shared.faults.clone(),
    };
    let service = ReportIntakeServiceServer::new(desk.clone())
        .max_decoding_message_size(MESSAGE_LIMIT_BYTES)
        .max_encoding_message_size(MESSAGE_LIMIT_BYTES);
    let server = Server::builder().tls_config(tls)?.add_service(service);
    let serving = async move {
        let served = server.serve_with_incoming(TcpListenerStream::new(listener));
        if let Err(error) = served.await {
            eprintln!("idnational: the intake of reports ended: {error}");
        }
    };
    Ok(Started {
        part: Arc::new(desk),
        addresses: vec![("report", at)],
        tasks: vec![Box::pin(serving)],
    })
}

#[derive(Debug, Clone)]
struct Desk {
    intake: Arc<Intake>,
    faults: Arc<Faults>,
}

impl Desk {
    async fn take(&self, request: SubmitReportRequest) -> Result<SubmitReportResponse, Status> {
        let report = request.report;
        let report = report.ok_or_else(|| Status::invalid_argument("no report"))?;
        let intake = self.intake.clone();
        let taken = tokio::task::spawn_blocking(move || intake.take(&report)).await;
        let taken = taken.map_err(|error| Status::internal(error.to_string()))?;
        taken.map_err(|error| Status::internal(error.to_string()))
    }
}

#[tonic::async_trait]
impl ReportIntakeService for Desk {
    async fn submit_report(
        &self,
        request: Request<SubmitReportRequest>,
    ) -> Result<tonic::Response<SubmitReportResponse>, Status> {
        if let Some(report) = &request.get_ref().report {
            is_shown(&request, &report.node)?;
        }
        let request = request.into_inner();
        let wrong = SubmitReportResponse {
            verdict: ReportVerdict::Unspecified.into(),
            ..SubmitReportResponse::default()
        };
        let take = || self.take(request.clone());
        let answer = self.faults.call(Channel::Report, take, wrong).await?;
        Ok(tonic::Response::new(answer))
    }
}

impl Part for Desk {
    fn name(&self) -> &'static str {
        "report"
    }

    fn status(&self) -> Result<Value, Failure> {
        self.intake.status()
    }

    fn section(&self) -> Result<String, Failure> {
        self.intake.section()
    }

    fn routes(&self) -> Router {
        Router::new()
            .route("/report", get(document))
            .with_state(self.intake.clone())
    }
}

/// Which report is asked for.
#[derive(Debug, Deserialize)]
struct Wanted {
    node: String,
    key: String,
}

/// `GET /report?node=…&key=…`: a report that was taken.
async fn document(State(intake): State<Arc<Intake>>, Query(wanted): Query<Wanted>) -> Response {
    match intake.document(&wanted.node, &wanted.key) {
        Ok(Some(document)) => Json(document).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(error) => (StatusCode::INTERNAL_SERVER_ERROR, error.to_string()).into_response(),
    }
}
