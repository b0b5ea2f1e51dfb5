//! The columns that a source fills: those that it declares, those that are private, those that another source fills
//! too.

use std::collections::HashMap;

use datafusion::arrow::datatypes::{Field, Schema};
use tagmill_store::{PRIVATE_KEY, SourceState, arrow_type};

use super::context::RunContext;
use super::targets::InputColumn;
use crate::error::IngestError;
use crate::source::{DeclaredColumn, TableSelect};

impl RunContext<'_> {
    /// What other sources brought so far.
    pub(crate) fn others(&self) -> impl Iterator<Item = (&String, &SourceState)> {
        let sources = self.run.base().map(|base| &base.row().sources);
        sources.into_iter().flatten().filter(|(name, _)| **name != self.source.name)
    }

    /// Adds declared columns to the target.
    pub(super) fn declare(&mut self, select: &TableSelect) -> Result<(), IngestError> {
        if select.declared.is_empty() {
            return Ok(());
        }
        let fields: Vec<Field> = select.declared.iter().map(declared_field).collect();
        Ok(self.run.declare(&select.table, &Schema::new(fields))?)
    }

    /// A column that any source has declared private is private, whoever fills it.
    pub(super) fn mark_private(&self, table: &str, columns: &mut [InputColumn]) {
        let Ok(schema) = self.run.schema(table) else { return };
        for column in columns {
            let field = schema.field_with_name(&column.name);
            column.is_private |= field.is_ok_and(|field| field.metadata().contains_key(PRIVATE_KEY));
        }
    }

    /// Two sources fill one column of a shared id space only where both say who wins.
    pub(super) fn refuse_taken_columns(
        &self,
        select: &TableSelect,
        columns: &[InputColumn],
    ) -> Result<(), IngestError> {
        for (other, state) in self.others() {
            let Some(fill) = state.tables.get(&select.table) else { continue };
            let is_shared = select.table == "customer" && state.id_space == self.source.id_space;
            let taken =
                columns.iter().find(|column| column.name != "customer_id" && fill.columns.contains(&column.name));
            let Some(column) = taken.filter(|_| is_shared) else { continue };
            let (table, column, other) = (select.table.clone(), column.name.clone(), other.clone());
            match (fill.priority, select.priority) {
                (Some(theirs), Some(ours)) if theirs != ours => {}
                (Some(_), Some(priority)) => {
                    return Err(IngestError::PriorityTaken { table, column, other, priority });
                }
                _ => return Err(IngestError::ColumnTaken { table, column, other }),
            }
        }
        Ok(())
    }
}

/// A declared column as the table keeps it: whether it is private goes with it wherever its schema goes.
fn declared_field(column: &DeclaredColumn) -> Field {
    let field = Field::new(&column.name, arrow_type(column.ty), true);
    if !column.is_private {
        return field;
    }
    field.with_metadata(HashMap::from([(PRIVATE_KEY.to_owned(), "true".to_owned())]))
}
