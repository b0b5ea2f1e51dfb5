//! Events whose person is not known yet: they wait in `unmatched_event`, and every run tries them again.
//!
//! Every run, whichever source brought them: the customer or the id that they wait for may come from any. A run that finds the
//! person of one writes the table anew without it.

use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, Int64Array, RecordBatch, StringArray, TimestampMicrosecondArray,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{Field, Schema, TimestampMicrosecondType};
use datafusion::arrow::util::display::array_value_to_string;
use futures::StreamExt;
use serde_json::{Map, Value};
use tagmill_schemas::tables::contract;
use tagmill_store::{Snapshot, arrow_schema, timestamp_type};

use super::context::RunContext;
use super::event_rows::{EventRows, in_columns_of, with_ingested_at};
use super::identity::{Found, Identities, WantedKeys};
use super::keys::{read_each, read_stream, text_at};
use super::listed::with_source;
use super::merge::{take_rows, with_column};
use super::person::{KeyKind, PersonColumns, pair_key};
use super::quarantine::{Place, Refusal};
use super::targets::is_person_column;
use crate::error::IngestError;

/// The table in which they wait.
pub(super) const UNMATCHED: &str = "unmatched_event";

/// Rows that are held in memory before they are staged.
const HELD_ROWS: usize = 50_000;
/// Bytes that are held in memory before they are staged.
const HELD_BYTES: usize = 64 * 1024 * 1024;

/// How many events wait in a snapshot.
pub(super) fn waiting_in(base: Option<&Snapshot>) -> u64 {
    base.and_then(|base| base.row().row_counts.get(UNMATCHED)).copied().unwrap_or_default()
}

/// Rows of the table on their way to disk, in bounded memory.
#[derive(Default)]
pub(super) struct UnmatchedRows {
    batches: Vec<RecordBatch>,
    rows: usize,
    bytes: usize,
}

impl UnmatchedRows {
    /// Takes in conformed events of this run, with the hashes of their content.
    pub(super) async fn add_new(
        &mut self,
        context: &mut RunContext<'_>,
        events: &RecordBatch,
        hashes: Vec<i64>,
    ) -> Result<(), IngestError> {
        if events.num_rows() == 0 {
            return Ok(());
        }
        declare(context)?;
        let contents: StringArray = (0..events.num_rows()).map(|row| Some(content_of(events, row))).collect();
        let spaces = StringArray::from(vec![context.source.id_space.as_str(); events.num_rows()]);
        let rows = with_source(events, &context.source.name)?;
        let rows = with_column(&rows, "id_space", Arc::new(spaces))?;
        let rows = with_column(&rows, "content", Arc::new(contents))?;
        let rows = with_column(&rows, "content_hash", Arc::new(Int64Array::from(hashes)))?;
        let rows = with_ingested_at(context, &rows)?;
        self.add(context, &rows).await
    }

    /// Stages what is still held.
    pub(super) async fn finish(mut self, context: &mut RunContext<'_>) -> Result<(), IngestError> {
        self.stage(context).await
    }

    async fn add(&mut self, context: &mut RunContext<'_>, rows: &RecordBatch) -> Result<(), IngestError> {
        if rows.num_rows() > 0 {
            let rows = in_columns_of(&context.run.schema(UNMATCHED)?, rows)?;
            self.rows += rows.num_rows();
            self.bytes += rows.get_array_memory_size();
            self.batches.push(rows);
        }
        let is_full = self.rows >= HELD_ROWS || self.bytes >= HELD_BYTES;
        if is_full { self.stage(context).await } else { Ok(()) }
    }

    async fn stage(&mut self, context: &mut RunContext<'_>) -> Result<(), IngestError> {
        let held = std::mem::take(self);
        if held.batches.is_empty() { Ok(()) } else { context.stage(UNMATCHED, None, held.batches).await }
    }
}

/// Gives the table the columns that it lacks in a warehouse that was made before it had them.
fn declare(context: &mut RunContext<'_>) -> Result<(), IngestError> {
    let table = contract(UNMATCHED).ok_or_else(|| IngestError::internal(format!("`{UNMATCHED}` is no table")))?;
    Ok(context.run.declare(UNMATCHED, &arrow_schema(table, &[]))?)
}

/// Tries again whatever waits in the snapshot on which the run builds. To be asked when the run has filled its tables.
pub(super) async fn retry(context: &mut RunContext<'_>) -> Result<(), IngestError> {
    let waiting = waiting_in(context.run.base());
    if waiting == 0 {
        return Ok(());
    }
    let wanted = wanted_keys(context).await?;
    let identities = Identities::load(context, wanted).await?;
    let tried = if identities.is_empty() { Tried::default() } else { try_again(context, &identities).await? };
    context.tell_waiting(waiting, tried.found, tried.ambiguous);
    Ok(())
}

/// What came of trying again.
#[derive(Default)]
struct Tried {
    found: u64,
    ambiguous: u64,
}

/// The keys that waiting events give.
async fn wanted_keys(context: &RunContext<'_>) -> Result<WantedKeys, IngestError> {
    let sql = "SELECT id_space, customer_id, unionid, mobile, mobile_sha256, mobile_md5, platform, platform_id \
               FROM unmatched_event";
    let mut wanted = WantedKeys::default();
    read_each(context.run.base(), UNMATCHED, sql, |batch| {
        let person = PersonColumns::of(batch);
        for row in 0..batch.num_rows() {
            if let Some(id) = person.customer_id(row) {
                wanted.add(KeyKind::CustomerId, pair_key(space_of(batch, row), id));
            }
            for said in person.others(row) {
                if let Some(key) = said.key {
                    wanted.add(said.kind, key);
                }
            }
        }
        Ok(())
    })
    .await?;
    Ok(wanted)
}

/// Takes the events whose person is known now out of the table and into `event`.
async fn try_again(context: &mut RunContext<'_>, identities: &Identities) -> Result<Tried, IngestError> {
    let (mut events, mut waiting, mut tried) = (EventRows::default(), UnmatchedRows::default(), Tried::default());
    let batches = read_stream(context.run.base(), UNMATCHED, "SELECT * FROM unmatched_event").await?;
    let Some(mut batches) = batches else { return Ok(tried) };
    context.run.replace_all(UNMATCHED)?;
    while let Some(batch) = batches.next().await {
        let batch = batch.map_err(IngestError::internal)?;
        let (mut found, mut customers, mut kept) = (Vec::new(), Vec::new(), Vec::new());
        for (row, whose) in found_in(identities, &batch).into_iter().enumerate() {
            match whose {
                Found::Customer(customer) => {
                    found.push(row as u32);
                    customers.push(i64::from(customer));
                }
                Found::Ambiguous(reason) => {
                    refuse(context, &batch, row, reason)?;
                    tried.ambiguous += 1;
                }
                Found::Nobody | Found::Unnamed(_) => kept.push(row as u32),
            }
        }
        tried.found += found.len() as u64;
        let found = rebuilt(context, &take_rows(&batch, &found)?)?;
        context.late.note_waited(&found);
        events.add(context, &found, &customers).await?;
        waiting.add(context, &take_rows(&batch, &kept)?).await?;
    }
    events.finish(context).await?;
    waiting.finish(context).await?;
    Ok(tried)
}

/// Whose each waiting event is.
fn found_in(identities: &Identities, batch: &RecordBatch) -> Vec<Found> {
    let person = PersonColumns::of(batch);
    let find = |row: usize| identities.find(&person, row, |id| identities.customer(space_of(batch, row), id));
    (0..batch.num_rows()).map(find).collect()
}

fn space_of(batch: &RecordBatch, row: usize) -> &str {
    text_at(batch, "id_space", row).unwrap_or_default()
}

/// Puts a waiting event that could be that of several customers into quarantine, under the source that brought it.
fn refuse(context: &mut RunContext<'_>, batch: &RecordBatch, row: usize, reason: String) -> Result<(), IngestError> {
    let content = content_at(batch, row)?;
    let text = |name: &str| content.get(name).and_then(Value::as_str);
    let place =
        Place { file: text("_file").map(str::to_owned), line: text("_line").and_then(|line| line.parse().ok()) };
    let source = text_at(batch, "source", row).unwrap_or_default();
    let refusal = Refusal::new("IDENTITY_CONFLICT", reason);
    let raw = || text_at(batch, "content", row).unwrap_or_default().to_owned();
    context.quarantine.add_for(source, "event", &place, refusal, raw)
}

/// A conformed event as JSON text: what has no column of its own in the table, and where the row came from. Instants are
/// written as microseconds, so that every one comes back; other values as they are shown.
fn content_of(rows: &RecordBatch, row: usize) -> String {
    let mut content = Map::new();
    for (field, array) in rows.schema().fields().iter().zip(rows.columns()) {
        let name = field.name().as_str();
        if array.is_null(row) || name == "_raw" || name == "event_id" || is_person_column(name) {
            continue;
        }
        let value = match array.as_primitive_opt::<TimestampMicrosecondType>() {
            Some(instants) => instants.value(row).into(),
            None => array_value_to_string(array, row).unwrap_or_default().into(),
        };
        content.insert(name.to_owned(), value);
    }
    Value::Object(content).to_string()
}

fn content_at(batch: &RecordBatch, row: usize) -> Result<Map<String, Value>, IngestError> {
    serde_json::from_str(text_at(batch, "content", row).unwrap_or_default()).map_err(IngestError::internal)
}

/// Waiting rows as the events that they were when they came.
fn rebuilt(context: &RunContext<'_>, waiting: &RecordBatch) -> Result<RecordBatch, IngestError> {
    let contents: Vec<Map<String, Value>> =
        (0..waiting.num_rows()).map(|row| content_at(waiting, row)).collect::<Result<_, _>>()?;
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for field in context.run.schema("event")?.fields() {
        let is_kept_apart = matches!(field.name().as_str(), "source" | "event_id" | "content_hash");
        let column = match waiting.column_by_name(field.name()).filter(|_| is_kept_apart) {
            Some(column) => column.clone(),
            None => column_of(field, &contents)?,
        };
        fields.push(Field::new(field.name(), column.data_type().clone(), true));
        columns.push(column);
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(IngestError::internal)
}

/// One column of the events that were written as JSON text.
fn column_of(field: &Field, contents: &[Map<String, Value>]) -> Result<ArrayRef, IngestError> {
    let values = contents.iter().map(|content| content.get(field.name()));
    if *field.data_type() == timestamp_type() {
        let instants: TimestampMicrosecondArray = values.map(|value| value.and_then(Value::as_i64)).collect();
        return Ok(Arc::new(instants.with_timezone("UTC")));
    }
    let texts: StringArray = values.map(|value| value.and_then(Value::as_str)).collect();
    cast(&texts, field.data_type()).map_err(IngestError::internal)
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{BooleanArray, Date32Array, Decimal128Array};

    use super::*;

    #[test]
    fn an_event_comes_back_from_its_text_as_it_was() {
        let money = Decimal128Array::from(vec![Some(-123_456), None]).with_precision_and_scale(18, 4).expect("a type");
        let instants = TimestampMicrosecondArray::from(vec![Some(1_780_000_000_000_001), Some(-1)]);
        let columns: [(&str, ArrayRef); 5] = [
            ("type", Arc::new(StringArray::from(vec![Some("支付 \"x\"\n"), Some("")]))),
            ("occurred_at", Arc::new(instants.with_timezone("UTC"))),
            ("amount", Arc::new(money)),
            ("is_first", Arc::new(BooleanArray::from(vec![None, Some(true)]))),
            ("due_on", Arc::new(Date32Array::from(vec![Some(20_000), None]))),
        ];
        let rows = columns.iter().map(|(name, column)| (*name, column.clone(), true));
        let rows = RecordBatch::try_from_iter_with_nullable(rows).expect("a batch");
        let contents: Vec<Map<String, Value>> =
            (0..2).map(|row| serde_json::from_str(&content_of(&rows, row)).expect("an object")).collect();
        for (name, column) in columns {
            let field = Field::new(name, column.data_type().clone(), true);
            assert_eq!(&column_of(&field, &contents).expect(name), &column, "{name}");
        }
    }

    #[test]
    fn what_has_a_column_of_its_own_is_not_in_the_text_and_where_the_row_came_from_is() {
        let text = |value: &str| -> ArrayRef { Arc::new(StringArray::from(vec![value])) };
        let columns = [
            ("event_id", text("e1")),
            ("mobile", text("13800138000")),
            ("type", text("pay")),
            ("_file", text("orders.csv")),
            ("_line", Arc::new(Int64Array::from(vec![7])) as ArrayRef),
            ("_raw", text("e1,13800138000,pay")),
        ];
        let rows = RecordBatch::try_from_iter(columns).expect("a batch");
        assert_eq!(content_of(&rows, 0), r#"{"type":"pay","_file":"orders.csv","_line":"7"}"#);
    }
}
