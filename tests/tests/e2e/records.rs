//! Values that hold the data of DNS records: what `dig` and `kdig` read of them, and what is
//! refused when it is registered.

use std::process::Command;

use idnode_tests::api::{code, fields, private, value};
use idnode_tests::run::{output, success};
use idnode_tests::secondary::dig;
use tonic::Code;

use crate::one_prefix::World;

const NAME: &str = "a-1.88-118-8.hdl.id.example.";

impl World {
    fn create(&self, identifier: &str, values: Vec<idnode_proto::api::Value>) {
        let made = self.operator.create(identifier, values, "");
        self.runtime.block_on(made).unwrap();
    }

    /// The data of the records at a name, sorted.
    fn short(&self, arguments: &[&str]) -> Vec<String> {
        let text = success(dig(self.node.at.dns).arg("+short").args(arguments));
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    }
}

#[test]
fn values_are_answered_as_the_records_they_present() {
    let world = World::new();
    let values = vec![
        value(1, "URL", "https://example.cn/"),
        value(
            2,
            "HTTPS",
            r#"1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.7"#,
        ),
        value(3, "https", "2 Svc.example.cn mandatory=alpn alpn=h2"),
        value(
            4,
            "SVCB",
            r#"1 svc.example.cn. port=853 key667="hello\210qoo" alpn=dot"#,
        ),
        value(5, "PTR", "Host.example.cn."),
        value(6, "PTR", "host.EXAMPLE.cn"),
        private(7, "PTR", "hidden.example.cn."),
        private(8, "HTTPS", "0 hidden.example.cn."),
    ];
    world.create("88.118.8/A-1", values);
    let expected: [(&str, &[&str]); 3] = [
        (
            "HTTPS",
            &[
                r#"1 . alpn="h2,h3" port=8443 ipv4hint=192.0.2.7"#,
                r#"2 Svc.example.cn. mandatory=alpn alpn="h2""#,
            ],
        ),
        (
            "SVCB",
            &[r#"1 svc.example.cn. alpn="dot" port=853 key667="hello\210qoo""#],
        ),
        ("PTR", &["Host.example.cn."]),
    ];
    // Twice over UDP: the second comes from the kept bytes.
    for transport in ["+notcp", "+notcp", "+tcp"] {
        for (rtype, lines) in expected {
            assert_eq!(world.short(&[transport, NAME, rtype]), lines, "{transport}");
        }
    }
    let at = world.node.at.dns;
    let mut kdig = Command::new("kdig");
    kdig.args([&format!("@{}", at.ip()), "-p", &at.port().to_string()]);
    kdig.args(["+short", NAME, "HTTPS"]);
    let text = success(&mut kdig);
    let line = "1 . alpn=h2,h3 port=8443 ipv4hint=192.0.2.7";
    assert!(
        text.replace('"', "").lines().any(|said| said == line),
        "{text}"
    );
    // TXT tells of them like of any value.
    let texts = world.short(&[NAME, "TXT", "+tcp"]);
    assert!(
        texts
            .iter()
            .any(|text| text == "\"index=5 type=PTR data=Host.example.cn.\""),
        "{texts:?}"
    );
    // A change shows at once, one without such values in the end as NODATA.
    for (values, lines) in [
        (
            vec![value(1, "HTTPS", "0 pool.example.cn.")],
            vec!["0 pool.example.cn.".to_owned()],
        ),
        (vec![value(1, "DESC", "none")], Vec::new()),
    ] {
        let changed = world.operator.replace("88.118.8/A-1", values, "");
        world.runtime.block_on(changed).unwrap();
        assert_eq!(world.short(&[NAME, "HTTPS"]), lines);
    }
    let denied = success(dig(at).args([NAME, "HTTPS"]));
    assert!(
        denied.contains("status: NOERROR") && denied.contains("SOA"),
        "{denied}"
    );
    world.node.stop();
}

#[test]
fn many_of_them_go_over_tcp() {
    let world = World::new();
    let values = (1..=100).map(|n| {
        let data = format!(
            "{n} node-{n}.of-a-large-pool.example.cn. port={}",
            8_000 + n
        );
        value(n, "SVCB", &data)
    });
    world.create("88.118.8/A-1", values.collect());
    let over_udp = success(dig(world.node.at.dns).args(["+ignore", NAME, "SVCB"]));
    assert!(
        over_udp.contains("flags: qr aa tc;") && over_udp.contains("ANSWER: 0,"),
        "{over_udp}"
    );
    assert_eq!(world.short(&[NAME, "SVCB"]).len(), 100);
    world.node.stop();
}

#[test]
fn what_presents_no_record_is_refused() {
    let world = World::new();
    for (value_type, data, reason) in [
        (
            "HTTPS",
            "https://example.cn/",
            "is no priority from 0 to 65535",
        ),
        ("HTTPS", "1 . port", "port: it needs a value"),
        (
            "https",
            "0 a.example.cn. port=1",
            "an alias (priority 0) has no parameters",
        ),
        ("SVCB", "1 . no-default-alpn", "it needs alpn beside it"),
        ("SVCB", "1", "the target is missing"),
        (
            "PTR",
            "a.example.cn. b.example.cn.",
            "something behind the name",
        ),
        ("PTR", "温度.example.cn.", "only printable ASCII"),
        ("PTR", "", "the name is missing"),
    ] {
        let values = || vec![value(1, "DESC", "x"), value(2, value_type, data)];
        let made = world.operator.create("88.118.8/bad", values(), "");
        let made = world.runtime.block_on(made);
        assert_eq!(code(&made), Code::InvalidArgument, "{value_type} {data}");
        let status = made.unwrap_err();
        assert_eq!(fields(&status), ["values[1].data"], "{status:?}");
        assert!(status.message().contains(reason), "{status:?}");
    }
    world.create("88.118.8/A-1", vec![value(1, "DESC", "x")]);
    let changed = world
        .operator
        .replace("88.118.8/A-1", vec![value(1, "PTR", "..")], "");
    assert_eq!(
        code(&world.runtime.block_on(changed)),
        Code::InvalidArgument
    );
    // A bulk load refuses the line and takes the others.
    let file = world.dir.beside("records.csv");
    let lines = "identifier,type,data\n88.118.8/good,PTR,host.example.cn.\n88.118.8/bad,PTR,a b\n";
    std::fs::write(&file, lines).unwrap();
    let idctl = world.node.idctl(Some(&world.dir.token_file()));
    let done = output(idctl.command().arg("import").arg(&file));
    assert_eq!(
        done.status.code(),
        Some(3),
        "some items are refused: {done:?}"
    );
    let rejects = std::fs::read_to_string(world.dir.beside("records.csv.rejects")).unwrap();
    assert!(rejects.contains("something behind the name"), "{rejects}");
    assert_eq!(
        world.short(&["good.88-118-8.hdl.id.example.", "PTR"]),
        ["host.example.cn."]
    );
    assert!(
        world
            .short(&["bad.88-118-8.hdl.id.example.", "PTR"])
            .is_empty()
    );
    world.node.stop();
}
