//! One JSON object as text: its keys, and of each value what a column holds.

use std::borrow::Cow;
use std::fmt;

use serde::Deserializer as _;
use serde::de::{MapAccess, Visitor};
use serde_json::error::Category;
use serde_json::value::RawValue;

use super::super::account::{NOT_JSON, NUL_BYTE, Unparsable};
use super::super::encoding::Encoding;

/// A key of an object, and what a column holds of its value; `None` for `null`.
pub(super) type Member<'r> = (String, Option<Cow<'r, str>>);

/// Reads the object that a record is. Values are kept as they are written, so that no number loses a digit; only texts
/// lose their quotes and escapes.
///
/// # Errors
///
/// The record as unparsable, where it is no object or its texts are none. No reason repeats what the record holds.
pub(super) fn read_object(line: u64, raw: &[u8], encoding: Encoding) -> Result<Vec<Member<'_>>, Unparsable> {
    let flaw = |code, reason: &str| Unparsable::new(line, code, reason.to_owned(), raw);
    if raw.contains(&0) {
        return Err(flaw(NUL_BYTE, "the record holds a NUL byte"));
    }
    let text = std::str::from_utf8(raw).map_err(|_| encoding.flaw(line, raw))?;
    let members = raw_members(text).map_err(|cause| match cause.classify() {
        Category::Syntax | Category::Eof => flaw(NOT_JSON, &format!("the record is no JSON object: {cause}")),
        Category::Data | Category::Io => flaw(NOT_JSON, "the record is JSON, but no object"),
    })?;
    let mut read = Vec::with_capacity(members.len());
    for (key, value) in members {
        let value = content(value.get()).map_err(|_| flaw(NOT_JSON, "a text in the record is no Unicode"))?;
        if key.contains('\0') || value.as_ref().is_some_and(|value| value.contains('\0')) {
            return Err(flaw(NUL_BYTE, "a text in the record holds a NUL character"));
        }
        read.push((key, value));
    }
    Ok(read)
}

fn raw_members(text: &str) -> Result<Vec<(String, &RawValue)>, serde_json::Error> {
    let mut json = serde_json::Deserializer::from_str(text);
    let members = json.deserialize_map(Members)?;
    json.end()?;
    Ok(members)
}

/// Gathers the members of an object in their order, doubles included.
struct Members;

impl<'de> Visitor<'de> for Members {
    type Value = Vec<(String, &'de RawValue)>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some(member) = map.next_entry()? {
            members.push(member);
        }
        Ok(members)
    }
}

/// Returns what a column holds of a value.
fn content(json: &str) -> Result<Option<Cow<'_, str>>, serde_json::Error> {
    match json.as_bytes() {
        [b'n', ..] => Ok(None),
        [b'"', .., b'"'] if !json.contains('\\') => Ok(Some(Cow::Borrowed(&json[1..json.len() - 1]))),
        [b'"', ..] => serde_json::from_str::<String>(json).map(|text| Some(Cow::Owned(text))),
        _ => Ok(Some(Cow::Borrowed(json))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(record: &[u8], expected: &[(&str, Option<&str>)]) {
        let members = read_object(1, record, Encoding::Utf8).unwrap();
        let members: Vec<(&str, Option<&str>)> =
            members.iter().map(|(key, value)| (key.as_str(), value.as_deref())).collect();
        assert_eq!(members, expected, "{}", record.escape_ascii());
    }

    fn check_flaw(record: &[u8], code: &str) {
        let Err(row) = read_object(1, record, Encoding::Utf8) else { panic!("{}", record.escape_ascii()) };
        assert_eq!(row.code, code, "{}", record.escape_ascii());
        assert!(!row.reason.contains("Li Wei"), "{}", row.reason);
    }

    #[test]
    fn values_are_kept_as_they_are_written() {
        check(
            br#"{"a": 199.00, "b": 12345678901234567890123, "c": true}"#,
            &[("a", Some("199.00")), ("b", Some("12345678901234567890123")), ("c", Some("true"))],
        );
        check(
            br#"{"a": "x\"\u4e0a", "b": "NULL", "c": "", "d": null}"#,
            &[("a", Some("x\"上")), ("b", Some("NULL")), ("c", Some("")), ("d", None)],
        );
        check(br#"{"a": {"b": [1, "2"]}, "c": []}"#, &[("a", Some(r#"{"b": [1, "2"]}"#)), ("c", Some("[]"))]);
        check(b"{}", &[]);
    }

    #[test]
    fn what_is_no_object_is_told_without_its_values() {
        for record in [&br#""Li Wei""#[..], br#"["Li Wei"]"#, b"1", b"null", br#"{"a": "Li Wei"} x"#] {
            check_flaw(record, "RAW_NOT_JSON");
        }
        for record in [&br#"{"a": "Li Wei}"#[..], br#"{"a": Li Wei}"#, br#"{"a": 01}"#, br#"{"a": "\ud800"}"#] {
            check_flaw(record, "RAW_NOT_JSON");
        }
        check_flaw(b"{\"a\": \"\xff\"}", "RAW_NOT_UTF8");
        check_flaw(b"{\"a\": \"\0\"}", "RAW_NUL_BYTE");
        check_flaw(br#"{"a": "\u0000"}"#, "RAW_NUL_BYTE");
    }

    #[test]
    fn nesting_without_end_costs_one_record() {
        let deep = format!(r#"{{"a": {}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
        assert_eq!(read_object(1, deep.as_bytes(), Encoding::Utf8).map(|members| members.len()), Ok(1));
    }
}
