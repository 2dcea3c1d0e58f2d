//! Pages of listings: bounded by items, by bytes and by the rows that are looked at.

use crate::enterprise::EnterpriseId;
use crate::layout::{Family, index_key, prefix_end};
use crate::registry::Registry;
use crate::{Error, Result};
use bytes::Bytes;
use data_encoding::BASE64URL_NOPAD;

/// Most items of one page.
pub const MAX_PAGE: usize = 1_000;
/// Items of a page when the caller names no number.
pub const DEFAULT_PAGE: usize = 100;
/// Stored bytes after which a page ends. It is one gRPC message of at most 4 MiB; the last item
/// adds 256 KiB at most, and shown, an object takes up to twice its stored bytes: addresses and
/// ports are text and tagged fields there.
const MAX_PAGE_BYTES: usize = 1 << 20;
/// Most rows a page looks at, so that a filter that matches nothing stays cheap.
pub(super) const MAX_PAGE_ROWS: usize = 20_000;

/// Where a listing goes on: a size and the token of the page before.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct PageRequest {
    /// Items; 0: [`DEFAULT_PAGE`].
    pub size: u32,
    /// Empty: from the start.
    pub token: String,
}

/// One page.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items.
    pub items: Vec<T>,
    /// Empty: there are no more.
    pub next_token: String,
}

impl PageRequest {
    fn size(&self) -> Result<usize> {
        match self.size as usize {
            0 => Ok(DEFAULT_PAGE),
            size @ 1..=MAX_PAGE => Ok(size),
            size => Err(Error::invalid(
                "page.size",
                format!("{size} is above {MAX_PAGE}"),
            )),
        }
    }

    /// The first key of the page: the token is the key after which it begins. A token of
    /// another listing's range begins at that range's start.
    fn start(&self, range_start: &[u8]) -> Result<Vec<u8>> {
        if self.token.is_empty() {
            return Ok(range_start.to_vec());
        }
        let mut after = BASE64URL_NOPAD
            .decode(self.token.as_bytes())
            .map_err(|_| Error::invalid("page.token", "is not a token of this node"))?;
        after.push(0);
        Ok(after.max(range_start.to_vec()))
    }
}

/// What to list: a family's range.
pub(super) struct Listing<'a> {
    pub(super) family: Family,
    pub(super) start: Vec<u8>,
    pub(super) end: Option<Vec<u8>>,
    pub(super) request: &'a PageRequest,
}

/// An item of a listing and the bytes that are read for it beside its row.
pub(super) struct Item<T> {
    pub(super) item: T,
    pub(super) further_bytes: usize,
}

impl<'a> Listing<'a> {
    /// All of a family.
    pub(super) fn of_family(family: Family, request: &'a PageRequest) -> Self {
        Self {
            family,
            start: Vec::new(),
            end: None,
            request,
        }
    }

    /// What an index family has for an enterprise.
    pub(super) fn of_enterprise(
        family: Family,
        enterprise: EnterpriseId,
        request: &'a PageRequest,
    ) -> Self {
        let start = index_key(enterprise.0, &[]).to_vec();
        Self {
            family,
            end: prefix_end(&start),
            start,
            request,
        }
    }

    /// A page of what `item` makes of the rows themselves.
    pub(super) fn page<T>(
        &self,
        registry: &Registry,
        mut item: impl FnMut(&[u8], Bytes) -> Result<Option<T>>,
    ) -> Result<Page<T>> {
        self.page_of(registry, |key, stored| {
            Ok(item(key, stored)?.map(|item| Item {
                item,
                further_bytes: 0,
            }))
        })
    }

    /// A page of what `item` finds elsewhere for the rows; it says how large that is.
    pub(super) fn page_of<T>(
        &self,
        registry: &Registry,
        mut item: impl FnMut(&[u8], Bytes) -> Result<Option<Item<T>>>,
    ) -> Result<Page<T>> {
        let size = self.request.size()?;
        let start = self.request.start(&self.start)?;
        let view = registry.store().snapshot();
        let (mut items, mut bytes, mut rows) = (Vec::new(), 0, 0);
        for row in view.scan(self.family, &start, self.end.as_deref())? {
            let (key, stored) = row?;
            rows += 1;
            bytes += key.len() + stored.len();
            if let Some(found) = item(&key, stored)? {
                bytes += found.further_bytes;
                items.push(found.item);
            }
            if items.len() >= size || bytes >= MAX_PAGE_BYTES || rows >= MAX_PAGE_ROWS {
                return Ok(Page {
                    items,
                    next_token: BASE64URL_NOPAD.encode(&key),
                });
            }
        }
        Ok(Page {
            items,
            next_token: String::new(),
        })
    }
}
