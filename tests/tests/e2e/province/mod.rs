//! Six nodes and a national node on one machine, by `idprovince`.

mod links;
mod load;
mod plain;
pub(crate) mod world;
