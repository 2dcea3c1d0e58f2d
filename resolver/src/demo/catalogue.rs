//! The PCI and USB device catalogues, `pci.ids` and `usb.ids`.
//!
//! Both are one tree by indentation, in hexadecimal:
//!
//! ```text
//! vendor  vendor_name
//! <tab>device  device_name
//! <tab><tab>subvendor subdevice  subsystem_name
//! ```
//!
//! Lists of device classes, languages and the like follow the vendors (`C 00  …`, `HID 21  …`)
//! and are no products. `usb.ids` names interfaces where `pci.ids` names subsystems; they are no
//! products either.

use std::collections::HashMap;
use std::sync::Arc;

use super::dataset::{Item, decode};

/// Which bus a catalogue is of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub(super) enum Bus {
    #[default]
    Pci,
    Usb,
}

impl Bus {
    /// The name in identifiers and register numbers.
    pub(super) fn title(self) -> &'static str {
        match self {
            Bus::Pci => "PCI",
            Bus::Usb => "USB",
        }
    }

    fn as_str(self) -> &'static str {
        match self {
            Bus::Pci => "pci",
            Bus::Usb => "usb",
        }
    }
}

/// One vendor and what it makes.
#[derive(Debug)]
pub(super) struct Vendor {
    pub(super) bus: Bus,
    pub(super) id: u16,
    pub(super) name: Arc<str>,
    devices: Vec<Device>,
}

#[derive(Debug)]
struct Device {
    id: u16,
    name: String,
    subsystems: Vec<Subsystem>,
}

#[derive(Debug)]
struct Subsystem {
    vendor_id: u16,
    id: u16,
    name: String,
    vendor: Option<Arc<str>>,
}

/// The vendors of one file and what was left out.
#[derive(Debug, Default)]
pub(super) struct Catalogue {
    pub(super) vendors: Vec<Vendor>,
    pub(super) devices: usize,
    pub(super) subsystems: usize,
    /// Entries that repeat one before them; the first stands.
    pub(super) repeated: usize,
    /// Lines that are neither an entry nor a comment.
    pub(super) skipped: usize,
}

/// Reads a catalogue up to its class lists.
pub(super) fn parse(bus: Bus, file: &[u8]) -> Catalogue {
    let mut reading = Reading {
        bus,
        ..Reading::default()
    };
    for line in file.split(|&byte| byte == b'\n') {
        let line = decode(line);
        let line = line.trim_end();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if starts_class_list(line) {
            break;
        }
        if !reading.line(line) {
            reading.catalogue.skipped += 1;
        }
    }
    reading.finish()
}

/// A class list's heading: capitals, a space and a number, `C 00  Unclassified device`.
fn starts_class_list(line: &str) -> bool {
    line.split_once(' ').is_some_and(|(list, rest)| {
        let capitals = list.bytes().all(|byte| byte.is_ascii_uppercase());
        capitals && rest.starts_with(|c: char| c.is_ascii_hexdigit())
    })
}

/// The place reached in a catalogue: the vendor and the device that the next line may belong to.
#[derive(Debug, Default)]
struct Reading {
    bus: Bus,
    catalogue: Catalogue,
    vendors: HashMap<u16, usize>,
    devices: HashMap<(u16, u16), usize>,
    vendor: Option<usize>,
    device: Option<usize>,
}

impl Reading {
    /// Takes one line that is not a comment; false when it is no entry.
    fn line(&mut self, line: &str) -> bool {
        let entry = match line.strip_prefix('\t') {
            None => self.vendor_line(line),
            Some(rest) => match rest.strip_prefix('\t') {
                None => self.device_line(rest),
                Some(rest) => match self.bus {
                    Bus::Pci => self.subsystem_line(rest),
                    Bus::Usb => Some(()),
                },
            },
        };
        entry.is_some()
    }

    fn vendor_line(&mut self, line: &str) -> Option<()> {
        (self.vendor, self.device) = (None, None);
        let (id, name) = numbered(line)?;
        if let Some(&known) = self.vendors.get(&id) {
            self.catalogue.repeated += 1;
            self.vendor = Some(known);
            return Some(());
        }
        let at = self.catalogue.vendors.len();
        self.vendors.insert(id, at);
        self.vendor = Some(at);
        self.catalogue.vendors.push(Vendor {
            bus: self.bus,
            id,
            name: name.into(),
            devices: Vec::new(),
        });
        Some(())
    }

    fn device_line(&mut self, line: &str) -> Option<()> {
        self.device = None;
        let vendor = self.catalogue.vendors.get_mut(self.vendor?)?;
        let (id, name) = numbered(line)?;
        if let Some(&known) = self.devices.get(&(vendor.id, id)) {
            self.catalogue.repeated += 1;
            self.device = Some(known);
            return Some(());
        }
        let at = vendor.devices.len();
        self.devices.insert((vendor.id, id), at);
        self.device = Some(at);
        self.catalogue.devices += 1;
        vendor.devices.push(Device {
            id,
            name: name.to_owned(),
            subsystems: Vec::new(),
        });
        Some(())
    }

    fn subsystem_line(&mut self, line: &str) -> Option<()> {
        let vendor = self.catalogue.vendors.get_mut(self.vendor?)?;
        let device = vendor.devices.get_mut(self.device?)?;
        let (vendor_id, rest) = line.split_once(' ')?;
        let vendor_id = number(vendor_id)?;
        let (id, name) = numbered(rest)?;
        let mut known = device.subsystems.iter();
        if known.any(|subsystem| (subsystem.vendor_id, subsystem.id) == (vendor_id, id)) {
            self.catalogue.repeated += 1;
            return Some(());
        }
        self.catalogue.subsystems += 1;
        device.subsystems.push(Subsystem {
            vendor_id,
            id,
            name: name.to_owned(),
            vendor: None,
        });
        Some(())
    }

    /// Names the vendors of subsystems, which may stand after the devices they are parts of.
    fn finish(mut self) -> Catalogue {
        let vendors = self.catalogue.vendors.iter();
        let names: HashMap<u16, Arc<str>> = vendors
            .map(|vendor| (vendor.id, Arc::clone(&vendor.name)))
            .collect();
        for vendor in &mut self.catalogue.vendors {
            for device in &mut vendor.devices {
                for subsystem in &mut device.subsystems {
                    subsystem.vendor = names.get(&subsystem.vendor_id).cloned();
                }
            }
        }
        self.catalogue
    }
}

/// `8086  Intel Corporation`: four hexadecimal digits, space, a name.
fn numbered(line: &str) -> Option<(u16, &str)> {
    let (id, name) = line.split_once(' ')?;
    let name = name.trim();
    (!name.is_empty()).then_some((number(id)?, name))
}

fn number(digits: &str) -> Option<u16> {
    let hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if digits.len() != 4 || !hexadecimal {
        return None;
    }
    u16::from_str_radix(digits, 16).ok()
}

impl Vendor {
    /// How many items [`Self::items`] gives.
    pub(super) fn item_count(&self) -> usize {
        let devices = self.devices.iter();
        devices.map(|device| 1 + device.subsystems.len()).sum()
    }

    /// The vendor's devices, each followed by its subsystems, as identifiers under `prefix`.
    pub(super) fn items<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = Item> + 'a {
        self.devices.iter().flat_map(move |device| {
            let subsystems = device.subsystems.iter();
            std::iter::once(self.device_item(prefix, device)).chain(
                subsystems.map(move |subsystem| self.subsystem_item(prefix, device, subsystem)),
            )
        })
    }

    fn device_item(&self, prefix: &str, device: &Device) -> Item {
        Item {
            identifier: format!(
                "{prefix}/{}-{:04x}-{:04x}",
                self.bus.title(),
                self.id,
                device.id
            ),
            values: vec![
                (1, "PRODUCT", device.name.clone()),
                (2, "VENDOR", self.name.to_string()),
                (3, "VENDOR_ID", format!("{:04x}", self.id)),
                (4, "DEVICE_ID", format!("{:04x}", device.id)),
                (5, "BUS", self.bus.as_str().to_owned()),
            ],
        }
    }

    fn subsystem_item(&self, prefix: &str, device: &Device, subsystem: &Subsystem) -> Item {
        let mut item = self.device_item(prefix, device);
        let (vendor_id, id) = (subsystem.vendor_id, subsystem.id);
        item.identifier
            .push_str(&format!("-{vendor_id:04x}-{id:04x}"));
        item.values.push((6, "SUBSYSTEM", subsystem.name.clone()));
        if let Some(vendor) = &subsystem.vendor {
            item.values
                .push((7, "SUBSYSTEM_VENDOR", vendor.to_string()));
        }
        item.values
            .push((8, "SUBSYSTEM_VENDOR_ID", format!("{vendor_id:04x}")));
        item.values.push((9, "SUBSYSTEM_ID", format!("{id:04x}")));
        item
    }
}

/// Words at the end of a company's name that tell its legal form.
const COMPANY_FORMS: [&str; 37] = [
    "ab",
    "ag",
    "as",
    "bv",
    "co",
    "company",
    "corp",
    "corporate",
    "corporation",
    "gmbh",
    "inc",
    "incorporated",
    "kg",
    "kk",
    "limited",
    "llc",
    "llp",
    "lp",
    "ltd",
    "ltda",
    "mbh",
    "nv",
    "oy",
    "oyj",
    "plc",
    "private",
    "pte",
    "pty",
    "pvt",
    "sa",
    "sarl",
    "sas",
    "sl",
    "spa",
    "srl",
    "sro",
    "aps",
];

/// The remark that a vendor uses a number it was never given.
const WRONG_ID: &str = "(wrong id)";

/// A vendor's name without the catalogue's remark `(Wrong ID)`.
pub(super) fn without_remark(name: &str) -> &str {
    let start = name.len().saturating_sub(WRONG_ID.len());
    match name.split_at_checked(start) {
        Some((before, remark)) if remark.eq_ignore_ascii_case(WRONG_ID) => before.trim_end(),
        _ => name,
    }
}

/// What two registers' names of one company have in common: letters and digits in lower case,
/// without an alias in brackets (`… [AMD]`), a catalogue's remark `(Wrong ID)` and the legal form.
/// None where nothing is left to compare.
pub(super) fn match_key(name: &str) -> Option<String> {
    let folded = without_remark(name).to_lowercase();
    let mut name = folded.as_str();
    if let Some((before, _)) = name
        .strip_suffix(']')
        .and_then(|inner| inner.rsplit_once('['))
    {
        name = before.trim_end();
    }
    let mut words: Vec<&str> = name
        .split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .collect();
    while words.len() > 1 {
        let form = form_length(&words);
        if form == 0 || form >= words.len() {
            break;
        }
        words.truncate(words.len() - form);
    }
    let key = words.concat();
    (!key.is_empty()).then_some(key)
}

/// How many words at the end are a legal form: one (`gmbh`), or its letters (`s r l`).
fn form_length(words: &[&str]) -> usize {
    let is_form = |text: &str| COMPANY_FORMS.contains(&text);
    if words.last().is_some_and(|word| is_form(word)) {
        return 1;
    }
    let letters = words
        .iter()
        .rev()
        .take_while(|word| word.chars().count() == 1)
        .count();
    (2..=letters.min(4))
        .rev()
        .find(|&n| {
            let tail = words.get(words.len() - n..).unwrap_or_default();
            is_form(&tail.concat())
        })
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::indexing_slicing)]
    use super::*;

    const PCI: &str = "#\tcomment\n\n\
        001c  PEAK-System Technik GmbH\n\
        \t0001  PCAN-PCI CAN-Bus controller\n\
        # a remark\n\
        \t\t001c 0004  2 Channel CAN Bus SJC1000\n\
        \t\t8086 0005  Board\n\
        \t\t001c 0004  The same again\n\
        \t\tffff 0001  Of nobody\n\
        nonsense\n\
        \t0002  Belongs to no vendor\n\
        8086  Intel Corporation\n\
        \t1237  440FX - 82441FX PMC [Natoma]\n\
        \t12  Too short\n\
        \t\t1af4 1100  Belongs to no device\n\
        001c  PEAK again\n\
        \t0003  Later\n\
        C 00  Unclassified device\n\
        \t00  Non-VGA unclassified device\n\
        \t0001  looks like a device\n";

    fn items(catalogue: &Catalogue) -> Vec<Item> {
        let vendors = catalogue.vendors.iter();
        vendors
            .flat_map(|vendor| vendor.items("88.118.7"))
            .collect()
    }

    #[test]
    fn devices_and_subsystems_become_identifiers() {
        let catalogue = parse(Bus::Pci, PCI.as_bytes());
        let identifiers: Vec<_> = items(&catalogue)
            .into_iter()
            .map(|item| item.identifier)
            .collect();
        assert_eq!(
            identifiers,
            [
                "88.118.7/PCI-001c-0001",
                "88.118.7/PCI-001c-0001-001c-0004",
                "88.118.7/PCI-001c-0001-8086-0005",
                "88.118.7/PCI-001c-0001-ffff-0001",
                "88.118.7/PCI-001c-0003",
                "88.118.7/PCI-8086-1237",
            ]
        );
        assert_eq!(catalogue.devices, 3);
        assert_eq!(catalogue.subsystems, 3);
        assert_eq!(catalogue.repeated, 2);
        assert_eq!(catalogue.skipped, 4);
        let counted: usize = catalogue.vendors.iter().map(Vendor::item_count).sum();
        assert_eq!(counted, identifiers.len());
    }

    #[test]
    fn a_subsystem_names_the_vendor_that_comes_later_in_the_file() {
        let items = items(&parse(Bus::Pci, PCI.as_bytes()));
        let values: Vec<_> = items[2]
            .values
            .iter()
            .map(|(index, kind, data)| (*index, *kind, data.as_str()))
            .collect();
        assert_eq!(
            values,
            [
                (1, "PRODUCT", "PCAN-PCI CAN-Bus controller"),
                (2, "VENDOR", "PEAK-System Technik GmbH"),
                (3, "VENDOR_ID", "001c"),
                (4, "DEVICE_ID", "0001"),
                (5, "BUS", "pci"),
                (6, "SUBSYSTEM", "Board"),
                (7, "SUBSYSTEM_VENDOR", "Intel Corporation"),
                (8, "SUBSYSTEM_VENDOR_ID", "8086"),
                (9, "SUBSYSTEM_ID", "0005"),
            ]
        );
        assert!(items[3].values.iter().all(|(index, ..)| *index != 7));
    }

    #[test]
    fn usb_interfaces_and_class_lists_are_no_products() {
        let mut file =
            b"046d  Logitech, Inc.\n\tc52b  Unifying Receiver\n\t\t00  interface\n".to_vec();
        file.extend_from_slice(b"045e  Microsoft Corp.\n\t000e  SideWinder\xae Freestyle Pro\n");
        file.extend_from_slice(b"AT 0100  USB Streaming\n\t0200  not a device\n");
        let catalogue = parse(Bus::Usb, &file);
        let items = items(&catalogue);
        assert_eq!(items.len(), 2);
        assert_eq!(items[0].identifier, "88.118.7/USB-046d-c52b");
        assert_eq!(items[1].values[0].2, "SideWinder® Freestyle Pro");
        assert_eq!(items[1].values[4].2, "usb");
        assert_eq!(catalogue.skipped, 0);
    }

    #[test]
    fn company_names_match_without_their_legal_form() {
        for (one, other) in [
            ("Intel Corporation", "INTEL CORP."),
            (
                "Advanced Micro Devices, Inc. [AMD]",
                "Advanced Micro Devices",
            ),
            ("Boeye Technology Co., Ltd.", "BOEYE TECHNOLOGY CO.,LTD"),
            ("Trust International B.V.", "Trust International BV"),
            ("KRONOTECH SRL", "Kronotech S.r.l."),
            ("Rockwell Automation", "Rockwell-Automation"),
            ("Nokia Danmark A/S", "NOKIA DANMARK"),
            ("Allied Telesis, Inc (Wrong ID)", "Allied Telesis"),
            ("华为技术有限公司", "华为技术有限公司"),
        ] {
            assert!(match_key(one).is_some(), "{one}");
            assert_eq!(match_key(one), match_key(other), "{one} / {other}");
        }
        for (one, other) in [
            ("Intel Corporation", "Intelbras"),
            ("Planex", "Planex Communications"),
            ("AG", "SA"),
            ("S.A.", "B.V."),
        ] {
            assert_ne!(match_key(one), match_key(other), "{one} / {other}");
        }
        assert_eq!(match_key("?!"), None);
        assert_eq!(match_key("[unknown]"), None);
        assert_eq!(match_key("Co., Ltd."), Some("co".to_owned()));
    }
}
