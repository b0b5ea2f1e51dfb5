//! Where a page of a list ends: the text that a client hands back to get the next one.
//!
//! A cursor names the snapshot it was given for, so that a list does not shift under a reader when a new snapshot is
//! published between two pages.

use std::fmt;

use tagmill_schemas::ids::{CustomerNo, SnapshotId};

use crate::error::ApiError;

/// A place in a list of members: `s12-c10234` is after customer number 10234 on snapshot 12.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemberCursor {
    /// The snapshot the list is read from.
    pub(crate) snapshot_id: SnapshotId,
    /// The last customer already given.
    pub(crate) after: CustomerNo,
}

impl MemberCursor {
    /// Reads a cursor as [`fmt::Display`] writes it.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let read = || {
            let (snapshot, customer) = text.strip_prefix('s')?.split_once("-c")?;
            let snapshot_id = SnapshotId(snapshot.parse().ok()?);
            Some(Self { snapshot_id, after: CustomerNo(customer.parse().ok()?) })
        };
        exactly(text, read())
    }
}

impl fmt::Display for MemberCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}-c{}", self.snapshot_id, self.after.0)
    }
}

/// A place in the list of snapshots, newest first: `s12` is after (older than) snapshot 12.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct SnapshotCursor(pub(crate) SnapshotId);

impl SnapshotCursor {
    /// Reads a cursor as [`fmt::Display`] writes it.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let read = || Some(Self(SnapshotId(text.strip_prefix('s')?.parse().ok()?)));
        exactly(text, read())
    }
}

impl fmt::Display for SnapshotCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}", self.0)
    }
}

/// Refuses other spellings of the same place (`s+1`, `s01`), so that equal cursors are equal texts.
fn exactly<C: fmt::Display>(text: &str, cursor: Option<C>) -> Result<C, ApiError> {
    cursor
        .filter(|cursor| cursor.to_string() == text)
        .ok_or_else(|| ApiError::CursorUnknown { cursor: text.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_reads_back_as_it_was_written() {
        let cursor = MemberCursor { snapshot_id: SnapshotId(12), after: CustomerNo(u32::MAX) };
        assert_eq!(cursor.to_string(), "s12-c4294967295");
        assert_eq!(MemberCursor::parse("s12-c4294967295").expect("a cursor"), cursor);
        assert_eq!(SnapshotCursor::parse("s12").expect("a cursor").to_string(), "s12");
    }

    #[test]
    fn what_no_list_gave_is_no_cursor() {
        let strange =
            ["", "12", "s12", "s12-c", "s12-c-1", "s12-c4294967296", "s+12-c1", "s012-c1", "s1-c2 ", "s1-c2-c3"];
        for text in strange {
            assert!(MemberCursor::parse(text).is_err(), "{text}");
        }
        for text in ["", "s", "12", "s+1", "s12-c1"] {
            assert!(SnapshotCursor::parse(text).is_err(), "{text}");
        }
    }
}
