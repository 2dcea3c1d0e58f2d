//! IIIDAP: a query or a line of WHOIS, a document, the bootstrap registry.
#![no_main]

use idnode_proto::iiidap::{Bootstrap, Document, Pattern, Query, Registration, folded, plain};
use libfuzzer_sys::fuzz_target;

fn query(text: &str) {
    let (path, parameters) = text.split_once('?').unwrap_or((text, ""));
    for read in [Query::parse(path, Some(parameters)), Query::of_line(text)] {
        match read {
            Ok(Query::Name(pattern) | Query::Names(pattern)) => {
                // What a pattern matches begins with what is searched for.
                let name = format!("{}x", pattern.lead());
                assert!(pattern.is_partial() || pattern.matches(pattern.lead()));
                if pattern.matches(&name) {
                    assert!(pattern.is_partial());
                }
            }
            Ok(_) => {}
            Err(error) => {
                assert!([400, 422].contains(&error.status()));
                assert!(!error.to_string().is_empty());
            }
        }
    }
    let once = folded(text);
    assert!(Pattern::exactly(text).matches(&once));
}

fuzz_target!(|data: &[u8]| {
    if let Ok(text) = std::str::from_utf8(data) {
        query(text);
    }
    if let Ok(document) = Document::parse(data) {
        let written = serde_json::to_vec(&document).unwrap();
        assert_eq!(Document::parse(&written).unwrap(), document);
        let lines = plain(&document);
        assert!(!lines.replace("\r\n", "").contains(char::is_control));
        if let Some(node) = document.registration.node {
            let public = node.public();
            assert!(public.contact.is_empty() && public.legal_person.is_empty());
            assert!(public.id_number.is_none() && public.address.is_none());
        }
    }
    let _ = Registration::parse_all(data);
    if let Ok(registry) = Bootstrap::parse(data) {
        for service in &registry.services {
            for entry in &service.0 {
                let found = registry
                    .authority(entry)
                    .expect("an entry is its own authority");
                assert!(found.base().is_some());
            }
        }
        let written = serde_json::to_vec(&registry).unwrap();
        assert_eq!(Bootstrap::parse(&written).unwrap(), registry);
    }
});
