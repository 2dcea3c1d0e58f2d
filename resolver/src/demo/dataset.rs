//! The demonstration's data set: real organisations, their address blocks and their products.
//!
//! | source (Debian package) | organisations | identifiers |
//! |---|---|---|
//! | IEEE Registration Authority (`ieee-data`) | holders of MAC address blocks | one a block |
//! | PCI ID catalogue (`pci.ids`) | vendors | one a device, one a subsystem |
//! | USB ID catalogue (`usb.ids`) | vendors | one a device |
//!
//! The same packages always give the same identifiers. Organisation *n*, counted from 1001, has
//! the prefix `88.118.n`: IEEE holders first, by first appearance in the listing's files (sorted by
//! name, rows as they stand), then the PCI and then the USB vendors that are none of those before.
//! Two IEEE names are one organisation when they differ only in case and surrounding space; a
//! vendor is the organisation of the same name, or else the first whose name is the same without
//! its legal form. A row that repeats an assignment of the same organisation adds nothing: the
//! first one stands and [`Counts::repeated`] tells how many there were.
//!
//! Holders that asked the IEEE not to be named are one organisation, "Private", which has no
//! address of its own and which no vendor is taken for.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use thiserror::Error;

use super::catalogue::{self, Bus, Catalogue, Vendor};
use super::ieee::{self, Assignment};

/// The secondary node's own prefix (二级节点前缀), above every organisation's.
pub const NODE_PREFIX: &str = "88.118";
/// The number of the first organisation.
pub const FIRST_NUMBER: usize = 1001;

/// Far above any release of the files, so that a wrong path cannot fill the memory.
const MAX_FILE_BYTES: u64 = 64 * 1024 * 1024;

/// Where the data set's files are.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sources {
    /// The folder of `oui.csv`, `mam.csv`, `oui36.csv` and `iab.csv`.
    pub ieee: PathBuf,
    /// The file `pci.ids`.
    pub pci: PathBuf,
    /// The file `usb.ids`.
    pub usb: PathBuf,
}

impl Default for Sources {
    /// Where the Debian packages put them.
    fn default() -> Self {
        Sources {
            ieee: "/usr/share/ieee-data".into(),
            pci: "/usr/share/misc/pci.ids".into(),
            usb: "/usr/share/misc/usb.ids".into(),
        }
    }
}

/// Why the data set could not be read.
#[derive(Debug, Error)]
pub enum DataSetError {
    /// A file is not there.
    #[error("{} is missing: install the Debian package {package}", path.display())]
    Missing {
        /// The file.
        path: PathBuf,
        /// The package that has it.
        package: &'static str,
    },
    /// A file is there but cannot be read.
    #[error("{} cannot be read: {error}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
    /// A file is something else than its name says.
    #[error("{} is not what the Debian package {package} installs: {problem}", path.display())]
    Foreign {
        /// The file.
        path: PathBuf,
        /// The package that has the right one.
        package: &'static str,
        /// What is wrong with it.
        problem: String,
    },
}

/// The register an organisation was first found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Source {
    /// The IEEE Registration Authority's public listing.
    Ieee,
    /// The PCI ID catalogue.
    Pci,
    /// The USB ID catalogue.
    Usb,
}

/// An organisation that becomes an enterprise with a prefix of its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Organisation {
    /// The name as first registered, without surrounding space.
    pub name: String,
    /// Its first address in the register, on one line; empty when the register has none.
    pub address: String,
    /// The country of that address as the register has it (ISO 3166-1 alpha-2), which it sometimes
    /// has wrong; none where the address names no country.
    pub country: Option<&'static str>,
    /// Where it was first found.
    pub source: Source,
    /// Its first entry there: `IEEE MA-L 0050C2`, `PCI 8086`, `USB 046d`.
    pub register_number: String,
    /// Its prefix (企业前缀), `88.118.1001`.
    pub prefix: String,
}

/// One identifier with its values, all of them public.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Item {
    /// The identifier, `88.118.1501/70B3D5F2F` or `88.118.1501/PCI-8086-1237`.
    pub identifier: String,
    /// Index, type and data of each value; an index stands for the same type in every item of a
    /// kind, so one that does not apply leaves a gap.
    pub values: Vec<(u32, &'static str, String)>,
}

/// What the files hold, whatever the limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Rows of the four IEEE files, without their headings.
    pub ieee_rows: usize,
    /// Distinct holders in them.
    pub ieee_organisations: usize,
    /// Rows whose holder is not shown ("Private").
    pub private_rows: usize,
    /// Vendors in `pci.ids`.
    pub pci_vendors: usize,
    /// Devices in `pci.ids`.
    pub pci_devices: usize,
    /// Subsystems in `pci.ids`.
    pub pci_subsystems: usize,
    /// Vendors in `usb.ids`.
    pub usb_vendors: usize,
    /// Devices in `usb.ids`.
    pub usb_devices: usize,
    /// PCI and USB vendors found to be an IEEE holder.
    pub matched_vendors: usize,
    /// Organisations of all registers together.
    pub organisations: usize,
    /// Identifiers of all registers together.
    pub items: usize,
    /// Rows and entries that repeat one before them.
    pub repeated: usize,
    /// Rows and lines that could not be read and were left out.
    pub skipped: usize,
}

/// The data set in memory; items are put together as they are asked for.
#[derive(Debug)]
pub struct DataSet {
    /// The organisations in the order of their prefixes; under a limit, those up to the last
    /// that has an item within it.
    pub organisations: Vec<Organisation>,
    counts: Counts,
    /// Sorted by organisation.
    blocks: Vec<Block>,
    /// Sorted by organisation.
    vendors: Vec<(usize, Vendor)>,
    limit: usize,
}

/// One IEEE row under the organisation that holds it.
#[derive(Debug)]
struct Block {
    organisation: usize,
    assignment: Assignment,
    name: String,
    address: String,
}

impl DataSet {
    /// Reads the files; with `limit`, keeps the first so many items and what they need. An
    /// identifier is the same with and without a limit.
    ///
    /// # Errors
    /// [`DataSetError`], naming the file and the package it belongs to.
    pub fn load(sources: &Sources, limit: Option<usize>) -> Result<Self, DataSetError> {
        let mut gathering = Gathering::default();
        for name in ieee::FILES {
            let path = sources.ieee.join(name);
            let file = read(&path, "ieee-data")?;
            let foreign = |problem| DataSetError::Foreign {
                path: path.clone(),
                package: "ieee-data",
                problem,
            };
            let listing = ieee::parse(&file).map_err(foreign)?;
            gathering.take_listing(listing);
        }
        for (bus, path, package) in [
            (Bus::Pci, &sources.pci, "pci.ids"),
            (Bus::Usb, &sources.usb, "usb.ids"),
        ] {
            let catalogue = catalogue::parse(bus, &read(path, package)?);
            if catalogue.devices == 0 {
                return Err(DataSetError::Foreign {
                    path: path.clone(),
                    package,
                    problem: "it lists no device".to_owned(),
                });
            }
            gathering.take_catalogue(bus, catalogue);
        }
        Ok(gathering.finish(limit))
    }

    /// The identifiers with their values, organisation by organisation in the order of
    /// [`Self::organisations`]: its blocks, then its PCI and USB devices.
    pub fn items(&self) -> impl Iterator<Item = Item> {
        let organisations = self.organisations.iter().enumerate();
        organisations
            .flat_map(|(number, organisation)| {
                let prefix = organisation.prefix.as_str();
                let blocks = of_organisation(&self.blocks, number, |block| block.organisation);
                let vendors = of_organisation(&self.vendors, number, |(owner, _)| *owner);
                blocks.iter().map(move |block| block.item(prefix)).chain(
                    vendors
                        .iter()
                        .flat_map(move |(_, vendor)| vendor.items(prefix)),
                )
            })
            .take(self.limit)
    }

    /// How many items [`Self::items`] gives.
    pub fn item_count(&self) -> usize {
        self.counts.items.min(self.limit)
    }

    /// What the files hold, whatever the limit.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// Leaves the organisations after the one that has the last item within the limit.
    fn shorten(&mut self) {
        if self.limit >= self.counts.items {
            return;
        }
        let mut held = vec![0; self.organisations.len()];
        let blocks = self.blocks.iter().map(|block| (block.organisation, 1));
        let vendors = self.vendors.iter();
        for (owner, items) in blocks.chain(vendors.map(|(owner, v)| (*owner, v.item_count()))) {
            if let Some(held) = held.get_mut(owner) {
                *held += items;
            }
        }
        let mut before = 0;
        let needed = held.iter().take_while(|items| {
            let wanted = before < self.limit;
            before += **items;
            wanted
        });
        self.organisations.truncate(needed.count());
    }
}

/// The part of `sorted` that belongs to one organisation.
fn of_organisation<T>(sorted: &[T], number: usize, owner: impl Fn(&T) -> usize) -> &[T] {
    let start = sorted.partition_point(|entry| owner(entry) < number);
    let end = sorted.partition_point(|entry| owner(entry) <= number);
    sorted.get(start..end).unwrap_or_default()
}

impl Block {
    fn item(&self, prefix: &str) -> Item {
        let digits = self.assignment.digits();
        let identifier = format!("{prefix}/{digits}");
        let mut values = vec![
            (1, "REGISTRY", self.assignment.registry.as_str().to_owned()),
            (2, "ASSIGNMENT", digits),
            (3, "ORGANIZATION", self.name.clone()),
        ];
        if !self.address.is_empty() {
            values.push((4, "ADDRESS", self.address.clone()));
        }
        values.push((5, "FIRST_ADDRESS", self.assignment.first_address()));
        values.push((6, "BLOCK_SIZE", self.assignment.block_size().to_string()));
        Item { identifier, values }
    }
}

/// The data set while its files are read.
#[derive(Default)]
struct Gathering {
    organisations: Vec<Organisation>,
    /// Names in lower case.
    by_name: HashMap<String, usize>,
    /// Names without legal form, first come.
    by_match_key: HashMap<String, usize>,
    assignments: HashSet<(usize, Assignment)>,
    blocks: Vec<Block>,
    vendors: Vec<(usize, Vendor)>,
    counts: Counts,
}

impl Gathering {
    fn take_listing(&mut self, listing: ieee::Listing) {
        self.counts.ieee_rows += listing.rows.len();
        self.counts.skipped += listing.skipped;
        for row in listing.rows {
            let organisation = self.holder(&row);
            if self.assignments.insert((organisation, row.assignment)) {
                self.blocks.push(Block {
                    organisation,
                    assignment: row.assignment,
                    name: row.name,
                    address: row.address,
                });
            } else {
                self.counts.repeated += 1;
            }
        }
        self.counts.ieee_organisations = self.organisations.len();
    }

    fn holder(&mut self, row: &ieee::Row) -> usize {
        let private = row.name.eq_ignore_ascii_case(ieee::PRIVATE);
        if private {
            self.counts.private_rows += 1;
        }
        let known = self.by_name.get(&row.name.to_lowercase()).copied();
        let number = known.unwrap_or_else(|| {
            let (registry, digits) = (row.assignment.registry, row.assignment.digits());
            let register_number = format!("IEEE {} {digits}", registry.as_str());
            self.add(&row.name, Source::Ieee, register_number)
        });
        if let Some(organisation) = self.organisations.get_mut(number)
            && !private
            && organisation.address.is_empty()
        {
            organisation.address.clone_from(&row.address);
            organisation.country = ieee::country(&row.address);
        }
        number
    }

    fn take_catalogue(&mut self, bus: Bus, catalogue: Catalogue) {
        let (vendors, devices) = (catalogue.vendors.len(), catalogue.devices);
        match bus {
            Bus::Pci => {
                (self.counts.pci_vendors, self.counts.pci_devices) = (vendors, devices);
                self.counts.pci_subsystems = catalogue.subsystems;
            }
            Bus::Usb => (self.counts.usb_vendors, self.counts.usb_devices) = (vendors, devices),
        }
        self.counts.repeated += catalogue.repeated;
        self.counts.skipped += catalogue.skipped;
        for vendor in catalogue.vendors {
            let maker = self.maker(&vendor);
            if maker < self.counts.ieee_organisations {
                self.counts.matched_vendors += 1;
            }
            self.vendors.push((maker, vendor));
        }
    }

    fn maker(&mut self, vendor: &Vendor) -> usize {
        let by_name = self.by_name.get(&vendor.name.to_lowercase());
        let private = self.by_name.get(&ieee::PRIVATE.to_lowercase());
        let known = by_name
            .filter(|number| Some(*number) != private)
            .or_else(|| self.by_match_key.get(&catalogue::match_key(&vendor.name)?))
            .copied();
        known.unwrap_or_else(|| {
            let source = match vendor.bus {
                Bus::Pci => Source::Pci,
                Bus::Usb => Source::Usb,
            };
            let register_number = format!("{} {:04x}", vendor.bus.title(), vendor.id);
            let name = catalogue::without_remark(&vendor.name);
            self.add(name, source, register_number)
        })
    }

    fn add(&mut self, name: &str, source: Source, register_number: String) -> usize {
        let number = self.organisations.len();
        self.organisations.push(Organisation {
            name: name.to_owned(),
            address: String::new(),
            country: None,
            source,
            register_number,
            prefix: format!("{NODE_PREFIX}.{}", FIRST_NUMBER + number),
        });
        self.by_name.entry(name.to_lowercase()).or_insert(number);
        let hidden = source == Source::Ieee && name.eq_ignore_ascii_case(ieee::PRIVATE);
        if !hidden && let Some(key) = catalogue::match_key(name) {
            self.by_match_key.entry(key).or_insert(number);
        }
        number
    }

    fn finish(mut self, limit: Option<usize>) -> DataSet {
        self.blocks.sort_by_key(|block| block.organisation);
        self.vendors.sort_by_key(|(maker, _)| *maker);
        let vendors = self.vendors.iter();
        let products: usize = vendors.map(|(_, vendor)| vendor.item_count()).sum();
        self.counts.items = self.blocks.len() + products;
        self.counts.organisations = self.organisations.len();
        let mut data_set = DataSet {
            organisations: self.organisations,
            counts: self.counts,
            blocks: self.blocks,
            vendors: self.vendors,
            limit: limit.unwrap_or(usize::MAX),
        };
        data_set.shorten();
        data_set
    }
}

fn read(path: &Path, package: &'static str) -> Result<Vec<u8>, DataSetError> {
    let unreadable = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound => DataSetError::Missing {
            path: path.to_owned(),
            package,
        },
        _ => DataSetError::Unreadable {
            path: path.to_owned(),
            error,
        },
    };
    let file = File::open(path).map_err(unreadable)?;
    let mut bytes = Vec::new();
    file.take(MAX_FILE_BYTES + 1)
        .read_to_end(&mut bytes)
        .map_err(unreadable)?;
    if bytes.len() as u64 > MAX_FILE_BYTES {
        return Err(DataSetError::Foreign {
            path: path.to_owned(),
            package,
            problem: format!("it is larger than {MAX_FILE_BYTES} bytes"),
        });
    }
    Ok(bytes)
}

/// Text of a register: UTF-8, or the ISO 8859-1 that older releases have in places.
pub(super) fn decode(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|&byte| char::from(byte)).collect()),
    }
}

/// The text with every run of white space as one space, and none around it.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
