use super::*;
use crate::escrow::EscrowError;
use crate::escrow::compress::Compression;
use crate::escrow::manifest::{Manifest, PartEntry};
use crate::escrow::package::{Document, PackOptions, Packer, open};

fn packed(
    parts: &Parts,
    compression: Compression,
    receiver: TrustKey,
    signer: &PrivateKey,
) -> String {
    let options = PackOptions {
        compression,
        part_bytes: 1_000,
        ..PackOptions::new(receiver)
    };
    let mut packer = Packer::new(
        parts.clone(),
        head(Kind::Full, "a", None, 9, None),
        &options,
    )
    .unwrap();
    packer.document().put(&Object::Prefix(prefix())).unwrap();
    for number in 0..500 {
        // Not to be compressed away.
        let data = sm3_of(number);
        let object = Identifier {
            values: values(&[Value::new(1, "BIN", data)]),
            ..identifier(&format!("{number:04}"), 9)
        };
        packer.document().put(&Object::Identifier(object)).unwrap();
    }
    let (_, manifest) = packer.finish(Summary::default()).unwrap();
    manifest.sign(signer).unwrap()
}

fn sm3_of(number: u32) -> Vec<u8> {
    use sm3::Digest as _;
    sm3::Sm3::digest(number.to_be_bytes()).to_vec()
}

fn read(
    manifest: &str,
    parts: &Parts,
    receiver: &PrivateKey,
    signer: &TrustKey,
) -> Result<usize, EscrowError> {
    let manifest = Manifest::verify(manifest.as_bytes(), signer)?;
    let mut document: Document<Parts> = open(&manifest, parts.clone(), receiver)?;
    let mut count = 0;
    while document.next()?.is_some() {
        count += 1;
    }
    Ok(count)
}

#[test]
fn deposits_come_back_from_their_parts() {
    let (receiver, receiver_public) = key_pair();
    let (signer, signer_public) = key_pair();
    for compression in [Compression::Zip, Compression::Zstd] {
        let parts = Parts::default();
        let manifest = packed(&parts, compression, receiver_public.clone(), &signer);
        let sizes: Vec<usize> = parts.0.lock().unwrap().values().map(Vec::len).collect();
        assert!(sizes.len() > 10, "{sizes:?}");
        assert!(sizes[..sizes.len() - 1].iter().all(|size| *size == 1_000));
        assert_eq!(
            read(&manifest, &parts, &receiver, &signer_public).unwrap(),
            501
        );
    }
}

#[test]
fn whatever_is_wrong_is_said() {
    let (receiver, receiver_public) = key_pair();
    let (signer, signer_public) = key_pair();
    let parts = Parts::default();
    let manifest = packed(&parts, Compression::Zstd, receiver_public, &signer);
    let refused = |manifest: &str, parts: &BTreeMap<u32, Vec<u8>>| {
        let parts = Parts(Arc::new(Mutex::new(parts.clone())));
        read(manifest, &parts, &receiver, &signer_public)
            .unwrap_err()
            .to_string()
    };
    let whole = parts.0.lock().unwrap().clone();
    let mut flipped = whole.clone();
    flipped.get_mut(&3).unwrap()[17] ^= 1;
    let said = refused(&manifest, &flipped);
    assert!(said.starts_with("part 3 has the SM3 digest "), "{said}");
    let mut missing = whole.clone();
    missing.remove(&2);
    assert_eq!(refused(&manifest, &missing), "part 2 is missing");
    let mut swapped = whole.clone();
    let (two, three) = (whole[&2].clone(), whole[&3].clone());
    swapped.extend([(2, three), (3, two)]);
    assert!(refused(&manifest, &swapped).starts_with("part 2 has the SM3 digest "));
    let mut short = whole.clone();
    short.get_mut(&1).unwrap().pop();
    assert_eq!(
        refused(&manifest, &short),
        "part 1 has 999 bytes, the manifest says 1000"
    );
    let not_signed = "the manifest has a signature that is not its signer's over it";
    assert_eq!(
        refused(
            &manifest.replacen("\"revision\":9", "\"revision\":8", 1),
            &whole
        ),
        not_signed
    );
    let (other, _) = key_pair();
    let manifest_of_another = Manifest::unverified(manifest.as_bytes())
        .unwrap()
        .sign(&other)
        .unwrap();
    assert_eq!(refused(&manifest_of_another, &whole), not_signed);
    let mut lying = Manifest::unverified(manifest.as_bytes()).unwrap();
    lying.deposit.revision = 8;
    let lying = lying.sign(&signer).unwrap();
    assert_eq!(
        refused(&lying, &whole),
        "the manifest says another deposit than the document"
    );
    let (another, _) = key_pair();
    let error = read(&manifest, &parts, &another, &signer_public).unwrap_err();
    assert!(
        error.to_string().contains("another receiver's key"),
        "{error}"
    );
    for junk in [
        "",
        "{}",
        "{}\nSM2-SM3 AAAA\n",
        "\n\n",
        "{}\nx\n",
        &manifest[..manifest.len() - 1],
    ] {
        assert!(
            Manifest::verify(junk.as_bytes(), &signer_public).is_err(),
            "{junk}"
        );
    }
}

#[test]
fn lengths_and_revisions_beyond_numbers_are_refused() {
    let part = |number, bytes| PartEntry {
        number,
        bytes,
        sm3: String::new(),
    };
    let full = head(Kind::Full, "a", None, 9, None);
    let of = |head: Head, parts| {
        let made = Manifest::new(head, Compression::Zip, String::new(), parts);
        let line = serde_json::to_string(&made).unwrap();
        let read = Manifest::unverified(format!("{line}\nSM2-SM3 AAAA\n").as_bytes());
        read.map(|it| it.bytes()).map_err(|error| error.to_string())
    };
    let both = |second| vec![part(1, u64::MAX), part(2, second)];
    assert_eq!(of(full.clone(), both(0)), Ok(u64::MAX));
    let said = of(full.clone(), both(1)).unwrap_err();
    assert!(said.ends_with("longer than any file together"), "{said}");
    let late = Head {
        revision: u64::MAX,
        ..full
    };
    let said = of(late, both(0)).unwrap_err();
    assert!(
        said.ends_with("a revision that no change log comes to"),
        "{said}"
    );
}
