use super::*;
use crate::error::{Diagnose, ErrorKind};

/// The code, the line and a part of the message of the problem that keeps a text from being read.
#[track_caller]
fn check_refused(text: &str, code: &str, line: usize, part: &str) {
    let problem = read(text).expect_err("a problem");
    assert_eq!(problem.code, code, "{problem}");
    assert_eq!(problem.position.map(|position| position.line), Some(line), "{problem}");
    assert!(problem.message.contains(part), "{problem}");
    assert!(problem.hint.is_some() || code == codes::TOO_LARGE, "{problem} has no hint");
}

fn plain(text: &str) -> Yaml {
    Yaml::Scalar { text: text.to_owned(), quoted: false }
}

fn quoted(text: &str) -> Yaml {
    Yaml::Scalar { text: text.to_owned(), quoted: true }
}

#[test]
fn values_keep_their_place_and_their_quotes() {
    let document = read("a: 1\nb:\n  - x\n  - \"y\"\nc: |\n  z\n").expect("a document");
    let Yaml::Mapping(entries) = document.value else { panic!("a mapping") };
    let (_, a) = &entries[0];
    assert_eq!((a.position, &a.value), (Position { line: 1, column: 4 }, &plain("1")));
    let Yaml::Sequence(items) = &entries[1].1.value else { panic!("a list") };
    assert_eq!((items[0].position, &items[0].value), (Position { line: 3, column: 5 }, &plain("x")));
    assert_eq!((items[1].position, &items[1].value), (Position { line: 4, column: 5 }, &quoted("y")));
    assert_eq!(entries[2].1.value, quoted("z\n"));
}

#[test]
fn json_is_read_as_well() {
    let document = read("{\"a\": [{\"b\": 1, \"c\": null}, {\"d\":[\"e\"]}], \"f\":true}").expect("a document");
    let at = At::root(&document);
    let mut problems = Vec::new();
    let fields = at.fields("a mapping", &mut problems).expect("a mapping");
    let items = fields.get("a").expect("a").items("a list", &mut problems).expect("a list");
    assert_eq!(items.len(), 2);
    assert_eq!(items[1].path, "/a/1");
    assert!(items[0].fields("a mapping", &mut problems).expect("a mapping").get("c").is_none());
    assert_eq!(fields.get("f").expect("f").boolean(&mut problems), Some(true));
    assert!(problems.is_empty(), "{problems:?}");
}

#[test]
fn nothing_is_null() {
    for text in ["", "# only a comment\n", "---\n", "~", "null", "\u{feff}"] {
        assert_eq!(read(text).expect("a document").value, Yaml::Null, "{text:?}");
    }
}

#[test]
fn what_makes_documents_hard_to_review_is_refused() {
    check_refused("a: &x 1\nb: *x\n", codes::FEATURE, 1, "an anchor");
    check_refused("a: 1\nb: *x\n", codes::SYNTAX, 2, "unknown anchor");
    check_refused("a: !!str 1\n", codes::FEATURE, 1, "a YAML tag");
    check_refused("op: !=\nvalue: 1\n", codes::FEATURE, 1, "a YAML tag");
    check_refused("a: 1\n---\nb: 2\n", codes::FEATURE, 2, "a second document");
}

#[test]
fn what_is_not_yaml_is_refused_where_it_is() {
    check_refused("a: 1\nop: >=\n", codes::SYNTAX, 2, "block scalar");
    check_refused("a: [1, 2\n", codes::SYNTAX, 2, "not YAML");
    check_refused("a: 1\nb: \u{0}2\n", codes::SYNTAX, 2, "U+0000");
    check_refused("a: b: c\n", codes::SYNTAX, 1, "mapping values");
}

#[test]
fn size_and_depth_are_bounded() {
    let deep = format!("{}1{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
    check_refused(&deep, codes::TOO_LARGE, 1, "deeper than 64");
    check_refused(&"- 1\n".repeat(MAX_NODES), codes::TOO_LARGE, MAX_NODES, "more than 50000 values");
    let large = read(&"#".repeat(MAX_BYTES + 1)).expect_err("a problem");
    assert_eq!((large.code, large.position), (codes::TOO_LARGE, None));
    assert!(read(&format!("{}1{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH))).is_ok());
}

#[test]
fn every_reader_says_what_it_expected_and_where() {
    let text = "name: ''\nsize: 12\nkind: flies\nlist: x\nyes: no\nnmae: 1\nname: b\n1/2: {a~: 1}\n";
    let document = read(text).expect("a document");
    let mut problems = Vec::new();
    let fields = At::root(&document).fields("a mapping", &mut problems).expect("a mapping");
    fields.known(&["name", "size", "kind", "list", "yes", "1/2"], &mut problems);
    let at = |key: &str| fields.get(key).expect("a value");
    assert_eq!(at("name").text("a name", &mut problems), None);
    assert_eq!(at("size").integer(1..=10, &mut problems), None);
    assert_eq!(at("kind").word("kind", &[("files", 1), ("sample", 2)], &mut problems), None);
    assert_eq!(at("list").texts("a list of names", &mut problems), None);
    assert_eq!(at("yes").boolean(&mut problems), None);
    assert!(fields.need("where", "write `where: …`", &mut problems).is_none());
    at("1/2").fields("a mapping", &mut problems).expect("a mapping").known(&["b"], &mut problems);
    let found: Vec<(&str, &str)> = problems.iter().map(|problem| (problem.code, problem.path.as_str())).collect();
    let expected = [
        (codes::KEY_DUPLICATE, "/name"),
        (codes::KEY_UNKNOWN, "/nmae"),
        (codes::VALUE_EMPTY, "/name"),
        (codes::VALUE_INVALID, "/size"),
        (codes::WORD_UNKNOWN, "/kind"),
        (codes::TYPE_WRONG, "/list"),
        (codes::TYPE_WRONG, "/yes"),
        (codes::KEY_MISSING, ""),
        (codes::KEY_UNKNOWN, "/1~12/a~0"),
    ];
    assert_eq!(found, expected);
    assert!(problems[1].hint.as_ref().is_some_and(|hint| hint.contains("did you mean `name`")), "{problems:?}");
    assert!(problems[4].hint.as_ref().is_some_and(|hint| hint.contains("`files`")), "{problems:?}");
}

#[test]
fn problems_are_told_in_the_order_of_the_text_with_their_hints() {
    let at = |line| Some(Position { line, column: 5 });
    let problems = vec![
        Problem::new(at(7), "", codes::KEY_MISSING, "`b` is missing"),
        Problem::new(at(3), "/where/all/0", codes::KEY_MISSING, "`a` is missing").with_hint("write `a`"),
    ];
    let all = Problems::resolve(Some(()), problems).expect_err("problems");
    let told = "line 3, column 5 (/where/all/0): `a` is missing\n  hint: write `a`\nline 7, column 5: `b` is missing";
    assert_eq!(all.to_string(), told);
    assert_eq!((all.kind(), all.code()), (ErrorKind::InvalidInput, "DOCUMENT_INVALID"));
    assert_eq!(Problems::resolve(Some(1), Vec::new()), Ok(1));
    assert!(Problems::resolve(None::<u8>, Vec::new()).is_err());
}
