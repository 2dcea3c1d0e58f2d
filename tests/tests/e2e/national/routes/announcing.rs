//! What a node tells of itself, and when.

use super::super::world::National;
use super::world::{City, World};
use idnode_tests::run::{curl, until};
use serde_json::{Value, json};

fn known(national: &National, node: &str) -> Value {
    national.status()["routes"]["nodes"][node].clone()
}

#[test]
fn a_node_tells_who_runs_it_and_where_it_resolves_what() {
    let mut world = World::new();
    world.arguments = vec![
        "--sync-node".to_owned(),
        "yuncheng:88.124,oid:1.2.156.3001".to_owned(),
    ];
    super::super::streams::certify(world.home.path(), &["server", "yuncheng"]);
    let national = world.national();
    let mut yuncheng = City::start(&world, "yuncheng", "88.124");
    yuncheng.stop();
    for setting in [
        "upward.routes.certificate_code=91110000600037341L",
        "upward.routes.contact_name=王工",
        "upward.routes.contact_email=noc@yuncheng.example",
        "upward.routes.contact_phone=0359-1234567",
        "upward.routes.other_prefixes=oid:1.2.156.3001",
        "handle.public_addresses=127.0.0.1,2001:db8::1",
    ] {
        yuncheng.settings.push(setting.to_owned());
    }
    yuncheng.run();
    yuncheng.until_told();
    let known = known(&national, "yuncheng");
    let version = concat!("idnode ", env!("CARGO_PKG_VERSION"));
    assert_eq!(
        known["operator"],
        json!({
            "name": "yuncheng 标识中心",
            "certificate_type": "OPERATOR_CERTIFICATE_TYPE_SOCIAL_CREDIT_CODE",
            "certificate_code": "91110000600037341L",
            "contact_name": "王工",
            "contact_email": "noc@yuncheng.example",
            "contact_phone": "0359-1234567",
            "prefixes": ["88.124"],
            "software": version,
        })
    );
    let at = yuncheng.node().at;
    let expected: Vec<String> = ["127.0.0.1", "2001:db8::1"]
        .into_iter()
        .flat_map(|ip| {
            [
                format!("handle/tcp {ip} {}", at.handle.port()),
                format!("handle/udp {ip} {}", at.handle.port()),
                format!("http {ip} {}", at.http.port()),
                format!("dns/udp {ip} {}", at.dns.port()),
                format!("dns/tcp {ip} {}", at.dns.port()),
            ]
        })
        .collect();
    assert_eq!(
        known["configurations"],
        json!([
            {"code_type": "CODE_TYPE_HANDLE", "prefix": "88.124", "endpoints": expected},
            {"code_type": "CODE_TYPE_OID", "prefix": "oid:1.2.156.3001", "endpoints": expected},
        ])
    );
    let (status, _, page) = curl(&national.url("/"), &[]);
    assert_eq!(status, 200);
    assert!(page.contains("yuncheng 标识中心"), "{page}");
}

#[test]
fn it_is_told_once_and_again_only_after_a_change() {
    let world = World::new();
    let mut national = world.national();
    let mut datong = City::datong(&world);
    datong.until_told();
    let first = known(&national, "datong");
    assert_eq!(first["announced"], 1);
    // A restart, of either side, changes nothing.
    datong.kill();
    datong.run();
    until("it is up again", || datong.channel()["state"] == "up");
    national.kill();
    let national = world.national();
    until("it is up again", || datong.channel()["state"] == "up");
    assert_eq!(known(&national, "datong"), first);
    let own = datong.siblings()["own"].clone();
    assert_eq!(own["digest"], first["digest"]);
    assert_eq!(datong.channel()["backlog"], 0);
    // What is configured anew is told.
    datong.stop();
    datong
        .settings
        .push("upward.operator=大同市标识中心".to_owned());
    datong.run();
    until("the change is told", || {
        known(&national, "datong")["operator"]["name"] == "大同市标识中心"
    });
    assert_eq!(known(&national, "datong")["announced"], 2);
}

#[test]
fn what_changes_without_an_uplink_is_owed_until_it_is_back() {
    let world = World::new();
    let mut national = world.national();
    let mut datong = City::datong(&world);
    datong.until_told();
    national.kill();
    datong.stop();
    datong
        .settings
        .push("upward.operator=大同市标识中心".to_owned());
    datong.run();
    until("it is owed", || datong.channel()["backlog"] == 1);
    assert_eq!(datong.siblings()["own"]["state"], "owed");
    datong.kill();
    datong.run();
    let national = world.national();
    datong.until_told();
    let now = known(&national, "datong");
    assert_eq!(
        (&now["operator"]["name"], &now["announced"]),
        (&json!("大同市标识中心"), &json!(2))
    );
    until("nothing is owed", || datong.channel()["backlog"] == 0);
}

#[test]
fn what_the_national_node_has_lost_is_told_again() {
    let world = World::new();
    let mut national = world.national();
    let datong = City::datong(&world);
    let linfen = City::linfen(&world);
    linfen.until_it_knows("datong");
    let digest = known(&national, "datong")["digest"].clone();
    // A person has it forgotten: the others are told, and so is the node, which tells it again.
    let forgotten = ["-d", "node=datong"];
    assert_eq!(curl(&national.url("/routes/forget"), &forgotten).0, 204);
    until("it was told again", || {
        known(&national, "datong")["announced"] == 2
    });
    assert_eq!(known(&national, "datong")["digest"], digest);
    let unknown = ["-d", "node=nobody"];
    assert_eq!(curl(&national.url("/routes/forget"), &unknown).0, 404);
    // The whole book is lost: the set is another one, and both tell again.
    let before = linfen.siblings()["set_id"].clone();
    national.kill();
    std::fs::remove_dir_all(world.home.path().join("national")).unwrap();
    let national = world.national();
    until("both are there again", || {
        known(&national, "datong")["digest"] == digest && !known(&national, "linfen").is_null()
    });
    until("the new set is known", || {
        let siblings = linfen.siblings();
        siblings["set_id"] != before && siblings["siblings"][0]["node"] == "datong"
    });
    drop(datong);
}
