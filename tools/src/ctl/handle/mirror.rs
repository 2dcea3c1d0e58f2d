//! What mirrors read: transactions and dumps (operations 1001 and 1002, in this project's form), and
//! backups (1003).

use std::ops::ControlFlow;
use std::path::PathBuf;

use clap::Args;
use idnode_proto::api::IdentifierRecord;
use idnode_proto::handle::body::mirror::{Dump, Transaction, Transactions, decode_backup};
use idnode_proto::handle::{MessageTooLong, OpFlags, RequestHead, Response, ResponseBody};
use serde_json::json;

use super::server::ServerArgs;
use super::{ask, handle_of, misfit};
use crate::bulk::format::{Compression, Format, Output};
use crate::bulk::write::Records;
use crate::ctl::error::Failure;
use crate::ctl::export::Target;
use crate::ctl::json;
use crate::ctl::output::Table;
use crate::ctl::resolve_handle::api_value;
use crate::ctl::session::Session;

#[derive(Debug, Args)]
pub(crate) struct TransactionsArgs {
    /// Only of these prefixes, e.g. 88.118.8
    #[arg(value_name = "PREFIX")]
    prefixes: Vec<String>,
    /// The first number: of a dump, the one behind its own
    #[arg(long, value_name = "N")]
    from: u64,
    /// How many are enough; all unless given
    #[arg(long, value_name = "N", default_value_t = 0, hide_default_value = true)]
    limit: u32,
    #[command(flatten)]
    server: ServerArgs,
}

#[derive(Debug, Args)]
pub(crate) struct DumpArgs {
    /// Only of these prefixes, e.g. 88.118.8
    #[arg(value_name = "PREFIX")]
    prefixes: Vec<String>,
    /// Where to write; standard output unless given
    #[arg(short, long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    server: ServerArgs,
}

/// Prints changes as JSON Lines, and on the error output where to go on.
pub(super) async fn transactions(args: TransactionsArgs, session: &Session) -> Result<(), Failure> {
    let server = &args.server;
    let prefixes: Vec<_> = args.prefixes.iter().map(|it| handle_of(it)).collect();
    let prefixes: Vec<_> = prefixes.iter().map(String::as_str).collect();
    let write = |head: &RequestHead| head.transactions(args.from, args.limit, &prefixes);
    let mut read = (0, args.from);
    let print = |part: Response| {
        let body = body(&part, server)?;
        let part = Transactions::decode(body).map_err(|_| misfit(server))?;
        read = (part.oldest, part.next);
        for transaction in part.items {
            println(&change(transaction))?;
        }
        Ok(())
    };
    each(server, session, write, print).await?;
    let (oldest, next) = read;
    if oldest > next {
        return Err(Failure::Answer(format!(
            "the log of {} begins at {oldest} by now, {next} is not kept any more: begin anew with a dump",
            server.address()
        )));
    }
    session.out.aside(&json!({"next": next}).to_string());
    Ok(())
}

/// Writes handles as `idctl export` does, and on the error output as of which number they are.
pub(super) async fn dump(args: DumpArgs, session: &Session) -> Result<(), Failure> {
    let server = &args.server;
    let prefixes: Vec<_> = args.prefixes.iter().map(|it| handle_of(it)).collect();
    let prefixes: Vec<_> = prefixes.iter().map(String::as_str).collect();
    let write = |head: &RequestHead| head.dump(&prefixes);
    let target = Target::create(args.output.as_deref())?;
    let broken = |source| target.broken(source);
    let mut records = target
        .open()
        .and_then(|stream| Output::new(stream, Compression::None))
        .and_then(|output| Records::new(output, Format::Jsonl))
        .map_err(broken)?;
    let (mut number, mut handles) = (0, 0u64);
    let take = |part: Response| {
        let body = body(&part, server)?;
        let part = Dump::decode(body).map_err(|_| misfit(server))?;
        number = part.number;
        for (handle, values) in part.items {
            handles += 1;
            let mut record = IdentifierRecord {
                identifier: handle,
                values: values.into_iter().map(api_value).collect(),
                ..IdentifierRecord::default()
            };
            records.write(&mut record).map_err(broken)?;
        }
        Ok(())
    };
    let taken = each(server, session, write, take).await;
    let taken = match taken {
        Ok(()) => records.finish().map_err(broken),
        Err(error) => Err(error),
    };
    taken.inspect_err(|_| target.discard())?;
    if target.complete()?.is_none() {
        session.out.aside(&json!({"number": number}).to_string());
        return Ok(());
    }
    session.out.show(
        || json!({"number": number, "handles": handles}),
        || {
            Table::of_one(&[
                ("number", number.to_string()),
                ("handles", handles.to_string()),
            ])
        },
    )
}

/// Has the server back up its registry.
pub(super) async fn back_up(server: ServerArgs, session: &Session) -> Result<(), Failure> {
    let write = |head: &RequestHead| head.back_up();
    let answer = ask(&server, session, OpFlags::NONE, write).await?;
    let body = body(&answer, &server)?;
    let (number, name) = decode_backup(body).map_err(|_| misfit(&server))?;
    session.out.show(
        || json!({"name": name, "number": number}),
        || Table::of_one(&[("name", name.to_owned()), ("number", number.to_string())]),
    )
}

/// Asks, and takes every message of the answer.
async fn each(
    server: &ServerArgs,
    session: &Session,
    write: impl FnOnce(&RequestHead) -> Result<Vec<u8>, MessageTooLong>,
    mut take: impl FnMut(Response) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let mut taken = Ok(());
    let part = |part| {
        taken = take(part);
        match taken {
            Ok(()) => ControlFlow::Continue(()),
            Err(_) => ControlFlow::Break(()),
        }
    };
    let last = server
        .ask(session.timeout(), OpFlags::NONE, write, part)
        .await;
    taken?;
    take(last?)
}

fn body<'a>(answer: &'a Response, server: &ServerArgs) -> Result<&'a [u8], Failure> {
    match &answer.body {
        ResponseBody::Other(body) => Ok(body),
        _ => Err(misfit(server)),
    }
}

fn change(transaction: Transaction) -> String {
    let values: Vec<_> = transaction.values.into_iter().map(api_value).collect();
    let line = json!({
        "number": transaction.number,
        "at_ms": transaction.at_ms,
        "action": transaction.action.name(),
        "identifier": transaction.handle,
        "values": json::values(&values),
    });
    line.to_string()
}

fn println(line: &str) -> Result<(), Failure> {
    crate::ctl::output::write_out(&format!("{line}\n"))
}
