//! How long an answer may be kept, and whether the client has it already (RFC 9110 §13,
//! RFC 9111).

use crate::clock;
use crate::resolve::Resolved;
use axum::http::header::{self, HeaderValue};
use axum::http::{HeaderMap, Response};
use foldhash::fast::FixedState;
use idnode_proto::value::ValueRef;
use std::hash::BuildHasher;

/// How long values may be kept and by whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Freshness {
    /// The smallest time any of them may be kept, seconds.
    max_age_s: u32,
    /// Some of them are not for everybody.
    private: bool,
}

impl Freshness {
    /// That of an identifier's values shown together, of which others may have answered a while ago.
    pub(super) fn of<'a>(found: &Resolved, values: impl Iterator<Item = &'a ValueRef<'a>>) -> Self {
        let all = Self::of_values(values);
        let age_s = found.age_s(clock::now_s());
        Self {
            max_age_s: all.max_age_s.saturating_sub(age_s),
            ..all
        }
    }

    /// Of none: must be asked for again.
    fn of_values<'a>(values: impl Iterator<Item = &'a ValueRef<'a>>) -> Self {
        let now_s = clock::now_s();
        let (mut max_age_s, mut private) = (None, false);
        for value in values {
            let ttl_s = value.ttl().remaining_s(now_s);
            max_age_s = Some(max_age_s.map_or(ttl_s, |smallest: u32| smallest.min(ttl_s)));
            private |= !value.permissions().public_read();
        }
        Self {
            max_age_s: max_age_s.unwrap_or(0),
            private,
        }
    }

    /// That of what rests on two kinds of values.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            max_age_s: self.max_age_s.min(other.max_age_s),
            private: self.private || other.private,
        }
    }

    /// That of what must be asked for again each time.
    pub(super) fn stale(self) -> Self {
        Self {
            max_age_s: 0,
            ..self
        }
    }

    /// Says so in an answer. A stranger's answer must not be taken for its owner's.
    pub(super) fn stamp<B>(self, response: &mut Response<B>) {
        let scope = if self.private { "private, " } else { "" };
        let control = format!("{scope}max-age={}", self.max_age_s);
        if let Ok(control) = HeaderValue::try_from(control) {
            response
                .headers_mut()
                .insert(header::CACHE_CONTROL, control);
        }
        response
            .headers_mut()
            .insert(header::VARY, HeaderValue::from_static("authorization"));
    }
}

/// A strong entity tag: the identifier's version, and a digest of the very body, since filters,
/// the caller and the node's own site change what a version looks like.
pub(super) fn entity_tag(version: u64, body: &[u8]) -> String {
    format!(
        "\"{version}-{:016x}\"",
        FixedState::default().hash_one(body)
    )
}

/// Whether `If-None-Match` says that the client has this entity (RFC 9110 §13.1.2, where weak
/// comparison is asked for).
pub(super) fn is_known(headers: &HeaderMap, entity_tag: &str) -> bool {
    headers
        .get_all(header::IF_NONE_MATCH)
        .iter()
        .filter_map(|field| field.to_str().ok())
        .any(|field| {
            // No tag of this node holds a comma.
            field
                .split(',')
                .map(str::trim)
                .any(|tag| tag == "*" || tag.strip_prefix("W/").unwrap_or(tag) == entity_tag)
        })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use idnode_proto::value::{Permissions, Ttl, Value};

    #[test]
    fn the_smallest_ttl_counts() {
        let value = |ttl, permissions| Value {
            ttl,
            permissions,
            ..Value::new(1, "URL", "x")
        };
        let everybody = Permissions::default();
        let of = |values: &[Value]| {
            let mut scratch = vec![Vec::new(); values.len()];
            let views: Vec<_> = values
                .iter()
                .zip(&mut scratch)
                .map(|(value, scratch)| value.view_in(scratch).unwrap())
                .collect();
            Freshness::of_values(views.iter())
        };
        let values = [
            value(Ttl::RelativeS(60), everybody),
            value(Ttl::RelativeS(5), everybody),
        ];
        assert_eq!(
            of(&values),
            Freshness {
                max_age_s: 5,
                private: false
            }
        );
        let past = [value(Ttl::AbsoluteS(1), Permissions(0b1100))];
        assert_eq!(
            of(&past),
            Freshness {
                max_age_s: 0,
                private: true
            }
        );
        assert_eq!(
            of(&[]),
            Freshness {
                max_age_s: 0,
                private: false
            }
        );
    }

    #[test]
    fn entity_tags_match_weakly_and_in_lists() {
        let tag = entity_tag(7, b"{}");
        let known = |field: String| {
            let mut headers = HeaderMap::new();
            headers.insert(header::IF_NONE_MATCH, field.parse().unwrap());
            is_known(&headers, &tag)
        };
        assert!(known(tag.clone()));
        assert!(known(format!("\"x\", W/{tag}")));
        assert!(known("*".into()));
        assert!(!known(entity_tag(8, b"{}")));
        assert!(!known(entity_tag(7, b"{ }")));
        assert!(!known(tag.trim_matches('"').into()));
    }
}
