use super::*;

const COMMITTED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/json/segment.schema.json");

#[test]
fn the_committed_schema_is_up_to_date() {
    let schema = serde_json::to_string_pretty(&segment_schema()).expect("a schema") + "\n";
    if std::env::var_os("UPDATE").is_some_and(|update| update == "1") {
        std::fs::write(COMMITTED, &schema).expect("the schema is written");
    }
    let committed = std::fs::read_to_string(COMMITTED).expect("schemas/json/segment.schema.json");
    assert!(committed == schema, "schemas/json/segment.schema.json differs: run this test again with UPDATE=1");
}

#[test]
fn every_reference_leads_somewhere() {
    fn check(part: &Value, defs: &Value) {
        match part {
            Value::Object(members) => {
                if let Some(name) = members.get("$ref").and_then(Value::as_str) {
                    let name = name.strip_prefix("#/$defs/").expect("a reference into $defs");
                    assert!(defs.get(name).is_some(), "{name} is not defined");
                }
                members.values().for_each(|member| check(member, defs));
            }
            Value::Array(items) => items.iter().for_each(|item| check(item, defs)),
            _ => {}
        }
    }
    let schema = segment_schema();
    check(&schema, &schema["$defs"]);
}

#[test]
fn the_windows_that_refuse_include_today_are_those_that_do_not_end_with_as_of_day() {
    use crate::segment::tree::Window;

    let schema = segment_schema();
    let rules = schema["$defs"]["event"]["allOf"].as_array().expect("rules");
    let refusing = rules.iter().find(|rule| rule["then"]["properties"]["include_today"] == false).expect("a rule");
    let words = &refusing["if"]["properties"]["window"]["anyOf"][0]["enum"];
    let fixed = [("lifetime", Window::Lifetime), ("this_month", Window::ThisMonth), ("last_month", Window::LastMonth)];
    for (word, window) in fixed {
        let is_refused = words.as_array().expect("words").iter().any(|refused| refused == word);
        assert_eq!(is_refused, !window.ends_with_as_of_day(), "{word}");
    }
}
