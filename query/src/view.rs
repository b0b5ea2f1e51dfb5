//! A view: one snapshot and one instant, on which every answer is computed.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::Column;
use datafusion::execution::context::SessionContext;
use datafusion::logical_expr::{Expr, ScalarUDF, col, lit, when};
use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::segment::AsOf;
use tagmill_schemas::segment::check::Catalog;
use tagmill_schemas::tables::contract;
use tagmill_store::{LedgerRow, Snapshot};
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
    as_of: DateTime<Utc>,
    access: Access,
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
            as_of: instant,
            access,
            session: Arc::new(Session(session)),
            follows: Arc::default(),
            catalog: Arc::default(),
        })
    }

    /// The ledger row of the snapshot.
    pub fn ledger_row(&self) -> &LedgerRow {
        self.snapshot.row()
    }

    /// The instant before which events count.
    pub fn as_of(&self) -> DateTime<Utc> {
        self.as_of
    }

    /// The warehouse's business time zone.
    pub fn zone(&self) -> BusinessZone {
        self.engine.warehouse().zone()
    }

    /// Whether private columns are shown.
    pub fn access(&self) -> Access {
        self.access
    }

    /// The snapshot itself.
    pub fn snapshot(&self) -> &Snapshot {
        &self.snapshot
    }

    /// The engine that computes.
    pub fn engine(&self) -> &Engine {
        &self.engine
    }

    /// Answers a SQL question. Tables, `assignment` (the log as intervals) and nothing else can be named.
    ///
    /// # Errors
    /// `QueryError::Sql` for what does not parse or resolve, `QueryError::NotReadOnly` for what would change something,
    /// `QueryError::Timeout` and `QueryError::Memory` at the limits.
    pub async fn sql(&self, sql: &str) -> Result<Rows, QueryError> {
        let plan = self.engine.plan(&self.session.0, sql).await?;
        self.engine.run(&self.session.0, plan).await
    }

    /// Answers a small SQL question at once.
    pub(crate) async fn rows(&self, sql: &str) -> Result<Vec<RecordBatch>, QueryError> {
        self.sql(sql).await?.collect().await
    }

    /// Answers a SQL question that may call one function more.
    pub(crate) async fn sql_with(&self, function: ScalarUDF, sql: &str) -> Result<Rows, QueryError> {
        let session = SessionContext::new_with_state(self.session.0.state());
        session.register_udf(function);
        let plan = self.engine.plan(&session, sql).await?;
        self.engine.run(&session, plan).await
    }

    /// Up to which instant events were read: the earliest of the latest events over the sources whose types are asked for.
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
        row.latest_events.iter().filter(|(source, _)| is_used(source)).map(|(_, latest)| *latest).min()
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
            Access::Masked => provider.schema().fields().iter().map(|field| masked(name, field.name())).collect(),
        };
        let view = frame.select(columns).map_err(failed)?.into_view();
        session.register_table(name, view).map_err(failed)?;
    }
    let intervals = session.sql(include_str!("assignment.sql")).await.map_err(failed)?;
    session.register_table("assignment", intervals.into_view()).map_err(failed)?;
    Ok(())
}

fn unqualified(column: &str) -> Expr {
    Expr::Column(Column::new_unqualified(column))
}

/// A column as somebody sees it who may not see private ones.
fn masked(table: &str, column: &str) -> Expr {
    let plain = unqualified(column);
    let is_private = contract(table).and_then(|table| table.column(column)).is_some_and(|column| column.is_private);
    if !is_private {
        return plain;
    }
    // Without an ELSE branch a missing value stays NULL.
    match when(plain.is_not_null(), lit(MASK)).end() {
        Ok(hidden) => hidden.alias(column),
        Err(_) => lit(MASK).alias(column),
    }
}
