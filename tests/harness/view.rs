//! Asking a warehouse through the library, for what would take too many calls of the program.

use std::path::Path;

use arrow::util::display::{ArrayFormatter, FormatOptions};
use tagmill_query::{Access, Engine, Limits, View};
use tagmill_schemas::segment::AsOf;
use tagmill_store::Warehouse;

/// Planning a deep question recurses deeply in an unoptimised build.
const STACK_BYTES: usize = 32 * 1024 * 1024;

/// Runs what `make` makes to its end, on a stack that is large enough.
pub fn wait_for<T: Send, F: Future<Output = T>>(make: impl FnOnce() -> F + Send) -> T {
    let run = || {
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(2).thread_stack_size(STACK_BYTES).enable_all().build().unwrap();
        runtime.block_on(make())
    };
    std::thread::scope(|scope| {
        let thread = std::thread::Builder::new().stack_size(STACK_BYTES).spawn_scoped(scope, run).unwrap();
        thread.join().unwrap_or_else(|surprise| std::panic::resume_unwind(surprise))
    })
}

/// The newest state of a warehouse, private columns as they are.
pub async fn newest(warehouse: &Path) -> View {
    view_with(warehouse, Limits::default()).await
}

/// The newest state of a warehouse, asked within limits.
pub async fn view_with(warehouse: &Path, limits: Limits) -> View {
    let warehouse = Warehouse::open(warehouse.to_str().unwrap()).await.unwrap();
    Engine::new(warehouse, limits).unwrap().view(AsOf::Latest, Access::Full).await.unwrap()
}

/// The rows of an answer as texts; NULL is empty.
pub async fn rows(view: &View, sql: &str) -> Vec<Vec<String>> {
    let batches = view.sql(sql).await.unwrap().collect().await.unwrap();
    let options = FormatOptions::new();
    let mut rows = Vec::new();
    for batch in &batches {
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    rows
}

/// The texts of a one-column answer.
pub async fn texts(view: &View, sql: &str) -> Vec<String> {
    rows(view, sql).await.into_iter().flatten().collect()
}
