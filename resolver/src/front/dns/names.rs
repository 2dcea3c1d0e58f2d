//! The names of identifiers and prefixes in one zone.

use hickory_proto::rr::Name;
use idnode_proto::dnsname::{
    MappedName, ZoneKind, Zones, ons_name, ons_prefix_names, ors_name, prefix_to_name, to_name,
};
use idnode_proto::identifier::{Identifier, Prefix};

/// The name an identifier has in a zone of this kind; `None`: it has none there.
pub(super) fn of_identifier(
    identifier: &Identifier,
    kind: ZoneKind,
    zones: &Zones,
) -> Option<MappedName> {
    match kind {
        ZoneKind::Node => Some(to_name(identifier, zones)),
        ZoneKind::Ors => ors_name(identifier, zones),
        ZoneKind::Ons => ons_name(identifier, zones),
    }
}

/// The names a prefix has in a zone of this kind; in the ONS zone one below each kind of key.
pub(super) fn of_prefix(prefix: &Prefix, kind: ZoneKind, zones: &Zones) -> Vec<MappedName> {
    match kind {
        ZoneKind::Node => vec![prefix_to_name(prefix, zones)],
        ZoneKind::Ors => {
            let arc = prefix.prefix_identifier();
            arc.and_then(|arc| ors_name(&arc, zones))
                .into_iter()
                .collect()
        }
        ZoneKind::Ons => ons_prefix_names(prefix, zones),
    }
}

/// As the DNS library has names.
pub(super) fn to_dns(mapped: &MappedName) -> Option<Name> {
    // Names made by the mapping fit.
    Name::from_labels(mapped.labels()).ok()
}
