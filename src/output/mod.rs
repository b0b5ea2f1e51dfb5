//! The only place that prints: data to stdout or to a file, words to stderr.
//!
//! Rows stream batch by batch, so that an answer larger than memory can be written in every form except `table`, which
//! shows a bounded number of rows. A file appears under its name when it is complete. A reader that stops reading
//! (`| head`) ends the writing quietly. Instants are RFC 3339 UTC in every form, decimals exact.

mod binary;
mod csv;
mod destination;
mod json;
mod progress;
mod table;
mod words;

use std::io::{IsTerminal, Write};
use std::sync::atomic::Ordering;

use anyhow::Context;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use clap::ValueEnum;
use serde::Serialize;
use tagmill_query::Rows;

pub(crate) use destination::Destination;
pub(crate) use progress::{busy, reading};
pub(crate) use table::TextTable;
pub(crate) use words::{local_time, say, thousands};

use crate::errors::SurfaceError;
use destination::Output;

/// The form in which rows come out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    /// A table for people, of at most 1,000 rows
    Table,
    /// Comma-separated, with header; values that a spreadsheet would run as a formula are defused
    Csv,
    /// One JSON array of objects
    Json,
    /// One JSON object a line
    Ndjson,
    /// Parquet, zstd
    Parquet,
    /// Arrow IPC: the file form in a file, the stream form on stdout
    Arrow,
}

/// The form in which one answer, rather than rows, comes out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ObjectFormat {
    /// For people
    Table,
    /// For programs: one JSON object
    Json,
}

impl Format {
    /// Returns the form asked for; without one, what the file's ending says; on stdout a table.
    ///
    /// # Errors
    /// Usage, where a file's ending names no form, or where bytes would land on a terminal.
    pub(crate) fn resolve(asked: Option<Self>, destination: &Destination) -> anyhow::Result<Self> {
        let format = match (asked, destination) {
            (Some(format), _) => format,
            (None, Destination::Stdout) => Self::Table,
            (None, Destination::File(path)) => {
                let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
                Self::of_ending(ending).ok_or_else(|| {
                    SurfaceError::usage(
                        format!("the ending of `{}` names no format", path.display()),
                        "add `--format csv`, `json`, `ndjson`, `parquet`, `arrow` or `table`, or choose such an ending",
                    )
                })?
            }
        };
        let is_binary = matches!(format, Self::Parquet | Self::Arrow);
        if is_binary && matches!(destination, Destination::Stdout) && std::io::stdout().is_terminal() {
            return Err(SurfaceError::usage(
                "this format is not for a terminal",
                "write to a file with `-o FILE`, or pipe the output into a program",
            )
            .into());
        }
        Ok(format)
    }

    /// The form that a file's ending stands for.
    fn of_ending(ending: &str) -> Option<Self> {
        Some(match ending.to_ascii_lowercase().as_str() {
            "csv" => Self::Csv,
            "json" => Self::Json,
            "ndjson" | "jsonl" => Self::Ndjson,
            "parquet" => Self::Parquet,
            "arrow" | "feather" => Self::Arrow,
            "txt" => Self::Table,
            _ => return None,
        })
    }
}

/// Writes rows as they come, in constant memory, and says on stderr how many went to a file.
///
/// # Errors
/// As [`copy_rows`].
pub(crate) async fn write_rows(rows: Rows, format: Format, destination: &Destination) -> anyhow::Result<()> {
    let written = copy_rows(rows, format, destination).await?;
    if let Destination::File(_) = destination {
        say(format!("{} rows written to {destination}", thousands(written)));
    }
    Ok(())
}

/// Writes rows as they come, in constant memory, and returns how many there were.
///
/// # Errors
/// What the query or the writing failed with. A file that could not be completed is not there.
pub(crate) async fn copy_rows(mut rows: Rows, format: Format, destination: &Destination) -> anyhow::Result<u64> {
    let schema = rows.schema.clone();
    let mut output = Output::open(destination)?;
    let reader_gone = output.reader_gone();
    let mut encoder = encoder(format, &schema, &mut output)?;
    let mut written: u64 = 0;
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        written += batch.num_rows() as u64;
        encoder.write(&batch).with_context(|| format!("could not write to {destination}"))?;
        if reader_gone.load(Ordering::Relaxed) || !encoder.has_room() {
            break;
        }
    }
    encoder.finish().with_context(|| format!("could not write to {destination}"))?;
    output.commit()?;
    Ok(written)
}

/// Writes rows that are there already.
///
/// # Errors
/// What the writing failed with. A file that could not be completed is not there.
pub(crate) fn write_batch(batch: &RecordBatch, format: Format, destination: &Destination) -> anyhow::Result<()> {
    let mut output = Output::open(destination)?;
    let mut encoder = encoder(format, &batch.schema(), &mut output)?;
    encoder.write(batch).with_context(|| format!("could not write to {destination}"))?;
    encoder.finish().with_context(|| format!("could not write to {destination}"))?;
    output.commit()
}

/// Writes one JSON object.
///
/// # Errors
/// What the writing failed with.
pub(crate) fn write_json(value: &impl Serialize, destination: &Destination) -> anyhow::Result<()> {
    write_text(&serde_json::to_string_pretty(value).context("could not render the answer as JSON")?, destination)
}

/// Writes text as data, ended by a line feed.
///
/// # Errors
/// What the writing failed with.
pub(crate) fn write_text(text: &str, destination: &Destination) -> anyhow::Result<()> {
    let mut output = Output::open(destination)?;
    writeln!(output, "{}", text.trim_end_matches('\n')).with_context(|| format!("could not write to {destination}"))?;
    output.commit()
}

/// What turns batches into the bytes of one form.
trait Encoder {
    /// Writes a batch; all batches have the schema the encoder was made for.
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()>;

    /// Whether a further batch would be written.
    fn has_room(&self) -> bool {
        true
    }

    /// Writes what ends the form.
    fn finish(self: Box<Self>) -> anyhow::Result<()>;
}

/// The encoder of a form.
fn encoder<'a>(format: Format, schema: &SchemaRef, output: &'a mut Output) -> anyhow::Result<Box<dyn Encoder + 'a>> {
    let encoder: Box<dyn Encoder + 'a> = match format {
        Format::Table => Box::new(table::TableEncoder::new(schema, output)),
        Format::Csv => Box::new(csv::CsvEncoder::new(schema, output)?),
        Format::Json => Box::new(json::array(output)),
        Format::Ndjson => Box::new(json::lines(output)),
        Format::Parquet => Box::new(binary::ParquetEncoder::new(schema, output)?),
        Format::Arrow => binary::arrow(schema, output)?,
    };
    Ok(encoder)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Decimal128Array, Int64Array, StringArray, TimestampMicrosecondArray};

    use super::*;

    fn rows() -> RecordBatch {
        let amount = Decimal128Array::from(vec![Some(83_000_658_140_i128), None])
            .with_precision_and_scale(18, 4)
            .expect("a precision");
        let at = TimestampMicrosecondArray::from(vec![Some(1_323_435_000_000_000), None]).with_timezone("UTC");
        RecordBatch::try_from_iter([
            ("customer_no", Arc::new(Int64Array::from(vec![-1, 2])) as ArrayRef),
            ("name", Arc::new(StringArray::from(vec![Some("=cmd()"), Some("王, \"小\"")])) as ArrayRef),
            ("amount", Arc::new(amount) as ArrayRef),
            ("at", Arc::new(at) as ArrayRef),
        ])
        .expect("a batch")
    }

    fn written(format: Format) -> Vec<u8> {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("rows");
        write_batch(&rows(), format, &Destination::File(path.clone())).expect("a file");
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1, "nothing else is left behind");
        std::fs::read(path).expect("a file")
    }

    fn written_text(format: Format) -> String {
        String::from_utf8(written(format)).expect("UTF-8")
    }

    #[test]
    fn csv_defuses_formulas_in_text_and_leaves_negative_numbers_alone() {
        let text = written_text(Format::Csv);
        let lines: Vec<_> = text.lines().collect();
        assert_eq!(lines[0], "customer_no,name,amount,at");
        assert!(lines[1].starts_with("-1,"), "{}", lines[1]);
        assert!(!lines[1].contains(",=cmd"), "{}", lines[1]);
        assert!(lines[1].ends_with(",8300065.8140,2011-12-09T12:50:00Z"), "{}", lines[1]);
        assert_eq!(lines[2], "2,\"王, \"\"小\"\"\",,");
    }

    #[test]
    fn json_writes_decimals_as_texts_and_keeps_missing_values() {
        let parsed: serde_json::Value = serde_json::from_slice(&written(Format::Json)).expect("JSON");
        assert_eq!(
            parsed,
            serde_json::json!([
                {"customer_no": -1, "name": "=cmd()", "amount": "8300065.8140", "at": "2011-12-09T12:50:00Z"},
                {"customer_no": 2, "name": "王, \"小\"", "amount": null, "at": null},
            ])
        );
        assert_eq!(written_text(Format::Ndjson).lines().count(), 2);
    }

    #[test]
    fn binary_forms_carry_their_magic() {
        assert!(written(Format::Parquet).starts_with(b"PAR1"));
        assert!(written(Format::Arrow).starts_with(b"ARROW1"));
    }

    #[test]
    fn a_table_shows_wide_characters_in_line() {
        let text = written_text(Format::Table);
        assert!(text.contains("customer_no"), "{text}");
        assert!(text.contains("王"), "{text}");
    }

    #[test]
    fn the_ending_of_a_file_names_its_format() {
        let to = |name: &str| Destination::File(PathBuf::from(name));
        assert_eq!(Format::resolve(None, &to("a.CSV")).expect("a format"), Format::Csv);
        assert_eq!(Format::resolve(Some(Format::Json), &to("a.csv")).expect("a format"), Format::Json);
        assert!(Format::resolve(None, &to("answer")).is_err());
    }
}
