//! What `Authorization: Handle` says, and whether it proves a key.

use super::input::base64;
use super::refusal::Refusal;
use idnode_proto::handle::auth::{ApiProof, ProofError, ProofKey, PublicKey};
use idnode_proto::handle::{AdminId, ResponseCode};
use idnode_proto::value::types;

/// Longest text of one parameter, bytes: a signature of the longest key is a sixth of it.
const MAX_PARAMETER_BYTES: usize = 8 << 10;

/// A proof, or the name of a session alone.
#[derive(Debug, Clone, Default, PartialEq, Eq, serde::Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(super) struct Proof {
    /// The session.
    pub(super) session_id: Option<String>,
    /// What the client itself adds to what is proven, base64.
    cnonce: Option<String>,
    /// `300:0.NA/88.118.8`.
    id: Option<String>,
    /// HS_SECKEY or HS_PUBKEY.
    r#type: Option<String>,
    alg: Option<String>,
    /// Base64.
    signature: Option<String>,
    /// Of a derived key, base64.
    salt: Option<String>,
    #[serde(default, deserialize_with = "number_or_text")]
    iterations: Option<u32>,
    /// Of a derived key, bits.
    #[serde(default, deserialize_with = "number_or_text")]
    length: Option<u32>,
    /// Ask for a certificate instead.
    #[serde(skip)]
    pub(super) client_certificate: bool,
}

/// A number, or a text of its digits: in the header field, whose members these are, all are texts.
fn number_or_text<'de, D: serde::Deserializer<'de>>(from: D) -> Result<Option<u32>, D::Error> {
    #[derive(serde::Deserialize)]
    #[serde(untagged, expecting = "a number was expected")]
    enum Either {
        Number(u32),
        Text(String),
    }
    use serde::Deserialize as _;
    match Option::<Either>::deserialize(from)? {
        None => Ok(None),
        Some(Either::Number(number)) => Ok(Some(number)),
        Some(Either::Text(text)) => text.parse().map(Some).map_err(serde::de::Error::custom),
    }
}

impl Proof {
    /// Reads what follows the scheme: `name=value` or `name="value"`, separated by commas.
    ///
    /// # Errors
    /// [`ResponseCode::AUTHENTICATION_NEEDED`] naming the parameter.
    pub(super) fn parse(field: &str) -> Result<Self, Refusal> {
        let mut proof = Self::default();
        for parameter in parameters(field) {
            let (name, value) = parameter
                .split_once('=')
                .ok_or_else(|| wrong("what follows Handle is not name=value, …"))?;
            let (name, value) = (name.trim(), unquoted(value.trim()));
            if value.len() > MAX_PARAMETER_BYTES {
                return Err(wrong(&format!("{name:.20} is too long")));
            }
            let number = || {
                let number = value.parse::<u32>();
                number.map_err(|_| wrong(&format!("{name:.20} is no number")))
            };
            let text = Some(value.to_owned());
            match name.to_ascii_lowercase().as_str() {
                "sessionid" => proof.session_id = text,
                "cnonce" => proof.cnonce = text,
                "id" => proof.id = text,
                "type" => proof.r#type = text,
                "alg" => proof.alg = text,
                "signature" => proof.signature = text,
                "salt" => proof.salt = text,
                "iterations" => proof.iterations = Some(number()?),
                "length" => proof.length = Some(number()?),
                "clientcert" => proof.client_certificate = value.eq_ignore_ascii_case("true"),
                // `version` and whatever else there will be.
                _ => {}
            }
        }
        Ok(proof)
    }

    /// Whether anything is to be proven, beside the session's name.
    pub(super) fn is_proof(&self) -> bool {
        self.signature.is_some() || self.id.is_some()
    }

    /// Who it is said to be.
    ///
    /// # Errors
    /// [`ResponseCode::AUTHENTICATION_NEEDED`].
    pub(super) fn administrator(&self) -> Result<AdminId, Refusal> {
        let id = self.id.as_deref().ok_or_else(|| wrong("id is missing"))?;
        id.parse().map_err(|error| wrong(&format!("id: {error}")))
    }

    /// What proves the key. That it is whole is seen before the key is looked up, so that no
    /// answer tells which keys there are.
    ///
    /// # Errors
    /// [`ResponseCode::AUTHENTICATION_NEEDED`] naming the part.
    pub(super) fn signed(&self) -> Result<Signed, Refusal> {
        let text = |part: &Option<String>, name: &str| {
            let missing = || wrong(&format!("{name} is missing"));
            part.clone().ok_or_else(missing)
        };
        let bytes = |part: &Option<String>, name: &str| {
            base64(&text(part, name)?).map_err(|reason| wrong(&format!("{name} {reason}")))
        };
        let signed = Signed {
            key_type: text(&self.r#type, "type")?,
            algorithm: text(&self.alg, "alg")?,
            client_nonce: bytes(&self.cnonce, "cnonce")?,
            signature: bytes(&self.signature, "signature")?,
            salt: match self.salt {
                Some(_) => bytes(&self.salt, "salt")?,
                None => Vec::new(),
            },
            iterations: self.iterations.unwrap_or(0),
            key_bits: self.length.unwrap_or(0),
        };
        match signed.key_type.as_str() {
            types::HS_SECKEY | types::HS_PUBKEY => Ok(signed),
            _ => Err(wrong("type is neither HS_SECKEY nor HS_PUBKEY")),
        }
    }
}

/// The parts that prove a key.
pub(super) struct Signed {
    key_type: String,
    algorithm: String,
    client_nonce: Vec<u8>,
    signature: Vec<u8>,
    salt: Vec<u8>,
    iterations: u32,
    key_bits: u32,
}

impl Signed {
    /// Whether it proves a key over `nonce`, and over what the client added. Takes up to 20 ms.
    ///
    /// # Errors
    /// That it does not, or cannot.
    pub(super) fn verify(
        &self,
        key: &ProofKey,
        nonce: &[u8],
        handle: &str,
    ) -> Result<(), ProofError> {
        let proof = ApiProof {
            salt: &self.salt,
            iterations: self.iterations,
            key_bits: self.key_bits,
            ..ApiProof::new(
                &self.key_type,
                &self.algorithm,
                &self.client_nonce,
                &self.signature,
            )
        };
        proof.verify(key, handle, nonce)
    }
}

/// That a proof does not hold, in the same words whether the key is another, of the other kind or
/// not there at all.
pub(super) fn failed(id: &AdminId) -> Refusal {
    let message = format!("authorization: that this is {id} is not proven");
    Refusal::new(ResponseCode::AUTHENTICATION_FAILED, message)
}

/// That a proof proves nothing: that it does not hold, or why it cannot be checked.
pub(super) fn unproven(id: &AdminId, error: ProofError) -> Refusal {
    match error.is_wrong() {
        true => failed(id),
        false => Refusal::new(error.code(), format!("{}: {error}", failed(id).message)),
    }
}

/// Whether a certificate's key is the one that is registered, whatever it is encoded in.
pub(super) fn is_key(registered: &[u8], public_key_info: &[u8]) -> bool {
    match (
        PublicKey::decode(registered),
        PublicKey::from_spki(public_key_info),
    ) {
        (Ok(registered), Ok(shown)) => registered == shown,
        _ => false,
    }
}

fn wrong(reason: &str) -> Refusal {
    Refusal::new(
        ResponseCode::AUTHENTICATION_NEEDED,
        format!("authorization: {reason}"),
    )
}

/// The parts between commas that are in no quotes.
pub(super) fn parameters(field: &str) -> impl Iterator<Item = &str> {
    let mut quoted = false;
    field
        .split(move |c| {
            quoted ^= c == '"';
            c == ',' && !quoted
        })
        .map(str::trim)
        .filter(|part| !part.is_empty())
}

pub(super) fn unquoted(value: &str) -> &str {
    let inner = value.strip_prefix('"').and_then(|it| it.strip_suffix('"'));
    inner.unwrap_or(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parameters_are_read_in_any_order_quoted_or_not() {
        let field = r#"version="0", sessionId="a,b", cnonce=AA==,id="300:0.NA/88.118.8", type=HS_SECKEY,
            alg="PBKDF2-HMAC-SHA1", salt="AAE=", iterations="10000", length=160, signature="AA=="#;
        let proof = Proof::parse(field).unwrap();
        assert_eq!(proof.session_id.as_deref(), Some("a,b"));
        assert_eq!((proof.iterations, proof.length), (Some(10_000), Some(160)));
        assert!(proof.is_proof());
        assert_eq!(
            proof.administrator().unwrap().to_string(),
            "300:0.NA/88.118.8"
        );
        assert!(
            Proof::parse("clientCert=\"true\"")
                .unwrap()
                .client_certificate
        );
        assert!(!Proof::parse("sessionId=x").unwrap().is_proof());
        assert_eq!(Proof::parse("").unwrap(), Proof::default());
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (field, part) in [
            ("sessionId", "name=value"),
            ("iterations=x", "iterations"),
            ("length=-1", "length"),
        ] {
            let refused = Proof::parse(field).unwrap_err();
            assert!(refused.message.contains(part), "{refused:?}");
        }
        let long = format!("cnonce={}", "A".repeat(9_000));
        assert!(
            Proof::parse(&long)
                .unwrap_err()
                .message
                .contains("too long")
        );
        for id in ["", "id=300", "id=x:0.NA/1", "id=\"1:\""] {
            assert!(Proof::parse(id).unwrap().administrator().is_err(), "{id}");
        }
        let id: AdminId = "300:0.NA/88.118.8".parse().unwrap();
        let key = ProofKey::Secret(b"secret".to_vec());
        for (field, part) in [
            ("id=1:a/b", "type"),
            ("type=HS_SECKEY", "alg"),
            ("type=HS_SECKEY,alg=SHA1", "cnonce"),
            ("type=HS_SECKEY,alg=SHA1,cnonce=*", "cnonce"),
            ("type=HS_SECKEY,alg=SHA1,cnonce=AA==", "signature"),
            ("type=X,alg=SHA1,cnonce=AA==,signature=AA==", "type"),
        ] {
            let refused = Proof::parse(field).unwrap().signed().err().unwrap();
            assert!(refused.message.contains(part), "{field}: {refused:?}");
        }
        let refused = |kind: &str, algorithm: &str| {
            let field = format!("type={kind},alg={algorithm},cnonce=AA==,signature=AA==");
            let signed = Proof::parse(&field).unwrap().signed().unwrap();
            let error = signed.verify(&key, b"nonce", &id.handle.display());
            unproven(&id, error.unwrap_err())
        };
        assert!(refused("HS_SECKEY", "MD5").message.contains("digest"));
        // Neither says whether there is such a key.
        for wrong in [refused("HS_SECKEY", "SHA1"), refused("HS_PUBKEY", "SHA1")] {
            assert_eq!(wrong.message, failed(&id).message);
            assert_eq!(wrong.code, ResponseCode::AUTHENTICATION_FAILED);
        }
    }
}
