//! Trusted resolution: what the node signs, what `idctl` verifies, what trusted queries are told.

mod certified;
mod files;
mod native;
mod own_key;
mod recursion;
mod room;
mod signing;
mod world;
