//! The zone as a secondary has it: transferred whole, then changed by differences, as `dig` shows
//! both.

use std::collections::{BTreeSet, HashMap};

use super::model::{Allowed, Model, Names, is_live};

/// The records of a zone by owner, without its SOA record.
#[derive(Debug, Default)]
pub(super) struct Zone {
    /// Its serial number; nothing before the first transfer.
    pub(super) serial: Option<u32>,
    owners: HashMap<String, BTreeSet<String>>,
}

/// What a transfer was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The whole zone (RFC 5936).
    Whole,
    /// Differences (RFC 1995).
    Differences,
    /// There was nothing new.
    Nothing,
}

/// One record of `dig`'s output.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Record {
    owner: String,
    /// TTL, type and data.
    rest: String,
    /// Of a SOA record.
    serial: Option<u32>,
}

impl Record {
    /// Reads `owner TTL IN TYPE data`; nothing for a remark or an empty line.
    fn read(line: &str) -> Option<Result<Self, String>> {
        if line.is_empty() || line.starts_with(';') {
            return None;
        }
        let mut rest = line;
        let mut words = [""; 4];
        for word in &mut words {
            let (head, tail) = rest.split_once([' ', '\t'])?;
            *word = head;
            rest = tail.trim_start_matches([' ', '\t']);
        }
        let [owner, ttl_s, _, kind] = words;
        let serial = (kind == "SOA").then(|| rest.split(' ').nth(2)?.parse().ok());
        Some(match serial {
            Some(None) => Err(format!("an odd SOA record: {line}")),
            serial => Ok(Self {
                owner: owner.to_ascii_lowercase(),
                rest: format!("{ttl_s} {kind} {rest}"),
                serial: serial.flatten(),
            }),
        })
    }
}

impl Zone {
    /// Takes a transfer in.
    pub(super) fn apply(&mut self, output: &str) -> Result<Kind, String> {
        let records: Vec<Record> = output
            .lines()
            .filter_map(Record::read)
            .collect::<Result<_, _>>()?;
        let [first, rest @ ..] = records.as_slice() else {
            return Err(format!("no records: {}", output.trim()));
        };
        let serial = first.serial.ok_or("the first record is no SOA")?;
        let Some((last, inner)) = rest.split_last() else {
            return match self.serial {
                Some(own) if own >= serial => Ok(Kind::Nothing),
                _ => Err("a transfer that is not whole".to_owned()),
            };
        };
        if last.serial != Some(serial) {
            return Err(format!("the last record is no SOA of serial {serial}"));
        }
        let kind = match inner.first().and_then(|record| record.serial) {
            Some(_) => {
                self.change(inner, serial)?;
                Kind::Differences
            }
            None => {
                self.replace(inner)?;
                Kind::Whole
            }
        };
        self.serial = Some(serial);
        Ok(kind)
    }

    fn replace(&mut self, records: &[Record]) -> Result<(), String> {
        self.owners.clear();
        records.iter().try_for_each(|record| self.add(record))
    }

    /// Difference sequences (RFC 1995 §4): a SOA of the older serial, what goes, a SOA of the
    /// newer one, what comes.
    fn change(&mut self, records: &[Record], serial: u32) -> Result<(), String> {
        let mut current = self.serial.ok_or("a difference to nothing")?;
        let mut adds = true;
        for record in records {
            match record.serial {
                Some(older) if adds => {
                    if older != current {
                        return Err(format!("a difference to {older}, not to {current}"));
                    }
                    adds = false;
                }
                Some(newer) => {
                    current = newer;
                    adds = true;
                }
                None if adds => self.add(record)?,
                None => self.remove(record)?,
            }
        }
        match adds && current == serial {
            true => Ok(()),
            false => Err(format!("differences that end at {current}, not {serial}")),
        }
    }

    fn add(&mut self, record: &Record) -> Result<(), String> {
        let records = self.owners.entry(record.owner.clone()).or_default();
        match record.serial.is_none() && records.insert(record.rest.clone()) {
            true => Ok(()),
            false => Err(format!("comes twice: {} {}", record.owner, record.rest)),
        }
    }

    fn remove(&mut self, record: &Record) -> Result<(), String> {
        let records = self.owners.get_mut(&record.owner);
        let removed = records.is_some_and(|records| records.remove(&record.rest));
        if self
            .owners
            .get(&record.owner)
            .is_some_and(BTreeSet::is_empty)
        {
            self.owners.remove(&record.owner);
        }
        match removed {
            true => Ok(()),
            false => Err(format!(
                "goes though it is not there: {} {}",
                record.owner, record.rest
            )),
        }
    }

    /// What differs from the model: each identifier has to be in a version from the one that was
    /// acknowledged before the transfer (`before`) to the last begun.
    pub(super) fn compare(&self, model: &Model, names: &Names, before: &[u32]) -> Vec<String> {
        let mut differences = Vec::new();
        let mut known = 0;
        for (number, &oldest) in (0_u32..).zip(before) {
            let allowed = Allowed {
                oldest,
                newest: model.begun(number),
            };
            let owner = names.owner(number);
            let records = self.owners.get(&owner);
            known += usize::from(records.is_some());
            let fits = |version| match records {
                None => !is_live(version),
                Some(records) => {
                    // Types beyond these three may come of the same values.
                    let is_known = |line: &&String| {
                        let kind = line.split(' ').nth(1);
                        kind.is_some_and(|kind| ["TXT", "URI", "NAPTR"].contains(&kind))
                    };
                    let own = records.iter().filter(is_known);
                    is_live(version) && own.eq(names.lines(number, version).iter())
                }
            };
            if !allowed.versions().any(fits) {
                differences.push(format!(
                    "the zone of serial {:?} has {owner} {records:?}, allowed are versions {} to {}",
                    self.serial, allowed.oldest, allowed.newest
                ));
            }
        }
        let is_own = |owner: &&String| names.number_of_owner(owner).is_some();
        if self.owners.keys().filter(is_own).count() != known {
            differences.push("the zone has names of no identifier".to_owned());
        }
        differences
    }
}

#[cfg(test)]
mod tests {
    #![allow(
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::panic,
        clippy::indexing_slicing
    )]

    use super::*;

    fn names() -> Names {
        Names {
            prefix: "88.118.8".to_owned(),
            zone: "id.example.".to_owned(),
        }
    }

    fn soa(serial: u32) -> String {
        format!("id.example.\t\t3600\tIN\tSOA\tns1.id.example. h.id.example. {serial} 1 2 3 4\n")
    }

    fn records(number: u32, version: u32) -> String {
        let owner = names().owner(number);
        let lines = names().lines(number, version);
        let text = lines.iter().map(|line| {
            let (ttl_s, rest) = line.split_once(' ').unwrap();
            format!("{owner} {ttl_s} IN {}\n", rest.replacen(' ', "\t", 1))
        });
        text.collect()
    }

    fn whole() -> (Zone, Model) {
        let mut zone = Zone::default();
        let text = soa(5) + "id.example. 3600 IN NS ns1.id.example.\n" + &records(0, 1);
        assert_eq!(zone.apply(&(text + &soa(5))), Ok(Kind::Whole));
        (zone, Model::new(1, 1))
    }

    #[test]
    fn a_whole_zone_is_compared_with_the_model() {
        let (zone, model) = whole();
        let before = model.all_acknowledged();
        assert_eq!(zone.compare(&model, &names(), &before), [""; 0]);
        let found = zone.compare(&Model::new(2, 0), &names(), &[1, 1]);
        assert_eq!(found.len(), 1, "{found:?}");
        model.begin(0).unwrap();
        model.acknowledge(0, 2, 6);
        let after = model.all_acknowledged();
        assert_eq!(zone.compare(&model, &names(), &before), [""; 0]);
        assert_eq!(zone.compare(&model, &names(), &after).len(), 1);
    }

    #[test]
    fn differences_have_to_fit_what_is_there() {
        let (mut zone, model) = whole();
        model.begin(0).unwrap();
        model.acknowledge(0, 2, 6);
        let difference = |old, gone: String, come: String| {
            [soa(6), soa(old), gone, soa(6), come, soa(6)].concat()
        };
        let (gone, come) = (records(0, 1), records(0, 2));
        assert!(
            zone.apply(&difference(4, gone.clone(), come.clone()))
                .is_err()
        );
        let right = difference(5, gone.clone(), come.clone());
        assert_eq!(zone.apply(&right), Ok(Kind::Differences));
        assert_eq!(zone.serial, Some(6));
        let after = model.all_acknowledged();
        assert_eq!(zone.compare(&model, &names(), &after), [""; 0]);
        assert_eq!(zone.apply(&soa(6)), Ok(Kind::Nothing));
        let again = difference(6, gone, String::new());
        assert!(zone.apply(&again).unwrap_err().contains("not there"));
    }

    #[test]
    fn what_is_cut_off_is_refused() {
        let (mut zone, _) = whole();
        assert!(zone.apply("; Transfer failed.\n").is_err());
        assert!(zone.apply(&(soa(9) + &records(0, 1))).is_err());
        assert!(zone.apply(&soa(9)).is_err());
    }
}
