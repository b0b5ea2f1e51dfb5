//! A served warehouse, and a client of one page: enough of HTTP/1.1 to read every answer to its end.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::Duration;

use serde_json::Value;

use super::Sandbox;

/// How long a server may take until it says something.
const PATIENCE: Duration = Duration::from_secs(60);

/// `tagmill serve`, or the demo at its end, on a free port until it is dropped.
pub struct Server {
    child: Child,
    address: String,
    said: Receiver<String>,
}

/// An answer.
#[derive(Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// The body as text.
    pub body: String,
    headers: Vec<(String, String)>,
}

impl Server {
    /// Serves the warehouse of a sandbox.
    pub fn start(sandbox: &Sandbox, options: &[&str]) -> Self {
        let mut command = sandbox.command(&["serve", "--listen", "127.0.0.1:0"]);
        command.args(options);
        Self::run(command, Stdio::null())
    }

    /// Runs a command until it says where it listens; what it prints goes to `stdout`.
    pub fn run(mut command: Command, stdout: Stdio) -> Self {
        command.stdout(stdout).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        let (sender, said) = mpsc::channel();
        // The thread reads on until the server ends, so that the server never waits for a reader.
        std::thread::spawn(move || stderr.lines().map_while(Result::ok).for_each(|line| drop(sender.send(line))));
        // Made at once, so that whatever stops the test ends the process too.
        let mut server = Self { child, address: String::new(), said };
        let mut told = Vec::new();
        while server.address.is_empty() {
            let Ok(line) = server.said.recv_timeout(PATIENCE) else {
                panic!("the server did not say where it listens: {told:?}");
            };
            if let Some((_, after)) = line.split_once("http://") {
                // The demo goes on behind a semicolon.
                server.address = after.split([' ', ';']).next().unwrap().to_owned();
            }
            told.push(line);
        }
        server
    }

    /// The next line that it says on stderr.
    pub fn next_line(&self) -> String {
        self.said.recv_timeout(PATIENCE).expect("the server says something more")
    }

    /// Where it is served.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Asks for a path, which may hold Chinese as it is.
    pub fn get(&self, path: &str) -> Response {
        self.get_with(path, &[])
    }

    /// Asks for a path with further headers; a `host` takes the place of the usual one.
    pub fn get_with(&self, path: &str, headers: &[(&str, &str)]) -> Response {
        self.exchange("GET", path, headers, "")
    }

    /// Sends JSON to a path.
    pub fn post(&self, path: &str, body: &Value, headers: &[(&str, &str)]) -> Response {
        let headers: Vec<(&str, &str)> =
            [("content-type", "application/json")].into_iter().chain(headers.iter().copied()).collect();
        self.exchange("POST", path, &headers, &body.to_string())
    }

    fn exchange(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &str) -> Response {
        let mut request = format!("{method} {} HTTP/1.1\r\nconnection: close\r\n", encoded(path));
        if !headers.iter().any(|(name, _)| *name == "host") {
            request.push_str(&format!("host: {}\r\n", self.address));
        }
        for (name, value) in headers {
            request.push_str(&format!("{name}: {value}\r\n"));
        }
        request.push_str(&format!("content-length: {}\r\n\r\n{body}", body.len()));
        let mut stream = TcpStream::connect(&self.address).unwrap();
        stream.write_all(request.as_bytes()).unwrap();
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).unwrap();
        Response::parse(&answer)
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Response {
    fn parse(answer: &[u8]) -> Self {
        let end = answer.windows(4).position(|four| four == b"\r\n\r\n").expect("a head");
        let head = String::from_utf8(answer[..end].to_vec()).unwrap();
        let mut lines = head.lines();
        let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
        let headers: Vec<(String, String)> = lines
            .filter_map(|line| line.split_once(':'))
            .map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()))
            .collect();
        let body = &answer[end + 4..];
        let is_chunked = headers.iter().any(|(name, value)| name == "transfer-encoding" && value == "chunked");
        let body = if is_chunked { unchunked(body) } else { body.to_vec() };
        Self { status, headers, body: String::from_utf8(body).unwrap() }
    }

    /// A header's value.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The body as JSON; the status has to be that one.
    pub fn json(&self, status: u16) -> Value {
        assert_eq!(self.status, status, "{self:?}");
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Puts the chunks of a body together (RFC 9112, section 7.1).
fn unchunked(mut body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    loop {
        let end = body.windows(2).position(|two| two == b"\r\n").expect("a chunk's size");
        let size = usize::from_str_radix(std::str::from_utf8(&body[..end]).unwrap(), 16).unwrap();
        if size == 0 {
            return whole;
        }
        whole.extend_from_slice(&body[end + 2..end + 2 + size]);
        body = &body[end + 2 + size + 2..];
    }
}

/// A path and its query with everything but ASCII percent-encoded.
fn encoded(path: &str) -> String {
    let shown = |byte: u8| if byte.is_ascii_graphic() { char::from(byte).to_string() } else { format!("%{byte:02X}") };
    path.bytes().map(shown).collect()
}
