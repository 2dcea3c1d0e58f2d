//! `benches/mixed-load` on a small scale: a real node under reads, writes, transfers and malformed
//! packets answers everything rightly.
#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[test]
fn a_few_seconds_of_everything_are_answered_rightly() {
    let bare = Path::new(env!("CARGO_BIN_EXE_dns_bare"));
    let done = Command::new("python3")
        .arg("mixed-load/mixed-load")
        .args(["--seconds", "8", "--identifiers", "3000", "--absent", "300"])
        .args(["--rate", "4000", "--writes", "100", "--transfer-every", "1"])
        .args(["--json", "--bin-dir"])
        .arg(bare.parent().unwrap())
        .output()
        .unwrap();
    let stderr = String::from_utf8_lossy(&done.stderr);
    let stdout = String::from_utf8_lossy(&done.stdout);
    assert!(done.status.success(), "{stdout}{stderr}");

    let outcome: Value = serde_json::from_str(&stdout).unwrap();
    let number = |pointer: &str| outcome.pointer(pointer).unwrap().as_f64().unwrap();
    assert!(number("/answers") > 28_000.0, "{outcome}");
    assert!(number("/malformed_answered") > 500.0, "{outcome}");
    assert!(number("/asked_during_a_write") > 0.0, "{outcome}");
    for kind in ["creates", "updates", "deletes"] {
        assert!(number(&format!("/writes/{kind}")) > 0.0, "{outcome}");
    }
    assert!(number("/transfers/axfr") >= 2.0, "{outcome}");
    assert!(number("/transfers/ixfr") >= 2.0, "{outcome}");
    assert_eq!(number("/at_the_end/identifiers_asked"), 3300.0, "{outcome}");
}
