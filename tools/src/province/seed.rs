//! What a city is seeded with: an enterprise under its real name, its prefix, identifiers. All of
//! it is asked for under fixed names, so that seeding again changes nothing.

use std::time::{Duration, Instant};

use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use idnode_proto::api::enterprise_service_client::EnterpriseServiceClient;
use idnode_proto::api::identifier_service_client::IdentifierServiceClient;
use idnode_proto::api::prefix_service_client::PrefixServiceClient;
use idnode_proto::api::{
    ApplyPrefixRequest, CertificateType, CreateEnterpriseRequest, CreateIdentifierRequest,
    EnterpriseProfile, EnterpriseState, GetPrefixRequest, PrefixAction, PrefixState,
    ReviewEnterpriseRequest, TransitionPrefixRequest, Value, review_enterprise_request, value,
};
use tonic::Code;

use super::api::Api;
use super::city::City;
use super::error::Failure;

/// Registrations under way at once: enough to fill a group commit.
const CONCURRENT: usize = 64;
/// How long the national node's review of a prefix may take.
const REVIEW: Duration = Duration::from_secs(60);

/// An identifier of a city, and what it is registered with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Registered {
    /// Such as `88.119.8/SEED-1`.
    pub(super) identifier: String,
    /// Its one value, of the type URL.
    pub(super) url: String,
}

impl Registered {
    /// A city's identifier by series and number.
    pub(super) fn new(city: City, series: &str, number: usize) -> Self {
        Self {
            identifier: format!("{}/{series}-{number}", city.enterprise_prefix()),
            url: format!("https://{}.example/{series}/{number}", city.name()),
        }
    }
}

/// Seeds a city's node: enterprise, prefix, so many identifiers.
///
/// # Errors
/// The node refuses something; the prefix is not active in time.
pub(super) async fn seed(api: &Api, identifiers: usize) -> Result<(), Failure> {
    let enterprise = enterprise(api).await?;
    activate(api, &api.city.enterprise_prefix(), &enterprise).await?;
    let seeds = (1..=identifiers).map(|number| Registered::new(api.city, "SEED", number));
    register(api, seeds.collect()).await
}

/// The enterprise's id: it is registered and verified if it is not yet.
async fn enterprise(api: &Api) -> Result<String, Failure> {
    let mut client = EnterpriseServiceClient::new(api.channel.clone());
    let city = api.city;
    let profile = EnterpriseProfile {
        certificate_type: CertificateType::SocialCreditCode.into(),
        certificate_code: credit_code(city),
        name: format!("{}市示范制造有限公司", city.chinese()),
        address: format!("山西省{}市", city.chinese()),
        country_code: "CN".to_owned(),
        ..EnterpriseProfile::default()
    };
    let create = api.request(CreateEnterpriseRequest {
        profile: Some(profile),
        idempotency_key: "idprovince-enterprise".to_owned(),
    });
    let made = client
        .create_enterprise(create)
        .await
        .map_err(api.refused("registering the enterprise"))?;
    let enterprise = made.into_inner().enterprise.unwrap_or_default();
    let request = idnode_proto::api::GetEnterpriseRequest {
        by: Some(idnode_proto::api::get_enterprise_request::By::Id(
            enterprise.id.clone(),
        )),
    };
    let now = client
        .get_enterprise(api.request(request))
        .await
        .map_err(api.refused("reading the enterprise"))?;
    if now.into_inner().state() != EnterpriseState::Verified {
        let verify = api.request(ReviewEnterpriseRequest {
            id: enterprise.id.clone(),
            action: review_enterprise_request::Action::Verify.into(),
            ..ReviewEnterpriseRequest::default()
        });
        client
            .review_enterprise(verify)
            .await
            .map_err(api.refused("verifying the enterprise"))?;
    }
    Ok(enterprise.id)
}

/// Takes a prefix of the enterprise to 启用, as far as it is not there yet.
async fn activate(api: &Api, prefix: &str, enterprise: &str) -> Result<(), Failure> {
    let mut client = PrefixServiceClient::new(api.channel.clone());
    let began = Instant::now();
    loop {
        let get = GetPrefixRequest {
            prefix: prefix.to_owned(),
        };
        let action = match client.get_prefix(api.request(get)).await {
            Err(status) if status.code() == Code::NotFound => None,
            Err(status) => return Err(api.refused("reading the prefix")(status)),
            Ok(found) => match found.into_inner().state() {
                PrefixState::Active => return Ok(()),
                PrefixState::PendingReview => Some(PrefixAction::StartReview),
                PrefixState::UnderReview => Some(PrefixAction::Approve),
                state => {
                    let text = format!("{}: {prefix} is {}", api.city.name(), state.as_str_name());
                    return Err(Failure::Program(text));
                }
            },
        };
        let done = match action {
            None => {
                let apply = api.request(ApplyPrefixRequest {
                    prefix: prefix.to_owned(),
                    enterprise_id: enterprise.to_owned(),
                    idempotency_key: String::new(),
                });
                client.apply_prefix(apply).await
            }
            Some(action) => {
                let transition = api.request(TransitionPrefixRequest {
                    prefix: prefix.to_owned(),
                    action: action.into(),
                    ..TransitionPrefixRequest::default()
                });
                client.transition_prefix(transition).await
            }
        };
        match done {
            Ok(_) => {}
            // Approved here, it waits for the national node: 审核中 until that has decided.
            Err(status) if action == Some(PrefixAction::Approve) && began.elapsed() < REVIEW => {
                drop(status);
            }
            Err(status) => return Err(api.refused("taking the prefix into use")(status)),
        }
        if began.elapsed() >= REVIEW {
            let text = "the national node has not granted the prefix in time";
            return Err(Failure::Program(format!("{}: {text}", api.city.name())));
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Registers identifiers; those that are there already are left as they are.
///
/// # Errors
/// The node refuses one.
pub(super) async fn register(api: &Api, all: Vec<Registered>) -> Result<(), Failure> {
    let client = IdentifierServiceClient::new(api.channel.clone());
    stream::iter(all)
        .map(|registered| {
            let mut client = client.clone();
            async move {
                let request = api.request(CreateIdentifierRequest {
                    identifier: registered.identifier,
                    values: vec![Value {
                        r#type: "URL".to_owned(),
                        data: Some(value::Data::Text(registered.url)),
                        ..Value::default()
                    }],
                    ..CreateIdentifierRequest::default()
                });
                match client.create_identifier(request).await {
                    Ok(_) => Ok(()),
                    Err(status) if status.code() == Code::AlreadyExists => Ok(()),
                    Err(status) => Err(api.refused("registering an identifier")(status)),
                }
            }
        })
        .buffer_unordered(CONCURRENT)
        .try_for_each(|()| async { Ok(()) })
        .await
}

/// A social credit code (GB 32100-2015) of a place in Shanxi, with its check character.
fn credit_code(city: City) -> String {
    let mut code = format!(
        "9114{:02}00MA0D{:05}",
        city.index() + 1,
        20_000 + city.index()
    );
    code.push(check_character(&code));
    code
}

/// The characters of a social credit code, by their values.
const CHARACTERS: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";

/// The last character of a code (GB 32100-2015 §4.6): weights are powers of 3 modulo 31.
fn check_character(code: &str) -> char {
    let value = |character| CHARACTERS.find(character).unwrap_or(0);
    let weights = std::iter::successors(Some(1), |weight| Some(weight * 3 % 31));
    let sum: usize = code
        .chars()
        .map(value)
        .zip(weights)
        .map(|(v, w)| v * w)
        .sum();
    CHARACTERS.chars().nth((31 - sum % 31) % 31).unwrap_or('0')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_characters_are_those_of_real_codes() {
        for code in [
            "91110000600037341L",
            "914403001922038216",
            "91440300708461136T",
        ] {
            let (body, last) = code.split_at(17);
            assert_eq!(check_character(body).to_string(), last, "{code}");
        }
        let codes: std::collections::BTreeSet<_> = City::ALL.map(credit_code).into();
        assert_eq!(codes.len(), 6);
        assert!(codes.iter().all(|code| code.len() == 18), "{codes:?}");
    }
}
