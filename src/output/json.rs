//! JSON: an array of objects, or an object a line. Every object has every key; decimals are texts, because a JSON
//! number would be read as a floating point number.

use std::io::Write;
use std::sync::Arc;

use arrow::array::Array;
use arrow::datatypes::FieldRef;
use arrow::error::ArrowError;
use arrow::json::writer::{JsonFormat, LineDelimited, NullableEncoder};
use arrow::json::{EncoderFactory, EncoderOptions, Writer, WriterBuilder};
use arrow::record_batch::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::{Encoder, Output};

/// Writes one array with an object a row.
pub(super) fn array(output: &mut Output) -> JsonEncoder<'_, ArrayOfLines> {
    JsonEncoder { writer: options().build(output) }
}

/// Writes an object a line.
pub(super) fn lines(output: &mut Output) -> JsonEncoder<'_, LineDelimited> {
    JsonEncoder { writer: options().build(output) }
}

/// Writes rows as JSON objects.
pub(super) struct JsonEncoder<'a, F: JsonFormat> {
    writer: Writer<&'a mut Output, F>,
}

impl<F: JsonFormat> Encoder for JsonEncoder<'_, F> {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        Ok(self.writer.write(batch)?)
    }

    fn finish(mut self: Box<Self>) -> anyhow::Result<()> {
        Ok(self.writer.finish()?)
    }
}

fn options() -> WriterBuilder {
    WriterBuilder::new().with_explicit_nulls(true).with_encoder_factory(Arc::new(DecimalsAsTexts))
}

/// A JSON array with one object a line, so that it can be read by eye and by line tools too.
#[derive(Debug, Default)]
pub(super) struct ArrayOfLines {}

impl JsonFormat for ArrayOfLines {
    fn start_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        writer.write_all(b"[")?;
        Ok(())
    }

    fn start_row<W: Write>(&self, writer: &mut W, is_first_row: bool) -> Result<(), ArrowError> {
        let separator: &[u8] = if is_first_row { b"\n" } else { b",\n" };
        writer.write_all(separator)?;
        Ok(())
    }

    fn end_stream<W: Write>(&self, writer: &mut W) -> Result<(), ArrowError> {
        writer.write_all(b"\n]\n")?;
        Ok(())
    }
}

/// Writes decimals as texts.
#[derive(Debug)]
struct DecimalsAsTexts;

impl EncoderFactory for DecimalsAsTexts {
    fn make_default_encoder<'a>(
        &self,
        _field: &'a FieldRef,
        array: &'a dyn Array,
        _options: &'a EncoderOptions,
    ) -> Result<Option<NullableEncoder<'a>>, ArrowError> {
        if !array.data_type().is_decimal() {
            return Ok(None);
        }
        let formatter = ArrayFormatter::try_new(array, &FormatOptions::new())?;
        Ok(Some(NullableEncoder::new(Box::new(QuotedDecimal(formatter)), array.nulls().cloned())))
    }
}

/// A decimal between quotes; its digits need no escape.
struct QuotedDecimal<'a>(ArrayFormatter<'a>);

impl arrow::json::Encoder for QuotedDecimal<'_> {
    fn encode(&mut self, idx: usize, out: &mut Vec<u8>) {
        // Writing to memory cannot fail, and the trait has no way to say so.
        let _ = write!(out, "\"{}\"", self.0.value(idx));
    }
}
