//! What is written is read again.

use crate::epp::enterprise::*;
use crate::epp::identifier::*;
use crate::epp::prefix::*;
use crate::epp::*;
use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::select;

/// Texts as they are kept: no blanks at their ends, no characters that XML cannot hold.
fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9<>&'\"标识\r\n\t ]{0,20}".prop_map(|text| text.trim_ascii().to_owned())
}

fn filled() -> impl Strategy<Value = String> {
    "[a-z0-9<&标][a-z <>&\r\n]{0,10}[a-z识]"
}

fn transaction() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9-]{3,64}"
}

fn image() -> impl Strategy<Value = Image> {
    let kind = select(vec!["", "png", "jpeg", "bmp"]).prop_map(str::to_owned);
    ("([A-Za-z0-9+/]{4}){0,10}", kind).prop_map(|(data, kind)| Image { data, kind })
}

fn contact() -> impl Strategy<Value = Contact> {
    (text(), text(), text()).prop_map(|(name, email, phone)| Contact { name, email, phone })
}

prop_compose! {
    fn reach()(
        codes in vec(option::of(text()), 3),
        texts in vec(option::of(text()), 5),
        contact in option::of(contact()),
    ) -> Reach {
        Reach {
            province: codes[0].clone(),
            city: codes[1].clone(),
            county: codes[2].clone(),
            address: texts[0].clone(),
            name_en: texts[1].clone(),
            address_en: texts[2].clone(),
            website: texts[3].clone(),
            description: texts[4].clone(),
            contact,
        }
    }
}

prop_compose! {
    fn enterprise()(
        names in vec(filled(), 3),
        images in vec(image(), 2),
        person in vec(text(), 3),
        reach in reach(),
        contact in contact(),
    ) -> Enterprise {
        Enterprise {
            kind: names[0].clone(),
            certificate_code: names[1].clone(),
            certificate_image: images[0].clone(),
            name: names[2].clone(),
            reach: Reach { contact: Some(contact), ..reach },
            legal_person: LegalPerson {
                name: person[0].clone(),
                id_type: person[1].clone(),
                id_number: person[2].clone(),
                image: images[1].clone(),
            },
        }
    }
}

fn key() -> impl Strategy<Value = PublicKey> {
    let kinds = vec!["dsa_pub_key", "rsa_pub_key", "secret_key"];
    let kind = option::of(select(kinds).prop_map(str::to_owned));
    (kind, "[A-Za-z0-9+/]{0,40}").prop_map(|(kind, data)| PublicKey { kind, data })
}

fn administrators() -> impl Strategy<Value = Vec<Administrator>> {
    let permission = select(PERMISSIONS.to_vec()).prop_map(str::to_owned);
    let one = (any::<u32>(), key(), vec(permission, 0..4));
    let one = one.prop_map(|(index, key, permissions)| Administrator {
        index,
        key,
        permissions,
    });
    vec(one, 0..3)
}

fn sites() -> impl Strategy<Value = Vec<SiteInfo>> {
    let word = |words: &[&'static str]| select(words.to_vec()).prop_map(str::to_owned);
    let interface = (
        word(&["query", "admin"]),
        word(&["tcp", "udp", "http"]),
        any::<u16>(),
    );
    let interface = interface.prop_map(|(service, protocol, port)| Interface {
        service,
        protocol,
        port,
    });
    let address = (word(&["v4", "v6"]), text());
    let service = (
        any::<u32>(),
        vec(address, 0..3),
        option::of(key()),
        vec(interface, 0..3),
    );
    let service = service.prop_map(|(server_id, addresses, key, interfaces)| Service {
        server_id,
        addresses,
        key,
        interfaces,
    });
    let site = (any::<u32>(), text(), vec(service, 0..3));
    let site = site.prop_map(|(index, protocol_version, services)| SiteInfo {
        index,
        protocol_version,
        services,
    });
    vec(site, 0..3)
}

prop_compose! {
    fn object()(
        name in filled(),
        kind in select(vec![Kind::Handle, Kind::Oid, Kind::Ecode, Kind::Epc, Kind::Other]),
        contacts in vec(text(), 0..3),
        urls in vec(text(), 0..3),
        administrators in administrators(),
        sites in sites(),
    ) -> IdentifierCreate {
        IdentifierCreate { name, kind, contacts, urls, administrators, sites }
    }
}

fn added() -> impl Strategy<Value = Added> {
    let status = option::of(select(STATUSES.to_vec()).prop_map(str::to_owned));
    let lists = (vec(text(), 0..3), vec(text(), 0..3));
    (lists, status, administrators(), sites()).prop_map(
        |((contacts, urls), status, administrators, sites)| Added {
            contacts,
            urls,
            status,
            administrators,
            sites,
        },
    )
}

fn update() -> impl Strategy<Value = IdentifierUpdate> {
    let removed = (
        vec(text(), 0..3),
        vec(text(), 0..3),
        vec(any::<u32>(), 1..3),
    );
    let removed = removed.prop_map(|(contacts, urls, indexes)| Removed {
        contacts,
        urls,
        administrators: indexes.clone(),
        sites: indexes,
    });
    (filled(), added(), option::of(removed), option::of(added())).prop_map(
        |(name, add, remove, change)| IdentifierUpdate {
            name,
            add: Some(add),
            remove,
            change,
        },
    )
}

fn enterprise_update() -> impl Strategy<Value = EnterpriseUpdate> {
    let all = (filled(), enterprise()).prop_map(|(node_prefix, enterprise)| Change::All {
        node_prefix,
        enterprise: Box::new(enterprise),
    });
    let some = (filled(), reach()).prop_map(|(user, reach)| Change::Some {
        user,
        reach: Reach {
            city: Some("140100".into()),
            ..reach
        },
    });
    (filled(), prop_oneof![all, some]).prop_map(|(enterprise_id, change)| EnterpriseUpdate {
        enterprise_id,
        change,
    })
}

fn operation() -> impl Strategy<Value = Operation> {
    let three = || (filled(), filled(), filled());
    prop_oneof![
        Just(Operation::Logout),
        Just(Operation::Poll(Poll::Request)),
        "[a-z0-9]{1,20}".prop_map(|id| Operation::Poll(Poll::Acknowledge(id))),
        (filled(), text()).prop_map(|(user, pw)| Operation::Login(Login::of_client(user, pw))),
        three().prop_map(|(user, certificate_type, certificate_code)| {
            Operation::CheckEnterprise(EnterpriseCheck {
                user,
                certificate_type,
                certificate_code,
            })
        }),
        (filled(), enterprise()).prop_map(|(node_prefix, enterprise)| {
            let create = EnterpriseCreate {
                node_prefix,
                enterprise,
            };
            Operation::CreateEnterprise(Box::new(create))
        }),
        enterprise_update().prop_map(|it| Operation::UpdateEnterprise(Box::new(it))),
        (filled(), filled()).prop_map(|(node_prefix, prefix)| {
            Operation::CheckPrefix(PrefixCheck {
                node_prefix,
                prefix,
            })
        }),
        three().prop_map(|(node_prefix, enterprise_id, prefix)| {
            Operation::CreatePrefix(PrefixCreate {
                node_prefix,
                enterprise_id,
                prefix,
            })
        }),
        vec(filled(), 1..5).prop_map(Operation::CheckIdentifiers),
        filled().prop_map(Operation::InfoIdentifier),
        object().prop_map(|it| Operation::CreateIdentifier(Box::new(it))),
        update().prop_map(|it| Operation::UpdateIdentifier(Box::new(it))),
        filled().prop_map(Operation::DeleteIdentifier),
    ]
}

fn data() -> impl Strategy<Value = Data> {
    let checked = (filled(), any::<bool>(), option::of(text()));
    let checked = checked.prop_map(|(name, available, reason)| Checked {
        name,
        available,
        reason,
    });
    let statuses = vec(select(STATUSES.to_vec()).prop_map(str::to_owned), 0..3);
    prop_oneof![
        filled().prop_map(Data::CheckedEnterprise),
        filled().prop_map(Data::CreatedEnterprise),
        (filled(), vec(text(), 6)).prop_map(|(prefix, texts)| Data::Audit(Audit {
            client_id: texts[0].clone(),
            server_id: texts[1].clone(),
            enterprise_id: texts[2].clone(),
            prefix,
            state: texts[3].clone(),
            result: texts[4].clone(),
            message: texts[5].clone(),
        })),
        vec(checked, 1..4).prop_map(Data::CheckedIdentifiers),
        (object(), statuses).prop_map(|(object, statuses)| {
            Data::Identifier(Box::new(IdentifierInfo { object, statuses }))
        }),
    ]
}

prop_compose! {
    fn response()(
        number in 1000_u16..3000,
        texts in vec(text(), 2),
        reason in option::of(text()),
        queue in option::of((any::<u64>(), "[a-z0-9]{0,9}", option::of(text()), option::of(text()))),
        data in option::of(data()),
        client_id in option::of(transaction()),
    ) -> Response {
        Response {
            code: ResultCode::new(number).unwrap(),
            text: texts[0].clone(),
            reason,
            queue: queue.map(|(count, id, date, text)| MessageQueue { count, id, date, text }),
            data,
            client_id,
            server_id: texts[1].clone(),
        }
    }
}

proptest! {
    #[test]
    fn commands(id in option::of(transaction()), operation in operation()) {
        let document = Document::Command(Command { client_id: id, operation });
        prop_assert_eq!(Document::parse(document.encode().as_bytes()), Ok(document));
    }

    #[test]
    fn responses(response in response()) {
        let document = Document::Response(response);
        prop_assert_eq!(Document::parse(document.encode().as_bytes()), Ok(document));
    }
}
