use super::*;

#[test]
fn an_empty_configuration_is_the_default_one() {
    assert_eq!(Config::load(None, [], &[]).unwrap(), Config::default());
    assert_eq!(load_file("version = 1\n").unwrap(), Config::default());
}

#[test]
fn flag_beats_environment_beats_file_beats_default() {
    let (_guard, path) = file(
        "version = 1\n[store]\nblock_cache_mib = 10\nwrite_buffer_mib = 11\ngroup_commit_max = 12\n",
    );
    let environment = variables(&[
        ("IDNODE_STORE__WRITE_BUFFER_MIB", "21"),
        ("IDNODE_STORE__GROUP_COMMIT_MAX", "22"),
    ]);
    let flags = [FlagSetting::set("store.group_commit_max", "32")];
    let effective = Effective::load(Some(&path), environment, &flags).unwrap();
    let store = &effective.config.store;
    assert_eq!(store.max_open_files, 512);
    assert_eq!(
        (
            store.block_cache_mib,
            store.write_buffer_mib,
            store.group_commit_max
        ),
        (10, 21, 32)
    );

    let origin = |key: &str| effective.origins.get(key).map(ToString::to_string);
    assert_eq!(origin("store.max_open_files"), None);
    assert_eq!(
        origin("store.block_cache_mib"),
        Some(format!("{}:3:19", path.display()))
    );
    assert_eq!(
        origin("store.write_buffer_mib").as_deref(),
        Some("IDNODE_STORE__WRITE_BUFFER_MIB")
    );
    assert_eq!(origin("store.group_commit_max").as_deref(), Some("--set"));
}

#[test]
fn the_last_flag_for_a_key_counts() {
    let flags = [
        FlagSetting::set("log.level", "warn"),
        FlagSetting::set("log.level", "error"),
    ];
    assert_eq!(Config::load(None, [], &flags).unwrap().log.level, "error");
}

#[test]
fn every_key_is_reached_by_variable_flag_and_file() {
    let mut count = 0;
    for key in table::keys() {
        let text = other_value(key);
        // What it is nothing without: a certificate, a key.
        let needed: &[&str] = match key.path().as_str() {
            "dns.tls_listen" | "dns.https_listen" | "dns.quic_listen" => {
                &["dns.tls_certificate", "dns.tls_key"]
            }
            "handle.tls_listen" => &["handle.tls_certificate", "handle.tls_key"],
            "http.tls_listen" => &["http.tls_certificate", "http.tls_key"],
            "trust.signer" => &["trust.key_file"],
            "trust.root" => &["trust.root_key_file"],
            "upward.escrow.server" => &[
                "upward.escrow.key_file",
                "upward.escrow.receiver_key_file",
                "upward.escrow.signing_key_file",
                "upward.escrow.user",
            ],
            "upward.report.server" => &[
                "upward.report.authority",
                "upward.report.certificate",
                "upward.report.key",
            ],
            "upward.sync.server" => &[
                "upward.sync.authority",
                "upward.sync.certificate",
                "upward.sync.key",
            ],
            "upward.epp.server" => &["upward.epp.password_file", "upward.epp.authority"],
            _ => &[],
        };
        let needs_node = ["upward.epp.server", "upward.escrow.server"].contains(&&*key.path());
        let needs_host_key = key.path() == "upward.escrow.server";
        let host_key =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJdD7y3aLq454yWBdwLWbieU1ebz9/cu7/QEXn9OIeZJ";
        let files: String = needed
            .iter()
            .map(|path| format!("{path} = \"k.pem\"\n"))
            .chain(
                needs_node
                    .then(|| "upward.prefixes = [\"88.118\"]\nupward.user = \"u\"\n".to_owned()),
            )
            .chain(needs_host_key.then(|| format!("upward.escrow.host_key = \"{host_key}\"\n")))
            .collect();
        let mut flags: Vec<_> = needed
            .iter()
            .map(|path| FlagSetting::set(*path, "k.pem"))
            .collect();
        if needs_node {
            flags.push(FlagSetting::set("upward.prefixes", "88.118"));
            flags.push(FlagSetting::set("upward.user", "u"));
        }
        flags.extend(needs_host_key.then(|| FlagSetting::set("upward.escrow.host_key", host_key)));
        let from_variable =
            Config::load(None, variables(&[(&key.variable(), &text)]), &flags).unwrap();
        flags.push(FlagSetting::set(key.path(), text.as_str()));
        let from_flag = Config::load(None, [], &flags).unwrap();
        let value = (key.get)(&from_flag);
        let line = format!(
            "version = 1\n{files}{}.{} = {value}\n",
            key.section, key.name
        );
        let from_file = load_file(&line).unwrap();

        assert_ne!(
            value,
            (key.get)(&Config::default()),
            "{} is not stored",
            key.path()
        );
        assert_eq!(from_flag, from_variable, "{}", key.path());
        assert_eq!(from_flag, from_file, "{}", key.path());
        count += 1;
    }
    assert!(count >= 45, "the table has {count} keys");
}

#[test]
fn every_short_flag_sets_a_key_that_exists() {
    for (_, path) in overrides::SHORT_FLAGS {
        let (section, name) = path.split_once('.').unwrap();
        assert!(table::key(section, name).is_some(), "{path}");
    }
}

#[test]
fn lists_are_written_as_in_toml_or_with_commas() {
    let schemes = |text: &str| {
        let flags = [FlagSetting::set("http.redirect_schemes", text)];
        Config::load(None, [], &flags)
            .unwrap()
            .http
            .redirect_schemes
    };
    assert_eq!(schemes("https, ftp"), ["https", "ftp"]);
    assert_eq!(schemes(r#"["https", "ftp"]"#), ["https", "ftp"]);
    assert!(schemes("").is_empty());
    assert!(schemes("[]").is_empty());
}

#[test]
fn what_was_left_empty_follows_from_other_keys() {
    let config = load_file(
        "version = 1\n[dns]\nzone = 'Id.Shanxi.Example.'\nlisten = '192.0.2.7:53'\n\
         [handle]\nlisten = '[2001:db8::7]:2641'\n",
    )
    .unwrap();
    assert_eq!(config.dns.zone, "id.shanxi.example.");
    assert_eq!(config.dns.ns, ["ns1.id.shanxi.example."]);
    assert_eq!(config.dns.soa_rname, "hostmaster.id.shanxi.example.");
    assert_eq!(
        config.dns.node_addresses,
        ["192.0.2.7".parse::<std::net::IpAddr>().unwrap()]
    );
    assert_eq!(config.handle.public_addresses[0].to_string(), "2001:db8::7");
    assert_eq!(config.warnings(), Vec::<String>::new());
}

#[test]
fn listening_everywhere_without_saying_where_warns() {
    let config = load_file(
        "version = 1\ndns.listen = '0.0.0.0:53'\nhandle.listen = '[::]:2641'\n\
         node.drain_deadline_s = 1\n",
    )
    .unwrap();
    assert!(config.handle.public_addresses.is_empty());
    let warnings = config.warnings();
    let keys: Vec<&str> = warnings
        .iter()
        .map(|warning| warning.split(':').next().unwrap())
        .collect();
    assert_eq!(
        keys,
        [
            "handle.public_addresses",
            "dns.node_addresses",
            "node.drain_deadline_s"
        ]
    );
}

#[test]
fn variables_of_others_are_left_alone() {
    let environment = variables(&[
        ("IDNODE_CONFIG", "x.toml"),
        ("IDNODE_TOKEN", "secret"),
        ("PATH", "/bin"),
        ("idnode_store__x", "1"),
    ]);
    assert_eq!(
        Config::load(None, environment, &[]).unwrap(),
        Config::default()
    );
}
