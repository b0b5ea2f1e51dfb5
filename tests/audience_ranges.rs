//! Members range by range of their numbers: the same rows whatever the size of a range, in memory that does not grow with
//! them.

use arrow::array::AsArray;
use arrow::datatypes::Int64Type;
use tagmill_query::export::{MemberRows, RowPer};
use tagmill_query::{Definitions, Evaluation, Limits, View};
use tagmill_schemas::ids::CustomerNo;
use tagmill_schemas::segment::Universe;

use crate::harness::Sandbox;
use crate::harness::corp::corp;
use crate::harness::shop::{CsvSource, Table};
use crate::harness::view::{newest, view_with, wait_for};

/// A segment of nobody.
const NOBODY: &str = "universe: all\nas_of: latest\nwhere: {sql: SELECT customer_no FROM customer WHERE false}\n";

/// Everybody of a universe.
async fn everybody(view: &View, universe: &str) -> Evaluation {
    let document = format!("universe: {universe}\nas_of: latest\nwhere: {{sql: SELECT customer_no FROM customer}}\n");
    view.evaluate(&Definitions::default().from_text(&document).unwrap()).await.unwrap()
}

/// The numbers in the first column of the rows, in their order.
async fn numbers(view: &View, evaluation: &Evaluation, wanted: &MemberRows, customers_at_once: u32) -> Vec<i64> {
    let mut rows = view.members_in_ranges(evaluation, wanted, customers_at_once).await.unwrap();
    let mut numbers = Vec::new();
    while let Some(batch) = rows.next().await {
        numbers.extend(batch.unwrap().column(0).as_primitive::<Int64Type>().values());
    }
    numbers
}

#[test]
fn the_size_of_a_range_changes_no_row() {
    wait_for(|| async {
        let view = newest(&corp().warehouse()).await;
        let all = everybody(&view, "all").await;
        let by_customer = MemberRows::of(&["customer_no", "staff_id"]);
        let every_follow = MemberRows { row_per: RowPer::Follow, ..MemberRows::of(&["follow_no"]) };
        let every_follow = MemberRows { universe: Universe::All, ..every_follow };
        let some = MemberRows { after: Some(CustomerNo(250)), limit: Some(700), ..by_customer.clone() };
        let few = MemberRows { limit: Some(5), ..by_customer.clone() };
        let none = MemberRows { limit: Some(0), ..by_customer.clone() };
        for wanted in [&by_customer, &every_follow, &some, &few, &none] {
            let whole = numbers(&view, &all, wanted, 1 << 20).await;
            assert_eq!(numbers(&view, &all, wanted, 300).await, whole, "{wanted:?}");
        }
        // The numbers of customers are dense, and everybody is a member.
        assert_eq!(numbers(&view, &all, &some, 300).await, (251_i64..951).collect::<Vec<_>>());
        assert_eq!(numbers(&view, &all, &few, 300).await, [0_i64, 1, 2, 3, 4]);
        assert!(numbers(&view, &all, &none, 300).await.is_empty());
        assert!(numbers(&view, &all, &every_follow, 300).await.len() > 1_000);

        // Nobody is a list too, with its columns.
        let nobody = view.evaluate(&Definitions::default().from_text(NOBODY).unwrap()).await.unwrap();
        let rows = view.members(&nobody, &by_customer).await.unwrap();
        let columns: Vec<&String> = rows.schema.fields().iter().map(|field| field.name()).collect();
        assert_eq!(columns, ["customer_no", "staff_id"]);
        assert!(rows.collect().await.unwrap().is_empty());
    });
}

/// Customers, each with a follow, and a name and a remark of more than a thousand characters.
const WIDE: [Table<'static>; 2] = [
    ("customer", "mode: full", "SELECT id AS customer_id, repeat(id, 200) AS name FROM people"),
    (
        "follow",
        "mode: full",
        "SELECT id AS customer_id, 'wang' AS staff_id, 'active' AS status, repeat(id, 200) AS remark FROM people",
    ),
];

#[test]
fn more_rows_than_memory_are_handed_out_in_order() {
    const CUSTOMERS: u32 = 20_000;
    let sandbox = Sandbox::new();
    let people: String = (0..CUSTOMERS).map(|number| format!("c{number:06}\n")).collect();
    let (people, taken_at) = (format!("id\n{people}"), "2026-06-15 02:00:00");
    let files = [("people", people.as_str())];
    CsvSource { name: "wide", id_space: "wide", taken_at, files: &files, tables: &WIDE }.ingest(&sandbox);
    wait_for(|| async {
        let warehouse = sandbox.warehouse();
        let all = everybody(&newest(&warehouse).await, "followed").await;
        // Names and remarks are 28 MB each, and a sort alone sets 10 MB aside.
        let limits = Limits { memory_bytes: 24 << 20, ..Limits::default() };
        let view = view_with(&warehouse, limits).await;
        let wanted = MemberRows::of(&["customer_no", "name", "remark"]);
        let found = numbers(&view, &all, &wanted, 1_000).await;
        assert_eq!(found, (0..i64::from(CUSTOMERS)).collect::<Vec<_>>());
    });
}
