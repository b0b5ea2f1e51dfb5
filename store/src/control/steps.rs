//! The steps of a plan as a Parquet file: one row a step, in order.

use std::path::Path;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, StringArray};
use datafusion::arrow::datatypes::{DataType, Field, Int64Type, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use tagmill_schemas::documents::plan::PlanStep;
use tagmill_schemas::ids::{CustomerKey, CustomerNo, FollowNo, StaffId, TagId};

use crate::durable::{file_error, sync_folder_of};
use crate::error::StoreError;
use crate::parquet_file::{read_batches, write_batches};

/// Writes the steps under a name of their own and renames the file, so that it is there whole or not at all, however
/// many write it at once.
pub(super) fn write(path: &Path, steps: &[PlanStep]) -> Result<(), StoreError> {
    let texts =
        |pick: fn(&PlanStep) -> Option<String>| Arc::new(StringArray::from_iter(steps.iter().map(pick))) as ArrayRef;
    let numbers =
        |pick: fn(&PlanStep) -> Option<i64>| Arc::new(Int64Array::from_iter(steps.iter().map(pick))) as ArrayRef;
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("step_no", numbers(|step| Some(step.step_no))),
        ("customer_no", numbers(|step| Some(i64::from(step.customer_no.0)))),
        ("id_space", texts(|step| Some(step.customer.id_space.clone()))),
        ("customer_id", texts(|step| Some(step.customer.customer_id.clone()))),
        ("follow_no", numbers(|step| step.follow_no.map(|no| i64::from(no.0)))),
        ("staff_id", texts(|step| step.staff_id.as_ref().map(|id| id.0.clone()))),
        ("add", texts(|step| serde_json::to_string(&step.add).ok())),
        ("remove", texts(|step| serde_json::to_string(&step.remove).ok())),
        ("evidence", texts(|step| Some(step.evidence.clone()))),
    ];
    let fields: Vec<Field> =
        columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new(schema.clone(), columns.into_iter().map(|(_, array)| array).collect())
        .map_err(|cause| StoreError::Contract { table: "plan".to_owned(), reason: cause.to_string() })?;
    let draft = path.with_extension(format!("{}.tmp", uuid::Uuid::new_v4().simple()));
    write_batches(&draft, &schema, [batch])?;
    std::fs::rename(&draft, path).map_err(|source| file_error("rename", &draft, source))?;
    sync_folder_of(path)
}

/// Reads the steps back in order.
pub(super) fn read(path: &Path) -> Result<Vec<PlanStep>, StoreError> {
    let mut steps = Vec::new();
    for batch in read_batches(path)? {
        let reader = StepReader { batch: &batch, path };
        for row in 0..batch.num_rows() {
            steps.push(reader.step(row)?);
        }
    }
    steps.sort_by_key(|step| step.step_no);
    Ok(steps)
}

struct StepReader<'b> {
    batch: &'b RecordBatch,
    path: &'b Path,
}

impl StepReader<'_> {
    fn step(&self, row: usize) -> Result<PlanStep, StoreError> {
        Ok(PlanStep {
            step_no: self.number("step_no", row)?.ok_or_else(|| self.damaged("step_no"))?,
            customer_no: CustomerNo(self.dense("customer_no", row)?.ok_or_else(|| self.damaged("customer_no"))?),
            customer: CustomerKey {
                id_space: self.text("id_space", row)?.unwrap_or_default(),
                customer_id: self.text("customer_id", row)?.unwrap_or_default(),
            },
            follow_no: self.dense("follow_no", row)?.map(FollowNo),
            staff_id: self.text("staff_id", row)?.map(StaffId),
            add: self.tags("add", row)?,
            remove: self.tags("remove", row)?,
            evidence: self.text("evidence", row)?.unwrap_or_default(),
        })
    }

    fn column(&self, name: &str, ty: &DataType) -> Result<&ArrayRef, StoreError> {
        let column = self.batch.column_by_name(name).ok_or_else(|| self.damaged(name))?;
        if column.data_type() == ty { Ok(column) } else { Err(self.damaged(name)) }
    }

    fn number(&self, name: &str, row: usize) -> Result<Option<i64>, StoreError> {
        let values = self.column(name, &DataType::Int64)?.as_primitive::<Int64Type>();
        Ok((!values.is_null(row)).then(|| values.value(row)))
    }

    fn dense(&self, name: &str, row: usize) -> Result<Option<u32>, StoreError> {
        let number = self.number(name, row)?;
        number.map(|number| u32::try_from(number).map_err(|_| self.damaged(name))).transpose()
    }

    fn text(&self, name: &str, row: usize) -> Result<Option<String>, StoreError> {
        let values = self.column(name, &DataType::Utf8)?.as_string::<i32>();
        Ok((!values.is_null(row)).then(|| values.value(row).to_owned()))
    }

    fn tags(&self, name: &str, row: usize) -> Result<Vec<TagId>, StoreError> {
        let text = self.text(name, row)?.unwrap_or_else(|| "[]".to_owned());
        serde_json::from_str(&text).map_err(|_| self.damaged(name))
    }

    fn damaged(&self, column: &str) -> StoreError {
        StoreError::Damaged {
            what: self.path.display().to_string(),
            reason: format!("column `{column}` is not as it was written"),
        }
    }
}
