#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use std::collections::HashSet;

use super::*;

const HEADING: &str = "Registry,Assignment,Organization Name,Organization Address\n";
const IAB: &str = "IAB,0050C27D5,DEUTA-WERKE GmbH,Paffrather Strasse 140 Gladbach NRW DE 51465 \n\
    IAB,0050C27D6,Private,\n";
const MAM: &str = "MA-M,741AE09,Private,445 Hoes Lane PISCATAWAY NJ US 08854 \n";
const OUI: &str = "MA-L,00AA00,Intel Corporation,\n\
    MA-L,00AA01,INTEL CORPORATION ,Lot 8 Kulim Kedah MY 09000 \n\
    MA-L,00AA02,Intel Corporate,Lot 8 Kulim Kedah MY 09000 \n\
    MA-L,00AA01,Intel Corporation,a second time\n";
const OUI36: &str = "MA-S,70B3D5F2F,deuta-werke gmbh,elsewhere FR 75000\n";
const PCI: &str = "8086  Intel Corporation\n\t1237  440FX\n\t\t1af4 1100  QEMU Machine\n\
    1af4  Red Hat, Inc.\n\t1000  Virtio\n";
const USB: &str = "8087  Intel Corp.\n\t0024  Hub\n\
    aaaa  Private\n\t0001  Thing\n\
    bbbb  Red Hat\n\t0002  Fedora\n\
    cccc  Private Ltd\n\t0003  Other\n\
    dddd  Nové věci (Wrong ID)\n\t0004  Last\n";

/// A folder with the excerpts, removed at the end.
struct Folder(PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let folder = std::env::temp_dir().join(format!("dataset-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        for (file, rows) in [
            ("iab.csv", IAB),
            ("mam.csv", MAM),
            ("oui.csv", OUI),
            ("oui36.csv", OUI36),
        ] {
            std::fs::write(folder.join(file), format!("{HEADING}{rows}")).unwrap();
        }
        std::fs::write(folder.join("pci.ids"), PCI).unwrap();
        std::fs::write(folder.join("usb.ids"), USB).unwrap();
        Folder(folder)
    }

    fn sources(&self) -> Sources {
        Sources {
            ieee: self.0.clone(),
            pci: self.0.join("pci.ids"),
            usb: self.0.join("usb.ids"),
        }
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

fn identifiers(data_set: &DataSet) -> Vec<String> {
    data_set.items().map(|item| item.identifier).collect()
}

#[test]
fn organisations_are_numbered_by_first_appearance_and_matched_by_name() {
    let folder = Folder::new("organisations");
    let data_set = DataSet::load(&folder.sources(), None).unwrap();
    let organisations: Vec<_> = data_set
        .organisations
        .iter()
        .map(|o| {
            (
                o.prefix.as_str(),
                o.name.as_str(),
                o.register_number.as_str(),
                o.country,
            )
        })
        .collect();
    assert_eq!(
        organisations,
        [
            (
                "88.118.1001",
                "DEUTA-WERKE GmbH",
                "IEEE IAB 0050C27D5",
                Some("DE")
            ),
            ("88.118.1002", "Private", "IEEE IAB 0050C27D6", None),
            (
                "88.118.1003",
                "Intel Corporation",
                "IEEE MA-L 00AA00",
                Some("MY")
            ),
            (
                "88.118.1004",
                "Intel Corporate",
                "IEEE MA-L 00AA02",
                Some("MY")
            ),
            ("88.118.1005", "Red Hat, Inc.", "PCI 1af4", None),
            ("88.118.1006", "Private", "USB aaaa", None),
            ("88.118.1007", "Nové věci", "USB dddd", None),
        ]
    );
    assert_eq!(data_set.organisations[1].address, "");
    assert_eq!(
        data_set.organisations[2].address,
        "Lot 8 Kulim Kedah MY 09000"
    );
    assert_eq!(data_set.organisations[5].source, Source::Usb);
    let counts = data_set.counts();
    assert_eq!(counts.ieee_rows, 8);
    assert_eq!(counts.ieee_organisations, 4);
    assert_eq!(counts.private_rows, 2);
    assert_eq!(counts.repeated, 1);
    assert_eq!(counts.matched_vendors, 2);
}

#[test]
fn items_come_organisation_by_organisation() {
    let folder = Folder::new("items");
    let data_set = DataSet::load(&folder.sources(), None).unwrap();
    assert_eq!(
        identifiers(&data_set),
        [
            "88.118.1001/0050C27D5",
            "88.118.1001/70B3D5F2F",
            "88.118.1002/0050C27D6",
            "88.118.1002/741AE09",
            "88.118.1003/00AA00",
            "88.118.1003/00AA01",
            "88.118.1003/PCI-8086-1237",
            "88.118.1003/PCI-8086-1237-1af4-1100",
            "88.118.1003/USB-8087-0024",
            "88.118.1004/00AA02",
            "88.118.1005/PCI-1af4-1000",
            "88.118.1005/USB-bbbb-0002",
            "88.118.1006/USB-aaaa-0001",
            "88.118.1006/USB-cccc-0003",
            "88.118.1007/USB-dddd-0004",
        ]
    );
    let block = data_set.items().nth(3).unwrap();
    let values: Vec<_> = block
        .values
        .iter()
        .map(|(index, kind, data)| (*index, *kind, data.as_str()))
        .collect();
    assert_eq!(
        values,
        [
            (1, "REGISTRY", "MA-M"),
            (2, "ASSIGNMENT", "741AE09"),
            (3, "ORGANIZATION", "Private"),
            (4, "ADDRESS", "445 Hoes Lane PISCATAWAY NJ US 08854"),
            (5, "FIRST_ADDRESS", "74-1A-E0-90-00-00"),
            (6, "BLOCK_SIZE", "1048576"),
        ]
    );
    let without_address = data_set.items().nth(2).unwrap();
    assert!(without_address.values.iter().all(|(index, ..)| *index != 4));
}

#[test]
fn a_limit_keeps_the_first_items_and_their_organisations_unchanged() {
    let folder = Folder::new("limit");
    let all = DataSet::load(&folder.sources(), None).unwrap();
    for (limit, organisations) in [
        (0, 0),
        (1, 1),
        (4, 2),
        (5, 3),
        (8, 3),
        (13, 6),
        (15, 7),
        (1000, 7),
    ] {
        let some = DataSet::load(&folder.sources(), Some(limit)).unwrap();
        let expected: Vec<_> = identifiers(&all).into_iter().take(limit).collect();
        assert_eq!(identifiers(&some), expected, "limit {limit}");
        assert_eq!(some.item_count(), expected.len());
        assert_eq!(
            some.organisations,
            all.organisations[..organisations],
            "limit {limit}"
        );
        assert_eq!(some.counts(), all.counts());
    }
}

#[test]
fn a_missing_or_foreign_file_is_named_with_its_package() {
    let folder = Folder::new("errors");
    let mut sources = folder.sources();
    sources.usb = folder.0.join("nowhere/usb.ids");
    let error = DataSet::load(&sources, None).unwrap_err().to_string();
    assert!(error.ends_with("nowhere/usb.ids is missing: install the Debian package usb.ids"));

    sources.usb = folder.0.join("oui.csv");
    let error = DataSet::load(&sources, None).unwrap_err().to_string();
    assert!(
        error.contains("oui.csv is not what the Debian package usb.ids installs"),
        "{error}"
    );
    assert!(error.ends_with("it lists no device"), "{error}");

    std::fs::write(folder.0.join("mam.csv"), "Registry;Assignment\n").unwrap();
    let error = DataSet::load(&sources, None).unwrap_err().to_string();
    assert!(
        error.contains("mam.csv is not what the Debian package ieee-data"),
        "{error}"
    );

    sources.ieee = folder.0.join("pci.ids");
    let error = DataSet::load(&sources, None).unwrap_err();
    assert!(matches!(error, DataSetError::Unreadable { .. }), "{error}");
}

/// Figures counted with other tools in Debian 12's `ieee-data` 20220827.1, `pci.ids`
/// 0.0~2023.04.11 and `usb.ids` 2025.07.26: 46,524 rows; 29,412 names that differ in more than
/// case and surrounding space (46,528 and 29,413 for who counts the headings as rows and their
/// "Organization Name" as a name); 2,325 vendors, 17,616 devices and 15,447 subsystems of PCI;
/// 3,427 vendors and 20,528 devices of USB. Packages grow, so these are lower bounds.
#[test]
fn the_installed_packages_give_at_least_what_was_counted_in_them() {
    let sources = Sources::default();
    if [&sources.ieee, &sources.pci, &sources.usb]
        .iter()
        .any(|path| !path.exists())
    {
        eprintln!("skipped: ieee-data, pci.ids and usb.ids are not installed");
        return;
    }
    let data_set = DataSet::load(&sources, None).unwrap();
    let counts = data_set.counts();
    assert!(counts.ieee_rows >= 46_524, "{counts:?}");
    assert!(counts.ieee_organisations >= 29_412, "{counts:?}");
    assert!(counts.pci_vendors >= 2_325, "{counts:?}");
    assert!(counts.pci_devices >= 17_616, "{counts:?}");
    assert!(counts.pci_subsystems >= 15_447, "{counts:?}");
    assert!(counts.usb_vendors >= 3_427, "{counts:?}");
    assert!(counts.usb_devices >= 20_528, "{counts:?}");
    assert!(counts.skipped < 10, "{counts:?}");

    let mut distinct = HashSet::new();
    let mut prefixes = data_set.organisations.iter().map(|o| o.prefix.as_str());
    let mut prefix = "";
    for item in data_set.items() {
        while item.identifier.split('/').next() != Some(prefix) {
            prefix = prefixes.next().unwrap();
        }
        assert!(item.identifier.len() <= 64, "{}", item.identifier);
        let complete = item
            .values
            .iter()
            .all(|(_, _, data)| !data.trim().is_empty());
        assert!(complete, "{item:?}");
        assert!(distinct.insert(item.identifier));
    }
    assert_eq!(distinct.len(), data_set.item_count());
    let red_hat = data_set
        .organisations
        .iter()
        .find(|o| o.name == "Red Hat, Inc.")
        .unwrap();
    assert!(distinct.contains(&format!("{}/PCI-1af4-1000", red_hat.prefix)));
}
