//! Documents made of what is registered.

use idnode_proto::iiidap::{
    Contact, LegalPerson, Node, Notice, Registration, STATUS_HOLD, STATUS_OK,
};
use idnode_registry::enterprise::{CertificateType, Profile};
use idnode_registry::read;

/// A registration as a caller sees it.
#[derive(Debug, Clone)]
pub(super) struct Seen {
    pub(super) registration: Registration,
    /// Nothing was taken away.
    pub(super) whole: bool,
}

impl Seen {
    /// One of the registry's, from which what the caller may not see is gone already.
    pub(super) fn of(stored: read::Registration) -> idnode_registry::Result<Self> {
        let record = &stored.prefix;
        let status = if record.is_active() {
            STATUS_OK
        } else {
            STATUS_HOLD
        };
        let at = i64::try_from(record.created_at_ms).ok();
        let at = at.and_then(|at_ms| jiff::Timestamp::from_millisecond(at_ms).ok());
        Ok(Self {
            registration: Registration {
                identifier: Some(record.prefix()?.canonical()),
                reg_time: at.map(|at| at.to_string()),
                status: Some(status.to_owned()),
                country: some(&stored.profile.country_code),
                node: Some(node(&stored.profile)),
                remarks: Vec::new(),
            },
            whole: stored.whole,
        })
    }

    /// One of the node's own.
    pub(super) fn own(registration: &Registration, is_operator: bool) -> Self {
        let mut registration = registration.clone();
        if !is_operator {
            registration.node = registration.node.map(Node::public);
        }
        Self {
            registration,
            whole: is_operator,
        }
    }

    /// With the remark that something may be missing (RESPONSES §4.3, Figure 6). Whether there is
    /// anything is not said.
    pub(super) fn remarked(self) -> Registration {
        let mut registration = self.registration;
        if !self.whole {
            let removed = format!("removed: {}", Node::NOT_PUBLIC);
            let remark = Notice {
                title: None,
                ..Notice::new(
                    "",
                    [
                        "Some identifier data may not have been given.",
                        "Use proper authorization credentials to see all of it.",
                        &removed,
                    ],
                )
            };
            registration
                .remarks
                .push(remark.typed(Notice::TRUNCATED_DATA));
        }
        registration
    }
}

fn some(text: &str) -> Option<String> {
    Some(text).filter(|it| !it.is_empty()).map(str::to_owned)
}

fn node(profile: &Profile) -> Node {
    let id_number = some(&profile.certificate_code);
    let id_type = match profile.certificate_type() {
        CertificateType::SocialCreditCode => Some("unified social credit code".to_owned()),
        CertificateType::Other => Some("other".to_owned()),
        CertificateType::Unspecified => None,
    };
    let legal_person = profile.legal_person.iter().map(|person| LegalPerson {
        name: some(&person.name),
        id_number: some(&person.id_number),
        id_type: some(&person.id_type),
        id_photo: None,
    });
    let contact = profile.contact.iter().map(|contact| Contact {
        name: some(&contact.name),
        phone: some(&contact.phone),
        email: some(&contact.email),
    });
    Node {
        name: some(&profile.name),
        address: some(&profile.address),
        id_type: id_type.filter(|_| id_number.is_some()),
        id_number,
        introduction: some(&profile.description),
        legal_person: legal_person.collect(),
        contact: contact.collect(),
        ..Node::default()
    }
}
