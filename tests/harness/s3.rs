//! An S3 for the tests: moto in a process of its own, in memory, on a free port of this machine.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use object_store::ObjectStore;
use object_store::aws::AmazonS3Builder;

use super::python::interpreter;

/// The one key that the server lets in.
const ACCESS_KEY_ID: &str = "tagmill-tests";
/// What requests are signed with. The server does not look at it.
const SECRET: &str = "secret";
const REGION: &str = "us-east-1";

/// The server, started by whoever asks for it first. It ends when the tests do, because its stdin is closed then.
pub struct S3 {
    endpoint: String,
    process: Mutex<Process>,
}

struct Process {
    stdin: ChildStdin,
    stdout: BufReader<ChildStdout>,
    _child: Child,
}

impl S3 {
    /// The server of all tests.
    pub fn get() -> &'static Self {
        static SERVER: OnceLock<S3> = OnceLock::new();
        SERVER.get_or_init(Self::start)
    }

    fn start() -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/harness/s3_server.py");
        let mut command = Command::new(interpreter());
        command.arg("-B").arg(script).arg(ACCESS_KEY_ID).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let (stdin, stdout) = (child.stdin.take().unwrap(), child.stdout.take().unwrap());
        let mut process = Process { stdin, stdout: BufReader::new(stdout), _child: child };
        let port = process.next_line();
        Self { endpoint: format!("http://127.0.0.1:{port}"), process: Mutex::new(process) }
    }

    /// Makes a bucket, and returns its name.
    pub fn new_bucket(&self) -> String {
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let name = format!("bucket-{}", MADE.fetch_add(1, Ordering::Relaxed));
        let mut process = self.process.lock().unwrap_or_else(PoisonError::into_inner);
        writeln!(process.stdin, "{name}").unwrap();
        assert_eq!(process.next_line(), name);
        name
    }

    /// What a process has to find in its environment to open a bucket.
    pub fn environment(&self) -> Vec<(&'static str, String)> {
        [
            ("AWS_ACCESS_KEY_ID", ACCESS_KEY_ID),
            ("AWS_SECRET_ACCESS_KEY", SECRET),
            ("AWS_REGION", REGION),
            ("AWS_ENDPOINT", self.endpoint.as_str()),
            ("AWS_ALLOW_HTTP", "true"),
            ("NO_PROXY", "127.0.0.1"),
        ]
        .into_iter()
        .map(|(name, value)| (name, value.to_owned()))
        .collect()
    }

    /// A bucket as the tests see it. Its connections belong to the runtime in which it is first asked.
    pub fn store(&self, bucket: &str) -> Arc<dyn ObjectStore> {
        let store = AmazonS3Builder::new()
            .with_endpoint(&self.endpoint)
            .with_allow_http(true)
            .with_region(REGION)
            .with_access_key_id(ACCESS_KEY_ID)
            .with_secret_access_key(SECRET)
            .with_bucket_name(bucket)
            .build()
            .unwrap();
        Arc::new(store)
    }
}

impl Process {
    fn next_line(&mut self) -> String {
        let mut line = String::new();
        self.stdout.read_line(&mut line).unwrap();
        assert!(line.ends_with('\n'), "the S3 of the tests has ended; what it said is above");
        line.trim_end().to_owned()
    }
}
