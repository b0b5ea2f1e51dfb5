//! Holding mapped rows against a table's contract: what does not fit costs one row, and is told with its place.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BooleanArray, DictionaryArray, Int32Array, StringArray, StructArray, new_null_array,
};
use datafusion::arrow::compute::{filter_record_batch, not};
use datafusion::arrow::datatypes::{DataType, Field, Schema};
use datafusion::arrow::error::ArrowError;
use datafusion::arrow::json::LineDelimitedWriter;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::arrow::util::display::array_value_to_string;
use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::tables::{Domain, contract};

use super::cast::cast_column;
use super::exact;
use super::judge::Judge;
use super::quarantine::{Place, Refusal};
use super::targets::InputColumn;
use crate::error::IngestError;

/// The columns that carry a row's place, and the row as it came, through a row-wise SELECT.
pub(crate) const LINEAGE: [&str; 3] = ["_file", "_line", "_raw"];

/// A batch held against a contract. Both parts have the same columns: the target's, then the lineage columns that the
/// batch carries. The names of files in them are a dictionary.
pub(crate) struct Conformed {
    /// The rows that fit.
    pub(crate) rows: RecordBatch,
    /// The rows that do not and belong into quarantine; a value of another type is NULL in them. Their keys say what is
    /// there all the same.
    pub(crate) refused: RecordBatch,
}

/// A row that does not fit, as the quarantine keeps it.
pub(crate) struct RefusedRow {
    pub(crate) place: Place,
    pub(crate) refusal: Refusal,
    /// The row as it came.
    pub(crate) raw: String,
}

/// Holds batches of one SELECT against the columns of its target.
pub(crate) struct Conformer {
    columns: Vec<(InputColumn, Option<Domain>)>,
    zone: BusinessZone,
}

impl Conformer {
    /// `columns` are those that the SELECT gives, in the order of the target.
    pub(crate) fn new(table: &str, columns: Vec<InputColumn>, zone: BusinessZone) -> Self {
        let declared = |name: &str| contract(table).and_then(|table| table.column(name));
        let columns = columns.into_iter().map(|column| {
            let domain = declared(&column.name).and_then(|declared| declared.domain);
            (column, domain)
        });
        Self { columns: columns.collect(), zone }
    }

    /// Casts a batch, and tells which rows do not fit and why.
    pub(crate) fn conform(&self, batch: &RecordBatch) -> Result<(Conformed, Vec<RefusedRow>), IngestError> {
        let mut fields = Vec::new();
        let mut arrays: Vec<ArrayRef> = Vec::new();
        let mut refused: BTreeMap<usize, Refusal> = BTreeMap::new();
        for (column, domain) in &self.columns {
            let given = given_column(batch, column);
            let cast = cast_column(&given, &column.ty, self.zone).map_err(IngestError::internal)?;
            let changed = exact::changed(&given, &cast).map_err(IngestError::internal)?;
            Judge { column, domain: *domain, given: &given, cast: &cast, changed }.judge(&mut refused);
            fields.push(Field::new(&column.name, column.ty.clone(), true));
            arrays.push(cast);
        }
        for name in LINEAGE {
            if let Some(array) = batch.column_by_name(name) {
                let array = match array.as_string_opt::<i32>().filter(|_| name == "_file") {
                    Some(files) => repeating(files).map_err(IngestError::internal)?,
                    None => array.clone(),
                };
                fields.push(Field::new(name, array.data_type().clone(), true));
                arrays.push(array);
            }
        }
        let typed = RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).map_err(IngestError::internal)?;
        let conformed = split(typed, &refused)?;
        let refused = refused.into_iter().map(|(row, refusal)| {
            let (place, raw) = (place_of(batch, row), raw_of(batch, row));
            RefusedRow { place, refusal, raw }
        });
        Ok((conformed, refused.collect()))
    }
}

/// The rows that fit, and those that do not.
fn split(typed: RecordBatch, refused: &BTreeMap<usize, Refusal>) -> Result<Conformed, IngestError> {
    if refused.is_empty() {
        let refused = typed.slice(0, 0);
        return Ok(Conformed { rows: typed, refused });
    }
    let is_refused: Vec<bool> = (0..typed.num_rows()).map(|row| refused.contains_key(&row)).collect();
    let is_refused = BooleanArray::from(is_refused);
    let fits = not(&is_refused).map_err(IngestError::internal)?;
    let picked = |rows: &BooleanArray| filter_record_batch(&typed, rows).map_err(IngestError::internal);
    Ok(Conformed { rows: picked(&fits)?, refused: picked(&is_refused)? })
}

/// A column as it was given. `NULL AS x` has a type of its own, whose rows do not say that they are NULL; what was not
/// given is missing in every row.
fn given_column(batch: &RecordBatch, column: &InputColumn) -> ArrayRef {
    let given = batch.column_by_name(&column.name).filter(|given| *given.data_type() != DataType::Null);
    given.cloned().unwrap_or_else(|| new_null_array(&column.ty, batch.num_rows()))
}

/// Where a mapped row came from; nothing where its SELECT is not row-wise.
pub(crate) fn place_of(batch: &RecordBatch, row: usize) -> Place {
    let text = |name: &str| {
        let array = batch.column_by_name(name).filter(|array| !array.is_null(row))?;
        array_value_to_string(array, row).ok()
    };
    Place { file: text("_file"), line: text("_line").and_then(|line| line.parse().ok()) }
}

/// A row as it came: its raw text where the batch carries it, else its mapped values as JSON.
pub(crate) fn raw_of(batch: &RecordBatch, row: usize) -> String {
    if let Some(raw) = batch.column_by_name("_raw").filter(|raw| !raw.is_null(row)) {
        return match raw.as_struct_opt() {
            Some(raw) => json_of(raw, row).unwrap_or_default(),
            None => array_value_to_string(raw, row).unwrap_or_default(),
        };
    }
    let mut object = serde_json::Map::new();
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let is_missing = array.is_null(row) || *array.data_type() == DataType::Null;
        if !field.name().starts_with('_') && !is_missing {
            object.insert(field.name().clone(), array_value_to_string(array, row).unwrap_or_default().into());
        }
    }
    serde_json::Value::Object(object).to_string()
}

/// A row of several columns as JSON, without its NULLs; `None` where it has a column that JSON has no form for.
fn json_of(columns: &StructArray, row: usize) -> Option<String> {
    let mut writer = LineDelimitedWriter::new(Vec::new());
    writer.write(&RecordBatch::from(columns.slice(row, 1))).ok()?;
    writer.finish().ok()?;
    let line = String::from_utf8(writer.into_inner()).ok()?;
    Some(line.trim_end().to_owned())
}

/// Texts that repeat themselves in a row, such as the names of files, each kept once.
fn repeating(texts: &StringArray) -> Result<ArrayRef, ArrowError> {
    let mut values: Vec<&str> = Vec::new();
    let keys = texts.iter().map(|text| {
        let text = text?;
        if values.last() != Some(&text) {
            values.push(text);
        }
        // There are no more of them than rows in a batch.
        Some(values.len() as i32 - 1)
    });
    let keys: Int32Array = keys.collect();
    Ok(Arc::new(DictionaryArray::try_new(keys, Arc::new(StringArray::from(values)))?))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{Int64Array, NullArray};
    use datafusion::arrow::datatypes::Int32Type;

    use super::super::targets::input_columns;
    use super::*;

    /// Conforms text columns (none: `NULL AS …`); returns what became of the rows, and the codes of the refused ones.
    fn conformed(table: &str, columns: &[(&str, Option<&[&str]>)]) -> (Conformed, Vec<&'static str>) {
        let rows = columns.iter().find_map(|(_, values)| *values).map_or(0, <[&str]>::len);
        let arrays = columns.iter().map(|(name, values)| {
            let array: ArrayRef = match values {
                Some(values) => Arc::new(StringArray::from(values.to_vec())),
                None => Arc::new(NullArray::new(rows)),
            };
            (*name, array, true)
        });
        let batch = RecordBatch::try_from_iter_with_nullable(arrays).expect("a batch");
        let is_given = |column: &InputColumn| columns.iter().any(|(name, _)| *name == column.name);
        let inputs = input_columns(table, &[]).into_iter().filter(is_given).collect();
        let conformer = Conformer::new(table, inputs, BusinessZone::default());
        let (conformed, refused) = conformer.conform(&batch).expect("conformed");
        (conformed, refused.iter().map(|row| row.refusal.code).collect())
    }

    fn texts(batch: &RecordBatch, column: &str) -> Vec<String> {
        let texts = batch.column_by_name(column).expect(column).as_string::<i32>();
        texts.iter().map(|text| text.unwrap_or("-").to_owned()).collect()
    }

    #[test]
    fn a_refused_row_keeps_its_key() {
        let ids: &[&str] = &["t1", "t2", "t3"];
        let made: &[&str] = &["2026-01-01", "soon", "2026-01-02"];
        let names: &[&str] = &["A", "B", "C"];
        let names = [("tag_id", Some(ids)), ("group_name", Some(names)), ("tag_name", Some(names))];
        let columns: Vec<_> = names.into_iter().chain([("created_at", Some(made))]).collect();
        let (conformed, codes) = conformed("tag", &columns);
        assert_eq!(texts(&conformed.rows, "tag_id"), ["t1", "t3"]);
        assert_eq!(texts(&conformed.refused, "tag_id"), ["t2"]);
        assert_eq!(codes, ["BAD_VALUE"]);
    }

    #[test]
    fn a_column_of_nulls_is_missing_in_every_row_and_no_bad_value() {
        let ids: &[&str] = &["c1", "c2"];
        let columns = [("customer_id", Some(ids)), ("staff_id", None), ("tag_id", Some(ids)), ("assigned_at", None)];
        let (conformed, codes) = conformed("assignment", &columns);
        assert_eq!(texts(&conformed.rows, "customer_id"), ["c1", "c2"]);
        assert_eq!(texts(&conformed.rows, "staff_id"), ["-", "-"]);
        assert!(codes.is_empty(), "{codes:?}");
        let (conformed, codes) = self::conformed("follow", &[("customer_id", Some(ids)), ("staff_id", None)]);
        assert_eq!((conformed.rows.num_rows(), codes), (0, vec!["MISSING_VALUE", "MISSING_VALUE"]));
    }

    #[test]
    fn a_value_outside_its_domain_is_a_bad_value() {
        let ids: &[&str] = &["c1", "c2", "c3"];
        let months: &[&str] = &["12", "13", "0"];
        let (people, codes) = conformed("customer", &[("customer_id", Some(ids)), ("birth_month", Some(months))]);
        assert_eq!(texts(&people.rows, "customer_id"), ["c1"]);
        assert_eq!(codes, ["BAD_VALUE", "BAD_VALUE"]);
        let statuses: &[&str] = &["half", "Half", "gone"];
        let columns = [("customer_id", Some(ids)), ("staff_id", Some(ids)), ("status", Some(statuses))];
        assert_eq!(texts(&conformed("follow", &columns).0.rows, "customer_id"), ["c1"]);
    }

    #[test]
    fn an_amount_that_would_have_to_be_rounded_is_a_bad_value() {
        let ids: &[&str] = &["e1", "e2"];
        let amounts: &[&str] = &["0.1234", "0.12345"];
        let (events, codes) = conformed("event", &[("event_id", Some(ids)), ("amount", Some(amounts))]);
        assert_eq!(texts(&events.rows, "event_id"), ["e1"]);
        assert_eq!(codes, ["BAD_VALUE"]);
    }

    #[test]
    fn a_refused_row_is_told_with_its_place_and_as_it_came() {
        let text = |values: Vec<&str>| Arc::new(StringArray::from(values)) as ArrayRef;
        let amounts = Arc::new(Int64Array::from(vec![Some(7), None, Some(9)])) as ArrayRef;
        let fields = vec![Field::new("no", DataType::Utf8, true), Field::new("cents", DataType::Int64, true)];
        let raw = StructArray::new(fields.into(), vec![text(vec!["e1", "", "e3"]), amounts], None);
        let batch = RecordBatch::try_from_iter_with_nullable([
            ("event_id", text(vec!["e1", "", "e3"]), true),
            ("_file", text(vec!["a.parquet", "a.parquet", "b.parquet"]), false),
            ("_line", Arc::new(Int64Array::from(vec![8, 9, 1])) as ArrayRef, false),
            ("_raw", Arc::new(raw) as ArrayRef, true),
        ])
        .expect("a batch");
        let is_id = |column: &InputColumn| column.name == "event_id";
        let inputs = input_columns("event", &[]).into_iter().filter(is_id).collect();
        let (conformed, refused) =
            Conformer::new("event", inputs, BusinessZone::default()).conform(&batch).expect("conformed");
        let told: Vec<_> = refused.iter().map(|row| (row.place.file.as_deref(), row.place.line, &*row.raw)).collect();
        assert_eq!(told, [(Some("a.parquet"), Some(9), r#"{"no":""}"#)]);
        assert_eq!(raw_of(&conformed.rows, 1), r#"{"no":"e3","cents":9}"#);
        let place = place_of(&conformed.rows, 1);
        assert_eq!((place.file.as_deref(), place.line), (Some("b.parquet"), Some(1)));
        let files = conformed.rows.column_by_name("_file").expect("files").as_dictionary::<Int32Type>().values().len();
        assert_eq!(files, 2);
    }
}
