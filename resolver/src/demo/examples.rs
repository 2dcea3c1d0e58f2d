//! Examples of every identifier scheme for the demonstration. None of them is a real registration:
//! each says so in its `DESC` value, and wherever a range is reserved for examples they are in it
//! (GS1 prefix 952 and GS1's own company prefix 9506000, OID arc 2.999, `example.com` of RFC 2606,
//! addresses of RFC 5737 and RFC 3849).

use std::net::{IpAddr, Ipv4Addr};

/// The `DESC` value of every example.
pub const NOTICE: &str = "example, not a real registration";

/// The example that documentation asks for on every front.
pub const SHOWCASE: &str = "88.118.8/JXDY2106023";

/// Everyone may read, administrators may write: `1110` (RFC 3651 §3.1).
pub const PUBLIC: u8 = 0b1110;
/// Only administrators may read and write: `1100` (RFC 3651 §3.1).
pub const NON_PUBLIC: u8 = 0b1100;

/// The enterprise (企业) that holds the examples.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExampleEnterprise {
    /// Chinese name, which says that it is an example.
    pub name: &'static str,
    /// English name.
    pub name_en: &'static str,
    /// 统一社会信用代码, 18 characters; fictitious, with the check character of GB 32100-2015.
    pub credit_code: &'static str,
    /// Postal address.
    pub address: &'static str,
    /// ISO 3166-1 alpha-2.
    pub country: &'static str,
    /// Province of the credit code (GB/T 2260).
    pub province_code: &'static str,
    /// City of the credit code (GB/T 2260).
    pub city_code: &'static str,
    /// Whom to ask, a mail address under `example.com`.
    pub email: &'static str,
    /// Its prefixes.
    pub prefixes: &'static [ExamplePrefix],
}

/// A prefix of the example enterprise.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExamplePrefix {
    /// The prefix with its scheme's name in front where it needs one: `88.118.8`, `gs1:9506000`.
    pub prefix: &'static str,
    /// Where its identifiers are resolved when not here (托管 when none).
    pub delegation: Option<ExampleSite>,
}

/// The site of an enterprise node that a prefix is delegated to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExampleSite {
    /// Address of the Handle and HTTP interfaces.
    pub address: IpAddr,
    /// Port of the Handle protocol, UDP and TCP.
    pub handle_port: u16,
    /// Port of the HTTP interface.
    pub http_port: u16,
    /// The zone's name server, absolute.
    pub name_server: &'static str,
    /// The name server's address (glue).
    pub name_server_address: IpAddr,
}

/// An example identifier with its values.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExampleItem {
    /// The identifier with its scheme's name in front where it needs one.
    pub identifier: &'static str,
    /// Its values, by index.
    pub values: &'static [ExampleValue],
}

/// A value of an example.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ExampleValue {
    /// The index, from 1.
    pub index: u32,
    /// The type.
    pub kind: &'static str,
    /// The data, text.
    pub data: &'static str,
    /// Who may read and write it, the bits of RFC 3651 §3.1: [`PUBLIC`] or [`NON_PUBLIC`].
    pub permission: u8,
}

const fn public(index: u32, kind: &'static str, data: &'static str) -> ExampleValue {
    ExampleValue {
        index,
        kind,
        data,
        permission: PUBLIC,
    }
}

const fn hosted(prefix: &'static str) -> ExamplePrefix {
    ExamplePrefix {
        prefix,
        delegation: None,
    }
}

/// The enterprise that holds the examples.
pub static ENTERPRISE: ExampleEnterprise = ExampleEnterprise {
    name: "示例企业（非真实登记）",
    name_en: "Example enterprise (not a real registration)",
    credit_code: "911401001234567887",
    address: "山西省太原市示例路1号",
    country: "CN",
    province_code: "140000",
    city_code: "140100",
    email: "registrant@example.com",
    prefixes: &[
        hosted("88.118.8"),
        ExamplePrefix {
            prefix: "88.118.9",
            delegation: Some(ExampleSite {
                address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 10)),
                handle_port: 2641,
                http_port: 8080,
                name_server: "ns1.delegated.example.",
                name_server_address: IpAddr::V4(Ipv4Addr::new(192, 0, 2, 53)),
            }),
        },
        hosted("oid:2.999.8"),
        hosted("gs1:9506000"),
        hosted("gs1:9521141"),
        hosted("ecode:19999"),
        hosted("vaa:VAA088999EXAMPLE"),
        hosted("did:bid:exam"),
    ],
};

/// The examples; each is under one of [`ENTERPRISE`]'s hosted prefixes.
pub static ITEMS: [ExampleItem; 11] = [
    ExampleItem {
        identifier: SHOWCASE,
        values: &[
            public(1, "URL", "https://example.com/products/JXDY2106023"),
            public(2, "EMAIL", "service@example.com"),
            public(3, "DESC", NOTICE),
            public(4, "PRODUCT", "减速电机 JXDY"),
            public(5, "INET_HOST", "192.0.2.23"),
            public(6, "INET_HOST", "2001:db8::23"),
            ExampleValue {
                index: 7,
                kind: "FACTORY_PRICE",
                data: "1980.00 CNY",
                permission: NON_PUBLIC,
            },
        ],
    },
    ExampleItem {
        identifier: "88.118.8/示例-减速机-001",
        values: &[
            public(1, "URL", "https://example.com/products/gearbox-001"),
            public(3, "DESC", NOTICE),
            public(4, "PRODUCT", "减速机"),
        ],
    },
    ExampleItem {
        identifier: "gtin:9506000134352",
        values: &[
            public(1, "URL", "https://example.com/gtin/9506000134352"),
            public(3, "DESC", NOTICE),
            public(4, "PRODUCT", "Trade item"),
        ],
    },
    ExampleItem {
        identifier: "gs1:01/09521141123454/10/B2106/21/023",
        values: &[
            public(1, "URL", "https://example.com/gtin/9521141123454/B2106/023"),
            public(3, "DESC", NOTICE),
            public(4, "PRODUCT", "Trade item, one instance of a batch"),
        ],
    },
    ExampleItem {
        identifier: "sscc:195211412345678900",
        values: &[
            public(1, "URL", "https://example.com/sscc/195211412345678900"),
            public(3, "DESC", NOTICE),
            public(4, "PRODUCT", "Logistic unit"),
        ],
    },
    ExampleItem {
        identifier: "gln:9521141123454",
        values: &[
            public(1, "URL", "https://example.com/gln/9521141123454"),
            public(2, "EMAIL", "warehouse@example.com"),
            public(3, "DESC", NOTICE),
        ],
    },
    ExampleItem {
        identifier: "2.999.8.2106023",
        values: &[
            public(1, "URL", "https://example.com/oid/2.999.8.2106023"),
            public(3, "DESC", NOTICE),
            public(4, "PRODUCT", "Pressure sensor"),
        ],
    },
    ExampleItem {
        identifier: "2.999.8.2106024",
        values: &[
            public(3, "DESC", NOTICE),
            public(5, "INET_HOST", "192.0.2.24"),
        ],
    },
    ExampleItem {
        identifier: "ecode:1999921060230001",
        values: &[
            public(1, "URL", "https://example.com/ecode/1999921060230001"),
            public(3, "DESC", NOTICE),
            public(4, "PRODUCT", "Valve"),
        ],
    },
    ExampleItem {
        identifier: "VAA088999EXAMPLE/SN-2106023",
        values: &[
            public(1, "URL", "https://example.com/vaa/SN-2106023"),
            public(3, "DESC", NOTICE),
            public(4, "PRODUCT", "Electricity meter"),
        ],
    },
    ExampleItem {
        identifier: "did:bid:exam:efExampleNotARealRegistration2106",
        values: &[
            public(1, "URL", "https://example.com/did/2106"),
            public(3, "DESC", NOTICE),
        ],
    },
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use std::collections::{BTreeSet, HashSet};

    use idnode_proto::identifier::{Identifier, Prefix, Scheme};

    use super::*;

    #[test]
    fn every_scheme_has_an_example_under_a_hosted_prefix() {
        let hosted: Vec<Prefix> = ENTERPRISE
            .prefixes
            .iter()
            .filter(|prefix| prefix.delegation.is_none())
            .map(|prefix| Prefix::parse(prefix.prefix).unwrap())
            .collect();
        let mut schemes = BTreeSet::new();
        let mut distinct = HashSet::new();
        for item in &ITEMS {
            let identifier = Identifier::parse(item.identifier).unwrap();
            schemes.insert(identifier.scheme());
            let owned = identifier
                .prefix_candidates()
                .any(|candidate| hosted.iter().any(|prefix| prefix.key() == candidate.key));
            assert!(owned, "{}", item.identifier);
            assert!(distinct.insert(identifier), "{}", item.identifier);
        }
        assert_eq!(schemes.into_iter().collect::<Vec<_>>(), Scheme::ALL);
    }

    #[test]
    fn every_example_says_that_it_is_one_and_names_only_reserved_addresses() {
        for item in &ITEMS {
            let indexes: BTreeSet<_> = item.values.iter().map(|value| value.index).collect();
            assert_eq!(indexes.len(), item.values.len(), "{}", item.identifier);
            let mut notices = item.values.iter().filter(|value| value.data == NOTICE);
            assert_eq!(notices.next().unwrap().kind, "DESC", "{}", item.identifier);
            for value in item.values {
                match value.kind {
                    "URL" => assert!(value.data.starts_with("https://example.com/")),
                    "EMAIL" => assert!(value.data.ends_with("@example.com")),
                    "INET_HOST" => assert!(is_documentation(value.data.parse().unwrap())),
                    _ => {}
                }
            }
        }
        let showcase = &ITEMS[0];
        assert_eq!(showcase.identifier, SHOWCASE);
        let non_public = |value: &&ExampleValue| value.permission == NON_PUBLIC;
        assert_eq!(showcase.values.iter().filter(non_public).count(), 1);
    }

    #[test]
    fn one_prefix_is_delegated_to_addresses_for_documentation() {
        let mut sites = ENTERPRISE.prefixes.iter().filter_map(|p| p.delegation);
        let site = sites.next().unwrap();
        assert!(is_documentation(site.address));
        assert!(is_documentation(site.name_server_address));
        assert!(site.name_server.ends_with(".example."));
        assert_eq!(sites.next(), None);
    }

    /// RFC 5737 and RFC 3849.
    fn is_documentation(address: IpAddr) -> bool {
        match address {
            IpAddr::V4(address) => address.octets()[..3] == [192, 0, 2],
            IpAddr::V6(address) => address.segments()[..2] == [0x2001, 0x0db8],
        }
    }

    /// GB 32100-2015 §5: 31 characters, weights 3ⁿ mod 31; within it the organisation's code has
    /// its own check character (GB 11714-1997).
    #[test]
    fn the_credit_code_has_the_right_check_characters() {
        const ALPHABET: &str = "0123456789ABCDEFGHJKLMNPQRTUWXY";
        let code = ENTERPRISE.credit_code;
        assert_eq!(code.len(), 18);
        let mut weight = 1;
        let mut sum = 0;
        for character in code[..17].chars() {
            sum += ALPHABET.find(character).unwrap() * weight;
            weight = weight * 3 % 31;
        }
        let expected = ALPHABET.as_bytes()[(31 - sum % 31) % 31];
        assert_eq!(code.as_bytes()[17], expected);

        let organisation = &code.as_bytes()[8..17];
        let digits = organisation[..8]
            .iter()
            .map(|byte| usize::from(byte - b'0'));
        let sum: usize = digits
            .zip([3, 7, 9, 10, 5, 8, 4, 2])
            .map(|(d, w)| d * w)
            .sum();
        assert_eq!(usize::from(organisation[8] - b'0'), 11 - sum % 11);
        assert_eq!(ENTERPRISE.city_code, &code[2..8]);
    }
}
