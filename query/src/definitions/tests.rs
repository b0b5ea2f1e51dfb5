//! Where references are looked for, what a name finds, and circles.

use std::fs;

use tagmill_schemas::error::Diagnose;
use tempfile::TempDir;

use super::*;

/// A segment that refers to others, or to none.
fn segment(references: &[&str]) -> String {
    let parts: Vec<String> = references.iter().map(|name| format!("{{segment: {name}}}")).collect();
    let condition = match parts.as_slice() {
        [] => "{sql: SELECT customer_no FROM customer}".to_owned(),
        parts => format!("{{all: [{}]}}", parts.join(", ")),
    };
    format!("universe: all\nas_of: latest\nwhere: {condition}\n")
}

/// A folder with files of some content, in folders below it.
fn folder(files: &[(&str, String)]) -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for (name, content) in files {
        let path = folder.path().join(name);
        fs::create_dir_all(path.parent().expect("a parent")).expect("a folder");
        fs::write(path, content).expect("a file");
    }
    folder
}

/// Loads `mine/asked.yaml` of a folder, with its `shared` as the folder of definitions.
fn load_asked(root: &TempDir) -> Result<LoadedSegment, QueryError> {
    let file = root.path().join("mine/asked.yaml").display().to_string();
    Definitions::new(Some(root.path().join("shared"))).load(&file)
}

#[test]
fn a_reference_is_found_beside_the_file_and_in_the_folder() {
    let root = folder(&[
        ("mine/asked.yaml", segment(&["own", "paying"])),
        ("mine/own.yaml", segment(&[])),
        ("shared/paying.yml", segment(&["sibling"])),
        ("shared/sibling.json", segment(&[])),
    ]);
    let loaded = load_asked(&root).expect("a segment");
    let names: Vec<&String> = loaded.references.keys().collect();
    assert_eq!(names, ["own", "paying"]);
    assert!(loaded.references["paying"].references.contains_key("sibling"));
}

#[test]
fn a_file_refers_to_what_lies_beside_it_before_anything_else() {
    let own = "universe: lost\nas_of: latest\nwhere: {sql: SELECT customer_no FROM customer}\n".to_owned();
    let root = folder(&[
        ("mine/asked.yaml", segment(&["base", "paying"])),
        ("mine/base.yaml", own),
        ("shared/paying.yaml", segment(&["base"])),
        ("shared/base.yaml", segment(&[])),
    ]);
    let loaded = load_asked(&root).expect("a segment");
    let shared = &loaded.references["paying"].references["base"];
    assert_ne!(loaded.references["base"].hash, shared.hash, "what a shared segment means depends on nobody's folder");
}

#[test]
fn a_circle_through_two_folders_is_found() {
    let root = folder(&[
        ("mine/asked.yaml", segment(&["middle"])),
        ("shared/middle.yaml", segment(&["last"])),
        ("mine/last.yaml", segment(&["asked"])),
    ]);
    let refused = load_asked(&root).expect_err("a circle").to_string();
    assert_eq!(refused, "segments refer to each other in a circle: asked → middle → last → asked");
}

#[test]
fn two_files_of_one_name_are_no_circle() {
    let rule = "tag: a/b\non: owner\nwhen: {}\non_exit: retract\n".to_owned();
    let root = folder(&[
        ("mine/vip.yaml", rule.clone()),
        ("mine/vip.yml", segment(&[])),
        ("mine/gold.yaml", rule),
        ("shared/gold.yaml", segment(&[])),
    ]);
    let around = Definitions::new(Some(root.path().join("shared"))).beside(&root.path().join("mine/vip.yaml"));
    for name in ["vip", "gold"] {
        let document = parse_segment(&segment(&[name])).expect("a document");
        let loaded = around.from_segment(name, document).unwrap_or_else(|error| panic!("{name}: {error}"));
        assert!(loaded.references.contains_key(name));
    }
    assert_eq!(around.segment_names().expect("names"), ["gold", "vip"]);
}

#[test]
fn what_many_ways_lead_to_is_read_once() {
    // Ways from the top to the bottom: two to the power of the layers.
    const LAYERS: usize = 60;
    let mut files = Vec::new();
    for layer in 0..LAYERS {
        let below = format!("left_{}", layer + 1);
        let beside = format!("right_{}", layer + 1);
        for side in ["left", "right"] {
            files.push((format!("shared/{side}_{layer}.yaml"), segment(&[&below, &beside])));
        }
    }
    for side in ["left", "right"] {
        files.push((format!("shared/{side}_{LAYERS}.yaml"), segment(&[])));
    }
    let files: Vec<(&str, String)> = files.iter().map(|(name, content)| (name.as_str(), content.clone())).collect();
    let root = folder(&files);
    let loaded = Definitions::new(Some(root.path().join("shared"))).load("left_0").expect("a segment");
    let [left, right] = ["left_1", "right_1"].map(|name| &loaded.references[name].references["left_2"]);
    assert!(Arc::ptr_eq(left, right));
    assert!(!loaded.holds_on_follows());
}

#[test]
fn a_file_that_cannot_be_read_is_told_where_it_is_asked_for_and_nowhere_else() {
    let root = folder(&[("good.yaml", segment(&[])), ("rule.yaml", "when: {}\n".to_owned())]);
    fs::write(root.path().join("broken.yaml"), b"where: \xff\xfe").expect("a file");
    fs::write(root.path().join("._good.yaml"), b"\x00\x05\x16\x07where: 1").expect("a file");
    let definitions = Definitions::new(Some(root.path().to_path_buf()));
    assert_eq!(definitions.segment_names().expect("names"), ["good"]);
    assert_eq!(definitions.names().expect("names"), ["broken", "good", "rule"]);
    definitions.load_name("good").expect("a segment");
    assert!(matches!(definitions.load_name("broken"), Err(QueryError::DefinitionFile { .. })));
    let asked = ["good", "broken", "rule", "._good", "nobody", "../good"];
    let found = asked.map(|name| definitions.has_segment(name));
    assert_eq!(found, [true, true, false, false, false, false], "{asked:?}");
}

#[test]
fn a_bare_file_name_lies_in_the_current_folder() {
    let around = Definitions::default().beside(Path::new("asked.yaml"));
    assert_eq!(around.folder(), Some(Path::new(".")));
    let refused = around.load_name("no_such_segment").expect_err("no such segment");
    assert_eq!(refused.to_string(), "there is no segment `no_such_segment` in `.`");
}

#[test]
fn a_missing_reference_is_told_with_both_folders_and_what_looks_like_it() {
    let root = folder(&[("mine/asked.yaml", segment(&["payin"])), ("shared/paying.yaml", segment(&[]))]);
    let refused = load_asked(&root).expect_err("a missing reference");
    let said = refused.to_string();
    assert!(said.contains("mine` or `") && said.ends_with("shared`"), "{said}");
    assert_eq!(refused.hint().as_deref(), Some("did you mean `paying`?"));
}

#[test]
fn a_name_is_never_a_path() {
    let root = folder(&[("mine/asked.yaml", segment(&[])), ("shared/paying.yaml", segment(&[]))]);
    let definitions = Definitions::new(Some(root.path().join("shared")));
    let file = root.path().join("mine/asked.yaml").display().to_string();
    definitions.load(&file).expect("a segment");
    for name in [file.as_str(), "../mine/asked", ".."] {
        assert!(matches!(definitions.load_name(name), Err(QueryError::NoDefinition { .. })), "{name}");
    }
}
