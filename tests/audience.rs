//! `tagmill audience export`: the same rows in every form, a manifest that can be checked, nothing private by default.

use arrow::util::display::{ArrayFormatter, FormatOptions};
use serde_json::{Value, json};
use tagmill_ingest::raw::file_digest;
use tagmill_store::read_batches;

use crate::harness::Sandbox;
use crate::harness::corp::{DEFINITIONS, corp};
use crate::harness::shop::{CUSTOMERS, shop};

/// What is handed out in these tests; `name` is private.
const COLUMNS: &str = "customer_no,id_space,customer_id,name,province";

/// Exports a segment of the sample corp into a sandbox, and returns the manifest.
fn export(sandbox: &Sandbox, segment: &str, file: &str, more: &[&str]) -> Value {
    let warehouse = corp().warehouse().display().to_string();
    let from = ["--warehouse", warehouse.as_str(), "--definitions", DEFINITIONS];
    let what = ["audience", "export", segment, "-o", file];
    sandbox.ok(&[from.as_slice(), what.as_slice(), more].concat());
    serde_json::from_str(&sandbox.read(&format!("{file}.manifest.json"))).unwrap()
}

/// A file's rows as texts, whatever its form; a missing value is empty.
fn rows_of(sandbox: &Sandbox, file: &str) -> Vec<Vec<String>> {
    if file.ends_with(".csv") {
        let text = sandbox.read(file);
        let mut reader = csv::Reader::from_reader(text.as_bytes());
        return reader.records().map(|record| record.unwrap().iter().map(str::to_owned).collect()).collect();
    }
    if file.ends_with(".ndjson") {
        let cells = |line: &str| -> Vec<String> {
            let object: serde_json::Map<String, Value> = serde_json::from_str(line).unwrap();
            object.values().map(cell).collect()
        };
        return sandbox.read(file).lines().map(cells).collect();
    }
    let options = FormatOptions::new();
    let mut rows = Vec::new();
    for batch in read_batches(&sandbox.path(file)).unwrap() {
        let columns: Vec<ArrayFormatter<'_>> =
            batch.columns().iter().map(|column| ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
        for row in 0..batch.num_rows() {
            rows.push(columns.iter().map(|column| column.value(row).to_string()).collect());
        }
    }
    rows
}

fn cell(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

#[test]
fn every_form_holds_the_same_rows_and_the_manifest_says_which() {
    let sandbox = Sandbox::new();
    let mut forms = Vec::new();
    for form in ["csv", "ndjson", "parquet"] {
        let file = format!("vip.{form}");
        let manifest = export(&sandbox, "s85_june_cart_no_pay", &file, &["--columns", COLUMNS]);
        assert_eq!(manifest["file"]["sha256"], file_digest(&sandbox.path(&file)).unwrap(), "{manifest}");
        assert_eq!(manifest["file"]["name"], file);
        assert_eq!(manifest["file"]["format"], form);
        assert_eq!(manifest["file"]["bytes"], std::fs::metadata(sandbox.path(&file)).unwrap().len());
        let rows = rows_of(&sandbox, &file);
        assert_eq!(manifest["rows"], rows.len(), "{manifest}");
        forms.push((rows, manifest));
    }
    let [(csv, manifest), (ndjson, _), (parquet, other)]: [_; 3] = forms.try_into().unwrap();
    assert!(!csv.is_empty(), "nobody is in the segment, so that nothing is compared");
    assert_eq!(csv, ndjson);
    assert_eq!(csv, parquet);
    assert_eq!(manifest["member_hash"], other["member_hash"]);
    assert_eq!((&manifest["snapshot_id"], &manifest["as_of"]), (&json!(3), &json!("2026-11-11T18:00:00Z")));
    assert_eq!(manifest["definition_hash"].as_str().unwrap().len(), 64);

    // The same frozen answer as the count's.
    let segment = format!("{DEFINITIONS}/s85_june_cart_no_pay.yaml");
    let count = corp().json(&["segment", "count", &segment, "--format", "json"]);
    assert_eq!(manifest["customers"], count["count"]);
    assert_eq!(manifest["definition_hash"], count["definition_hash"]);
    assert_eq!(manifest["events_until"], count["events_until"]);
}

/// Invariant 12, as far as there is anybody to grant something to.
#[test]
fn private_columns_are_masked_unless_they_are_asked_for() {
    let sandbox = Sandbox::new();
    let masked = export(&sandbox, "s85_june_cart_no_pay", "masked.csv", &["--columns", COLUMNS]);
    assert_eq!(masked["masked_columns"], json!(["name"]));
    assert_eq!(masked["unmasked_columns"], json!([]));
    let names = |file: &str| rows_of(&sandbox, file).into_iter().map(|row| row[3].clone()).collect::<Vec<_>>();
    assert!(names("masked.csv").iter().all(|name| name == "***" || name.is_empty()));

    let told = export(&sandbox, "s85_june_cart_no_pay", "told.csv", &["--columns", COLUMNS, "--unmask", "name"]);
    assert_eq!(told["masked_columns"], json!([]));
    assert_eq!(told["unmasked_columns"], json!(["name"]));
    assert!(names("told.csv").iter().all(|name| name != "***"));
    assert_eq!(told["member_hash"], masked["member_hash"], "what is shown of them changes nobody");
}

#[test]
fn a_cell_that_a_spreadsheet_would_run_is_defused_in_csv_alone() {
    let sandbox = shop();
    let people = "c6,Tao,\"=1+1\",5\nc7,Tang,@SUM(A1),5\nc8,Han,-1.5,5\n";
    sandbox.write("customers.csv", format!("{CUSTOMERS}{people}"));
    sandbox.ok(&["ingest", "shop.yaml"]);
    let select = "SELECT customer_no FROM customer WHERE customer_id > 'c5'";
    sandbox.write("new.yaml", format!("universe: all\nas_of: latest\nwhere: {{sql: {select}}}\n"));
    for file in ["new.csv", "new.ndjson"] {
        sandbox.ok(&["audience", "export", "new.yaml", "-o", file, "--columns", "customer_id,city"]);
    }
    let cities = |file: &str| rows_of(&sandbox, file).into_iter().map(|row| row[1].clone()).collect::<Vec<_>>();
    assert_eq!(cities("new.csv"), ["'=1+1", "'@SUM(A1)", "-1.5"]);
    assert_eq!(cities("new.ndjson"), ["=1+1", "@SUM(A1)", "-1.5"]);
}

#[test]
fn an_audience_says_itself_how_it_is_handed_out() {
    let sandbox = Sandbox::new();
    let manifest = export(&sandbox, "june_cart_audience", "june.csv", &[]);
    assert_eq!(manifest["audience"], "june_cart_audience");
    assert_eq!(manifest["segment"], "s85_june_cart_no_pay");
    let columns = ["customer_id", "name", "province", "member_level", "staff_id", "channel"];
    assert_eq!(manifest["columns"], json!(columns));
    assert!(sandbox.read("june.csv").starts_with(&columns.join(",")));
}

#[test]
fn a_row_per_follow_lists_every_follow_that_counts() {
    let sandbox = Sandbox::new();
    let segment = std::fs::read(format!("{DEFINITIONS}/s85_june_cart_no_pay.yaml")).unwrap();
    sandbox.write("june.yaml", segment);
    sandbox.write("follows.yaml", "segment: june\none_row_per: follow\ncolumns: [customer_no, staff_id]\n");
    let manifest = export(&sandbox, "follows.yaml", "follows.csv", &[]);
    let rows = rows_of(&sandbox, "follows.csv");
    let members: Vec<&str> = rows.iter().map(|row| row[0].as_str()).collect();
    let sql = format!(
        "SELECT count(*) AS follows FROM follow WHERE status IN ('active', 'half') AND customer_no IN ({})",
        members.join(", ")
    );
    assert_eq!(corp().sql(&sql), [json!({"follows": rows.len()})]);
    let customers = manifest["customers"].as_u64().unwrap();
    assert!(rows.len() as u64 > customers, "nobody of them has two followers: {manifest}");
}

#[test]
fn a_manifest_names_the_tags_that_the_segment_and_its_references_mean() {
    let sandbox = Sandbox::copy_of(crate::segments::corp());
    let with = |condition: &str| format!("universe: followed\nas_of: latest\nwhere: {condition}\n");
    sandbox.write("segments/pets.yaml", with("{tag: {any_of: [标签/宠物主人], follower: any}}"));
    let tagged = "{tag: {any_of: [标签/VIP, {id: \"corp:标签/普通\"}], follower: any}}";
    sandbox.write("segments/vip_pets.yaml", with(&format!("{{all: [{{segment: pets}}, {tagged}]}}")));
    sandbox.ok(&["audience", "export", "segments/vip_pets.yaml", "-o", "pets.csv"]);
    let manifest: Value = serde_json::from_str(&sandbox.read("pets.csv.manifest.json")).unwrap();
    let tags = json!({
        "标签/VIP": "corp:标签/VIP",
        "标签/宠物主人": "corp:标签/宠物主人",
        "corp:标签/普通": "corp:标签/普通",
    });
    assert_eq!(manifest["tags"], tags);
    assert_eq!(manifest["customers"], 2);
}

#[test]
fn a_column_to_mask_that_no_table_has_is_refused_and_nothing_is_written() {
    let sandbox = Sandbox::copy_of(crate::segments::corp());
    let masking = |columns: &str| {
        let document = "segment: paying\none_row_per: customer\ncolumns: [customer_id, province]\n";
        sandbox.write("segments/payers.yaml", format!("{document}mask: [{columns}]\n"));
        ["audience", "export", "segments/payers.yaml", "-o", "payers.csv"]
    };
    let refused = sandbox.fails(2, &masking("provinse"));
    refused.says("there is no column `provinse`").says("it stands in `mask:`; did you mean `province`");
    assert!(!sandbox.path("payers.csv").exists());

    // What is known and not handed out may be masked as well.
    sandbox.ok(&masking("province, mobile, remark"));
    let manifest: Value = serde_json::from_str(&sandbox.read("payers.csv.manifest.json")).unwrap();
    assert_eq!(manifest["masked_columns"], json!(["province"]));
    assert_eq!(sandbox.read("payers.csv"), "customer_id,province\nc1,***\nc2,***\nc3,\nc4,***\n");
}
