//! Parquet and Arrow IPC: for programs, with the exact types of the answer.

use arrow::datatypes::SchemaRef;
use arrow::ipc::writer::{FileWriter, StreamWriter};
use arrow::record_batch::{RecordBatch, RecordBatchWriter};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

use super::{Encoder, Output};

/// How much of a row group is held in memory before it is written.
const ROW_GROUP_BYTES: usize = 64 * 1024 * 1024;

/// Writes rows as Parquet.
pub(super) struct ParquetEncoder<'a> {
    writer: ArrowWriter<&'a mut Output>,
}

impl<'a> ParquetEncoder<'a> {
    /// Starts a Parquet file.
    ///
    /// # Errors
    /// What the writing failed with, or a type that Parquet does not know.
    pub(super) fn new(schema: &SchemaRef, output: &'a mut Output) -> anyhow::Result<Self> {
        let properties = WriterProperties::builder().set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?)).build();
        Ok(Self { writer: ArrowWriter::try_new(output, SchemaRef::clone(schema), Some(properties))? })
    }
}

impl Encoder for ParquetEncoder<'_> {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        self.writer.write(batch)?;
        if self.writer.in_progress_size() > ROW_GROUP_BYTES {
            self.writer.flush()?;
        }
        Ok(())
    }

    fn finish(self: Box<Self>) -> anyhow::Result<()> {
        self.writer.close()?;
        Ok(())
    }
}

/// Writes rows as Arrow IPC: with a footer for random access in a file, as a stream on stdout.
///
/// # Errors
/// What the writing failed with.
pub(super) fn arrow<'a>(schema: &SchemaRef, output: &'a mut Output) -> anyhow::Result<Box<dyn Encoder + 'a>> {
    if output.is_file() {
        Ok(Box::new(ArrowEncoder { writer: FileWriter::try_new(output, schema)? }))
    } else {
        Ok(Box::new(ArrowEncoder { writer: StreamWriter::try_new(output, schema)? }))
    }
}

/// Writes rows as one of the Arrow IPC forms.
struct ArrowEncoder<W> {
    writer: W,
}

impl<W: RecordBatchWriter> Encoder for ArrowEncoder<W> {
    fn write(&mut self, batch: &RecordBatch) -> anyhow::Result<()> {
        Ok(self.writer.write(batch)?)
    }

    fn finish(self: Box<Self>) -> anyhow::Result<()> {
        Ok(self.writer.close()?)
    }
}
