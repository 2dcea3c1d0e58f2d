//! Exchanges written down byte by byte from the RFC and from what the clients in the field send.

use std::net::Ipv4Addr;

use data_encoding::HEXLOWER;

use crate::handle::body::challenge::{Challenge, LogIn, NONCE_LEN};
use crate::handle::digest::RequestDigest;
use crate::handle::*;
use crate::value::{Value, types};

/// id-pointer-sdk asks for 88.118.8/a: version 2.10 suggesting 2.11, RECU CACR PUBL, and an
/// empty authentication text behind the types.
pub(super) const POINTER_SDK_RESOLVE: &[u8] = &[
    2, 10, 0x02, 11, 0, 0, 0, 0, 0x0a, 0x0b, 0x0c, 0x0d, 0, 0, 0, 0, 0, 0, 0, 54, // envelope
    0, 0, 0, 1, 0, 0, 0, 0, 0x19, 0, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0,
    26, // header
    0, 0, 0, 10, b'8', b'8', b'.', b'1', b'1', b'8', b'.', b'8', b'/', b'a', // handle
    0, 0, 0, 0, 0, 0, 0, 0, // no indexes, no types
    0, 0, 0, 0, // authentication text
    0, 0, 0, 0, // no credential
];

/// ID-SDK asks for index 1 or type URL of 88.118.8/a: version 2.3 suggesting 2.10, no flags.
pub(super) const ID_SDK_RESOLVE: &[u8] = &[
    2, 3, 0x02, 10, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 61, // envelope
    0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 33, // header
    0, 0, 0, 10, b'8', b'8', b'.', b'1', b'1', b'8', b'.', b'8', b'/', b'a', // handle
    0, 0, 0, 1, 0, 0, 0, 1, // index 1
    0, 0, 0, 1, 0, 0, 0, 3, b'U', b'R', b'L', // type URL
    0, 0, 0, 0, // no credential
];

/// id-pointer-sdk logs in as 301:0.NA/88.118. with RECU RRDG: nothing behind the body.
pub(super) const POINTER_SDK_LOGIN: &[u8] = &[
    2, 10, 0x02, 11, 0, 0, 0x27, 0x11, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 44, // session 10001
    0, 0, 7, 0xd1, 0, 0, 0, 0, 0x10, 0x80, 0, 0, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0, 20, //
    0, 0, 0, 12, b'0', b'.', b'N', b'A', b'/', b'8', b'8', b'.', b'1', b'1', b'8', b'.', //
    0, 0, 1, 0x2d,
];

/// A client of RFC 3652 itself, 2.1 without a suggestion, asks for 1/a with RD and serial 7.
pub(super) const RFC_RESOLVE: &[u8] = &[
    2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 43, // envelope
    0, 0, 0, 1, 0, 0, 0, 0, 0, 0x80, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 0, 0, 15, // header
    0, 0, 0, 3, b'1', b'/', b'a', 0, 0, 0, 0, 0, 0, 0, 0, // query
    0, 0, 0, 0, // no credential
];

fn read(bytes: &[u8]) -> RequestMessage<'_> {
    decode_request(bytes, Transport::Tcp).unwrap()
}

fn query<'a>(request: &'a RequestMessage<'_>) -> &'a ResolveRequest<'a> {
    match &request.request {
        Request::Resolve(query) => query,
        other => panic!("{other:?} is no query"),
    }
}

#[test]
fn pointer_sdk_query_and_its_answer() {
    let request = read(POINTER_SDK_RESOLVE);
    let asked = query(&request);
    assert_eq!(asked.handle, "88.118.8/a");
    assert!(asked.indexes.is_empty() && asked.types.is_empty());
    assert_eq!(asked.trailing, [0; 4]);
    assert_eq!(request.reply_to.version, Version::LATEST);
    assert!(request.reply_to.flags.contains(OpFlags::PUBLIC_ONLY));

    let mut value = Vec::new();
    Value::new(1, types::URL, "x").encode(&mut value);
    let mut out = Vec::new();
    Reply::new(&request.reply_to, 3, 0x6000_0000)
        .resolution(&mut out, "88.118.8/A", 1, [&value[..]])
        .unwrap();
    let expected: &[u8] = &[
        2, 11, 0x02, 11, 0, 0, 0, 0, 0x0a, 0x0b, 0x0c, 0x0d, 0, 0, 0, 0, 0, 0, 0,
        76, // envelope
        0, 0, 0, 1, 0, 0, 0, 1, 0x11, 0, 0, 0, 0, 3, 0, 0, 0x60, 0, 0, 0, 0, 0, 0,
        48, // header
        0, 0, 0, 10, b'8', b'8', b'.', b'1', b'1', b'8', b'.', b'8', b'/', b'A', // handle
        0, 0, 0, 1, // one value
        0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 1, 0x51, 0x80, 0x0e, // index, timestamp, TTL, 1110
        0, 0, 0, 3, b'U', b'R', b'L', 0, 0, 0, 1, b'x', 0, 0, 0, 0, // type, data, references
        0, 0, 0, 0, // no credential
    ];
    assert_eq!(out, expected);

    let response = Response::decode(&out).unwrap();
    assert_eq!(response.code, ResponseCode::SUCCESS);
    assert_eq!(response.handle(), Some("88.118.8/A"));
    assert_eq!(response.values(), [Value::new(1, types::URL, "x")]);
    assert_eq!(response.header.site_serial, 3);
    assert_eq!(response.answers(POINTER_SDK_RESOLVE), None);
}

#[test]
fn id_sdk_query_and_its_answer() {
    let request = read(ID_SDK_RESOLVE);
    let asked = query(&request);
    assert_eq!(
        (&asked.indexes[..], &asked.types[..]),
        (&[1][..], &["URL"][..])
    );
    assert!(asked.trailing.is_empty());

    let mut out = Vec::new();
    Reply::new(&request.reply_to, 1, 0)
        .error(&mut out, ResponseCode::HANDLE_NOT_FOUND, "no")
        .unwrap();
    let expected: &[u8] = &[
        2, 10, 0x02, 11, 0, 0, 0, 0, 0, 0, 0, 7, 0, 0, 0, 0, 0, 0, 0, 34, // envelope
        0, 0, 0, 1, 0, 0, 0, 100, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 6, // header
        0, 0, 0, 2, b'n', b'o', // text
        0, 0, 0, 0, // no credential
    ];
    assert_eq!(out, expected);
    let response = Response::decode(&out).unwrap();
    assert_eq!(response.message(), Some("no"));
}

#[test]
fn the_head_writes_what_the_sdks_write() {
    let pointer = RequestHead {
        version: Version::V2_10,
        flags: OpFlags::RECURSE | OpFlags::CACHE_CERTIFY | OpFlags::PUBLIC_ONLY,
        ..RequestHead::new(0x0a0b_0c0d)
    };
    let body = &POINTER_SDK_RESOLVE[44..POINTER_SDK_RESOLVE.len() - 4];
    assert_eq!(
        pointer.request(OpCode::RESOLVE, body).unwrap(),
        POINTER_SDK_RESOLVE
    );
    let id_sdk = RequestHead {
        suggested: Version::V2_10,
        flags: OpFlags::NONE,
        site_serial: 0,
        ..RequestHead::new(7)
    };
    assert_eq!(
        id_sdk.resolve("88.118.8/a", &[1], &["URL"]).unwrap(),
        ID_SDK_RESOLVE
    );
    let rfc = RequestHead {
        version: Version::V2_1,
        suggested: Version::NONE,
        flags: OpFlags::REQUEST_DIGEST,
        site_serial: 7,
        ..RequestHead::new(1)
    };
    assert_eq!(rfc.resolve("1/a", &[], &[]).unwrap(), RFC_RESOLVE);
}

#[test]
fn a_login_without_credential_field_is_read_and_digested() {
    let request = read(POINTER_SDK_LOGIN);
    assert_eq!(
        request.request,
        Request::Other {
            op_code: OpCode::LOGIN
        }
    );
    let user = LogIn {
        handle: "0.NA/88.118.",
        index: 301,
    };
    assert_eq!(request.operation(), Ok(Operation::LogIn(user)));
    assert_eq!(request.reply_to.session_id, 10_001);
    assert_eq!(request.message.body.len(), 20);
    assert!(request.message.credential.is_empty());
    let Some(RequestDigest::Sha256(digest)) = request.reply_to.digest else {
        panic!("2.11 digests are SHA-256");
    };
    assert_eq!(HEXLOWER.encode(&digest), LOGIN_SHA256);

    let mut out = Vec::new();
    let challenge = Challenge {
        digest: RequestDigest::Sha256(digest),
        nonce: vec![0x5a; NONCE_LEN],
    };
    Reply::new(&request.reply_to, 1, 0)
        .challenge(&mut out, &challenge)
        .unwrap();
    assert_eq!(
        out[20..32],
        [0, 0, 7, 0xd1, 0, 0, 1, 0x92, 0x10, 0x80, 0, 0]
    );
    assert_eq!(out[44], 3);
    assert_eq!(out[45..77], digest);
    assert_eq!(out[77..81], [0, 0, 0, 16]);
    assert_eq!(out[81..97], [0x5a; 16]);
    let response = Response::decode(&out).unwrap();
    assert_eq!(response.answers(POINTER_SDK_LOGIN), Some(true));
    assert_eq!(response.answers(RFC_RESOLVE), Some(false));
    assert_eq!(response.body, ResponseBody::Challenge(challenge));
}

#[test]
fn an_rfc_client_is_answered_in_2_1_with_sha1() {
    let request = read(RFC_RESOLVE);
    let mut out = Vec::new();
    Reply::new(&request.reply_to, 8, 0)
        .resolution(&mut out, "1/a", 0, [])
        .unwrap();
    let digest = HEXLOWER.decode(RFC_SHA1.as_bytes()).unwrap();
    let expected = [
        &[2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 60][..],
        &[
            0, 0, 0, 1, 0, 0, 0, 1, 0, 0x80, 0, 0, 0, 8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 32,
        ],
        &[2],
        &digest,
        &[0, 0, 0, 3, b'1', b'/', b'a', 0, 0, 0, 0],
        &[0, 0, 0, 0],
    ]
    .concat();
    assert_eq!(out, expected);
    let response = Response::decode(&out).unwrap();
    assert_eq!(response.answers(RFC_RESOLVE), Some(true));
}

#[test]
fn referrals_in_both_forms() {
    let site = Value::new(1, types::HS_SITE, "s");
    let mut encoded = Vec::new();
    site.encode(&mut encoded);
    let refer = |request: &[u8], handle: &str| {
        let mut out = Vec::new();
        Reply::new(&read(request).reply_to, 1, 0)
            .referral(
                &mut out,
                ResponseCode::PREFIX_REFERRAL,
                handle,
                1,
                [&encoded[..]],
            )
            .unwrap();
        Response::decode(&out).unwrap()
    };
    let both = refer(ID_SDK_RESOLVE, "0.NA/88.118");
    assert_eq!(both.code, ResponseCode::PREFIX_REFERRAL);
    assert_eq!(both.referral(), Some(("0.NA/88.118", &[site.clone()][..])));
    let handle_alone = refer(RFC_RESOLVE, "0.NA/88.118");
    assert_eq!(handle_alone.referral(), Some(("0.NA/88.118", &[][..])));
    assert_eq!(handle_alone.header.body_len, 21 + 4 + 11);
    let sites_alone = refer(RFC_RESOLVE, "");
    assert_eq!(sites_alone.referral(), Some(("", &[site][..])));
}

#[test]
fn site_information() {
    let head = RequestHead {
        flags: OpFlags::NONE,
        ..RequestHead::new(5)
    };
    let bytes = head.site_info().unwrap();
    let request = read(&bytes);
    assert_eq!(request.request, Request::SiteInfo);

    let ports = NodePorts {
        tcp: Some(2641),
        udp: Some(2641),
        http: Some(8000),
        https: None,
    };
    let server = Server::of_node(1, Ipv4Addr::new(10, 0, 0, 9).into(), vec![0xAA], ports);
    let site = Site::of_node(4, "Taiyuan", server);
    let expected: &[u8] = &[
        0, 1, 2, 11, 0, 4, 0x80, 2, 0, 0, 0,
        0, // format, protocol, serial, primary, hash, filter
        0, 0, 0, 1, 0, 0, 0, 4, b'd', b'e', b's', b'c', // one attribute
        0, 0, 0, 7, b'T', b'a', b'i', b'y', b'u', b'a', b'n', //
        0, 0, 0, 1, 0, 0, 0, 1, // one server, id 1
        0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 10, 0, 0, 9, // address
        0, 0, 0, 1, 0xAA, // public key
        0, 0, 0, 3, // interfaces
        3, 1, 0, 0, 0x0a, 0x51, // TCP 2641, both
        2, 0, 0, 0, 0x0a, 0x51, // UDP 2641, queries
        3, 2, 0, 0, 0x1f, 0x40, // HTTP 8000, both
    ];
    assert_eq!(site.encode(), expected);
    assert_eq!(Site::decode(expected).as_ref(), Ok(&site));

    let mut out = Vec::new();
    Reply::new(&request.reply_to, 4, 0)
        .raw(&mut out, ResponseCode::SUCCESS, &site.encode())
        .unwrap();
    assert_eq!(&out[44..out.len() - 4], expected);
    assert_eq!(Response::decode(&out).unwrap().site(), Some(&site));
}

#[test]
fn old_site_addresses_and_foreign_numbers() {
    let server = Server::of_node(
        1,
        Ipv4Addr::new(10, 0, 0, 9).into(),
        vec![],
        NodePorts::default(),
    );
    let mut site = Site::of_node(4, "", server);
    let mut data = site.encode();
    let at = data
        .windows(2)
        .position(|pair| pair == [0xff, 0xff])
        .unwrap();
    data[at..at + 2].fill(0);
    assert_eq!(Site::decode(&data).as_ref(), Ok(&site));

    site.servers[0].address = "::1".parse().unwrap();
    site.servers[0].interfaces = vec![Interface {
        admin: false,
        query: true,
        protocol: InterfaceProtocol::Other(9),
        port: 1,
    }];
    site.hash_option = HashOption::Other(7);
    let mut data = site.encode();
    assert_eq!(Site::decode(&data).as_ref(), Ok(&site));
    data[1] = 2;
    assert_eq!(Site::decode(&data).unwrap_err().part(), "site format");
    data[1] = 0;
    let port = data.len() - 4;
    data[port] = 1;
    assert_eq!(Site::decode(&data).unwrap_err().part(), "server port");
}

#[test]
fn administrators_and_lists() {
    let reference = crate::value::Reference {
        handle: "0.NA/1".into(),
        index: 300,
    };
    let admin = Admin {
        permissions: AdminPermissions(0x07f3),
        reference: reference.clone(),
    };
    let expected: &[u8] = &[
        0x07, 0xf3, 0, 0, 0, 6, b'0', b'.', b'N', b'A', b'/', b'1', 0, 0, 0x01, 0x2c,
    ];
    assert_eq!(admin.encode(), expected);
    assert_eq!(Admin::decode(expected).as_ref(), Ok(&admin));
    assert!(admin.permissions.contains(AdminPermissions::READ_VALUE));
    assert!(!admin.permissions.contains(AdminPermissions::LIST_HANDLES));
    let list = [&[0, 0, 0, 1][..], &expected[2..]].concat();
    assert_eq!(encode_value_list(std::slice::from_ref(&reference)), list);
    assert_eq!(decode_value_list(&list), Ok(vec![reference]));
    assert_eq!(decode_handle_data(b"0.SERV/1"), Ok("0.SERV/1"));
    assert_eq!(decode_handle_data(&[0xff]).unwrap_err().part(), "handle");
    assert!(matches!(
        decode_handle_data(&[b'a'; 2049]),
        Err(WireError::TooLong { .. })
    ));
}

#[test]
fn versions_are_negotiated() {
    let cases = [
        ((2, 10), (2, 11), (2, 11)),
        ((2, 3), (2, 10), (2, 10)),
        ((2, 3), (2, 12), (2, 11)),
        ((2, 3), (3, 0), (2, 11)),
        ((2, 5), (0, 0), (2, 5)),
        ((2, 5), (0, 9), (2, 5)),
        ((2, 0), (0, 0), (2, 1)),
        ((2, 3), (1, 0), (2, 1)),
        ((2, 200), (0, 0), (2, 11)),
    ];
    let version = |(major, minor)| Version::new(major, minor);
    for (written, suggested, answered) in cases {
        let envelope = Envelope {
            version: version(written),
            suggested: version(suggested),
            ..Envelope::EMPTY
        };
        assert_eq!(envelope.answer_version(), version(answered), "{envelope:?}");
    }
}

#[test]
fn digests_change_with_version_2_7() {
    let kind = |minor| RequestDigest::of(b"abc", Version::new(2, minor));
    assert!(matches!(kind(1), RequestDigest::Sha1(_)));
    assert!(matches!(kind(6), RequestDigest::Sha1(_)));
    assert!(matches!(kind(7), RequestDigest::Sha256(_)));
    assert_eq!(kind(6).matches(b"abc"), Some(true));
    assert_eq!(kind(7).matches(b"abd"), Some(false));
    assert_eq!(RequestDigest::Md5([0; 16]).matches(b"abc"), None);
}

#[test]
fn codes_have_words_and_clients_know_them() {
    assert_eq!(
        ResponseCode::HANDLE_NOT_FOUND.to_string(),
        "handle not found (100)"
    );
    assert_eq!(ResponseCode(777).to_string(), "777");
    assert_eq!(OpCode(999).words(), None);
    let unknown: Vec<u32> = ResponseCode::ALL
        .iter()
        .filter(|code| !code.known_to_clients())
        .map(|code| code.0)
        .collect();
    assert_eq!(unknown, [0, 407, 408, 900, 901, 902, 3001]);
}

const LOGIN_SHA256: &str = "0bea7177c355fa05f9f4b7b819ef64ceace1a25f589a832f708bd78bb0b9587c";
const RFC_SHA1: &str = "a5521fcbe743e37f873fd02b419a5c3b4c015218";
