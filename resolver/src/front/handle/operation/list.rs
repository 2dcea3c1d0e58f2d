//! Answers in as many messages as they take, all but the last saying that more follow: lists of handles
//! and prefixes (RFC 3652 §3.7), and what mirrors read. Each is written before the next one is made, so
//! that a list of millions takes no more memory than a page and a message.

use super::super::answer::{Answerer, Scratch, expiration_s, now_s};
use super::super::metrics::Outcome;
use super::sessions::Session;
use super::{Act, Client, write};
use idnode_proto::handle::body::mirror::{Items, listed};
use idnode_proto::handle::{OpFlags, ReplyTo, ResponseCode};
use idnode_registry::prefix::PrefixState;
use idnode_registry::read::{Page, PageRequest};
use idnode_registry::{Registry, Result};
use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;

/// Items of a page that is read at a time.
const PAGE: u32 = 1_000;

/// Some of what is listed.
#[derive(Debug)]
pub(super) struct Part {
    /// What stands in front of the items of each message from now on.
    pub(super) head: Vec<u8>,
    /// Encoded items.
    pub(super) items: Vec<Vec<u8>>,
    /// There is no more.
    pub(super) last: bool,
}

type ReadPart = dyn FnMut(&Registry) -> Result<Part> + Send;

/// A list that is being written.
pub(super) struct Listing {
    to: ReplyTo,
    /// Reads what comes next; `None`: there is none.
    read: Option<Box<ReadPart>>,
    head: Vec<u8>,
    /// Read and not written.
    items: VecDeque<Vec<u8>>,
    /// The session that its messages belong to, and how they do.
    session: Option<(Arc<Session>, Belongs)>,
}

/// How messages belong to a session.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Belongs {
    /// They are encrypted for it.
    Sealed,
    /// They have its MAC.
    Signed,
}

impl fmt::Debug for Listing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listing").field("to", &self.to).finish()
    }
}

impl Listing {
    /// A list of what `read` reads, which may block on the disk.
    pub(super) fn new(
        act: &Act<'_>,
        read: impl FnMut(&Registry) -> Result<Part> + Send + 'static,
    ) -> Self {
        Self {
            to: act.to,
            read: Some(Box::new(read)),
            head: Vec::new(),
            items: VecDeque::new(),
            session: None,
        }
    }

    /// The rest of it is encrypted for a session.
    pub(super) fn sealed_for(&mut self, session: Arc<Session>) {
        self.session = Some((session, Belongs::Sealed));
    }

    /// The rest of it is signed by a session's MAC.
    pub(super) fn signed_by(&mut self, session: Arc<Session>) {
        self.session = Some((session, Belongs::Signed));
    }

    /// A list of the names on pages.
    fn of_names(
        act: &Act<'_>,
        page: impl Fn(&Registry, &PageRequest) -> Result<Page<String>> + Send + 'static,
    ) -> Self {
        let mut request = PageRequest {
            size: PAGE,
            token: String::new(),
        };
        Self::new(act, move |registry| {
            let page = page(registry, &request)?;
            request.token = page.next_token;
            Ok(Part {
                head: Vec::new(),
                items: page.items.iter().map(|name| listed(name)).collect(),
                last: request.token.is_empty(),
            })
        })
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
        // Whoever serves the prefix has the list, as it has the handles.
        if let Some(elsewhere) = self.resolver().referral_under(&prefix) {
            return self.referral(&act.to, &elsewhere.record, scratch);
        }
        let caller = act.caller.clone();
        let listing = Listing::of_names(act, move |registry, request| {
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
        let listing = Listing::of_names(act, move |registry, request| {
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
        let Some(listing) = client.listing.take() else {
            return;
        };
        let begin = scratch.reply.len();
        let (session, to) = (listing.session.clone(), listing.to);
        let sealed = matches!(session, Some((_, Belongs::Sealed)));
        let outcome = self.list(listing, client, scratch).await;
        if sealed {
            self.mark_sealed(begin, scratch);
        }
        // All of it has been counted already.
        match &session {
            Some((session, Belongs::Signed)) => {
                let _outcome = self.mac_or_fail(session, &to, begin, outcome, scratch);
            }
            _ if self.certifies(to.flags) => {
                let _outcome = self.certify(&to, begin, outcome, scratch).await;
            }
            _ => {}
        }
        if let Some((session, Belongs::Sealed)) = &session {
            self.mark_sealed(begin, scratch);
            self.seal_or_fail(session, begin, scratch);
        }
    }

    /// Appends one message of a list, and keeps what is left of it with the client.
    pub(super) async fn list(
        &self,
        mut listing: Listing,
        client: &mut Client,
        scratch: &mut Scratch,
    ) -> Outcome {
        let mut items = Items::default();
        loop {
            while let Some(item) = listing.items.pop_front() {
                if !items.push(&item) {
                    listing.items.push_front(item);
                    let body = items.encode(&listing.head);
                    let outcome = self.write_list(&listing.to, &body, true, scratch);
                    if outcome == Outcome::Done {
                        client.listing = Some(listing);
                    }
                    return outcome;
                }
            }
            let Some(mut read) = listing.read.take() else {
                let body = items.encode(&listing.head);
                return self.write_list(&listing.to, &body, false, scratch);
            };
            let registry = self.core.registry.clone();
            let reading = tokio::task::spawn_blocking(move || {
                let part = read(&registry);
                (part, read)
            });
            let (part, read) = match reading.await {
                Ok((Ok(part), read)) => (part, read),
                Ok((Err(error), _)) => return self.registry_error(&listing.to, &error, scratch),
                Err(error) => return self.failed(&listing.to, &error.to_string(), scratch),
            };
            listing.head = part.head;
            listing.items.extend(part.items);
            listing.read = Some(read).filter(|_| !part.last);
        }
    }

    fn write_list(&self, to: &ReplyTo, body: &[u8], more: bool, scratch: &mut Scratch) -> Outcome {
        let mut reply = self.reply(to, expiration_s(0, now_s()));
        if more {
            reply.flags = reply.flags | OpFlags::CONTINUES;
        }
        match reply.raw(&mut scratch.reply, ResponseCode::SUCCESS, body) {
            Ok(()) => Outcome::Done,
            Err(error) => self.failed(to, &error.to_string(), scratch),
        }
    }
}
