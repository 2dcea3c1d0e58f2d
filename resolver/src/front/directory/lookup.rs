//! Queries answered: here, elsewhere, or not at all.

use super::files::{Known, entry_of};
use super::make::Seen;
use super::{Answer, Directory, Failure};
use idnode_proto::identifier::{Prefix, PrefixCandidates};
use idnode_proto::iiidap::{
    Document, Link, MEDIA_TYPE, Notice, Pattern, Query, Subject, folded, labels,
};
use idnode_registry::{Caller, Error};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

/// What a path cannot hold of an identifier (RFC 3986 §3.3).
const NOT_IN_PATH: &AsciiSet = &CONTROLS
    .add(b' ')
    .add(b'"')
    .add(b'#')
    .add(b'%')
    .add(b'<')
    .add(b'>')
    .add(b'?')
    .add(b'[')
    .add(b'\\')
    .add(b']')
    .add(b'^')
    .add(b'`')
    .add(b'{')
    .add(b'|')
    .add(b'}');

impl Directory {
    /// Answers a query. Blocks.
    ///
    /// # Errors
    /// 404, or 500 when the store fails.
    pub(super) fn answer(
        &self,
        query: &Query,
        caller: &Caller,
        help_url: Option<&str>,
    ) -> Result<Answer, Failure> {
        let document = match query {
            Query::Identifier(subject) => return self.identifier(subject, caller, help_url),
            Query::Name(pattern) => self.named(pattern, true, caller, help_url)?,
            Query::Names(pattern) => self.named(pattern, false, caller, help_url)?,
            Query::Help => self.help(help_url),
        };
        Ok(Answer::Document(Box::new(document)))
    }

    fn identifier(
        &self,
        subject: &Subject,
        caller: &Caller,
        help_url: Option<&str>,
    ) -> Result<Answer, Failure> {
        let known = self.known.load();
        let prefix = owner(subject);
        let own = known
            .own
            .iter()
            .find(|(own, _)| Some(own) == prefix.as_ref());
        let seen = match own {
            Some((_, registration)) => Some(Seen::own(registration, caller.is_operator())),
            None => self
                .registry
                .registration(caller, candidates(subject))
                .and_then(|stored| stored.map(Seen::of).transpose())
                .map_err(failed)?,
        };
        if let Some(seen) = seen {
            let document = self.lookup(seen, Vec::new(), help_url);
            return Ok(Answer::Document(Box::new(document)));
        }
        let elsewhere = prefix.and_then(|prefix| self.elsewhere(&known, &prefix));
        match elsewhere {
            Some(base) => {
                let text = subject.text();
                let segment = utf8_percent_encode(&text, NOT_IN_PATH);
                Ok(Answer::Elsewhere(format!("{base}identifier/{segment}")))
            }
            None => Err(absent("no such identifier is registered at this node")),
        }
    }

    /// The base URL of whoever is authoritative for a prefix that is not registered here; `None`:
    /// nobody is known, or this node itself is.
    fn elsewhere(&self, known: &Known, prefix: &Prefix) -> Option<String> {
        let entry = entry_of(prefix);
        let authority = known.others.authority(&entry)?;
        let own = known.own.iter().map(|(own, _)| entry_of(own));
        let own = own.filter(|own| {
            let rest = entry.strip_prefix(own.as_str());
            rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('.'))
        });
        let own_labels = own.map(|own| labels(&own)).max().unwrap_or(0);
        let base = authority.base()?;
        let is_own = labels(authority.entry) <= own_labels || base == self.options.base_url;
        (!is_own).then(|| base.to_owned())
    }

    /// Whoever has a name, or names that match. A lookup that finds one registration answers that
    /// one; several are answered as a search is (QUERY §4.2).
    fn named(
        &self,
        pattern: &Pattern,
        is_lookup: bool,
        caller: &Caller,
        help_url: Option<&str>,
    ) -> Result<Document, Failure> {
        let most = self.most_results(caller);
        let known = self.known.load();
        let own = known.own.iter().filter(|(_, registration)| {
            let name = registration.node.as_ref().and_then(|it| it.name.as_deref());
            name.is_some_and(|name| pattern.matches(&folded(name)))
        });
        let mut all: Vec<Seen> = own
            .map(|(_, registration)| Seen::own(registration, caller.is_operator()))
            .collect();
        let stored = self
            .registry
            .registrations_named(caller, pattern, most)
            .map_err(failed)?;
        let more = stored.more || all.len() + stored.found.len() > most;
        for registration in stored.found {
            all.push(Seen::of(registration).map_err(failed)?);
        }
        all.truncate(most);
        let mut notices = Vec::new();
        if more {
            self.truncated.increment(1);
            let is_full = all.len() == most;
            notices.push(self.truncation(caller, is_full, help_url));
        }
        match all.len() {
            // With more to look at, nobody can say that there is none.
            0 if !more => Err(absent("no node or enterprise has such a name here")),
            1 if is_lookup && !more => Ok(match all.pop() {
                Some(seen) => self.lookup(seen, notices, help_url),
                None => Document::default(),
            }),
            _ => {
                if all.iter().any(|seen| !seen.whole) {
                    notices.insert(0, removed(help_url));
                }
                let results = all.into_iter().map(|seen| seen.registration).collect();
                Ok(Document::search(results, &self.options.lang, notices))
            }
        }
    }

    fn lookup(&self, seen: Seen, mut notices: Vec<Notice>, help_url: Option<&str>) -> Document {
        if !seen.whole {
            notices.insert(0, removed(help_url));
        }
        Document::lookup(seen.remarked(), &self.options.lang, notices)
    }

    fn most_results(&self, caller: &Caller) -> usize {
        match caller {
            Caller::Stranger => self.options.max_results,
            _ => self.options.max_results_known.max(self.options.max_results),
        }
    }

    /// The notice of a search that has found more than is shown (RESPONSES §9), or has not looked at
    /// all there is: fewer than may be shown are then.
    fn truncation(&self, caller: &Caller, is_full: bool, help_url: Option<&str>) -> Notice {
        let most = self.most_results(caller);
        let limited = match is_full {
            true => format!("Search results are limited to {most}."),
            false => "Not everything that may match was looked at.".to_owned(),
        };
        let limited = format!("{limited} Search for more of the name.");
        let notice = Notice::new("Search Policy", [&limited]);
        let for_strangers = is_full
            && *caller == Caller::Stranger
            && self.options.max_results < self.options.max_results_known;
        let notice = notice.typed(match for_strangers {
            true => Notice::TRUNCATED_RESULTS,
            false => Notice::TRUNCATED_BY_LOAD,
        });
        linked(notice, help_url)
    }
}

/// That something is missing from an answer (RESPONSES §5, Figure 7).
fn removed(help_url: Option<&str>) -> Notice {
    let notice = Notice::new(
        "Content Removed",
        ["Without full authorization, content has been removed."],
    );
    linked(notice, help_url)
}

fn linked(notice: Notice, help_url: Option<&str>) -> Notice {
    match help_url {
        Some(url) => notice.linked(Link {
            rel: Some("help".to_owned()),
            href: url.to_owned(),
            r#type: Some(MEDIA_TYPE.to_owned()),
            ..Link::default()
        }),
        None => notice,
    }
}

fn candidates(subject: &Subject) -> PrefixCandidates<'_> {
    match subject {
        Subject::Prefix(prefix) => prefix.candidates(),
        Subject::Identifier(identifier) => identifier.prefix_candidates(),
    }
}

/// The prefix that would own it.
fn owner(subject: &Subject) -> Option<Prefix> {
    let first = candidates(subject).next()?;
    Prefix::from_key(first.key).ok()
}

fn absent(reason: &str) -> Failure {
    Failure::new(404, "Not Found", reason)
}

fn failed(error: Error) -> Failure {
    match error {
        Error::Unavailable(reason) => Failure::busy(&reason),
        error => {
            // Its words are about files and belong in the log.
            tracing::error!(%error, "iiidap: the store failed");
            Failure::new(500, "Failed", "the node's store failed")
        }
    }
}
