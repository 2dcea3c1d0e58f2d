#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]
use super::super::data::ValueJson as Shown;
use super::typed::put_sized;
use super::*;
use idnode_proto::handle::site::{HashOption, Interface, InterfaceProtocol, Server, Site};
use idnode_proto::handle::{Admin, AdminPermissions};
use proptest::prelude::*;

fn read(body: &str) -> Vec<Value> {
    values(body.as_bytes()).unwrap_or_else(|error| panic!("{error:?}: {body}"))
}

fn refused(body: &str) -> (u32, String) {
    let refusal = values(body.as_bytes()).expect_err(body);
    (refusal.code.0, refusal.message)
}

#[test]
fn four_shapes_say_the_same() {
    let value = r#"{"index":1,"type":"URL","data":{"format":"string","value":"http://a/"}}"#;
    let expected = [Value::new(1, "URL", "http://a/")];
    assert_eq!(read(&format!("[{value}]")), expected);
    assert_eq!(read(&format!(r#"{{"values":[{value}]}}"#)), expected);
    let whole = format!(r#"{{"responseCode":1,"handle":"88.118.8/x","values":[{value}]}}"#);
    assert_eq!(read(&whole), expected);
    assert_eq!(read(value), expected);
    assert_eq!(
        read(r#"{"index":"1","type":"URL","data":"http://a/"}"#),
        expected
    );
    assert_eq!(read(r#"[{"type":"URL","data":"x"}]"#)[0].index, 0);
    assert_eq!(read("[]"), []);
}

#[test]
fn every_part_is_read() {
    let rare = r#"{"index":7,"type":"X","data":{"format":"hex","value":"00fF"},"permissions":"1100",
        "ttl":"2106-02-07T06:28:15Z","timestamp":"2001-01-01T00:00:00Z",
        "references":[{"index":"2","handle":"88.118.8/r"}]}"#;
    let expected = Value {
        ttl: Ttl::AbsoluteS(u32::MAX),
        permissions: Permissions(0b1100),
        references: vec![Reference {
            handle: "88.118.8/r".into(),
            index: 2,
        }],
        ..Value::new(7, "X", [0, 255])
    };
    assert_eq!(read(rare), [expected]);
    for base64 in ["AAE=", "AAE"] {
        let body =
            format!(r#"{{"type":"X","data":{{"format":"base64","value":"{base64}"}},"ttl":60}}"#);
        assert_eq!(read(&body)[0].data, [0, 1]);
        assert_eq!(read(&body)[0].ttl, Ttl::RelativeS(60));
    }
}

#[test]
fn what_is_shown_can_be_sent_back() {
    let admin = Admin {
        permissions: AdminPermissions(0x7f3),
        reference: Reference {
            handle: "0.NA/88.118.8".into(),
            index: 200,
        },
    };
    let mut key = Vec::new();
    put_sized(&mut key, b"RSA_PUB_KEY");
    key.extend([0, 0]);
    put_sized(&mut key, &[1, 0, 1]);
    put_sized(&mut key, &[0, 0xc0, 0xff]);
    key.extend([0; 4]);
    let server = Server {
        id: 1,
        address: "192.0.2.7".parse().unwrap(),
        public_key: key.clone(),
        interfaces: vec![Interface {
            admin: true,
            query: false,
            protocol: InterfaceProtocol::Tcp,
            port: 2641,
        }],
    };
    let mut site = Site::of_node(3, "node", server);
    site.hash_option = HashOption::ByPrefix;
    let all = [
        Value::new(1, "DESC", "二\n行"),
        Value::new(2, "BIN", [0_u8, 159]),
        Value::new(100, "HS_ADMIN", admin.encode()),
        Value::new(
            200,
            "HS_VLIST",
            encode_value_list(std::slice::from_ref(&admin.reference)),
        ),
        Value::new(300, "HS_PUBKEY", key),
        Value::new(3, "HS_SITE", site.encode()),
    ];
    for value in all {
        let mut scratch = Vec::new();
        let view = value.view_in(&mut scratch).unwrap();
        let json = serde_json::to_string(&Shown(&view)).unwrap();
        assert_eq!(read(&json), [value], "{json}");
    }
}

#[test]
fn what_is_wrong_is_named() {
    for (body, code, part) in [
        ("", 4, "body"),
        ("{", 4, "body"),
        (r#"[{"index":1"#, 4, "body"),
        ("7", 4, "a value"),
        (r#"{"values":7}"#, 4, "an array of values"),
        (r#"{"handle":"x"}"#, 4, "values[0].type"),
        (r#"[{"index":1,"type":"URL"}]"#, 4, "values[0].data"),
        (
            r#"[{"index":-1,"type":"URL","data":"x"}]"#,
            202,
            "values[0].index",
        ),
        (r#"[{"index":1.5,"type":"URL","data":"x"}]"#, 202, "number"),
        (r#"[{"index":[],"type":"URL","data":"x"}]"#, 4, "number"),
        (
            r#"[{"type":"A","data":"x"},{"type":"URL","data":"x","permissions":"11"}]"#,
            202,
            "values[1].permissions",
        ),
        (
            r#"[{"type":"A","data":"x","ttl":"soon"}]"#,
            202,
            "values[0].ttl",
        ),
        (
            r#"[{"type":"A","data":{"format":"xml","value":"x"}}]"#,
            202,
            "values[0].data.format",
        ),
        (
            r#"[{"type":"A","data":{"format":"hex","value":"x"}}]"#,
            202,
            "values[0].data.value",
        ),
        (
            r#"[{"type":"A","data":{"format":"base64","value":"*"}}]"#,
            202,
            "values[0].data.value",
        ),
        (
            r#"[{"type":"A","data":{"format":"string","value":1}}]"#,
            4,
            "values[0].data.value",
        ),
        (
            r#"[{"type":"A","data":{"format":"admin","value":{"handle":"a/b","index":1}}}]"#,
            4,
            "permissions",
        ),
        (
            r#"[{"type":"A","data":{"format":"admin","value":["a/b",1,"111"]}}]"#,
            4,
            "an object",
        ),
        (
            r#"[{"type":"A","data":{"format":"vlist","value":{}}}]"#,
            4,
            "values[0].data.value",
        ),
        (
            r#"[{"type":"A","data":{"format":"site","value":5}}]"#,
            4,
            "an object",
        ),
        (r#"[[1,"URL","x",86400,"1110",[]]]"#, 4, "an object"),
        (
            r#"[{"type":"A","data":"x","references":[[1,"a/b"]]}]"#,
            4,
            "an object",
        ),
        (
            r#"[{"type":"HS_ADMIN","data":{"format":"admin","value":{"handle":"a/b","index":1,"permissions":"2"}}}]"#,
            202,
            "permissions",
        ),
        (
            r#"[{"type":"HS_PUBKEY","data":{"format":"key","value":{"kty":"EC"}}}]"#,
            202,
            "RSA",
        ),
        (
            r#"[{"type":"HS_SITE","data":{"format":"site","value":{"version":9}}}]"#,
            202,
            "site",
        ),
        (r#"[{"type":"A","data":7}]"#, 4, "expected data: text"),
        (r#"[{"type":"A","data":["a"]}]"#, 4, "expected data: text"),
        (r#"[{"type":"A","data":{"value":"a"}}]"#, 4, "format"),
        (
            r#"[{"type":"A","data":"a","ttl":-1}]"#,
            202,
            "values[0].ttl",
        ),
    ] {
        let (found, message) = refused(body);
        assert_eq!(found, code, "{body}: {message}");
        assert!(message.contains(part), "{body}: {message}");
    }
    let many = format!("[{}{{}}]", "{},".repeat(MAX_VALUES));
    let (code, message) = refused(&many);
    assert_eq!(code, 202);
    assert!(message.contains("more than 2048"), "{message}");
}

proptest! {
    #[test]
    fn no_body_is_too_much(body in proptest::collection::vec(any::<u8>(), 0..200)) {
        let _ = values(&body);
    }
}
