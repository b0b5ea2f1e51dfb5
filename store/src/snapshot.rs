//! The read half: one published state, every table pinned to its version.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::TableProvider;
use futures::future::try_join_all;

use crate::delta::open_table;
use crate::error::StoreError;
use crate::ledger::LedgerRow;
use crate::location::Location;
use crate::provider::WarehouseTable;

/// One published state. Cheap to clone; what it reads never changes, whatever is published meanwhile.
#[derive(Debug, Clone)]
pub struct Snapshot {
    row: Arc<LedgerRow>,
    tables: Arc<BTreeMap<String, Arc<WarehouseTable>>>,
}

impl Snapshot {
    /// Opens exactly the table versions that a ledger row names, and the ledger itself at its head.
    pub(crate) async fn open(location: &Location, row: LedgerRow) -> Result<Self, StoreError> {
        let pinned = row.tables.iter().map(|(table, version)| (table.as_str(), Some(*version)));
        let opened = pinned.chain([("snapshot", None)]).map(|(table, version)| open_table(location, table, version));
        let tables: Result<_, StoreError> = try_join_all(opened)
            .await?
            .into_iter()
            .map(|version| Ok((version.table.clone(), Arc::new(WarehouseTable::new(location, &version)?))))
            .collect();
        Ok(Self { row: Arc::new(row), tables: Arc::new(tables?) })
    }

    /// The ledger row that published it.
    pub fn row(&self) -> &LedgerRow {
        &self.row
    }

    /// The names of its tables, ascending.
    pub fn table_names(&self) -> impl Iterator<Item = &str> {
        self.tables.keys().map(String::as_str)
    }

    /// A table as the engine reads it; `None` for a name that is no table.
    pub fn provider(&self, table: &str) -> Option<Arc<dyn TableProvider>> {
        Some(self.tables.get(table)?.clone())
    }

    /// The columns of a table: its contract's, then the declared ones.
    pub fn schema(&self, table: &str) -> Option<SchemaRef> {
        Some(self.tables.get(table)?.schema())
    }
}
