//! Enterprises (企业): real-name data and its review.

use crate::quota::Quota;
use crate::{Error, Result};

/// An enterprise's number, given by the node from 1 up; written `E1`, `E2`, ….
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EnterpriseId(pub u64);

impl std::fmt::Display for EnterpriseId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "E{}", self.0)
    }
}

impl std::str::FromStr for EnterpriseId {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        text.strip_prefix('E')
            .filter(|digits| !digits.starts_with(['0', '+']))
            .and_then(|digits| digits.parse().ok())
            .map(Self)
            .ok_or_else(|| {
                Error::invalid(
                    "enterprise_id",
                    format!("{text:?} is not an enterprise id such as E17"),
                )
            })
    }
}

/// What kind of number identifies the enterprise (`entCrtType` of the national interface).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum CertificateType {
    /// Not stated.
    Unspecified = 0,
    /// 统一社会信用代码, GB 32100-2015.
    SocialCreditCode = 1,
    /// Another register's number.
    Other = 3,
}

/// Where the real-name review (实名审核) stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, prost::Enumeration)]
#[repr(i32)]
pub enum EnterpriseState {
    /// Not stored.
    Unspecified = 0,
    /// 待审核.
    PendingReview = 1,
    /// 已实名.
    Verified = 2,
    /// 驳回.
    Rejected = 3,
    /// 停用.
    Suspended = 4,
}

/// What a reviewer does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ReviewAction {
    /// The real-name data was checked and is right.
    Verify,
    /// It is not; a message says why.
    Reject,
    /// The enterprise may not write any more.
    Suspend,
    /// It may again.
    Resume,
}

/// Who to talk to.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Contact {
    /// Person or office.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Mail address.
    #[prost(string, tag = "2")]
    pub email: String,
    /// Telephone number.
    #[prost(string, tag = "3")]
    pub phone: String,
}

/// The legal person (法定代表人).
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct LegalPerson {
    /// Name.
    #[prost(string, tag = "1")]
    pub name: String,
    /// Kind of identity document.
    #[prost(string, tag = "2")]
    pub id_type: String,
    /// Its number.
    #[prost(string, tag = "3")]
    pub id_number: String,
}

/// The real-name data.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Profile {
    /// Kind of certificate.
    #[prost(enumeration = "CertificateType", tag = "1")]
    pub certificate_type: i32,
    /// Its number, unique per kind.
    #[prost(string, tag = "2")]
    pub certificate_code: String,
    /// Registered name.
    #[prost(string, tag = "3")]
    pub name: String,
    /// English name.
    #[prost(string, tag = "4")]
    pub name_en: String,
    /// Registered address.
    #[prost(string, tag = "5")]
    pub address: String,
    /// GB/T 2260 code of the province, 6 digits or empty.
    #[prost(string, tag = "6")]
    pub province_code: String,
    /// GB/T 2260 code of the city.
    #[prost(string, tag = "7")]
    pub city_code: String,
    /// GB/T 2260 code of the county.
    #[prost(string, tag = "8")]
    pub county_code: String,
    /// ISO 3166-1 alpha-2.
    #[prost(string, tag = "9")]
    pub country_code: String,
    /// Web site.
    #[prost(string, tag = "10")]
    pub website: String,
    /// Free text.
    #[prost(string, tag = "11")]
    pub description: String,
    /// Contact.
    #[prost(message, optional, tag = "12")]
    pub contact: Option<Contact>,
    /// Legal person.
    #[prost(message, optional, tag = "13")]
    pub legal_person: Option<LegalPerson>,
}

/// An enterprise as stored.
#[derive(Clone, PartialEq, Eq, prost::Message)]
pub struct Enterprise {
    /// Its number, see [`EnterpriseId`].
    #[prost(uint64, tag = "1")]
    pub id: u64,
    /// Real-name data.
    #[prost(message, required, tag = "2")]
    pub profile: Profile,
    /// Review state.
    #[prost(enumeration = "EnterpriseState", tag = "3")]
    pub state: i32,
    /// The reviewer's last message.
    #[prost(string, tag = "4")]
    pub review_message: String,
    /// Sequence of its last change.
    #[prost(uint64, tag = "5")]
    pub version: u64,
    /// Milliseconds since the Unix epoch.
    #[prost(uint64, tag = "6")]
    pub created_at_ms: u64,
    /// Milliseconds since the Unix epoch.
    #[prost(uint64, tag = "7")]
    pub updated_at_ms: u64,
    /// How much it may register; `None`: as much as it likes.
    #[prost(message, optional, tag = "8")]
    pub quota: Option<Quota>,
}

impl CertificateType {
    /// Its name in what the national node is told.
    pub fn name(self) -> &'static str {
        match self {
            Self::SocialCreditCode => "credit_code",
            Self::Other | Self::Unspecified => "other",
        }
    }
}

impl EnterpriseState {
    /// The official name alone, for the national node.
    pub fn official_name(self) -> &'static str {
        match self {
            Self::Unspecified => "",
            Self::PendingReview => "待审核",
            Self::Verified => "已实名",
            Self::Rejected => "驳回",
            Self::Suspended => "停用",
        }
    }

    /// The state after a reviewer's action; `None`: not from this state.
    pub fn after(self, action: ReviewAction) -> Option<Self> {
        use EnterpriseState::{PendingReview, Rejected, Suspended, Verified};
        match (self, action) {
            (PendingReview | Rejected, ReviewAction::Verify)
            | (Suspended, ReviewAction::Resume) => Some(Verified),
            (PendingReview, ReviewAction::Reject) => Some(Rejected),
            (Verified, ReviewAction::Suspend) => Some(Suspended),
            _ => None,
        }
    }
}

impl Profile {
    /// Checks every field. Errors name the field.
    pub fn validate(&self) -> Result<()> {
        match self.certificate_type() {
            CertificateType::SocialCreditCode => {
                check_social_credit_code(&self.certificate_code)
                    .map_err(|reason| Error::invalid("certificate_code", reason))?
            }
            CertificateType::Other => bounded("certificate_code", &self.certificate_code, 1, 64)?,
            CertificateType::Unspecified => {
                return Err(Error::invalid(
                    "certificate_type",
                    "must be SOCIAL_CREDIT_CODE or OTHER",
                ));
            }
        }
        bounded("name", &self.name, 1, 256)?;
        for (field, text, longest) in [
            ("name_en", &self.name_en, 256),
            ("address", &self.address, 512),
            ("website", &self.website, 512),
            ("description", &self.description, 2048),
        ] {
            bounded(field, text, 0, longest)?;
        }
        for (field, code) in [
            ("province_code", &self.province_code),
            ("city_code", &self.city_code),
            ("county_code", &self.county_code),
        ] {
            if !(code.is_empty() || code.len() == 6 && code.bytes().all(|b| b.is_ascii_digit())) {
                return Err(Error::invalid(
                    field,
                    format!("{code:?} is not a GB/T 2260 code of 6 digits"),
                ));
            }
        }
        let country = &self.country_code;
        if !(country.is_empty()
            || country.len() == 2 && country.bytes().all(|b| b.is_ascii_uppercase()))
        {
            return Err(Error::invalid(
                "country_code",
                format!("{country:?} is not two capital letters (ISO 3166-1)"),
            ));
        }
        if let Some(Contact { name, email, phone }) = &self.contact {
            bounded("contact.name", name, 0, 128)?;
            bounded("contact.email", email, 0, 254)?;
            bounded("contact.phone", phone, 0, 64)?;
            if !email.is_empty() && !email.contains('@') {
                return Err(Error::invalid(
                    "contact.email",
                    format!("{email:?} has no @"),
                ));
            }
        }
        if let Some(LegalPerson {
            name,
            id_type,
            id_number,
        }) = &self.legal_person
        {
            bounded("legal_person.name", name, 0, 128)?;
            bounded("legal_person.id_type", id_type, 0, 64)?;
            bounded("legal_person.id_number", id_number, 0, 64)?;
        }
        Ok(())
    }

    /// Whether a change from `self` to `new` needs a new review: it touches who the
    /// enterprise is, not how to reach it.
    pub fn needs_review_after(&self, new: &Self) -> bool {
        (
            self.certificate_type,
            &self.certificate_code,
            &self.name,
            &self.legal_person,
        ) != (
            new.certificate_type,
            &new.certificate_code,
            &new.name,
            &new.legal_person,
        )
    }

    /// The key that makes certificates unique: type, then code.
    pub fn certificate_key(&self) -> bytes::Bytes {
        certificate_key(self.certificate_type(), &self.certificate_code)
    }
}

/// The key of a certificate: type byte, then the code.
pub fn certificate_key(kind: CertificateType, code: &str) -> bytes::Bytes {
    let mut key = vec![kind as u8];
    key.extend_from_slice(code.as_bytes());
    key.into()
}

/// A text of `shortest` to `longest` bytes without control characters.
pub(crate) fn bounded(field: &str, text: &str, shortest: usize, longest: usize) -> Result<()> {
    if text.len() < shortest {
        return Err(Error::invalid(field, "must not be empty"));
    }
    if text.len() > longest {
        return Err(Error::invalid(
            field,
            format!("is {} bytes, at most {longest} are taken", text.len()),
        ));
    }
    match text.chars().find(|c| c.is_control()) {
        Some(control) => Err(Error::invalid(
            field,
            format!("holds the control character {:?}", control),
        )),
        None => Ok(()),
    }
}

/// The 31 characters of a social credit code, in the order of their values: no I, O, S, V, Z.
const ALPHABET: &[u8; 31] = b"0123456789ABCDEFGHJKLMNPQRTUWXY";

/// Checks a 统一社会信用代码 (GB 32100-2015): 18 characters, the last a check character over the
/// others with the weights 3^i mod 31. The reason names the offending part.
pub fn check_social_credit_code(code: &str) -> std::result::Result<(), String> {
    if code.len() != 18 {
        return Err(format!(
            "a social credit code has 18 characters, this has {}",
            code.chars().count()
        ));
    }
    let (mut sum, mut weight) = (0, 1);
    let mut last = 0;
    for (position, byte) in code.bytes().enumerate() {
        let value = ALPHABET.iter().position(|c| *c == byte).ok_or_else(|| {
            format!(
                "character {} ({:?}) is not one of a social credit code",
                position + 1,
                char::from(byte)
            )
        })?;
        if position < 17 {
            sum += value * weight;
            weight = weight * 3 % 31;
        }
        last = value;
    }
    let expected = (31 - sum % 31) % 31;
    let name = |value: usize| ALPHABET.get(value).map_or('?', |c| char::from(*c));
    if code.bytes().skip(2).take(6).any(|b| !b.is_ascii_digit()) {
        return Err("characters 3 to 8 are an administrative division: digits (GB/T 2260)".into());
    }
    if last == expected {
        Ok(())
    } else {
        Err(format!(
            "the check character is {}, it should be {}",
            name(last),
            name(expected)
        ))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    #[test]
    fn real_social_credit_codes_pass_and_corrupted_ones_do_not() {
        for code in [
            "91110000600037341L",
            "914403001922038216",
            "91440300708461136T",
        ] {
            assert_eq!(check_social_credit_code(code), Ok(()), "{code}");
            for position in 0..18 {
                let mut corrupted = code.as_bytes().to_vec();
                corrupted[position] = if corrupted[position] == b'7' {
                    b'8'
                } else {
                    b'7'
                };
                let corrupted = String::from_utf8(corrupted).unwrap();
                assert!(check_social_credit_code(&corrupted).is_err(), "{corrupted}");
            }
        }
        let reason = check_social_credit_code("91110000600037341A").unwrap_err();
        assert_eq!(reason, "the check character is A, it should be L");
        assert!(
            check_social_credit_code("9111000060003734IL")
                .unwrap_err()
                .contains("'I'")
        );
        assert!(check_social_credit_code("9").unwrap_err().contains("18"));
    }

    #[test]
    fn ids_print_and_parse() {
        assert_eq!("E17".parse::<EnterpriseId>().unwrap().to_string(), "E17");
        for junk in ["17", "E", "E-1", "E017", "E+1", "E99999999999999999999"] {
            assert!(junk.parse::<EnterpriseId>().is_err(), "{junk}");
        }
    }
}
