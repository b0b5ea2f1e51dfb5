//! An `as_of` that is given with a question, at the command line or in a request, and not in a document.

use chrono::NaiveDateTime;

use super::values::written_time;
use crate::clock::BusinessZone;
use crate::ids::SnapshotId;
use crate::segment::tree::{AsOf, TimeValue};

/// A state of the warehouse as somebody asks for it. A document has no time zone of its own; a question has the
/// warehouse's, so that here a time needs no offset.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WrittenAsOf {
    /// What means the same in every time zone: `latest`, a snapshot's number, a time with its offset.
    Fixed(AsOf),
    /// A time of the business time zone; a plain day is its midnight.
    Local(NaiveDateTime),
}

impl WrittenAsOf {
    /// Reads `latest`, a snapshot's number above zero, a day, or a time with or without its offset; `None` for the rest.
    pub fn parse(text: &str) -> Option<Self> {
        if text == "latest" {
            return Some(Self::Fixed(AsOf::Latest));
        }
        if text.bytes().all(|byte| byte.is_ascii_digit()) {
            let snapshot_id = text.parse::<i64>().ok().filter(|id| *id > 0)?;
            return Some(Self::Fixed(AsOf::Snapshot(SnapshotId(snapshot_id))));
        }
        match written_time(text)?.ok()? {
            TimeValue::Instant(instant) => Some(Self::Fixed(AsOf::Time(instant))),
            TimeValue::Local(local) => Some(Self::Local(local)),
            TimeValue::AsOfMinus(..) => None,
        }
    }

    /// What was meant, in a warehouse of that business time zone.
    pub fn resolve(self, zone: BusinessZone) -> AsOf {
        match self {
            Self::Fixed(as_of) => as_of,
            Self::Local(local) => AsOf::Time(zone.instant_of(local)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Option<AsOf> {
        WrittenAsOf::parse(text).map(|written| written.resolve(BusinessZone::default()))
    }

    #[test]
    fn a_state_is_latest_a_snapshot_a_day_a_local_time_or_an_instant() {
        let check = |text: &str, expected: AsOf| assert_eq!(read(text), Some(expected), "{text}");
        let instant = |text: &str| AsOf::Time(text.parse().expect("an instant"));
        check("latest", AsOf::Latest);
        check("12", AsOf::Snapshot(SnapshotId(12)));
        check("2026-11-12", instant("2026-11-11T16:00:00Z"));
        check("2026-11-12T02:00", instant("2026-11-11T18:00:00Z"));
        check("2026-11-12 02:00:30", instant("2026-11-11T18:00:30Z"));
        check("2026-11-12T02:00:00Z", instant("2026-11-12T02:00:00Z"));
        check("2026-11-12T02:00:00.123456+08:00", instant("2026-11-11T18:00:00.123456Z"));
    }

    #[test]
    fn what_names_no_state_is_none() {
        let strange = ["", "newest", "yesterday", "0", "-1", "+1", "12a", "2026-13-01", "99999999999999999999"];
        for text in strange.into_iter().chain(["2026-11-12T02:00:00 08:00", "as_of", "as_of - 3 days"]) {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
