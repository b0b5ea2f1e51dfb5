//! Running SQL safely: read-only by construction, within a memory limit, and stopped for real when its time is up.
//!
//! All computing happens on threads of its own, so that a web server's threads stay free. A timeout alone would not stop a
//! running plan, because one step of an operator can do unbounded work; so every plan is laced with [`cancel`] points.

mod cancel;
mod rows;

use std::sync::Arc;
use std::time::Duration;

use datafusion::execution::SessionStateBuilder;
use datafusion::execution::context::{SQLOptions, SessionContext, SessionState};
use datafusion::execution::memory_pool::{FairSpillPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::physical_plan::execute_stream;
use datafusion::prelude::SessionConfig;
use tagmill_schemas::segment::AsOf;
use tagmill_store::{Warehouse, engine_words};
use tokio::runtime::{Builder, Handle, Runtime};

pub use rows::Rows;

use crate::error::QueryError;
use crate::view::{Access, View};

/// What one question may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Memory of the large operators, bytes. What can spill to disk does so before it fails.
    pub memory_bytes: usize,
    /// Wall time from the start to the last row.
    pub timeout: Duration,
    /// Rows handed out at most; `None` for all.
    pub max_rows: Option<usize>,
}

impl Default for Limits {
    fn default() -> Self {
        Self { memory_bytes: 4 << 30, timeout: Duration::from_secs(300), max_rows: None }
    }
}

/// The query engine over one warehouse. Cheap to clone; all clones share threads and caches.
#[derive(Debug, Clone)]
pub struct Engine {
    warehouse: Warehouse,
    limits: Limits,
    base: Arc<RuntimeEnv>,
    threads: Arc<ComputeThreads>,
}

impl Engine {
    /// Makes an engine with its own computing threads, one for each core.
    ///
    /// # Errors
    /// `QueryError::Internal` where the machine gives no threads.
    pub fn new(warehouse: Warehouse, limits: Limits) -> Result<Self, QueryError> {
        let internal = |reason: String| QueryError::Internal { reason };
        let runtime = Builder::new_multi_thread()
            .thread_name("tagmill-query")
            .enable_all()
            .build()
            .map_err(|cause| internal(cause.to_string()))?;
        let base = RuntimeEnvBuilder::new().build_arc().map_err(|cause| internal(cause.to_string()))?;
        Ok(Self { warehouse, limits, base, threads: Arc::new(ComputeThreads(Some(runtime))) })
    }

    /// The warehouse.
    pub fn warehouse(&self) -> &Warehouse {
        &self.warehouse
    }

    /// What one question may use.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The same engine with other limits.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Pins a snapshot and an instant; everything asked of the view is answered on them.
    ///
    /// # Errors
    /// `QueryError::Store` where there is no such snapshot.
    pub async fn view(&self, as_of: AsOf, access: Access) -> Result<View, QueryError> {
        let snapshot = self.warehouse.snapshot(&as_of).await?;
        View::new(self.clone(), snapshot, as_of, access).await
    }

    /// A session with no tables.
    pub(crate) fn session(&self) -> SessionContext {
        let config = SessionConfig::new()
            .with_information_schema(true)
            .with_default_catalog_and_schema("tagmill", "public")
            .set_bool("datafusion.execution.parquet.pushdown_filters", false)
            // A number with a point is exact, as money must be.
            .set_bool("datafusion.sql_parser.parse_float_as_decimal", true)
            .set_bool("datafusion.sql_parser.map_string_types_to_utf8view", false)
            .set_bool("datafusion.execution.parquet.schema_force_view_types", false);
        SessionContext::new_with_config_rt(config, self.base.clone())
    }

    /// Plans a statement and refuses whatever would change something.
    pub(crate) async fn plan(&self, session: &SessionContext, sql: &str) -> Result<LogicalPlan, QueryError> {
        let plan = session
            .state()
            .create_logical_plan(sql)
            .await
            .map_err(|cause| QueryError::from_engine(cause, &self.limits))?;
        SQLOptions::new()
            .with_allow_ddl(false)
            .with_allow_dml(false)
            .with_allow_statements(false)
            .verify_plan(&plan)
            .map_err(|cause| QueryError::NotReadOnly { reason: engine_words(&cause) })?;
        Ok(plan)
    }

    /// Runs a plan within the limits and hands its rows out as they come.
    pub(crate) async fn run(&self, session: &SessionContext, plan: LogicalPlan) -> Result<Rows, QueryError> {
        let failed = |cause| QueryError::from_engine(cause, &self.limits);
        let state = self.limited(session.state()).map_err(failed)?;
        let guard = cancel::Guard::new(self.limits.timeout);
        let laced = guard.clone();
        let started = self.handle()?.spawn(async move {
            let physical = state.create_physical_plan(&plan).await?;
            let physical = cancel::lace(physical, &laced)?;
            let schema = physical.schema();
            let stream = execute_stream(physical, state.task_ctx())?;
            Ok((schema, stream))
        });
        let (schema, stream) = match tokio::time::timeout(self.limits.timeout, started).await {
            Ok(joined) => {
                joined.map_err(|cause| QueryError::Internal { reason: cause.to_string() })?.map_err(failed)?
            }
            Err(_) => return Err(QueryError::Timeout { seconds: self.limits.timeout.as_secs() }),
        };
        Ok(Rows::start(schema, stream, guard, self.limits, self.handle()?))
    }

    /// The state with a memory pool of its own; files, caches and the disk manager stay shared.
    fn limited(&self, state: SessionState) -> Result<SessionState, datafusion::error::DataFusionError> {
        // The five largest consumers are named when the pool runs dry.
        let named = std::num::NonZeroUsize::MIN.saturating_add(4);
        let pool = TrackConsumersPool::new(FairSpillPool::new(self.limits.memory_bytes), named);
        let runtime =
            RuntimeEnvBuilder::from_runtime_env(state.runtime_env()).with_memory_pool(Arc::new(pool)).build_arc()?;
        Ok(SessionStateBuilder::new_from_existing(state).with_runtime_env(runtime).build())
    }

    pub(crate) fn handle(&self) -> Result<Handle, QueryError> {
        self.threads
            .0
            .as_ref()
            .map(|runtime| runtime.handle().clone())
            .ok_or_else(|| QueryError::Internal { reason: "the computing threads are gone".to_owned() })
    }
}

/// The computing threads. They are let go without waiting, because an engine may be dropped on an async thread.
#[derive(Debug)]
struct ComputeThreads(Option<Runtime>);

impl Drop for ComputeThreads {
    fn drop(&mut self) {
        if let Some(runtime) = self.0.take() {
            runtime.shutdown_background();
        }
    }
}
