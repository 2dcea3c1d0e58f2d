//! Lists of handles and prefixes (RFC 3652 §3.7): as many messages as they take, all but the last
//! saying that more follow. Each is written before the next one is made, so that a list of millions
//! takes no more memory than one message.

use super::super::answer::{Answerer, Scratch, expiration_s, now_s};
use super::super::metrics::Outcome;
use super::sessions::Session;
use super::{Act, Client, write};
use idnode_proto::handle::ReplyTo;
use idnode_proto::handle::body::list::HandleList;
use idnode_registry::prefix::PrefixState;
use idnode_registry::read::{Page, PageRequest};
use idnode_registry::{Registry, Result};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// Items of a page that is read at a time.
const PAGE: u32 = 1_000;

type ReadPage = dyn Fn(&Registry, &PageRequest) -> Result<Page<String>> + Send + Sync;

/// A list that is being written.
pub(super) struct Listing {
    to: ReplyTo,
    page: Arc<ReadPage>,
    /// Read and not written.
    names: VecDeque<String>,
    /// Of the next page; `None`: there is none.
    token: Option<String>,
    /// The session that its messages are encrypted for.
    pub(super) session: Option<Arc<Session>>,
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("to", &self.to).finish()
    }
}

impl Listing {
    fn new(
        act: &Act<'_>,
        page: impl Fn(&Registry, &PageRequest) -> Result<Page<String>> + Send + Sync + 'static,
    ) -> Self {
        Self {
            to: act.to,
            page: Arc::new(page),
            names: VecDeque::new(),
            token: Some(String::new()),
            session: None,
        }
    }
}

impl Answerer {
    /// The identifiers under a prefix.
    pub(super) async fn list_handles(
        &self,
        act: &Act<'_>,
        handle: &str,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        let prefix = match write::prefix(handle) {
            Ok(prefix) => prefix,
            Err(error) => return self.registry_error(&act.to, &error, scratch),
        };
        let caller = act.caller.clone();
        let listing = Listing::new(act, move |registry, request| {
            let listed = registry.list_identifiers(&caller, &prefix, request, false)?;
            let names = listed.items.into_iter();
            Ok(Page {
                items: names.map(|(it, _)| it.display().into_owned()).collect(),
                next_token: listed.next_token,
            })
        });
        self.list(listing, client, scratch).await
    }

    /// The active prefixes below a prefix, and itself.
    pub(super) async fn list_prefixes(
        &self,
        act: &Act<'_>,
        handle: &str,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        let above = match write::prefix(handle) {
            Ok(prefix) => prefix,
            Err(error) => return self.registry_error(&act.to, &error, scratch),
        };
        let caller = act.caller.clone();
        let listing = Listing::new(act, move |registry, request| {
            let state = Some(PrefixState::Active);
            let listed = registry.list_prefixes_at(&caller, &above, state, request)?;
            let records = listed.items.iter().filter_map(|it| it.prefix().ok());
            let below = records.filter(|prefix| {
                let mut line = std::iter::successors(Some(prefix.clone()), |it| it.parent());
                line.any(|it| it == above)
            });
            let names = below.filter_map(|prefix| prefix.prefix_identifier());
            Ok(Page {
                items: names.map(|it| it.canonical()).collect(),
                next_token: listed.next_token,
            })
        });
        self.list(listing, client, scratch).await
    }

    /// Appends the next message of the answer that a client is being given.
    pub(in super::super) async fn go_on(&self, client: &mut Client, scratch: &mut Scratch) {
        if let Some(listing) = client.listing.take() {
            let begin = scratch.reply.len();
            let (session, to) = (listing.session.clone(), listing.to);
            let outcome = self.list(listing, client, scratch).await;
            if session.is_some() {
                self.mark_sealed(begin, scratch);
            }
            if self.certifies(to.flags) {
                let _counted_already = self.certify(&to, begin, outcome, scratch).await;
            }
            if let Some(session) = session {
                self.mark_sealed(begin, scratch);
                self.seal_or_fail(&session, begin, scratch);
                if let Some(rest) = &mut client.listing {
                    rest.session = Some(session);
                }
            }
        }
    }

    /// Appends one message of a list, and keeps what is left of it with the client.
    async fn list(
        &self,
        mut listing: Listing,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        let mut list = HandleList::new();
        loop {
            while let Some(name) = listing.names.pop_front() {
                if !list.push(&name) {
                    listing.names.push_front(name);
                    let outcome = self.write_list(&listing.to, &list, true, scratch);
                    if outcome == Outcome::Done {
                        client.listing = Some(listing);
                    }
                    return outcome;
                }
            }
            let Some(token) = listing.token.take() else {
                return self.write_list(&listing.to, &list, false, scratch);
            };
            let request = PageRequest { size: PAGE, token };
            let (registry, page) = (self.core.registry.clone(), listing.page.clone());
            let read = tokio::task::spawn_blocking(move || page(&registry, &request));
            let page = match read.await {
                Ok(Ok(page)) => page,
                Ok(Err(error)) => return self.registry_error(&listing.to, &error, scratch),
                Err(error) => return self.failed(&listing.to, &error.to_string(), scratch),
            };
            listing.names.extend(page.items);
            listing.token = Some(page.next_token).filter(|token| !token.is_empty());
        }
    }

    fn write_list(
        &self,
        to: &ReplyTo,
        list: &HandleList,
        more: bool,
        scratch: &mut Scratch,
    ) -> Outcome {
        let reply = self.reply(to, expiration_s(0, now_s()));
        match reply.handles(&mut scratch.reply, list, more) {
            Ok(()) => Outcome::Done,
            Err(error) => self.failed(to, &error.to_string(), scratch),
        }
    }
}
