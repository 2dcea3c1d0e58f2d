//! The hourly listing tells of enterprises what the registry has of them.

use super::world::*;
use serde_json::json;

const HOUR_S: u64 = 3_600;

#[test]
fn the_listing_has_the_profile_and_nobody_s_identity() {
    let mut world = World::new();
    let national = world.national();
    let node = world.node(0);
    let operator = world.operator(&node);
    let made = operator.json(&[
        "enterprise",
        "create",
        "--certificate-code=91110000600037341L",
        "--name=太原轴承厂",
        "--name-en=Taiyuan Bearings",
        "--address=太原市小店区 1 号",
        "--province-code=140000",
        "--city-code=140100",
        "--county-code=140105",
        "--country-code=CN",
        "--website=https://bearings.example.cn/",
        "--description=轴承",
        "--contact-name=王工",
        "--contact-email=noc@bearings.example.cn",
        "--contact-phone=0351-1234567",
        "--legal-person-name=hidden-person",
        "--legal-person-id-number=hidden-number",
    ]);
    let id = made["enterprise"]["id"].as_str().unwrap();
    operator.json(&["enterprise", "review", id, "verify"]);
    let listed_at = |ahead_s: u64| {
        let key = last_hour(ahead_s);
        until_told(&world.operator(&world.node(ahead_s)), &key);
        taken(&national, &key)["report"]["enterprises"].clone()
    };
    node.stop();
    let listed = listed_at(HOUR_S);
    let told = &listed["enterprises"][0];
    for (field, expected) in [
        ("name", "太原轴承厂"),
        ("name_en", "Taiyuan Bearings"),
        ("address", "太原市小店区 1 号"),
        ("province_code", "140000"),
        ("city_code", "140100"),
        ("county_code", "140105"),
        ("country_code", "CN"),
        ("website", "https://bearings.example.cn/"),
        ("description", "轴承"),
        ("certificate_type", "credit_code"),
        ("status", "已实名"),
    ] {
        assert_eq!(told[field], expected, "{field}: {told}");
    }
    assert_eq!(
        told["contact"],
        json!({"name": "王工", "email": "noc@bearings.example.cn", "phone": "0351-1234567"})
    );
    assert!(!listed.to_string().contains("hidden"), "{listed}");
    // How to reach it has changed: that is told in the next hour.
    let node = world.node(HOUR_S);
    let moved = ["enterprise", "update", id, "--address=太原市 2 号"];
    world.operator(&node).json(&moved);
    node.stop();
    let listed = listed_at(2 * HOUR_S);
    assert_eq!(listed["enterprises"][0]["address"], "太原市 2 号");
}
