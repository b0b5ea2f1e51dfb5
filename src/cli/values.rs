//! Arguments that are more than a word: instants, durations, sizes, time zones.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::ids::TagId;
use tagmill_schemas::segment::TagRef;
use tagmill_schemas::segment::parse::WrittenAsOf;

/// Reads `--as-of`. A local time gets its meaning from the warehouse's business time zone.
///
/// # Errors
/// What would have been valid, where the text is none of it.
pub(crate) fn parse_as_of(text: &str) -> Result<WrittenAsOf, String> {
    WrittenAsOf::parse(text).ok_or_else(|| {
        "expected a snapshot's number, a day (2026-11-12), a local time (2026-11-12T02:00), \
         a time with offset (2026-11-12T02:00:00+08:00) or `latest`"
            .to_owned()
    })
}

/// Reads a tag as documents name it: `group/tag`, or `{id: …}` with the id bare or in double quotes.
///
/// # Errors
/// What would have been valid, where the text is empty.
pub(crate) fn parse_tag(text: &str) -> Result<TagRef, String> {
    let text = text.trim();
    let braced = text.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
    let tag = match braced.and_then(|inner| inner.trim().strip_prefix("id:")) {
        Some(id) => TagRef::Id(TagId::new(unquoted(id.trim()))),
        None => TagRef::Name(text.to_owned()),
    };
    let is_empty = match &tag {
        TagRef::Name(name) => name.is_empty(),
        TagRef::Id(id) => id.as_str().is_empty(),
    };
    if is_empty { Err("expected GROUP/TAG or '{id: TAG_ID}'".to_owned()) } else { Ok(tag) }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|rest| rest.strip_suffix('"')).unwrap_or(text)
}

/// Reads a time zone by its IANA name.
///
/// # Errors
/// What would have been valid, where there is no such zone.
pub(crate) fn parse_zone(text: &str) -> Result<BusinessZone, String> {
    let expected = || "expected an IANA time zone such as Asia/Shanghai or Europe/London".to_owned();
    BusinessZone::parse(text).ok_or_else(expected)
}

/// Reads a span of time: a whole number and `ms`, `s`, `m` or `h`; a bare number is seconds.
///
/// # Errors
/// What would have been valid, where the text is none of it or the span is zero.
pub(crate) fn parse_duration(text: &str) -> Result<Duration, String> {
    let expected = || "expected a time above zero such as 30s, 5m or 1h".to_owned();
    let (amount, unit) = split_number(text).ok_or_else(expected)?;
    let unit_milliseconds: u64 = match unit {
        "ms" => 1,
        "" | "s" => 1_000,
        "m" => 60_000,
        "h" => 3_600_000,
        _ => return Err(expected()),
    };
    match amount.checked_mul(unit_milliseconds) {
        None | Some(0) => Err(expected()),
        Some(milliseconds) => Ok(Duration::from_millis(milliseconds)),
    }
}

/// Reads a size in bytes: a whole number and `KB`, `MB` or `GB`, in powers of 1,024; a bare number is bytes.
///
/// # Errors
/// What would have been valid, where the text is none of it or the size is zero.
pub(crate) fn parse_bytes(text: &str) -> Result<usize, String> {
    let expected = || "expected a size above zero such as 512MB or 4GB".to_owned();
    let (amount, unit) = split_number(text).ok_or_else(expected)?;
    let unit_bytes: u64 = match unit.to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "k" | "kb" | "kib" => 1 << 10,
        "m" | "mb" | "mib" => 1 << 20,
        "g" | "gb" | "gib" => 1 << 30,
        _ => return Err(expected()),
    };
    match amount.checked_mul(unit_bytes).and_then(|bytes| usize::try_from(bytes).ok()) {
        None | Some(0) => Err(expected()),
        Some(bytes) => Ok(bytes),
    }
}

/// Reads an address to listen on: `127.0.0.1:8080`, `[::1]:8080` or `localhost:8080`.
///
/// # Errors
/// What would have been valid, where the text is none of it.
pub(crate) fn parse_listen(text: &str) -> Result<SocketAddr, String> {
    let of_localhost = || Some(SocketAddr::from((Ipv4Addr::LOCALHOST, text.strip_prefix("localhost:")?.parse().ok()?)));
    text.parse()
        .ok()
        .or_else(of_localhost)
        .ok_or_else(|| "expected an address with a port such as 127.0.0.1:8080; port 0 takes any free one".to_owned())
}

/// Splits `30 s` into its number and its unit.
fn split_number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, unit) = text.split_at(end);
    Some((digits.parse().ok()?, unit.trim()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_names_no_state_is_told_what_would() {
        assert!(parse_as_of("2026-11-12T02:00").is_ok());
        for wrong in ["yesterday", "-1"] {
            let told = parse_as_of(wrong).expect_err(wrong);
            assert!(told.contains("a snapshot's number") && told.contains("`latest`"), "{told}");
        }
    }

    #[test]
    fn a_tag_is_named_as_in_documents() {
        let by_id = TagRef::Id(TagId::new("shop:等级/VIP"));
        assert_eq!(parse_tag(" 等级/VIP "), Ok(TagRef::Name("等级/VIP".to_owned())));
        assert_eq!(parse_tag("{id: shop:等级/VIP}"), Ok(by_id.clone()));
        assert_eq!(parse_tag("{id: \"shop:等级/VIP\"}"), Ok(by_id));
        for wrong in ["", " ", "{id: }", "{id: \"\"}"] {
            assert!(parse_tag(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn an_address_may_name_localhost() {
        assert_eq!(parse_listen("localhost:80"), parse_listen("127.0.0.1:80"));
        assert!(parse_listen("localhost:80").is_ok());
        assert!(parse_listen("[::1]:0").is_ok());
        for wrong in ["8080", "localhost", "example.com:80", "127.0.0.1:99999"] {
            assert!(parse_listen(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn durations_and_sizes_carry_their_units() {
        assert_eq!(parse_duration("90"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("5m"), Ok(Duration::from_secs(300)));
        assert_eq!(parse_duration("300ms"), Ok(Duration::from_millis(300)));
        assert_eq!(parse_bytes("64 MiB"), Ok(64 << 20));
        assert_eq!(parse_bytes("4GB"), Ok(4 << 30));
        for wrong in ["", "0s", "-5m", "five", "5d", "99999999999999999999s"] {
            assert!(parse_duration(wrong).is_err(), "{wrong}");
        }
        for wrong in ["", "0", "1.5GB", "4TBs"] {
            assert!(parse_bytes(wrong).is_err(), "{wrong}");
        }
    }
}
