//! The demo, shown once: its warehouses, and what it printed.

use std::sync::OnceLock;

use super::{Answer, Sandbox};

/// The demo's own warehouse.
pub const WAREHOUSE: &str = "demo";
/// The one with real orders, which it makes beside its own.
pub const ORDERS: &str = "demo-orders";

/// A folder in which the demo was shown to its end, and what it printed. Who writes there takes a copy.
pub fn toured() -> &'static (Sandbox, Answer) {
    static TOURED: OnceLock<(Sandbox, Answer)> = OnceLock::new();
    TOURED.get_or_init(|| {
        let sandbox = Sandbox::lasting("demo");
        let told = sandbox.ok(&["--warehouse", WAREHOUSE, "demo", "--no-serve"]);
        (sandbox, told)
    })
}
