//! SELECTs over raw files: planned, refused where they would change something, and made to carry each row's place.

use std::collections::BTreeSet;
use std::sync::Arc;

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::catalog::TableProvider;
use datafusion::common::Column;
use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::error::DataFusionError;
use datafusion::execution::context::{SQLOptions, SessionContext};
use datafusion::functions::core::named_struct;
use datafusion::logical_expr::{Expr, LogicalPlan, LogicalPlanBuilder, Projection, lit};
use datafusion::prelude::SessionConfig;
use futures::stream::{self, BoxStream};
use futures::{StreamExt, TryStreamExt};
use tagmill_schemas::error::{did_you_mean, near_names};
use tagmill_store::engine_words;
use tokio::sync::mpsc;

use super::conform::LINEAGE;
use super::targets::{InputColumn, input_columns, names_a_person};
use crate::error::IngestError;
use crate::source::TableSelect;
use crate::values::value_functions;

/// Batches that are read before they are asked for.
const READ_AHEAD: usize = 2;
/// The column with the row as it came.
const RAW: &str = "_raw";
/// The column with an id made of the row.
const ROW_ID: &str = "_row_id";

type Batch = Result<RecordBatch, IngestError>;

/// A raw table as a SELECT finds it.
pub(crate) struct MapperTable {
    /// Its name.
    pub(crate) name: String,
    /// Its rows.
    pub(crate) provider: Arc<dyn TableProvider>,
    /// Whether its columns have types of their own, so that the text of a row would have to be made of them.
    pub(crate) is_typed: bool,
}

/// A session that knows the raw tables of a source, and the functions that read values as exports write them.
pub(crate) struct Mapper {
    session: SessionContext,
    /// The raw tables whose columns have types of their own.
    typed: BTreeSet<String>,
}

/// A planned SELECT.
pub(crate) struct Mapped {
    plan: LogicalPlan,
    /// The target's columns that it gives.
    pub(crate) columns: Vec<InputColumn>,
    /// The raw table that it reads row by row; `None` where it joins, groups, limits or reads several.
    pub(crate) row_wise_over: Option<String>,
    /// Every raw table that it reads, in subqueries too.
    pub(crate) reads: BTreeSet<String>,
    /// How many times it reads a raw table.
    pub(crate) scans: usize,
}

impl Mapper {
    pub(crate) fn new(tables: &[MapperTable]) -> Result<Self, IngestError> {
        // One partition keeps rows in the order of the files, so that "the first stays" means the same every time.
        let config = SessionConfig::new()
            .with_target_partitions(1)
            .set_bool("datafusion.sql_parser.parse_float_as_decimal", true)
            .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false);
        let session = SessionContext::new_with_config(config);
        for table in tables {
            session.register_table(table.name.as_str(), table.provider.clone()).map_err(IngestError::internal)?;
        }
        value_functions().for_each(|function| session.register_udf(function));
        let typed = tables.iter().filter(|table| table.is_typed).map(|table| table.name.clone()).collect();
        Ok(Self { session, typed })
    }

    /// Plans a SELECT and checks its columns against the target. `with_raw` makes a row-wise one carry the row as it came
    /// too: its text, or its columns where they have types.
    pub(crate) async fn plan(&self, select: &TableSelect, with_raw: bool) -> Result<Mapped, IngestError> {
        let table = select.table.as_str();
        let state = self.session.state();
        let plan =
            state.create_logical_plan(&select.select).await.map_err(|cause| IngestError::from_select(table, cause))?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|cause| IngestError::SelectWrites { table: table.to_owned(), reason: engine_words(&cause) })?;
        let columns = given_columns(select, &plan)?;
        let row_wise_over = row_wise_table(&plan);
        let read = tables_read(&plan).map_err(|cause| IngestError::from_select(table, cause))?;
        let (scans, reads) = (read.len(), read.into_iter().collect());
        let mut carried: Vec<(&str, &str)> = Vec::new();
        let is_typed = row_wise_over.as_ref().is_some_and(|raw| self.typed.contains(raw));
        if row_wise_over.is_some() {
            let has_text = with_raw && !is_typed;
            carried.extend(LINEAGE.iter().filter(|name| has_text || **name != RAW).map(|name| (*name, *name)));
            if select.is_row_event_id {
                carried.push((ROW_ID, "event_id"));
            }
        } else if select.is_row_event_id {
            return Err(IngestError::Select {
                table: table.to_owned(),
                reason: "`event_id: row` needs a SELECT that reads one raw file row by row".to_owned(),
                advice: Some("take joins and groups out of it, or give `event_id` yourself".to_owned()),
            });
        }
        let plan = carrying(plan, &carried, with_raw && is_typed);
        let plan = plan.map_err(|cause| IngestError::from_select(table, cause))?;
        Ok(Mapped { plan, columns, row_wise_over, reads, scans })
    }

    /// Runs a planned SELECT. Rows come in the order of the files, as far as the SELECT leaves them in it.
    pub(crate) async fn run(
        &self,
        table: &str,
        mapped: &Mapped,
    ) -> Result<BoxStream<'static, Result<RecordBatch, IngestError>>, IngestError> {
        let failed = |cause| IngestError::from_select(table, cause);
        let frame = self.session.execute_logical_plan(mapped.plan.clone()).await.map_err(failed)?;
        let context = Arc::new(frame.task_ctx());
        let plan = frame.create_physical_plan().await.map_err(failed)?;
        // One part after the other, such as the sides of a UNION ALL: side by side they would mix as they happen to come.
        let parts = plan.properties().output_partitioning().partition_count();
        let streams = stream::iter(0..parts).map(move |part| plan.execute(part, Arc::clone(&context)));
        let table = table.to_owned();
        Ok(read_ahead(streams.try_flatten().map_err(move |cause| IngestError::from_select(&table, cause)).boxed()))
    }
}

/// The same batches, read by a task of its own, so that the next ones are made while those that came are resolved.
fn read_ahead(mut batches: BoxStream<'static, Batch>) -> BoxStream<'static, Batch> {
    let (sender, receiver) = mpsc::channel(READ_AHEAD);
    let reading = tokio::spawn(async move {
        while let Some(batch) = batches.next().await {
            if sender.send(batch).await.is_err() {
                break;
            }
        }
    });
    stream::unfold((receiver, Some(reading)), |(mut receiver, reading)| async move {
        if let Some(batch) = receiver.recv().await {
            return Some((batch, (receiver, reading)));
        }
        // A task that broke off must not look like one that came to the end.
        let broken = reading?.await.err()?;
        Some((Err(IngestError::internal(broken)), (receiver, None)))
    })
    .boxed()
}

/// The target's columns that a SELECT gives; unknown and missing ones are refused.
fn given_columns(select: &TableSelect, plan: &LogicalPlan) -> Result<Vec<InputColumn>, IngestError> {
    let table = select.table.as_str();
    let known = input_columns(table, &select.declared);
    let mut given: Vec<String> = plan.schema().fields().iter().map(|field| field.name().clone()).collect();
    if select.is_row_event_id {
        given.push("event_id".to_owned());
    }
    let names: Vec<&str> = known.iter().map(|column| column.name.as_str()).collect();
    if let Some(column) = given.iter().find(|name| !names.contains(&name.as_str())) {
        let advice = did_you_mean(&near_names(column, names.iter().copied()))
            .unwrap_or_else(|| format!("it takes {}", names.join(", ")));
        return Err(IngestError::ColumnUnknown { table: table.to_owned(), column: column.clone(), advice });
    }
    if let Some(column) = known.iter().find(|column| column.is_needed && !given.contains(&column.name)) {
        return Err(IngestError::ColumnMissing { table: table.to_owned(), column: column.name.clone() });
    }
    if table == "event" && !names_a_person(&given) {
        return Err(IngestError::PersonMissing { table: table.to_owned() });
    }
    Ok(known.into_iter().filter(|column| given.contains(&column.name)).collect())
}

/// The raw table that a plan reads row by row: a projection over filters over one table, and nothing else.
fn row_wise_table(plan: &LogicalPlan) -> Option<String> {
    let LogicalPlan::Projection(projection) = plan else { return None };
    let mut node = projection.input.as_ref();
    loop {
        match node {
            LogicalPlan::Filter(filter) => node = filter.input.as_ref(),
            LogicalPlan::SubqueryAlias(alias) => node = alias.input.as_ref(),
            LogicalPlan::TableScan(scan) => return Some(scan.table_name.table().to_owned()),
            _ => return None,
        }
    }
}

/// The raw tables that a plan scans, those of its subqueries included; one that it scans twice is there twice.
fn tables_read(plan: &LogicalPlan) -> Result<Vec<String>, DataFusionError> {
    let mut tables = Vec::new();
    plan.apply_with_subqueries(|node| {
        if let LogicalPlan::TableScan(scan) = node {
            tables.push(scan.table_name.table().to_owned());
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(tables)
}

/// Adds columns of the raw table to a row-wise plan: (raw name, name in the answer), and all of its own as one
/// (`with_columns`).
fn carrying(plan: LogicalPlan, carried: &[(&str, &str)], with_columns: bool) -> Result<LogicalPlan, DataFusionError> {
    let LogicalPlan::Projection(projection) = &plan else { return Ok(plan) };
    if carried.is_empty() {
        return Ok(plan);
    }
    let mut expressions = projection.expr.clone();
    for (raw, name) in carried {
        let found = projection.input.schema().iter().find(|(_, field)| field.name() == raw);
        let already = plan.schema().fields().iter().any(|field| field.name() == name);
        if let (Some((qualifier, field)), false) = (found, already) {
            expressions.push(Expr::Column(Column::new(qualifier.cloned(), field.name())).alias(*name));
        }
    }
    if with_columns {
        expressions.push(whole_row(projection).alias(RAW));
    }
    LogicalPlanBuilder::from(projection.input.as_ref().clone()).project(expressions)?.build()
}

/// The columns of the file behind the raw table that a projection reads, as one: they become text only where somebody
/// wants to see it.
fn whole_row(projection: &Projection) -> Expr {
    let is_of_file = |name: &str| !LINEAGE.contains(&name) && name != ROW_ID;
    let columns = projection.input.schema().iter().filter(|(_, field)| is_of_file(field.name()));
    let named = columns.flat_map(|(qualifier, field)| {
        [lit(field.name().as_str()), Expr::Column(Column::new(qualifier.cloned(), field.name()))]
    });
    named_struct().call(named.collect())
}
