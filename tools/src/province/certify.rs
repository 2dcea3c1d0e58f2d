//! The province's authority and the certificates of its nodes.

use std::fs;
use std::io::Write as _;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose,
};

use super::city::Site;
use super::error::Failure;
use super::layout::{Layout, Map};

/// Makes what is missing: the authority, and for each place a certificate with its name and its
/// addresses, for servers and clients alike.
///
/// # Errors
/// A file cannot be written; the authority's files are not what was written.
pub(super) fn certify(layout: &Layout, map: &Map) -> Result<(), Failure> {
    let authority = authority(layout)?;
    for site in Site::all() {
        let address = IpAddr::V4(map.address(site));
        leaf(layout, site, address, &authority)?;
    }
    Ok(())
}

fn authority(layout: &Layout) -> Result<Issuer<'static, KeyPair>, Failure> {
    let (certificate, key) = (layout.authority("pem"), layout.authority("key"));
    if certificate.exists() && key.exists() {
        let read =
            |path: &Path| fs::read_to_string(path).map_err(Failure::io(path.display().to_string()));
        let pair = KeyPair::from_pem(&read(&key)?).map_err(failed)?;
        let params = authority_params()?;
        return Ok(Issuer::new(params, pair));
    }
    let pair = KeyPair::generate().map_err(failed)?;
    let params = authority_params()?;
    let signed = params.self_signed(&pair).map_err(failed)?;
    write(&key, &pair.serialize_pem(), 0o600)?;
    write(&certificate, &signed.pem(), 0o644)?;
    Ok(Issuer::new(params, pair))
}

fn authority_params() -> Result<CertificateParams, Failure> {
    let mut params = CertificateParams::new(Vec::new()).map_err(failed)?;
    params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    let name = &mut params.distinguished_name;
    name.push(DnType::CommonName, "idprovince authority");
    Ok(params)
}

/// A place's certificate. Made anew at every start: its address depends on how places are kept
/// apart.
fn leaf(
    layout: &Layout,
    site: Site,
    address: IpAddr,
    authority: &Issuer<'static, KeyPair>,
) -> Result<(), Failure> {
    let names = vec![site.name().to_owned(), address.to_string()];
    let mut params = CertificateParams::new(names).map_err(failed)?;
    params
        .distinguished_name
        .push(DnType::CommonName, site.name());
    params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
    params.extended_key_usages = vec![
        ExtendedKeyUsagePurpose::ServerAuth,
        ExtendedKeyUsagePurpose::ClientAuth,
    ];
    let pair = KeyPair::generate().map_err(failed)?;
    let signed = params.signed_by(&pair, authority).map_err(failed)?;
    let home = layout.home(site);
    fs::create_dir_all(&home).map_err(Failure::io(home.display().to_string()))?;
    write(&layout.file(site, "node.key"), &pair.serialize_pem(), 0o600)?;
    write(&layout.file(site, "node.pem"), &signed.pem(), 0o644)
}

/// Writes a file that only those may read whom `mode` names.
///
/// # Errors
/// It cannot be written.
pub(super) fn write(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let named = || Failure::io(path.display().to_string());
    let mut options = fs::OpenOptions::new();
    let options = options.create(true).write(true).truncate(true).mode(mode);
    let mut file = options.open(path).map_err(named())?;
    file.write_all(text.as_bytes()).map_err(named())
}

fn failed(error: rcgen::Error) -> Failure {
    Failure::Program(format!("certificates: {error}"))
}
