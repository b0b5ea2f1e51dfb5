//! CSV cut into records: lines, quotes that stay open, lines without end.

use super::*;

/// Renders each piece as `line: fields` or `line! code`.
fn pieces<R: Read>(reader: &mut RecordReader<R>) -> Vec<String> {
    let mut found = Vec::new();
    while let Some(piece) = reader.read_record().unwrap() {
        found.push(match piece {
            Piece::Record(record) => {
                let fields = record.fields().unwrap();
                let texts: Vec<&str> = (0..fields.count()).map(|index| fields.get(index)).collect();
                format!("{}: {}", record.line, texts.join("|"))
            }
            Piece::Flawed(row) => format!("{}! {}", row.line, row.code),
        });
    }
    found
}

fn check(text: &str, max_record_bytes: usize, expected: &[&str]) {
    let dialect = CsvDialect { max_record_bytes, ..CsvDialect::default() };
    let mut reader = RecordReader::new(text.as_bytes(), &dialect, Encoding::Utf8).unwrap();
    assert_eq!(pieces(&mut reader), expected, "{text:?}");
}

#[test]
fn lines_count_through_quotes_blank_lines_and_every_line_end() {
    check("a,\"b\nb\"\n\nc,d\r\n\"e\"\"\",f", 100, &["1: a|b\nb", "4: c|d", "5: e\"|f"]);
    check("\u{feff}a,b\r\n\r\n1,\r\n", 100, &["1: a|b", "3: 1|"]);
    check("a,b,", 100, &["1: a|b|"]);
    check("a,b\rc,d\r\re,f\ng,h\r\ni,j", 100, &["1: a|b", "2: c|d", "4: e|f", "5: g|h", "6: i|j"]);
    check("", 100, &[]);
    check("\n\r\n", 100, &[]);
}

#[test]
fn an_open_quote_costs_its_line_and_no_more() {
    check("1,\"a\n2,b\n3,c\n", 100, &["1! RAW_UNTERMINATED_QUOTE", "2: 2|b", "3: 3|c"]);
    check("1,a\n2,\"b", 100, &["1: 1|a", "2! RAW_UNTERMINATED_QUOTE"]);
    check("1,\"a\r2,b\r3,c\r", 100, &["1! RAW_UNTERMINATED_QUOTE", "2: 2|b", "3: 3|c"]);
    check("1,\"a\n2,b\n3,c\n4,d\n", 10, &["1! RAW_UNTERMINATED_QUOTE", "2: 2|b", "3: 3|c", "4: 4|d"]);
}

#[test]
fn a_dialect_may_have_another_quote_or_none() {
    let read = |text: &str, quote| {
        let dialect = CsvDialect { quote, ..CsvDialect::default() };
        pieces(&mut RecordReader::new(text.as_bytes(), &dialect, Encoding::Utf8).unwrap())
    };
    assert_eq!(read("1,'a,\n''b'\n2,\"c\n", Some(b'\'')), ["1: 1|a,\n'b", "3: 2|\"c"]);
    assert_eq!(read("1,\"a\n2,b\"\n", None), ["1: 1|\"a", "2: 2|b\""]);
}

#[test]
fn a_record_of_exactly_the_longest_length_is_read() {
    check("1,345\n2,3456\n3,4\n", 5, &["1: 1|345", "2! RAW_TOO_LONG", "3: 3|4"]);
    check("1,3456", 5, &["1! RAW_TOO_LONG"]);
}

#[test]
fn an_endless_line_is_passed_over_in_little_memory() {
    let dialect = CsvDialect { max_record_bytes: 100_000, ..CsvDialect::default() };
    let long = io::repeat(b'x').take(8 * 1024 * 1024);
    let text = (&b"1,a\n"[..]).chain(long).chain(&b"\n3,c\n"[..]);
    let mut reader = RecordReader::new(text, &dialect, Encoding::Utf8).unwrap();
    assert_eq!(pieces(&mut reader), ["1: 1|a", "2! RAW_TOO_LONG", "3: 3|c"]);
    assert!(reader.window.capacity() + reader.text.capacity() < 1024 * 1024);
}
