//! The Python scripts of `tests/python`: readers and an oracle that share no code with the program.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use super::Answer;

/// Runs a script to its end.
pub fn run_script(script: &str, args: &[&str]) -> Answer {
    let mut command = Command::new(interpreter());
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python").join(script);
    // Nothing is written beside the scripts.
    command.arg("-B").arg(path).args(args).stdin(Stdio::null());
    Answer::of(command)
}

/// Runs a script, which has to succeed.
pub fn script_ok(script: &str, args: &[&str]) -> Answer {
    let answer = run_script(script, args);
    assert_eq!(answer.code, Some(0), "{script} {args:?}\n{answer:?}");
    answer
}

/// A Python that has the packages of `tests/python/requirements.txt`. Without one these tests fail: an oracle that is
/// not asked agrees with everything.
pub fn interpreter() -> &'static Path {
    static INTERPRETER: OnceLock<PathBuf> = OnceLock::new();
    INTERPRETER.get_or_init(|| {
        let beside = Path::new(env!("CARGO_MANIFEST_DIR")).join(".venv/bin/python");
        let python = std::env::var_os("TAGMILL_PYTHON").map_or(beside, PathBuf::from);
        let tried = Command::new(&python).args(["-c", "import deltalake, duckdb, moto, nbclient, pyarrow"]).output();
        let complaint = match &tried {
            Ok(output) if output.status.success() => return python,
            Ok(output) => String::from_utf8_lossy(&output.stderr).trim().to_owned(),
            Err(error) => error.to_string(),
        };
        panic!(
            "`{}` is no Python with the packages of tests/python/requirements.txt: {complaint}\n\
             hint: `make bootstrap` makes one in .venv; TAGMILL_PYTHON names another",
            python.display()
        );
    })
}
