//! Clients of other makes: the bytes of both Chinese SDKs, and a program in another language.

use super::harness::*;
use serde_json::{Value as Json, json};
use std::process::Command;

/// id-pointer-sdk asks for 88.118.8/a: version 2.10 suggesting 2.11, RECU CACR PUBL, and an
/// empty authentication text behind the types.
const POINTER_SDK_RESOLVE: &[u8] = &[
    2, 10, 0x02, 11, 0, 0, 0, 0, 0x0a, 0x0b, 0x0c, 0x0d, 0, 0, 0, 0, 0, 0, 0, 54, // envelope
    0, 0, 0, 1, 0, 0, 0, 0, 0x19, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    26, // header
    0, 0, 0, 10, b'8', b'8', b'.', b'1', b'1', b'8', b'.', b'8', b'/', b'a', // handle
    0, 0, 0, 0, 0, 0, 0, 0, // no indexes, no types
    0, 0, 0, 0, // authentication text
    0, 0, 0, 0, // no credential
];

/// ID-SDK asks for index 1 or type URL of 88.118.8/a: version 2.3 suggesting 2.10, no flags.
const ID_SDK_RESOLVE: &[u8] = &[
    2, 3, 0x02, 10, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 61, // envelope
    0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 33, // header
    0, 0, 0, 10, b'8', b'8', b'.', b'1', b'1', b'8', b'.', b'8', b'/', b'a', // handle
    0, 0, 0, 1, 0, 0, 0, 1, // index 1
    0, 0, 0, 1, 0, 0, 0, 3, b'U', b'R', b'L', // type URL
    0, 0, 0, 0, // no credential
];

/// id-pointer-sdk opens a connection: site information for "/" in its own session 10001.
const POINTER_SDK_SITE: &[u8] = &[
    2, 10, 0x02, 11, 0, 0, 0x27, 0x11, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 45, // envelope
    0, 0, 0, 2, 0, 0, 0, 0, 0x10, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    17, // header
    0, 0, 0, 1, b'/', 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, // query for "/"
    0, 0, 0, 0, // no credential
];

/// id-pointer-sdk logs in as 301:0.NA/88.118.: nothing behind the body.
const POINTER_SDK_LOGIN: &[u8] = &[
    2, 10, 0x02, 11, 0, 0, 0x27, 0x11, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 44, // session 10001
    0, 0, 7, 0xd1, 0, 0, 0, 0, 0x10, 0x80, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, //
    0, 0, 0, 12, b'0', b'.', b'N', b'A', b'/', b'8', b'8', b'.', b'1', b'1', b'8', b'.', //
    0, 0, 1, 0x2d,
];

/// The body and credential of every answer to a resolution of 88.118.8/a.
const ANSWER_BODY: &[u8] = &[
    0, 0, 0, 10, b'8', b'8', b'.', b'1', b'1', b'8', b'.', b'8', b'/', b'a', // handle
    0, 0, 0, 1, // one value
    0, 0, 0, 1, 0x65, 0x53, 0xf1, 0, // index 1, written at 1,700,000,000
    0, 0, 1, 0x51, 0x80, 0x0e, // a day, 1110
    0, 0, 0, 3, b'U', b'R', b'L', // type
    0, 0, 0, 19, b'h', b't', b't', b'p', b's', b':', b'/', b'/', b'e', b'x', b'a', b'm', b'p',
    b'l', b'e', b'.', b'c', b'n', b'/', // data
    0, 0, 0, 0, // no references
    0, 0, 0, 0, // no credential
];

/// What an answer must be up to the expiration, which is not compared.
fn assert_answer(answer: &[u8], head: [u8; 36]) {
    assert_eq!(&answer[..36], head);
    assert_eq!(answer[40..44], (ANSWER_BODY.len() as u32 - 4).to_be_bytes());
    assert_eq!(&answer[44..], ANSWER_BODY);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_sdks_get_the_bytes_they_can_read() {
    let node = Node::start().await;
    let length = 24 + ANSWER_BODY.len() as u8;
    let pointer = [
        2,
        11,
        0x02,
        11,
        0,
        0,
        0,
        0,
        0x0a,
        0x0b,
        0x0c,
        0x0d,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        length, // envelope
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        1,
        0x11,
        0,
        0,
        0,
        0,
        SITE_SERIAL as u8,
        0,
        0, // header
    ];
    let id = [
        2,
        10,
        0x02,
        11,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        7,
        0,
        0,
        0,
        0,
        0,
        0,
        0,
        length, // envelope
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        1,
        0,
        0,
        0,
        0,
        0,
        SITE_SERIAL as u8,
        0,
        0, // header
    ];
    let udp = node.udp().await;
    let mut tcp = node.tcp().await;
    for (request, head) in [(POINTER_SDK_RESOLVE, pointer), (ID_SDK_RESOLVE, id)] {
        udp.send(request).await;
        assert_answer(&udp.receive().await.0, head);
        // Without KPAL the connection stays open all the same.
        tcp.send(request).await;
        assert_answer(&tcp.receive().await.unwrap(), head);
    }
    tcp.send(POINTER_SDK_SITE).await;
    let site = tcp.receive().await.unwrap();
    assert_eq!(site[4..12], POINTER_SDK_SITE[4..12], "session and request");
    assert_eq!(site[20..28], [0, 0, 0, 2, 0, 0, 0, 1]);
    tcp.send(POINTER_SDK_LOGIN).await;
    let login = tcp.receive().await.unwrap();
    assert_eq!(
        login[20..28],
        [0, 0, 7, 0xd1, 0, 0, 1, 0x92],
        "2001 is challenged, 402"
    );
    assert_eq!(
        login[28..32],
        [0x10, 0x80, 0, 0],
        "with the digest asked for"
    );
}

/// Runs the client in Python, over UDP or TCP.
async fn python(node: &Node, transport: &[&str], options: &[&str], handle: &str) -> Json {
    let mut command = Command::new("python3");
    command
        .arg("../tests/clients/handle_client.py")
        .args(transport)
        .args(options)
        .arg(node.addr.to_string())
        .arg(handle);
    let output = tokio::task::spawn_blocking(move || command.output())
        .await
        .unwrap();
    let output = output.expect("python3 is installed");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{options:?} {handle}: {stderr}");
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Asks over both transports; the answers must be the same.
async fn foreign(node: &Node, options: &[&str], handle: &str) -> Json {
    // Without, it would be challenged for what is not public.
    let udp = python(node, &["--public"], options, handle).await;
    let tcp = python(node, &["--tcp", "--public"], options, handle).await;
    assert_eq!(tcp, udp);
    udp
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_in_another_language_reads_values() {
    let node = Node::start().await;
    let url = json!({
        "index": 1, "type": "URL", "data": "https://example.cn/JXDY2106023", "encoding": "text",
        "ttl": 86_400, "permissions": "1110",
    });
    let whole = foreign(&node, &[], HANDLE).await;
    assert_eq!(
        (&whole["code"], &whole["handle"]),
        (&json!(1), &json!(HANDLE))
    );
    assert_eq!(
        whole["values"].as_array().map(Vec::len),
        Some(3),
        "the value that is not public is not there"
    );
    assert_eq!(whole["values"][0], url);
    let filtered = foreign(&node, &["--type", "URL", "--index", "3"], HANDLE).await;
    assert_eq!(filtered["values"], json!([url]));
    let longest = longest_handle();
    for handle in [
        "88.118.8/jxdy2106023",
        UTF8_HANDLE,
        &longest,
        "oid:1.2.156.3001.7",
    ] {
        let answer = foreign(&node, &[], handle).await;
        assert_eq!(
            (&answer["code"], &answer["handle"]),
            (&json!(1), &json!(handle))
        );
    }
    let big = foreign(&node, &[], "88.118.8/big").await;
    assert_eq!(big["values"].as_array().map(Vec::len), Some(2048));
    assert_eq!(big["values"][2047]["data"], "x".repeat(BIG_DATA));
    let prefix = foreign(&node, &[], "88.118.8").await;
    assert_eq!(
        (
            &prefix["values"][0]["type"],
            &prefix["values"][0]["encoding"]
        ),
        (&json!("HS_SITE"), &json!("base64"))
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_client_in_another_language_reads_errors_and_referrals() {
    let node = Node::start().await;
    let over_long = longest_handle() + "l";
    let cases = [
        ("88.118.8/nothing", 100, "not registered"),
        ("88.118.8/gone", 100, "scrapped"),
        ("88.118.8/secret", 200, "not public"),
        ("77.1/x", 301, "prefix"),
        (&over_long, 102, "2049 bytes"),
    ];
    for (handle, code, text) in cases {
        let answer = foreign(&node, &[], handle).await;
        assert_eq!(answer["code"], code, "{answer}");
        assert!(
            answer["message"]
                .as_str()
                .is_some_and(|message| message.contains(text)),
            "{answer}"
        );
    }
    for (version, code, sites) in [("2.11", 303, 2), ("2.5", 303, 0), ("2.1", 302, 0)] {
        let answer = foreign(&node, &["--version", version], "88.118.9/x").await;
        assert_eq!(
            (&answer["code"], &answer["handle"]),
            (&json!(code), &json!("0.NA/88.118.9"))
        );
        assert_eq!(
            answer["values"].as_array().map(Vec::len),
            Some(sites),
            "{version}"
        );
    }
}
