//! `idctl enterprise`: enterprises (企业) and their real-name review (实名审核).

use clap::{Subcommand, ValueEnum};
use idnode_proto::api::enterprise_service_client::EnterpriseServiceClient;
use idnode_proto::api::get_enterprise_request::By;
use idnode_proto::api::review_enterprise_request::Action as ApiAction;
use idnode_proto::api::{
    CertificateType as ApiCertificateType, Contact, CreateEnterpriseRequest, Enterprise,
    EnterpriseProfile, EnterpriseReceipt, EnterpriseState, GetEnterpriseRequest, LegalPerson,
    ListEnterprisesRequest, Quota, ReviewEnterpriseRequest, SetQuotaRequest,
    UpdateEnterpriseRequest,
};
use serde_json::json;

use super::error::Failure;
use super::json;
use super::output::Table;
use super::page::{OnceArgs, PageArgs, WriteArgs};
use super::session::Session;

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Register an enterprise; operator only
    Create {
        #[command(flatten)]
        profile: Box<ProfileArgs>,
        #[command(flatten)]
        once: OnceArgs,
    },
    /// Show an enterprise
    Get {
        /// The id the node gave
        #[arg(required_unless_present = "certificate_code")]
        id: Option<String>,
        /// Look it up by its social credit code (统一社会信用代码)
        #[arg(long, value_name = "CODE", conflicts_with = "id")]
        certificate_code: Option<String>,
    },
    /// List enterprises
    List {
        #[command(flatten)]
        page: PageArgs,
    },
    /// Change the real-name data; what is not given stays
    Update {
        id: String,
        #[command(flatten)]
        profile: Box<ProfileArgs>,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Limit how much it may register; operator only. What is not given is not limited
    SetQuota {
        id: String,
        /// Identifiers registered in one day (China's time)
        #[arg(long, value_name = "N")]
        registrations_per_day: Option<u64>,
        /// Identifiers in total
        #[arg(long, value_name = "N")]
        registrations: Option<u64>,
        /// Prefixes
        #[arg(long, value_name = "N")]
        prefixes: Option<u64>,
        #[command(flatten)]
        write: WriteArgs,
    },
    /// Decide the real-name review; operator only
    Review {
        id: String,
        action: Action,
        /// Why; needed to reject
        #[arg(long, default_value = "", hide_default_value = true)]
        message: String,
        #[command(flatten)]
        write: WriteArgs,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
pub(crate) enum Action {
    /// 待审核 → 已实名
    Verify,
    /// 待审核 → 驳回
    Reject,
    /// → 停用: its prefixes stay, it cannot write
    Suspend,
    /// 停用 → as before
    Resume,
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum CertificateType {
    /// 统一社会信用代码, GB 32100
    SocialCreditCode,
    /// Another register's number
    Other,
}

/// Real-name data; each option is a field of `EnterpriseProfile`.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct ProfileArgs {
    /// Registered name
    #[arg(long)]
    name: Option<String>,
    #[arg(long)]
    name_en: Option<String>,
    /// social-credit-code unless given
    #[arg(long, value_name = "TYPE")]
    certificate_type: Option<CertificateType>,
    #[arg(long, value_name = "CODE")]
    certificate_code: Option<String>,
    #[arg(long)]
    address: Option<String>,
    /// GB/T 2260, six digits
    #[arg(long, value_name = "CODE")]
    province_code: Option<String>,
    #[arg(long, value_name = "CODE")]
    city_code: Option<String>,
    #[arg(long, value_name = "CODE")]
    county_code: Option<String>,
    /// ISO 3166-1 alpha-2
    #[arg(long, value_name = "CODE")]
    country_code: Option<String>,
    #[arg(long, value_name = "URL")]
    website: Option<String>,
    #[arg(long)]
    description: Option<String>,
    #[arg(long, value_name = "NAME")]
    contact_name: Option<String>,
    #[arg(long, value_name = "EMAIL")]
    contact_email: Option<String>,
    #[arg(long, value_name = "PHONE")]
    contact_phone: Option<String>,
    /// 法定代表人
    #[arg(long, value_name = "NAME")]
    legal_person_name: Option<String>,
    #[arg(long, value_name = "TYPE")]
    legal_person_id_type: Option<String>,
    #[arg(long, value_name = "NUMBER")]
    legal_person_id_number: Option<String>,
}

impl ProfileArgs {
    /// Sets what was given in a profile, and leaves the rest.
    fn apply(self, profile: &mut EnterpriseProfile) {
        fn set(field: &mut String, given: Option<String>) {
            if let Some(text) = given {
                *field = text;
            }
        }
        match self.certificate_type {
            Some(CertificateType::SocialCreditCode) => {
                profile.set_certificate_type(ApiCertificateType::SocialCreditCode);
            }
            Some(CertificateType::Other) => {
                profile.set_certificate_type(ApiCertificateType::Other);
            }
            None if profile.certificate_type() == ApiCertificateType::Unspecified => {
                profile.set_certificate_type(ApiCertificateType::SocialCreditCode);
            }
            None => {}
        }
        set(&mut profile.certificate_code, self.certificate_code);
        set(&mut profile.name, self.name);
        set(&mut profile.name_en, self.name_en);
        set(&mut profile.address, self.address);
        set(&mut profile.province_code, self.province_code);
        set(&mut profile.city_code, self.city_code);
        set(&mut profile.county_code, self.county_code);
        set(&mut profile.country_code, self.country_code);
        set(&mut profile.website, self.website);
        set(&mut profile.description, self.description);
        let mut contact = profile.contact.take().unwrap_or_default();
        set(&mut contact.name, self.contact_name);
        set(&mut contact.email, self.contact_email);
        set(&mut contact.phone, self.contact_phone);
        profile.contact = Some(contact).filter(|contact| *contact != Contact::default());
        let mut person = profile.legal_person.take().unwrap_or_default();
        set(&mut person.name, self.legal_person_name);
        set(&mut person.id_type, self.legal_person_id_type);
        set(&mut person.id_number, self.legal_person_id_number);
        profile.legal_person = Some(person).filter(|person| *person != LegalPerson::default());
    }
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    let mut client = EnterpriseServiceClient::new(session.channel().await?);
    match command {
        Command::Create {
            profile: args,
            once,
        } => {
            let mut profile = EnterpriseProfile::default();
            args.apply(&mut profile);
            let request = CreateEnterpriseRequest {
                profile: Some(profile),
                idempotency_key: once.idempotency_key,
            };
            let done = client.create_enterprise(session.request(request)).await?;
            show_receipt(session, &done.into_inner())
        }
        Command::Get {
            id,
            certificate_code,
        } => {
            let by = match certificate_code {
                Some(code) => By::CertificateCode(code),
                None => By::Id(id.unwrap_or_default()),
            };
            let request = GetEnterpriseRequest { by: Some(by) };
            let found = client
                .get_enterprise(session.request(request))
                .await?
                .into_inner();
            session
                .out
                .show(|| json::enterprise(&found), || table(&found))
        }
        Command::List { page } => {
            let (found, next) = page
                .fetch(async |page| {
                    let request = ListEnterprisesRequest { page: Some(page) };
                    let listed = client.list_enterprises(session.request(request)).await?;
                    let listed = listed.into_inner();
                    Ok((listed.enterprises, listed.next_page_token))
                })
                .await?;
            show_list(session, &found, &next)
        }
        Command::Update {
            id,
            profile: args,
            write,
        } => {
            let request = GetEnterpriseRequest {
                by: Some(By::Id(id.clone())),
            };
            let found = client
                .get_enterprise(session.request(request))
                .await?
                .into_inner();
            let mut profile = found.profile.unwrap_or_default();
            args.apply(&mut profile);
            // The whole profile is written: nothing of what another wrote meanwhile may be lost.
            let request = UpdateEnterpriseRequest {
                id,
                profile: Some(profile),
                expected_version: Some(write.expected_version.unwrap_or(found.version)),
                idempotency_key: write.once.idempotency_key,
            };
            let done = client.update_enterprise(session.request(request)).await?;
            show_receipt(session, &done.into_inner())
        }
        Command::SetQuota {
            id,
            registrations_per_day,
            registrations,
            prefixes,
            write,
        } => {
            let request = SetQuotaRequest {
                id,
                quota: Some(Quota {
                    registrations_per_day,
                    registrations,
                    prefixes,
                }),
                expected_version: write.expected_version,
                idempotency_key: write.once.idempotency_key,
            };
            let done = client.set_quota(session.request(request)).await?;
            show_receipt(session, &done.into_inner())
        }
        Command::Review {
            id,
            action,
            message,
            write,
        } => {
            let action = match action {
                Action::Verify => ApiAction::Verify,
                Action::Reject => ApiAction::Reject,
                Action::Suspend => ApiAction::Suspend,
                Action::Resume => ApiAction::Resume,
            };
            let request = ReviewEnterpriseRequest {
                id,
                action: action.into(),
                message,
                expected_version: write.expected_version,
                idempotency_key: write.once.idempotency_key,
            };
            let done = client.review_enterprise(session.request(request)).await?;
            show_receipt(session, &done.into_inner())
        }
    }
}

fn show_receipt(session: &Session, done: &EnterpriseReceipt) -> Result<(), Failure> {
    let enterprise = done.enterprise.clone().unwrap_or_default();
    session.out.show(
        || {
            json!({
                "receipt": json::receipt(done.receipt.as_ref()),
                "enterprise": json::enterprise(&enterprise),
            })
        },
        || table(&enterprise),
    )
}

fn show_list(session: &Session, found: &[Enterprise], next: &str) -> Result<(), Failure> {
    session.out.show(
        || {
            let enterprises: Vec<_> = found.iter().map(json::enterprise).collect();
            json!({"enterprises": enterprises, "next_page_token": next})
        },
        || {
            let mut table = Table::new(&["ID", "NAME", "CERTIFICATE", "STATE", "VERSION"]);
            for enterprise in found {
                let profile = enterprise.profile.clone().unwrap_or_default();
                table.row([
                    enterprise.id.clone(),
                    profile.name,
                    profile.certificate_code,
                    state_label(enterprise),
                    enterprise.version.to_string(),
                ]);
            }
            table.more(next)
        },
    )
}

fn table(enterprise: &Enterprise) -> Table {
    let profile = enterprise.profile.clone().unwrap_or_default();
    let contact = profile.contact.unwrap_or_default();
    let person = profile.legal_person.unwrap_or_default();
    Table::of_one(&[
        ("id", enterprise.id.clone()),
        ("name", profile.name),
        ("name_en", profile.name_en),
        ("certificate_code", profile.certificate_code),
        ("state", state_label(enterprise)),
        ("review_message", enterprise.review_message.clone()),
        ("address", profile.address),
        ("province_code", profile.province_code),
        ("city_code", profile.city_code),
        ("county_code", profile.county_code),
        ("country_code", profile.country_code),
        ("website", profile.website),
        ("description", profile.description),
        (
            "contact",
            joined([contact.name, contact.email, contact.phone]),
        ),
        (
            "legal_person",
            joined([person.name, person.id_type, person.id_number]),
        ),
        (
            "quota",
            enterprise.quota.as_ref().map(quota).unwrap_or_default(),
        ),
        ("version", enterprise.version.to_string()),
        (
            "created_at",
            json::time(enterprise.created_at.as_ref()).unwrap_or_default(),
        ),
        (
            "updated_at",
            json::time(enterprise.updated_at.as_ref()).unwrap_or_default(),
        ),
    ])
}

fn quota(quota: &Quota) -> String {
    let limits = [
        (quota.registrations_per_day, "registrations a day"),
        (quota.registrations, "registrations"),
        (quota.prefixes, "prefixes"),
    ];
    let limits = limits
        .iter()
        .filter_map(|(limit, what)| Some(format!("{} {what}", (*limit)?)));
    limits.collect::<Vec<_>>().join(", ")
}

fn joined(parts: [String; 3]) -> String {
    parts
        .into_iter()
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(", ")
}

fn state_label(enterprise: &Enterprise) -> String {
    let official = match enterprise.state() {
        EnterpriseState::Unspecified => return String::new(),
        EnterpriseState::PendingReview => "待审核",
        EnterpriseState::Verified => "已实名",
        EnterpriseState::Rejected => "驳回",
        EnterpriseState::Suspended => "停用",
    };
    format!("{} {official}", json::enterprise_state(enterprise))
}
