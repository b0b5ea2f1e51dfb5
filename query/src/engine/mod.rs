//! Running SQL safely: read-only by construction, within a memory limit, and stopped for real when its time is up.
//!
//! All computing happens on threads of its own, so that a web server's threads stay free. A timeout alone would not stop a
//! running plan, because one step of an operator can do unbounded work; so every plan is laced with [`cancel`] points.
//! Whatever runs at once shares one memory limit, in which each operator that can spill to disk has its fair part.

mod cancel;
mod rows;
mod statement;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::{Duration, Instant};

use datafusion::common::tree_node::TreeNodeRecursion;
use datafusion::execution::context::{SQLOptions, SessionContext};
use datafusion::execution::memory_pool::{FairSpillPool, MemoryPool, TrackConsumersPool};
use datafusion::execution::runtime_env::{RuntimeEnv, RuntimeEnvBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::prelude::SessionConfig;
use tagmill_schemas::segment::AsOf;
use tagmill_store::{Warehouse, engine_words};
use tokio::runtime::{Builder, Handle, Runtime};

pub use rows::Rows;

use self::cancel::Guard;
use self::statement::{Running, Statement};
use crate::error::QueryError;
use crate::view::{Access, View};

/// What an engine puts on disk at most, for all that it answers at once: 20 GiB.
pub(crate) const SPILL_LIMIT_BYTES: u64 = 20 << 30;

/// A timeout longer than this is this one: a year, which no question takes.
const LONGEST: Duration = Duration::from_secs(365 * 24 * 3600);

/// The table of the information schema that `SHOW ALL` and `SHOW name` read too.
const SETTINGS: &str = "df_settings";

/// What one question may use.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Memory of the large operators, bytes, shared by all questions that one engine answers at once. What can spill to
    /// disk does so before it fails.
    pub memory_bytes: usize,
    /// Wall time of one question from the start to the last row, over all the statements that answer it.
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
        let base = RuntimeEnvBuilder::new()
            .with_memory_pool(memory_pool(limits.memory_bytes))
            .with_max_temp_directory_size(SPILL_LIMIT_BYTES)
            .build_arc()
            .map_err(|cause| internal(cause.to_string()))?;
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

    /// The same engine with other limits. Another memory limit is one of its own, the same one stays shared.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        if limits.memory_bytes != self.limits.memory_bytes {
            let mut base = (*self.base).clone();
            base.memory_pool = memory_pool(limits.memory_bytes);
            self.base = Arc::new(base);
        }
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

    /// How many tasks compute at the moment; none once every question is answered, failed or stopped.
    pub fn running_tasks(&self) -> usize {
        self.handle().map_or(0, |threads| threads.metrics().num_alive_tasks())
    }

    /// When a question that is asked now has to be answered.
    pub(crate) fn deadline(&self) -> Instant {
        Instant::now() + self.limits.timeout.min(LONGEST)
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

    /// Refuses what would tell of the machine instead of the warehouse: how a statement is run names the files that are
    /// read, and the engine's settings name the folder that is spilled to.
    pub(crate) fn refuse_of_the_machine(&self, plan: &LogicalPlan) -> Result<(), QueryError> {
        let mut found = None;
        let walked = plan.apply_with_subqueries(|node| {
            match node {
                LogicalPlan::Explain(_) | LogicalPlan::Analyze(_) => found = Some("`EXPLAIN`"),
                LogicalPlan::TableScan(scan) if scan.table_name.table().eq_ignore_ascii_case(SETTINGS) => {
                    found = Some("a question about the engine's settings");
                }
                _ => {}
            }
            Ok(TreeNodeRecursion::Continue)
        });
        walked.map_err(|cause| QueryError::from_engine(cause, &self.limits))?;
        found.map_or(Ok(()), |asked| Err(QueryError::OfTheMachine { asked }))
    }

    /// Runs a plan within the limits, until a deadline at most, and hands its rows out as they come.
    pub(crate) async fn run(
        &self,
        session: &SessionContext,
        plan: LogicalPlan,
        until: Instant,
    ) -> Result<Rows, QueryError> {
        let guard = Guard::new(until);
        let running = self.begin(Statement { state: session.state(), plan, guard: guard.clone() }).await?;
        Rows::start(running, guard, self)
    }

    /// Begins a statement on the computing threads.
    async fn begin(&self, statement: Statement) -> Result<Running, QueryError> {
        let left = statement.guard.left();
        let started = self.handle()?.spawn(statement.start());
        let Ok(started) = tokio::time::timeout(left, started).await else {
            return Err(QueryError::Timeout { seconds: self.limits.timeout.as_secs() });
        };
        started.map_err(QueryError::from_task)?.map_err(|cause| QueryError::from_engine(cause, &self.limits))
    }

    pub(crate) fn handle(&self) -> Result<Handle, QueryError> {
        self.threads
            .0
            .as_ref()
            .map(|runtime| runtime.handle().clone())
            .ok_or_else(|| QueryError::Internal { reason: "the computing threads are gone".to_owned() })
    }
}

/// Memory for all that runs at once. What spills gets an even part each; what cannot takes what is left.
fn memory_pool(bytes: usize) -> Arc<dyn MemoryPool> {
    // The five largest consumers are named when the pool runs dry.
    let named = NonZeroUsize::MIN.saturating_add(4);
    Arc::new(TrackConsumersPool::new(FairSpillPool::new(bytes), named))
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
