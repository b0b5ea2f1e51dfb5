//! Rows that come and rows that are there, merged column by column.

use std::sync::Arc;

use datafusion::arrow::array::UInt32Array;
use datafusion::arrow::array::{Array, ArrayRef, RecordBatch, new_null_array};
use datafusion::arrow::compute::{interleave, take};
use datafusion::arrow::datatypes::{Field, Schema, SchemaRef};

use crate::error::IngestError;

/// One row of the result: where it is there already, and where it comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Pair {
    /// Its row in what is there.
    pub(crate) base: Option<usize>,
    /// Its row in what comes.
    pub(crate) incoming: Option<usize>,
}

/// Who wins a column in which both have a say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Wins {
    /// What comes, even where it is missing.
    Incoming,
    /// What comes, where it has a value.
    IncomingValue,
    /// What is there, where it has a value.
    Base,
}

/// Merges rows: a column of `schema` is taken from `incoming` where that has it, as `wins` says, else from `base`.
///
/// Both batches may have further columns, which are left out. A column that neither has is NULL.
pub(crate) fn merge(
    schema: &SchemaRef,
    base: &RecordBatch,
    incoming: &RecordBatch,
    pairs: &[Pair],
    wins: impl Fn(&str) -> Wins,
) -> Result<RecordBatch, IngestError> {
    let merging = Merging::of(base, incoming, pairs);
    let columns: Result<Vec<ArrayRef>, IngestError> =
        schema.fields().iter().map(|field| merging.column(field, wins(field.name()))).collect();
    RecordBatch::try_new(schema.clone(), columns?).map_err(IngestError::internal)
}

/// Rows that are being merged. Most columns come from one side alone, and are taken from it as a whole.
struct Merging<'m> {
    base: &'m RecordBatch,
    incoming: &'m RecordBatch,
    pairs: &'m [Pair],
    /// Whether any row of the result is there already.
    has_base: bool,
    /// Whether any row of the result comes.
    has_incoming: bool,
    /// The rows of what is there, where every row of the result is among them.
    all_base: Option<Picked>,
    /// The rows of what comes, where every row of the result is among them.
    all_incoming: Option<Picked>,
}

impl<'m> Merging<'m> {
    fn of(base: &'m RecordBatch, incoming: &'m RecordBatch, pairs: &'m [Pair]) -> Self {
        let picked = |side: fn(&Pair) -> Option<usize>| {
            let rows: Option<Vec<u32>> = pairs.iter().map(|pair| side(pair).map(|row| row as u32)).collect();
            rows.map(Picked::new)
        };
        Self {
            base,
            incoming,
            pairs,
            has_base: pairs.iter().any(|pair| pair.base.is_some()),
            has_incoming: pairs.iter().any(|pair| pair.incoming.is_some()),
            all_base: picked(|pair| pair.base),
            all_incoming: picked(|pair| pair.incoming),
        }
    }

    fn column(&self, field: &Field, rule: Wins) -> Result<ArrayRef, IngestError> {
        let there = self.base.column_by_name(field.name()).filter(|_| self.has_base);
        let comes = self.incoming.column_by_name(field.name()).filter(|_| self.has_incoming);
        match (there, comes, &self.all_base, &self.all_incoming) {
            (None, None, ..) => Ok(new_null_array(field.data_type(), self.pairs.len())),
            (Some(there), None, Some(rows), _) => rows.take(there),
            (None, Some(comes), _, Some(rows)) => rows.take(comes),
            (Some(_), Some(comes), _, Some(rows)) if rule == Wins::Incoming => rows.take(comes),
            (Some(there), Some(_), Some(rows), _) if rule == Wins::Base && there.null_count() == 0 => rows.take(there),
            _ => self.interleaved(field, there, comes, rule),
        }
    }

    /// A column in which both sides have a say, cell by cell.
    fn interleaved(
        &self,
        field: &Field,
        there: Option<&ArrayRef>,
        comes: Option<&ArrayRef>,
        rule: Wins,
    ) -> Result<ArrayRef, IngestError> {
        let none = new_null_array(field.data_type(), 1);
        let picks: Vec<(usize, usize)> = self.pairs.iter().map(|pair| pick(*pair, there, comes, rule)).collect();
        let sources: [&dyn Array; 3] =
            [none.as_ref(), there.unwrap_or(&none).as_ref(), comes.unwrap_or(&none).as_ref()];
        interleave(&sources, &picks).map_err(IngestError::internal)
    }
}

/// Some rows of a batch, in their order.
struct Picked {
    rows: UInt32Array,
    /// Where they begin, if each is the one after the one before it.
    run_from: Option<usize>,
}

impl Picked {
    fn new(rows: Vec<u32>) -> Self {
        let is_run = rows.windows(2).all(|pair| u64::from(pair[0]) + 1 == u64::from(pair[1]));
        let run_from = is_run.then(|| rows.first().map_or(0, |first| *first as usize));
        Self { rows: UInt32Array::from(rows), run_from }
    }

    /// Their values in a column. A run of most of them is not copied; a few would keep all the others in memory.
    fn take(&self, column: &ArrayRef) -> Result<ArrayRef, IngestError> {
        match self.run_from.filter(|_| self.rows.len() >= column.len() / 2) {
            Some(from) => Ok(column.slice(from, self.rows.len())),
            None => take(column, &self.rows, None).map_err(IngestError::internal),
        }
    }
}

/// Which array (0 nothing, 1 what is there, 2 what comes) and which row of it a cell is taken from.
fn pick(pair: Pair, there: Option<&ArrayRef>, comes: Option<&ArrayRef>, rule: Wins) -> (usize, usize) {
    let has_old = there.zip(pair.base).is_some_and(|(there, row)| !there.is_null(row));
    let old = there.and(pair.base).map_or((0, 0), |row| (1, row));
    let (Some(comes), Some(new)) = (comes, pair.incoming) else { return old };
    let takes_new = match rule {
        Wins::Incoming => true,
        Wins::IncomingValue => !comes.is_null(new) || !has_old,
        Wins::Base => !has_old,
    };
    if takes_new { (2, new) } else { old }
}

/// All batches as one; empty with these columns where there are none.
pub(crate) fn concat(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<RecordBatch, IngestError> {
    let schema = batches.first().map_or_else(|| schema.clone(), RecordBatch::schema);
    datafusion::arrow::compute::concat_batches(&schema, batches).map_err(IngestError::internal)
}

/// Some rows of a batch, in the order given.
pub(crate) fn take_rows(batch: &RecordBatch, rows: &[u32]) -> Result<RecordBatch, IngestError> {
    let picked = Picked::new(rows.to_vec());
    let columns: Result<Vec<ArrayRef>, IngestError> =
        batch.columns().iter().map(|column| picked.take(column)).collect();
    RecordBatch::try_new(batch.schema(), columns?).map_err(IngestError::internal)
}

/// The columns of a batch that are named, in the order of the batch.
pub(crate) fn only_columns(batch: &RecordBatch, is_meant: impl Fn(&str) -> bool) -> Result<RecordBatch, IngestError> {
    let fields = batch.schema_ref().fields().iter().enumerate();
    let indices: Vec<usize> = fields.filter(|(_, field)| is_meant(field.name())).map(|(index, _)| index).collect();
    batch.project(&indices).map_err(IngestError::internal)
}

/// A batch with a column put in or replaced.
pub(crate) fn with_column(batch: &RecordBatch, name: &str, array: ArrayRef) -> Result<RecordBatch, IngestError> {
    let mut fields: Vec<_> = batch.schema().fields().iter().cloned().collect();
    let mut columns = batch.columns().to_vec();
    let field = Arc::new(Field::new(name, array.data_type().clone(), true));
    match batch.schema().index_of(name) {
        Ok(index) => {
            fields[index] = field;
            columns[index] = array;
        }
        Err(_) => {
            fields.push(field);
            columns.push(array);
        }
    }
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(IngestError::internal)
}

/// Whether two batches hold the same rows in the same order.
pub(crate) fn is_same(a: &RecordBatch, b: &RecordBatch) -> bool {
    a.num_rows() == b.num_rows()
        && a.num_columns() == b.num_columns()
        && a.columns().iter().zip(b.columns()).all(|(a, b)| a.as_ref() == b.as_ref())
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::{AsArray, StringArray};
    use datafusion::arrow::datatypes::DataType;

    use super::*;

    fn batch(columns: &[(&str, &[Option<&str>])]) -> RecordBatch {
        let columns = columns.iter().map(|(name, values)| {
            let array: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
            (*name, array, true)
        });
        RecordBatch::try_from_iter_with_nullable(columns).expect("a batch")
    }

    /// Merges what is there (`both` and `old`) with what comes (`both` and `new`); each pair is a row here and a row there.
    /// Compares the columns `both`, `old`, `new` and one that neither has, `-` for NULL.
    fn check(rule: Wins, pairs: &[(Option<usize>, Option<usize>)], expected: [&str; 4]) {
        let base = batch(&[("both", &[Some("a"), None, Some("c")]), ("old", &[Some("1"), Some("2"), Some("3")])]);
        let incoming = batch(&[("both", &[Some("A"), Some("B"), None]), ("new", &[Some("4"), None, Some("6")])]);
        let fields = ["both", "old", "new", "none"].map(|name| Field::new(name, DataType::Utf8, true));
        let schema: SchemaRef = Arc::new(Schema::new(fields.to_vec()));
        let pairs: Vec<Pair> = pairs.iter().map(|(base, incoming)| Pair { base: *base, incoming: *incoming }).collect();
        let merged = merge(&schema, &base, &incoming, &pairs, |_| rule).expect("a merge");
        let shown = |column: &ArrayRef| -> String {
            column.as_string::<i32>().iter().map(|value| value.unwrap_or("-")).collect()
        };
        assert_eq!(merged.columns().iter().map(shown).collect::<Vec<_>>(), expected, "{rule:?} {pairs:?}");
    }

    #[test]
    fn who_wins_a_column_decides_only_where_both_have_a_say() {
        let same = [(Some(0), Some(0)), (Some(1), Some(1)), (Some(2), Some(2))];
        check(Wins::Incoming, &same, ["AB-", "123", "4-6", "---"]);
        check(Wins::IncomingValue, &same, ["ABc", "123", "4-6", "---"]);
        check(Wins::Base, &same, ["aBc", "123", "4-6", "---"]);
        let crossed = [(Some(2), Some(0)), (Some(0), Some(2))];
        check(Wins::Incoming, &crossed, ["A-", "31", "46", "--"]);
        check(Wins::Base, &crossed, ["ca", "31", "46", "--"]);
    }

    #[test]
    fn what_is_new_and_what_only_stays_take_their_place_among_the_others() {
        let mixed = [(Some(1), None), (None, Some(2)), (Some(0), Some(1)), (None, Some(0))];
        check(Wins::Incoming, &mixed, ["--BA", "2-1-", "-6-4", "----"]);
        check(Wins::Base, &mixed, ["--aA", "2-1-", "-6-4", "----"]);
        let new = [(None, Some(1)), (None, Some(2))];
        check(Wins::Incoming, &new, ["B-", "--", "-6", "--"]);
        check(Wins::Base, &new, ["B-", "--", "-6", "--"]);
        check(Wins::Incoming, &[(Some(2), None), (Some(1), None)], ["c-", "32", "--", "--"]);
        check(Wins::Incoming, &[], ["", "", "", ""]);
    }

    #[test]
    fn rows_are_taken_in_the_order_given() {
        let rows = batch(&[("x", &[Some("a"), Some("b"), Some("c")])]);
        for (picked, expected) in [(vec![1, 2], "bc"), (vec![2, 0], "ca"), (vec![0, 2], "ac"), (vec![], "")] {
            let taken = take_rows(&rows, &picked).expect("rows");
            let shown: String = taken.column(0).as_string::<i32>().iter().map(|value| value.unwrap_or("-")).collect();
            assert_eq!(shown, expected, "{picked:?}");
        }
        assert_eq!(only_columns(&rows, |name| name == "y").expect("columns").num_columns(), 0);
    }
}
