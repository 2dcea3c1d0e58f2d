use super::*;

fn verdict(key: &str, value: &str) -> Result<(), String> {
    Config::load(None, [], &[FlagSetting::set(key, value)])
        .map(drop)
        .map_err(|errors| errors.to_string())
}

fn accepts(key: &str, values: &[&str]) {
    for value in values {
        assert_eq!(verdict(key, value), Ok(()), "{key} = {value}");
    }
}

fn refuses(key: &str, values: &[(&str, &str)]) {
    for (value, part) in values {
        let message = verdict(key, value).expect_err(value);
        assert!(message.contains(part), "{key} = {value}: {message}");
        assert!(message.starts_with(&format!("--set: {key}: ")), "{message}");
    }
}

#[test]
fn zone_names() {
    let longest = format!("{}.{}.", "a".repeat(63), "b".repeat(35));
    assert_eq!(longest.len(), rule::ZONE_NAME_BYTES);
    let too_long = format!("{}.{}.", "a".repeat(63), "b".repeat(36));
    let long_label = format!("{}.", "a".repeat(64));
    accepts("dns.zone", &["id.example.org.", "_id.x-1.cn.", &longest]);
    refuses(
        "dns.zone",
        &[
            ("", "does not end in a dot"),
            ("id.example.org", "does not end in a dot"),
            (".", "empty label"),
            ("id..org.", "empty label"),
            (&too_long, "has 101 bytes"),
            (&long_label, "has 64 bytes"),
            ("-id.org.", "begins or ends with '-'"),
            ("i d.org.", "contains ' '"),
            ("标识.cn.", "contains '标'"),
        ],
    );
}

#[test]
fn zones_that_contain_one_another() {
    for (ors, ons) in [
        ("id.example.", "ons.example."),
        ("oid.ID.example.", "ons.example."),
        ("example.", "ons.test."),
        ("x.test.", "test."),
    ] {
        let text = format!("version = 1\n[dns]\nors_zone = '{ors}'\nons_zone = '{ons}'\n");
        let found = mistakes_of(&text);
        assert_eq!(found.len(), 1, "{found:#?}");
        assert!(
            found[0].contains("zones must not contain one another"),
            "{found:#?}"
        );
        assert!(
            found[0].starts_with("node.toml:3:12: dns.ors_zone: ")
                || found[0].starts_with("node.toml:4:12: dns.ons_zone: "),
            "{found:#?}"
        );
    }
    assert!(
        load_file("version = 1\n[dns]\nzone = 'grid.example.'\nors_zone = 'id.example.'\n").is_ok()
    );
}

#[test]
fn fronts_on_one_address() {
    let found = mistakes_of("version = 1\n[grpc]\nlisten = '0.0.0.0:8080'\n");
    assert_eq!(
        found,
        [
            "node.toml:3:10: grpc.listen: two fronts cannot share an address, but grpc.listen is \
          0.0.0.0:8080 and http.listen is 127.0.0.1:8080"
        ]
    );
    accepts(
        "grpc.listen",
        &["[::]:8080", "192.0.2.1:8080", "127.0.0.1:0"],
    );
    let all_free: Vec<FlagSetting> = ["grpc", "http", "dns", "handle"]
        .map(|front| FlagSetting::set(format!("{front}.listen"), "127.0.0.1:0"))
        .to_vec();
    assert!(Config::load(None, [], &all_free).is_ok());
}

#[test]
fn a_broken_key_is_not_reported_again_as_a_conflict() {
    let found = mistakes_of("version = 1\n[dns]\nzone = 'bad'\nors_zone = 'id.example.'\n");
    assert_eq!(found.len(), 1, "{found:#?}");
}

#[test]
fn soa_times() {
    refuses(
        "dns.retry_s",
        &[("3601", "must not exceed refresh_s (3600)")],
    );
    refuses(
        "dns.expire_s",
        &[("3599", "must not be less than refresh_s (3600)")],
    );
    refuses(
        "dns.refresh_s",
        &[("599", "must not exceed refresh_s (599)")],
    );
}

#[test]
fn texts() {
    let long = "a".repeat(65);
    accepts("node.id", &["a", "node-1.shuozhou_x"]);
    refuses(
        "node.id",
        &[
            ("", "0 bytes"),
            (&long, "65 bytes"),
            ("a b", "' '"),
            ("节点", "'节'"),
        ],
    );
    accepts("node.data_dir", &["/var/lib/数据", "d"]);
    refuses("node.data_dir", &[("", "empty"), ("a\0b", "NUL")]);
    accepts("log.level", &["off", "info,idnode_resolver::front=debug"]);
    refuses(
        "log.level",
        &[("inof", "\"inof\" is neither a level nor module=level")],
    );
    refuses("log.format", &[("xml", "\"xml\" is no log format")]);
    accepts("dns.soa_rname", &["", "noc.example.org."]);
    refuses(
        "dns.soa_rname",
        &[("noc@example.org", "\"noc.example.org.\"")],
    );
}

#[test]
fn urls_and_schemes() {
    accepts(
        "http.public_url",
        &["", "https://id.example.org", "http://[::1]:8080/base"],
    );
    refuses(
        "http.public_url",
        &[
            ("id.example.org", "http:// or https://"),
            ("https://", "no host"),
            ("https:///x", "no host"),
            ("https://h/", "ends in '/'"),
            ("https://h?x", "'?'"),
            ("https://u@h", "'@'"),
            ("https://h\r\nx", "'\\r'"),
        ],
    );
    accepts("http.redirect_schemes", &["https", "coap+tcp,urn"]);
    refuses(
        "http.redirect_schemes",
        &[
            ("javascript", "not a scheme to redirect to"),
            ("https,data", "not a scheme to redirect to"),
            ("HTTPS", "in lower case"),
            ("ht tp", "in lower case"),
            ("https,https", "listed twice"),
            (
                "a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q",
                "17 entries are too many",
            ),
            ("https,", "\"\" is not a URL scheme"),
        ],
    );
}

#[test]
fn addresses_and_name_servers() {
    accepts("handle.public_addresses", &["", "192.0.2.1,2001:db8::1"]);
    refuses(
        "handle.public_addresses",
        &[
            ("0.0.0.0", "not the address of one machine"),
            ("ff02::1", "not the address of one machine"),
            ("192.0.2.1:2641", "is not an IP address"),
            ("192.0.2.1,192.0.2.1", "listed twice"),
        ],
    );
    refuses(
        "dns.ns",
        &[
            ("ns1.example.org", "does not end in a dot"),
            ("A.b.,a.B.", "listed twice"),
        ],
    );
    refuses(
        "grpc.listen",
        &[
            ("2643", "with a port"),
            ("127.0.0.1", "with a port"),
            ("127.0.0.1:65536", "with a port"),
        ],
    );
}

#[test]
fn who_signs_or_is_trusted_has_a_key() {
    for (name, file) in [("signer", "key_file"), ("root", "root_key_file")] {
        let found = mistakes_of(&format!(
            "version = 1\n[trust]\n{name} = '300:0.NA/88.118.8'\n"
        ));
        assert_eq!(
            found,
            [format!(
                "node.toml:3:{}: trust.{name}: trust.{name} is \"300:0.NA/88.118.8\", which needs \
                 trust.{file}, a PEM file",
                name.len() + 4
            )]
        );
    }
    refuses(
        "trust.signer",
        &[
            ("0.NA/88.118.8", "is not an index and a handle"),
            ("x:0.NA/88.118.8", "is not an index and a handle"),
            ("300:", "is not an index and a handle"),
        ],
    );
}
