//! Services by their handles.

use super::*;

const SERVICE: &str = "88.200/SVC";

async fn ask_service(recursion: &Recursion, handle: &str, service: &str) -> Outcome {
    let identifier = Identifier::parse(handle).unwrap();
    let start = Start::Service(service);
    recursion.resolve(&identifier, &start, 0).await
}

fn service_of(handle: &'static str) -> Value {
    Value::new(1, types::HS_SERV, handle)
}

/// One that has the services' handles with these values, and nothing else.
async fn knowing(services: Vec<(&'static str, Vec<Value>)>) -> Service {
    let script: Box<Script> = Box::new(move |to, handle, wanted| {
        let known = services.iter().find(|(it, _)| *it == handle);
        match known {
            Some((_, it)) if wanted == [types::HS_SITE, types::HS_SERV] => values(to, handle, it),
            _ => error(to, ResponseCode::HANDLE_NOT_FOUND),
        }
    });
    service(Duration::ZERO, script).await
}

async fn answering() -> Service {
    service(Duration::ZERO, Box::new(|to, handle, _| url(to, handle))).await
}

/// One that refers to a handle without sites.
async fn referring(handle: &'static str) -> Service {
    let script: Box<Script> = Box::new(move |to, _, wanted| match wanted {
        [] => referral(to, handle, &[]),
        _ => error(to, ResponseCode::NOT_RESPONSIBLE),
    });
    service(Duration::ZERO, script).await
}

#[tokio::test]
async fn a_service_is_found_and_kept_by_its_handle() {
    let there = answering().await;
    let above = knowing(vec![
        (SERVICE, vec![service_of("88.200/Other")]),
        ("88.200/Other", vec![site(there.address)]),
    ])
    .await;
    let it = recursion(&[above.address], &[]);
    for handle in [HANDLE, "88.119.1/B", "88.119.1/C"] {
        assert!(is_found(&ask_service(&it, handle, SERVICE).await));
    }
    // It and the one that it leads to were asked for once.
    assert_eq!((there.asked(), above.asked()), (3, 2));
    // What was answered under one service is not under another.
    let identifier = Identifier::parse(HANDLE).unwrap();
    assert!(it.kept(&identifier, &Start::Service(SERVICE)).is_some());
    assert!(it.kept(&identifier, &Start::Service("88.200/X")).is_none());
}

#[tokio::test]
async fn a_service_that_has_moved_is_looked_for_again() {
    let (old, new) = (answering().await, answering().await);
    let gone = at("127.0.0.1:9");
    let sites = Arc::new(Mutex::new(site(gone)));
    let said = sites.clone();
    let script: Box<Script> = Box::new(move |to, handle, _| {
        let site = said.lock().clone();
        values(to, handle, &[site])
    });
    let above = service(Duration::ZERO, script).await;
    let it = recursion(&[above.address], &[]);
    *sites.lock() = site(old.address);
    assert!(is_found(&ask_service(&it, HANDLE, SERVICE).await));
    // Nobody is at the old address any more, which is kept.
    let (address, _sockets) = silent().await;
    let key = {
        let identifier = Identifier::parse(SERVICE).unwrap();
        let origin = it.origin(&Start::Upstream);
        [identifier.key(), &origin.to_be_bytes()].concat()
    };
    let kept = [Server::on_both(address)].as_slice().into();
    it.kept.keep_service(key.into(), kept, 60);
    *sites.lock() = site(new.address);
    assert!(is_found(&ask_service(&it, "88.119.1/B", SERVICE).await));
    assert_eq!((old.asked(), new.asked(), above.asked()), (1, 1, 2));
}

#[tokio::test]
async fn who_names_a_service_need_not_have_its_handle() {
    let there = answering().await;
    let between = referring(SERVICE).await;
    let to_between = site(between.address);
    let sites = site(there.address);
    let above: Box<Script> = Box::new(move |to, handle, _| match handle {
        HANDLE => referral(to, "0.NA/88.119.1", std::slice::from_ref(&to_between)),
        SERVICE => values(to, handle, std::slice::from_ref(&sites)),
        _ => error(to, ResponseCode::HANDLE_NOT_FOUND),
    });
    let above = service(Duration::ZERO, above).await;
    let it = recursion(&[above.address], &[]);
    let outcome = ask(&it, 0).await;
    assert!(is_found(&outcome), "{outcome:?}");
    // Once for the handle and once for the service, at both; then its servers are the prefix's.
    assert_eq!((above.asked(), between.asked()), (2, 2));
    assert!(is_found(&ask_for(&it, "88.119.1/B", 0).await));
    assert_eq!((above.asked(), between.asked()), (2, 2));
}

#[tokio::test]
async fn a_service_that_is_nowhere_is_named() {
    let above = knowing(vec![
        ("88.200/empty", vec![]),
        ("88.200/itself", vec![service_of("88.200/ITSELF")]),
        ("88.200/one", vec![service_of("88.200/two")]),
        ("88.200/two", vec![service_of("88.200/one")]),
    ])
    .await;
    let it = recursion(&[above.address], &[]);
    for (service, expected, cause) in [
        (
            "88.200/none",
            2,
            "88.200/none is not found: it is not registered",
        ),
        (
            "88.200/empty",
            2,
            "88.200/empty is not found: it has no site",
        ),
        ("88.200/itself", 6, "circle"),
        ("88.200/one", 6, "circle"),
    ] {
        let error = ask_service(&it, HANDLE, service).await.unwrap_err();
        assert_eq!(error.code().0, expected, "{service}: {error}");
        assert!(error.to_string().contains(cause), "{service}: {error}");
    }
    // With nobody to ask for it there is no way.
    let alone = ask_service(&recursion(&[], &[]), HANDLE, SERVICE).await;
    assert_eq!(alone.unwrap_err(), RecursionError::NoWay);
}
