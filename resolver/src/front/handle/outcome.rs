//! How the core's answers read in the Handle protocol.

use super::answer::{Answerer, MAX_EXPIRATION_S, Question, Scratch, expiration_s, now_s};
use super::metrics::Outcome;
use crate::resolve::{Answer, Missing, Resolved};
use idnode_proto::handle::{OpFlags, ReplyTo, ResponseCode, Version};
use idnode_proto::identifier::Scheme;
use idnode_proto::value::{Ttl, Value, types};
use idnode_registry::prefix::PrefixRecord;
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

    /// Sends the client to the sites that serve the prefix, unless it wants no referral or none
    /// of them speaks this protocol.
    pub(super) fn referral(
        &self,
        to: &ReplyTo,
        record: &PrefixRecord,
        scratch: &mut Scratch,
    ) -> Outcome {
        let sites = record
            .delegation
            .as_ref()
            .map_or(&[][..], |delegation| &delegation.sites);
        if to.flags.contains(OpFlags::NO_REFERRAL) || sites.is_empty() {
            let text = match sites.is_empty() {
                true => "the prefix is delegated, to DNS name servers only",
                false => "the prefix is delegated, and a referral is not wanted",
            };
            self.error(to, ResponseCode::NOT_RESPONSIBLE, text, scratch);
            return Outcome::NotResponsible;
        }
        scratch.values.clear();
        let mut count = 0;
        for site in sites {
            count += 1;
            let value = Value {
                timestamp_s: (record.updated_at_ms / 1_000) as u32,
                ttl: Ttl::DEFAULT,
                ..Value::new(count, types::HS_SITE, site.to_vec())
            };
            value.encode(&mut scratch.values);
        }
        let code = if to.version >= PREFIX_REFERRAL_SINCE {
            ResponseCode::PREFIX_REFERRAL
        } else {
            ResponseCode::SERVICE_REFERRAL
        };
        let reply = self.reply(to, expiration_s(MAX_EXPIRATION_S, now_s()));
        let handle = referral_handle(record);
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
