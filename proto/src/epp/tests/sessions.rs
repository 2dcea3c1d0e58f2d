//! What a client makes of a greeting.

use crate::epp::Greeting;

#[test]
fn a_client_takes_a_language_that_the_server_has() {
    let of = |languages: &[&str]| {
        let greeting = Greeting {
            languages: languages.iter().map(|it| (*it).to_owned()).collect(),
            ..Greeting::of_server("x", "2026-11-28T00:00:00Z")
        };
        greeting.language().to_owned()
    };
    assert_eq!(of(&["zh-CN", "EN"]), "EN");
    assert_eq!(of(&["zh-CN", "fr"]), "zh-CN");
    assert_eq!(of(&[]), "en");
}
