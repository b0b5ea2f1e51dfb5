//! Arguments that are more than a word: instants, durations, sizes, time zones.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, Utc};
use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::ids::SnapshotId;
use tagmill_schemas::segment::AsOf;

/// `--as-of` as it was typed. A local time gets its meaning from the warehouse's business time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AsOfArg {
    /// `latest`.
    Latest,
    /// A snapshot's number.
    Snapshot(SnapshotId),
    /// A time with its offset.
    Instant(DateTime<Utc>),
    /// A time of the business time zone; a plain day is its midnight.
    Local(NaiveDateTime),
}

impl AsOfArg {
    /// What was meant, in a warehouse of that business time zone.
    pub(crate) fn resolve(self, zone: BusinessZone) -> AsOf {
        match self {
            Self::Latest => AsOf::Latest,
            Self::Snapshot(id) => AsOf::Snapshot(id),
            Self::Instant(instant) => AsOf::Time(instant),
            Self::Local(local) => AsOf::Time(zone.instant_of(local)),
        }
    }
}

/// Reads `--as-of`.
///
/// # Errors
/// What would have been valid, where the text is none of it.
pub(crate) fn parse_as_of(text: &str) -> Result<AsOfArg, String> {
    if text == "latest" {
        return Ok(AsOfArg::Latest);
    }
    if let Ok(id) = text.parse::<i64>() {
        return Ok(AsOfArg::Snapshot(SnapshotId(id)));
    }
    if let Ok(instant) = DateTime::parse_from_rfc3339(text) {
        return Ok(AsOfArg::Instant(instant.to_utc()));
    }
    if let Ok(day) = NaiveDate::parse_from_str(text, "%Y-%m-%d") {
        return Ok(AsOfArg::Local(day.and_time(NaiveTime::MIN)));
    }
    let local_forms = ["%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S"];
    local_forms.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).map(AsOfArg::Local).ok_or_else(
        || {
            "expected a snapshot's number, a day (2026-11-12), a local time (2026-11-12T02:00), \
             a time with offset (2026-11-12T02:00:00+08:00) or `latest`"
                .to_owned()
        },
    )
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
    fn as_of_is_a_snapshot_a_day_a_local_time_or_an_instant() {
        let zone = BusinessZone::default();
        let check = |text: &str, expected: &str| {
            let shown = match parse_as_of(text).expect("a valid as-of").resolve(zone) {
                AsOf::Latest => "latest".to_owned(),
                AsOf::Snapshot(id) => format!("snapshot {id}"),
                AsOf::Time(instant) => instant.to_rfc3339(),
            };
            assert_eq!(shown, expected, "{text}");
        };
        check("latest", "latest");
        check("12", "snapshot 12");
        check("2026-11-12", "2026-11-11T16:00:00+00:00");
        check("2026-11-12T02:00", "2026-11-11T18:00:00+00:00");
        check("2026-11-12 02:00:30", "2026-11-11T18:00:30+00:00");
        check("2026-11-12T02:00:00Z", "2026-11-12T02:00:00+00:00");
        assert!(parse_as_of("yesterday").is_err());
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
