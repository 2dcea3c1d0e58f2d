//! `idbench` as a process, against a stand-in DNS server that answers, drops, stalls and lies as
//! a test wants: what the generator sends, counts, measures and exits with.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod server;

use std::io::Write as _;
use std::process::{Command, Output};
use std::time::Duration;

use serde_json::Value;

use server::{Behaviour, Server};

/// Three questions; names that begin with `no` do not exist, as the stand-in sees it.
const NAMES: &str = "a.example. NAPTR\nb.example. TXT\nno.example. NAPTR\n";

fn names(text: &str) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn idbench(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_idbench"))
        .env_clear()
        .arg("dns")
        .args(arguments)
        .output()
        .unwrap()
}

/// A run that comes to its end; its JSON document.
fn ask(server: &Server, arguments: &[&str]) -> Value {
    let file = names(NAMES);
    let address = server.address.to_string();
    let path = file.path().to_str().unwrap();
    let mut all = vec!["--json", "--server", &address, "--names", path];
    all.extend(arguments);
    let output = idbench(&all);
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

fn number(document: &Value, pointer: &str) -> f64 {
    let value = document.pointer(pointer);
    value
        .and_then(Value::as_f64)
        .unwrap_or_else(|| panic!("no {pointer} in {document}"))
}

#[test]
fn a_closed_loop_counts_what_was_answered_dropped_and_denied() {
    let server = Server::udp(Behaviour {
        drop_every: Some(10),
        ..Behaviour::default()
    });
    let done = ask(
        &server,
        &[
            "--queries",
            "3000",
            "--order",
            "file",
            "--timeout-ms",
            "200",
            "--in-flight",
            "50",
        ],
    );
    assert_eq!(number(&done, "/sent"), 3000.0, "{done}");
    assert_eq!(number(&done, "/lost"), 300.0, "{done}");
    assert_eq!(number(&done, "/answered"), 2700.0, "{done}");
    let denied = number(&done, "/rcodes/NXDOMAIN");
    assert_eq!(denied + number(&done, "/rcodes/NOERROR"), 2700.0, "{done}");
    assert!((850.0..=950.0).contains(&denied), "{done}");
    assert_eq!(number(&done, "/mismatched"), 0.0, "{done}");
    assert_eq!(number(&done, "/unexpected"), 0.0, "{done}");
    assert_eq!(number(&done, "/answer_bytes"), server.bytes_sent() as f64);
    assert!(number(&done, "/latency_us/p50") <= number(&done, "/latency_us/p99"));
}

#[test]
fn answers_are_written_by_question() {
    let server = Server::udp(Behaviour {
        drop_every: Some(3),
        ..Behaviour::default()
    });
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("answers");
    let file = path.to_str().unwrap();
    let one_by_one = ["--order", "file", "--in-flight", "1", "--connections", "1"];
    // The stand-in repeats the OPT record. Every third query is dropped: which question that is
    // depends on where the file is begun.
    for (skip, answers) in [
        ("0", "0 NOERROR 0 0 1\n1 NOERROR 0 0 1\n"),
        ("1", "1 NOERROR 0 0 1\n2 NXDOMAIN 0 0 1\n"),
    ] {
        let rest = ["--timeout-ms", "100", "--queries", "6", "--skip", skip];
        let all = [&one_by_one[..], &rest, &["--answers", file]].concat();
        ask(&server, &all);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), answers);
    }
}

#[test]
fn a_closed_loop_has_no_more_in_flight_than_it_was_told() {
    let server = Server::udp(Behaviour {
        hold: Some(7),
        ..Behaviour::default()
    });
    let done = ask(
        &server,
        &[
            "--queries",
            "70",
            "--in-flight",
            "7",
            "--connections",
            "1",
            "--timeout-ms",
            "5000",
        ],
    );
    assert_eq!(number(&done, "/answered"), 70.0, "{done}");
    assert_eq!(server.most_held(), 7);
}

#[test]
fn a_stall_shows_in_the_latency_of_everything_that_was_due_during_it() {
    let server = Server::udp(Behaviour {
        stall: Some((Duration::from_millis(300), Duration::from_millis(500))),
        ..Behaviour::default()
    });
    let done = ask(
        &server,
        &["--rate", "1000", "--seconds", "1", "--in-flight", "10"],
    );
    // With ten in flight the client itself is held up: nothing of it may go unseen.
    assert_eq!(number(&done, "/sent"), 1000.0, "{done}");
    assert_eq!(number(&done, "/lost"), 0.0, "{done}");
    assert!(number(&done, "/latency_us/max") > 400_000.0, "{done}");
    assert!(number(&done, "/latency_us/p90") > 200_000.0, "{done}");
}

#[test]
fn lies_are_told_from_answers() {
    let server = Server::udp(Behaviour {
        lie: true,
        ..Behaviour::default()
    });
    let done = ask(
        &server,
        &["--queries", "100", "--in-flight", "1", "--order", "file"],
    );
    assert_eq!(number(&done, "/answered"), 100.0, "{done}");
    assert_eq!(number(&done, "/mismatched"), 100.0, "{done}");
    // Each comes twice; the last one's double comes after the end.
    assert!(number(&done, "/unexpected") >= 99.0, "{done}");
}

#[test]
fn several_threads_share_the_work_and_the_cpu_time_is_the_servers() {
    let server = Server::udp(Behaviour::default());
    let pid = std::process::id().to_string();
    let arguments = ["--threads", "3", "--queries", "30001", "--warmup", "0.1"];
    let done = ask(&server, &[&arguments[..], &["--server-pid", &pid]].concat());
    assert_eq!(number(&done, "/answered"), 30001.0, "{done}");
    let per_query = number(&done, "/server_cpu_us_per_query");
    assert!((0.2..1000.0).contains(&per_query), "{done}");
}

#[test]
fn tcp_is_pipelined_and_survives_that_the_server_closes() {
    let server = Server::tcp(Behaviour {
        close_after: Some(100),
        ..Behaviour::default()
    });
    let arguments = [
        "--transport",
        "tcp",
        "--queries",
        "1000",
        "--connections",
        "2",
    ];
    let done = ask(&server, &[&arguments[..], &["--in-flight", "20"]].concat());
    assert_eq!(number(&done, "/sent"), 1000.0, "{done}");
    let answered = number(&done, "/answered");
    assert_eq!(answered + number(&done, "/lost"), 1000.0, "{done}");
    assert!(answered >= 800.0, "{done}");
    assert!(number(&done, "/reconnects") >= 7.0, "{done}");
    assert!(server.most_held() > 1, "not pipelined");
}

#[test]
fn tcp_by_the_clock_keeps_the_rate() {
    let server = Server::tcp(Behaviour::default());
    let arguments = ["--transport", "tcp", "--rate", "2000", "--seconds", "0.5"];
    let done = ask(&server, &arguments);
    assert_eq!(number(&done, "/sent"), 1000.0, "{done}");
    assert_eq!(number(&done, "/answered"), 1000.0, "{done}");
}

#[test]
fn people_get_a_table() {
    let server = Server::udp(Behaviour::default());
    let file = names(NAMES);
    let path = file.path().to_str().unwrap();
    let address = server.address.to_string();
    let output = idbench(&["--server", &address, "--names", path, "--queries", "10"]);
    let text = String::from_utf8(output.stdout).unwrap();
    for row in [
        "closed loop",
        "NOERROR",
        "p99.9 us",
        "answers/s",
        "bytes/answer",
    ] {
        assert!(text.contains(row), "{row} in {text}");
    }
}

#[test]
fn what_cannot_be_done_is_said() {
    let file = names("a.example. NAPTR\nb.example.\n");
    let path = file.path().to_str().unwrap();
    for (arguments, status, reason) in [
        (
            vec!["--server", "127.0.0.1:9", "--names", path],
            2,
            "line 2: not a name and a type",
        ),
        (
            vec!["--server", "127.0.0.1:9", "--names", "/nowhere"],
            2,
            "/nowhere: ",
        ),
        (
            vec!["--server", "127.0.0.1", "--names", path],
            2,
            "--server",
        ),
        (
            vec!["--server", "127.0.0.1:9", "--names", path, "--rate", "0"],
            2,
            "not above 0",
        ),
    ] {
        let output = idbench(&arguments);
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(status), "{stderr}");
        assert!(stderr.contains(reason), "{reason} in {stderr}");
    }
}

#[test]
fn a_server_that_is_not_there_ends_the_run() {
    let file = names(NAMES);
    let path = file.path().to_str().unwrap();
    // A port that was free a moment ago.
    let address = Server::udp(Behaviour::default()).address.to_string();
    for transport in ["udp", "tcp"] {
        let arguments = [
            "--server",
            &address,
            "--names",
            path,
            "--transport",
            transport,
        ];
        let output = idbench(&[&arguments[..], &["--seconds", "5"]].concat());
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{stderr}");
        assert!(stderr.contains("refused"), "{stderr}");
    }
}
