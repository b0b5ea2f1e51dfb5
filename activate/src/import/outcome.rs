//! What becomes of an uploaded row, and why.

use std::fmt;

use tagmill_schemas::ids::CustomerKey;

/// The longest id that is looked for, in bytes. What is longer is no id.
pub(super) const MAX_ID_BYTES: usize = 512;

/// What became of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RowOutcome {
    /// The customer is to hold the tags.
    Matched,
    /// The customer was found, and is not in the segment that was asked for.
    Inactive,
    /// There is no such customer, or nobody who was meant follows it.
    Unmatched,
    /// An earlier row says the same.
    Duplicate,
    /// The row cannot be understood.
    Rejected,
}

impl RowOutcome {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Matched => "matched",
            Self::Inactive => "inactive",
            Self::Unmatched => "unmatched",
            Self::Duplicate => "duplicate",
            Self::Rejected => "rejected",
        }
    }
}

/// How many rows came to what: uploaded = matched + inactive + unmatched + duplicate + rejected.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ImportCounts {
    /// The rows of the upload.
    pub uploaded: u64,
    /// See [`RowOutcome::Matched`].
    pub matched: u64,
    /// See [`RowOutcome::Inactive`]; none where no segment was asked for.
    pub inactive: u64,
    /// See [`RowOutcome::Unmatched`].
    pub unmatched: u64,
    /// See [`RowOutcome::Duplicate`].
    pub duplicate: u64,
    /// See [`RowOutcome::Rejected`].
    pub rejected: u64,
}

impl ImportCounts {
    /// Counts one row more.
    pub(super) fn add(&mut self, outcome: RowOutcome) {
        self.uploaded += 1;
        let place = match outcome {
            RowOutcome::Matched => &mut self.matched,
            RowOutcome::Inactive => &mut self.inactive,
            RowOutcome::Unmatched => &mut self.unmatched,
            RowOutcome::Duplicate => &mut self.duplicate,
            RowOutcome::Rejected => &mut self.rejected,
        };
        *place += 1;
    }
}

/// Why a row gives nobody a tag.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhyNot {
    /// The cell of the id is empty.
    IdEmpty,
    /// The id is too long to be one.
    IdTooLong,
    /// The id is a number that a spreadsheet has rounded.
    IdRounded,
    /// The id fits several customers.
    CustomerAmbiguous {
        /// The customers.
        fits: Vec<CustomerKey>,
    },
    /// There is no such customer.
    CustomerUnknown,
    /// The customer has no active follow that could be tagged.
    NotFollowed,
    /// The staff member of the row does not follow the customer.
    NotFollowedByStaff,
    /// An earlier row says the same.
    SameAs {
        /// The earlier row.
        row: u64,
    },
    /// The customer is not in the segment.
    NotInSegment,
}

impl WhyNot {
    /// What became of the row.
    pub fn outcome(&self) -> RowOutcome {
        match self {
            Self::IdEmpty | Self::IdTooLong | Self::IdRounded | Self::CustomerAmbiguous { .. } => RowOutcome::Rejected,
            Self::CustomerUnknown | Self::NotFollowed | Self::NotFollowedByStaff => RowOutcome::Unmatched,
            Self::SameAs { .. } => RowOutcome::Duplicate,
            Self::NotInSegment => RowOutcome::Inactive,
        }
    }

    /// A stable code in capitals, such as `CUSTOMER_UNKNOWN`.
    pub fn code(&self) -> &'static str {
        match self {
            Self::IdEmpty => "ID_EMPTY",
            Self::IdTooLong => "ID_TOO_LONG",
            Self::IdRounded => "ID_ROUNDED",
            Self::CustomerAmbiguous { .. } => "CUSTOMER_AMBIGUOUS",
            Self::CustomerUnknown => "CUSTOMER_UNKNOWN",
            Self::NotFollowed => "NOT_FOLLOWED",
            Self::NotFollowedByStaff => "NOT_FOLLOWED_BY_STAFF",
            Self::SameAs { .. } => "DUPLICATE",
            Self::NotInSegment => "NOT_IN_SEGMENT",
        }
    }
}

impl fmt::Display for WhyNot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::IdEmpty => f.write_str("the row names no customer"),
            Self::IdTooLong => write!(f, "the id is longer than {MAX_ID_BYTES} bytes"),
            Self::IdRounded => {
                f.write_str("a spreadsheet has rounded the id: make the column one of texts, and fill it in again")
            }
            Self::CustomerAmbiguous { fits } => {
                let fits: Vec<String> = fits.iter().map(|key| format!("`{key}`")).collect();
                write!(f, "the id fits {}: write the one that is meant", fits.join(" and "))
            }
            Self::CustomerUnknown => f.write_str("there is no such customer"),
            Self::NotFollowed => f.write_str("nobody follows the customer"),
            Self::NotFollowedByStaff => f.write_str("that staff member does not follow the customer"),
            Self::SameAs { row } => write!(f, "row {row} says the same"),
            Self::NotInSegment => f.write_str("the customer is not in the segment"),
        }
    }
}
