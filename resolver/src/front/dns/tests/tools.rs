//! The same node as `dig` (BIND) and `kdig` (Knot) see it.

use super::harness::*;
use std::net::SocketAddr;
use std::process::Command;

async fn run(program: &'static str, addr: SocketAddr, arguments: &str) -> String {
    let arguments = arguments.to_owned();
    let output = tokio::task::spawn_blocking(move || {
        let mut command = Command::new(program);
        command
            .arg("@127.0.0.1")
            .arg("-p")
            .arg(addr.port().to_string());
        command
            .args(arguments.split(' '))
            .args(["+retry=0", "+timeout=5"])
            .output()
    })
    .await
    .unwrap();
    let output = output.unwrap_or_else(|error| {
        panic!("{program}: {error}; install bind9-dnsutils and knot-dnsutils")
    });
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(
        output.status.success(),
        "{program}: {text}{}",
        String::from_utf8_lossy(&output.stderr)
    );
    text
}

/// What both programs print has to hold all of these, and none of those.
async fn both(node: &Node, arguments: &str, holds: &[&str], holds_not: &[&str]) {
    for program in ["dig", "kdig"] {
        let text = run(program, node.addr, arguments).await.replace("; ", ";");
        for part in holds {
            assert!(
                text.contains(part),
                "{program} {arguments}: no {part:?} in\n{text}"
            );
        }
        for part in [";WARNING", ";Warning", "malformed", "Got bad"]
            .iter()
            .chain(holds_not)
        {
            assert!(
                !text.contains(part),
                "{program} {arguments}: {part:?} in\n{text}"
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn records_as_others_read_them() {
    let node = Node::start().await;
    let name = HANDLE_NAME;
    for (arguments, expected) in [
        (
            format!("+short +norecurse {name} TXT"),
            "\"index=1 type=URL data=https://example.cn/JXDY2106023\"",
        ),
        (
            format!("+short +norecurse {name} URI"),
            "1 1 \"https://example.cn/JXDY2106023\"",
        ),
        (
            format!("+short +norecurse {name} NAPTR"),
            "100 1 \"U\" \"https+I2R\" \"!^.*$!https://example.cn/JXDY2106023!\" .",
        ),
        (format!("+short +norecurse {name} A"), "192.0.2.7"),
        (format!("+short +norecurse {name} AAAA"), "2001:db8::7"),
        (
            format!("+short +norecurse {} NAPTR", node.ors("1.2.156.3001.5.6")),
            "\"ORS+COID\" \"!^.*$!/1/2/156/3001/5/6!\" .",
        ),
        (
            format!("+short +norecurse {} NAPTR", node.ons("gtin:9506000134352")),
            "\"https://gs1.org/voc/pip\"",
        ),
        (
            format!("+short +norecurse {ZONE} SOA"),
            "ns1.id.example.cn. hostmaster.id.example.cn.",
        ),
        (format!("+short +norecurse {ZONE} NS"), "ns1.id.example.cn."),
        (
            format!("+short +norecurse {} TXT", node.name(UTF8_HANDLE)),
            "\"identifier=88.118.8/\\230\\184\\169\\229\\186\\166\"",
        ),
    ] {
        both(&node, &arguments, &[expected], &[]).await;
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn status_and_flags_as_others_read_them() {
    let node = Node::start().await;
    let gone = node.name("88.118.8/gone");
    both(
        &node,
        &format!("+norecurse {HANDLE_NAME} A"),
        &["NOERROR", "qr aa"],
        &[" ra"],
    )
    .await;
    both(
        &node,
        "+norecurse nothing.88-118-8.hdl.id.example.cn. A",
        &["NXDOMAIN", "qr aa", "SOA"],
        &[],
    )
    .await;
    both(
        &node,
        "+norecurse hdl.id.example.cn. A",
        &["NOERROR", "qr aa", "SOA"],
        &[],
    )
    .await;
    both(
        &node,
        &format!("+norecurse +edns=0 {gone} A"),
        &["NXDOMAIN", "deleted: withdrawn"],
        &[],
    )
    .await;
    both(
        &node,
        "+norecurse example.com. A",
        &["REFUSED"],
        &["qr aa", "SOA"],
    )
    .await;
    both(&node, "+norecurse CH version.bind. TXT", &["REFUSED"], &[]).await;
    both(
        &node,
        "+norecurse any.88-118-11.hdl.id.example.cn. A",
        &[
            "NOERROR",
            "88-118-11.hdl.id.example.cn.",
            "ns1.factory.example.",
            "192.0.2.11",
            "2001:db8::11",
        ],
        &["qr aa"],
    )
    .await;
    for (program, arguments) in [("dig", "+edns=1 +noednsneg"), ("kdig", "+edns=1")] {
        let text = run(
            program,
            node.addr,
            &format!("+norecurse {arguments} {HANDLE_NAME} A"),
        )
        .await;
        assert!(text.contains("BADVERS"), "{text}");
    }
    node.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn truncated_answers_are_asked_again_over_tcp() {
    let node = Node::start().await;
    let name = node.name("88.118.8/hundred");
    both(
        &node,
        &format!("+norecurse +bufsize=1232 {name} TXT"),
        &["NOERROR", "index=100 type=PART", "identifier="],
        &[],
    )
    .await;
    both(
        &node,
        &format!("+norecurse +ignore +bufsize=1232 {name} TXT"),
        &["tc"],
        &["index=100"],
    )
    .await;
    let longest = node.name(&longest_handle());
    both(
        &node,
        &format!("+norecurse +tcp {longest} A"),
        &["192.0.2.8", "identifier=88.118.8/lll"],
        &[],
    )
    .await;
    node.stop().await;
}
