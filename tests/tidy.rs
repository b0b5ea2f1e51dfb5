//! The rules of the house as tests: who may import whom, where the big dependencies live, what a source file may hold.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use serde_json::Value;

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
/// The crates of the house by their folder, the root package last.
const CRATES: [&str; 7] = ["schemas", "store", "ingest", "query", "activate", "api", ""];
/// A file that is longer wants to be two.
const MAX_LINES: usize = 400;

/// What cargo knows of the house and of all it depends on, on the platform we build for.
fn metadata() -> &'static Value {
    static METADATA: OnceLock<Value> = OnceLock::new();
    METADATA.get_or_init(|| {
        let platform = "x86_64-unknown-linux-gnu";
        let args = ["metadata", "--offline", "--locked", "--format-version", "1", "--filter-platform", platform];
        let output = Command::new(env!("CARGO")).args(args).current_dir(ROOT).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    })
}

fn text<'v>(value: &'v Value, key: &str) -> &'v str {
    value[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {value}"))
}

/// The packages that are built: ours and those we depend on.
fn packages() -> Vec<&'static Value> {
    let built: BTreeSet<&str> =
        metadata()["resolve"]["nodes"].as_array().unwrap().iter().map(|node| text(node, "id")).collect();
    let all = metadata()["packages"].as_array().unwrap().iter();
    all.filter(|package| built.contains(text(package, "id"))).collect()
}

/// By crate of ours (without its prefix; the binary is `src`), the packages that it imports outside tests.
fn imports() -> BTreeMap<String, BTreeSet<String>> {
    let ours: BTreeSet<&str> =
        metadata()["workspace_members"].as_array().unwrap().iter().map(|id| id.as_str().unwrap()).collect();
    let members = packages().into_iter().filter(|package| ours.contains(text(package, "id")));
    members
        .map(|package| {
            let dependencies = package["dependencies"].as_array().unwrap().iter();
            let normal = dependencies.filter(|dependency| dependency["kind"].is_null());
            (room(text(package, "name")), normal.map(|dependency| room(text(dependency, "name"))).collect())
        })
        .collect()
}

/// `tagmill-store` is `store`, the root package is `src`, others are themselves.
fn room(package: &str) -> String {
    match package {
        "tagmill" => "src".to_owned(),
        other => other.strip_prefix("tagmill-").unwrap_or(other).to_owned(),
    }
}

#[test]
fn dependencies_between_crates_point_one_way() {
    let imports = imports();
    let rooms: BTreeSet<String> = imports.keys().cloned().collect();
    let graph: Vec<String> = imports
        .iter()
        .map(|(room, used)| {
            let used: Vec<&str> = used.intersection(&rooms).map(String::as_str).collect();
            format!("{room} → {}", used.join(", "))
        })
        .collect();
    let expected = [
        "activate → query, schemas, store",
        "api → query, schemas, store",
        "ingest → schemas, store",
        "query → schemas, store",
        "schemas → ",
        "src → activate, api, ingest, query, schemas, store",
        "store → schemas",
    ];
    assert_eq!(graph, expected);
}

/// Invariant 2 is among them: Delta and SQLite have one home.
#[test]
fn every_big_dependency_has_its_home() {
    let imports = imports();
    let check = |package: &str, homes: &[&str]| {
        let found: Vec<&str> =
            imports.iter().filter(|(_, used)| used.contains(package)).map(|(room, _)| room.as_str()).collect();
        assert_eq!(found, homes, "{package}");
    };
    check("deltalake-core", &["store"]);
    check("object_store", &["store"]);
    check("rusqlite", &["store"]);
    check("datafusion", &["ingest", "query", "store"]);
    check("roaring", &["query"]);
    check("maud", &["activate"]);
    check("calamine", &["activate"]);
    check("flate2", &["ingest"]);
    check("csv-core", &["ingest"]);
    check("saphyr-parser", &["schemas"]);
    check("strsim", &["schemas"]);
    check("axum", &["api"]);
    check("utoipa", &["api"]);
    check("tower-http", &["api"]);
    check("clap", &["src"]);
    check("anyhow", &["src"]);
    check("indicatif", &["src"]);
    check("comfy-table", &["src"]);
    check("tracing-subscriber", &["src"]);
}

/// Invariant 1.
#[test]
fn schemas_performs_no_input_or_output() {
    let engines = ["arrow", "datafusion", "object_store", "tokio", "futures", "reqwest", "rusqlite", "tempfile"];
    let imports = imports();
    let used = &imports["schemas"];
    assert!(engines.iter().all(|engine| !used.contains(*engine)), "{used:?}");
    for word in ["std::fs", "std::net", "std::process", "std::env", "async fn", "SystemTime"] {
        assert_eq!(files_saying("schemas/src", word), Vec::<PathBuf>::new(), "{word}");
    }
}

/// Everything else is passed a clock, so that an answer does not depend on when it is asked.
#[test]
fn the_machines_clock_has_one_home() {
    let of_the_machine = ["Utc::now", "Local::now", "SystemTime::now"];
    let folders = CRATES.map(|folder| Path::new(folder).join("src"));
    let homes: BTreeSet<PathBuf> = folders
        .iter()
        .flat_map(|folder| of_the_machine.iter().flat_map(move |word| files_saying(folder, word)))
        .collect();
    assert_eq!(homes, BTreeSet::from([PathBuf::from("schemas/src/clock.rs")]));
}

/// Invariant 3.
#[test]
fn query_takes_no_writers_lock_and_publishes_nothing() {
    for word in [".begin()", "open_or_create", ".publish(", "RunSummary", "Stager", "write_batches"] {
        assert_eq!(files_saying("query/src", word), Vec::<PathBuf>::new(), "{word}");
    }
}

/// Files of a folder whose code outside tests says a word.
fn files_saying(folder: impl AsRef<Path>, word: &str) -> Vec<PathBuf> {
    let is_test = |path: &Path| path.ends_with("tests.rs") || path.components().any(|part| part.as_os_str() == "tests");
    let says = |path: &Path| {
        let code = fs::read_to_string(Path::new(ROOT).join(path)).unwrap();
        let outside_tests = code.split("#[cfg(test)]\nmod tests {").next().unwrap();
        outside_tests.lines().any(|line| !line.trim_start().starts_with("//") && line.contains(word))
    };
    let files = files(folder, &["rs"]);
    files.into_iter().filter(|path| !is_test(path) && says(path)).collect()
}

/// Files below a folder of the house with one of these endings, relative to its root, sorted.
fn files(folder: impl AsRef<Path>, endings: &[&str]) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![Path::new(ROOT).join(folder)];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            if path.is_dir() {
                if !is_ignored(&name) {
                    folders.push(path);
                }
            } else if endings.iter().any(|ending| path.extension().is_some_and(|found| found == *ending)) {
                found.push(path.strip_prefix(ROOT).unwrap().to_path_buf());
            }
        }
    }
    found.sort();
    found
}

/// Whether a folder of that name is no part of the repository.
fn is_ignored(name: &str) -> bool {
    static IGNORED: OnceLock<String> = OnceLock::new();
    let ignored = IGNORED.get_or_init(|| fs::read_to_string(Path::new(ROOT).join(".gitignore")).unwrap());
    name == ".git" || ignored.lines().any(|line| line.ends_with('/') && line.trim_matches('/') == name)
}

/// They pass values to each other, and a second version of one would refuse the values of the other.
#[test]
fn the_engine_is_of_one_generation() {
    let mut versions: BTreeMap<&str, BTreeSet<&str>> = BTreeMap::new();
    for package in packages() {
        versions.entry(text(package, "name")).or_default().insert(text(package, "version"));
    }
    let families = ["arrow", "parquet", "datafusion", "object_store", "deltalake", "delta_kernel"];
    for (name, versions) in versions {
        let is_engine = families.iter().any(|family| name == *family || name.starts_with(&format!("{family}-")));
        assert!(!is_engine || versions.len() == 1, "{name} is here in several versions: {versions:?}");
    }
}

#[test]
fn every_dependency_comes_from_the_registry_under_a_licence_that_we_may_pass_on() {
    let allowed = allowed_licences();
    for package in packages().into_iter().filter(|package| !package["source"].is_null()) {
        let name = text(package, "name");
        assert_eq!(text(package, "source"), "registry+https://github.com/rust-lang/crates.io-index", "{name}");
        let licence = text(package, "license");
        // The exception of deny.toml, with its reason there.
        let is_excepted = (name, licence) == ("option-ext", "MPL-2.0");
        assert!(is_excepted || is_allowed(licence, &allowed), "{name} is under {licence}");
    }
}

#[test]
fn no_dependency_takes_whatever_version_there_is() {
    for package in packages() {
        for dependency in package["dependencies"].as_array().unwrap() {
            // What lies beside us has no choice of versions.
            let takes_any = dependency["path"].is_null() && text(dependency, "req") == "*";
            assert!(!takes_any, "{} takes any version of {}", text(package, "name"), text(dependency, "name"));
        }
    }
}

/// The licences that `deny.toml` allows.
fn allowed_licences() -> BTreeSet<String> {
    let deny = fs::read_to_string(Path::new(ROOT).join("deny.toml")).unwrap();
    let (_, section) = deny.split_once("[licenses]").unwrap();
    let (_, list) = section.split_once("allow = [").unwrap();
    let (list, _) = list.split_once(']').unwrap();
    let allowed: BTreeSet<String> = list.split('"').skip(1).step_by(2).map(str::to_owned).collect();
    assert!(allowed.contains("Apache-2.0"), "{allowed:?}");
    allowed
}

/// Whether an SPDX expression leaves a choice within the allowed licences.
fn is_allowed(expression: &str, allowed: &BTreeSet<String>) -> bool {
    let spaced = expression.replace('/', " OR ").replace('(', " ( ").replace(')', " ) ");
    let words: Vec<&str> = spaced.split_whitespace().collect();
    let (verdict, rest) = any_of(&words, allowed);
    assert!(rest.is_empty(), "`{expression}` cannot be read");
    verdict
}

/// Reads `a AND b OR c` from the front; `AND` binds closer.
fn any_of<'w>(words: &'w [&'w str], allowed: &BTreeSet<String>) -> (bool, &'w [&'w str]) {
    let (mut verdict, mut rest) = all_of(words, allowed);
    while let ["OR", others @ ..] = rest {
        let (other, after) = all_of(others, allowed);
        (verdict, rest) = (verdict | other, after);
    }
    (verdict, rest)
}

fn all_of<'w>(words: &'w [&'w str], allowed: &BTreeSet<String>) -> (bool, &'w [&'w str]) {
    let (mut verdict, mut rest) = one_of(words, allowed);
    while let ["AND", others @ ..] = rest {
        let (other, after) = one_of(others, allowed);
        (verdict, rest) = (verdict & other, after);
    }
    (verdict, rest)
}

fn one_of<'w>(words: &'w [&'w str], allowed: &BTreeSet<String>) -> (bool, &'w [&'w str]) {
    match words {
        ["(", inner @ ..] => {
            let (verdict, rest) = any_of(inner, allowed);
            assert_eq!(rest.first(), Some(&")"), "a bracket is not closed in {words:?}");
            (verdict, &rest[1..])
        }
        [licence, "WITH", exception, rest @ ..] => (allowed.contains(&format!("{licence} WITH {exception}")), rest),
        [licence, rest @ ..] => (allowed.contains(*licence), rest),
        [] => (false, words),
    }
}

#[test]
fn a_licence_may_be_chosen_but_not_left_out() {
    let allowed = BTreeSet::from(["MIT".to_owned(), "Zlib".to_owned(), "Apache-2.0 WITH LLVM-exception".to_owned()]);
    for fine in ["MIT", "GPL-3.0/MIT", "(MIT OR GPL-3.0) AND Zlib", "GPL-3.0 OR Apache-2.0 WITH LLVM-exception"] {
        assert!(is_allowed(fine, &allowed), "{fine}");
    }
    for wrong in ["GPL-3.0", "MIT AND GPL-3.0", "(MIT AND GPL-3.0) OR Apache-2.0", "Apache-2.0"] {
        assert!(!is_allowed(wrong, &allowed), "{wrong}");
    }
}

#[test]
fn no_source_file_is_longer_than_it_can_be_read() {
    for path in files("", &["rs"]) {
        let lines = fs::read_to_string(Path::new(ROOT).join(&path)).unwrap().lines().count();
        assert!(lines <= MAX_LINES, "{} has {lines} lines", path.display());
    }
}

#[test]
fn every_crate_is_documented_by_its_readme_and_behind_the_lint_wall() {
    for folder in CRATES {
        let read = |name: &str| fs::read_to_string(Path::new(ROOT).join(folder).join(name)).unwrap();
        let manifest = read("Cargo.toml");
        assert!(manifest.contains("\n[lints]\nworkspace = true\n"), "{folder}/Cargo.toml");
        assert!(!read("README.md").trim().is_empty(), "{folder}/README.md");
        if !folder.is_empty() {
            assert!(
                read("src/lib.rs").starts_with("#![doc = include_str!(\"../README.md\")]\n"),
                "{folder}/src/lib.rs"
            );
            // Versions are set once, at the root.
            let dependencies = manifest.split("dependencies]\n").skip(1).flat_map(|section| {
                section.lines().take_while(|line| !line.is_empty()).filter(|line| !line.starts_with('#'))
            });
            for line in dependencies {
                assert!(line.contains("workspace = true"), "{folder}/Cargo.toml: {line}");
            }
        }
    }
}

#[test]
fn the_house_has_the_rooms_it_should_have() {
    let found: BTreeSet<String> = fs::read_dir(ROOT)
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.path().is_dir())
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(|name| !is_ignored(name))
        .collect();
    let rooms = [".ci", "activate", "api", "ingest", "notebooks", "query", "schemas", "src", "store", "tests"];
    assert_eq!(found, BTreeSet::from(rooms.map(str::to_owned)));
}

#[test]
fn nothing_is_left_to_do_and_no_file_knows_the_machine_it_was_written_on() {
    // Put together here, so that this file does not hold them.
    let left = ["todo!", "unimplemented!", "dbg!"].map(|name| format!("{name}("));
    let marks = ["TO", "FIX"].into_iter().zip(["DO", "ME"]).map(|(head, tail)| format!("{head}{tail}"));
    let machine = ["work", "root", "home"].map(|folder| format!("/{folder}/"));
    let unfinished = ["@", "@"].concat();
    let wrong: Vec<String> = left.into_iter().chain(marks).chain(machine).chain([unfinished]).collect();
    let endings = ["rs", "md", "toml", "sql", "sh", "py", "yaml", "yml", "json", "ipynb", "css", "snap"];
    for path in files("", &endings) {
        let content = fs::read_to_string(Path::new(ROOT).join(&path)).unwrap();
        for word in &wrong {
            assert!(!content.contains(word.as_str()), "{} says `{word}`", path.display());
        }
    }
}

#[test]
fn the_tests_that_the_architecture_cites_are_where_it_says() {
    let architecture = fs::read_to_string(Path::new(ROOT).join("ARCHITECTURE.md")).unwrap();
    let spans = architecture.split('`').skip(1).step_by(2);
    let is_test = |span: &str| span.starts_with("it::") || (span.starts_with("tagmill_") && span.contains("::tests::"));
    let cited: Vec<&str> = spans.filter(|span| is_test(span)).collect();
    assert!(!cited.is_empty());
    for span in cited {
        let (module, name) = span.rsplit_once("::").unwrap();
        let holds = |path: &PathBuf| fs::read_to_string(path).is_ok_and(|code| code.contains(&format!("fn {name}(")));
        assert!(files_of(module).iter().any(holds), "`{span}` is cited and not there");
    }
}

/// The files that a module of tests may be: one of its own, or that of what it tests.
fn files_of(module: &str) -> Vec<PathBuf> {
    let (package, path) = module.split_once("::").unwrap();
    let path = path.replace("::", "/");
    let Some(folder) = package.strip_prefix("tagmill_") else {
        return vec![Path::new(ROOT).join("tests").join(format!("{path}.rs"))];
    };
    let tested = path.trim_end_matches("/tests");
    let files = [format!("{path}.rs"), format!("{tested}.rs"), format!("{tested}/mod.rs")];
    files.iter().map(|file| Path::new(ROOT).join(folder).join("src").join(file)).collect()
}

#[test]
fn no_snapshot_is_an_orphan() {
    let code: String =
        files("tests", &["rs"]).iter().map(|path| fs::read_to_string(Path::new(ROOT).join(path)).unwrap()).collect();
    for path in files("tests", &["snap"]) {
        let name = path.file_stem().unwrap().to_string_lossy().into_owned();
        // A quarantine's two snapshots are named after what is wrong.
        let stem = name.strip_prefix("error_").unwrap_or(&name).trim_end_matches("_kept");
        let is_named = code.contains(&format!("\"{name}\"")) || code.contains(&format!("\"{stem}\""));
        assert!(is_named, "no test compares anything with {}", path.display());
    }
}
