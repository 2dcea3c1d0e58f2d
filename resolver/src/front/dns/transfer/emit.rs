//! Records of one thing after another, without what the last one has had already.

use super::contents::{Contents, Thing};
use hickory_proto::rr::{Name, RData, Record};

/// Makes records of things that come in the order of keys.
#[derive(Debug, Default)]
pub(super) struct Emitter {
    records: Vec<Record>,
    /// The last cut: GS1 keys in the node's zone are cut off one by one, with all that is
    /// registered below them.
    cut: Option<Name>,
}

impl Emitter {
    /// The records at a thing's names; none where its cut has been told.
    pub(super) fn records(&mut self, contents: &Contents<'_>, thing: &Thing) -> &[Record] {
        self.records.clear();
        contents.of(thing, &mut self.records);
        if let Some(first) = self.records.first() {
            let cut = matches!(first.data, RData::NS(_)).then(|| first.name.clone());
            if cut.is_some() && cut == self.cut {
                self.records.clear();
            }
            self.cut = cut;
        }
        &self.records
    }
}
