//! Lets only this machine's own programs and pages in.
//!
//! The server listens on the loopback interface and asks nobody who they are, so a web page is the one stranger that
//! could reach it: the user's browser runs on this machine. Three headers that a page cannot forge keep it out. `Host`
//! must name the loopback interface, or else a name of the page's own could be pointed at it (DNS rebinding);
//! `Origin`, where the browser sends one, must be a page served from this machine. An image or a link sends none, and
//! although its page reads no answer, it would start the work: `Sec-Fetch-Site`, where the browser sends it, must say
//! that the request comes from the server's own pages or from the user.

use std::net::{Ipv4Addr, Ipv6Addr};

use axum::extract::Request;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, HeaderValue};
use axum::middleware::Next;
use axum::response::Response;

use crate::error::ApiError;

/// The header in which a browser says whose page began a request (W3C, Fetch Metadata Request Headers).
const SITE: &str = "sec-fetch-site";

/// Passes a request on if its `Host` is loopback, its `Origin`, if any, is a loopback page, and no page of another site
/// began it; refuses it otherwise.
pub(crate) async fn refuse_strangers(request: Request, next: Next) -> Result<Response, ApiError> {
    check_host(&request)?;
    check_origin(request.headers())?;
    check_site(request.headers())?;
    Ok(next.run(request).await)
}

fn check_host(request: &Request) -> Result<(), ApiError> {
    // A request line may carry a whole URL, whose authority then counts beside the header.
    if let Some(authority) = request.uri().authority()
        && !is_loopback_authority(authority.as_str())
    {
        return Err(ApiError::ForeignHost { host: authority.to_string() });
    }
    let mut hosts = request.headers().get_all(HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) if host.to_str().is_ok_and(is_loopback_authority) => Ok(()),
        (host, _) => Err(ApiError::ForeignHost { host: host.map(readable).unwrap_or_default() }),
    }
}

fn check_origin(headers: &HeaderMap) -> Result<(), ApiError> {
    for origin in headers.get_all(ORIGIN) {
        if !origin.to_str().is_ok_and(is_loopback_origin) {
            return Err(ApiError::ForeignOrigin { origin: readable(origin) });
        }
    }
    Ok(())
}

/// Another port of this machine is another origin of the same site, and refused like any other.
fn check_site(headers: &HeaderMap) -> Result<(), ApiError> {
    let is_ours = |site: &HeaderValue| matches!(site.as_bytes(), b"same-origin" | b"none");
    if headers.get_all(SITE).iter().all(is_ours) { Ok(()) } else { Err(ApiError::ForeignSite) }
}

/// Tells whether `scheme://authority` is a page served from this machine. The `null` of sandboxed pages is none.
fn is_loopback_origin(origin: &str) -> bool {
    let authority = origin.strip_prefix("http://").or_else(|| origin.strip_prefix("https://"));
    authority.is_some_and(is_loopback_authority)
}

/// Tells whether `host` or `host:port` names the loopback interface: `localhost`, 127.0.0.0/8 or `[::1]`.
fn is_loopback_authority(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        // The last colon of a bare `[::1]` belongs to the address.
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let is_port = port.is_none_or(|port| port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok());
    is_port && is_loopback_host(host)
}

fn is_loopback_host(host: &str) -> bool {
    if let Some(address) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback());
    }
    host.eq_ignore_ascii_case("localhost") || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

fn readable(value: &HeaderValue) -> String {
    String::from_utf8_lossy(value.as_bytes()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_hosts_are_answered() {
        let ours = ["localhost", "LOCALHOST:8080", "127.0.0.1", "127.0.0.1:8080", "127.9.9.9:1", "[::1]", "[::1]:8080"];
        for host in ours {
            assert!(is_loopback_authority(host), "{host}");
        }
        let strangers = [
            "",
            "example.com",
            "localhost.example.com",
            "127.0.0.1.example.com",
            "localhost:80:80",
            "localhost:http",
            "localhost:+80",
            "localhost:99999",
            "user@localhost",
            "0.0.0.0",
            "128.0.0.1",
            "::1",
            "[::2]",
            "[::1",
        ];
        for host in strangers {
            assert!(!is_loopback_authority(host), "{host}");
        }
    }

    #[test]
    fn only_pages_of_this_machine_may_call() {
        for origin in ["http://localhost:3000", "https://127.0.0.1", "http://[::1]:8080"] {
            assert!(is_loopback_origin(origin), "{origin}");
        }
        for origin in ["null", "https://example.com", "file://localhost", "http://localhost/page", "localhost"] {
            assert!(!is_loopback_origin(origin), "{origin}");
        }
    }

    #[test]
    fn no_page_of_another_site_may_begin_a_request() {
        let asking = |sites: &[&'static str]| {
            let mut headers = HeaderMap::new();
            for &site in sites {
                headers.append(SITE, HeaderValue::from_static(site));
            }
            check_site(&headers).is_ok()
        };
        assert!(asking(&[]), "a program that is no browser");
        assert!(asking(&["none"]), "an address typed by the user");
        assert!(asking(&["same-origin"]));
        let strangers: [&[&'static str]; 4] = [&["cross-site"], &["same-site"], &["none", "cross-site"], &[""]];
        for sites in strangers {
            assert!(!asking(sites), "{sites:?}");
        }
    }

    #[test]
    fn a_request_needs_exactly_one_host() {
        let asking = |hosts: &[&str]| {
            let mut request = Request::new(axum::body::Body::empty());
            for host in hosts {
                request.headers_mut().append(HOST, HeaderValue::from_str(host).expect("a header"));
            }
            check_host(&request).is_ok()
        };
        assert!(asking(&["localhost:8080"]));
        assert!(!asking(&[]));
        assert!(!asking(&["localhost:8080", "example.com"]));
    }

    #[test]
    fn a_whole_url_in_the_request_line_counts_too() {
        let mut request = Request::new(axum::body::Body::empty());
        *request.uri_mut() = "http://example.com/health".parse().expect("a URI");
        request.headers_mut().insert(HOST, HeaderValue::from_static("localhost"));
        assert!(check_host(&request).is_err());
    }
}
