//! What a request asks: the identifier in its path, the parameters of its query, and its body.

use super::Shared;
use super::deadline::Deadline;
use super::refusal::Refusal;
use crate::resolve::Filter;
use axum::body::{Body, Bytes};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use idnode_proto::handle::ResponseCode;
use idnode_proto::identifier::Quoted;
use percent_encoding::percent_decode_str;
use std::borrow::Cow;
use thiserror::Error as ThisError;

/// Most `type` and most `index` parameters: as many as an identifier has values.
const MAX_FILTERS: usize = 2_048;
/// Longest callback name, bytes.
const MAX_CALLBACK_BYTES: usize = 128;

/// A path that is no text.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
pub(super) enum PathError {
    /// A '%' that encodes nothing (RFC 3986 §2.1).
    #[error("percent-encoding: the '%' at byte {offset} is not followed by two hexadecimal digits")]
    Percent {
        /// Byte offset in the encoded identifier.
        offset: usize,
    },
    /// Bytes that are not UTF-8.
    #[error("the identifier is not UTF-8 from byte {offset} of its decoded form on")]
    NotUtf8 {
        /// Byte offset in the decoded identifier.
        offset: usize,
    },
}

/// A path decoded once: what is still percent-encoded then, is part of the identifier.
pub(super) fn decoded(path: &str) -> Result<Cow<'_, str>, PathError> {
    check_percent(path)?;
    percent_decode_str(path)
        .decode_utf8()
        .map_err(|error| PathError::NotUtf8 {
            offset: error.valid_up_to(),
        })
}

fn check_percent(text: &str) -> Result<(), PathError> {
    for (offset, _) in text.match_indices('%') {
        let digits = text.as_bytes().get(offset + 1..offset + 3);
        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
            return Err(PathError::Percent { offset });
        }
    }
    Ok(())
}

/// A parameter that cannot be understood.
#[derive(Debug, Clone, PartialEq, Eq, ThisError)]
#[error("query parameter {name}: {reason}")]
pub(super) struct ParameterError {
    /// Which.
    pub(super) name: &'static str,
    reason: String,
}

/// The parameters of a query. Those of the JSON API that mean nothing to a node that answers
/// from its own registry (`auth`, `cert`) are taken and ignored, like unknown ones.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    /// `type` and `index`, each as often as it occurs.
    pub(super) filter: Filter,
    /// `index=`, which names none: no write guesses which were meant.
    pub(super) empty_index: bool,
    /// `index=various`: whatever indexes the values have (writes only).
    pub(super) various: bool,
    /// `overwrite`: what is there is replaced (writes only).
    pub(super) overwrite: Option<bool>,
    /// `mintNewSuffix`: the node makes up the end of the handle (writes only).
    pub(super) mint: bool,
    /// `prefix`: whose handles are listed.
    pub(super) prefix: Option<String>,
    /// `page`, from 0.
    pub(super) page: Option<u32>,
    /// `pageSize`.
    pub(super) page_size: Option<u32>,
    /// `publicOnly`, if it is given.
    pub(super) public_only: Option<bool>,
    /// `doNotRefer`: an error instead of a referral.
    pub(super) do_not_refer: bool,
    /// `recurse`: others are asked where they answer for the identifier.
    pub(super) recurse: bool,
    /// `noredirect`: values instead of a redirect.
    pub(super) no_redirect: bool,
    /// `locatt`: an attribute and its value that a location should have (redirects only).
    pub(super) locatt: Option<(String, String)>,
    /// `pretty`: JSON for people.
    pub(super) pretty: bool,
    /// `callback`: a function of the page that wants a script (JSONP).
    pub(super) callback: Option<String>,
}

/// Those that mean something here.
const NAMES: [&str; 14] = [
    "type",
    "index",
    "overwrite",
    "mintNewSuffix",
    "prefix",
    "page",
    "pageSize",
    "publicOnly",
    "doNotRefer",
    "recurse",
    "noredirect",
    "locatt",
    "pretty",
    "callback",
];

impl Parameters {
    /// Reads a query (`application/x-www-form-urlencoded`).
    pub(super) fn parse(query: Option<&str>) -> Result<Self, ParameterError> {
        let mut parameters = Self::default();
        for pair in query.unwrap_or_default().split('&') {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            // What is no form's name is none of these.
            let name = form_decoded(name).unwrap_or(Cow::Borrowed(name));
            if let Some(known) = NAMES.into_iter().find(|known| *known == name) {
                let taken = form_decoded(value)
                    .map_err(|error| error.to_string())
                    .and_then(|value| parameters.take(known, &value));
                taken.map_err(|reason| ParameterError {
                    name: known,
                    reason,
                })?;
            }
        }
        Ok(parameters)
    }

    fn take(&mut self, name: &'static str, value: &str) -> Result<(), String> {
        match name {
            // A form's empty field asks for nothing.
            "type" if value.is_empty() => {}
            "type" => push(&mut self.filter.types, value.to_owned())?,
            "index" if value.is_empty() => self.empty_index = true,
            "index" if value == "various" => self.various = true,
            "index" => push(&mut self.filter.indexes, index(value)?)?,
            "overwrite" => self.overwrite = Some(flag(value)?),
            "mintNewSuffix" => self.mint = flag(value)?,
            "prefix" => self.prefix = Some(value.to_owned()),
            "page" => self.page = Some(number(value)?),
            "pageSize" => self.page_size = page_size(value)?,
            "publicOnly" => self.public_only = Some(flag(value)?),
            "doNotRefer" => self.do_not_refer = flag(value)?,
            "recurse" => self.recurse = flag(value)?,
            "noredirect" => self.no_redirect = flag(value)?,
            "locatt" => self.locatt = locatt(value)?,
            "pretty" => self.pretty = flag(value)?,
            "callback" => self.callback = Some(callback(value)?),
            _ => {}
        }
        Ok(())
    }
}

/// Each at most so often.
fn push<T>(list: &mut Vec<T>, item: T) -> Result<(), String> {
    if list.len() >= MAX_FILTERS {
        return Err(format!("is given more than {MAX_FILTERS} times"));
    }
    list.push(item);
    Ok(())
}

fn form_decoded(text: &str) -> Result<Cow<'_, str>, PathError> {
    if !text.contains(['+', '%']) {
        return Ok(Cow::Borrowed(text));
    }
    let spaced = text.replace('+', " ");
    decoded(&spaced).map(|text| Cow::Owned(text.into_owned()))
}

fn index(value: &str) -> Result<u32, String> {
    value
        .parse()
        .map_err(|_| format!("{} is no value index", Quoted::new(value)))
}

fn flag(value: &str) -> Result<bool, String> {
    match value {
        "" | "true" | "1" | "yes" => Ok(true),
        "false" | "0" | "no" => Ok(false),
        other => Err(format!("{} is neither true nor false", Quoted::new(other))),
    }
}

fn number(value: &str) -> Result<u32, String> {
    value
        .parse()
        .map_err(|_| format!("{} is no number from 0 on", Quoted::new(value)))
}

/// `id:1`; a form's empty field asks for nothing.
fn locatt(text: &str) -> Result<Option<(String, String)>, String> {
    match text.split_once(':') {
        Some((name, value)) => Ok(Some((name.to_owned(), value.to_owned()))),
        None if text.is_empty() => Ok(None),
        None => Err(format!("{} is no attribute:value", Quoted::new(text))),
    }
}

/// -1 asks for all, as if nothing was said.
fn page_size(value: &str) -> Result<Option<u32>, String> {
    match value {
        "-1" => Ok(None),
        value => number(value).map(Some),
    }
}

/// A JavaScript function: identifiers with dots between them. Anything else could be a script
/// of its own.
fn callback(text: &str) -> Result<String, String> {
    let identifier = |part: &str| {
        let letter = |c: char| c.is_ascii_alphabetic() || c == '_' || c == '$';
        part.starts_with(letter) && part.chars().all(|c| letter(c) || c.is_ascii_digit())
    };
    if text.len() > MAX_CALLBACK_BYTES || !text.split('.').all(identifier) {
        return Err(format!(
            "{} is no function name: letters, digits, _ and $ with dots between, \
             at most {MAX_CALLBACK_BYTES} bytes",
            Quoted::new(text)
        ));
    }
    Ok(text.to_owned())
}

/// A whole body of at most `http.body_limit_kib`.
///
/// # Errors
/// It is longer, it breaks off, or it takes longer than a request may.
pub(super) async fn body(
    shared: &Shared,
    body: Body,
    limit_bytes: u64,
    deadline: Deadline,
) -> Result<Bytes, Refusal> {
    let limit_bytes = limit_bytes.min(shared.options.body_limit_bytes);
    let limit = usize::try_from(limit_bytes).unwrap_or(usize::MAX);
    match deadline
        .run(shared, Limited::new(body, limit).collect())
        .await
    {
        Some(Ok(whole)) => Ok(whole.to_bytes()),
        Some(Err(error)) if error.is::<LengthLimitError>() => {
            shared.meters.bounds.body.increment(1);
            let message = format!("body: is longer than the {limit} bytes that are taken");
            Err(Refusal::new(ResponseCode::PROTOCOL_ERROR, message))
        }
        Some(Err(error)) => Err(Refusal::new(
            ResponseCode::PROTOCOL_ERROR,
            format!("body: {error}"),
        )),
        None => Err(Refusal::busy("the body did not arrive in time")),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn paths_are_decoded_once_and_strictly() {
        assert_eq!(decoded("88.118.8/a%2Fb%252F").unwrap(), "88.118.8/a/b%2F");
        assert_eq!(decoded("%E4%BA%A7/x").unwrap(), "产/x");
        assert_eq!(decoded("a%"), Err(PathError::Percent { offset: 1 }));
        assert_eq!(decoded("ab%2"), Err(PathError::Percent { offset: 2 }));
        assert_eq!(decoded("%zz"), Err(PathError::Percent { offset: 0 }));
        assert_eq!(decoded("ab%ff"), Err(PathError::NotUtf8 { offset: 2 }));
    }

    #[test]
    fn parameters_are_read_and_their_errors_name_them() {
        let query =
            "type=URL&index=3&type=DE%53C&index=1&auth=true&cert&x=%zz&pretty&index=&publicOnly=0";
        let parameters = Parameters::parse(Some(query)).unwrap();
        assert_eq!(parameters.filter.types, ["URL", "DESC"]);
        assert_eq!(parameters.filter.indexes, [3, 1]);
        assert!(parameters.pretty);
        assert_eq!(parameters.public_only, Some(false));
        let write =
            "index=various&overwrite=false&mintNewSuffix&prefix=88%2E118&page=2&pageSize=-1";
        let write = Parameters::parse(Some(write)).unwrap();
        assert!(write.various && write.mint && write.filter.is_empty());
        assert_eq!((write.overwrite, write.page), (Some(false), Some(2)));
        assert_eq!(
            (write.prefix.as_deref(), write.page_size),
            (Some("88.118"), None)
        );
        let location = Parameters::parse(Some("locatt=&locatt=href:http://a%3Fb&x")).unwrap();
        let wanted = ("href".to_owned(), "http://a?b".to_owned());
        assert_eq!(location.locatt, Some(wanted));
        assert_eq!(Parameters::parse(None), Ok(Parameters::default()));
        for (query, name) in [
            ("index=-1", "index"),
            ("index=4294967296", "index"),
            ("index=x", "index"),
            ("page=-1", "page"),
            ("pageSize=-2", "pageSize"),
            ("overwrite=never", "overwrite"),
            ("pretty=maybe", "pretty"),
            ("type=%ff", "type"),
            ("callback=", "callback"),
            ("locatt=cn", "locatt"),
        ] {
            assert_eq!(
                Parameters::parse(Some(query)).unwrap_err().name,
                name,
                "{query}"
            );
        }
        // A name is decoded as a value is: no write does more than was asked for a way of writing it.
        let odd = "inde%78=3&t%79pe=A&overwrit%65=%66alse&index=vari%6Fus&%zz=1";
        let odd = Parameters::parse(Some(odd)).unwrap();
        assert_eq!(
            (odd.filter.indexes, odd.filter.types),
            (vec![3], vec!["A".to_owned()])
        );
        assert!(odd.various && odd.overwrite == Some(false) && !odd.empty_index);
        assert!(Parameters::parse(Some("index=")).unwrap().empty_index);
        let many = "index=1&".repeat(MAX_FILTERS + 1);
        assert_eq!(Parameters::parse(Some(&many)).unwrap_err().name, "index");
    }

    #[test]
    fn callbacks_are_function_names() {
        for good in ["cb", "_", "$", "jQuery1_2.cb$", "a.b.c"] {
            assert_eq!(callback(good).unwrap(), good);
        }
        let long = "a".repeat(MAX_CALLBACK_BYTES + 1);
        for junk in [
            "alert(1)//",
            "a;b",
            "1a",
            "a..b",
            ".a",
            "a.",
            "a b",
            "a\nb",
            "<x>",
            "ä",
            "a[0]",
            &long,
        ] {
            assert!(callback(junk).is_err(), "{junk}");
        }
    }
}
