//! Which state of the warehouse a request asks about.

use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::segment::AsOf;
use tagmill_schemas::segment::parse::WrittenAsOf;

use crate::error::ApiError;

/// Reads `latest`, a snapshot id, or a time: RFC 3339 with its offset, or a local time or day of the business zone.
pub(crate) fn parse_as_of(text: &str, zone: BusinessZone) -> Result<AsOf, ApiError> {
    let written = WrittenAsOf::parse(text).ok_or_else(|| ApiError::AsOfUnknown { text: text.to_owned() })?;
    Ok(written.resolve(zone))
}

/// Joins what a definition says with what the request says: the request fills `latest`, and may not move a fixed one.
pub(crate) fn join_as_of(written: AsOf, asked: Option<AsOf>) -> Result<AsOf, ApiError> {
    match (written, asked) {
        (AsOf::Latest, asked) => Ok(asked.unwrap_or(AsOf::Latest)),
        (fixed, None) => Ok(fixed),
        (_, Some(_)) => Err(ApiError::AsOfFixed),
    }
}

#[cfg(test)]
mod tests {
    use tagmill_schemas::ids::SnapshotId;

    use super::*;

    #[test]
    fn a_state_may_be_named_by_id_or_by_time() {
        let read = |text: &str| parse_as_of(text, BusinessZone::default()).expect("a state");
        let instant = |text: &str| AsOf::Time(text.parse().expect("an instant"));
        assert_eq!(read("latest"), AsOf::Latest);
        assert_eq!(read("12"), AsOf::Snapshot(SnapshotId(12)));
        assert_eq!(read("2026-11-12T02:00:00+08:00"), instant("2026-11-11T18:00:00Z"));
        assert_eq!(read("2026-11-12 02:00"), instant("2026-11-11T18:00:00Z"));
        assert_eq!(read("2026-11-12"), instant("2026-11-11T16:00:00Z"));
    }

    #[test]
    fn what_names_no_state_is_refused() {
        for text in ["", "newest", "-1", "12a", "2026-13-01", "99999999999999999999", "2026-11-12T02:00:00 08:00"] {
            assert!(parse_as_of(text, BusinessZone::default()).is_err(), "{text}");
        }
    }

    #[test]
    fn a_request_fills_latest_and_moves_nothing_fixed() {
        let (one, two) = (AsOf::Snapshot(SnapshotId(1)), AsOf::Snapshot(SnapshotId(2)));
        assert_eq!(join_as_of(AsOf::Latest, Some(two)).expect("a state"), two);
        assert_eq!(join_as_of(one, None).expect("a state"), one);
        assert!(matches!(join_as_of(one, Some(two)), Err(ApiError::AsOfFixed)));
    }
}
