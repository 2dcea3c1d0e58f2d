#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing
)]

mod examples;
mod properties;

use super::*;

/// A small seeded generator (xorshift64*): millions of cases a second, the same every run.
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn seeded(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D)
    }

    pub(crate) fn below(&mut self, end: usize) -> usize {
        (self.next() >> 33) as usize % end
    }

    pub(crate) fn between(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to - from + 1)
    }

    pub(crate) fn pick<'a, T: ?Sized>(&mut self, from: &[&'a T]) -> &'a T {
        from[self.below(from.len())]
    }

    /// `chars` characters out of `alphabet`.
    pub(crate) fn text(&mut self, alphabet: &[&str], chars: usize) -> String {
        (0..chars).map(|_| self.pick(alphabet)).collect()
    }

    fn digits(&mut self, chars: usize) -> String {
        (0..chars)
            .map(|_| char::from(b'0' + self.below(10) as u8))
            .collect()
    }

    fn of(&mut self, alphabet: &str, chars: usize) -> String {
        let alphabet: Vec<char> = alphabet.chars().collect();
        (0..chars)
            .map(|_| alphabet[self.below(alphabet.len())])
            .collect()
    }
}

const ALNUM: &str = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const SET_82: &str =
    "!\"%&'()*+,-./0123456789:;<=>?ABCDEFGHIJKLMNOPQRSTUVWXYZ_abcdefghijklmnopqrstuvwxyz";
const SUFFIX: &str = "aZ09-_./ :%?#\u{0}\u{1f}é工业🏭~\u{7f}";

/// A valid text of `scheme`, of any accepted form.
pub(crate) fn valid_text(random: &mut Random, scheme: Scheme) -> String {
    match scheme {
        Scheme::Handle => valid_handle(random),
        Scheme::Oid => valid_oid(random),
        Scheme::Gs1 => valid_gs1(random),
        Scheme::Ecode => valid_ecode(random),
        Scheme::Vaa => {
            let enterprise = random.between(1, 10);
            let internal = random.between(1, 28);
            format!(
                "{}VAA{}{}/{}",
                random.pick(&["", "vaa:"]),
                random.digits(6),
                random.of(ALNUM, enterprise),
                random.of("0123456789ABCabc-._+/", internal)
            )
        }
        Scheme::Did => valid_did(random),
    }
}

fn valid_handle(random: &mut Random) -> String {
    let chars = match random.below(20) {
        0 => random.between(1, 600),
        _ => random.between(1, 30),
    };
    let suffix = random.of(SUFFIX, chars);
    let labels = random.between(1, 5);
    let prefix: Vec<String> = (0..labels)
        .map(|_| {
            let chars = random.between(1, 8);
            match random.below(8) {
                0 => random.of("abcXYZ-_:({é工", chars),
                _ => random.digits(chars),
            }
        })
        .collect();
    let prefix = prefix.join(".");
    match random.below(12) {
        0 => format!("0.NA/{prefix}"),
        1 => format!("hdl:{prefix}"),
        _ => format!("hdl:{prefix}/{suffix}"),
    }
}

fn valid_oid(random: &mut Random) -> String {
    let root = random.below(3);
    let mut arcs = vec![root.to_string()];
    arcs.push(if root < 2 {
        random.below(40).to_string()
    } else {
        random.below(1000).to_string()
    });
    for _ in 0..random.below(8) {
        let chars = match random.below(10) {
            0 => random.between(1, 39),
            _ => random.between(1, 6),
        };
        let digits = random.digits(chars);
        let arc = digits.trim_start_matches('0');
        arcs.push(if arc.is_empty() {
            "0".into()
        } else {
            arc.into()
        });
    }
    match random.below(4) {
        0 => arcs.join("."),
        1 => format!("urn:oid:{}", arcs.join(".")),
        2 => format!("{{{}}}", arcs.join(" ")),
        _ => format!("oid:{}", arcs.join(".")),
    }
}

pub(crate) fn with_check_digit(digits: String) -> String {
    let check = gs1_check_digit(&digits);
    format!("{digits}{check}")
}

fn valid_gs1(random: &mut Random) -> String {
    let percent =
        |value: String| -> String { value.bytes().map(|byte| format!("%{byte:02x}")).collect() };
    match random.below(7) {
        0 => {
            let len = random.pick(&[&7_usize, &11, &12, &13]);
            format!("gtin:{}", with_check_digit(random.digits(*len)))
        }
        1 => format!("sscc:{}", with_check_digit(random.digits(17))),
        2 => format!(
            "(414){}(254){}",
            with_check_digit(random.digits(12)),
            random.of(ALNUM, 20)
        ),
        3 => format!(
            "(01){}(17)271231(10){}(21){}",
            with_check_digit(random.digits(13)),
            random.of(ALNUM, 3),
            random.of(ALNUM, 20)
        ),
        4 => {
            let lens = [
                random.between(1, 20),
                random.between(1, 20),
                random.between(1, 20),
            ];
            format!(
                "https://example.cn/shop/01/{}/22/{}/10/{}/21/{}?linkType=gs1:pip#x",
                with_check_digit(random.digits(13)),
                percent(random.of(SET_82, lens[0])),
                percent(random.of(SET_82, lens[1])),
                percent(random.of(SET_82, lens[2])),
            )
        }
        5 => {
            let (digits, rest) = (random.between(4, 20), random.between(1, 10));
            format!(
                "gs1:8004/{}{}",
                random.digits(digits),
                percent(random.of(SET_82, rest))
            )
        }
        _ => {
            let serial = random.below(13);
            match random.below(4) {
                0 => format!(
                    "gs1:253/{}{}",
                    with_check_digit(random.digits(12)),
                    random.of(ALNUM, serial)
                ),
                1 => format!(
                    "gs1:8003/{}{}",
                    with_check_digit(format!("0{}", random.digits(12))),
                    random.of(ALNUM, serial)
                ),
                2 => format!("(8018){}(8019)7", with_check_digit(random.digits(17))),
                _ => format!("gs1:402/{}", with_check_digit(random.digits(16))),
            }
        }
    }
}

fn valid_ecode(random: &mut Random) -> String {
    match random.below(4) {
        0 => {
            let md = random.between(1, 20);
            format!("ecode:1{}{}", random.digits(4), random.digits(md))
        }
        1 => {
            let md = random.between(1, 28);
            format!("ECODE:2{}{}", random.digits(4), random.digits(md))
        }
        2 => {
            let md = random.between(1, 39);
            format!("ecode:3{}{}", random.of(ALNUM, 5), random.of(ALNUM, md))
        }
        _ => {
            let md = random.between(1, 60);
            format!(
                "ecode:4{}{}",
                random.digits(5),
                random.of("aZ0-_. 工业é🏭/", md)
            )
        }
    }
}

fn valid_did(random: &mut Random) -> String {
    let base58 = "123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz";
    match random.below(4) {
        0 => {
            let chars = random.between(22, 42);
            format!("did:bid:{}", random.of(ALNUM, chars))
        }
        1 => {
            let chars = random.pick(&[&0_usize, &22, &30, &42]);
            format!(
                "did:bid:{}:{}",
                random.of(ALNUM, 4),
                random.of(ALNUM, *chars)
            )
        }
        2 => {
            let (industry, enterprise) = (random.between(3, 5), random.between(1, 128));
            format!(
                "did:cn:{}.{}.{}",
                random.digits(2),
                random.digits(industry),
                random.digits(enterprise)
            )
        }
        _ => {
            let chars = random.between(27, 31);
            format!("did:vaa:{}", random.of(base58, chars))
        }
    }
}
