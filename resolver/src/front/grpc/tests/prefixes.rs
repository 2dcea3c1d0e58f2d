//! Prefixes and where they are served.

use super::*;

#[tokio::test]
async fn a_prefix_goes_through_its_lifecycle() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    let apply = api::ApplyPrefixRequest {
        prefix: "88.118.8".into(),
        ..Default::default()
    };
    let applied = node
        .prefixes()
        .apply_prefix(with(&token, apply.clone()))
        .await
        .unwrap()
        .into_inner();
    let prefix = applied.prefix.unwrap();
    assert_eq!(
        (prefix.enterprise_id.as_str(), prefix.state()),
        (id.as_str(), api::PrefixState::PendingReview)
    );
    assert_eq!(prefix.scheme(), api::Scheme::Handle);
    let twice = node
        .prefixes()
        .apply_prefix(with(&token, apply))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&twice),
        (Code::AlreadyExists, "PREFIX_EXISTS".into(), "prefix".into())
    );
    let nobody = api::ApplyPrefixRequest {
        prefix: "88.118.9".into(),
        ..Default::default()
    };
    assert_eq!(
        refusal(
            &node
                .prefixes()
                .apply_prefix(node.op(nobody))
                .await
                .unwrap_err()
        )
        .2,
        "enterprise_id"
    );

    let early = node
        .transition("88.118.8", api::PrefixAction::Approve)
        .await
        .unwrap_err();
    assert_eq!(early.code(), Code::FailedPrecondition);
    let violation = &early
        .get_error_details()
        .precondition_failure()
        .unwrap()
        .violations[0]
        .clone();
    assert_eq!(violation.subject, "prefix 88.118.8");
    let unnamed = node
        .transition("88.118.8", api::PrefixAction::Unspecified)
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&unnamed),
        (Code::InvalidArgument, "INVALID".into(), "action".into())
    );
    node.transition("88.118.8", api::PrefixAction::StartReview)
        .await
        .unwrap();
    let active = node
        .transition("88.118.8", api::PrefixAction::Approve)
        .await
        .unwrap();
    assert_eq!(active.state(), api::PrefixState::Active);
    let own = api::TransitionPrefixRequest {
        prefix: "88.118.8".into(),
        action: api::PrefixAction::Suspend.into(),
        ..Default::default()
    };
    let denied = node
        .prefixes()
        .transition_prefix(with(&token, own))
        .await
        .unwrap_err();
    assert_eq!(
        denied.code(),
        Code::PermissionDenied,
        "suspending is the operator's"
    );

    node.prefix("oid:1.2.156.3001", &id).await;
    let list = |size, token: &str, state: api::PrefixState| api::ListPrefixesRequest {
        page: Some(api::Page {
            size,
            token: token.into(),
        }),
        state: state.into(),
        ..Default::default()
    };
    let any = api::PrefixState::Unspecified;
    let page = node
        .prefixes()
        .list_prefixes(with(&token, list(1, "", any)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(page.prefixes[0].prefix, "88.118.8");
    let rest = list(1, &page.next_page_token, any);
    let page = node
        .prefixes()
        .list_prefixes(with(&token, rest))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(page.prefixes[0].prefix, "oid:1.2.156.3001");
    let none = list(0, "", api::PrefixState::Suspended);
    assert!(
        node.prefixes()
            .list_prefixes(node.op(none))
            .await
            .unwrap()
            .into_inner()
            .prefixes
            .is_empty()
    );

    node.transition("88.118.8", api::PrefixAction::MarkForDeletion)
        .await
        .unwrap();
    node.transition("88.118.8", api::PrefixAction::Remove)
        .await
        .unwrap();
    let get = api::GetPrefixRequest {
        prefix: "88.118.8".into(),
    };
    let gone = node
        .prefixes()
        .get_prefix(with(&token, get))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&gone),
        (Code::NotFound, "PREFIX_NOT_FOUND".into(), "prefix".into())
    );
    node.stop().await;
}

fn delegation() -> api::Delegation {
    let interface = |protocol: api::interface::Protocol, port| api::Interface {
        protocol: protocol.into(),
        port,
        query: true,
        admin: false,
    };
    api::Delegation {
        sites: vec![api::Site {
            serial: 3,
            primary: true,
            servers: vec![api::Server {
                id: 1,
                address: "192.0.2.7".into(),
                public_key: vec![1, 2],
                interfaces: vec![
                    interface(api::interface::Protocol::Tcp, 2641),
                    interface(api::interface::Protocol::Udp, 2641),
                ],
            }],
            description: "大同".into(),
        }],
        name_servers: vec![api::NameServer {
            name: "ns1.example.".into(),
            addresses: vec!["2001:db8::1".into()],
        }],
        ds: vec![api::DsRecord {
            key_tag: 65_535,
            algorithm: 15,
            digest_type: 2,
            digest: vec![7; 32],
        }],
        service_handle: String::new(),
    }
}

#[tokio::test]
async fn a_delegation_comes_back_as_it_was_set_and_refers() {
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    node.prefix("88.118.8", &id).await;
    let set = |delegation| api::SetDelegationRequest {
        prefix: "88.118.8".into(),
        delegation,
        ..Default::default()
    };
    let answered = node
        .prefixes()
        .set_delegation(with(&token, set(Some(delegation()))))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answered.prefix.unwrap().delegation, Some(delegation()));
    let referred = node.resolve(None, "88.118.8/x").await.unwrap();
    let Some(api::resolve_response::Outcome::Referral(referral)) = referred.outcome else {
        panic!("no referral");
    };
    assert_eq!(
        (referral.prefix.as_str(), referral.delegation),
        ("88.118.8", Some(delegation()))
    );
    let refused = node
        .create(
            &token,
            "88.118.8/x",
            vec![text(1, "URL", "https://example.com/")],
        )
        .await
        .unwrap_err();
    assert_eq!(refused.code(), Code::FailedPrecondition);

    let mut wrong = delegation();
    wrong.sites[0].servers[0].interfaces[1].protocol = 0;
    let refused = node
        .prefixes()
        .set_delegation(with(&token, set(Some(wrong))))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&refused).2,
        "delegation.sites[0].servers[0].interfaces[1].protocol"
    );
    let mut wrong = delegation();
    wrong.sites[0].servers[0].address = "nowhere".into();
    let refused = node
        .prefixes()
        .set_delegation(with(&token, set(Some(wrong))))
        .await
        .unwrap_err();
    assert_eq!(
        refusal(&refused).2,
        "delegation.sites[0].servers[0].address"
    );

    let by_service = api::Delegation {
        sites: Vec::new(),
        service_handle: "88.119/Svc".into(),
        ..delegation()
    };
    let answered = node
        .prefixes()
        .set_delegation(with(&token, set(Some(by_service.clone()))))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(answered.prefix.unwrap().delegation, Some(by_service));
    let mut wrong = delegation();
    wrong.service_handle = "88.119/Svc".into();
    let refused = node
        .prefixes()
        .set_delegation(with(&token, set(Some(wrong))))
        .await
        .unwrap_err();
    assert_eq!(refusal(&refused).2, "delegation.service_handle");
    let cleared = node
        .prefixes()
        .set_delegation(with(&token, set(None)))
        .await
        .unwrap()
        .into_inner();
    assert_eq!(cleared.prefix.unwrap().delegation, None);
    node.create(
        &token,
        "88.118.8/x",
        vec![text(1, "URL", "https://example.com/")],
    )
    .await
    .unwrap();
    node.stop().await;
}

/// A delegation of about a quarter of a megabyte stored, and twice that shown.
fn huge_delegation() -> api::Delegation {
    let mut delegation = delegation();
    let interface = api::Interface {
        protocol: api::interface::Protocol::Https.into(),
        port: 65_535,
        query: true,
        admin: true,
    };
    delegation.sites[0].servers = (1..=600)
        .map(|number| api::Server {
            id: u32::MAX - number,
            address: "2001:db8:1111:2222:3333:4444:5555:6666".into(),
            public_key: Vec::new(),
            interfaces: vec![interface; 64],
        })
        .collect();
    delegation
}

#[tokio::test]
async fn pages_of_huge_delegations_fit_a_message() {
    const PREFIXES: usize = 12;
    let node = Node::start().await;
    let (id, token) = node.enterprise(0).await;
    let mut expected = Vec::new();
    for number in 0..PREFIXES {
        let prefix = format!("88.118.{}", 100 + number);
        node.prefix(&prefix, &id).await;
        let set = api::SetDelegationRequest {
            prefix: prefix.clone(),
            delegation: Some(huge_delegation()),
            ..Default::default()
        };
        node.prefixes()
            .set_delegation(with(&token, set))
            .await
            .unwrap();
        expected.push(prefix);
    }
    for (token, enterprise_id) in [
        (&token, ""),
        (&node.operator, id.as_str()),
        (&node.operator, ""),
    ] {
        let (mut listed, mut pages, mut next) = (Vec::new(), 0, String::new());
        loop {
            let request = api::ListPrefixesRequest {
                enterprise_id: enterprise_id.into(),
                page: Some(api::Page {
                    size: 1_000,
                    token: next,
                }),
                ..Default::default()
            };
            // The client refuses what is above 4 MiB, as every client does by default.
            let page = node
                .prefixes()
                .list_prefixes(with(token, request))
                .await
                .unwrap()
                .into_inner();
            pages += 1;
            listed.extend(page.prefixes.into_iter().map(|prefix| prefix.prefix));
            next = page.next_page_token;
            if next.is_empty() {
                break;
            }
        }
        assert_eq!(listed, expected);
        assert!(pages > 1, "{PREFIXES} huge delegations on one page");
    }
    node.stop().await;
}
