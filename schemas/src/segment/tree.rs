//! The tree of a segment: every node answers with a set, of follows or of customers.

use chrono::{DateTime, NaiveDateTime, Utc};
use rust_decimal::Decimal;

use crate::ids::{SnapshotId, StaffId, TagId};
use crate::words::words;

/// A question whose answer is a set of customers.
#[derive(Debug, Clone, PartialEq)]
pub struct Segment {
    /// What people call it; no part of its identity.
    pub name: Option<String>,
    /// What `not` is taken against.
    pub universe: Universe,
    /// The state and the instant it is asked of.
    pub as_of: AsOf,
    /// The condition.
    pub condition: Node,
}

words! {
    /// The customers a segment is about, and the follows that count for them. Always written, never a default.
    Universe {
        /// Customers with at least one active (or half) follow; those follows count.
        Followed = "followed",
        /// Every customer ever known; every follow counts.
        All = "all",
        /// Customers who had a follow once and have none now; left and ended follows count, with their last tags.
        Lost = "lost",
    }
}

/// The state of the warehouse a segment is asked of, and the instant before which events count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AsOf {
    /// The newest snapshot, and its `taken_at`.
    Latest,
    /// That snapshot, and its `taken_at`.
    Snapshot(SnapshotId),
    /// The last snapshot taken at or before that instant, and that instant.
    Time(DateTime<Utc>),
}

/// One node of the condition.
#[derive(Debug, Clone, PartialEq)]
pub enum Node {
    /// Every part holds.
    All(Vec<Node>),
    /// At least one part holds.
    Any(Vec<Node>),
    /// The part does not hold: the complement inside the universe.
    Not(Box<Node>),
    /// One and the same follow satisfies every part.
    SameFollower(Vec<FollowNode>),
    /// The customer holds tags.
    Tag(TagLeaf),
    /// An attribute of the customer compares.
    Attribute(AttributeLeaf),
    /// A measure over the customer's events compares.
    Event(EventLeaf),
    /// The customer is in another segment, named by its file stem.
    Segment(String),
    /// The customer is in the answer of a SELECT that returns `customer_no` or `customer_id`.
    Sql(String),
}

impl Node {
    /// Whether the node or one below it asks for something on a follow, outside every `not`: only such conditions hold on
    /// follows at all. References are not looked into.
    pub fn holds_on_follows(&self) -> bool {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().any(Self::holds_on_follows),
            Self::SameFollower(_) => true,
            Self::Tag(leaf) => !matches!(leaf.test, TagTest::NoneOf(_)),
            Self::Not(_) | Self::Attribute(_) | Self::Event(_) | Self::Segment(_) | Self::Sql(_) => false,
        }
    }

    /// Every tag that the node and the nodes below it name, in the order of the document.
    pub fn tags(&self) -> Vec<&TagRef> {
        match self {
            Self::All(parts) | Self::Any(parts) => parts.iter().flat_map(Self::tags).collect(),
            Self::Not(part) => part.tags(),
            Self::SameFollower(parts) => parts.iter().flat_map(FollowNode::tags).collect(),
            Self::Tag(leaf) => leaf.test.tags().iter().collect(),
            Self::Attribute(_) | Self::Event(_) | Self::Segment(_) | Self::Sql(_) => Vec::new(),
        }
    }
}

/// One condition on a single follow, inside `same_follower`.
#[derive(Debug, Clone, PartialEq)]
pub enum FollowNode {
    /// The follow holds tags.
    Tag(TagTest),
    /// The follow is one of these staff members'.
    Staff(Vec<StaffId>),
    /// The follow does not satisfy the part.
    Not(Box<FollowNode>),
    /// The follow satisfies at least one part.
    Any(Vec<FollowNode>),
}

impl FollowNode {
    /// Every tag that the node and the nodes below it name, in the order of the document.
    pub fn tags(&self) -> Vec<&TagRef> {
        match self {
            Self::Tag(test) => test.tags().iter().collect(),
            Self::Not(part) => part.tags(),
            Self::Any(parts) => parts.iter().flat_map(Self::tags).collect(),
            Self::Staff(_) => Vec::new(),
        }
    }
}

/// A tag condition and the follows it has to hold on.
#[derive(Debug, Clone, PartialEq)]
pub struct TagLeaf {
    /// Which tags.
    pub test: TagTest,
    /// On which follows.
    pub follower: Follower,
}

/// Which tags are held.
#[derive(Debug, Clone, PartialEq)]
pub enum TagTest {
    /// At least one of them.
    AnyOf(Vec<TagRef>),
    /// Every one of them.
    AllOf(Vec<TagRef>),
    /// Not one of them.
    NoneOf(Vec<TagRef>),
}

impl TagTest {
    /// The tags named.
    pub fn tags(&self) -> &[TagRef] {
        match self {
            Self::AnyOf(tags) | Self::AllOf(tags) | Self::NoneOf(tags) => tags,
        }
    }
}

/// How a document names a tag.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum TagRef {
    /// `group/tag`; refused where two living tags fit.
    Name(String),
    /// `{id: …}`; always works.
    Id(TagId),
}

/// On which of a customer's follows a tag condition has to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Follower {
    /// On at least one; customer-level assignments count too.
    Any,
    /// On every follow of the universe; false for a customer without follows.
    All,
    /// On a follow of one of these staff members.
    Named(Vec<StaffId>),
}

/// A comparison of an attribute. A missing value compares false, and so does its opposite.
#[derive(Debug, Clone, PartialEq)]
pub struct AttributeLeaf {
    /// The column of `customer`.
    pub name: String,
    /// The comparison.
    pub test: Comparison,
    /// What a customer without the value is: out (`exclude`) or in (`include`).
    pub missing: Missing,
}

words! {
    /// Whether customers without a value are in the answer.
    Missing {
        /// They are out.
        Exclude = "exclude",
        /// They are in.
        Include = "include",
    }
}

/// A comparison with a value written in the document.
#[derive(Debug, Clone, PartialEq)]
pub enum Comparison {
    /// `= != < <= > >=` with one value.
    Single(Operator, Value),
    /// `in`: equal to one of the values.
    In(Vec<Value>),
    /// `between`: a band, `from` ≤ value < `to`; an end may be left open.
    Band {
        /// The lower end, included.
        from: Option<Value>,
        /// The upper end, excluded.
        to: Option<Value>,
    },
}

/// A comparison operator. Always written, never a default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operator {
    /// `=`
    Eq,
    /// `!=`
    Ne,
    /// `<`
    Lt,
    /// `<=`
    Le,
    /// `>`
    Gt,
    /// `>=`
    Ge,
}

impl Operator {
    /// Every operator.
    pub const ALL: [Self; 6] = [Self::Eq, Self::Ne, Self::Lt, Self::Le, Self::Gt, Self::Ge];

    /// The operator as documents and SQL write it.
    pub const fn symbol(self) -> &'static str {
        match self {
            Self::Eq => "=",
            Self::Ne => "!=",
            Self::Lt => "<",
            Self::Le => "<=",
            Self::Gt => ">",
            Self::Ge => ">=",
        }
    }

    /// Reads an operator as documents write it.
    pub fn parse(symbol: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|operator| operator.symbol() == symbol)
    }
}

/// A value written in a document.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// An exact number.
    Number(Decimal),
    /// True or false.
    Bool(bool),
    /// A local time of the business calendar (a plain date is its midnight), or an instant where an offset was written.
    Time(TimeValue),
    /// `as_of.month`: the calendar month of as_of in the business time zone, 1 to 12.
    AsOfMonth,
}

/// A point in time as a document writes it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TimeValue {
    /// An absolute instant, written with its offset.
    Instant(DateTime<Utc>),
    /// A local time of the business time zone.
    Local(NaiveDateTime),
    /// `as_of`, moved back by a number of units (`as_of - 3 months`); zero for `as_of` itself.
    AsOfMinus(u32, CalendarUnit),
}

/// A unit of calendar arithmetic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum CalendarUnit {
    /// Natural days.
    Days,
    /// Calendar months, with month-end clamp.
    Months,
}

/// A measure over a customer's events of some types in a window, compared with a value.
#[derive(Debug, Clone, PartialEq)]
pub struct EventLeaf {
    /// The event types that count; at least one.
    pub events: Vec<String>,
    /// Columns or declared properties of the event that must equal one of the values.
    pub filter: Vec<(String, Vec<Value>)>,
    /// When the events happened.
    pub window: Window,
    /// Whether windows relative to as_of take in its own business day.
    pub include_today: bool,
    /// What is measured.
    pub measure: Measure,
    /// The comparison.
    pub test: Comparison,
    /// For `sum`: which currency; needed where events of several currencies are in.
    pub currency: Option<String>,
    /// For `last`: what a customer without such an event is.
    pub never: Option<Never>,
}

/// When events count. Absolute windows are half open, in the business time zone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Window {
    /// Every event before as_of.
    Lifetime,
    /// `from` ≤ occurred_at < `to`.
    Between {
        /// The start, included.
        from: TimeValue,
        /// The end, excluded.
        to: TimeValue,
    },
    /// The last n natural days before as_of's business day.
    LastDays(u32),
    /// The last n calendar months before as_of's business day, with month-end clamp.
    LastMonths(u32),
    /// The calendar month of as_of.
    ThisMonth,
    /// The calendar month before it.
    LastMonth,
}

impl Window {
    /// Whether the window ends with as_of's business day, so that it is open whether that day counts.
    pub fn ends_with_as_of_day(self) -> bool {
        match self {
            Self::LastDays(_) | Self::LastMonths(_) | Self::ThisMonth => true,
            Self::Lifetime | Self::Between { .. } | Self::LastMonth => false,
        }
    }
}

/// What is measured over the events.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Measure {
    /// How many events; 0 over none.
    Count,
    /// The exact sum of `amount`; 0 over none.
    Sum,
    /// The latest `occurred_at`; missing over none.
    Last,
    /// How many distinct values of a column or declared property; 0 over none.
    Distinct(String),
    /// On how many distinct business days; 0 over none.
    DistinctDays,
}

impl Measure {
    /// The word that names the measure in a document.
    pub fn word(&self) -> MeasureWord {
        match self {
            Self::Count => MeasureWord::Count,
            Self::Sum => MeasureWord::Sum,
            Self::Last => MeasureWord::Last,
            Self::Distinct(_) => MeasureWord::Distinct,
            Self::DistinctDays => MeasureWord::DistinctDays,
        }
    }
}

words! {
    /// A [`Measure`] without the column it may need.
    MeasureWord {
        /// [`Measure::Count`].
        Count = "count",
        /// [`Measure::Sum`].
        Sum = "sum",
        /// [`Measure::Last`].
        Last = "last",
        /// [`Measure::Distinct`].
        Distinct = "distinct",
        /// [`Measure::DistinctDays`].
        DistinctDays = "distinct_days",
    }
}

words! {
    /// What a customer who never had such an event is, in a comparison of `last`.
    Never {
        /// In the answer.
        Include = "include",
        /// Not in the answer.
        Exclude = "exclude",
        /// As if the event had happened when the customer was created.
        SinceCreated = "since_created",
    }
}

#[cfg(test)]
mod tests;
