//! Our own read provider: a pinned file list as a plain Parquet scan.
//!
//! Delta decides which files a snapshot holds; the scan itself is the engine's stock one, so that projection, filters and
//! limits are pushed down as for any Parquet table and no per-batch transforms run.

use std::sync::Arc;

use async_trait::async_trait;
use chrono::DateTime;
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::{Session, TableProvider};
use datafusion::common::stats::Precision;
use datafusion::common::{Result as EngineResult, Statistics};
use datafusion::datasource::listing::PartitionedFile;
use datafusion::datasource::physical_plan::{FileGroup, FileScanConfigBuilder, ParquetSource};
use datafusion::datasource::source::DataSourceExec;
use datafusion::logical_expr::{Expr, TableProviderFilterPushDown, TableType};
use datafusion::physical_plan::ExecutionPlan;
use object_store::ObjectMeta;

use crate::delta::TableVersion;
use crate::error::StoreError;
use crate::location::Location;
use crate::objects::Objects;

/// One table of a snapshot, readable by the engine.
#[derive(Debug, Clone)]
pub struct WarehouseTable {
    schema: SchemaRef,
    files: Vec<PartitionedFile>,
    rows: usize,
    objects: Objects,
}

impl WarehouseTable {
    pub(crate) fn new(location: &Location, version: &TableVersion) -> Result<Self, StoreError> {
        let (folder, objects) = (location.table_folder(&version.table), location.objects().clone());
        let files =
            version.files.iter().map(|file| parquet_file(&objects, &format!("{folder}/{}", file.path), file.size));
        let files = files.collect::<Result<_, _>>()?;
        let rows = usize::try_from(version.rows()).unwrap_or(usize::MAX);
        Ok(Self { schema: version.schema.clone(), files, rows, objects })
    }

    /// Rows of the table at its snapshot.
    pub fn rows(&self) -> usize {
        self.rows
    }

    fn plan(&self, projection: Option<&Vec<usize>>, limit: Option<usize>) -> EngineResult<Arc<dyn ExecutionPlan>> {
        let statistics =
            Statistics { num_rows: Precision::Exact(self.rows), ..Statistics::new_unknown(self.schema.as_ref()) };
        let source = Arc::new(ParquetSource::new(self.schema.clone()));
        let config = FileScanConfigBuilder::new(self.objects.engine_url().clone(), source)
            .with_file_group(FileGroup::new(self.files.clone()))
            .with_statistics(statistics)
            .with_projection_indices(projection.cloned())?
            .with_limit(limit)
            .build();
        Ok(DataSourceExec::from_data_source(config))
    }
}

/// A file as the scan names it.
fn parquet_file(objects: &Objects, below: &str, size: u64) -> Result<PartitionedFile, StoreError> {
    let location = objects.path(below)?;
    let meta = ObjectMeta { location, last_modified: DateTime::UNIX_EPOCH, size, e_tag: None, version: None };
    Ok(PartitionedFile::new_from_meta(meta))
}

#[async_trait]
impl TableProvider for WarehouseTable {
    fn schema(&self) -> SchemaRef {
        self.schema.clone()
    }

    fn table_type(&self) -> TableType {
        TableType::Base
    }

    async fn scan(
        &self,
        session: &dyn Session,
        projection: Option<&Vec<usize>>,
        _filters: &[Expr],
        limit: Option<usize>,
    ) -> EngineResult<Arc<dyn ExecutionPlan>> {
        // Whatever session asks, it finds the store under the name that the plan calls it by.
        session.runtime_env().register_object_store(self.objects.engine_url().as_ref(), self.objects.root().clone());
        self.plan(projection, limit)
    }

    /// Filters stay in the plan; the engine moves what it can into the scan as pruning.
    fn supports_filters_pushdown(&self, filters: &[&Expr]) -> EngineResult<Vec<TableProviderFilterPushDown>> {
        Ok(vec![TableProviderFilterPushDown::Inexact; filters.len()])
    }
}
