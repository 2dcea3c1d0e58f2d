//! Registration data: IIIDAP asked by curl, WHOIS asked by Debian's `whois`.

mod answers;
mod shape;
mod tiers;
mod whois;
mod world;
