use super::*;
use crate::escrow::EscrowError;
use crate::escrow::compress::{Compression, Compressor, Decompressor};
use crate::escrow::seal::{CHUNK_BYTES, Opener, Sealer, TAG_BYTES};
use aes_gcm::aead::consts::U12;
use aes_gcm::aead::{AeadInOut, KeyInit};
use data_encoding::HEXLOWER_PERMISSIVE;
use std::io::Write as _;

fn sealed(plain: &[u8], receiver: &TrustKey) -> Vec<u8> {
    let mut sealer = Sealer::new(Vec::new(), Compression::Zstd, receiver).unwrap();
    // In pieces that do not fit chunks.
    for piece in plain.chunks(10_007) {
        sealer.write_all(piece).unwrap();
    }
    sealer.finish().unwrap()
}

fn opened(sealed: &[u8], receiver: &PrivateKey) -> Result<Vec<u8>, EscrowError> {
    read_all(Opener::new(sealed, receiver)?)
}

#[test]
fn sm4_gcm_is_that_of_rfc_8998() {
    let hex = |text: &str| HEXLOWER_PERMISSIVE.decode(text.as_bytes()).unwrap();
    // RFC 8998, appendix A.1.
    let key = hex("0123456789ABCDEFFEDCBA9876543210");
    let nonce = hex("00001234567800000000ABCD");
    let mut text = hex(
        "AAAAAAAAAAAAAAAABBBBBBBBBBBBBBBBCCCCCCCCCCCCCCCCDDDDDDDDDDDDDDDD\
        EEEEEEEEEEEEEEEEFFFFFFFFFFFFFFFFEEEEEEEEEEEEEEEEAAAAAAAAAAAAAAAA",
    );
    let data = hex("FEEDFACEDEADBEEFFEEDFACEDEADBEEFABADDAD2");
    let cipher = aes_gcm::AesGcm::<sm4::Sm4, U12>::new_from_slice(&key).unwrap();
    let nonce = aes_gcm::Nonce::<U12>::try_from(nonce.as_slice()).unwrap();
    let tag = cipher
        .encrypt_inout_detached(&nonce, &data, text.as_mut_slice().into())
        .unwrap();
    assert_eq!(
        text,
        hex(
            "17F399F08C67D5EE19D0DC9969C4BB7D5FD46FD3756489069157B282BB200735\
        D82710CA5C22F0CCFA7CBF93D496AC15A56834CBCF98C397B4024A2691233B8D"
        )
    );
    assert_eq!(tag.as_slice(), hex("83DE3541E4C2B58177E065A9BF7B62EC"));
}

#[test]
fn what_was_sealed_opens_with_its_key_alone() {
    let (key, public) = key_pair();
    for length in [
        0,
        1,
        CHUNK_BYTES - 1,
        CHUNK_BYTES,
        CHUNK_BYTES + 1,
        3 * CHUNK_BYTES,
    ] {
        let plain: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
        assert_eq!(
            opened(&sealed(&plain, &public), &key).unwrap(),
            plain,
            "{length}"
        );
    }
    let (other, _) = key_pair();
    let error = opened(&sealed(b"x", &public), &other).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the deposit's key does not open: it is encrypted to another receiver's key"
    );
}

#[test]
fn a_flipped_bit_a_cut_and_a_swap_are_seen() {
    let (key, public) = key_pair();
    let plain = vec![7; 2 * CHUNK_BYTES + 100];
    let whole = sealed(&plain, &public);
    let chunk = CHUNK_BYTES + TAG_BYTES;
    let header = whole.len() - 2 * chunk - 100 - TAG_BYTES;
    // Every byte of the header, and some of the chunks.
    let places = (0..header)
        .chain((header..whole.len()).step_by(4_999))
        .chain([whole.len() - 1]);
    for place in places {
        let mut damaged = whole.clone();
        damaged[place] ^= 1;
        assert!(opened(&damaged, &key).is_err(), "byte {place}");
    }
    for length in [
        0,
        7,
        header - 1,
        header,
        header + 5,
        header + chunk,
        header + 2 * chunk,
        whole.len() - 1,
    ] {
        let error = opened(&whole[..length], &key).expect_err("cut off");
        assert!(error.to_string().contains("container"), "{length}: {error}");
    }
    let mut longer = whole.clone();
    longer.push(0);
    assert!(opened(&longer, &key).is_err());
    let mut swapped = whole[..header].to_vec();
    swapped.extend_from_slice(&whole[header + chunk..header + 2 * chunk]);
    swapped.extend_from_slice(&whole[header..header + chunk]);
    swapped.extend_from_slice(&whole[header + 2 * chunk..]);
    let error = opened(&swapped, &key).unwrap_err().to_string();
    assert_eq!(
        error,
        "chunk 0 of the container is not the one that was written"
    );
}

#[test]
fn both_compressions_come_back_and_say_what_is_cut_off() {
    let plain: Vec<u8> = (0..300_000_u32)
        .flat_map(|at| (at / 7).to_le_bytes())
        .collect();
    for compression in [Compression::Zip, Compression::Zstd] {
        let mut compressor = Compressor::new(compression, Vec::new()).unwrap();
        compressor.write_all(&plain).unwrap();
        let packed = compressor.finish().unwrap();
        assert!(packed.len() < plain.len() / 2);
        let unpack = |packed: &[u8]| read_all(Decompressor::new(compression, packed)?);
        assert_eq!(unpack(&packed).unwrap(), plain);
        for length in [0, 10, packed.len() / 2] {
            assert!(
                unpack(&packed[..length]).is_err(),
                "{compression:?} {length}"
            );
        }
    }
}

#[test]
fn a_zip_archive_that_lies_about_its_file_is_refused() {
    let mut compressor = Compressor::new(Compression::Zip, Vec::new()).unwrap();
    compressor.write_all(b"abc").unwrap();
    let packed = compressor.finish().unwrap();
    let behind = packed
        .windows(4)
        .position(|it| it == 0x0807_4b50_u32.to_le_bytes())
        .unwrap();
    // The signature, the flags, the method, the name; the checksum, both lengths, the directory.
    let in_front = [(0, 1), (6, 8), (6, 1), (8, 1), (30, 1)];
    let at_end = [0, 4, 8, 16, 24].map(|offset| (behind + offset, 1));
    for (place, bit) in in_front.into_iter().chain(at_end) {
        let mut other = packed.clone();
        other[place] ^= bit;
        let read = Decompressor::new(Compression::Zip, other.as_slice()).and_then(read_all);
        assert!(read.is_err(), "byte {place}");
    }
}
