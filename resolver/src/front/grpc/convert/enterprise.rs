//! Enterprises and their review.

use super::super::status::Result;
use super::{timestamp, unnamed};
use idnode_proto::api;
use idnode_proto::api::review_enterprise_request::Action;
use idnode_registry::enterprise::{
    CertificateType, Contact, Enterprise, EnterpriseId, EnterpriseState, LegalPerson, Profile,
    ReviewAction,
};
use idnode_registry::quota::Quota;

/// A request's real-name data; the registry checks it.
pub(in super::super) fn parse_profile(profile: api::EnterpriseProfile) -> Result<Profile> {
    let kind = match profile.certificate_type() {
        api::CertificateType::SocialCreditCode => CertificateType::SocialCreditCode,
        api::CertificateType::Other => CertificateType::Other,
        api::CertificateType::Unspecified => {
            return Err(unnamed(
                "profile.certificate_type",
                profile.certificate_type,
            ));
        }
    };
    Ok(Profile {
        certificate_type: kind.into(),
        certificate_code: profile.certificate_code,
        name: profile.name,
        name_en: profile.name_en,
        address: profile.address,
        province_code: profile.province_code,
        city_code: profile.city_code,
        county_code: profile.county_code,
        country_code: profile.country_code,
        website: profile.website,
        description: profile.description,
        contact: profile
            .contact
            .map(|api::Contact { name, email, phone }| Contact { name, email, phone }),
        legal_person: profile.legal_person.map(
            |api::LegalPerson {
                 name,
                 id_type,
                 id_number,
             }| LegalPerson {
                name,
                id_type,
                id_number,
            },
        ),
    })
}

/// An enterprise as it is answered.
pub(in super::super) fn shown(enterprise: Enterprise) -> api::Enterprise {
    let state = match enterprise.state() {
        EnterpriseState::Unspecified => api::EnterpriseState::Unspecified,
        EnterpriseState::PendingReview => api::EnterpriseState::PendingReview,
        EnterpriseState::Verified => api::EnterpriseState::Verified,
        EnterpriseState::Rejected => api::EnterpriseState::Rejected,
        EnterpriseState::Suspended => api::EnterpriseState::Suspended,
    };
    api::Enterprise {
        id: EnterpriseId(enterprise.id).to_string(),
        profile: Some(shown_profile(enterprise.profile)),
        state: state.into(),
        review_message: enterprise.review_message,
        version: enterprise.version,
        created_at: timestamp(enterprise.created_at_ms),
        updated_at: timestamp(enterprise.updated_at_ms),
        quota: enterprise.quota.map(|quota| api::Quota {
            registrations_per_day: quota.registrations_per_day,
            registrations: quota.registrations,
            prefixes: quota.prefixes,
        }),
    }
}

fn shown_profile(profile: Profile) -> api::EnterpriseProfile {
    let kind = match profile.certificate_type() {
        CertificateType::Unspecified => api::CertificateType::Unspecified,
        CertificateType::SocialCreditCode => api::CertificateType::SocialCreditCode,
        CertificateType::Other => api::CertificateType::Other,
    };
    api::EnterpriseProfile {
        certificate_type: kind.into(),
        certificate_code: profile.certificate_code,
        name: profile.name,
        name_en: profile.name_en,
        address: profile.address,
        province_code: profile.province_code,
        city_code: profile.city_code,
        county_code: profile.county_code,
        country_code: profile.country_code,
        website: profile.website,
        description: profile.description,
        contact: profile
            .contact
            .map(|Contact { name, email, phone }| api::Contact { name, email, phone }),
        legal_person: profile.legal_person.map(
            |LegalPerson {
                 name,
                 id_type,
                 id_number,
             }| api::LegalPerson {
                name,
                id_type,
                id_number,
            },
        ),
    }
}

/// An enterprise's limits.
pub(in super::super) fn parse_quota(quota: api::Quota) -> Quota {
    Quota {
        registrations_per_day: quota.registrations_per_day,
        registrations: quota.registrations,
        prefixes: quota.prefixes,
    }
}

/// What a reviewer does.
pub(in super::super) fn parse_action(number: i32) -> Result<ReviewAction> {
    match Action::try_from(number) {
        Ok(Action::Verify) => Ok(ReviewAction::Verify),
        Ok(Action::Reject) => Ok(ReviewAction::Reject),
        Ok(Action::Suspend) => Ok(ReviewAction::Suspend),
        Ok(Action::Resume) => Ok(ReviewAction::Resume),
        Ok(Action::Unspecified) | Err(_) => Err(unnamed("action", number)),
    }
}
