//! What the end-to-end tests share: a folder to run the program in, what it printed, and comparison with snapshots.
//!
//! | fixture | shape | for |
//! |---|---|---|
//! | [`corp::corp`] | sample corp, 2,000 customers, 30,000 events, three snapshots | whatever needs follows and tags |
//! | [`corp::write_pull`] | a pull of a smaller corp as Parquet files with their source | runs that can be repeated |
//! | [`demo::toured`] | the demo's two warehouses and what its tour printed | what the demo and README promise |
//! | [`shop::shop`] | a shop in two CSV files of a few lines | what is said about bad input |
//! | [`shop::CsvSource`] | whatever a test lists by itself | the meaning of each row and condition |
//! | `real_data` | Online Retail and AdventureWorks | the figures of real data |
//! | `segments` | a hand-made corp of seven customers | the meaning of each condition |
//! | `taxonomy` | five customers, listed three times | tags over time |
//! | `retention` | a shop read seven times within half a year, and the same after a prune | what is kept and for how long |
//! | `compact` | six customers, read on twelve days, and the same after a compaction | many small files |
//! | `plans` | five customers, of whom four sleep, listed twice | plans while the world moves on |
//! | `import` | a corp of six customers and a shop with one of their ids | what becomes of an uploaded row |
//! | `erase` | a corp of four customers, one of whom is named wherever a customer can be | what an erasure leaves |
//! | [`place::Site`] | an empty folder, or an empty part of a bucket | what has to be the same wherever a warehouse lies |
//! | [`s3::S3`] | an S3 in memory, one for all tests | buckets |
//! | [`faulty::faulty`] | any place behind a store that fails as it is told to | what a store may do to us |
//! | `soak_store` | a pull of a small corp read four times, and the same with a killed run | faults and kills |

pub mod corp;
pub mod demo;
pub mod faulty;
pub mod http;
pub mod outside;
pub mod place;
pub mod python;
pub mod random_segment;
pub mod rewrite;
pub mod s3;
pub mod shop;
pub mod view;

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex, Once, OnceLock, PoisonError};

use serde_json::Value;
use tempfile::TempDir;

/// The program under test.
const PROGRAM: &str = env!("CARGO_BIN_EXE_tagmill");

/// A folder of its own in which the program is run, with its warehouse in `warehouse`, where the program looks first.
pub struct Sandbox {
    root: PathBuf,
    /// What calls find in their environment beside the usual.
    environment: Vec<(&'static str, String)>,
    /// Removes the folder when the test has ended; a lasting sandbox has none.
    _folder: Option<TempDir>,
}

impl Sandbox {
    /// An empty folder.
    pub fn new() -> Self {
        let folder = tempfile::Builder::new().prefix("tagmill-it-").tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        Self { root, environment: Vec::new(), _folder: Some(folder) }
    }

    /// A folder that lasts as long as the tests run, for what is built once.
    pub fn lasting(name: &str) -> Self {
        static SWEPT: Once = Once::new();
        let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
        SWEPT.call_once(|| sweep(base));
        let root = base.join(format!("it-{}", std::process::id())).join(name);
        // A build that failed half way is begun anew.
        let _ = fs::remove_dir_all(&root);
        fs::create_dir_all(&root).unwrap();
        Self { root: root.canonicalize().unwrap(), environment: Vec::new(), _folder: None }
    }

    /// A folder to write to, with what `make` makes of an empty one. It is made once under that name, and copied for
    /// whoever asks.
    pub fn made_once(name: &'static str, make: impl FnOnce(&Self)) -> Self {
        static MADE: Mutex<BTreeMap<&'static str, Arc<OnceLock<Sandbox>>>> = Mutex::new(BTreeMap::new());
        // Held for a moment only, so that nobody waits for a folder of another name.
        let made = MADE.lock().unwrap_or_else(PoisonError::into_inner).entry(name).or_default().clone();
        let made = made.get_or_init(|| {
            let sandbox = Self::lasting(name);
            make(&sandbox);
            sandbox
        });
        Self::copy_of(made)
    }

    /// A folder with the same content, to write to.
    pub fn copy_of(other: &Self) -> Self {
        let copy = Self::new();
        copy_tree(&other.root, &copy.root);
        copy
    }

    /// The same folder; its calls find these variables in their environment, the last of a name.
    pub fn with_environment(mut self, variables: impl IntoIterator<Item = (&'static str, String)>) -> Self {
        self.environment.extend(variables);
        self
    }

    /// The folder itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// A path in the folder.
    pub fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// The folder's warehouse, whether it is there or not.
    pub fn warehouse(&self) -> PathBuf {
        self.path("warehouse")
    }

    /// Writes a file, and makes the folders that it needs.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    /// Reads a text file.
    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    /// A call of the program, in this folder and untouched by the settings of whoever runs the tests.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = self.process(PROGRAM);
        command.args(args);
        command
    }

    /// Runs a script of bash in this folder to its end. It finds the program under its own name.
    pub fn shell(&self, script: &str) -> Answer {
        let beside = Path::new(PROGRAM).parent().unwrap().to_path_buf();
        let known = std::env::var_os("PATH").unwrap_or_default();
        let folders = std::iter::once(beside).chain(std::env::split_paths(&known));
        let mut command = self.process("bash");
        command.args(["-c", script]).env("PATH", std::env::join_paths(folders).unwrap());
        Answer::of(command)
    }

    fn process(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.root).stdin(Stdio::null());
        for variable in ["TAGMILL_WAREHOUSE", "TAGMILL_STATE", "TAGMILL_LOG", "RUST_BACKTRACE", "LOGNAME"] {
            command.env_remove(variable);
        }
        for (variable, _) in std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("AWS_")) {
            command.env_remove(variable);
        }
        command.env("USER", "tester").env("NO_COLOR", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command
    }

    /// Runs the program to its end.
    pub fn run(&self, args: &[&str]) -> Answer {
        Answer::of(self.command(args))
    }

    /// Runs the program, which has to succeed.
    pub fn ok(&self, args: &[&str]) -> Answer {
        let answer = self.run(args);
        assert_eq!(answer.code, Some(0), "{args:?}\n{answer:?}");
        answer
    }

    /// Runs the program, which has to end with that exit code.
    pub fn fails(&self, code: i32, args: &[&str]) -> Answer {
        let answer = self.run(args);
        assert_eq!(answer.code, Some(code), "{args:?}\n{answer:?}");
        answer
    }

    /// Runs the program, which has to succeed and to print JSON.
    pub fn json(&self, args: &[&str]) -> Value {
        let answer = self.ok(args);
        serde_json::from_str(&answer.stdout).unwrap_or_else(|error| panic!("{args:?}: {error}\n{answer:?}"))
    }

    /// Asks the warehouse in SQL; a row is an object.
    pub fn sql(&self, sql: &str) -> Vec<Value> {
        self.json(&["sql", sql, "--format", "json"]).as_array().unwrap().clone()
    }

    /// The answer to a question in SQL as one text for each row.
    pub fn told(&self, sql: &str) -> Vec<String> {
        let row = |row: Value| {
            let cell = |cell: &Value| cell.as_str().map_or_else(|| cell.to_string(), str::to_owned);
            row.as_object().unwrap().values().map(cell).collect::<Vec<String>>().join(" ")
        };
        self.sql(sql).into_iter().map(row).collect()
    }

    /// The ids of the published snapshots.
    pub fn snapshot_ids(&self) -> Vec<i64> {
        let rows = self.json(&["snapshot", "list", "--format", "json"]);
        rows.as_array().unwrap().iter().map(|row| row["snapshot_id"].as_i64().unwrap()).collect()
    }

    /// The row counts that the ledger says of a snapshot, by table.
    pub fn row_counts(&self, snapshot_id: i64) -> BTreeMap<String, u64> {
        let row = self.json(&["snapshot", "show", &snapshot_id.to_string(), "--format", "json"]);
        serde_json::from_value(row["row_counts"].clone()).unwrap()
    }

    /// A text without what differs from machine to machine.
    pub fn redacted(&self, text: &str) -> String {
        let root = self.root.display().to_string();
        text.replace(&root, "[DIR]").replace(PROGRAM, "tagmill")
    }

    /// Compares what a call prints, and its exit code, with the snapshot of that name.
    pub fn check(&self, name: &str, args: &[&str]) -> Answer {
        let answer = self.run(args);
        check_snapshot(name, &self.transcript(args, &answer));
        answer
    }

    /// A call as a person sees it.
    fn transcript(&self, args: &[&str], answer: &Answer) -> String {
        let words: Vec<String> = args.iter().map(|word| shell_word(word)).collect();
        let mut text = format!("$ tagmill {}\n", words.join(" "));
        for (stream, printed) in [("", &answer.stdout), ("stderr | ", &answer.stderr)] {
            for line in printed.lines() {
                text.push_str(&format!("{stream}{}\n", line.trim_end()));
            }
        }
        text.push_str(&format!("exit code {}\n", answer.code.map_or("none".to_owned(), |code| code.to_string())));
        self.redacted(&text)
    }
}

/// What a process printed and how it ended.
#[derive(Debug, Clone)]
pub struct Answer {
    /// The exit code; none where a signal ended it.
    pub code: Option<i32>,
    /// What it printed as data.
    pub stdout: String,
    /// What it said.
    pub stderr: String,
}

impl Answer {
    /// Runs a command to its end.
    pub fn of(mut command: Command) -> Self {
        let output = command.output().unwrap_or_else(|error| panic!("could not run {command:?}: {error}"));
        Self {
            code: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Checks that words were said on stderr.
    pub fn says(&self, words: &str) -> &Self {
        assert!(self.stderr.contains(words), "`{words}` was not said:\n{self:?}");
        self
    }
}

/// Compares a text with the snapshot of that name in `tests/snapshots`.
pub fn check_snapshot(name: &str, text: &str) {
    check_snapshot_without(name, text, &[]);
}

/// Compares a text with a snapshot, after what varies (as regular expressions) was replaced.
pub fn check_snapshot_without(name: &str, text: &str, varying: &[(&str, &str)]) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    for (pattern, replacement) in varying {
        settings.add_filter(pattern, *replacement);
    }
    settings.bind(|| insta::assert_snapshot!(name, text));
}

/// Every file below a folder with its size, by path.
pub fn files_below(folder: &Path) -> BTreeMap<PathBuf, u64> {
    let mut files = BTreeMap::new();
    let mut folders = vec![folder.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let entry = entry.unwrap();
            let found = entry.metadata().unwrap();
            if found.is_dir() {
                folders.push(entry.path());
            } else {
                files.insert(entry.path(), found.len());
            }
        }
    }
    files
}

/// Copies every file below a folder to the same place below another. Files stay as old as they are: what a killed run
/// left is told from what a run writes by its age.
pub fn copy_tree(from: &Path, to: &Path) {
    for file in files_below(from).keys() {
        let target = to.join(file.strip_prefix(from).unwrap());
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::copy(file, &target).unwrap();
        let written_at = fs::metadata(file).unwrap().modified().unwrap();
        fs::File::options().write(true).open(&target).unwrap().set_modified(written_at).unwrap();
    }
}

/// Removes what earlier test runs left, because nothing that is built once is ever dropped.
fn sweep(base: &Path) {
    let processes = Path::new("/proc");
    if !processes.join("self").exists() {
        return;
    }
    for entry in fs::read_dir(base).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        if let Some(process) = name.strip_prefix("it-")
            && !processes.join(process).exists()
        {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
}

fn shell_word(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=,".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) { word.to_owned() } else { format!("'{word}'") }
}
