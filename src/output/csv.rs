//! CSV: RFC 4180 with a header; missing values are empty, and no text can be run as a formula by a spreadsheet.

use std::fmt::Write;

use ::csv::{Writer, WriterBuilder};
use arrow::array::Array;
use arrow::datatypes::{DataType, SchemaRef};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use tagmill_query::export::neutralised;

use super::{Encoder, Output};

/// Writes rows as CSV.
pub(super) struct CsvEncoder<'a> {
    writer: Writer<&'a mut Output>,
}

impl<'a> CsvEncoder<'a> {
    /// Writes the header.
    ///
    /// # Errors
    /// What the writing failed with.
    pub(super) fn new(schema: &SchemaRef, output: &'a mut Output) -> anyhow::Result<Self> {
        let mut writer = WriterBuilder::new().from_writer(output);
        for field in schema.fields() {
            writer.write_field(neutralised(field.name()).as_bytes())?;
        }
        writer.write_record(None::<&[u8]>)?;
        Ok(Self { writer })
    }
}

impl Encoder for CsvEncoder<'_> {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        let options = FormatOptions::new().with_display_error(false);
        let columns = batch
            .columns()
            .iter()
            .map(|column| {
                let formatter = ArrayFormatter::try_new(column.as_ref(), &options)?;
                Ok((formatter, may_hold_formula(column.data_type())))
            })
            .collect::<anyhow::Result<Vec<_>>>()?;
        let mut text = String::new();
        for row in 0..batch.num_rows() {
            for (formatter, may_hold_formula) in &columns {
                text.clear();
                write!(text, "{}", formatter.value(row))?;
                if *may_hold_formula {
                    self.writer.write_field(neutralised(&text).as_bytes())?;
                } else {
                    self.writer.write_field(&text)?;
                }
            }
            self.writer.write_record(None::<&[u8]>)?;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        self.writer.flush()?;
        Ok(())
    }
}

/// Whether values of a type can be texts from outside. A negative number begins with a minus and is no formula.
fn may_hold_formula(data_type: &DataType) -> bool {
    !(data_type.is_numeric() || data_type.is_temporal() || matches!(data_type, DataType::Boolean | DataType::Null))
}
