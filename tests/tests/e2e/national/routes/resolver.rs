//! The resolver of the national prefix, as clients of the Handle protocol see it.

use super::world::{City, World, ask, both, questions, urls};
use idnode_tests::run::{Done, binary, curl, until};
use std::process::Command;

#[test]
fn it_knows_where_the_prefixes_of_nodes_are_and_refers_to_them() {
    let mut world = World::new();
    world.arguments = vec!["--route".to_owned(), "88.150=192.0.2.50:2641".to_owned()];
    let national = world.national();
    let datong = City::datong(&world);
    datong.until_told();
    let at = world.resolver;
    for transport in [&[][..], &["--tcp"]] {
        let asked =
            |handle: &str, options: &[&str]| ask(at, handle, &[transport, options].concat());
        for handle in ["0.NA/88", "0.NA/86", "0.NA/88.119", "0.na/88.150"] {
            let answer = asked(handle, &[]);
            assert_eq!(answer["code"], 1, "{handle}: {answer}");
            assert_eq!(answer["values"][0]["type"], "HS_SITE", "{handle}");
        }
        assert_eq!(asked("0.NA/88.119", &["--type", "EMAIL"])["code"], 200);
        assert_eq!(asked("0.NA/88.119", &["--type", "HS_SITE"])["code"], 1);
        for handle in ["88.119.1/A", "88.119/A", "0.NA/88.119.1", "88.150.3/A"] {
            assert_eq!(asked(handle, &[])["code"], 303, "{handle}");
            assert_eq!(
                asked(handle, &["--version", "2.3"])["code"],
                302,
                "{handle}"
            );
        }
        for (handle, code) in [
            ("0.NA/88.200", 100),
            ("88/A", 100),
            ("88.200/A", 301),
            ("10.1000/A", 301),
            ("0.NA/10.1000", 301),
            ("88.119.", 102),
        ] {
            assert_eq!(asked(handle, &[])["code"], code, "{handle}");
        }
    }
    let status = national.status()["resolve"].clone();
    assert_eq!(status["questions"], questions(&national));
    assert_eq!(status["values"], 12, "{status}");
    // Our own client reads it as well.
    let done = Done::of(
        Command::new(binary("idctl"))
            .args(["--json", "resolve", "0.NA/88.119", "--front", "handle"])
            .args(["--handle", &at.to_string()]),
    );
    assert_eq!(done.code, 0, "{done:?}");
    assert!(done.stdout.contains("HS_SITE"), "{done:?}");
}

#[test]
fn what_was_registered_above_in_a_scope_that_is_taken_over_is_answered_above() {
    let world = World::new();
    let national = world.national();
    let (mut datong, linfen) = both(&world);
    for name in ["GONE", "SAME"] {
        datong.registers(
            &format!("88.119.1/{name}"),
            86_400,
            "https://before.example/",
        );
    }
    datong.until_told();
    let head = datong.idctl().json(&["stats"])["sequence"].clone();
    until("everything is told", || {
        national.status()["changes"]["nodes"]["datong"]["sequence"].as_u64() >= head.as_u64()
    });
    let form = ["--data-urlencode", "node=datong", "--data-urlencode"];
    let post = |path: &str| {
        curl(
            &national.url(path),
            &[&form[..], &["cause=应急演练"]].concat(),
        )
    };
    assert_eq!(post("/takeover").0, 200);
    national.until_phase("datong", "taken-over");
    for (operation, name, text) in [
        ("create", "NEW", "https://above.example/new"),
        ("modify", "A", "https://above.example/a"),
        ("delete", "GONE", "停产"),
    ] {
        let (status, said) = national.register(operation, &format!("88.119.1/{name}"), text);
        assert_eq!(status, 201, "{said}");
    }

    let at = world.resolver;
    for transport in [&[][..], &["--tcp"]] {
        let new = ask(at, "88.119.1/NEW", transport);
        assert_eq!(urls(&new), ["https://above.example/new"]);
        let changed = ask(at, "88.119.1/A", transport);
        assert_eq!(urls(&changed), ["https://above.example/a"]);
        assert_eq!(ask(at, "88.119.1/GONE", transport)["code"], 100);
        // Of what nobody has touched there the node knows the values.
        assert_eq!(ask(at, "88.119.1/SAME", transport)["code"], 303);
    }
    datong.kill();
    let found = linfen.recurse("88.119.1/NEW");
    assert_eq!(urls(&found), ["https://above.example/new"]);

    datong.run();
    national.until_phase("datong", "taken-over");
    assert_eq!(post("/hand-back").0, 200);
    national.until_phase("datong", "handed-back");
    for name in ["NEW", "A", "GONE", "SAME"] {
        assert_eq!(
            ask(at, &format!("88.119.1/{name}"), &[])["code"],
            303,
            "{name}"
        );
    }
    let merged = datong.ask("88.119.1/NEW", &[]);
    assert_eq!(urls(&merged), ["https://above.example/new"]);
    assert_eq!(datong.ask("88.119.1/GONE", &[])["code"], 100);
}
