//! A server of reports that is at odds with one of them, or away.

use std::collections::HashSet;
use std::sync::{Arc, Mutex};

use idnode_proto::api::report_intake_service_server::{
    ReportIntakeService, ReportIntakeServiceServer,
};
use idnode_proto::api::{ReportVerdict, SubmitReportRequest, SubmitReportResponse};
use idnode_tests::run::until;
use serde_json::Value;
use tokio::runtime::Runtime;
use tonic::transport::{Certificate, Identity, Server, ServerTlsConfig};
use tonic::{Request, Response, Status};

use super::world::*;

/// What has come, and what is answered.
#[derive(Default)]
struct Desk {
    /// Every attempt, by key.
    came: Vec<String>,
    taken: HashSet<String>,
    /// Answered by an error of the server's, always.
    unfit: Option<String>,
    /// Answered that the server is away.
    is_away: bool,
}

#[derive(Clone, Default)]
struct Stubborn(Arc<Mutex<Desk>>);

#[tonic::async_trait]
impl ReportIntakeService for Stubborn {
    async fn submit_report(
        &self,
        request: Request<SubmitReportRequest>,
    ) -> Result<Response<SubmitReportResponse>, Status> {
        let key = request.into_inner().report.unwrap_or_default().key;
        let mut desk = self.0.lock().unwrap();
        desk.came.push(key.clone());
        if desk.is_away {
            return Err(Status::unavailable("away"));
        }
        if desk.unfit.as_ref() == Some(&key) {
            return Err(Status::internal("no room in the table"));
        }
        let verdict = match desk.taken.insert(key) {
            true => ReportVerdict::Taken,
            false => ReportVerdict::Known,
        };
        Ok(Response::new(SubmitReportResponse {
            verdict: verdict.into(),
            ..SubmitReportResponse::default()
        }))
    }
}

/// Serves until the runtime is dropped.
fn serve(world: &World, desk: &Stubborn) -> Runtime {
    let runtime = Runtime::new().unwrap();
    let tls = ServerTlsConfig::new()
        .identity(Identity::from_pem(
            read(&world.files.certificate),
            read(&world.files.key),
        ))
        .client_ca_root(Certificate::from_pem(read(&world.files.authority)));
    let server = Server::builder().tls_config(tls).unwrap();
    let service = ReportIntakeServiceServer::new(desk.clone());
    let at = world.at().parse().unwrap();
    runtime.spawn(async move {
        let mut server = server;
        server.add_service(service).serve(at).await.unwrap();
    });
    runtime
}

#[test]
fn one_that_is_always_answered_by_an_error_holds_up_no_other() {
    not_at_midnight();
    let world = World::new();
    let node = world.node(0);
    world.register(&node);
    node.stop();
    let desk = Stubborn::default();
    let unfit = statistics(day(0));
    desk.0.lock().unwrap().unfit = Some(unfit.clone());
    let _server = serve(&world, &desk);
    // Two days' reports are owed.
    let node = world.node(2 * DAY_S);
    let operator = world.operator(&node);
    let last = statistics(day(DAY_S));
    until("what is behind it is taken", || {
        let desk = desk.0.lock().unwrap();
        [&last, &last_hour(2 * DAY_S)]
            .iter()
            .all(|it| desk.taken.contains(*it))
    });
    let channel = || operator.json(&["upward", "status"])["channels"][0].clone();
    until("it alone is owed, and set aside", || {
        let channel = channel();
        channel["backlog"] == 1 && channel["aside"] == 1
    });
    let told = channel();
    assert_eq!(told["state"], "up", "{told}");
    let error = told["last_error"].as_str().unwrap();
    assert!(
        error.contains(&unfit) && error.contains("no room"),
        "{error}"
    );
    let row = report(&operator, &unfit);
    assert_eq!(row["state"], "pending");
    assert_ne!(row["aside_until"], Value::Null, "{row}");
    assert!(row["last_error"].as_str().unwrap().contains("no room"));
    // It is tried again by itself, over a restart too, and counts once.
    let tries = |desk: &Stubborn| {
        let desk = desk.0.lock().unwrap();
        desk.came.iter().filter(|it| **it == unfit).count()
    };
    let before = tries(&desk);
    until("it is tried again", || tries(&desk) > before);
    drop(node);
    let node = world.node(2 * DAY_S);
    let operator = world.operator(&node);
    let before = tries(&desk);
    until("it is tried again", || tries(&desk) > before + 1);
    desk.0.lock().unwrap().unfit = None;
    until("it is taken", || {
        let status = operator.json(&["upward", "status"]);
        status["channels"][0]["backlog"] == 0 && status["channels"][0]["aside"] == 0
    });
    let desk = desk.0.lock().unwrap();
    assert!(desk.taken.contains(&unfit));
    // Each of the others was sent once, and all that were made were taken.
    let others = desk.came.iter().filter(|it| **it != unfit).count();
    assert_eq!(others, desk.taken.len() - 1);
    let made = reports(&operator);
    assert!(made.iter().all(|it| it["state"] == "taken"), "{made:?}");
    assert_eq!(made.len(), desk.taken.len());
}

#[test]
fn a_server_that_is_away_gets_all_of_it_in_order() {
    not_at_midnight();
    let world = World::new();
    let node = world.node(0);
    world.register(&node);
    node.stop();
    let desk = Stubborn::default();
    desk.0.lock().unwrap().is_away = true;
    let _server = serve(&world, &desk);
    let node = world.node(DAY_S);
    let operator = world.operator(&node);
    until("it was asked many times", || {
        desk.0.lock().unwrap().came.len() > 6
    });
    let first = desk.0.lock().unwrap().came[0].clone();
    let channel = operator.json(&["upward", "status"])["channels"][0].clone();
    assert_eq!(
        (&channel["state"], &channel["aside"]),
        (&"down".into(), &0.into())
    );
    {
        let mut desk = desk.0.lock().unwrap();
        assert!(desk.came.iter().all(|it| *it == first), "{:?}", desk.came);
        desk.is_away = false;
    }
    until("all of it is taken", || {
        operator.json(&["upward", "status"])["channels"][0]["backlog"] == 0
    });
    let desk = desk.0.lock().unwrap();
    let mut came = desk.came.clone();
    came.dedup();
    assert_eq!(
        came.len(),
        desk.taken.len(),
        "each once, one after the other"
    );
}
