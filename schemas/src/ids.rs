//! Typed identifiers: every id that travels is a newtype, so that a staff id never lands where a tag id belongs.
//!
//! Outside ids (`CustomerId`, `StaffId`, `TagId`) are opaque texts and are never parsed. Inside numbers (`CustomerNo`,
//! `FollowNo`) are dense, given once and never reused, which is what lets a set of them be a bitmap.

use std::fmt;

use serde::{Deserialize, Serialize};

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub String);

        impl $name {
            /// Wraps a text as this id.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// Returns the id as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// A tag's id, ours for ever: the source's own id, or `SOURCE:GROUP/NAME` where the source gives none.
    TagId
}
text_id! {
    /// A staff member's id (WeCom `userid`).
    StaffId
}
text_id! {
    /// A source's name: its identity for ever, wherever its file is kept.
    SourceName
}
text_id! {
    /// A plan's id, `plan-` and the first twelve hexadecimal digits of its hash.
    PlanId
}

/// A customer's dense number: below 2³², given once, never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct CustomerNo(pub u32);

/// How many low bits of a customer's number tell it from the others of its bucket: a bucket is 2²⁰ numbers.
pub const BUCKET_BITS: u32 = 20;

impl CustomerNo {
    /// The bucket it is in: large tables are kept, and replaced, by bucket.
    pub fn bucket(self) -> u32 {
        self.0 >> BUCKET_BITS
    }
}

/// A follow's dense number: below 2³², kept when the same staff member adds the same customer again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct FollowNo(pub u32);

/// A published state of the warehouse. Ids grow by one and are never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SnapshotId(pub i64);

impl fmt::Display for SnapshotId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A customer's outside key: the corp or shop that gave the id, and the id as it was given.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct CustomerKey {
    /// The name space of the id; equal ids in two spaces are two customers.
    pub id_space: String,
    /// The id as the source gave it (in WeCom `external_userid`).
    pub customer_id: String,
}

impl fmt::Display for CustomerKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.id_space, self.customer_id)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_is_2_to_the_20_customers() {
        let buckets = [0, (1 << 20) - 1, 1 << 20, u32::MAX].map(|number| CustomerNo(number).bucket());
        assert_eq!(buckets, [0, 0, 1, 4095]);
    }
}
