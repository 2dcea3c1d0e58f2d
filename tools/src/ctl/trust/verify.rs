//! `idctl verify`: whether a handle's values are what their signers say, up to a trusted root.

use std::path::PathBuf;

use idnode_proto::trust::verdict::SignatureReport;
use idnode_proto::trust::{Fault, Root, Step, ValueName, Verdict, Verifier};
use serde_json::json;

use super::key;
use super::sign::now_s;
use super::source::{Encoded, Source, SourceArgs};
use crate::ctl::error::Failure;
use crate::ctl::output::{Table, printable};
use crate::ctl::session::Session;

/// Most handles that certificates are looked up at.
const MAX_LOOKUPS: usize = 1_000;

/// Verify a handle's signatures and certificates up to a trusted root.
///
/// Looks at what everybody may read. Exit status 0 only if every value is covered and every
/// signature, certificate, date and permission holds.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// As it was registered: its suffix compares with its case
    #[arg(value_name = "HANDLE")]
    name: String,
    /// The trusted root: its handle, and in front of it the index of its key if it matters, e.g.
    /// 300:0.NA/0.NA
    #[arg(long, value_name = "[INDEX:]HANDLE")]
    root: String,
    /// The root's public key, PEM
    #[arg(long, value_name = "FILE")]
    root_key: PathBuf,
    #[command(flatten)]
    source: SourceArgs,
}

pub(crate) async fn run(args: Args, session: &Session) -> Result<(), Failure> {
    let root = Root {
        name: args.root.parse().unwrap_or_else(|_| ValueName {
            index: 0,
            handle: args.root.clone(),
        }),
        key: key::public(&args.root_key)?,
    };
    let source = args.source.open(session)?;
    let verdict = verify(&args.name, &root, &source).await?;
    session
        .out
        .show(|| document(&verdict), || table(&verdict))?;
    match verdict.all_faults().count() {
        0 => Ok(()),
        count => Err(Failure::NotTrusted(format!(
            "{} is not trusted: {count} {} wrong",
            printable(&args.name),
            if count == 1 { "thing is" } else { "things are" }
        ))),
    }
}

async fn verify(handle: &str, root: &Root, source: &Source<'_>) -> Result<Verdict, Failure> {
    let (own, unreadable) = match source.values(handle).await? {
        Ok(values) => (Some(values), None),
        Err(reason) => (None, Some(reason)),
    };
    let values: Vec<_> = own.iter().flat_map(Encoded::views).collect();
    let mut verifier = Verifier::new(root, handle, &values, now_s());
    if let Some(reason) = unreadable {
        verifier.unreadable(reason);
    }
    for _ in 0..MAX_LOOKUPS {
        let of = match verifier.step() {
            Step::Done(verdict) => return Ok(verdict),
            Step::NeedsCertificates(of) => of,
        };
        match source.values(&of).await {
            Ok(Ok(values)) => verifier.resolved(&of, values.views()),
            Ok(Err(reason)) => verifier.unavailable(&of, reason),
            Err(failure) => verifier.unavailable(&of, failure.to_string()),
        }
    }
    let reason = "its certificates are at too many handles";
    Err(Failure::NotTrusted(format!("{handle}: {reason}")))
}

fn time(seconds: u64) -> String {
    i64::try_from(seconds)
        .ok()
        .and_then(|seconds| jiff::Timestamp::from_second(seconds).ok())
        .map_or_else(|| seconds.to_string(), |time| time.to_string())
}

fn texts(faults: &[Fault]) -> Vec<String> {
    faults.iter().map(ToString::to_string).collect()
}

fn document(verdict: &Verdict) -> serde_json::Value {
    let signatures: Vec<_> = verdict
        .signatures
        .iter()
        .map(|report| {
            let chain: Vec<_> = report
                .chain
                .iter()
                .map(|link| {
                    json!({
                        "found_at": link.found_at,
                        "subject": link.subject,
                        "issuer": link.issuer,
                        "expires_at": time(link.expires_s),
                    })
                })
                .collect();
            json!({
                "index": report.index,
                "issuer": report.issuer,
                "expires_at": time(report.expires_s),
                "chain": chain,
                "faults": texts(&report.faults),
            })
        })
        .collect();
    let values: Vec<_> = verdict
        .values
        .iter()
        .map(|report| {
            json!({
                "index": report.index,
                "type": report.value_type,
                "signed_by": report.signed_by,
                "faults": texts(&report.faults),
            })
        })
        .collect();
    json!({
        "handle": verdict.handle,
        "trusted": verdict.is_valid(),
        "signatures": signatures,
        "values": values,
        "faults": texts(&verdict.faults),
    })
}

fn table(verdict: &Verdict) -> Table {
    let mut table = Table::new(&["INDEX", "TYPE", "SIGNED BY", "VERDICT"]);
    let good = |faults: &[Fault], fine: &str| match faults {
        [] => fine.to_owned(),
        faults => printable(&texts(faults).join("; ")),
    };
    for value in &verdict.values {
        let signature = verdict
            .signatures
            .iter()
            .find(|report| report.index == value.index && value.value_type == "HS_SIGNATURE");
        let (by, fine, faults) = match signature {
            Some(report) => (path(report), "holds", &report.faults),
            None => {
                let by: Vec<_> = value.signed_by.iter().map(u32::to_string).collect();
                (by.join(", "), "intact", &value.faults)
            }
        };
        let row = [
            value.index.to_string(),
            printable(&value.value_type),
            printable(&by),
            good(faults, fine),
        ];
        table.row(row);
    }
    let whole = match verdict.is_valid() {
        true => "trusted".to_owned(),
        false if verdict.faults.is_empty() => "NOT TRUSTED".to_owned(),
        false => format!("NOT TRUSTED: {}", texts(&verdict.faults).join("; ")),
    };
    table.below(format!("{}: {whole}", printable(&verdict.handle)))
}

/// The signers from the handle to the root.
fn path(report: &SignatureReport) -> String {
    let mut path = vec![report.issuer.clone()];
    path.extend(report.chain.iter().skip(1).map(|link| link.subject.clone()));
    format!("{} until {}", path.join(" < "), time(report.expires_s))
}
