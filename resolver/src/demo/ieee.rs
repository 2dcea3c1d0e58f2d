//! The IEEE Registration Authority's public listing: who holds which block of MAC addresses.
//!
//! Debian's `ieee-data` carries it as four CSV files with the columns `Registry`, `Assignment`,
//! `Organization Name` and `Organization Address`. An assignment is the fixed upper part of the
//! block's 48-bit addresses in hexadecimal:
//!
//! | registry | bits fixed | addresses in a block |
//! |---|---|---|
//! | MA-L (formerly OUI) | 24 | 16,777,216 |
//! | MA-M | 28 | 1,048,576 |
//! | MA-S (formerly OUI-36) and the closed IAB | 36 | 4,096 |

use super::dataset::{decode, one_line};

/// The files of the listing, in the order in which organisations are numbered.
pub(super) const FILES: [&str; 4] = ["iab.csv", "mam.csv", "oui.csv", "oui36.csv"];

/// The name under which the listing shows holders that asked not to be shown. It stands for many
/// registrants, so what a row says of one of them says nothing of the others.
pub(super) const PRIVATE: &str = "Private";

const COLUMNS: [&str; 4] = [
    "Registry",
    "Assignment",
    "Organization Name",
    "Organization Address",
];

const MAC_ADDRESS_BITS: u32 = 48;

/// Which of the IEEE's registries a block comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Registry {
    Large,
    Medium,
    Small,
    IndividualAddressBlock,
}

impl Registry {
    const ALL: [Registry; 4] = [
        Registry::Large,
        Registry::Medium,
        Registry::Small,
        Registry::IndividualAddressBlock,
    ];

    pub(super) fn as_str(self) -> &'static str {
        match self {
            Registry::Large => "MA-L",
            Registry::Medium => "MA-M",
            Registry::Small => "MA-S",
            Registry::IndividualAddressBlock => "IAB",
        }
    }

    fn fixed_bits(self) -> u32 {
        match self {
            Registry::Large => 24,
            Registry::Medium => 28,
            Registry::Small | Registry::IndividualAddressBlock => 36,
        }
    }

    fn digits(self) -> usize {
        self.fixed_bits() as usize / 4
    }
}

/// One block of MAC addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Assignment {
    pub(super) registry: Registry,
    fixed: u64,
}

impl Assignment {
    fn parse(registry: &str, digits: &str) -> Option<Self> {
        let registry = Registry::ALL
            .into_iter()
            .find(|known| known.as_str() == registry)?;
        let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        if digits.len() != registry.digits() || !hexadecimal {
            return None;
        }
        let fixed = u64::from_str_radix(digits, 16).ok()?;
        Some(Assignment { registry, fixed })
    }

    /// The assignment in the register's spelling, `70B3D5F2F`.
    pub(super) fn digits(self) -> String {
        format!("{:0width$X}", self.fixed, width = self.registry.digits())
    }

    /// How many addresses the block has.
    pub(super) fn block_size(self) -> u64 {
        1 << (MAC_ADDRESS_BITS - self.registry.fixed_bits())
    }

    /// The lowest address of the block, `70-B3-D5-F2-F0-00`.
    pub(super) fn first_address(self) -> String {
        let address = self.fixed * self.block_size();
        let [_, _, octets @ ..] = address.to_be_bytes();
        octets.map(|octet| format!("{octet:02X}")).join("-")
    }
}

/// One row of the listing: the name as registered without surrounding space, the address on one
/// line (empty when the register has none).
#[derive(Debug)]
pub(super) struct Row {
    pub(super) assignment: Assignment,
    pub(super) name: String,
    pub(super) address: String,
}

/// The rows of one file and how many could not be read.
#[derive(Debug)]
pub(super) struct Listing {
    pub(super) rows: Vec<Row>,
    pub(super) skipped: usize,
}

/// Reads one CSV file; rows that are no assignment are counted and left out. Fails, with what is
/// wrong, when the file does not have the listing's columns.
pub(super) fn parse(file: &[u8]) -> Result<Listing, String> {
    let mut reader = csv::ReaderBuilder::new().flexible(true).from_reader(file);
    let header = reader.byte_headers().map_err(|error| error.to_string())?;
    if !header.iter().eq(COLUMNS.iter().map(|name| name.as_bytes())) {
        let found: Vec<_> = header.iter().map(decode).collect();
        return Err(format!(
            "its columns are {:?}, not {COLUMNS:?}",
            found.join(",")
        ));
    }
    let mut listing = Listing {
        rows: Vec::new(),
        skipped: 0,
    };
    let mut record = csv::ByteRecord::new();
    while reader
        .read_byte_record(&mut record)
        .map_err(|error| error.to_string())?
    {
        match row(&record) {
            Some(row) => listing.rows.push(row),
            None => listing.skipped += 1,
        }
    }
    Ok(listing)
}

fn row(record: &csv::ByteRecord) -> Option<Row> {
    let mut fields = record.iter().map(decode);
    let (registry, digits) = (fields.next()?, fields.next()?);
    let (name, address) = (fields.next()?, fields.next()?);
    let name = name.trim().replace(char::is_control, " ");
    if name.is_empty() || fields.next().is_some() {
        return None;
    }
    Some(Row {
        assignment: Assignment::parse(registry.trim(), digits.trim())?,
        name,
        address: one_line(&address),
    })
}

/// The country in an address of the listing, as the register has it (ISO 3166-1 alpha-2).
///
/// An address is "street city state country postcode" without separators, so the code is the last
/// one among its last four words, but for three readings that would be wrong: the letters of a
/// Dutch postcode (`NL 9206 AD`), a state after its country (`US CA 92122`) and `NA` in place of a
/// part nobody filled in (`HK NA`).
pub(super) fn country(address: &str) -> Option<&'static str> {
    let words: Vec<&str> = address.split_whitespace().rev().take(6).collect();
    let mut placeholder = None;
    for first in 0..4 {
        let Some([word, before @ ..]) = words.get(first..) else {
            break;
        };
        let Some(code) = country_code(word) else {
            continue;
        };
        match (code, before) {
            (_, [digits, "NL", ..]) if is_dutch_postcode(digits) => return Some("NL"),
            (_, ["US", ..]) => return Some("US"),
            ("NA", _) => placeholder = Some(code),
            _ => return Some(code),
        }
    }
    placeholder
}

fn is_dutch_postcode(digits: &str) -> bool {
    digits.len() == 4 && digits.bytes().all(|byte| byte.is_ascii_digit())
}

fn country_code(word: &str) -> Option<&'static str> {
    let at = COUNTRY_CODES.binary_search(&word).ok()?;
    COUNTRY_CODES.get(at).copied()
}

/// ISO 3166-1 alpha-2, the officially assigned codes.
static COUNTRY_CODES: [&str; 249] = [
    "AD", "AE", "AF", "AG", "AI", "AL", "AM", "AO", "AQ", "AR", "AS", "AT", "AU", "AW", "AX", "AZ",
    "BA", "BB", "BD", "BE", "BF", "BG", "BH", "BI", "BJ", "BL", "BM", "BN", "BO", "BQ", "BR", "BS",
    "BT", "BV", "BW", "BY", "BZ", "CA", "CC", "CD", "CF", "CG", "CH", "CI", "CK", "CL", "CM", "CN",
    "CO", "CR", "CU", "CV", "CW", "CX", "CY", "CZ", "DE", "DJ", "DK", "DM", "DO", "DZ", "EC", "EE",
    "EG", "EH", "ER", "ES", "ET", "FI", "FJ", "FK", "FM", "FO", "FR", "GA", "GB", "GD", "GE", "GF",
    "GG", "GH", "GI", "GL", "GM", "GN", "GP", "GQ", "GR", "GS", "GT", "GU", "GW", "GY", "HK", "HM",
    "HN", "HR", "HT", "HU", "ID", "IE", "IL", "IM", "IN", "IO", "IQ", "IR", "IS", "IT", "JE", "JM",
    "JO", "JP", "KE", "KG", "KH", "KI", "KM", "KN", "KP", "KR", "KW", "KY", "KZ", "LA", "LB", "LC",
    "LI", "LK", "LR", "LS", "LT", "LU", "LV", "LY", "MA", "MC", "MD", "ME", "MF", "MG", "MH", "MK",
    "ML", "MM", "MN", "MO", "MP", "MQ", "MR", "MS", "MT", "MU", "MV", "MW", "MX", "MY", "MZ", "NA",
    "NC", "NE", "NF", "NG", "NI", "NL", "NO", "NP", "NR", "NU", "NZ", "OM", "PA", "PE", "PF", "PG",
    "PH", "PK", "PL", "PM", "PN", "PR", "PS", "PT", "PW", "PY", "QA", "RE", "RO", "RS", "RU", "RW",
    "SA", "SB", "SC", "SD", "SE", "SG", "SH", "SI", "SJ", "SK", "SL", "SM", "SN", "SO", "SR", "SS",
    "ST", "SV", "SX", "SY", "SZ", "TC", "TD", "TF", "TG", "TH", "TJ", "TK", "TL", "TM", "TN", "TO",
    "TR", "TT", "TV", "TW", "TZ", "UA", "UG", "UM", "US", "UY", "UZ", "VA", "VC", "VE", "VG", "VI",
    "VN", "VU", "WF", "WS", "YE", "YT", "ZA", "ZM", "ZW",
];

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const EXCERPT: &str = "Registry,Assignment,Organization Name,Organization Address\r\n\
        MA-S,70B3D5F2F,TELEPLATFORMS,\"Polbina st., 3/1 Moscow  RU 109388 \"\r\n\
        MA-M,741AE09,Private,\r\n\
        MA-L,002272, American Micro-Fuel Device Corp.\t,2181 Buchanan Loop Ferndale WA US 98248 \r\n\
        MA-L,70B3D5F2F,Too Many Digits,\r\n\
        MA-L,00227G,No Hexadecimal,\r\n\
        MA-X,002272,No Such Registry,\r\n\
        MA-L,002273\r\n\
        MA-L,002274,,nobody\r\n\
        IAB,0050C27D5,DEUTA-WERKE GmbH,\"Paffrather Strasse 140\nBergisch-Gladbach NRW DE 51465 \"\r\n";

    #[test]
    fn rows_are_read_and_what_is_no_assignment_is_counted() {
        let listing = parse(EXCERPT.as_bytes()).unwrap();
        let names: Vec<_> = listing.rows.iter().map(|row| row.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "TELEPLATFORMS",
                "Private",
                "American Micro-Fuel Device Corp.",
                "DEUTA-WERKE GmbH"
            ]
        );
        assert_eq!(listing.skipped, 5);
        assert_eq!(listing.rows[0].address, "Polbina st., 3/1 Moscow RU 109388");
        assert_eq!(listing.rows[1].address, "");
        assert_eq!(
            listing.rows[3].address,
            "Paffrather Strasse 140 Bergisch-Gladbach NRW DE 51465"
        );
    }

    #[test]
    fn another_table_is_refused_with_its_columns() {
        let error = parse(b"Assignment,Registry\n002272,MA-L\n").unwrap_err();
        assert!(error.contains("Assignment,Registry"), "{error}");
    }

    #[test]
    fn latin_1_is_read_where_utf_8_is_not() {
        let mut file = b"Registry,Assignment,Organization Name,Organization Address\n".to_vec();
        file.extend_from_slice(b"MA-L,00000A,M\xfcller AG,Z\xc3\xbcrich CH 8000\n");
        let listing = parse(&file).unwrap();
        assert_eq!(listing.rows[0].name, "Müller AG");
        assert_eq!(listing.rows[0].address, "Zürich CH 8000");
    }

    #[test]
    fn blocks_have_the_size_and_first_address_of_their_registry() {
        for (registry, digits, size, first) in [
            ("MA-L", "00D0EF", 16_777_216, "00-D0-EF-00-00-00"),
            ("MA-M", "741AE09", 1_048_576, "74-1A-E0-90-00-00"),
            ("MA-S", "70B3D5F2F", 4_096, "70-B3-D5-F2-F0-00"),
            ("IAB", "FFFFFFFFF", 4_096, "FF-FF-FF-FF-F0-00"),
        ] {
            let block = Assignment::parse(registry, digits).unwrap();
            assert_eq!(block.digits(), digits);
            assert_eq!(block.block_size(), size);
            assert_eq!(block.first_address(), first);
        }
        assert_eq!(Assignment::parse("MA-L", "+0D0EF"), None);
    }

    #[test]
    fn the_country_is_the_code_before_the_postcode() {
        for (address, expected) in [
            ("9295 PROTOTYPE DRIVE RENO NV US 89511 ", Some("US")),
            ("Polbina st., 3/1 Moscow  RU 109388 ", Some("RU")),
            (
                "TussenDiepen 4 Drachten Friesland NL 9206 AD   ",
                Some("NL"),
            ),
            (
                "9220 Sunset Blvd #112 West Hollywood  US CA 90069 ",
                Some("US"),
            ),
            ("Kowloon  HK NA ", Some("HK")),
            ("PO Box 1 Windhoek  NA 9000 ", Some("NA")),
            ("Road Town Tortola  VG  ", Some("VG")),
            ("4 Landsowne Court SN14 GRZ GB UK ", Some("GB")),
            ("12 High St Toronto ON CA M5V 2T6 ", Some("CA")),
            ("4-21 MINAMI NARUSE     ", None),
            ("us in lower case 12345", None),
            ("", None),
        ] {
            assert_eq!(country(address), expected, "{address}");
        }
        assert!(COUNTRY_CODES.is_sorted());
    }
}
