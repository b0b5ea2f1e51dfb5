//! A view: one snapshot and one instant, on which every answer is computed.

use std::sync::Arc;
use std::time::Instant;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::Schema;
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::Column;
use datafusion::dataframe::DataFrame;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{Expr, LogicalPlan, ScalarUDF, col, lit, when};
use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::segment::AsOf;
use tagmill_schemas::segment::check::Catalog;
use tagmill_schemas::tables::contract;
use tagmill_store::{LedgerRow, PRIVATE_KEY, Snapshot, VIEWS};
use tokio::sync::OnceCell;

use crate::catalog;
use crate::engine::{Engine, Rows};
use crate::error::QueryError;
use crate::segment::sets::FollowIndex;

/// What a private value looks like to somebody who may not see it.
const MASK: &str = "***";

/// Whether private columns are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// They are.
    Full,
    /// They come out as `***`, NULL stays NULL, and no condition may look at them.
    Masked,
}

/// One snapshot and one instant. Cheap to clone; clones share what was loaded.
#[derive(Debug, Clone)]
pub struct View {
    engine: Engine,
    snapshot: Snapshot,
    asked: AsOf,
    as_of: DateTime<Utc>,
    access: Access,
    /// Until when everything asked of it is answered; `None` where each question has its own time.
    deadline: Option<Instant>,
    session: Arc<Session>,
    follows: Arc<OnceCell<FollowIndex>>,
    catalog: Arc<OnceCell<Catalog>>,
}

/// The engine's session; it has no debug form of its own.
struct Session(SessionContext);

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Session")
    }
}

impl View {
    pub(crate) async fn new(
        engine: Engine,
        snapshot: Snapshot,
        as_of: AsOf,
        access: Access,
    ) -> Result<Self, QueryError> {
        let instant = match as_of {
            AsOf::Time(instant) => instant,
            AsOf::Latest | AsOf::Snapshot(_) => snapshot.row().taken_at,
        };
        let session = engine.session();
        register_tables(&engine, &session, &snapshot, access).await?;
        Ok(Self {
            engine,
            snapshot,
            asked: as_of,
            as_of: instant,
            access,
            deadline: None,
            session: Arc::new(Session(session)),
            follows: Arc::default(),
            catalog: Arc::default(),
        })
    }

    /// The same view for one question that takes several statements: all of them together have the time that a question
    /// may take, and it runs from now on. A view that is for one question already stays as it is.
    #[must_use]
    pub fn for_one_question(&self) -> Self {
        Self { deadline: Some(self.deadline()), ..self.clone() }
    }

    /// The ledger row of the snapshot.
    pub fn ledger_row(&self) -> &LedgerRow {
        self.snapshot.row()
    }

    /// The instant before which events count.
    pub fn as_of(&self) -> DateTime<Utc> {
        self.as_of
    }

    /// The state that was asked for, as it was asked.
    pub(crate) fn asked(&self) -> AsOf {
        self.asked
    }

    /// The warehouse's business time zone.
    pub fn zone(&self) -> BusinessZone {
        self.engine.warehouse().zone()
    }

    /// Whether private columns are shown.
    pub fn access(&self) -> Access {
        self.access
    }

    /// Whether a column of a table is private: by the table's contract, or because the source that brings it declares so.
    pub fn is_private(&self, table: &str, column: &str) -> bool {
        is_private(&self.snapshot, table, column)
    }

    /// The snapshot itself.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The engine that computes.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Answers a SQL question. The tables, the views over the assignment log and nothing else can be named.
    ///
    /// # Errors
    /// `QueryError::Sql` for what does not parse or resolve, `QueryError::NotReadOnly` for what would change something,
    /// `QueryError::OfTheMachine` for `EXPLAIN` and the engine's settings on a masked view,
    /// `QueryError::Timeout` and `QueryError::Memory` at the limits.
    pub async fn sql(&self, sql: &str) -> Result<Rows, QueryError> {
        let plan = self.plan(sql).await?;
        self.engine.run(&self.session.0, plan, self.deadline()).await
    }

    /// Answers a small SQL question at once.
    pub(crate) async fn rows(&self, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        self.sql(sql).await?.collect().await
    }

    /// Plans a SQL question without running it.
    ///
    /// # Errors
    /// As [`Self::sql`].
    pub(crate) async fn plan(&self, sql: &str) -> Result<LogicalPlan, QueryError> {
        let plan = self.engine.plan(&self.session.0, sql).await?;
        if self.access == Access::Masked {
            self.engine.refuse_of_the_machine(&plan)?;
        }
        Ok(plan)
    }

    /// Answers a SQL question over `customer` and over the answer of another question, which it names `leaf`.
    ///
    /// # Errors
    /// As [`Self::sql`].
    pub(crate) async fn sql_over(&self, leaf: LogicalPlan, sql: &str) -> Result<Rows, QueryError> {
        let failed = |cause| QueryError::from_engine(cause, self.engine.limits());
        // A session of its own: what is registered in a copy of the view's would be registered in the view's too.
        let session = self.engine.session();
        let customer = self.session.0.table_provider("customer").await.map_err(failed)?;
        session.register_table("customer", customer).map_err(failed)?;
        let leaf = DataFrame::new(session.state(), leaf).into_view();
        session.register_table("leaf", leaf).map_err(failed)?;
        let plan = self.engine.plan(&session, sql).await?;
        self.engine.run(&session, plan, self.deadline()).await
    }

    /// Answers a SQL question that may call one function more.
    pub(crate) async fn sql_with(&self, function: ScalarUDF, sql: &str) -> Result<Rows, QueryError> {
        let session = SessionContext::new_with_state(self.session.0.state());
        session.register_udf(function);
        let plan = self.engine.plan(&session, sql).await?;
        self.engine.run(&session, plan, self.deadline()).await
    }

    /// Answers SQL questions that have the same columns and may call one function more, as one answer of at most `limit`
    /// rows: each is begun when the one before has been answered.
    pub(crate) async fn sql_in_turn(
        &self,
        function: ScalarUDF,
        questions: &[String],
        limit: Option<usize>,
    ) -> Result<Rows, QueryError> {
        let session = SessionContext::new_with_state(self.session.0.state());
        session.register_udf(function);
        let mut plans = Vec::with_capacity(questions.len());
        for sql in questions {
            plans.push(self.engine.plan(&session, sql).await?);
        }
        self.engine.run_in_turn(&session, plans, limit, self.deadline()).await
    }

    /// Until when a question that is asked now is answered.
    fn deadline(&self) -> Instant {
        self.deadline.unwrap_or_else(|| self.engine.deadline())
    }

    /// Up to which instant events were read: the earliest of the latest events over the sources whose types are asked for,
    /// and never later than `as_of`.
    ///
    /// `None` where no source has brought such an event. No types mean all of them.
    pub fn events_until(&self, event_types: &[String]) -> Option<DateTime<Utc>> {
        let row = self.ledger_row();
        let is_used = |source: &&String| {
            event_types.is_empty()
                || row.sources.get(*source).is_some_and(|state| {
                    event_types.iter().any(|event_type| state.event_types.contains_key(event_type))
                })
        };
        let used = row.latest_events.iter().filter(|(source, _)| is_used(source));
        used.map(|(_, latest)| (*latest).min(self.as_of)).min()
    }

    /// What documents are checked against: columns, event types, tags and staff of this snapshot.
    pub(crate) async fn catalog(&self) -> Result<&Catalog, QueryError> {
        self.catalog.get_or_try_init(|| catalog::load(self)).await
    }

    /// The follows of this snapshot, loaded once.
    pub(crate) async fn follows(&self) -> Result<&FollowIndex, QueryError> {
        self.follows.get_or_try_init(|| FollowIndex::load(self)).await
    }
}

async fn register_tables(
    engine: &Engine,
    session: &SessionContext,
    snapshot: &Snapshot,
    access: Access,
) -> Result<(), QueryError> {
    let failed = |cause| QueryError::from_engine(cause, engine.limits());
    for name in snapshot.table_names() {
        let Some(provider) = snapshot.provider(name) else { continue };
        let mut frame = session.read_table(provider.clone()).map_err(failed)?;
        if name == "snapshot" {
            // The ledger is read at its head, and what came later is not part of this snapshot.
            frame = frame.filter(col("snapshot_id").lt_eq(lit(snapshot.row().snapshot_id.0))).map_err(failed)?;
        } else if access == Access::Full {
            session.register_table(name, provider).map_err(failed)?;
            continue;
        }
        let columns: Vec<Expr> = match access {
            Access::Full => provider.schema().fields().iter().map(|field| unqualified(field.name())).collect(),
            Access::Masked => {
                provider.schema().fields().iter().map(|field| masked(snapshot, name, field.name())).collect()
            }
        };
        let view = frame.select(columns).map_err(failed)?.into_view();
        session.register_table(name, view).map_err(failed)?;
    }
    for view in VIEWS {
        let frame = session.sql(view.sql).await.map_err(failed)?;
        session.register_table(view.name, frame.into_view()).map_err(failed)?;
    }
    Ok(())
}

fn unqualified(column: &str) -> Expr {
    Expr::Column(Column::new_unqualified(column))
}

/// A column as somebody sees it who may not see private ones.
fn masked(snapshot: &Snapshot, table: &str, column: &str) -> Expr {
    let plain = unqualified(column);
    if !is_private(snapshot, table, column) {
        return plain;
    }
    // Without an ELSE branch a missing value stays NULL.
    match when(plain.is_not_null(), lit(MASK)).end() {
        Ok(hidden) => hidden.alias(column),
        Err(_) => lit(MASK).alias(column),
    }
}

fn is_private(snapshot: &Snapshot, table: &str, column: &str) -> bool {
    let by_contract = contract(table).and_then(|table| table.column(column)).is_some_and(|column| column.is_private);
    by_contract || snapshot.schema(table).is_some_and(|schema| is_declared_private(&schema, column))
}

fn is_declared_private(schema: &Schema, column: &str) -> bool {
    let field = schema.field_with_name(column);
    field.is_ok_and(|field| field.metadata().get(PRIVATE_KEY).is_some_and(|value| value == "true"))
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::datatypes::{DataType, Field};

    use super::*;

    #[test]
    fn a_column_is_private_where_its_source_says_so() {
        let declared = |name: &str, value: &str| {
            let metadata = [(PRIVATE_KEY.to_owned(), value.to_owned())].into();
            Field::new(name, DataType::Utf8, true).with_metadata(metadata)
        };
        let plain = Field::new("city", DataType::Utf8, true);
        let schema = Schema::new(vec![declared("diagnosis", "true"), declared("sku", "false"), plain]);
        assert!(is_declared_private(&schema, "diagnosis"));
        for other in ["sku", "city", "nothing"] {
            assert!(!is_declared_private(&schema, other), "{other}");
        }
    }
}
