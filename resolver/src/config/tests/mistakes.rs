use super::*;

#[test]
fn a_misspelt_key_is_named_with_its_place_and_the_right_one() {
    assert_eq!(
        mistakes_of("version = 1\n\n[store]\n  block_cahce_mib = 9\n"),
        [
            "node.toml:4:3: store.block_cahce_mib: there is no such key; did you mean block_cache_mib?"
        ]
    );
}

#[test]
fn a_section_within_a_section_has_keys_of_its_own() {
    assert_eq!(
        mistakes_of("version = 1\n[upward.epp]\nservr = 'a:1'\n"),
        ["node.toml:3:1: upward.epp.servr: there is no such key; did you mean server?"]
    );
    assert_eq!(
        mistakes_of("version = 1\n[upward]\nepp = 1\n"),
        [
            "node.toml:3:7: upward.epp: is a section and needs a table, \"[upward.epp]\", not an integer"
        ]
    );
    let errors = mistakes_of("version = 1\n[upward.epp]\nserver = 'a:1'\n");
    assert_eq!(errors.len(), 4, "{errors:?}");
    assert!(errors[0].contains("which needs upward"), "{errors:?}");
}

#[test]
fn a_key_in_the_wrong_section_is_sent_to_the_right_one() {
    assert_eq!(
        mistakes_of("version = 1\n[grpc]\nbody_limit_kib = 9\n"),
        [
            "node.toml:3:1: grpc.body_limit_kib: there is no such key; did you mean body_limit_kib in [http]?"
        ]
    );
    assert_eq!(
        mistakes_of("version = 1\ndata_dir = '/d'\n"),
        ["node.toml:2:1: data_dir: there is no such section; did you mean data_dir in [node]?"]
    );
}

#[test]
fn a_number_out_of_range_is_told_the_range() {
    assert_eq!(
        mistakes_of("version = 1\n[store]\nblock_cache_mib = 7\n"),
        ["node.toml:3:19: store.block_cache_mib: 7 is out of range, allowed: 8 to 1048576 MiB"]
    );
    assert_eq!(
        mistakes_of("version = 1\ncache.capacity_mib = -1\n"),
        ["node.toml:2:22: cache.capacity_mib: -1 is out of range, allowed: 1 to 1048576 MiB"]
    );
    let huge = format!("version = 1\ncache.capacity_mib = {}\n", "9".repeat(60));
    assert!(mistakes_of(&huge)[0].contains("allowed: 1 to 1048576 MiB"));
}

#[test]
fn every_integer_is_bounded_on_both_sides() {
    for key in table::keys().filter(|key| key.kind == Kind::Integer) {
        let rule::Check::Range(least, most) = key.rule.check else {
            panic!("{} has no bounds", key.path());
        };
        for (number, is_allowed) in [
            (least - 1, false),
            (least, true),
            (most, true),
            (most + 1, false),
        ] {
            let mut config = Config::unsettled();
            let value = Value::Integer(number);
            assert_eq!(
                key.rule.check(&value).is_ok(),
                is_allowed,
                "{} = {number}",
                key.path()
            );
            if is_allowed {
                (key.set)(&mut config, &value).unwrap();
                assert_eq!((key.get)(&config), value, "{}", key.path());
            }
        }
    }
}

#[test]
fn a_wrong_type_is_told_the_right_one() {
    for (line, expected) in [
        (
            "store.block_cache_mib = 'big'",
            "node.toml:2:25: store.block_cache_mib: expected an integer (8 to 1048576 MiB), found the string \"big\"",
        ),
        (
            "grpc.reflection = 1",
            "node.toml:2:19: grpc.reflection: expected a boolean (true or false), found the integer 1",
        ),
        (
            "node.id = 2.5",
            "node.toml:2:11: node.id: expected a string (1 to 64 letters, digits, '.', '_' or '-'), found the float 2.5",
        ),
        (
            "dns.ns = ['a.', 3]",
            "node.toml:2:10: dns.ns: expected a list of strings (at most 16 domain names that end in a dot), found the integer 3 in the list",
        ),
        (
            "store = 5",
            "node.toml:2:9: store: is a section and needs a table, \"[store]\", not an integer",
        ),
        (
            "[[store]]\n",
            "node.toml:2:1: store: is a section and needs a table, \"[store]\", not a list",
        ),
    ] {
        assert_eq!(mistakes_of(&format!("version = 1\n{line}")), [expected]);
    }
}

#[test]
fn an_unknown_section_is_refused_with_the_nearest() {
    assert_eq!(
        mistakes_of("version = 1\n[sotre]\nblock_cache_mib = 9\n"),
        ["node.toml:2:2: sotre: there is no such section; did you mean [store]?"]
    );
    assert_eq!(
        mistakes_of("version = 1\n[weather]\n"),
        ["node.toml:2:2: weather: there is no such section"]
    );
}

#[test]
fn the_version_must_be_there_and_be_ours() {
    assert_eq!(
        mistakes_of("[store]\n"),
        ["node.toml:1:1: version: is missing: the file must begin with \"version = 1\""]
    );
    assert_eq!(
        mistakes_of("version = 2\n[unheard_of]\nx = 1\n"),
        ["node.toml:1:11: version: 2 is not a version this idnode reads: it reads version 1 only"]
    );
    assert_eq!(
        mistakes_of("version = '1'\n"),
        ["node.toml:1:11: version: expected an integer (1), found the string \"1\""]
    );
}

#[test]
fn every_mistake_is_reported_in_the_order_of_lines() {
    let found = mistakes_of(
        "version = 1\n[store]\nwrite_bufer_mib = 1\n[cache]\ncapacity_mib = 0\n\
         [dns]\nzone = 'nodot'\n[api]\n",
    );
    let places: Vec<&str> = found
        .iter()
        .map(|line| line.split(": ").next().unwrap())
        .collect();
    assert_eq!(
        places,
        [
            "node.toml:3:1",
            "node.toml:5:16",
            "node.toml:7:8",
            "node.toml:8:2"
        ],
        "{found:#?}"
    );
}

#[test]
fn broken_toml_names_line_column_and_key() {
    let found =
        mistakes_of("version = 1\n[store]\nblock_cache_mib = = 3\n[cache]\ncapacity_mib = \n");
    assert_eq!(found.len(), 2, "{found:#?}");
    assert!(
        found[0].starts_with("node.toml:3:19: store.block_cache_mib: is not valid TOML"),
        "{found:#?}"
    );
    assert!(found[1].starts_with("node.toml:5:"), "{found:#?}");
    assert!(
        found[1].contains("cache.capacity_mib: is not valid TOML"),
        "{found:#?}"
    );
}

#[test]
fn a_key_given_twice_is_refused() {
    let found = mistakes_of("version = 1\n[cache]\ncapacity_mib = 3\ncapacity_mib = 4\n");
    assert_eq!(found.len(), 1, "{found:#?}");
    assert!(
        found[0].starts_with("node.toml:4:1: cache.capacity_mib: ")
            && found[0].contains("duplicate"),
        "{found:#?}"
    );
}

#[test]
fn files_that_are_no_files_are_refused_as_a_whole() {
    let directory = tempfile::tempdir().unwrap();
    let missing = directory.path().join("none.toml");
    let errors = Config::load(Some(&missing), [], &[]).unwrap_err();
    assert!(
        errors.to_string().contains("none.toml: cannot be read: "),
        "{errors}"
    );

    let binary = directory.path().join("binary.toml");
    std::fs::write(&binary, b"version = 1 # \xff").unwrap();
    let errors = Config::load(Some(&binary), [], &[]).unwrap_err();
    assert_eq!(errors.0[0].problem, Problem::NotText);

    let large = directory.path().join("large.toml");
    std::fs::write(&large, vec![b'\n'; (1 << 16) + 1]).unwrap();
    let errors = Config::load(Some(&large), [], &[]).unwrap_err();
    assert_eq!(errors.0[0].problem, Problem::TooLarge { most: 1 << 16 });
}

#[test]
fn mistakes_in_variables_name_the_variable() {
    for (name, value, expected) in [
        (
            "IDNODE_STORE__BLOCK_CAHCE_MIB",
            "9",
            "IDNODE_STORE__BLOCK_CAHCE_MIB: store.block_cahce_mib: there is no such key; did you mean IDNODE_STORE__BLOCK_CACHE_MIB?",
        ),
        (
            "IDNODE_LOG_LEVEL",
            "debug",
            "IDNODE_LOG_LEVEL: log.level: there is no such key; did you mean IDNODE_LOG__LEVEL?",
        ),
        (
            "IDNODE_CACHE__CAPACITY_MIB",
            "1e3",
            "IDNODE_CACHE__CAPACITY_MIB: cache.capacity_mib: expected an integer (1 to 1048576 MiB), found the float 1e3",
        ),
        (
            "IDNODE_GRPC__REFLECTION",
            "yes",
            "IDNODE_GRPC__REFLECTION: grpc.reflection: expected a boolean (true or false), found \"yes\"",
        ),
        (
            "IDNODE_HTTP__MAX_CONNECTIONS",
            "0",
            "IDNODE_HTTP__MAX_CONNECTIONS: http.max_connections: 0 is out of range, allowed: 1 to 1000000 connections",
        ),
    ] {
        let errors = Config::load(None, variables(&[(name, value)]), &[]).unwrap_err();
        assert_eq!(errors.to_string(), expected);
    }
}

#[cfg(unix)]
#[test]
fn a_variable_that_is_not_text_is_refused() {
    use std::os::unix::ffi::OsStringExt;
    let value = OsString::from_vec(vec![b'/', 0xff]);
    let errors = Config::load(
        None,
        [(OsString::from("IDNODE_NODE__DATA_DIR"), value)],
        &[],
    )
    .unwrap_err();
    assert_eq!(
        errors.to_string(),
        "IDNODE_NODE__DATA_DIR: node.data_dir: is not UTF-8 text"
    );
}

#[test]
fn mistakes_in_flags_name_the_flag() {
    let flag = FlagSetting {
        flag: "--grpc".to_owned(),
        key: "grpc.listen".to_owned(),
        value: "localhost:1".to_owned(),
    };
    let unknown = FlagSetting::set("gprc.lisen", "127.0.0.1:0");
    let errors = Config::load(None, [], &[flag, unknown]).unwrap_err();
    let lines: Vec<String> = errors.0.iter().map(ToString::to_string).collect();
    assert_eq!(
        lines,
        [
            "--grpc: grpc.listen: \"localhost:1\" is not an IP address with a port; allowed: an IP \
             address and port such as 127.0.0.1:2643, IPv6 in brackets; port 0 takes any free port",
            "--set: gprc.lisen: there is no such key; did you mean grpc.listen?",
        ]
    );
}

#[test]
fn a_mistake_in_the_file_counts_even_if_a_flag_overrides_it() {
    let (_guard, path) = file("version = 1\ncache.capacity_mib = 0\n");
    let flags = [FlagSetting::set("cache.capacity_mib", "5")];
    assert!(Config::load(Some(&path), [], &flags).is_err());
}

proptest::proptest! {
    #[test]
    fn junk_never_panics_and_errors_always_have_a_place(
        text in "(version = 1\n)?([\\[\\]a-z_.]{0,12}( = )?[-0-9a-z\"'\\[{},\\PC]{0,12}\n){0,6}"
    ) {
        let (_, errors) = file::parse(std::path::Path::new("node.toml"), &text);
        for error in errors {
            let Origin::File { position: Some(at), .. } = error.origin else {
                panic!("no place: {error}");
            };
            assert!(at.line >= 1 && at.line <= text.matches('\n').count() + 1);
        }
    }

    #[test]
    fn junk_in_flags_is_refused_or_stored(key in "[a-z_.]{0,20}", value in "\\PC{0,20}") {
        let _ = Config::load(None, [], &[FlagSetting::set(key, value.as_str())]);
        for known in table::keys() {
            let flags = [FlagSetting::set(known.path(), value.as_str())];
            if let Ok(config) = Config::load(None, [], &flags) {
                assert!(known.rule.check(&(known.get)(&config)).is_ok());
            }
        }
    }
}
