//! Tables for people: aligned by the width of their characters, bounded in rows.

use std::io::Write;

use anyhow::Context;
use arrow::datatypes::SchemaRef;
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use comfy_table::{Cell, CellAlignment, ColumnConstraint, ContentArrangement, LineStyle, Table, TableStyle};

use super::words::{say, visible};
use super::{Destination, Encoder, Output};

/// How many rows a table shows.
const MAX_ROWS: usize = 1_000;

/// A rule under the header, and nothing else: what is shown stays easy to copy.
const STYLE: TableStyle = TableStyle::new().header_separator(LineStyle::none().fill('─').junction('─'));

/// A table that is put together cell by cell.
pub(crate) struct TextTable {
    table: Table,
    is_right_aligned: Vec<bool>,
}

impl TextTable {
    /// Starts a table; every column has its heading and whether it is aligned to the right, as numbers are.
    pub(crate) fn new(columns: impl IntoIterator<Item = (String, bool)>) -> Self {
        let (headings, is_right_aligned): (Vec<String>, Vec<bool>) = columns.into_iter().unzip();
        let mut text_table = Self { table: Table::new(), is_right_aligned };
        let cells = text_table.cells(&headings);
        text_table.table.load_style(STYLE).set_content_arrangement(ContentArrangement::Dynamic).set_header(cells);
        text_table
    }

    /// Adds a row with one text per column.
    pub(crate) fn add_row(&mut self, texts: &[String]) {
        let cells = self.cells(texts);
        self.table.add_row(cells);
    }

    /// Lets only this column, from 0, be broken into several lines where the table is too wide.
    pub(crate) fn wrapping_only(mut self, column: usize) -> Self {
        for whole in self.table.column_iter_mut().filter(|other| other.index != column) {
            whole.set_constraint(ColumnConstraint::ContentWidth);
        }
        self
    }

    /// Renders the table with `gap` blanks (at least one) between its columns; the heading and its rule come first.
    ///
    /// Where a width is given, in character cells, what does not fit is broken into several lines.
    pub(crate) fn lines(mut self, width: Option<u16>, gap: u16) -> Vec<String> {
        // The terminal's width says nothing about the part of it that the caller uses.
        self.table.force_no_tty();
        if let Some(width) = width {
            self.table.set_width(width);
        }
        for column in self.table.column_iter_mut() {
            // The style draws one blank between columns by itself.
            column.set_padding((0, gap.saturating_sub(1)));
        }
        self.table.lines().map(|line| line.trim_end().to_owned()).collect()
    }

    /// Writes the table as data.
    ///
    /// # Errors
    /// What the writing failed with.
    pub(crate) fn write(mut self, destination: &Destination) -> anyhow::Result<()> {
        let mut output = Output::open(destination)?;
        self.write_to(&mut output)?;
        output.commit()
    }

    fn write_to(&mut self, output: &mut Output) -> anyhow::Result<()> {
        if output.is_file() {
            // The width of the terminal says nothing about a file.
            self.table.force_no_tty();
        }
        writeln!(output, "{}", self.table.trim_fmt()).context("could not write the table")
    }

    fn cells(&self, texts: &[String]) -> Vec<Cell> {
        texts
            .iter()
            .zip(&self.is_right_aligned)
            .map(|(text, is_right)| {
                let alignment = if *is_right { CellAlignment::Right } else { CellAlignment::Left };
                Cell::new(visible(text)).set_alignment(alignment)
            })
            .collect()
    }
}

/// Writes the first rows as a table, and says when there are more.
pub(super) struct TableEncoder<'a> {
    table: TextTable,
    output: &'a mut Output,
    row_count: usize,
    has_more: bool,
}

impl<'a> TableEncoder<'a> {
    /// Starts a table with the columns of a schema.
    pub(super) fn new(schema: &SchemaRef, output: &'a mut Output) -> Self {
        let columns = schema.fields().iter().map(|field| (field.name().clone(), field.data_type().is_numeric()));
        Self { table: TextTable::new(columns), output, row_count: 0, has_more: false }
    }
}

impl Encoder for TableEncoder<'_> {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let shown_rows = batch.num_rows().min(MAX_ROWS - self.row_count);
        self.has_more = shown_rows < batch.num_rows();
        let options = FormatOptions::new();
        let formatters = batch
            .columns()
            .iter()
            .map(|column| ArrayFormatter::try_new(column.as_ref(), &options))
            .collect::<Result<Vec<_>, _>>()?;
        for row in 0..shown_rows {
            let texts: Vec<String> = formatters.iter().map(|formatter| formatter.value(row).to_string()).collect();
            self.table.add_row(&texts);
        }
        self.row_count += shown_rows;
        Ok(())
    }

    fn has_room(&self) -> bool {
        !self.has_more
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        self.table.write_to(self.output)?;
        if self.has_more {
            say("only the first 1,000 rows are shown; `-o FILE` or another `--format` gives all of them");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::sync::Arc;

    use arrow::array::{ArrayRef, Int64Array};

    use super::*;

    #[test]
    fn a_table_ends_at_its_last_row_to_show() {
        let folder = tempfile::tempdir().expect("a folder");
        let path: PathBuf = folder.path().join("rows.txt");
        let mut output = Output::open(&Destination::File(path.clone())).expect("an output");
        let numbers: ArrayRef = Arc::new(Int64Array::from_iter_values(0..600));
        let batch = RecordBatch::try_from_iter([("n", numbers)]).expect("a batch");
        let mut encoder = TableEncoder::new(&batch.schema(), &mut output);
        encoder.write(&batch).expect("a write");
        assert!(encoder.has_room());
        encoder.write(&batch).expect("a write");
        assert!(!encoder.has_room());
        Box::new(encoder).finish().expect("an end");
        output.commit().expect("a commit");
        let text = std::fs::read_to_string(path).expect("a file");
        assert_eq!(text.lines().count(), 1_002, "the heading, its rule and 1,000 rows");
    }
}
