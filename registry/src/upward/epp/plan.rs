//! What is decided about provisioning: what is told of an enterprise, under which name, and what an
//! answer means. Nothing here sends or stores.

use super::records::{Kind, Transaction};
use crate::Sequence;
use crate::enterprise::{CertificateType, Profile};
use idnode_proto::epp::enterprise::{
    self as told, Change, EnterpriseCheck, EnterpriseCreate, EnterpriseUpdate, Reach,
};
use idnode_proto::epp::prefix::{PrefixCheck, PrefixCreate};
use idnode_proto::epp::{Command, Document, Operation, Response, ResultCode};
use sha2::{Digest, Sha256};

/// What kind of organisation is told (entType): an enterprise. The registry knows no other.
const ENTERPRISE: &str = "1";

/// What an answer to a command means.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// The national node has done it, or will.
    Done,
    /// What was to be registered is there already.
    Exists,
    /// It will not do it, whenever it is asked.
    Refused,
    /// It may do it later: its own trouble, or this node's rights, which an operator mends.
    Later,
}

/// What an answer to a command that changes something means.
pub fn verdict(kind: Kind, code: ResultCode) -> Verdict {
    match code {
        code if code.is_success() => Verdict::Done,
        ResultCode::EXISTS => Verdict::Exists,
        // The data of an enterprise are changed by the node that has registered it.
        ResultCode::UNAUTHORISED if kind == Kind::UpdateEnterprise => Verdict::Refused,
        // So is what another has registered of identifiers.
        ResultCode::UNAUTHORISED
            if matches!(kind, Kind::UpdateIdentifier | Kind::DeleteIdentifier) =>
        {
            Verdict::Refused
        }
        ResultCode::NOT_FOUND if kind == Kind::DeleteIdentifier => Verdict::Done,
        // It went at this moment: it is looked at again.
        ResultCode::NOT_FOUND if kind == Kind::UpdateIdentifier => Verdict::Later,
        code if code.is_passing() => Verdict::Later,
        // Who logs in, with which rights, in which state: no fault of what was asked.
        ResultCode::AUTHENTICATION
        | ResultCode::UNAUTHORISED
        | ResultCode::USE
        | ResultCode::BILLING => Verdict::Later,
        _ => Verdict::Refused,
    }
}

/// What was refused, and why, for people: within what a prefix's record takes for a message.
pub fn reason(response: &Response) -> String {
    let more = response.reason.as_deref().unwrap_or_default();
    let code = response.code.number();
    match more.is_empty() {
        true => one_line(&format!("{code} {}", response.text)),
        false => one_line(&format!("{code} {}: {more}", response.text)),
    }
}

/// A text of others as one line of at most 500 bytes.
pub fn one_line(text: &str) -> String {
    let mut line = String::new();
    for c in text
        .trim()
        .chars()
        .map(|c| if c.is_control() { ' ' } else { c })
    {
        if line.len() + c.len_utf8() > 500 {
            break;
        }
        line.push(c);
    }
    line
}

/// A transaction for what is asked, under a name that this gives alone: the same is never asked
/// twice. `occasion` tells apart what is asked again on purpose.
pub fn transaction(
    kind: Kind,
    subject: String,
    operation: Operation,
    occasion: Sequence,
    now_ms: u64,
) -> Transaction {
    let mut command = Command {
        client_id: None,
        operation,
    };
    let unnamed = Document::Command(command.clone()).encode();
    let digest = Sha256::new()
        .chain_update(occasion.to_be_bytes())
        .chain_update(&unnamed)
        .finalize();
    let digest = data_encoding::HEXLOWER.encode(digest.get(..16).unwrap_or_default());
    let client_id = format!("{}-{digest}", kind.mark());
    command.client_id = Some(client_id.clone());
    Transaction {
        client_id,
        kind: kind.into(),
        subject,
        request: Document::Command(command).encode(),
        created_at_ms: now_ms,
        ..Transaction::default()
    }
}

/// The question for an enterprise's number.
pub fn check_enterprise(user: &str, profile: &Profile) -> Operation {
    let certificate_type = match profile.certificate_type() {
        CertificateType::SocialCreditCode => told::SOCIAL_CREDIT_CODE,
        CertificateType::Other | CertificateType::Unspecified => told::OTHER_CERTIFICATE,
    };
    Operation::CheckEnterprise(EnterpriseCheck {
        user: user.to_owned(),
        certificate_type: certificate_type.to_owned(),
        certificate_code: profile.certificate_code.clone(),
    })
}

/// The command that registers an enterprise.
pub fn create_enterprise(node_prefix: &str, profile: &Profile) -> Operation {
    Operation::CreateEnterprise(Box::new(EnterpriseCreate {
        node_prefix: node_prefix.to_owned(),
        enterprise: all_of(profile),
    }))
}

/// The command that tells what has changed of an enterprise; `None`: nothing that is told has.
pub fn update_enterprise(
    node_prefix: &str,
    user: &str,
    national_id: &str,
    before: &Profile,
    now: &Profile,
) -> Option<Operation> {
    let (old, new) = (all_of(before), all_of(now));
    if old == new {
        return None;
    }
    let same_entity = told::Enterprise {
        reach: new.reach.clone(),
        ..old.clone()
    } == new;
    let change = if same_entity {
        Change::Some {
            user: user.to_owned(),
            reach: changed(&old.reach, new.reach),
        }
    } else {
        Change::All {
            node_prefix: node_prefix.to_owned(),
            enterprise: Box::new(new),
        }
    };
    Some(Operation::UpdateEnterprise(Box::new(EnterpriseUpdate {
        enterprise_id: national_id.to_owned(),
        change,
    })))
}

/// The question whether a prefix is free.
pub fn check_prefix(node_prefix: &str, prefix: &str) -> Operation {
    Operation::CheckPrefix(PrefixCheck {
        node_prefix: node_prefix.to_owned(),
        prefix: prefix.to_owned(),
    })
}

/// The application for a prefix.
pub fn create_prefix(node_prefix: &str, national_id: &str, prefix: &str) -> Operation {
    Operation::CreatePrefix(PrefixCreate {
        node_prefix: node_prefix.to_owned(),
        enterprise_id: national_id.to_owned(),
        prefix: prefix.to_owned(),
    })
}

/// All that is told of an enterprise. Images are none: the registry keeps none.
fn all_of(profile: &Profile) -> told::Enterprise {
    let text = |text: &String| Some(text.clone());
    let contact = profile.contact.clone().unwrap_or_default();
    let person = profile.legal_person.clone().unwrap_or_default();
    told::Enterprise {
        kind: ENTERPRISE.to_owned(),
        certificate_code: profile.certificate_code.clone(),
        certificate_image: told::Image::default(),
        name: profile.name.clone(),
        reach: Reach {
            province: text(&profile.province_code),
            city: text(&profile.city_code),
            county: text(&profile.county_code),
            address: text(&profile.address),
            name_en: text(&profile.name_en),
            address_en: Some(String::new()),
            website: text(&profile.website),
            description: text(&profile.description),
            contact: Some(told::Contact {
                name: contact.name,
                email: contact.email,
                phone: contact.phone,
            }),
        },
        legal_person: told::LegalPerson {
            name: person.name,
            id_type: person.id_type,
            id_number: person.id_number,
            image: told::Image::default(),
        },
    }
}

/// What of it is new.
fn changed(old: &Reach, new: Reach) -> Reach {
    fn if_new<T: PartialEq>(old: &Option<T>, new: Option<T>) -> Option<T> {
        new.filter(|new| old.as_ref() != Some(new))
    }
    Reach {
        province: if_new(&old.province, new.province),
        city: if_new(&old.city, new.city),
        county: if_new(&old.county, new.county),
        address: if_new(&old.address, new.address),
        name_en: if_new(&old.name_en, new.name_en),
        address_en: if_new(&old.address_en, new.address_en),
        website: if_new(&old.website, new.website),
        description: if_new(&old.description, new.description),
        contact: if_new(&old.contact, new.contact),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic)]
    use super::*;

    fn profile() -> Profile {
        Profile {
            certificate_type: CertificateType::SocialCreditCode.into(),
            certificate_code: "91110000600037341L".into(),
            name: "太原".into(),
            city_code: "140100".into(),
            ..Profile::default()
        }
    }

    #[test]
    fn the_same_is_asked_under_the_same_name_and_nothing_else_is() {
        let at = |occasion, prefix, now_ms| {
            let operation = create_prefix("88.118", "E9", prefix);
            transaction(
                Kind::CreatePrefix,
                prefix.into(),
                operation,
                occasion,
                now_ms,
            )
            .client_id
        };
        let name = at(7, "88.118.8", 1);
        assert_eq!(name, at(7, "88.118.8", 2));
        assert_ne!(name, at(8, "88.118.8", 1));
        assert_ne!(name, at(7, "88.118.9", 1));
        assert!(name.starts_with("pc-") && name.len() <= 64, "{name}");
    }

    #[test]
    fn only_who_an_enterprise_is_needs_a_whole_update() {
        let update = |now: &Profile| {
            update_enterprise("88.118", "shr", "E9", &profile(), now).map(|operation| {
                let Operation::UpdateEnterprise(update) = operation else {
                    panic!("{operation:?}")
                };
                update.change
            })
        };
        assert_eq!(update(&profile()), None);
        let moved = Profile {
            city_code: "140200".into(),
            ..profile()
        };
        let reach = Reach {
            city: Some("140200".into()),
            ..Reach::default()
        };
        let user = "shr".to_owned();
        assert_eq!(update(&moved), Some(Change::Some { user, reach }));
        let renamed = Profile {
            name: "大同".into(),
            ..moved
        };
        assert!(matches!(update(&renamed), Some(Change::All { .. })));
    }

    #[test]
    fn answers_are_judged_by_whose_fault_they_tell() {
        for (number, expected) in [
            (1000, Verdict::Done),
            (1001, Verdict::Done),
            (2302, Verdict::Exists),
            (2003, Verdict::Refused),
            (2303, Verdict::Refused),
            (2306, Verdict::Refused),
            (2201, Verdict::Later),
            (2400, Verdict::Later),
            (2502, Verdict::Later),
        ] {
            let code = ResultCode::new(number).unwrap();
            assert_eq!(verdict(Kind::CreatePrefix, code), expected, "{number}");
        }
        for kind in [
            Kind::UpdateEnterprise,
            Kind::UpdateIdentifier,
            Kind::DeleteIdentifier,
        ] {
            let of_another = verdict(kind, ResultCode::UNAUTHORISED);
            assert_eq!(of_another, Verdict::Refused, "{kind:?}");
        }
        let gone = verdict(Kind::DeleteIdentifier, ResultCode::NOT_FOUND);
        assert_eq!(gone, Verdict::Done);
    }

    #[test]
    fn what_others_say_becomes_one_short_line() {
        assert_eq!(one_line(" 材料\n不全 "), "材料 不全");
        assert_eq!(one_line(&"识".repeat(400)).len(), 498);
    }
}
