//! JSON cut into records: lines, arrays, what is not closed, what is too long.

use super::*;

/// Renders each piece as `line: record` or `line! code`.
fn pieces(text: &[u8], max_record_bytes: usize) -> Vec<String> {
    let mut reader = JsonReader::new(text, max_record_bytes).unwrap();
    let mut found = Vec::new();
    while let Some(piece) = reader.read_record().unwrap() {
        found.push(match piece {
            Piece::Record { line, raw } => format!("{line}: {}", String::from_utf8_lossy(raw)),
            Piece::Flawed(row) => format!("{}! {}", row.line, row.code),
        });
    }
    found
}

fn check(text: &str, expected: &[&str]) {
    assert_eq!(pieces(text.as_bytes(), 100), expected, "{text:?}");
}

#[test]
fn each_line_is_a_record_whatever_ends_it() {
    check("{\"a\":1}\n\n {\"a\":2} \r\n{\"a\":3}", &["1: {\"a\":1}", "3: {\"a\":2}", "4: {\"a\":3}"]);
    check("\u{feff}{}\r{}\r", &["1: {}", "2: {}"]);
    check("{\"a\":\nx", &["1: {\"a\":", "2: x"]);
    check("", &[]);
    check(" \n\r\n", &[]);
}

#[test]
fn the_elements_of_an_array_are_records_however_they_are_set() {
    check("[{\"a\":1},{\"a\":[1,{}]}]", &["1: {\"a\":1}", "1: {\"a\":[1,{}]}"]);
    check("[\n  {\n    \"a\": \"],}\\\"\"\n  },\n  1\n]\n", &["2: {\n    \"a\": \"],}\\\"\"\n  }", "5: 1"]);
    check("[]", &[]);
    check("[{}]\n[{},]", &["1: {}", "2: {}"]);
}

#[test]
fn an_array_that_is_cut_off_or_followed_by_something_is_told() {
    check("[{\"a\":1}", &["1: {\"a\":1}", "1! RAW_JSON_OPEN"]);
    check("[{\"a\":1},", &["1: {\"a\":1}", "1! RAW_JSON_OPEN"]);
    check("[{},\n{\"a\":\"x", &["1: {}", "2! RAW_JSON_OPEN"]);
    check("[\n  {\n    \"a\": 1\n  },\n  {\n    \"a\": {\n", &["2: {\n    \"a\": 1\n  }", "5! RAW_JSON_OPEN"]);
    check("[{}]\nx\ny", &["1: {}", "2! RAW_NOT_JSON"]);
}

#[test]
fn a_record_that_is_not_closed_costs_itself_and_no_more() {
    check("[\n{\"a\":{\"b\":1},\n{\"a\":2},\n{\"a\":3}\n]", &["2! RAW_JSON_OPEN", "3: {\"a\":2}", "4: {\"a\":3}"]);
    check("[{\"a\":\"x},\n{\"a\":2}]", &["1! RAW_JSON_OPEN", "2: {\"a\":2}"]);
    let pretty = "[\n  {\n    \"a\": {\n      \"b\": 1\n  },\n  {\n    \"a\": 2\n  }\n]\n";
    check(pretty, &["2! RAW_JSON_OPEN", "6: {\n    \"a\": 2\n  }"]);
}

#[test]
fn a_record_that_is_too_long_costs_itself_and_no_more() {
    let long = format!("{{\"a\":\"{}\"}}", "x".repeat(200_000));
    check(&format!("{{}}\n{long}\n{{}}"), &["1: {}", "2! RAW_TOO_LONG", "3: {}"]);
    check(&format!("[{{}},{long},{{}}]"), &["1: {}", "1! RAW_TOO_LONG", "1: {}"]);
    let exact = format!("\"{}\"", "x".repeat(98));
    check(&format!("[{exact},1]"), &[&format!("1: {exact}"), "1: 1"]);
    check(&format!("{exact}\n{exact} \n"), &[&format!("1: {exact}"), "2! RAW_TOO_LONG"]);
}

#[test]
fn records_are_whole_wherever_the_reading_cuts() {
    struct Slowly<'a>(&'a [u8]);
    impl std::io::Read for Slowly<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
            let length = self.0.len().min(buffer.len()).min(1);
            buffer[..length].copy_from_slice(&self.0[..length]);
            self.0 = &self.0[length..];
            Ok(length)
        }
    }
    let element = format!("{{\"a\": \"{}\"}}", "\\\"],".repeat(30_000));
    let text = format!("[{}]", [element.as_str(); 3].join(",\r\n"));
    let mut reader = JsonReader::new(Slowly(text.as_bytes()), 1 << 20).unwrap();
    let mut lines = Vec::new();
    while let Some(Piece::Record { line, raw }) = reader.read_record().unwrap() {
        assert_eq!(raw, element.as_bytes());
        lines.push(line);
    }
    assert_eq!(lines, [1, 2, 3]);
}
