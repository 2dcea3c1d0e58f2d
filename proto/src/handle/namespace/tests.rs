#![allow(clippy::unwrap_used, clippy::panic, clippy::indexing_slicing)]

use super::*;
use crate::value::{Permissions, Ttl, Value, ValueRef, Values, encode_values};
use proptest::prelude::*;

const CROP: &str = r#"<namespace><template delimiter="@">
    <foreach>
      <if value="type" test="equals" expression="url">
        <if value="extension" test="matches" expression="crop\((\d+),(\d+)\)" parameter="x">
          <value data="${data}?w=${x[2]}&amp;h=${x[1]}"/>
        </if>
        <else><value data="${data}?${x}"/></else>
      </if>
      <else><value/></else>
    </foreach>
  </template></namespace>"#;

fn parse(body: &str) -> Result<Namespace, NamespaceError> {
    let text = format!("<namespace><template delimiter='@'>{body}</template></namespace>");
    Namespace::parse(text.as_bytes())
}

fn base() -> Vec<u8> {
    encode_values(&[
        Value {
            ttl: Ttl::RelativeS(60),
            permissions: Permissions(0b1100),
            ..Value::new(1, "URL", "https://example.com/abc")
        },
        Value::new(2, "EMAIL", "a@example.com"),
    ])
}

fn compute(namespace: &Namespace, handle: &str) -> Result<Computed, ComputeError> {
    let encoded = base();
    let values: Vec<ValueRef<'_>> = Values::new(&encoded, 2).map(Result::unwrap).collect();
    namespace.split(handle).unwrap().compute(Some(&values), 7)
}

fn values(namespace: &Namespace, handle: &str) -> Vec<Value> {
    match compute(namespace, handle).unwrap() {
        Computed::Values(values) => values,
        Computed::NotFound => Vec::new(),
    }
}

fn data(namespace: &Namespace, handle: &str) -> Vec<(u32, String)> {
    let values = values(namespace, handle).into_iter();
    values
        .map(|value| (value.index, String::from_utf8(value.data).unwrap()))
        .collect()
}

#[test]
fn values_are_made_of_the_bases() {
    let namespace = Namespace::parse(CROP.as_bytes()).unwrap();
    let mail = (2, "a@example.com".to_owned());
    for (handle, url) in [
        (
            "88.118.8/abc@crop(10,20)",
            "https://example.com/abc?w=20&h=10",
        ),
        // The whole extension must match; the first delimiter is the one.
        (
            "88.118.8/abc@crop(10,20)x",
            "https://example.com/abc?crop(10,20)x",
        ),
        ("88.118.8/abc@@", "https://example.com/abc?@"),
        ("88.118.8/abc@", "https://example.com/abc?"),
    ] {
        let wanted = [(1, url.to_owned()), mail.clone()];
        assert_eq!(data(&namespace, handle), wanted, "{handle}");
    }
    let made = values(&namespace, "88.118.8/abc@x");
    assert_eq!(made[0].ttl, Ttl::RelativeS(60));
    assert_eq!(made[0].permissions, Permissions(0b1100), "stays hidden");
    let split = namespace.split("88.118.8/abc@x@y").unwrap();
    assert_eq!((split.base, split.extension), ("88.118.8/abc", "x@y"));
    assert_eq!(split.compute(None, 7), Ok(Computed::NotFound));
    for handle in ["88.118.8/abc", "88@118.8/abc", "a@b"] {
        assert!(!namespace.concerns(handle), "{handle}");
    }
    assert!(namespace.weight() > MAX_COMPILED_BYTES);
}

#[test]
fn values_may_be_made_of_the_handle_alone() {
    let namespace = parse(
        r#"<if value="extension" test="equals" expression="none"><notfound/></if>
        <value index="3" type="URL" data="https://e.com/${base}#${extension}"/>
        <value index="3" type="URL" data="the first of an index counts"/>
        <value index="9" type="HS_SECKEY" data="${handle}"/>
        <foreach><value index="1${index}" type="X.${type}" data="-"/></foreach>"#,
    )
    .unwrap();
    let made = values(&namespace, "1/a@b");
    let indexes: Vec<u32> = made.iter().map(|value| value.index).collect();
    assert_eq!(indexes, [3, 9, 11, 12]);
    assert_eq!(made[0].data, b"https://e.com/1/a#b");
    assert_eq!(made[0].timestamp_s, 7);
    assert!(!made[1].permissions.public_read(), "a secret stays one");
    assert_eq!((&*made[2].value_type, &*made[2].data), ("X.URL", &b"-"[..]));
    let split = namespace.split("1/a@b").unwrap();
    assert!(matches!(split.compute(None, 7), Ok(Computed::Values(values)) if values.len() == 2));
    assert_eq!(compute(&namespace, "1/a@none"), Ok(Computed::NotFound));
}

#[test]
fn parameters_stand_for_groups_where_their_test_is() {
    let body = r#"<if value="extension" test="matches" expression="(a)?(.*)" parameter="x">
        <if value="base" test="matches" expression="1/(.*)" parameter="y">
        <value index="1" type="T" data="${x[1]}|${x[2]}|${y[1]}|${x}"/></if></if>"#;
    let namespace = parse(body).unwrap();
    assert_eq!(data(&namespace, "1/q@ab"), [(1, "a|b|q|ab".to_owned())]);
    assert_eq!(data(&namespace, "1/q@b"), [(1, "|b|q|b".to_owned())]);
    // Outside, and beyond the last group, it stands for nothing.
    let outside = r#"<if value="base" test="equals" expression="x" parameter="x"/>
        <value index="1" type="T" data="${x}"/>"#;
    assert!(parse(outside).is_err());
    assert!(parse(&body.replace("x[2]", "x[3]")).is_err());
}

#[test]
fn templates_that_mean_nothing_are_refused() {
    for body in [
        "<other/>",
        "<else/>",
        "<def/>",
        "<value/>",
        "<value index='1' type='T'/>",
        "<value index='1' type='T' data='${data}'/>",
        "<value index='1' type='T' data='${base'/>",
        "<value index='1' type='T' data='${base[1]}'/>",
        "<value index='1' type='T' data='${}'/>",
        "<value index='1' type='T' data='x'><value/></value>",
        "<if/>",
        "<if value='type' test='equals' expression='URL'/>",
        "<if value='base' test='contains' expression='URL'/>",
        "<if value='base' test='matches' expression='('/>",
        "<if value='base' test='matches' expression='a)|(b'/>",
        "<if value='base' test='matches' expression='(\\w{50}){50}'/>",
        "<foreach><foreach/></foreach>",
        "<foreach><if value='type' test='equals' expression='x'/><value/><else/></foreach>",
    ] {
        assert!(parse(body).is_err(), "{body}");
    }
    let long = "a".repeat(MAX_EXPRESSION_BYTES + 1);
    assert!(
        parse(&format!(
            "<if value='base' test='matches' expression='{long}'/>"
        ))
        .is_err()
    );
    let test = "<if value='base' test='matches' expression='a'/>";
    assert!(parse(&test.repeat(MAX_EXPRESSIONS)).is_ok());
    assert_eq!(
        parse(&test.repeat(MAX_EXPRESSIONS + 1)).unwrap_err(),
        NamespaceError::TooManyExpressions
    );
    for text in [
        "<namespaces/>",
        "<namespace><template/></namespace>",
        "<namespace><template delimiter=''/></namespace>",
        "<!DOCTYPE n><namespace/>",
        "",
    ] {
        assert!(Namespace::parse(text.as_bytes()).is_err(), "{text}");
    }
    let none = Namespace::parse(b"<namespace/>").unwrap();
    assert!(!none.concerns("1/a@b"));
}

#[test]
fn the_first_template_of_a_delimiter_counts() {
    let template = |delimiter: &str, data: &str| {
        let value = format!("<value index='1' type='T' data='{data}'/>");
        format!("<template delimiter='{delimiter}'>{value}</template>")
    };
    let text = format!(
        "<namespace>{}{}</namespace>",
        template("::", "first ${extension}"),
        template(":", "second ${extension}")
    );
    let namespace = Namespace::parse(text.as_bytes()).unwrap();
    assert_eq!(data(&namespace, "1/a:b::c"), [(1, "first c".to_owned())]);
    assert_eq!(data(&namespace, "1/a:b"), [(1, "second b".to_owned())]);
}

#[test]
fn work_and_values_are_bounded() {
    let test = "<if value='handle' test='matches' expression='.*z'/>";
    let handle = format!("1/{}@", "x".repeat(2_000));
    let many = parse(&test.repeat(40)).unwrap();
    assert_eq!(compute(&many, &handle), Err(ComputeError::TooMuchWork));
    let encoded = encode_values(
        &(1..=2_048)
            .map(|index| Value::new(index, "T", vec![b'x'; 500]))
            .collect::<Vec<_>>(),
    );
    let values: Vec<_> = Values::new(&encoded, 2_048).map(Result::unwrap).collect();
    let of_all = |body: &str| {
        let namespace = parse(&format!("<foreach>{body}</foreach>")).unwrap();
        namespace.split("1/a@b").unwrap().compute(Some(&values), 0)
    };
    assert_eq!(of_all("<value/>"), Err(ComputeError::TooMuch));
    assert!(matches!(of_all("<value data=''/>"), Ok(Computed::Values(it)) if it.len() == 2_048));
    let steps = "<if value='base' test='equals' expression='x'/>".repeat(40);
    assert_eq!(of_all(&steps), Err(ComputeError::TooMuchWork));
    assert_eq!(of_all("<value index='x'/>"), Err(ComputeError::Index));
    let long = parse(&format!(
        "<foreach><value type='{}'/></foreach>",
        "${data}".repeat(5)
    ));
    let split = long.unwrap();
    let split = split.split("1/a@b").unwrap();
    assert_eq!(split.compute(Some(&values), 0), Err(ComputeError::TooLong));
}

proptest! {
    #[test]
    fn whatever_is_read_computes_or_says_why(
        pieces in proptest::collection::vec(proptest::sample::select(vec![
            "<foreach>", "</foreach>", "<else>", "</else>", "</if>", "<value/>", "<notfound/>",
            "<if value='type' test='equals' expression='URL' parameter='x'>",
            "<if value='extension' test='matches' expression='(.)(.*)' parameter='x'>",
            "<value data='${data}${x[1]}'/>", "<value index='1' type='T' data='${handle}'/>",
            "<value index='${extension}'/>",
        ]), 0..12),
        extension in "[0-9]{0,3}|.{0,10}",
    ) {
        if let Ok(namespace) = parse(&pieces.concat()) {
            match compute(&namespace, &format!("1/a@{extension}")) {
                Ok(Computed::Values(values)) => {
                    prop_assert!(!values.is_empty());
                    prop_assert!(values.windows(2).all(|pair| pair[0].index < pair[1].index));
                    prop_assert!(values.iter().all(|value| value.check().is_ok()));
                }
                Ok(Computed::NotFound) => {}
                Err(error) => prop_assert!(!error.to_string().is_empty()),
            }
        }
    }
}

#[test]
fn an_index_is_a_number_of_at_most_ten_digits() {
    let made = |index: &str| {
        let namespace = parse(&format!("<value index='{index}' type='A' data='x'/>")).unwrap();
        index_or_error(&namespace)
    };
    assert_eq!(made("7"), Ok(7));
    assert_eq!(made("0000000007"), Ok(7));
    assert_eq!(made(" 7 "), Ok(7));
    assert_eq!(made("4294967295"), Ok(u32::MAX));
    let long = "0".repeat(60_000);
    let wrong = [
        "00000000007",
        "4294967296",
        "0",
        "",
        "+7",
        "1 7",
        "٧",
        "${extension}",
        &format!("{long}7"),
    ];
    for index in wrong {
        assert_eq!(made(index), Err(ComputeError::Index), "{index:.20}");
    }
}

/// The index of the only value of a handle with a long extension.
fn index_or_error(namespace: &Namespace) -> Result<u32, ComputeError> {
    let handle = format!("88.118.8/abc@{}", "7".repeat(1_000));
    let made = namespace.split(&handle).unwrap().compute(None, 7)?;
    match made {
        Computed::Values(values) => Ok(values[0].index),
        Computed::NotFound => panic!("{handle}"),
    }
}

#[test]
fn what_it_weighs_grows_with_what_it_holds() {
    let weight = |body: &str| parse(body).unwrap().weight();
    let one = "<value index='1' type='A' data='x'/>";
    let many = one.repeat(1_000);
    // Elements take more room than the text they are read from.
    assert!(weight(&many) > many.len(), "{}", weight(&many));
    assert!(weight(&many) > 100 * weight(one));
    let regex = "<if value='handle' test='matches' expression='x+'><notfound/></if>";
    assert!(weight(regex) >= 2 * MAX_COMPILED_BYTES);
}
