//! How the core's answers read in the Handle protocol.

use super::answer::{Answerer, MAX_EXPIRATION_S, Question, Scratch, expiration_s, now_s};
use super::metrics::Outcome;
use crate::resolve::{Answer, Missing, Resolved};
use idnode_proto::handle::{OpFlags, ReplyTo, ResponseCode, Version};
use idnode_proto::identifier::Scheme;
use idnode_registry::prefix::{Delegation, PrefixRecord};
use jiff::Timestamp;

/// From here on clients know referrals for a prefix, code 303.
const PREFIX_REFERRAL_SINCE: Version = Version::new(2, 5);

impl Answerer {
    /// Appends what the core said.
    pub(super) fn write(
        &self,
        question: &Question<'_>,
        answer: idnode_registry::Result<Answer>,
        scratch: &mut Scratch,
    ) -> Outcome {
        match answer {
            Ok(Answer::Found(resolved)) => self.values(question, &resolved, scratch),
            Ok(Answer::Missing(missing)) => self.missing(question, &missing, scratch),
            Ok(Answer::Referral(entry)) => self.referral(&question.to, &entry.record, scratch),
            Err(error) => self.failed(&question.to, &error.to_string(), scratch),
        }
    }

    fn values(
        &self,
        question: &Question<'_>,
        resolved: &Resolved,
        scratch: &mut Scratch,
    ) -> Outcome {
        let query = question.query();
        let now_s = now_s();
        let (mut count, mut ttl_s) = (0, MAX_EXPIRATION_S);
        scratch.values.clear();
        for value in resolved.values(&query) {
            scratch.values.extend_from_slice(value.raw());
            ttl_s = ttl_s.min(value.ttl().remaining_s(now_s));
            count += 1;
        }
        if count == 0 {
            let text = if resolved.withheld(&query) {
                "the values asked for are not public"
            } else {
                "the handle has no such values"
            };
            self.error(&question.to, ResponseCode::VALUES_NOT_FOUND, text, scratch);
            return Outcome::NoValues;
        }
        let ttl_s = ttl_s.saturating_sub(resolved.age_s(now_s));
        let mut reply = self.reply(&question.to, expiration_s(ttl_s, now_s));
        if question.trusted {
            reply.flags = reply.flags | OpFlags::TRUSTED_RESULT;
        }
        match reply.resolution(
            &mut scratch.reply,
            question.handle,
            count,
            [&scratch.values[..]],
        ) {
            Ok(()) => Outcome::Found,
            Err(error) => self.failed(&question.to, &error.to_string(), scratch),
        }
    }

    fn missing(
        &self,
        question: &Question<'_>,
        missing: &Missing,
        scratch: &mut Scratch,
    ) -> Outcome {
        let mut error = |code, text: &str| self.error(&question.to, code, text, scratch);
        match missing {
            Missing::Identifier => {
                error(
                    ResponseCode::HANDLE_NOT_FOUND,
                    "the handle is not registered",
                );
                Outcome::NotFound
            }
            Missing::Deleted { at_ms, reason, .. } => {
                let text = match (date(*at_ms), reason.as_str()) {
                    (at, "") => format!("the handle was deleted on {at}"),
                    (at, reason) => format!("the handle was deleted on {at}: {reason}"),
                };
                error(ResponseCode::HANDLE_NOT_FOUND, &text);
                Outcome::Deleted
            }
            Missing::Prefix => {
                error(
                    ResponseCode::NOT_RESPONSIBLE,
                    "the prefix is not registered here",
                );
                Outcome::NotResponsible
            }
            Missing::PrefixNotActive(state) => {
                let text = format!("the prefix is {}", state.label());
                error(ResponseCode::NOT_RESPONSIBLE, &text);
                Outcome::NotResponsible
            }
        }
    }

    /// Sends the client to the sites that serve the prefix, or to the service that has them, unless
    /// it wants no referral or none of them speaks this protocol.
    pub(super) fn referral(
        &self,
        to: &ReplyTo,
        record: &PrefixRecord,
        scratch: &mut Scratch,
    ) -> Outcome {
        let service = record.delegation.as_ref().and_then(Delegation::service);
        let is_for_dns = record.delegation_values().is_empty();
        if to.flags.contains(OpFlags::NO_REFERRAL) || is_for_dns {
            let text = match is_for_dns {
                true => "the prefix is delegated, to DNS name servers only",
                false => "the prefix is delegated, and a referral is not wanted",
            };
            self.error(to, ResponseCode::NOT_RESPONSIBLE, text, scratch);
            return Outcome::NotResponsible;
        }
        // A service's handle says where it is: with that a body has no values (RFC 3652 §3.4).
        let (code, handle, sites) = match service {
            Some(service) => (
                ResponseCode::SERVICE_REFERRAL,
                service.to_owned(),
                Vec::new(),
            ),
            None => {
                let code = if to.version >= PREFIX_REFERRAL_SINCE {
                    ResponseCode::PREFIX_REFERRAL
                } else {
                    ResponseCode::SERVICE_REFERRAL
                };
                (code, referral_handle(record), record.delegation_values())
            }
        };
        scratch.values.clear();
        for site in &sites {
            site.encode(&mut scratch.values);
        }
        let reply = self.reply(to, expiration_s(MAX_EXPIRATION_S, now_s()));
        let count = sites.len() as u32;
        match reply.referral(
            &mut scratch.reply,
            code,
            &handle,
            count,
            [&scratch.values[..]],
        ) {
            Ok(()) => Outcome::Referral,
            Err(error) => self.failed(to, &error.to_string(), scratch),
        }
    }
}

/// The handle that holds the sites, `0.NA/88.118.8`; empty for the other schemes, whose prefixes
/// are not handles.
fn referral_handle(record: &PrefixRecord) -> String {
    record
        .prefix()
        .ok()
        .filter(|prefix| prefix.scheme() == Scheme::Handle)
        .and_then(|prefix| prefix.prefix_identifier())
        .map(|identifier| identifier.canonical())
        .unwrap_or_default()
}

/// A time as RFC 3339 has it, to the second.
fn date(at_ms: u64) -> String {
    i64::try_from(at_ms)
        .ok()
        .and_then(|at_ms| Timestamp::from_millisecond(at_ms).ok())
        .map_or_else(
            || format!("{at_ms} ms"),
            |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        )
}
