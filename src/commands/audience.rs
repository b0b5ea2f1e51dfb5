//! `tagmill audience`: a segment handed out as a file, with a manifest beside it.

use std::fs;
use std::path::{Path, PathBuf};

use tagmill_query::export::{AudienceManifest, ExportedFile, LoadedAudience};
use tagmill_query::{Limits, View};

use crate::cli::AudienceExportArgs;
use crate::errors::SurfaceError;
use crate::globals::Globals;
use crate::output::{Destination, Format, copy_rows, say, thousands, write_json};

/// Writes the customers of a segment or audience to a file, and its manifest.
///
/// # Errors
/// Usage for a form that is none for an audience; what is wrong with the audience, or with the answer.
pub(crate) async fn export_audience(globals: &Globals, args: &AudienceExportArgs) -> anyhow::Result<()> {
    let format = file_format(args)?;
    let mut audience = LoadedAudience::load(&globals.definitions(), &args.audience)?;
    if !args.columns.is_empty() {
        refuse_repeated(&args.columns)?;
        audience.columns.clone_from(&args.columns);
    }
    let engine = globals.open_engine(Limits::default()).await?;
    let view = globals.view_for(&engine, &audience.segment).await?;
    let manifest = hand_out(&view, &audience, &args.unmask, &args.output, format).await?;
    say(summary(&manifest));
    say(format!("written to `{}`, with `{}`", args.output.display(), manifest_path(&args.output).display()));
    super::say_provenance(&view, manifest.events_until);
    Ok(())
}

/// Writes an audience to a file, in constant memory, and its manifest once the file is there.
///
/// # Errors
/// `QueryError::Column` for a column that is not there; what the answer, or the writing, failed with.
pub(crate) async fn hand_out(
    view: &View,
    audience: &LoadedAudience,
    unmask: &[String],
    file: &Path,
    format: Format,
) -> anyhow::Result<AudienceManifest> {
    refuse_device(file)?;
    let frozen = view.freeze(audience, unmask).await?;
    let written = copy_rows(frozen.rows().await?, format, &Destination::File(file.to_path_buf())).await?;
    let exported = ExportedFile::of(file, word(format))
        .map_err(|source| SurfaceError::Read { path: file.display().to_string(), source })?;
    let manifest = frozen.manifest(written, exported);
    write_json(&manifest, &Destination::File(manifest_path(file)))?;
    Ok(manifest)
}

/// The manifest's place: beside the file, under its name.
pub(crate) fn manifest_path(file: &Path) -> PathBuf {
    let mut path = file.as_os_str().to_owned();
    path.push(".manifest.json");
    PathBuf::from(path)
}

/// `398 customers in 398 rows; masked: name`.
pub(crate) fn summary(manifest: &AudienceManifest) -> String {
    let mut text = format!("{} customers in {} rows", thousands(manifest.customers), thousands(manifest.rows));
    for (what, columns) in [("masked", &manifest.masked_columns), ("not masked", &manifest.unmasked_columns)] {
        if !columns.is_empty() {
            text = format!("{text}; {what}: {}", columns.join(", "));
        }
    }
    text
}

/// The form of the file: as asked for, else by its ending.
fn file_format(args: &AudienceExportArgs) -> anyhow::Result<Format> {
    let format = Format::resolve(args.format, &Destination::File(args.output.clone()))?;
    if matches!(format, Format::Csv | Format::Ndjson | Format::Parquet) {
        return Ok(format);
    }
    Err(SurfaceError::usage(
        "an audience is written as CSV, NDJSON or Parquet",
        "choose the ending `.csv`, `.ndjson` or `.parquet`, or `--format csv`, `ndjson` or `parquet`",
    )
    .into())
}

/// The word that a manifest has for a form.
fn word(format: Format) -> &'static str {
    match format {
        Format::Table => "table",
        Format::Csv => "csv",
        Format::Json => "json",
        Format::Ndjson => "ndjson",
        Format::Parquet => "parquet",
        Format::Arrow => "arrow",
    }
}

fn refuse_repeated(columns: &[String]) -> Result<(), SurfaceError> {
    let repeated = columns.iter().enumerate().find(|(place, column)| columns[..*place].contains(column));
    match repeated {
        Some((_, column)) => {
            Err(SurfaceError::usage(format!("the column `{column}` is named twice"), "name each column once"))
        }
        None => Ok(()),
    }
}

/// Refuses what is no file: a manifest speaks of bytes that can be read again.
fn refuse_device(file: &Path) -> Result<(), SurfaceError> {
    match fs::metadata(file) {
        Ok(found) if !found.is_file() => Err(SurfaceError::usage(
            format!("`{}` is no file", file.display()),
            "an audience goes to a file, because its manifest holds the file's SHA-256",
        )),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_manifest_stands_beside_its_file_under_its_whole_name() {
        assert_eq!(manifest_path(Path::new("out/vip.csv")), Path::new("out/vip.csv.manifest.json"));
    }

    #[test]
    fn a_column_is_named_once() {
        let columns = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>();
        assert!(refuse_repeated(&columns(&["a", "b"])).is_ok());
        assert!(refuse_repeated(&columns(&["a", "b", "a"])).is_err());
    }
}
