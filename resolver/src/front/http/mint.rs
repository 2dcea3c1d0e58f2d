//! Which identifier a request names, and the ones that the node names itself.

use super::refusal::Refusal;
use super::request::Parameters;
use data_encoding::BASE32_NOPAD;
use idnode_proto::handle::ResponseCode;
use idnode_proto::identifier::Identifier;

/// Random bytes of a minted suffix: as many identifiers as there can be never meet.
const MINTED_BYTES: usize = 15;

/// The identifier of a decoded path; with `mintNewSuffix` a new one that begins with it.
///
/// # Errors
/// The text is no identifier.
pub(super) fn named(text: &str, parameters: &Parameters) -> Result<Identifier, Refusal> {
    let minted = match parameters.mint {
        true => Some(minted(text)?),
        false => None,
    };
    Ok(Identifier::parse(minted.as_deref().unwrap_or(text))?)
}

/// `88.118.8` and `88.118.8/A-` with a suffix, or an end of it, that nobody has.
fn minted(start: &str) -> Result<String, Refusal> {
    let mut random = [0; MINTED_BYTES];
    getrandom::fill(&mut random)
        .map_err(|error| Refusal::new(ResponseCode::ERROR, format!("no randomness: {error}")))?;
    let slash = if start.contains('/') { "" } else { "/" };
    Ok(format!("{start}{slash}{}", BASE32_NOPAD.encode(&random)))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn minted_handles_begin_as_asked_and_differ() {
        let mint = Parameters {
            mint: true,
            ..Parameters::default()
        };
        for start in ["88.118.8", "88.118.8/", "88.118.8/A-"] {
            let [one, other] = [(); 2].map(|()| named(start, &mint).unwrap().canonical());
            assert!(one.starts_with(start) && one != other, "{one} {other}");
            assert!(one.starts_with("88.118.8/"), "{one}");
            assert_eq!(
                one.trim_start_matches(start).trim_start_matches('/').len(),
                24
            );
        }
        let plain = named("88.118.8/x", &Parameters::default()).unwrap();
        assert_eq!(plain.canonical(), "88.118.8/X");
        assert!(named("", &mint).is_err());
    }
}
