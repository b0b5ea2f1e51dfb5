//! `tagmill crosstab`: every cell of tables that can be checked by eye, whom they leave out, and what their labels say.

use serde_json::{Value, json};

use crate::harness::Sandbox;
use crate::harness::shop::{CsvSource, shop};
use crate::segments::corp;

/// Crosses two dimensions; what else is asked for stands in `more`.
fn crossed(sandbox: &Sandbox, rows: &str, cols: &str, more: &[&str]) -> Value {
    let asked = ["crosstab", "--rows", rows, "--cols", cols, "--format", "json"];
    sandbox.json(&[asked.as_slice(), more].concat())
}

/// Checks every row with its cells, and that the totals are their sums.
fn check(table: &Value, columns: &[&str], rows: &[(&str, &[u64])]) {
    assert_eq!(table["column_labels"], json!(columns), "{table}");
    let labels: Vec<&str> = rows.iter().map(|(label, _)| *label).collect();
    assert_eq!(table["row_labels"], json!(labels), "{table}");
    let cells: Vec<&[u64]> = rows.iter().map(|(_, cells)| *cells).collect();
    assert_eq!(table["cells"], json!(cells), "{table}");
    let row_totals: Vec<u64> = cells.iter().map(|cells| cells.iter().sum::<u64>()).collect();
    let column_total = |column: usize| cells.iter().map(|row| row[column]).sum::<u64>();
    let column_totals: Vec<u64> = (0..columns.len()).map(column_total).collect();
    assert_eq!((&table["row_totals"], &table["column_totals"]), (&json!(row_totals), &json!(column_totals)), "{table}");
    assert_eq!(table["universe_count"], row_totals.iter().sum::<u64>(), "{table}");
}

#[test]
fn a_tag_group_splits_into_its_tags_none_and_more_than_one() {
    // c1 has VIP of one follower and 普通 of the other, c3 two tags of one, c4 one tag of each; c5 has none.
    let table = crossed(corp(), "group:标签", "attribute:province", &[]);
    check(
        &table,
        &["陕西", "上海", "甘肃", "unknown"],
        &[
            ("VIP", &[0, 0, 1, 0]),
            ("宠物主人", &[0, 0, 0, 0]),
            ("普通", &[0, 0, 0, 0]),
            ("more than one", &[2, 0, 0, 1]),
            ("none", &[0, 1, 0, 0]),
        ],
    );
    let said = (&table["row_dimension"], &table["column_dimension"], &table["among"]);
    assert_eq!(said, (&json!("group:标签"), &json!("province"), &json!("followed")));
    assert_eq!(table, crossed(corp(), "group:标签", "province", &[]), "a column needs no word before it");
}

#[test]
fn where_cuts_the_customers_and_its_universe_says_whose_tags_count() {
    // Those who paid are c1 to c4.
    let paying = crossed(corp(), "group:标签", "birth_month", &["--where", "segments/paying.yaml"]);
    check(
        &paying,
        &["1", "2", "3", "4", "5", "6", "7", "8", "9", "10", "11", "12", "unknown"],
        &[
            ("VIP", &[0, 1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("宠物主人", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("普通", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
            ("more than one", &[0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 1]),
            ("none", &[0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]),
        ],
    );
    assert_eq!(paying["among"], "paying");

    // c7 has deleted its only follower, whose tag still counts among the lost; of the other tags there is nobody.
    let gone = crossed(corp(), "group:标签", "province", &["--where", "segments/gone.yaml"]);
    check(&gone, &["unknown"], &[("VIP", &[1]), ("more than one", &[0]), ("none", &[0])]);
}

/// Six customers of `wang` and two tag groups. Two tags bear the names that the table itself uses, and two bear one name.
fn labels() -> Sandbox {
    let tags = "t1,会员,none\nt2,会员,more than one\nt3,会员,VIP\nt4,会员,VIP\nt5,渠道,门店\nt6,渠道,直播\n";
    let held = "a1,t1\na2,t2\na3,t3\na4,t4\na5,t3\na5,t4\na1,t5\na2,t5\na3,t6\na5,t5\na5,t6\na6,t6\n";
    let (tags, held) = (format!("id,tag_group,name\n{tags}"), format!("customer,tag\n{held}"));
    let customers = "id,gender\na1,unknown\na2,unknown\na3,female\na4,\na5,\na6,\n";
    let source = CsvSource {
        name: "labels",
        id_space: "labels",
        taken_at: "2026-06-15 02:00:00",
        files: &[("customers", customers), ("tags", tags.as_str()), ("held", held.as_str())],
        tables: &[
            ("customer", "mode: full", "SELECT id AS customer_id, gender FROM customers"),
            ("follow", "mode: full", "SELECT id AS customer_id, 'wang' AS staff_id, 'active' AS status FROM customers"),
            ("tag", "mode: full", "SELECT id AS tag_id, tag_group AS group_name, name AS tag_name FROM tags"),
            ("assignment", "mode: full", "SELECT customer AS customer_id, 'wang' AS staff_id, tag AS tag_id FROM held"),
        ],
    };
    let sandbox = Sandbox::new();
    source.ingest(&sandbox);
    sandbox
}

#[test]
fn a_value_that_is_called_like_a_label_stays_a_value_of_its_own() {
    let sandbox = labels();
    let channels = ["直播", "门店", "more than one", "none"];
    check(
        &crossed(&sandbox, "group:会员", "group:渠道", &[]),
        &channels,
        &[
            ("\"more than one\"", &[0, 1, 0, 0]),
            ("\"none\"", &[0, 1, 0, 0]),
            ("VIP [t3]", &[1, 0, 0, 0]),
            ("VIP [t4]", &[0, 0, 0, 1]),
            ("more than one", &[0, 0, 1, 0]),
            ("none", &[1, 0, 0, 0]),
        ],
    );
    check(
        &crossed(&sandbox, "gender", "group:渠道", &[]),
        &channels,
        &[("\"unknown\"", &[0, 2, 0, 0]), ("female", &[1, 0, 0, 0]), ("unknown", &[1, 0, 1, 1])],
    );
}

#[test]
fn a_column_of_too_many_values_is_refused_unless_those_asked_about_have_few() {
    let sandbox = shop();
    let customers: String = (0..300).map(|number| format!("c{number},Li,城{number},5\n")).collect();
    sandbox.write("customers.csv", format!("id,name,city,birth_month\n{customers}"));
    sandbox.ok(&["ingest", "shop.yaml"]);
    let refused = sandbox.fails(2, &["crosstab", "--rows", "city", "--cols", "birth_month"]);
    refused.says("`city` has more than 200 values, too many for a table");
    sandbox.fails(2, &["crosstab", "--rows", "birth_month", "--cols", "customer_id"]).says("`customer_id` has more");

    let condition = "{attribute: {name: city, op: in, value: [城7, 城8], missing: exclude}}";
    sandbox.write("two_cities.yaml", format!("universe: all\nas_of: latest\nwhere: {condition}\n"));
    let table = crossed(&sandbox, "city", "customer_id", &["--where", "two_cities.yaml"]);
    check(&table, &["c7", "c8", "unknown"], &[("城7", &[1, 0, 0]), ("城8", &[0, 1, 0]), ("unknown", &[0, 0, 0])]);
}

/// The cells of the table's row that begins with a label.
fn row_of(table: &str, label: &str) -> Vec<String> {
    let line = table.lines().find(|line| line.trim_start().starts_with(label));
    let cells = line.unwrap_or_else(|| panic!("no row `{label}` in\n{table}")).trim_start().strip_prefix(label);
    // A cell is a count, or a count and its share in brackets.
    let mut texts: Vec<String> = Vec::new();
    for word in cells.unwrap().split_whitespace() {
        match texts.last_mut() {
            Some(count) if word.starts_with('(') => *count = format!("{count} {word}"),
            _ => texts.push(word.to_owned()),
        }
    }
    texts
}

#[test]
fn a_table_shows_shares_of_the_row_the_column_or_everybody() {
    let check = |shares: &str, several: [&str; 5], total: [&str; 5]| {
        let asked = ["crosstab", "--rows", "group:标签", "--cols", "province", "--shares", shares];
        let table = corp().ok(&asked).stdout;
        assert_eq!(row_of(&table, "more than one"), several, "{shares}\n{table}");
        assert_eq!(row_of(&table, "total"), total, "{shares}\n{table}");
    };
    let whole = ["2 (40.0%)", "1 (20.0%)", "1 (20.0%)", "1 (20.0%)", "5 (100.0%)"];
    check("row", ["2 (66.7%)", "0 (0.0%)", "0 (0.0%)", "1 (33.3%)", "3 (100.0%)"], whole);
    check("all", ["2 (40.0%)", "0 (0.0%)", "0 (0.0%)", "1 (20.0%)", "3 (60.0%)"], whole);
    check(
        "column",
        ["2 (100.0%)", "0 (0.0%)", "0 (0.0%)", "1 (100.0%)", "3 (60.0%)"],
        ["2 (100.0%)", "1 (100.0%)", "1 (100.0%)", "1 (100.0%)", "5 (100.0%)"],
    );
}

#[test]
fn rows_of_cells_carry_their_three_shares_and_none_of_nothing() {
    let asked = ["crosstab", "--rows", "group:标签", "--cols", "province", "--format", "ndjson"];
    let lines = corp().ok(&asked).stdout;
    let cells: Vec<Value> = lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(cells.len(), 5 * 4, "{lines}");
    let cell = |row: &str, column: &str| {
        let found = cells.iter().find(|cell| cell["row_label"] == row && cell["column_label"] == column);
        let found = found.unwrap_or_else(|| panic!("no cell {row} × {column} in\n{lines}"));
        let shares = ["share_of_row", "share_of_column", "share_of_all"].map(|share| found[share].as_f64());
        (found["customers"].as_u64().unwrap(), shares)
    };
    // A number may lose its last bit on the way through JSON.
    let check = |row: &str, column: &str, customers: u64, expected: [Option<f64>; 3]| {
        let (count, shares) = cell(row, column);
        assert_eq!(count, customers, "{row} × {column}");
        let is_same = |(one, other): (Option<f64>, Option<f64>)| match (one, other) {
            (Some(one), Some(other)) => (one - other).abs() < 1e-12,
            (one, other) => one.is_none() && other.is_none(),
        };
        assert!(shares.into_iter().zip(expected).all(is_same), "{row} × {column}: {shares:?}, not {expected:?}");
    };
    check("more than one", "陕西", 2, [Some(2.0 / 3.0), Some(1.0), Some(0.4)]);
    check("more than one", "unknown", 1, [Some(1.0 / 3.0), Some(1.0), Some(0.2)]);
    check("VIP", "甘肃", 1, [Some(1.0), Some(1.0), Some(0.2)]);
    check("none", "陕西", 0, [Some(0.0), Some(0.0), Some(0.0)]);
    // Nobody has that tag alone: there is nothing to take a share of.
    check("普通", "陕西", 0, [None, Some(0.0), Some(0.0)]);
}
