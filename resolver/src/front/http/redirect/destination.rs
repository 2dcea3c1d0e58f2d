//! Where an identifier's values lead: to one of several locations, to a URL, or to the identifier that it is an alias of.

use super::super::freshness::Freshness;
use super::super::target;
use crate::resolve::{Filter, Query, Resolved};
use axum::http::header::HeaderValue;
use idnode_proto::handle::decode_handle_data;
use idnode_proto::handle::locations::{LOCATIONS, Location, Locations};
use idnode_proto::identifier::Identifier;
use idnode_proto::value::{ValueRef, types};
use idnode_registry::Caller;

/// Reasons that are told; an identifier may have 2,048 values.
const MAX_REASONS: usize = 8;

/// Where it leads, and how long that may be kept.
#[derive(Debug)]
pub(super) enum Destination {
    /// Elsewhere.
    Location(HeaderValue, Freshness),
    /// To what another identifier leads to (RFC 3651 §3.2.4).
    Alias(Identifier, Freshness),
    /// Nowhere: why not, for each value that might have led somewhere.
    Nowhere(Vec<String>),
}

/// What is asked of an identifier's values.
#[derive(Debug)]
pub(super) struct Wish<'a> {
    /// Who is led.
    pub(super) caller: &'a Caller,
    /// Schemes that the operator lets people be led to.
    pub(super) schemes: &'a [String],
    /// The attribute and its value that a location should have (`locatt`).
    pub(super) location: Option<(&'a str, &'a str)>,
}

impl Wish<'_> {
    /// Where an identifier leads, as far as the caller may read it: to one of its locations, else
    /// to the first URL, of what it may be led to; else to the first identifier that it is an
    /// alias of.
    pub(super) fn of(&self, identifier: &Identifier, found: &Resolved) -> Destination {
        let mut reasons = Vec::new();
        let chosen = self.first(identifier, found, LOCATIONS, &mut reasons, |value| {
            self.chosen(value)
        });
        if let Some(((location, by_chance), freshness)) = chosen {
            // The next time it may be another one.
            let freshness = if by_chance {
                freshness.stale()
            } else {
                freshness
            };
            return Destination::Location(location, freshness);
        }
        let url = self.first(identifier, found, types::URL, &mut reasons, |value| {
            target::of_url(value.data(), self.schemes).map_err(|reason| reason.to_string())
        });
        if let Some((location, freshness)) = url {
            return Destination::Location(location, freshness);
        }
        let alias = self.first(identifier, found, types::HS_ALIAS, &mut reasons, aliased);
        match alias {
            Some((aliased, freshness)) => Destination::Alias(aliased, freshness),
            None => Destination::Nowhere(reasons),
        }
    }

    /// The one of a value's locations that is chosen, and whether by chance.
    fn chosen(&self, value: &ValueRef<'_>) -> Result<(HeaderValue, bool), String> {
        let locations = Locations::parse(value.data()).map_err(|error| error.to_string())?;
        let lead = |it: &Location| target::of_url(it.href.as_bytes(), self.schemes);
        // Without chance the choice is one of those that might have been made.
        let draw = getrandom::u64().unwrap_or_default();
        let choice = locations.choose(|it| lead(it).is_ok(), self.location, draw);
        match (choice, locations.all().first()) {
            (Some(choice), _) => lead(choice.location)
                .map(|location| (location, choice.by_chance))
                .map_err(|reason| reason.to_string()),
            (None, None) => Err("has no location".to_owned()),
            (None, Some(first)) => {
                let reason = lead(first).err().map(|reason| reason.to_string());
                let reason = reason.unwrap_or_default();
                Err(format!("has no location to lead to: the first {reason}"))
            }
        }
    }

    /// What can be made of the first value of a type that anything can be made of.
    fn first<T>(
        &self,
        identifier: &Identifier,
        found: &Resolved,
        value_type: &str,
        reasons: &mut Vec<String>,
        make: impl Fn(&ValueRef<'_>) -> Result<T, String>,
    ) -> Option<(T, Freshness)> {
        let filter = Filter {
            types: vec![value_type.to_owned()],
            ..Filter::default()
        };
        let query = Query {
            identifier,
            filter: &filter,
            caller: self.caller,
            public_only: false,
        };
        for value in found.values(&query) {
            match make(&value) {
                Ok(made) => return Some((made, Freshness::of(found, [value].iter()))),
                Err(_) if reasons.len() >= MAX_REASONS => {}
                Err(reason) => reasons.push(format!("value {} {reason}", value.index())),
            }
        }
        None
    }
}

/// The identifier that an HS_ALIAS value names.
fn aliased(value: &ValueRef<'_>) -> Result<Identifier, String> {
    let text = decode_handle_data(value.data()).map_err(|error| error.to_string())?;
    Identifier::parse(text.trim()).map_err(|error| format!("names no identifier: {error}"))
}
