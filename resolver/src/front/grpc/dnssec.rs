//! DnssecService: the keys of signed zones, for the operator alone.

use super::call::Api;
use super::convert;
use super::status::Result;
use crate::front::dns::{
    Algorithm, Dnssec, DsRecord, KeyError, KeyInfo, KeyState, KeyStatus, ZoneStatus,
};
use idnode_proto::api;
use idnode_proto::api::dnssec_service_server::DnssecService;
use idnode_registry::{Caller, Error};
use prost_types::Timestamp;
use tonic::{Request, Response, Status};

#[tonic::async_trait]
impl DnssecService for Api {
    async fn list_dnssec_keys(
        &self,
        request: Request<api::ListDnssecKeysRequest>,
    ) -> std::result::Result<Response<api::ListDnssecKeysResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            let zones = on_keys(api, &caller, move |dnssec| match request.zone.as_str() {
                "" => Ok(dnssec.status()),
                zone => Ok(vec![dnssec.zone_status(zone)?]),
            })
            .await?;
            Ok(api::ListDnssecKeysResponse {
                zones: zones.into_iter().map(shown_zone).collect(),
            })
        })
        .await
    }

    async fn generate_dnssec_key(
        &self,
        request: Request<api::GenerateDnssecKeyRequest>,
    ) -> std::result::Result<Response<api::DnssecKey>, Status> {
        self.unary(request, |api, caller, request| async move {
            let algorithm = parse_algorithm(request.algorithm)?;
            on_keys(api, &caller, move |dnssec| {
                let made = dnssec.generate(&request.zone, algorithm)?;
                key(dnssec, &request.zone, &made)
            })
            .await
        })
        .await
    }

    async fn activate_dnssec_key(
        &self,
        request: Request<api::ActivateDnssecKeyRequest>,
    ) -> std::result::Result<Response<api::DnssecKey>, Status> {
        self.unary(request, |api, caller, request| async move {
            let tag = parse_tag(request.key_tag)?;
            on_keys(api, &caller, move |dnssec| {
                let signing = dnssec.activate(&request.zone, tag, request.force)?;
                key(dnssec, &request.zone, &signing)
            })
            .await
        })
        .await
    }

    async fn retire_dnssec_key(
        &self,
        request: Request<api::RetireDnssecKeyRequest>,
    ) -> std::result::Result<Response<api::DnssecKey>, Status> {
        self.unary(request, |api, caller, request| async move {
            let tag = parse_tag(request.key_tag)?;
            on_keys(api, &caller, move |dnssec| {
                let retired = dnssec.retire(&request.zone, tag)?;
                key(dnssec, &request.zone, &retired)
            })
            .await
        })
        .await
    }

    async fn remove_dnssec_key(
        &self,
        request: Request<api::RemoveDnssecKeyRequest>,
    ) -> std::result::Result<Response<api::RemoveDnssecKeyResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            let tag = parse_tag(request.key_tag)?;
            on_keys(api, &caller, move |dnssec| {
                dnssec.remove(&request.zone, tag, request.force, request.unsign)
            })
            .await?;
            Ok(api::RemoveDnssecKeyResponse {})
        })
        .await
    }

    async fn get_ds_records(
        &self,
        request: Request<api::GetDsRecordsRequest>,
    ) -> std::result::Result<Response<api::GetDsRecordsResponse>, Status> {
        self.unary(request, |api, caller, request| async move {
            on_keys(api, &caller, move |dnssec| {
                let records = dnssec.ds_records(&request.zone)?;
                Ok(api::GetDsRecordsResponse {
                    zone: dnssec.zone_status(&request.zone)?.zone,
                    records: records.into_iter().map(shown_ds).collect(),
                })
            })
            .await
        })
        .await
    }

    async fn set_ds_withdrawal(
        &self,
        request: Request<api::SetDsWithdrawalRequest>,
    ) -> std::result::Result<Response<api::SignedZone>, Status> {
        self.unary(request, |api, caller, request| async move {
            on_keys(api, &caller, move |dnssec| {
                let status = dnssec.set_ds_withdrawn(&request.zone, request.withdrawn)?;
                Ok(shown_zone(status))
            })
            .await
        })
        .await
    }
}

/// Works on the keys, for the operator, on a thread where waiting for the disk hurts nobody.
async fn on_keys<T: Send + 'static>(
    api: Api,
    caller: &Caller,
    work: impl FnOnce(&Dnssec) -> std::result::Result<T, KeyError> + Send + 'static,
) -> Result<T> {
    caller.require_operator("the keys of signed zones")?;
    let dnssec = api.core.dnssec.clone();
    let lost = |_| Error::Storage("work on keys ended without a result".into());
    Ok(tokio::task::spawn_blocking(move || work(&dnssec))
        .await
        .map_err(lost)??)
}

/// A key as it stands now; as it was made if somebody has removed it meanwhile.
fn key(
    dnssec: &Dnssec,
    zone: &str,
    made: &KeyInfo,
) -> std::result::Result<api::DnssecKey, KeyError> {
    let status = dnssec.zone_status(zone)?;
    let found = status.keys.into_iter().find(|key| key.info.tag == made.tag);
    let key = found.unwrap_or_else(|| KeyStatus {
        info: made.clone(),
        public_key: Vec::new(),
        ready_at_s: None,
    });
    Ok(shown_key(&status.zone, key))
}

fn parse_algorithm(number: i32) -> Result<Algorithm> {
    match api::DnssecAlgorithm::try_from(number) {
        Ok(api::DnssecAlgorithm::Unspecified | api::DnssecAlgorithm::Ecdsap256sha256) => {
            Ok(Algorithm::EcdsaP256Sha256)
        }
        Ok(api::DnssecAlgorithm::Ed25519) => Ok(Algorithm::Ed25519),
        Err(_) => Err(convert::unnamed("algorithm", number)),
    }
}

fn shown_algorithm(algorithm: Algorithm) -> api::DnssecAlgorithm {
    match algorithm {
        Algorithm::EcdsaP256Sha256 => api::DnssecAlgorithm::Ecdsap256sha256,
        Algorithm::Ed25519 => api::DnssecAlgorithm::Ed25519,
    }
}

fn parse_tag(tag: u32) -> Result<u16> {
    let reason = || format!("{tag} is above {}", u16::MAX);
    Ok(u16::try_from(tag).map_err(|_| Error::invalid("key_tag", reason()))?)
}

fn shown_zone(status: ZoneStatus) -> api::SignedZone {
    let ZoneStatus {
        zone,
        signed,
        ds_withdrawn,
        dnskey_ttl_s,
        keys,
    } = status;
    api::SignedZone {
        keys: keys.into_iter().map(|key| shown_key(&zone, key)).collect(),
        zone,
        signed,
        ds_withdrawn,
        dnskey_ttl_s,
    }
}

fn shown_key(zone: &str, key: KeyStatus) -> api::DnssecKey {
    let info = key.info;
    let state = match info.state {
        KeyState::Published => api::DnssecKeyState::Published,
        KeyState::Active => api::DnssecKeyState::Active,
        KeyState::Retired => api::DnssecKeyState::Retired,
    };
    api::DnssecKey {
        zone: zone.to_owned(),
        key_tag: info.tag.into(),
        algorithm: shown_algorithm(info.algorithm).into(),
        state: state.into(),
        public_key: key.public_key,
        published_at: time(info.published_at_s),
        activated_at: info.activated_at_s.and_then(time),
        retired_at: info.retired_at_s.and_then(time),
        ready_at: key.ready_at_s.and_then(time),
    }
}

fn shown_ds(record: DsRecord) -> api::DsRecord {
    api::DsRecord {
        key_tag: record.key_tag.into(),
        algorithm: record.algorithm.number().into(),
        digest_type: record.digest_type.into(),
        digest: record.digest,
    }
}

fn time(at_s: u64) -> Option<Timestamp> {
    convert::timestamp(at_s.saturating_mul(1_000))
}
