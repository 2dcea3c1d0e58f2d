//! The intake takes what is right, knows what it has, and says precisely what is wrong.

use super::world::*;
use crate::dns_transports::world::Files;
use idnode_proto::api::report::Body;
use idnode_proto::api::report_intake_service_client::ReportIntakeServiceClient;
use idnode_proto::api::{PrefixDay, Report, ReportVerdict, Scheme, SubmitReportRequest};
use idnode_proto::report::{Kind, Period, ReportKey};
use serde_json::json;
use tokio::runtime::Runtime;
use tonic::Code;
use tonic::transport::{Certificate, Channel, ClientTlsConfig, Endpoint, Identity};

fn statistics_of(day: &str, before: u64, new: u64, total: u64) -> Report {
    let period = Period::parse(day).unwrap();
    let key = ReportKey::of_period(Kind::Statistics, period, PREFIX);
    let mut report = key.report(NODE, period.ends_ms(), 0);
    report.body = Some(Body::Statistics(PrefixDay {
        prefix: PREFIX.to_owned(),
        scheme: Scheme::Handle.into(),
        new_identifiers: new,
        identifiers: total,
        identifiers_before: before,
        queries: 3,
        successes: 3,
        sampled_one_in: 1.0,
        source_capacity: 128,
        ..PrefixDay::default()
    }));
    report
}

async fn connect(
    files: &Files,
    at: &str,
    with_certificate: bool,
) -> Result<Channel, tonic::transport::Error> {
    let mut tls = ClientTlsConfig::new()
        .ca_certificate(Certificate::from_pem(read(&files.authority)))
        .domain_name("127.0.0.1");
    if with_certificate {
        let certificate = read(&files.certificate);
        tls = tls.identity(Identity::from_pem(certificate, read(&files.key)));
    }
    Endpoint::from_shared(format!("https://{at}"))?
        .tls_config(tls)?
        .connect()
        .await
}

#[test]
fn a_node_reports_for_itself_alone() {
    let mut world = World::new();
    let national = world.national();
    let at = national.at("report").to_string();
    // Of the same authority, and of another node.
    let other = world.files_of("datong");
    Runtime::new().unwrap().block_on(async {
        let as_node = async |files: &Files, node: &str| {
            let channel = connect(files, &at, true).await.unwrap();
            let mut report = statistics_of("2026-03-01", 10, 5, 15);
            report.node = node.to_owned();
            let request = SubmitReportRequest {
                report: Some(report),
            };
            let answer = ReportIntakeServiceClient::new(channel)
                .submit_report(request)
                .await;
            answer
                .map(|it| it.into_inner().verdict())
                .map_err(|status| status.code())
        };
        assert_eq!(as_node(&other, NODE).await, Err(Code::PermissionDenied));
        assert_eq!(
            as_node(&world.files, "datong").await,
            Err(Code::PermissionDenied)
        );
        assert_eq!(as_node(&world.files, "").await, Err(Code::PermissionDenied));
        assert_eq!(as_node(&world.files, NODE).await, Ok(ReportVerdict::Taken));
        assert_eq!(as_node(&other, "datong").await, Ok(ReportVerdict::Taken));
    });
    let nodes = national.status()["report"]["nodes"].clone();
    let nodes: Vec<_> = nodes.as_object().unwrap().keys().cloned().collect();
    assert_eq!(nodes, ["datong", NODE]);
}

#[test]
fn reports_are_checked_in_themselves_and_against_those_before() {
    let mut world = World::new();
    let national = world.national();
    let at = national.at("report").to_string();
    Runtime::new().unwrap().block_on(async {
        let channel = connect(&world.files, &at, true).await.unwrap();
        let client = ReportIntakeServiceClient::new(channel);
        let submit = |report: Report| {
            let mut client = client.clone();
            async move {
                let request = SubmitReportRequest {
                    report: Some(report),
                };
                let answer = client.submit_report(request).await.unwrap().into_inner();
                (answer.verdict(), answer.field, answer.reason)
            }
        };
        let good = statistics_of("2026-03-01", 10, 5, 15);
        assert_eq!(submit(good.clone()).await.0, ReportVerdict::Taken);
        assert_eq!(submit(good).await.0, ReportVerdict::Known);
        // The same key with other numbers is known, too: it counts once.
        assert_eq!(
            submit(statistics_of("2026-03-01", 0, 1, 1)).await.0,
            ReportVerdict::Known
        );
        let (verdict, field, reason) = submit(statistics_of("2026-03-02", 15, 5, 21)).await;
        assert_eq!(
            (verdict, &*field),
            (ReportVerdict::Refused, "statistics.identifiers")
        );
        assert_eq!(reason, "15 before, 5 new and 0 deleted make 20, not 21");
        let (verdict, field, reason) = submit(statistics_of("2026-03-02", 16, 5, 21)).await;
        let expected = (ReportVerdict::Refused, "statistics.identifiers_before");
        assert_eq!((verdict, &*field), expected);
        assert_eq!(reason, "is 16, and the period before has ended with 15");
        assert_eq!(
            submit(statistics_of("2026-03-04", 20, 0, 20)).await.0,
            ReportVerdict::Taken
        );
        // Who shows no certificate is not heard: the handshake, or the first call, fails.
        if let Ok(channel) = connect(&world.files, &at, false).await {
            let mut client = ReportIntakeServiceClient::new(channel);
            let request = SubmitReportRequest {
                report: Some(statistics_of("2026-03-05", 20, 0, 20)),
            };
            client.submit_report(request).await.unwrap_err();
        }
    });
    let status = &national.status()["report"];
    let line = &status["nodes"][NODE]["statistics"];
    let missing = line["missing"].as_array().unwrap();
    assert_eq!(
        missing[..2],
        [json!("2026-03-02"), json!("2026-03-03")],
        "the 5th is open or missing, too"
    );
    assert_eq!(line["taken"], 2);
    assert_eq!(
        status["refused"][0]["field"],
        "statistics.identifiers_before"
    );
    assert_eq!(
        taken(&national, "statistics/2026-03-01/88.118.8")["times"],
        3
    );
    let (code, _, page) = idnode_tests::run::curl(&national.url("/"), &[]);
    assert_eq!(code, 200);
    assert!(
        page.contains("2026-03-03") && page.contains("statistics.identifiers_before"),
        "{page}"
    );
}
