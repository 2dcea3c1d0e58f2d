//! Escrow: every registered prefix is deposited once a day with the national node, whole or as
//! what has changed since the deposit before (docs/escrow.md).
//!
//! | module | holds |
//! |---|---|
//! | [`entry`] | the deposit log: one entry a deposit, in the journal |
//! | [`schedule`] | which prefix is due for what, by its entries and the time |
//! | `convert` | the registry's objects as those of deposits, and back |
//! | [`state`] | what a prefix has at one moment, in the order of a listing |
//! | [`make`] | a deposit from a moment of the registry into files |
//! | `moved` | whose deposits lack what another prefix's tells |
//! | [`sftp`] | the way to the receiver: uploads that go on where they were cut off |
//! | [`task`] | what does all this, once started |
//! | `verdict` | what the receiver says of what has arrived |
//! | [`restore`] | a registry from deposits |
//! | `prove` | that it is what was deposited, object by object |

mod convert;
pub mod entry;
mod events;
pub mod make;
mod moved;
mod prove;
pub mod restore;
pub mod schedule;
pub mod sftp;
mod spool;
pub mod state;
pub mod task;
#[cfg(test)]
mod tests;
mod verdict;

pub use entry::{Deposit, DepositLog, Status};
pub use make::MakeError;
pub use schedule::Plan;
pub use task::{Desk, Escrow, EscrowOptions};

use idnode_proto::identifier::Prefix;

/// The name of a prefix's directory: its canonical text, every character but letters, digits,
/// `-`, `_` and inner dots as `%` and two hexadecimal digits a byte.
pub fn directory_name(prefix: &Prefix) -> String {
    let text = prefix.canonical();
    let mut name = String::with_capacity(text.len());
    for (place, byte) in text.bytes().enumerate() {
        let plain =
            byte.is_ascii_alphanumeric() || b"-_".contains(&byte) || (byte == b'.' && place > 0);
        match plain {
            true => name.push(char::from(byte)),
            false => name.push_str(&format!("%{byte:02X}")),
        }
    }
    name
}
