//! `idctl handle`: handles created, changed, deleted and listed over the Handle protocol (RFC 3652
//! §3.6, §3.7), as any of its clients does it.

mod mirror;
mod server;

use clap::Subcommand;
use idnode_proto::api;
use idnode_proto::handle::body::change::decode_created;
use idnode_proto::handle::{MessageTooLong, OpFlags, RequestHead, Response, ResponseBody};
use idnode_proto::value::Value;
use serde_json::json;
use std::ops::ControlFlow;

use super::error::Failure;
use super::output::Table;
use super::session::Session;
use super::value_arg::ValueArgs;
use super::wire_value::wire_value;
use crate::handle_client::one_message;
use server::ServerArgs;

/// What the handle of a prefix begins with.
const PREFIX_HANDLES: &str = "0.NA/";

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Create a handle
    ///
    /// Values without an index get the lowest ones that are free.
    Create {
        /// E.g. 88.118.8/JXDY2106023
        handle: String,
        #[command(flatten)]
        values: ValueArgs,
        /// Replace all that is there
        #[arg(long)]
        overwrite: bool,
        /// Let the server make up the end of the handle, behind what is given
        #[arg(long, conflicts_with = "overwrite")]
        mint: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Delete a handle
    Delete {
        handle: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Add values, each with an index that is free
    AddValues {
        handle: String,
        #[command(flatten)]
        values: ValueArgs,
        /// Replace values that are there
        #[arg(long)]
        overwrite: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Put values in place of those with the same indexes
    ModifyValues {
        handle: String,
        #[command(flatten)]
        values: ValueArgs,
        /// Add values that are not there
        #[arg(long)]
        overwrite: bool,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Remove values
    RemoveValues {
        handle: String,
        /// Indexes of the values
        #[arg(required = true, value_name = "INDEX")]
        indexes: Vec<u32>,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the handles of a prefix, as they come
    List {
        /// E.g. 88.118.8, which means 0.NA/88.118.8
        prefix: String,
        #[command(flatten)]
        server: ServerArgs,
    },
    /// Print the changes of identifiers from a number on, as JSON Lines
    ///
    /// Where to go on is on the error output, {"next":N}.
    Transactions(mirror::TransactionsArgs),
    /// Write identifiers with their values as JSON Lines, as idctl export does
    ///
    /// The number on the error output, {"number":N}, is of the last change that is in all of it: mirrors
    /// go on with the changes from the next one on.
    Dump(mirror::DumpArgs),
    /// Have the server back up its registry (the operator)
    Backup {
        #[command(flatten)]
        server: ServerArgs,
    },
    /// List the prefixes at home on the server, from one down
    ListPrefixes {
        /// E.g. 88.118, which means 0.NA/88.118
        prefix: String,
        #[command(flatten)]
        server: ServerArgs,
    },
}

pub(crate) async fn run(command: Command, session: &Session) -> Result<(), Failure> {
    match command {
        Command::Create {
            handle,
            values,
            overwrite,
            mint,
            server,
        } => {
            let mut values = values.read()?;
            number(&mut values)?;
            let values = wire_values(values)?;
            let flags = overwriting(overwrite) | if mint { OpFlags::MINT } else { OpFlags::NONE };
            let write = |head: &RequestHead| head.create(&handle, &values);
            let answer = ask(&server, session, flags, write).await?;
            let ResponseBody::Other(body) = &answer.body else {
                return Err(misfit(&server));
            };
            let made = decode_created(body).map_err(|_| misfit(&server))?;
            show_done(session, made.unwrap_or(&handle), &answer)
        }
        Command::Delete { handle, server } => {
            let write = |head: &RequestHead| head.delete(&handle);
            let answer = ask(&server, session, OpFlags::NONE, write).await?;
            show_done(session, &handle, &answer)
        }
        Command::AddValues {
            handle,
            values,
            overwrite,
            server,
        } => {
            let values = numbered_values(values)?;
            let write = |head: &RequestHead| head.add_values(&handle, &values);
            let answer = ask(&server, session, overwriting(overwrite), write).await?;
            show_done(session, &handle, &answer)
        }
        Command::ModifyValues {
            handle,
            values,
            overwrite,
            server,
        } => {
            let values = numbered_values(values)?;
            let write = |head: &RequestHead| head.modify_values(&handle, &values);
            let answer = ask(&server, session, overwriting(overwrite), write).await?;
            show_done(session, &handle, &answer)
        }
        Command::RemoveValues {
            handle,
            indexes,
            server,
        } => {
            let write = |head: &RequestHead| head.remove_values(&handle, &indexes);
            let answer = ask(&server, session, OpFlags::NONE, write).await?;
            show_done(session, &handle, &answer)
        }
        Command::List { prefix, server } => {
            let prefix = handle_of(&prefix);
            let write = |head: &RequestHead| head.list_handles(&prefix);
            list("handles", write, &server, session).await
        }
        Command::Transactions(args) => mirror::transactions(args, session).await,
        Command::Dump(args) => mirror::dump(args, session).await,
        Command::Backup { server } => mirror::back_up(server, session).await,
        Command::ListPrefixes { prefix, server } => {
            let prefix = handle_of(&prefix);
            let write = |head: &RequestHead| head.list_prefixes(&prefix);
            list("prefixes", write, &server, session).await
        }
    }
}

/// One request whose answer is one message.
async fn ask(
    server: &ServerArgs,
    session: &Session,
    flags: OpFlags,
    write: impl FnOnce(&RequestHead) -> Result<Vec<u8>, MessageTooLong>,
) -> Result<Response, Failure> {
    server
        .ask(session.timeout(), flags, write, one_message)
        .await
}

/// The handle of a prefix that is named by it or by itself.
fn handle_of(prefix: &str) -> String {
    let named = prefix
        .get(..PREFIX_HANDLES.len())
        .is_some_and(|start| start.eq_ignore_ascii_case(PREFIX_HANDLES));
    match named {
        true => prefix.to_owned(),
        false => format!("{PREFIX_HANDLES}{prefix}"),
    }
}

/// Prints each message of a list when it comes: a list may be longer than memory, and reading slowly
/// keeps the server from making more of it.
async fn list(
    name: &'static str,
    write: impl FnOnce(&RequestHead) -> Result<Vec<u8>, MessageTooLong>,
    server: &ServerArgs,
    session: &Session,
) -> Result<(), Failure> {
    let mut list = session.out.list(name);
    let mut print = |part: Response| match part.body {
        ResponseBody::Handles(listed) => list.print(&listed),
        _ => Err(misfit(server)),
    };
    let mut printed = Ok(());
    let take = |part| {
        printed = print(part);
        match printed {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    let last = server
        .ask(session.timeout(), OpFlags::NONE, write, take)
        .await;
    printed?;
    print(last?)?;
    list.end()
}

fn show_done(session: &Session, handle: &str, answer: &Response) -> Result<(), Failure> {
    session.out.show(
        || json!({"handle": handle, "response_code": answer.code.0}),
        || {
            let operation = answer.header.op_code.words().unwrap_or_default();
            Table::of_one(&[
                ("handle", handle.to_owned()),
                ("done", operation.to_owned()),
            ])
        },
    )
}

fn misfit(server: &ServerArgs) -> Failure {
    let server = server.address();
    Failure::Answer(format!("{server} answers what fits no such request"))
}

fn overwriting(overwrite: bool) -> OpFlags {
    match overwrite {
        true => OpFlags::OVERWRITE,
        false => OpFlags::NONE,
    }
}

/// Gives the values of a new handle indexes, as far as they have none: in the protocol it is the
/// client that chooses them.
fn number(values: &mut [api::Value]) -> Result<(), Failure> {
    let mut taken: std::collections::BTreeSet<u32> =
        values.iter().map(|value| value.index).collect();
    let mut next = 1;
    for value in values.iter_mut().filter(|value| value.index == 0) {
        while !taken.insert(next) {
            next += 1;
        }
        value.index = next;
    }
    match values.is_empty() {
        true => Err(no_values()),
        false => Ok(()),
    }
}

/// Values for a handle that has some already.
fn numbered_values(values: ValueArgs) -> Result<Vec<Value>, Failure> {
    let values = values.read()?;
    if values.is_empty() {
        return Err(no_values());
    }
    if let Some(value) = values.iter().find(|value| value.index == 0) {
        return Err(Failure::Usage(format!(
            "the {} value has no index: over the Handle protocol each has one, INDEX:TYPE=DATA",
            value.r#type
        )));
    }
    wire_values(values)
}

fn no_values() -> Failure {
    Failure::Usage("there are no values: --value, --values-file".to_owned())
}

/// As the protocol has them.
fn wire_values(values: Vec<api::Value>) -> Result<Vec<Value>, Failure> {
    let values = values.into_iter().map(wire_value);
    values.collect::<Result<_, _>>().map_err(Failure::Usage)
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use super::*;

    #[test]
    fn values_of_a_new_handle_get_the_lowest_free_indexes() {
        let of = |index| api::Value {
            index,
            ..api::Value::default()
        };
        let mut values = [of(0), of(2), of(0), of(1), of(0)];
        number(&mut values).unwrap();
        assert_eq!(values.map(|value| value.index), [3, 2, 4, 1, 5]);
        assert!(number(&mut []).is_err());
    }

    #[test]
    fn a_secret_key_is_not_public_unless_that_is_said() {
        let of = |kind: &str, permissions| api::Value {
            index: 1,
            r#type: kind.to_owned(),
            permissions,
            ..api::Value::default()
        };
        let values = vec![
            of("HS_SECKEY", None),
            of("hs_seckey", None),
            of("HS_SECKEY", Some(0b1110)),
            of("URL", None),
        ];
        let values = wire_values(values).unwrap();
        let permissions: Vec<_> = values.iter().map(|value| value.permissions.0).collect();
        assert_eq!(permissions, [0b1100, 0b1100, 0b1110, 0b1110]);
    }
}
