//! Where a page of a list ends: the text that a client hands back to get the next one.
//!
//! A cursor names the snapshot it was given for, so that a list does not shift under a reader when a new snapshot is
//! published between two pages. Where the list is of a definition's making, it names that too: an edited definition is
//! another list, and its pages do not fit the old ones.

use std::fmt;

use tagmill_schemas::ids::{CustomerNo, SnapshotId};

use crate::error::ApiError;

/// A place in a list of members: `s12-d9f86d081884c-c10234` is after customer number 10234 on snapshot 12, in the list
/// of the definition whose hash begins with `9f86d081884c`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MemberCursor {
    /// The snapshot the list is read from.
    pub(crate) snapshot_id: SnapshotId,
    /// The definition that the list answers.
    pub(crate) definition: DefinitionMark,
    /// The last customer already given.
    pub(crate) after: CustomerNo,
}

impl MemberCursor {
    /// Reads a cursor as [`fmt::Display`] writes it.
    pub(crate) fn parse(text: &str) -> Result<Self, ApiError> {
        let read = || {
            let (snapshot, rest) = text.strip_prefix('s')?.split_once("-d")?;
            let (definition, customer) = rest.split_once("-c")?;
            let snapshot_id = SnapshotId(snapshot.parse().ok()?);
            let definition = DefinitionMark::of(definition);
            Some(Self { snapshot_id, definition, after: CustomerNo(customer.parse().ok()?) })
        };
        exactly(text, read())
    }
}

impl fmt::Display for MemberCursor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "s{}-d{}-c{}", self.snapshot_id, self.definition, self.after.0)
    }
}

/// The first 12 digits of a definition's hash: enough to notice an edit, and short enough for a URL.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct DefinitionMark(u64);

impl DefinitionMark {
    /// The mark of a hash in hexadecimal digits.
    pub(crate) fn of(hash: &str) -> Self {
        let digits = hash.chars().take(12).filter_map(|digit| digit.to_digit(16));
        Self(digits.fold(0_u64, |mark, digit| (mark << 4) | u64::from(digit)))
    }
}

impl fmt::Display for DefinitionMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:012x}", self.0)
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
        let definition = DefinitionMark::of("0f86d081884c7d659a2feaa0c55ad015");
        let cursor = MemberCursor { snapshot_id: SnapshotId(12), definition, after: CustomerNo(u32::MAX) };
        assert_eq!(cursor.to_string(), "s12-d0f86d081884c-c4294967295");
        assert_eq!(MemberCursor::parse("s12-d0f86d081884c-c4294967295").expect("a cursor"), cursor);
        assert_eq!(SnapshotCursor::parse("s12").expect("a cursor").to_string(), "s12");
    }

    #[test]
    fn what_no_list_gave_is_no_cursor() {
        let fine = "s12-d0f86d081884c-c1";
        assert!(MemberCursor::parse(fine).is_ok());
        for (part, strange) in [
            ("s12", ["", "12", "s", "s+12", "s012"]),
            ("-d0f86d081884c", ["", "-d", "-d0f86d081884", "-d0f86d081884c7", "-d0F86D081884C"]),
            ("-c1", ["", "-c", "-c-1", "-c4294967296", "-c1-c2"]),
        ] {
            for other in strange {
                let text = fine.replace(part, other);
                assert!(MemberCursor::parse(&text).is_err(), "{text}");
            }
        }
        for text in ["", "s", "12", "s+1", "s12-c1"] {
            assert!(SnapshotCursor::parse(text).is_err(), "{text}");
        }
    }
}
