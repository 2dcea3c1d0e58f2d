//! Enterprises (the interface draft, sections 3.1.1, 3.2.1 and 3.2.5).

use super::read::Read;
use super::{NS_ENTERPRISE, Refused, ResultCode};
use crate::xml::Writer;
use data_encoding::BASE64;

const XMLNS: (&str, &str) = ("xmlns:ent", NS_ENTERPRISE);

/// The type of a 统一社会信用代码 (entCrtType).
pub const SOCIAL_CREDIT_CODE: &str = "1";
/// The type of any other certificate.
pub const OTHER_CERTIFICATE: &str = "3";

/// The number of an enterprise that has a certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnterpriseCheck {
    /// The secondary node's user.
    pub user: String,
    /// Type of the certificate, `1` or `3`.
    pub certificate_type: String,
    /// Code of the certificate.
    pub certificate_code: String,
}

/// An image in base64, and what kind of image it is; both empty: none.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Image {
    /// In base64.
    pub data: String,
    /// `jpeg`, `png` or `bmp`.
    pub kind: String,
}

/// Whom to speak to.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Contact {
    /// Name.
    pub name: String,
    /// Address of mail.
    pub email: String,
    /// Telephone number.
    pub phone: String,
}

/// The legal person (法定代表人).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct LegalPerson {
    /// Name.
    pub name: String,
    /// Kind of the document that proves the identity.
    pub id_type: String,
    /// Its number.
    pub id_number: String,
    /// Its image.
    pub image: Image,
}

/// All that is told of an enterprise.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Enterprise {
    /// What kind of organisation it is.
    pub kind: String,
    /// Code of its certificate (entCrCode), a 统一社会信用代码.
    pub certificate_code: String,
    /// Image of the certificate.
    pub certificate_image: Image,
    /// Name.
    pub name: String,
    /// Where it is and how to reach it.
    pub reach: Reach,
    /// Legal person.
    pub legal_person: LegalPerson,
}

/// Where an enterprise is and how to reach it: what may change without a new look at who it is.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reach {
    /// GB/T 2260 code of the province.
    pub province: Option<String>,
    /// GB/T 2260 code of the city.
    pub city: Option<String>,
    /// GB/T 2260 code of the county.
    pub county: Option<String>,
    /// Address.
    pub address: Option<String>,
    /// English name.
    pub name_en: Option<String>,
    /// English address.
    pub address_en: Option<String>,
    /// Web site.
    pub website: Option<String>,
    /// Description.
    pub description: Option<String>,
    /// Contact.
    pub contact: Option<Contact>,
}

/// An enterprise to be registered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnterpriseCreate {
    /// The secondary node's prefix.
    pub node_prefix: String,
    /// The enterprise.
    pub enterprise: Enterprise,
}

/// A change of an enterprise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnterpriseUpdate {
    /// Its number.
    pub enterprise_id: String,
    /// What is changed.
    pub change: Change,
}

/// What is changed of an enterprise.
#[expect(
    clippy::large_enum_variant,
    reason = "there is one of them in a command"
)]
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// Who it is: all is replaced (`chgAll`).
    All {
        /// The secondary node's prefix.
        node_prefix: String,
        /// The enterprise from now on.
        enterprise: Box<Enterprise>,
    },
    /// How to reach it: what is named is replaced (`chg`).
    Some {
        /// The secondary node's user.
        user: String,
        /// What is replaced.
        reach: Reach,
    },
}

impl EnterpriseCheck {
    pub(super) fn read(check: Read<'_>) -> Result<Self, Refused> {
        Ok(Self {
            user: check.filled("shrUserId")?,
            certificate_type: check.filled("entCrtType")?,
            certificate_code: check.filled("entCrtCode")?,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.open("ent:check", &[XMLNS]);
        out.leaf("ent:shrUserId", &self.user)
            .leaf("ent:entCrtType", &self.certificate_type)
            .leaf("ent:entCrtCode", &self.certificate_code)
            .close();
    }
}

impl EnterpriseCreate {
    pub(super) fn read(create: Read<'_>) -> Result<Self, Refused> {
        Ok(Self {
            node_prefix: create.filled("shrPrefix")?,
            enterprise: Enterprise::read(create)?,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.open("ent:create", &[XMLNS]);
        out.leaf("ent:shrPrefix", &self.node_prefix);
        self.enterprise.write(out);
        out.close();
    }
}

impl EnterpriseUpdate {
    pub(super) fn read(update: Read<'_>) -> Result<Self, Refused> {
        let change = match (update.child("chgAll"), update.child("chg")) {
            (Some(all), None) => Change::All {
                node_prefix: update.filled("shrPrefix")?,
                enterprise: Box::new(Enterprise::read(all)?),
            },
            (None, Some(some)) => {
                let reach = Reach::read(some)?;
                if reach == Reach::default() {
                    return Err(Refused::new(ResultCode::MISSING, "chg changes nothing"));
                }
                Change::Some {
                    user: update.filled("shrUserId")?,
                    reach,
                }
            }
            (None, None) => {
                let reason = "update has neither chg nor chgAll";
                return Err(Refused::new(ResultCode::MISSING, reason));
            }
            (Some(_), Some(_)) => {
                let reason = "update has both chg and chgAll";
                return Err(Refused::new(ResultCode::SYNTAX, reason));
            }
        };
        Ok(Self {
            enterprise_id: update.filled("entId")?,
            change,
        })
    }

    pub(super) fn write(&self, out: &mut Writer) {
        out.open("ent:update", &[XMLNS]);
        match &self.change {
            Change::All {
                node_prefix,
                enterprise,
            } => {
                out.leaf("ent:shrPrefix", node_prefix);
                out.leaf("ent:entId", &self.enterprise_id);
                out.open("ent:chgAll", &[]);
                enterprise.write(out);
            }
            Change::Some { user, reach } => {
                out.leaf("ent:shrUserId", user);
                out.leaf("ent:entId", &self.enterprise_id);
                out.open("ent:chg", &[]);
                reach.write(out);
            }
        }
        out.close().close();
    }
}

impl Enterprise {
    fn read(around: Read<'_>) -> Result<Self, Refused> {
        let person = around.needed("legalPerson")?;
        let enterprise = Self {
            kind: around.filled("entType")?,
            certificate_code: around.filled("entCrCode")?,
            certificate_image: Image {
                data: around.base64("entCrtImg"),
                kind: around.optional("entCrtImgType")?.unwrap_or_default(),
            },
            name: around.filled("entNameCn")?,
            reach: Reach::read(around)?,
            legal_person: LegalPerson {
                name: person.field("name")?,
                id_type: person.field("idType")?,
                id_number: person.field("idNo")?,
                image: Image {
                    kind: person.optional("idImgType")?.unwrap_or_default(),
                    data: person.base64("idImg"),
                },
            },
        };
        around.needed("contact")?;
        for image in [
            &enterprise.certificate_image,
            &enterprise.legal_person.image,
        ] {
            image.check()?;
        }
        Ok(enterprise)
    }

    /// In the order of the draft, in which how to reach the enterprise is in the middle.
    fn write(&self, out: &mut Writer) {
        out.leaf("ent:entType", &self.kind)
            .leaf("ent:entCrCode", &self.certificate_code)
            .leaf("ent:entCrtImg", &self.certificate_image.data)
            .leaf("ent:entCrtImgType", &self.certificate_image.kind)
            .leaf("ent:entNameCn", &self.name);
        self.reach.write(out);
        let person = &self.legal_person;
        out.open("ent:legalPerson", &[]);
        out.leaf("ent:name", &person.name)
            .leaf("ent:idType", &person.id_type)
            .leaf("ent:idNo", &person.id_number)
            .leaf("ent:idImgType", &person.image.kind)
            .leaf("ent:idImg", &person.image.data)
            .close();
    }
}

impl Image {
    /// Kinds of images in any case, with the dot that the draft's text has before some of them.
    fn check(&self) -> Result<(), Refused> {
        if BASE64.decode(self.data.as_bytes()).is_err() {
            let reason = "an image is not in base64".to_owned();
            return Err(Refused::new(ResultCode::VALUE_SYNTAX, reason));
        }
        let kind = self.kind.trim_start_matches('.').to_ascii_lowercase();
        if matches!(&*kind, "" | "jpeg" | "jpg" | "png" | "bmp") {
            return Ok(());
        }
        let reason = format!("images of type {:.40?} are not taken", self.kind);
        Err(Refused::new(ResultCode::RANGE, reason))
    }
}

impl Reach {
    fn read(around: Read<'_>) -> Result<Self, Refused> {
        let contact = around.child("contact").map(|contact| {
            Ok(Contact {
                name: contact.field("name")?,
                email: contact.field("email")?,
                phone: contact.field("phone")?,
            })
        });
        Ok(Self {
            province: around.optional("entProvinceCode")?,
            city: around.optional("entCityCode")?,
            county: around.optional("entCountyCode")?,
            address: around.optional("entAddrCn")?,
            name_en: around.optional("entNameEn")?,
            address_en: around.optional("entAddrEn")?,
            website: around.optional("entWebSite")?,
            description: around.optional("entDesc")?,
            contact: contact.transpose()?,
        })
    }

    fn write(&self, out: &mut Writer) {
        for (name, text) in [
            ("ent:entProvinceCode", &self.province),
            ("ent:entCityCode", &self.city),
            ("ent:entCountyCode", &self.county),
            ("ent:entAddrCn", &self.address),
            ("ent:entNameEn", &self.name_en),
            ("ent:entAddrEn", &self.address_en),
            ("ent:entWebSite", &self.website),
            ("ent:entDesc", &self.description),
        ] {
            out.optional(name, text.as_deref());
        }
        if let Some(contact) = &self.contact {
            out.open("ent:contact", &[]);
            out.leaf("ent:name", &contact.name)
                .leaf("ent:email", &contact.email)
                .leaf("ent:phone", &contact.phone)
                .close();
        }
    }
}
