//! Prefixes that are delegated by the handle of a service (RFC 3651 §3.2.4), between real nodes.

use super::*;
use idnode_tests::run::curl;

const PREFIX: &str = "88.118.9";
const HANDLE: &str = "88.118.9/A";
const SERVICE: &str = "88.119/SVC";

impl City {
    /// Its prefix is served by the service with this handle.
    fn delegates_to_service(&self, prefix: &str, handle: &str) {
        self.serves(prefix);
        let service = ["--service-handle", handle];
        self.idctl()
            .json(&[&["prefix", "delegate", prefix][..], &service].concat());
    }

    /// The handle of a service has the sites of another node's.
    fn registers_service(&self, handle: &str, of: &City) {
        let port = of.node.at.handle.port();
        let site = serde_json::json!([{
            "index": 1,
            "type": "HS_SITE",
            "ttl": 60,
            "data": {"format": "site", "value": {
                "version": 1,
                "protocolVersion": "2.11",
                "serialNumber": 1,
                "primarySite": true,
                "multiPrimary": false,
                "servers": [{
                    "serverId": 1,
                    "address": "127.0.0.1",
                    "interfaces": [
                        {"query": true, "admin": false, "protocol": "TCP", "port": port},
                        {"query": true, "admin": false, "protocol": "UDP", "port": port},
                    ],
                }],
            }},
        }]);
        let token = format!("Authorization: Bearer {}", self.dir.token().trim());
        let put = ["-X", "PUT", "-H", &token, "-d", &site.to_string()];
        let (status, _, body) = curl(&self.node.http(&format!("/api/handles/{handle}")), &put);
        assert!(matches!(status, 200 | 201), "{body}");
    }

    fn http_json(&self, path: &str) -> (u16, Value) {
        let (status, _, body) = curl(&self.node.http(path), &[]);
        let document = serde_json::from_str(&body);
        (status, document.unwrap_or_else(|_| panic!("{body}")))
    }
}

/// The city that serves the prefix, with handles A and B.
fn serving() -> City {
    let there = City::new(&[]);
    there.serves(PREFIX);
    there.registers(HANDLE, "https://there.example/a");
    there.registers("88.118.9/B", "https://there.example/b");
    there
}

#[test]
fn a_service_is_told_in_every_protocol() {
    let (here, there) = (City::new(&LOOPBACK), serving());
    here.serves("88.119");
    here.registers_service(SERVICE, &there);
    here.delegates_to_service(PREFIX, SERVICE);
    for version in ["2.1", "2.5", "2.10", "2.11"] {
        let referral = here.ask(HANDLE, &["--version", version]);
        assert_eq!(referral["code"], 302, "{referral}");
        assert_eq!(referral["handle"], SERVICE, "{referral}");
        assert_eq!(referral["values"], serde_json::json!([]), "{referral}");
    }
    let unwanted = here.ask(HANDLE, &["--no-referral"]);
    assert_eq!(unwanted["code"], 301, "{unwanted}");
    let described = here.ask("0.NA/88.118.9", &[]);
    let values = described["values"].as_array().unwrap();
    assert_eq!(values.len(), 1, "{described}");
    assert_eq!(
        (&values[0]["type"], &values[0]["data"], &values[0]["index"]),
        (&"HS_SERV".into(), &SERVICE.into(), &1.into())
    );
    // What the client that follows it finds.
    let sites = here.ask(SERVICE, &["--type", "HS_SITE"]);
    assert_eq!(sites["code"], 1, "{sites}");

    let (status, referral) = here.http_json("/api/handles/88.118.9/A");
    assert_eq!((status, &referral["responseCode"]), (300, &302.into()));
    assert_eq!(referral["values"][0]["type"], "HS_SERV");
    assert_eq!(referral["values"][0]["data"]["value"], SERVICE);
    let (status, refused) = here.http_json("/api/handles/88.118.9/A?doNotRefer");
    assert_eq!((status, &refused["responseCode"]), (400, &301.into()));
    let shown = here.idctl().json(&["resolve", HANDLE]);
    assert_eq!(shown["referral"]["delegation"]["service_handle"], SERVICE);
    let over_handle = here.node.at.handle.to_string();
    let told = here.idctl().json(&[
        "resolve",
        HANDLE,
        "--front",
        "handle",
        "--handle",
        &over_handle,
    ]);
    assert_eq!(
        told["referral"]["delegation"]["service_handle"], SERVICE,
        "{told}"
    );
    assert_eq!(told["referral"]["prefix"], PREFIX, "{told}");

    // Nobody names another service with a value of the prefix.
    let (_, refused) = here.idctl().refused(&[
        "prefix",
        "values",
        "update",
        PREFIX,
        "--value",
        "17:HS_SERV=88.1/X",
    ]);
    assert_eq!(refused["reason"], "INVALID", "{refused}");
}

#[test]
fn a_service_that_is_registered_here_is_followed() {
    let (here, there) = (City::new(&LOOPBACK), serving());
    here.serves("88.119");
    here.registers_service(SERVICE, &there);
    here.delegates_to_service(PREFIX, SERVICE);
    for options in [&["--recurse"][..], &["--recurse", "--tcp"]] {
        let answer = here.ask(HANDLE, options);
        assert_eq!(urls(&answer), ["https://there.example/a"]);
    }
    assert_eq!(here.recurse("88.118.9/none")["code"], 100);
    // Every front that asks others asks the same way.
    let (status, found) = here.http_json("/api/handles/88.118.9/A?recurse");
    assert_eq!(
        (status, &found["values"][0]["data"]["value"]),
        (200, &"https://there.example/a".into())
    );
    let found = here.idctl().json(&["resolve", HANDLE, "--recurse"]);
    assert_eq!(found["record"]["values"][0]["type"], "URL", "{found}");
    // The service moves.
    let elsewhere = City::new(&[]);
    elsewhere.serves(PREFIX);
    elsewhere.registers("88.118.9/B", "https://elsewhere.example/b");
    here.registers_service(SERVICE, &elsewhere);
    there.node.stop();
    let moved = here.recurse("88.118.9/B");
    assert_eq!(urls(&moved), ["https://elsewhere.example/b"]);
    // The prefix's own handle names the service, whoever asks.
    assert_eq!(
        here.recurse("0.NA/88.118.9")["values"][0]["type"],
        "HS_SERV"
    );
}

#[test]
fn a_service_of_another_node_s_is_followed_and_kept() {
    let there = serving();
    let services = City::new(&[]);
    services.serves("88.119");
    services.registers_service(SERVICE, &there);
    // The national node knows who has the service's handle, and nobody else does.
    let national = City::new(&[]);
    national.delegates("88.119", &services, &["udp", "tcp"]);
    let upstream = format!("handle.upstream={}", national.node.at.handle);
    let settings = [&LOOPBACK[..], &["--set", &upstream]].concat();
    let here = City::new(&settings);
    here.delegates_to_service(PREFIX, SERVICE);
    assert_eq!(urls(&here.recurse(HANDLE)), ["https://there.example/a"]);
    // Its sites are known by now.
    services.node.stop();
    national.node.stop();
    let kept = here.recurse("88.118.9/B");
    assert_eq!(urls(&kept), ["https://there.example/b"]);
}

#[test]
fn a_service_that_another_node_refers_to_is_followed() {
    let there = serving();
    // Whoever refers to the service does not have its handle; this node has.
    let between = City::new(&[]);
    between.delegates_to_service(PREFIX, SERVICE);
    let here = City::new(&LOOPBACK);
    here.delegates(PREFIX, &between, &["udp", "tcp"]);
    here.serves("88.119");
    here.registers_service(SERVICE, &there);
    assert_eq!(here.ask(HANDLE, &[])["code"], 303);
    assert_eq!(urls(&here.recurse(HANDLE)), ["https://there.example/a"]);
    // And who refers has it.
    let between = City::new(&[]);
    between.serves("88.119.5");
    between.registers_service("88.119.5/SVC", &there);
    between.delegates_to_service(PREFIX, "88.119.5/SVC");
    let here = City::new(&LOOPBACK);
    here.delegates(PREFIX, &between, &["udp", "tcp"]);
    assert_eq!(urls(&here.recurse(HANDLE)), ["https://there.example/a"]);
}

#[test]
fn services_that_lead_to_each_other_come_to_an_end() {
    let (one, two) = (City::new(&LOOPBACK), City::new(&LOOPBACK));
    one.delegates("88.119", &two, &["udp", "tcp"]);
    two.delegates("88.118.9", &one, &["udp", "tcp"]);
    // The service of each prefix is under the other prefix.
    let redelegate = |city: &City, prefix: &str, handle: &str| {
        let service = ["--service-handle", handle];
        city.idctl()
            .json(&[&["prefix", "delegate", prefix][..], &service].concat());
    };
    one.delegates_to_service("88.118.9", "88.119/SVC");
    redelegate(&two, "88.118.9", "88.119/SVC");
    two.delegates_to_service("88.119", "88.118.9/SVC");
    for city in [&one, &two] {
        let began = Instant::now();
        let answer = city.recurse("88.118.9/A");
        assert_eq!(answer["code"], 6, "{answer}");
        assert!(began.elapsed() < Duration::from_secs(5));
        assert_eq!(city.ask("88.118.9/A", &[])["code"], 302);
    }
    let far = one.ask("88.118.9/A", &["--recurse", "--hops", "8"]);
    assert_eq!(far["code"], 6, "{far}");
    // In one node as well.
    let alone = City::new(&LOOPBACK);
    alone.delegates_to_service("88.118.9", "88.119/SVC");
    alone.delegates_to_service("88.119", "88.118.9/SVC");
    assert_eq!(alone.recurse("88.118.9/A")["code"], 6);
    // And a service that says it is here.
    let own = City::new(&LOOPBACK);
    own.serves("88.119");
    own.registers_service(SERVICE, &own);
    own.delegates_to_service("88.118.9", SERVICE);
    assert_eq!(own.recurse("88.118.9/A")["code"], 6);
}

#[test]
fn a_service_that_is_not_found_is_named() {
    let here = City::new(&LOOPBACK);
    here.serves("88.119");
    here.registers("88.119/empty", "https://no.site.example/");
    for (prefix, service, cause) in [
        ("88.118.9", "88.119/none", "not registered"),
        ("88.118.10", "88.119/empty", "no site"),
    ] {
        here.delegates_to_service(prefix, service);
        let handle = format!("{prefix}/A");
        let answer = here.recurse(&handle);
        assert_eq!(answer["code"], 2, "{answer}");
        let message = answer["message"].as_str().unwrap();
        assert!(
            message.contains(service) && message.contains(cause),
            "{message}"
        );
        let (status, told) = here.http_json(&format!("/api/handles/{handle}?recurse"));
        assert_eq!((status, &told["responseCode"]), (500, &2.into()));
        let (_, refused) = here.idctl().refused(&["resolve", &handle, "--recurse"]);
        assert_eq!(refused["reason"], "SERVICE_NOT_FOUND", "{refused}");
        // Who asks for no recursion is referred.
        assert_eq!(here.ask(&handle, &[])["handle"], service);
    }
    // With nobody to ask for the service, the client may find it.
    here.delegates_to_service("88.118.11", "88.200/SVC");
    let answer = here.recurse("88.118.11/A");
    assert_eq!(
        (&answer["code"], &answer["handle"]),
        (&302.into(), &"88.200/SVC".into())
    );
    for (handle, said) in [
        ("88.118.9/SVC", "is under"),
        ("0.NA/88.118.9", "is under"),
        ("oid:1.2.156.3001", "no handle"),
    ] {
        let delegate = ["prefix", "delegate", "88.118.9", "--service-handle", handle];
        let (_, refused) = here.idctl().refused(&delegate);
        assert_eq!(refused["reason"], "INVALID", "{refused}");
        let message = refused["message"].as_str().unwrap_or_default();
        assert!(message.contains("service_handle"), "{said}: {refused}");
    }
}
