//! Whether a document is what `draft-mcd-identifier-access-responce-04` describes: every member
//! known, of the type that it has there, and where it may be.

use serde_json::Value;

type Members<'a> = &'a [(&'a str, fn(&Value) -> Result<(), String>)];

/// Every member is among these, and right.
fn object(value: &Value, members: Members) -> Result<(), String> {
    let object = value.as_object().ok_or("is no object")?;
    for (name, value) in object {
        let (_, check) = members
            .iter()
            .find(|(known, _)| known == name)
            .ok_or(format!("{name} is no member of the draft's"))?;
        check(value).map_err(|error| format!("{name}: {error}"))?;
    }
    Ok(())
}

fn array(value: &Value, check: fn(&Value) -> Result<(), String>) -> Result<(), String> {
    let items = value.as_array().ok_or("is no array")?;
    if items.is_empty() {
        return Err("is an empty array".into());
    }
    items.iter().try_for_each(check)
}

fn text(value: &Value) -> Result<(), String> {
    match value.as_str() {
        Some("") => Err("is an empty string".into()),
        Some(_) => Ok(()),
        None => Err("is no string".into()),
    }
}

fn texts(value: &Value) -> Result<(), String> {
    array(value, text)
}

fn uri(value: &Value) -> Result<(), String> {
    let uri = value.as_str().unwrap_or_default();
    let absolute = uri.starts_with("http://") || uri.starts_with("https://");
    if absolute && uri.is_ascii() && !uri.contains([' ', '"', '<', '>']) {
        return Ok(());
    }
    Err(format!("{uri} is no URI"))
}

/// Figure 2.
fn link(value: &Value) -> Result<(), String> {
    object(
        value,
        &[
            ("value", uri),
            ("rel", text),
            ("href", uri),
            ("hreflang", texts),
            ("title", text),
            ("media", text),
            ("type", text),
        ],
    )?;
    value.get("href").map(drop).ok_or("has no href".into())
}

/// Section 4.3.
fn notice(value: &Value) -> Result<(), String> {
    let members: Members = &[
        ("title", text),
        ("type", text),
        ("description", texts),
        ("links", |it| array(it, link)),
    ];
    object(value, members)?;
    value
        .get("description")
        .map(drop)
        .ok_or("has no description".into())
}

fn notices(value: &Value) -> Result<(), String> {
    array(value, notice)
}

/// Section 3: RFC 3339.
fn time(value: &Value) -> Result<(), String> {
    let shape: String = value
        .as_str()
        .unwrap_or_default()
        .chars()
        .map(|c| if c.is_ascii_digit() { '0' } else { c })
        .collect();
    let (start, end) = (shape.get(..19), shape.get(19..).unwrap_or_default());
    let fraction = end.trim_start_matches('.').trim_start_matches('0');
    match (start, fraction) {
        (Some("0000-00-00T00:00:00"), "Z") => Ok(()),
        _ => Err(format!("{value} is no time of RFC 3339")),
    }
}

fn status(value: &Value) -> Result<(), String> {
    match value.as_str() {
        Some("ok" | "hold") => Ok(()),
        _ => Err(format!("{value} is neither ok nor hold")),
    }
}

fn country(value: &Value) -> Result<(), String> {
    let code = value.as_str().unwrap_or_default();
    if code.len() == 2 && code.bytes().all(|c| c.is_ascii_uppercase()) {
        return Ok(());
    }
    Err(format!("{value} is no country of two letters"))
}

fn person(value: &Value) -> Result<(), String> {
    object(
        value,
        &[("name", text), ("idNumber", text), ("idType", text)],
    )
}

fn contact(value: &Value) -> Result<(), String> {
    object(value, &[("name", text), ("phone", text), ("email", text)])
}

/// Section 5 and Figure 7.
fn node(value: &Value) -> Result<(), String> {
    object(
        value,
        &[
            ("name", text),
            ("nature", text),
            ("type", text),
            ("subType", text),
            ("address", text),
            ("idNumber", text),
            ("idType", text),
            ("introduction", text),
            ("legalPerson", |it| array(it, person)),
            ("contact", |it| array(it, contact)),
        ],
    )
}

const REGISTRATION: Members = &[
    ("identifier", text),
    ("regTime", time),
    ("status", status),
    ("country", country),
    ("node", node),
    ("remarks", notices),
];

const TOP: Members = &[
    ("iiidapConformance", conformance),
    ("notices", notices),
    ("lang", text),
];

fn conformance(value: &Value) -> Result<(), String> {
    match value {
        Value::Array(levels) if levels == &["iiidap_level_0"] => Ok(()),
        _ => Err(format!("{value} is not what it conforms with")),
    }
}

fn with(value: &Value, further: Members, needed: &[&str]) -> Result<(), String> {
    object(value, &[TOP, further].concat())?;
    let needed = [&["iiidapConformance"][..], needed].concat();
    match needed.iter().find(|name| value.get(**name).is_none()) {
        Some(name) => Err(format!("{name} is missing")),
        None => Ok(()),
    }
}

/// Section 5.
#[track_caller]
pub fn assert_lookup(document: &Value) {
    let needed = ["lang", "identifier", "regTime", "status", "node"];
    let checked = with(document, REGISTRATION, &needed);
    assert_eq!(checked, Ok(()), "{document:#}");
}

/// Section 8.
#[track_caller]
pub fn assert_search(document: &Value) {
    let results: Members = &[("NodeSearchResults", |it| {
        array(it, |result| object(result, REGISTRATION))
    })];
    let checked = with(document, results, &["lang", "NodeSearchResults"]);
    assert_eq!(checked, Ok(()), "{document:#}");
}

/// Section 7.
#[track_caller]
pub fn assert_help(document: &Value) {
    assert_eq!(with(document, &[], &["notices"]), Ok(()), "{document:#}");
}

/// Section 6.
#[track_caller]
pub fn assert_error(document: &Value, status: u16) {
    let members: Members = &[
        ("errorCode", |it| {
            it.as_u64().map(drop).ok_or("is no number".into())
        }),
        ("title", text),
        ("description", texts),
    ];
    let needed = ["errorCode", "title", "description"];
    assert_eq!(with(document, members, &needed), Ok(()), "{document:#}");
    assert_eq!(document["errorCode"], status, "{document:#}");
}
