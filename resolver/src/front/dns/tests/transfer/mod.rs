//! Zone transfers: copies kept by whole transfers and by differences are the same, and answer
//! what the node answers.

mod access;
mod copy;
mod history;

use super::harness;
