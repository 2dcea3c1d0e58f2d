//! Enterprises.

use super::{ENTERPRISE_STATES, number, token};
use crate::escrow::EscrowError;
use crate::escrow::fields::{Fields, Tag};
use crate::xml::stream::Node;

/// An enterprise, as it was reviewed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enterprise {
    /// The node's number for it.
    pub id: u64,
    /// One of [`ENTERPRISE_STATES`], from 1 on.
    pub state: u32,
    /// What the last review said.
    pub review_message: String,
    /// The place in the change log of what wrote it.
    pub version: u64,
    /// When it was registered, milliseconds since the Unix epoch.
    pub created_at_ms: u64,
    /// When it last changed.
    pub updated_at_ms: u64,
    /// What its certificate is: 1 a social credit code (统一社会信用代码), 3 another.
    pub certificate_type: u32,
    /// The certificate's number.
    pub certificate_code: String,
    /// Name.
    pub name: String,
    /// Name in English.
    pub name_en: String,
    /// Address.
    pub address: String,
    /// Province, GB/T 2260.
    pub province_code: String,
    /// City, GB/T 2260.
    pub city_code: String,
    /// County, GB/T 2260.
    pub county_code: String,
    /// Country, ISO 3166-1.
    pub country_code: String,
    /// Website.
    pub website: String,
    /// Description.
    pub description: String,
    /// Name, e-mail and telephone of whom to ask.
    pub contact: Option<[String; 3]>,
    /// Its legal person.
    pub legal_person: Option<LegalPerson>,
    /// How much it may register.
    pub quota: Option<Quota>,
}

/// A legal person (法定代表人).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LegalPerson {
    /// Name.
    pub name: String,
    /// Kind of identity document.
    pub id_type: String,
    /// Its number.
    pub id_number: String,
}

/// Limits; `None`: there is none.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Quota {
    /// Registrations a day.
    pub registrations_per_day: Option<u64>,
    /// Live identifiers.
    pub registrations: Option<u64>,
    /// Prefixes.
    pub prefixes: Option<u64>,
}

impl Enterprise {
    /// Appends its element.
    pub fn write(&self, out: &mut String) {
        Tag::new(out, "enterprise")
            .number("id", self.id)
            .text("state", token(&ENTERPRISE_STATES, self.state))
            .text("message", &self.review_message)
            .number("version", self.version)
            .number("createdMs", self.created_at_ms)
            .number("updatedMs", self.updated_at_ms)
            .number("certificateType", self.certificate_type)
            .text("certificateCode", &self.certificate_code)
            .text("name", &self.name)
            .text("nameEn", &self.name_en)
            .text("address", &self.address)
            .text("provinceCode", &self.province_code)
            .text("cityCode", &self.city_code)
            .text("countyCode", &self.county_code)
            .text("countryCode", &self.country_code)
            .text("website", &self.website)
            .text("description", &self.description)
            .around(|out| {
                if let Some([name, email, phone]) = &self.contact {
                    Tag::new(out, "contact")
                        .text("name", name)
                        .text("email", email)
                        .text("phone", phone)
                        .end();
                }
                if let Some(person) = &self.legal_person {
                    Tag::new(out, "legalPerson")
                        .text("name", &person.name)
                        .text("idType", &person.id_type)
                        .text("idNumber", &person.id_number)
                        .end();
                }
                if let Some(quota) = &self.quota {
                    Tag::new(out, "quota")
                        .optional_number("registrationsPerDay", quota.registrations_per_day)
                        .optional_number("registrations", quota.registrations)
                        .optional_number("prefixes", quota.prefixes)
                        .end();
                }
            });
    }

    pub(super) fn read(node: &Node) -> Result<Self, EscrowError> {
        let mut fields = Fields::of(node)?;
        let enterprise = Self {
            id: fields.number("id")?,
            state: number(&mut fields, "state", &ENTERPRISE_STATES)?,
            review_message: fields.text("message")?,
            version: fields.number("version")?,
            created_at_ms: fields.number("createdMs")?,
            updated_at_ms: fields.number("updatedMs")?,
            certificate_type: fields.number("certificateType")?,
            certificate_code: fields.text("certificateCode")?,
            name: fields.text("name")?,
            name_en: fields.text("nameEn")?,
            address: fields.text("address")?,
            province_code: fields.text("provinceCode")?,
            city_code: fields.text("cityCode")?,
            county_code: fields.text("countyCode")?,
            country_code: fields.text("countryCode")?,
            website: fields.text("website")?,
            description: fields.text("description")?,
            contact: one(&mut fields, "contact", |it| {
                Ok([it.text("name")?, it.text("email")?, it.text("phone")?])
            })?,
            legal_person: one(&mut fields, "legalPerson", |it| {
                Ok(LegalPerson {
                    name: it.text("name")?,
                    id_type: it.text("idType")?,
                    id_number: it.text("idNumber")?,
                })
            })?,
            quota: one(&mut fields, "quota", |it| {
                Ok(Quota {
                    registrations_per_day: it.optional_number("registrationsPerDay")?,
                    registrations: it.optional_number("registrations")?,
                    prefixes: it.optional_number("prefixes")?,
                })
            })?,
        };
        fields.finish()?;
        Ok(enterprise)
    }
}

/// The one element of a name, if it is there.
fn one<T>(
    fields: &mut Fields<'_>,
    name: &str,
    read: impl FnOnce(&mut Fields<'_>) -> Result<T, EscrowError>,
) -> Result<Option<T>, EscrowError> {
    let mut found = fields.children(name);
    let Some(node) = found.next() else {
        return Ok(None);
    };
    if found.next().is_some() {
        return Err(fields.wrong(format!("it has more than one <{name}>")));
    }
    let mut inner = Fields::of(node)?;
    let value = read(&mut inner)?;
    inner.finish()?;
    Ok(Some(value))
}
