//! `tagmill crosstab`: two dimensions crossed.

use arrow::array::RecordBatch;
use tagmill_query::{Crosstab, CrosstabRequest, Dimension};

use super::columns::{batch, count_column, share_column, text_column};
use crate::cli::{CrosstabArgs, Shares};
use crate::globals::Globals;
use crate::output::{Destination, Format, TextTable, say, thousands, write_batch, write_json};

/// Crosses two dimensions: distinct customers and their shares.
///
/// A table shows a row a value; JSON is one object with the cells as a matrix; the other formats hold a row a cell,
/// with its shares of its row, of its column and of everybody asked about, 0 to 1.
///
/// # Errors
/// What is wrong with a dimension or the segment, or with the answer.
pub(crate) async fn run_crosstab(globals: &Globals, args: &CrosstabArgs) -> anyhow::Result<()> {
    let format = args.output.resolved_format()?;
    let (rows, cols) = (Dimension::parse(&args.rows)?, Dimension::parse(&args.cols)?);
    let segment = args.segment.as_deref().map(|name| globals.definitions().load(name)).transpose()?;
    let engine = globals.open_engine(super::limits(&args.limits)).await?;
    let view = match &segment {
        Some(loaded) => globals.view_for(&engine, loaded).await?,
        None => globals.view(&engine).await?,
    };
    let crosstab = view.crosstab(&CrosstabRequest { rows, cols, segment, universe: None }).await?;
    print_crosstab(&crosstab, format, args.shares, &args.output.destination())?;
    say(format!("{} customers, {}", thousands(crosstab.universe_count), crosstab.among));
    super::say_provenance(&view, crosstab.events_until);
    Ok(())
}

/// Prints a cross-tab in a format.
///
/// # Errors
/// What the writing failed with.
pub(crate) fn print_crosstab(
    crosstab: &Crosstab,
    format: Format,
    shares: Shares,
    destination: &Destination,
) -> anyhow::Result<()> {
    match format {
        Format::Table => table(crosstab, shares).write(destination),
        Format::Json => write_json(crosstab, destination),
        other => write_batch(&cells(crosstab)?, other, destination),
    }
}

fn table(crosstab: &Crosstab, shares: Shares) -> TextTable {
    let corner = (format!("{} \\ {}", crosstab.row_dimension, crosstab.column_dimension), false);
    let headings = crosstab.column_labels.iter().cloned().chain(["total".to_owned()]).map(|label| (label, true));
    let mut table = TextTable::new([corner].into_iter().chain(headings));
    let everybody = crosstab.universe_count;
    for (row, label) in crosstab.row_labels.iter().enumerate() {
        let row_total = at(&crosstab.row_totals, row);
        let mut texts = vec![label.clone()];
        for column in 0..crosstab.column_labels.len() {
            let whole = match shares {
                Shares::Row => row_total,
                Shares::Column => at(&crosstab.column_totals, column),
                Shares::All => everybody,
            };
            texts.push(with_share(cell(crosstab, row, column), whole));
        }
        let whole = if shares == Shares::Row { row_total } else { everybody };
        texts.push(with_share(row_total, whole));
        table.add_row(&texts);
    }
    let mut texts = vec!["total".to_owned()];
    for column in 0..crosstab.column_labels.len() {
        let column_total = at(&crosstab.column_totals, column);
        let whole = if shares == Shares::Column { column_total } else { everybody };
        texts.push(with_share(column_total, whole));
    }
    texts.push(with_share(everybody, everybody));
    table.add_row(&texts);
    table
}

/// A row a cell, as programs like it.
fn cells(crosstab: &Crosstab) -> anyhow::Result<RecordBatch> {
    let indices: Vec<(usize, usize)> = (0..crosstab.row_labels.len())
        .flat_map(|row| (0..crosstab.column_labels.len()).map(move |column| (row, column)))
        .collect();
    let share_of = |whole: &dyn Fn(usize, usize) -> u64| {
        share_column(indices.iter().map(|(row, column)| share(cell(crosstab, *row, *column), whole(*row, *column))))
    };
    batch([
        ("row_label", text_column(indices.iter().map(|(row, _)| crosstab.row_labels.get(*row)))),
        ("column_label", text_column(indices.iter().map(|(_, column)| crosstab.column_labels.get(*column)))),
        ("customers", count_column(indices.iter().map(|(row, column)| Some(cell(crosstab, *row, *column))))),
        ("share_of_row", share_of(&|row, _| at(&crosstab.row_totals, row))),
        ("share_of_column", share_of(&|_, column| at(&crosstab.column_totals, column))),
        ("share_of_all", share_of(&|_, _| crosstab.universe_count)),
    ])
}

fn cell(crosstab: &Crosstab, row: usize, column: usize) -> u64 {
    crosstab.cells.get(row).map_or(0, |cells| at(cells, column))
}

fn at(counts: &[u64], index: usize) -> u64 {
    counts.get(index).copied().unwrap_or_default()
}

/// `1,234 (12.3%)`; without a share where there is nothing to share.
fn with_share(count: u64, whole: u64) -> String {
    match share(count, whole) {
        Some(share) => format!("{} ({:.1}%)", thousands(count), share * 100.0),
        None => thousands(count),
    }
}

fn share(count: u64, whole: u64) -> Option<f64> {
    // Counts are far below 2⁵², so that the quotient is as exact as a floating point number can be.
    (whole > 0).then(|| count as f64 / whole as f64)
}
