//! Binds, serves and stops; and wraps the routes in what every request has to pass.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::{HeaderValue, StatusCode};
use axum::middleware::{from_fn, map_response};
use axum::response::Response;
use tagmill_query::{Definitions, Engine};
use tokio::net::TcpListener;
use tower_http::catch_panic::CatchPanicLayer;
use tower_http::timeout::TimeoutLayer;

use crate::error::ApiError;
use crate::extract::BODY_LIMIT_BYTES;
use crate::guard::refuse_strangers;
use crate::problem::{after_panic, describe_failures};
use crate::routes::{self, App};

/// How the server is reached.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerConfig {
    /// The address to listen on, of the loopback interface; port 0 takes any free one. Default: 127.0.0.1:8080.
    pub listen: SocketAddr,
}

impl Default for ServerConfig {
    fn default() -> Self {
        Self { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 8080)) }
    }
}

/// How long a request may take until the first byte of its answer. It is above the engine's own time limit, whose
/// message says more than this one's.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(10 * 60);

/// What every answer tells a browser: that it is data and no page, kept by no cache, and of no use to other sites.
const SECURITY_HEADERS: [(&str, &str); 5] = [
    ("x-content-type-options", "nosniff"),
    ("cache-control", "private, no-cache"),
    ("content-security-policy", "default-src 'none'; frame-ancestors 'none'"),
    ("referrer-policy", "no-referrer"),
    ("cross-origin-resource-policy", "same-origin"),
];

/// Binds the address to listen on.
///
/// Errors: `Refused` where the address is not of the loopback interface, `Unavailable` where it cannot be bound.
pub async fn bind(config: &ServerConfig) -> Result<TcpListener, ApiError> {
    let address = config.listen;
    refuse_outside(address)?;
    TcpListener::bind(address).await.map_err(|source| ApiError::Listen { address, source })
}

/// Serves the API until `shutdown` completes; requests that are under way are then answered first.
///
/// Errors: `Refused` where the listener is not of the loopback interface, `Unavailable` where the socket fails.
pub async fn serve<F>(
    listener: TcpListener,
    engine: Engine,
    definitions: Definitions,
    shutdown: F,
) -> Result<(), ApiError>
where
    F: Future<Output = ()> + Send + 'static,
{
    let address = listener.local_addr().map_err(|source| ApiError::Serve { source })?;
    refuse_outside(address)?;
    axum::serve(listener, router(engine, definitions))
        .with_graceful_shutdown(shutdown)
        .await
        .map_err(|source| ApiError::Serve { source })
}

/// The whole API as a service, with its guard: what [`serve`] serves.
///
/// Private columns are masked in every answer. Handlers only await the engine, which computes on its own runtime.
pub fn router(engine: Engine, definitions: Definitions) -> Router {
    protect(routes::router(App::new(engine, definitions)))
}

/// Wraps routes in what every request has to pass; the last layer is the outermost.
fn protect(routes: Router) -> Router {
    routes
        .layer(DefaultBodyLimit::max(BODY_LIMIT_BYTES))
        .layer(TimeoutLayer::with_status_code(StatusCode::GATEWAY_TIMEOUT, REQUEST_TIMEOUT))
        .layer(CatchPanicLayer::custom(after_panic))
        .layer(from_fn(refuse_strangers))
        .layer(from_fn(describe_failures))
        .layer(map_response(add_security_headers))
}

async fn add_security_headers(mut response: Response) -> Response {
    for (name, value) in SECURITY_HEADERS {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    response
}

fn refuse_outside(address: SocketAddr) -> Result<(), ApiError> {
    if address.ip().to_canonical().is_loopback() { Ok(()) } else { Err(ApiError::NotLoopback { address }) }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::TcpStream;

    use axum::routing::{get, post};
    use serde_json::Value;

    use super::*;
    use crate::extract::InBody;

    #[derive(serde::Deserialize)]
    struct Greeting {
        #[allow(dead_code)]
        word: String,
    }

    async fn greet(InBody(_): InBody<Greeting>) -> &'static str {
        "hello"
    }

    async fn stumble() -> &'static str {
        panic!("a secret")
    }

    /// Sends one request, head and body as given, to a server with two routes; gives the status, head and body back.
    async fn exchange(request: String) -> (u16, String, String) {
        let routes = Router::new().route("/greet", post(greet)).route("/stumble", get(stumble));
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let server = tokio::spawn(async move { axum::serve(listener, protect(routes)).await });
        let answer = tokio::task::spawn_blocking(move || {
            let mut stream = TcpStream::connect(address).expect("a connection");
            stream.write_all(request.as_bytes()).expect("the request is sent");
            let mut answer = String::new();
            stream.read_to_string(&mut answer).expect("an answer in UTF-8");
            answer
        })
        .await
        .expect("an answer");
        server.abort();
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        (status, head.to_lowercase(), body.to_owned())
    }

    fn posting(body: &str) -> String {
        let length = body.len();
        format!(
            "POST /greet HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\ncontent-type: application/json\r\n\
             content-length: {length}\r\n\r\n{body}"
        )
    }

    fn getting(path: &str, host: &str) -> String {
        format!("GET {path} HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n")
    }

    async fn check(request: String, status: u16, code: &str) -> Value {
        let (found, head, body) = exchange(request).await;
        assert_eq!(found, status, "{head}\n{body}");
        assert!(head.contains("content-type: application/problem+json"), "{head}");
        assert!(head.contains("x-content-type-options: nosniff"), "{head}");
        let problem: Value = serde_json::from_str(&body).expect("a problem");
        assert_eq!(problem["code"], code, "{body}");
        assert_eq!(problem["status"], status, "{body}");
        problem
    }

    #[tokio::test]
    async fn every_failure_is_a_problem_with_its_path() {
        let problem = check(getting("/nowhere?secret=1", "localhost"), 404, "ROUTE_UNKNOWN").await;
        assert_eq!(problem["path"], "/nowhere");
        check(getting("/greet", "localhost"), 405, "METHOD_NOT_ALLOWED").await;
        check(posting("{"), 400, "BODY_UNREADABLE").await;
        check(posting("{\"word\": 1}"), 422, "BODY_INVALID").await;
        let plain = posting("{}").replace("application/json", "text/plain");
        check(plain, 415, "BODY_NOT_JSON").await;
    }

    #[tokio::test]
    async fn a_panic_is_answered_without_its_words() {
        let problem = check(getting("/stumble", "127.0.0.1"), 500, "INTERNAL").await;
        assert!(!problem.to_string().contains("secret"));
    }

    #[tokio::test]
    async fn strangers_are_refused_before_any_route() {
        check(getting("/stumble", "example.com"), 403, "FOREIGN_HOST").await;
        let from_page = "origin: https://example.com\r\nconnection";
        let foreign = getting("/stumble", "localhost").replace("connection", from_page);
        check(foreign, 403, "FOREIGN_ORIGIN").await;
        // What an image of a page elsewhere sends: no origin, and by whom it was begun.
        let image = getting("/stumble", "localhost").replace("connection", "sec-fetch-site: cross-site\r\nconnection");
        check(image, 403, "FOREIGN_SITE").await;
    }

    #[tokio::test]
    async fn what_fits_is_answered() {
        let (status, head, body) = exchange(posting("{\"word\": \"hi\"}")).await;
        assert_eq!((status, body.as_str()), (200, "hello"));
        assert!(head.contains("cache-control: private, no-cache"), "{head}");
    }

    #[tokio::test]
    async fn an_address_that_others_can_reach_is_refused() {
        let config = ServerConfig { listen: SocketAddr::from((Ipv4Addr::UNSPECIFIED, 0)) };
        assert!(matches!(bind(&config).await, Err(ApiError::NotLoopback { .. })));
        assert!(bind(&ServerConfig { listen: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)) }).await.is_ok());
    }
}
