//! `GET /api/handles?prefix=` and `GET /api/prefixes`: listings in pages that are counted, as the
//! Handle System's API has them. The store is read in order; where a page began is remembered, so
//! that who reads one page after the other costs what is shown, not what was passed over.

use super::Shared;
use super::answer::{Style, object};
use super::auth::{Shown, authenticate};
use super::call::answered;
use super::deadline::Deadline;
use super::handles::{self, not_offered};
use super::refusal::Refusal;
use super::request::Parameters;
use super::target;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::request::Parts;
use axum::http::{Method, Response, StatusCode};
use idnode_proto::handle::ResponseCode;
use idnode_proto::identifier::{Identifier, Prefix};
use idnode_registry::prefix::PrefixState;
use idnode_registry::prefix_table::PrefixEntry;
use idnode_registry::read::{MAX_PAGE, Page, PageRequest};
use idnode_registry::{Caller, Registry};
use parking_lot::Mutex;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::Semaphore;

/// Most entries of one page; as many are shown when the client names no number.
pub(super) const MAX_PAGE_SIZE: u32 = 10_000;
/// Listings at once: each has a thread and a snapshot of the store.
const AT_ONCE: usize = 4;
/// Listings whose pages are remembered, and how many places of each.
const REMEMBERED: usize = 64;
const PLACES: usize = 256;
/// How long: what is registered and deleted meanwhile moves the pages.
const REMEMBERED_FOR: Duration = Duration::from_secs(600);
/// How long passing over entries may take; then the client is told to come again, and the next
/// request goes on from where this one got to.
const BUDGET: Duration = Duration::from_secs(2);

/// Where pages of listings begin.
#[derive(Debug)]
pub(super) struct Listings {
    places: Mutex<HashMap<Key, Places>>,
    permits: Arc<Semaphore>,
}

/// A listing: of what, and seen by whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Key {
    /// The prefix; `None`: the prefixes themselves.
    prefix: Option<Prefix>,
    credential: String,
}

/// Tokens of the store by how many entries are before them.
#[derive(Debug)]
struct Places {
    since: Instant,
    by_offset: BTreeMap<u64, String>,
}

impl Default for Listings {
    fn default() -> Self {
        Self {
            places: Mutex::default(),
            permits: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }
}

impl Listings {
    /// The last known place at or before an offset.
    fn nearest(&self, key: &Key, offset: u64) -> (u64, String) {
        let mut all = self.places.lock();
        all.retain(|_, places| places.since.elapsed() < REMEMBERED_FOR);
        let known = all.get(key).and_then(|places| {
            let (offset, token) = places.by_offset.range(..=offset).next_back()?;
            Some((*offset, token.clone()))
        });
        known.unwrap_or_default()
    }

    fn remember(&self, key: &Key, offset: u64, token: &str) {
        let mut all = self.places.lock();
        if !all.contains_key(key) && all.len() >= REMEMBERED {
            let oldest = all.iter().min_by_key(|(_, places)| places.since);
            if let Some(oldest) = oldest.map(|(key, _)| key.clone()) {
                all.remove(&oldest);
            }
        }
        let places = all.entry(key.clone()).or_insert_with(|| Places {
            since: Instant::now(),
            by_offset: BTreeMap::new(),
        });
        if places.by_offset.len() >= PLACES {
            // The client that reads on needs the last ones.
            places.by_offset.pop_first();
        }
        places.by_offset.insert(offset, token.to_owned());
    }
}

/// A page of the store's: names and the token behind them.
type Step<'a> = &'a dyn Fn(&PageRequest) -> idnode_registry::Result<Page<String>>;

/// The entries `[offset, offset + size)` of a listing.
///
/// # Errors
/// The registry's, and busy when too much had to be passed over.
fn collect(
    listings: &Listings,
    key: &Key,
    offset: u64,
    size: u32,
    step: Step<'_>,
) -> Result<Vec<String>, Refusal> {
    let began = Instant::now();
    let (mut at, mut token) = listings.nearest(key, offset);
    let end = offset + u64::from(size);
    let mut shown = Vec::new();
    while at < end {
        // Not beyond where the page begins, so that its place is remembered.
        let wanted = if at < offset { offset - at } else { end - at };
        let size = u32::try_from(wanted)
            .unwrap_or(u32::MAX)
            .min(MAX_PAGE as u32);
        let page = step(&PageRequest { size, token })?;
        let got = page.items.len() as u64;
        if at >= offset {
            shown.extend(page.items);
        }
        at += got;
        token = page.next_token;
        if token.is_empty() {
            break;
        }
        if at <= offset || at == end {
            listings.remember(key, at, &token);
        }
        // Of the page itself there is only so much; half of it would be of no use.
        if began.elapsed() > BUDGET && at < offset {
            return Err(Refusal::busy(
                "query parameter page: it is far behind what was asked for before; \
                 ask again to go on from there",
            ));
        }
    }
    Ok(shown)
}

#[derive(serde::Serialize)]
#[serde(rename_all = "camelCase")]
struct Listing<'a> {
    response_code: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<&'a str>,
    /// Text, as existing clients read it.
    total_count: String,
    page: u32,
    page_size: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    handles: Option<Vec<String>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefixes: Option<Vec<String>>,
}

/// What a request for a listing says.
struct Ask {
    shared: Arc<Shared>,
    parameters: Parameters,
    deadline: Deadline,
    caller: Caller,
    page: u32,
    size: u32,
}

impl Ask {
    async fn begin(shared: &Arc<Shared>, parts: &Parts) -> Result<Self, Response<Body>> {
        let deadline = Deadline::of(shared);
        let refused = |refusal: Refusal, style: Style<'_>| answered(refusal, "", style);
        let parameters = match Parameters::parse(parts.uri.query()) {
            Ok(parameters) => parameters,
            Err(error) => return Err(refused(error.into(), Style::default())),
        };
        let style = Style::of(&parameters);
        let size = parameters.page_size.unwrap_or(MAX_PAGE_SIZE);
        if !(1..=MAX_PAGE_SIZE).contains(&size) {
            let message =
                format!("query parameter pageSize: {size} is not between 1 and {MAX_PAGE_SIZE}");
            return Err(refused(
                Refusal::new(ResponseCode::PROTOCOL_ERROR, message),
                style,
            ));
        }
        let shown = Shown::of(parts).without_ambient(parameters.callback.is_some());
        let caller = match authenticate(shared, shown, deadline).await {
            Ok(caller) => caller,
            Err(refusal) => return Err(refused(refusal, style)),
        };
        if let Err(error) = caller.require_known() {
            return Err(refused(error.into(), style));
        }
        Ok(Self {
            shared: shared.clone(),
            page: parameters.page.unwrap_or(0),
            parameters,
            deadline,
            caller,
            size,
        })
    }

    /// Reads on a thread of its own, if one is free.
    async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Registry, &Listings) -> Result<T, Refusal> + Send + 'static,
    ) -> Result<T, Refusal> {
        let shared = self.shared.clone();
        let permits = shared.listings.permits.clone();
        let permit = self
            .deadline
            .run(&self.shared, permits.acquire_owned())
            .await;
        let Some(Ok(permit)) = permit else {
            return Err(Refusal::busy("too many listings are under way"));
        };
        let task = tokio::task::spawn_blocking(move || {
            let read = read(&shared.core.registry, &shared.listings);
            drop(permit);
            read
        });
        match self.deadline.run(&self.shared, task).await {
            Some(Ok(read)) => read,
            Some(Err(error)) => Err(Refusal::new(ResponseCode::ERROR, error.to_string())),
            None => Err(Refusal::busy("the store did not answer in time")),
        }
    }

    fn offset(&self) -> u64 {
        u64::from(self.page) * u64::from(self.size)
    }

    fn refused(&self, refusal: Refusal) -> Response<Body> {
        let style = Style::of(&self.parameters);
        answered(refusal, "", style)
    }

    fn referred(&self, prefix: &Prefix, elsewhere: &PrefixEntry, parts: &Parts) -> Response<Body> {
        if self.parameters.do_not_refer {
            return self.refused(handles::not_referred(elsewhere));
        }
        let location = handles::location(elsewhere, target::prefers_https(parts), &parts.uri);
        let (handle, style) = (format!("0.NA/{prefix}"), Style::of(&self.parameters));
        handles::referral(&handle, elsewhere, style, location)
    }

    fn shown(&self, listing: &Listing<'_>) -> Response<Body> {
        object(StatusCode::OK, Style::of(&self.parameters), listing)
    }
}

/// `GET /api/handles?prefix=`.
pub(super) async fn of_handles(shared: &Arc<Shared>, parts: &Parts) -> Response<Body> {
    let ask = match Ask::begin(shared, parts).await {
        Ok(ask) => ask,
        Err(refused) => return refused,
    };
    let (text, prefix) = match prefix(&ask.parameters) {
        Ok(prefix) => prefix,
        Err(refusal) => return ask.refused(refusal),
    };
    // Whoever serves the prefix has the list, as it has the handles.
    if let Some(elsewhere) = shared.core.resolver.referral_under(&prefix) {
        return ask.referred(&prefix, &elsewhere, parts);
    }
    let (caller, offset, size) = (ask.caller.clone(), ask.offset(), ask.size);
    let read = ask.read(move |registry, listings| {
        let key = Key {
            prefix: Some(prefix.clone()),
            credential: caller.credential().to_owned(),
        };
        let handles = collect(listings, &key, offset, size, &|request| {
            let page = registry.list_identifiers(&caller, &prefix, request, false)?;
            let names = page
                .items
                .iter()
                .map(|(identifier, _)| identifier.to_string());
            Ok(Page {
                items: names.collect(),
                next_token: page.next_token,
            })
        })?;
        // Whoever may list them may know how many they are.
        let node = Caller::Operator {
            credential: String::new(),
        };
        let total = registry.prefix_counters(&node, &prefix)?.identifiers;
        Ok((total, handles))
    });
    match read.await {
        Ok((total, handles)) => ask.shown(&Listing {
            response_code: ResponseCode::SUCCESS.0,
            prefix: Some(&text),
            total_count: total.to_string(),
            page: ask.page,
            page_size: ask.size,
            handles: Some(handles),
            prefixes: None,
        }),
        Err(refusal) => ask.refused(refusal),
    }
}

/// The prefix of a listing, as it was written and as it is: `88.118.8` or `0.NA/88.118.8`.
fn prefix(parameters: &Parameters) -> Result<(String, Prefix), Refusal> {
    let Some(text) = parameters.prefix.clone() else {
        let message =
            "query parameter prefix: is missing; name a prefix, or a handle: /api/handles/{handle}";
        return Err(Refusal::new(ResponseCode::PROTOCOL_ERROR, message));
    };
    let described = Identifier::parse(&text)
        .ok()
        .filter(|_| text.contains('/'))
        .and_then(|identifier| identifier.prefix_handle());
    let prefix = match described {
        Some(prefix) => prefix,
        None => Prefix::parse(&text).map_err(|error| {
            let message = format!("query parameter prefix: {error}");
            Refusal::new(ResponseCode::INVALID_HANDLE, message)
        })?,
    };
    Ok((text, prefix))
}

/// `GET /api/prefixes`: those that are served here, of the caller's or, for the operator, of all.
pub(super) async fn prefixes(
    State(shared): State<Arc<Shared>>,
    request: Request,
) -> Response<Body> {
    if !matches!(*request.method(), Method::GET | Method::HEAD) {
        return not_offered(request.method(), request.uri(), "GET, HEAD, OPTIONS");
    }
    let (parts, _) = request.into_parts();
    let ask = match Ask::begin(&shared, &parts).await {
        Ok(ask) => ask,
        Err(refused) => return refused,
    };
    let (caller, offset, size) = (ask.caller.clone(), ask.offset(), ask.size);
    let read = ask.read(move |registry, listings| {
        let served = |request: &PageRequest| {
            let state = Some(PrefixState::Active);
            let page = registry.list_prefixes(&caller, None, state, request)?;
            let here = page
                .items
                .iter()
                .filter(|record| record.delegation.is_none());
            let names = here.map(|record| Ok(record.prefix()?.canonical()));
            Ok(Page {
                items: names.collect::<idnode_registry::Result<Vec<_>>>()?,
                next_token: page.next_token,
            })
        };
        let key = Key {
            prefix: None,
            credential: caller.credential().to_owned(),
        };
        let shown = collect(listings, &key, offset, size, &served)?;
        Ok((count(&served)?, shown))
    });
    match read.await {
        Ok((total, prefixes)) => ask.shown(&Listing {
            response_code: ResponseCode::SUCCESS.0,
            prefix: None,
            total_count: total.to_string(),
            page: ask.page,
            page_size: ask.size,
            handles: None,
            prefixes: Some(prefixes),
        }),
        Err(refusal) => ask.refused(refusal),
    }
}

/// How many there are: prefixes are few beside what is registered under them.
fn count(step: Step<'_>) -> Result<u64, Refusal> {
    let (began, mut total, mut token) = (Instant::now(), 0, String::new());
    loop {
        let size = MAX_PAGE as u32;
        let page = step(&PageRequest { size, token })?;
        total += page.items.len() as u64;
        token = page.next_token;
        if token.is_empty() {
            return Ok(total);
        }
        if began.elapsed() > BUDGET {
            return Err(Refusal::busy("the prefixes could not be counted in time"));
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_page_far_away_is_come_to_in_several_requests() {
        let (listings, asked) = (Listings::default(), Mutex::new(Vec::new()));
        let key = Key {
            prefix: None,
            credential: String::new(),
        };
        // Ten million names, a thousand each quarter of a second.
        let step = |request: &PageRequest| {
            std::thread::sleep(Duration::from_millis(250));
            let first: u64 = request.token.parse().unwrap_or(0);
            asked.lock().push(first);
            let end = first + u64::from(request.size);
            Ok(Page {
                items: (first..end).map(|number| number.to_string()).collect(),
                next_token: end.to_string(),
            })
        };
        let ask = |offset, size| collect(&listings, &key, offset, size, &step);
        let refused = ask(12_000, 2).unwrap_err();
        assert_eq!(refused.code, ResponseCode::BUSY);
        let got = asked.lock().len() as u64;
        assert!((4..=9).contains(&got), "{got}");
        assert_eq!(ask(12_000, 2).unwrap(), ["12000", "12001"]);
        // Nothing was passed over twice, and the next page follows at once.
        let before = asked.lock().len();
        assert!(asked.lock().is_sorted_by(|a, b| a < b));
        assert_eq!(ask(12_002, 2).unwrap(), ["12002", "12003"]);
        assert_eq!(asked.lock().len(), before + 1);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let listings = Listings::default();
        for listing in 0..2 * REMEMBERED {
            let key = Key {
                prefix: None,
                credential: listing.to_string(),
            };
            for offset in 0..2 * PLACES as u64 {
                listings.remember(&key, offset, "x");
            }
        }
        let all = listings.places.lock();
        assert_eq!(all.len(), REMEMBERED);
        assert!(all.values().all(|places| places.by_offset.len() == PLACES));
    }
}
