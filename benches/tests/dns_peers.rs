//! `benches/dns-peers` on a small scale: the script, the bare loop, `idbench` and `idnode` work
//! together, and the bare loop answers what the node answers. No peer is downloaded for it.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn a_small_run_gives_a_table_a_chart_and_figures() {
    let bare = Path::new(env!("CARGO_BIN_EXE_dns_bare"));
    let out = tempfile::tempdir().unwrap();
    let done = Command::new("python3")
        .arg("dns-peers/dns-peers")
        .args([
            "--quick",
            "--servers",
            "bare,idnode",
            "--cases",
            "udp,different,tcp,latency,start,storm,reload",
        ])
        .arg("--bin-dir")
        .arg(bare.parent().unwrap())
        .arg("--out")
        .arg(out.path())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&done.stderr);
    let stdout = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{stdout}{stderr}");

    let read = |name: &str| std::fs::read_to_string(out.path().join(name)).unwrap();
    let figures: Value = serde_json::from_str(&read("dns-peers.json")).unwrap();
    let cases = figures["cases"].as_array().unwrap();
    assert_eq!(cases.len(), 7, "{stdout}");
    let rows = |case: usize| cases[case][1].as_array().unwrap();
    for (case, servers) in [2, 1, 1].into_iter().enumerate() {
        assert_eq!(rows(case).len(), servers, "{stdout}");
        for row in rows(case) {
            assert!(row["cpu_us"].as_f64().unwrap() > 0.1, "{row}");
            assert!(row["qps"].as_f64().unwrap() > 100.0, "{row}");
            assert_eq!(row["lost"], 0, "{row}");
            assert!(row["resident_mb"].as_f64().unwrap() > 1.0, "{row}");
        }
    }
    for row in rows(0).iter().chain(rows(3)) {
        let missing = row["nxdomain_share"].as_f64().unwrap();
        assert!((0.03..0.07).contains(&missing), "{row}");
    }
    for row in rows(3).iter().chain(rows(5)).chain(rows(6)) {
        let p99 = row["p99_us"].as_f64().unwrap();
        assert!(
            0.0 < p99 && p99 <= row["p999_us"].as_f64().unwrap(),
            "{row}"
        );
    }
    // After a clean stop, without files in memory, after kill -9 at rest and amid an import.
    assert_eq!(rows(4).len(), 4, "{stdout}");
    for row in rows(4) {
        assert!(row["start_s"].as_f64().unwrap() > 0.0, "{row}");
    }
    for case in [5, 6] {
        assert_eq!(rows(case).len(), 2, "{stdout}");
        assert_eq!(
            rows(case)[1]["amounts"].as_array().unwrap().len(),
            1,
            "{stdout}"
        );
    }
    assert!(stdout.contains("answers compared"), "{stdout}");
    assert!(read("dns-peers.md").contains("| bare loop |"));
    assert!(read("dns-peers.svg").ends_with("</svg>\n"));
}
