//! Server cookies (RFC 7873) as all implementations make them (RFC 9018), so that servers of one
//! address may share a secret.

use siphasher::sip::SipHasher24;
use std::net::IpAddr;

/// Bytes of a client cookie.
pub(super) const CLIENT_BYTES: usize = 8;
/// Bytes of a server cookie made here.
pub(super) const SERVER_BYTES: usize = 16;
/// Greatest server cookie of any kind (RFC 7873 §4).
pub(super) const MAX_SERVER_BYTES: usize = 32;
/// Bytes of a secret.
pub(crate) const SECRET_BYTES: usize = 16;
/// The one version there is (RFC 9018 §4.1).
const VERSION: u8 = 1;
/// How old a cookie may be, seconds (RFC 9018 §4.3).
const MAX_AGE_S: u32 = 3_600;
/// How far in the future it may be, where clocks differ, seconds.
const MAX_AHEAD_S: u32 = 300;

/// Makes server cookies and knows its own again.
#[derive(Debug)]
pub(super) struct Cookies {
    hasher: SipHasher24,
}

impl Cookies {
    pub(super) fn new(secret: &[u8; SECRET_BYTES]) -> Self {
        Self {
            hasher: SipHasher24::new_with_key(secret),
        }
    }

    /// The server cookie for a client at an address.
    pub(super) fn make(
        &self,
        client: &[u8; CLIENT_BYTES],
        address: IpAddr,
        now_s: u32,
    ) -> [u8; SERVER_BYTES] {
        let mut cookie = [0; SERVER_BYTES];
        let time = now_s.to_be_bytes();
        let hash = self.hash(client, [VERSION, 0, 0, 0], time, address);
        let parts = [VERSION, 0, 0, 0].into_iter().chain(time).chain(hash);
        for (byte, part) in cookie.iter_mut().zip(parts) {
            *byte = part;
        }
        cookie
    }

    /// Whether a server cookie was made here for this client, not long ago.
    pub(super) fn is_own(
        &self,
        client: &[u8; CLIENT_BYTES],
        server: &[u8],
        address: IpAddr,
        now_s: u32,
    ) -> bool {
        let Ok(server) = <[u8; SERVER_BYTES]>::try_from(server) else {
            return false;
        };
        let [version, r1, r2, r3, t1, t2, t3, t4, hash @ ..] = server;
        let made_s = u32::from_be_bytes([t1, t2, t3, t4]);
        // Serial number arithmetic: the time wraps in 2106 (RFC 9018 §4.3).
        let age_s = now_s.wrapping_sub(made_s);
        let is_fresh = age_s <= MAX_AGE_S || age_s.wrapping_neg() <= MAX_AHEAD_S;
        version == VERSION
            && is_fresh
            && self.hash(client, [version, r1, r2, r3], [t1, t2, t3, t4], address) == hash
    }

    fn hash(
        &self,
        client: &[u8; CLIENT_BYTES],
        version: [u8; 4],
        time: [u8; 4],
        address: IpAddr,
    ) -> [u8; 8] {
        let mut input = [0; CLIENT_BYTES + 8 + 16];
        let octets: ([u8; 16], usize) = match address {
            IpAddr::V4(address) => {
                let mut octets = [0; 16];
                for (to, from) in octets.iter_mut().zip(address.octets()) {
                    *to = from;
                }
                (octets, 4)
            }
            IpAddr::V6(address) => (address.octets(), 16),
        };
        let parts = client.iter().chain(&version).chain(&time).chain(&octets.0);
        for (to, from) in input.iter_mut().zip(parts) {
            *to = *from;
        }
        let used = input.get(..CLIENT_BYTES + 8 + octets.1).unwrap_or(&input);
        self.hasher.hash(used).to_le_bytes()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn bytes<const N: usize>(hex: &str) -> [u8; N] {
        let decoded = data_encoding::HEXLOWER.decode(hex.as_bytes()).unwrap();
        decoded.try_into().unwrap()
    }

    /// RFC 9018 appendix A.1 and A.4.
    #[test]
    fn cookies_are_those_of_the_rfc() {
        let cookies = Cookies::new(&bytes("e5e973e5a6b2a43f48e7dc849e37bfcf"));
        let address: IpAddr = "198.51.100.100".parse().unwrap();
        let client = bytes("2464c4abcf10c957");
        let made = cookies.make(&client, address, 1_559_731_985);
        assert_eq!(made, bytes("010000005cf79f111f8130c3eee29480"));
        assert!(cookies.is_own(&client, &made, address, 1_559_731_985 + 3_600));
        assert!(!cookies.is_own(&client, &made, address, 1_559_731_985 + 3_601));
        assert!(cookies.is_own(&client, &made, address, 1_559_731_985 - 300));
        assert!(!cookies.is_own(&client, &made, address, 1_559_731_985 - 301));
        let other: IpAddr = "198.51.100.101".parse().unwrap();
        assert!(!cookies.is_own(&client, &made, other, 1_559_731_985));

        let cookies = Cookies::new(&bytes("445536bcd2513298075a5d379663c962"));
        let address: IpAddr = "2001:db8:220:1:59de:d0f4:8769:82b8".parse().unwrap();
        let client = bytes("22681ab97d52c298");
        let made = cookies.make(&client, address, 1_559_741_961);
        assert_eq!(made, bytes("010000005cf7c609a6bb79d16625507a"));
    }
}
