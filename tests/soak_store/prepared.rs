//! What every scenario begins with, made once: the readings of a source, and warehouses before something happens to them.

use std::sync::{Arc, OnceLock};

use anyhow::ensure;

use super::disturbed::{Ended, disturbed};
use super::operations::{self, Operation};
use super::scene::{Content, Kind, Scene};
use super::state::BASE_SNAPSHOTS;
use crate::harness::Sandbox;
use crate::harness::faulty::{Fault, FaultPlan, Verb, When};
use crate::harness::shop::{CsvSource, Table};
use crate::harness::view::wait_for;

/// When each reading was taken; the last two are read by operations.
const TAKEN: [&str; 6] = [
    "2026-05-30T02:00:00+08:00",
    "2026-06-14T02:00:00+08:00",
    "2026-06-15T02:00:00+08:00",
    "2026-06-16T02:00:00+08:00",
    "2026-06-17T02:00:00+08:00",
    "2026-06-17T03:00:00+08:00",
];
/// The reading that an ingest brings.
pub const NEXT: usize = 4;
/// The reading that lists too little.
pub const SHRUNK: usize = 5;

const TABLES: [Table<'static>; 6] = [
    ("tag_group", "mode: full", "SELECT name AS group_name FROM tag_groups"),
    ("tag", "mode: full", "SELECT id AS tag_id, group_name, name AS tag_name, made AS created_at FROM tags"),
    ("customer", "mode: full", "SELECT id AS customer_id, name, city FROM customers"),
    ("follow", "mode: full", "SELECT id AS customer_id, staff AS staff_id, added AS added_at FROM customers"),
    ("assignment", "mode: full", "SELECT customer AS customer_id, staff AS staff_id, tag AS tag_id FROM held"),
    (
        "event",
        "mode: append",
        "SELECT id AS event_id, customer AS customer_id, 'pay' AS type, paid_at AS occurred_at, amount, 'CNY' AS currency \
         FROM orders",
    ),
];

/// A warehouse before something happens to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Start {
    /// All is well.
    Whole,
    /// A run was killed between the commits of two tables.
    Committing,
    /// A run was killed after its tables and before the ledger.
    Committed,
}

/// What scenarios begin with.
pub struct Prepared {
    readings: Vec<Sandbox>,
    starts: [Content; 3],
}

impl Prepared {
    /// The content of a warehouse.
    pub fn start(&self, start: Start) -> &Content {
        &self.starts[start as usize]
    }

    /// The document of a reading.
    pub fn source(&self, reading: usize) -> std::path::PathBuf {
        self.readings[reading].path("wecom.yaml")
    }
}

/// What scenarios begin with, made by whoever asks first.
pub fn prepared() -> &'static Prepared {
    static PREPARED: OnceLock<Prepared> = OnceLock::new();
    PREPARED.get_or_init(|| {
        let readings: Vec<Sandbox> = (0..TAKEN.len()).map(reading).collect();
        let starts = wait_for(|| async { starts(&readings).await.unwrap() });
        Prepared { readings, starts }
    })
}

async fn starts(readings: &[Sandbox]) -> anyhow::Result<[Content; 3]> {
    let scene = Scene::with(Kind::Memory, &Content::new()).await?;
    drop(scene.made_under(&FaultPlan::none()).await?);
    for reading in readings.iter().take(usize::try_from(BASE_SNAPSHOTS)?) {
        let plan = FaultPlan::none();
        let ingest = async { operations::ingest(&scene.under(&plan).await?, &reading.path("wecom.yaml")).await };
        let ended = disturbed(&plan, ingest).await;
        ensure!(matches!(ended, Ended::Done), "a reading is not published: {ended:?}");
    }
    let whole = scene.content().await?;
    let between = FaultPlan::new(When::Nth(1, Verb::Put, "_delta_log/"), Fault::KilledAfter);
    let before_the_ledger = FaultPlan::new(When::Nth(1, Verb::Put, "tables/snapshot/"), Fault::KilledBefore);
    let committing = killed(&whole, between).await?;
    let committed = killed(&whole, before_the_ledger).await?;
    Ok([whole, committing, committed])
}

/// What a run leaves that was killed while it published.
async fn killed(whole: &Content, plan: Arc<FaultPlan>) -> anyhow::Result<Content> {
    let scene = Scene::with(Kind::Memory, whole).await?;
    let publish = async { Operation::Publish.run(&scene.under(&plan).await?).await };
    let ended = disturbed(&plan, publish).await;
    ensure!(matches!(ended, Ended::Killed), "the run was to be killed: {ended:?}");
    scene.content().await
}

/// The id of a customer. Ids are long and not alike, as real ones are: a tombstone fits into the place of one.
pub fn id_of(customer: usize) -> String {
    format!("wm{:016x}", (customer as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15))
}

/// The files of a reading: customers come, tags move, an order has no price, and one names a customer who comes late.
fn reading(number: usize) -> Sandbox {
    let sandbox = Sandbox::lasting(&format!("soak-store-{number}"));
    let customers = if number == SHRUNK { 1 } else { 6 + number };
    let cities = ["上海", "杭州", "西安"];
    let mut listed = String::from("id,name,city,staff,added\n");
    let mut held = String::from("customer,staff,tag\n");
    for customer in 1..=customers {
        let (id, city, staff) = (id_of(customer), cities[(customer + number) % 3], ["wang", "li"][customer % 2]);
        listed.push_str(&format!("{id},the name of {id},{city},{staff},2026-03-01 08:00:00\n"));
        held.push_str(&format!("{id},{staff},t{}\n", 1 + (customer + number) / 3 % 3));
    }
    let mut orders = String::from("id,customer,paid_at,amount\n");
    orders.push_str(&format!("none,{},2026-05-02 10:00:00,much\n", id_of(1)));
    orders.push_str(&format!("late,{},2026-05-03 10:00:00,7.50\n", id_of(10)));
    for order in 0..3 * (number + 1) {
        let (id, day) = (id_of(1 + order % 6), 4 + order);
        orders.push_str(&format!("o{order},{id},2026-05-{day:02} 10:00:00,{order}.25\n"));
    }
    let tags = "id,group_name,name,made\nt1,level,gold,2026-02-01 08:00:00\nt2,level,silver,2026-02-01 08:00:00\n\
                t3,level,plain,2026-02-01 08:00:00\n";
    let files = [
        ("tag_groups", "name\nlevel\n"),
        ("tags", tags),
        ("customers", listed.as_str()),
        ("held", held.as_str()),
        ("orders", orders.as_str()),
    ];
    let source =
        CsvSource { name: "wecom", id_space: "wecom", taken_at: TAKEN[number], files: &files, tables: &TABLES };
    source.write(&sandbox);
    sandbox
}
