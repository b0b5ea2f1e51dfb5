//! Outside keys and dense numbers: customers by id, follows by staff member and customer.

use std::ops::RangeInclusive;
use std::sync::Arc;

use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{Int64Type, TimestampMicrosecondType};
use datafusion::execution::SendableRecordBatchStream;
use datafusion::execution::context::SessionContext;
use datafusion::prelude::{DataFrame, SessionConfig};
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tagmill_schemas::ids::BUCKET_BITS;
use tagmill_store::Snapshot;

use super::context::RunContext;
use super::text_index::TextIndex;
use crate::error::IngestError;

/// A map that is looked into for every row: its hash is seeded, and faster than the standard one.
pub(super) type HashMap<K, V> = std::collections::HashMap<K, V, foldhash::fast::RandomState>;

/// The customers of one id space, by outside id.
#[derive(Debug, Default)]
pub(crate) struct CustomerKeys {
    ids: TextIndex,
    /// The number of each id, by its position.
    numbers: Vec<u32>,
    next: u32,
}

/// Where the id that was looked up last stands among all. Exports mostly come in the order of their customers, so that the
/// next one is the same again or the one after it: to compare with these two is cheaper than to hash.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Near(u32);

/// The follows, by staff member and customer.
#[derive(Debug, Default)]
pub(crate) struct FollowKeys {
    staff: HashMap<Box<str>, u32>,
    by_pair: HashMap<(u32, u32), u32>,
    next: u32,
}

impl RunContext<'_> {
    /// The keys of the customers, to be given to new ones.
    pub(super) fn customer_keys(&mut self) -> Result<&mut CustomerKeys, IngestError> {
        Arc::get_mut(&mut self.customers).ok_or_else(still_read)
    }

    /// The keys of the customers, and those of their follows, to be given to new ones.
    pub(super) fn follow_keys(&mut self) -> Result<(&CustomerKeys, &mut FollowKeys), IngestError> {
        let follows = Arc::get_mut(&mut self.follows).ok_or_else(still_read)?;
        Ok((self.customers.as_ref(), follows))
    }
}

/// Keys are not given while rows are read by them.
fn still_read() -> IngestError {
    IngestError::internal("keys were to be given while rows were read by them")
}

impl CustomerKeys {
    /// Loads the keys of an id space.
    pub(crate) async fn load(base: Option<&Snapshot>, id_space: &str) -> Result<Self, IngestError> {
        let mut keys = Self::default();
        let sql = "SELECT customer_no, id_space, customer_id FROM customer";
        read_each(base, "customer", sql, |batch| {
            let numbers = batch.column(0).as_primitive::<Int64Type>();
            let (spaces, ids) = (batch.column(1).as_string::<i32>(), batch.column(2).as_string::<i32>());
            for row in 0..batch.num_rows() {
                let number = dense(numbers.value(row))?;
                keys.next = keys.next.max(number + 1);
                if spaces.value(row) == id_space {
                    keys.put(ids.value(row), number);
                }
            }
            Ok(())
        })
        .await?;
        Ok(keys)
    }

    /// The number that the next new customer gets.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    /// The buckets that may have customers: all up to the last that has one, and the first where there is none.
    pub(crate) fn buckets(&self) -> RangeInclusive<u32> {
        0..=self.next.saturating_sub(1) >> BUCKET_BITS
    }

    /// The number of an id; `None` where it is not known.
    pub(crate) fn get(&self, id: &str) -> Option<u32> {
        self.numbers.get(self.ids.position(id)? as usize).copied()
    }

    /// The number of an id as [`get`](Self::get) tells it, for who looks up one after the other.
    pub(crate) fn get_near(&self, id: &str, near: &mut Near) -> Option<u32> {
        let is_at = |position: &u32| self.ids.text(*position) == Some(id);
        let neighbour = [near.0, near.0.saturating_add(1)].into_iter().find(is_at);
        near.0 = neighbour.or_else(|| self.ids.position(id))?;
        self.numbers.get(near.0 as usize).copied()
    }

    /// The number of an id, given now where it has none yet. Tells whether it is new.
    pub(crate) fn get_or_give(&mut self, id: &str, near: &mut Near) -> (u32, bool) {
        if let Some(number) = self.get_near(id, near) {
            return (number, false);
        }
        let number = self.next;
        self.next += 1;
        near.0 = self.put(id, number);
        (number, true)
    }

    /// Puts in an id that is not known yet; returns where it stands.
    fn put(&mut self, id: &str, number: u32) -> u32 {
        self.numbers.push(number);
        self.ids.put(id)
    }
}

impl FollowKeys {
    /// Loads every follow.
    pub(crate) async fn load(base: Option<&Snapshot>) -> Result<Self, IngestError> {
        let mut keys = Self::default();
        read_each(base, "follow", "SELECT follow_no, customer_no, staff_id FROM follow", |batch| {
            let [follows, customers] = [0, 1].map(|column| batch.column(column).as_primitive::<Int64Type>());
            let staff = batch.column(2).as_string::<i32>();
            for row in 0..batch.num_rows() {
                let number = dense(follows.value(row))?;
                keys.next = keys.next.max(number + 1);
                let staff_no = keys.staff_no(staff.value(row));
                keys.by_pair.insert((dense(customers.value(row))?, staff_no), number);
            }
            Ok(())
        })
        .await?;
        Ok(keys)
    }

    /// The number that the next new follow gets.
    pub(crate) fn next(&self) -> u32 {
        self.next
    }

    fn staff_no(&mut self, staff_id: &str) -> u32 {
        if let Some(number) = self.staff.get(staff_id) {
            return *number;
        }
        // Fewer staff than customers, which are fewer than 2³².
        let number = self.staff.len() as u32;
        self.staff.insert(staff_id.into(), number);
        number
    }

    /// The follow of a staff member and a customer; `None` where there is none.
    pub(crate) fn get(&self, staff_id: &str, customer_no: u32) -> Option<u32> {
        self.by_pair.get(&(customer_no, *self.staff.get(staff_id)?)).copied()
    }

    /// The follow of a staff member and a customer, given now where there is none yet. Tells whether it is new.
    pub(crate) fn get_or_give(&mut self, staff_id: &str, customer_no: u32) -> (u32, bool) {
        let staff_no = self.staff_no(staff_id);
        if let Some(number) = self.by_pair.get(&(customer_no, staff_no)) {
            return (*number, false);
        }
        let number = self.next;
        self.next += 1;
        self.by_pair.insert((customer_no, staff_no), number);
        (number, true)
    }
}

/// Reads from one table of a snapshot; nothing where there is no snapshot yet.
pub(crate) async fn read(base: Option<&Snapshot>, table: &str, sql: &str) -> Result<Vec<RecordBatch>, IngestError> {
    match question(base, table, sql).await? {
        Some(frame) => frame.collect().await.map_err(IngestError::internal),
        None => Ok(Vec::new()),
    }
}

/// Reads as [`read`] does, batch by batch, so that the answer is never in memory as a whole.
pub(crate) async fn read_each(
    base: Option<&Snapshot>,
    table: &str,
    sql: &str,
    mut take: impl FnMut(&RecordBatch) -> Result<(), IngestError>,
) -> Result<(), IngestError> {
    let Some(mut batches) = read_stream(base, table, sql).await? else { return Ok(()) };
    while let Some(batch) = batches.next().await {
        take(&batch.map_err(IngestError::internal)?)?;
    }
    Ok(())
}

/// Reads as [`read_each`] does, for those who wait for something between two batches.
pub(crate) async fn read_stream(
    base: Option<&Snapshot>,
    table: &str,
    sql: &str,
) -> Result<Option<SendableRecordBatchStream>, IngestError> {
    let Some(frame) = question(base, table, sql).await? else { return Ok(None) };
    frame.execute_stream().await.map(Some).map_err(IngestError::internal)
}

async fn question(base: Option<&Snapshot>, table: &str, sql: &str) -> Result<Option<DataFrame>, IngestError> {
    let Some(provider) = base.and_then(|base| base.provider(table)) else { return Ok(None) };
    let session = SessionContext::new_with_config(
        SessionConfig::new().set_bool("datafusion.execution.parquet.schema_force_view_types", false),
    );
    session.register_table(table, provider).map_err(IngestError::internal)?;
    session.sql(sql).await.map(Some).map_err(IngestError::internal)
}

/// A dense number as it is kept in memory.
pub(crate) fn dense(number: i64) -> Result<u32, IngestError> {
    u32::try_from(number).map_err(|_| IngestError::internal(format!("{number} is no dense number below 2³²")))
}

/// An id as 128 bits of its SHA-256: two ids collide in no warehouse that will ever be.
pub(crate) fn id_hash(id: &str) -> u128 {
    first_128_bits(&Sha256::digest(id.as_bytes()))
}

/// The first 128 bits of a digest.
pub(crate) fn first_128_bits(digest: &[u8]) -> u128 {
    digest.iter().take(16).fold(0, |bits, byte| (bits << 8) | u128::from(*byte))
}

/// A text cell; `None` for NULL.
pub(crate) fn text_at<'b>(batch: &'b RecordBatch, column: &str, row: usize) -> Option<&'b str> {
    let array = batch.column_by_name(column)?.as_string_opt::<i32>()?;
    (!array.is_null(row)).then(|| array.value(row))
}

/// A cell of a text column that was looked up before; `None` for NULL, and where there is no such column.
pub(crate) fn cell(column: Option<&StringArray>, row: usize) -> Option<&str> {
    column.filter(|column| !column.is_null(row)).map(|column| column.value(row))
}

/// The dense numbers in a column; none where there is no such column.
pub(crate) fn numbers<'b>(batch: &'b RecordBatch, column: &str) -> &'b [i64] {
    let column = batch.column_by_name(column).and_then(|column| column.as_primitive_opt::<Int64Type>());
    column.map_or(&[][..], |column| &column.values()[..])
}

/// An instant cell in microseconds; `None` for NULL.
pub(crate) fn instant_at(batch: &RecordBatch, column: &str, row: usize) -> Option<i64> {
    let array = batch.column_by_name(column)?.as_primitive_opt::<TimestampMicrosecondType>()?;
    (!array.is_null(row)).then(|| array.value(row))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_id_always_has_the_same_hash_and_another_has_another() {
        assert_eq!(id_hash("a"), id_hash("a"));
        assert_ne!(id_hash("a"), id_hash("b"));
    }

    #[test]
    fn a_customer_keeps_the_number_that_was_given_once_in_whatever_order_they_are_asked() {
        let (mut keys, mut near) = (CustomerKeys::default(), Near::default());
        let given = ["a", "b", "a", "c"].map(|id| keys.get_or_give(id, &mut near));
        assert_eq!(given, [(0, true), (1, true), (0, false), (2, true)]);
        let mut near = Near::default();
        let asked = ["b", "c", "x", "c", "a", "a", "b"].map(|id| keys.get_near(id, &mut near));
        assert_eq!(asked, [Some(1), Some(2), None, Some(2), Some(0), Some(0), Some(1)]);
        assert_eq!((keys.get("c"), keys.get("x"), keys.next()), (Some(2), None, 3));
    }
}
