//! Administrators as text.

use crate::handle::{Admin, AdminId, AdminIdError, AdminRights};

fn id(text: &str) -> AdminId {
    text.parse().unwrap()
}

#[test]
fn an_administrator_is_an_index_and_a_handle() {
    let admin = id("300:0.NA/88.118.8");
    assert_eq!(admin.index, 300);
    assert_eq!(admin.to_string(), "300:0.NA/88.118.8");
    assert_eq!(admin, id("300:0.na/88.118.8"));
    assert_eq!(admin, id("300:88.118.8"));
    assert_eq!(
        id("1:oid:1.2.156.3001.7").to_string(),
        "1:oid:1.2.156.3001.7"
    );
    assert_eq!(AdminId::try_from(&admin.reference()), Ok(admin.clone()));
    assert_eq!(Admin::new(&admin, AdminRights::ALL).id(), Ok(admin));
}

#[test]
fn index_zero_is_any() {
    assert!(id("0:88.118.8/a").covers(&id("300:88.118.8/A")));
    assert!(id("300:88.118.8/a").covers(&id("0:88.118.8/A")));
    assert!(!id("300:88.118.8/a").covers(&id("301:88.118.8/a")));
    assert!(!id("0:88.118.8/a").covers(&id("0:88.118.8/b")));
}

#[test]
fn texts_that_are_none_say_why() {
    let error = |text: &str| text.parse::<AdminId>().unwrap_err();
    assert_eq!(error("0.NA/88.118.8"), AdminIdError::NoIndex);
    assert_eq!(error(":0.NA/88.118.8"), AdminIdError::NoIndex);
    assert_eq!(error("+1:0.NA/88.118.8"), AdminIdError::NoIndex);
    assert_eq!(error("4294967296:0.NA/88.118.8"), AdminIdError::Index);
    assert!(matches!(error("300:"), AdminIdError::Handle(_)));
    assert!(matches!(error("300:/x"), AdminIdError::Handle(_)));
}
