//! The file that is imported.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use crate::Outcome;

/// The prefix all items are under.
pub const PREFIX: &str = "88.118.8";

/// Writes a CSV file of items, each with a URL and a description, together about 200 bytes of
/// data, in the order of their serial numbers. Returns the file's length, bytes.
pub fn write(path: &Path, items: usize) -> Outcome<u64> {
    let mut out = BufWriter::with_capacity(1 << 20, File::create(path)?);
    writeln!(out, "identifier,index,type,data")?;
    for n in 0..items {
        let identifier = format!("{PREFIX}/YE3{n:010}");
        // Spread over lines, shifts and weights as a factory's records are.
        let mixed = (n as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
        writeln!(
            out,
            "{identifier},1,URL,https://trace.example.com/products/ye3-132m-4/{n}?batch={:08x}",
            mixed & 0xFFFF_FFFF
        )?;
        writeln!(
            out,
            "{identifier},2,PRODUCT,\"{{\"\"name\"\":\"\"YE3-132M-4 三相异步电动机\"\",\"\"power_kw\"\":7.5,\"\"line\"\":{},\"\"weight_g\"\":{},\"\"inspected\"\":\"\"2026-01-{:02}\"\",\"\"inspector\"\":\"\"QC-{:04}\"\"}}\"",
            mixed % 12,
            71_000 + mixed % 2_000,
            1 + mixed % 28,
            mixed % 9_000
        )?;
    }
    out.flush()?;
    let file = out.into_inner()?;
    // Not to be written back while the first round runs.
    file.sync_all()?;
    Ok(file.metadata()?.len())
}
