//! Reading the rows of a listing without regard to each other: whom each is about, and which rows mention the same tag.
//! What a mention means is left to the listing, because it may change from one row to the next.

use std::sync::Arc;

use datafusion::arrow::array::{AsArray, RecordBatch, StringArray, TimestampMicrosecondArray};
use datafusion::arrow::datatypes::TimestampMicrosecondType;

use super::super::conform::Conformed;
use super::super::keys::{CustomerKeys, FollowKeys, HashMap, Near, cell};
use super::listing::NO_FOLLOW;

/// Finds out whom rows are about.
pub(in crate::run) struct AssignmentReader {
    pub(super) customers: Arc<CustomerKeys>,
    pub(super) follows: Arc<FollowKeys>,
}

/// What the rows of a conformed batch say, of those that fit and of those that do not.
pub(in crate::run) struct ReadAssignments {
    pub(super) rows: ReadRows,
    pub(super) refused: ReadRows,
}

/// What rows say.
pub(super) struct ReadRows {
    /// Whom each is about.
    pub(super) whom: Vec<Whom>,
    pub(super) mentions: Mentions,
}

/// Whom a row is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whom {
    /// It does not say.
    Untold,
    /// Somebody by an id that no customer bears.
    UnknownCustomer,
    /// A customer and somebody who is not known to follow them.
    UnknownFollow,
    /// This customer and this follow, or [`NO_FOLLOW`].
    Known { customer: u32, follow: u32 },
}

/// The tags that rows mention, those with the same words as one.
#[derive(Debug, Default)]
pub(super) struct Mentions {
    /// For each row, which mention it has; `None` where it says nothing of a tag.
    of_rows: Vec<Option<u32>>,
    /// For each mention, the first row that has it.
    first_rows: Vec<usize>,
}

/// The columns of a batch, looked up once.
pub(super) struct Columns<'b> {
    pub(super) customer: Option<&'b StringArray>,
    pub(super) staff: Option<&'b StringArray>,
    pub(super) tag: Option<&'b StringArray>,
    pub(super) group: Option<&'b StringArray>,
    pub(super) name: Option<&'b StringArray>,
    pub(super) at: Option<&'b TimestampMicrosecondArray>,
    rows: usize,
}

impl<'b> Columns<'b> {
    pub(super) fn of(batch: &'b RecordBatch) -> Self {
        let text = |name: &str| batch.column_by_name(name).and_then(|column| column.as_string_opt::<i32>());
        Self {
            customer: text("customer_id"),
            staff: text("staff_id"),
            tag: text("tag_id"),
            group: text("group_name"),
            name: text("tag_name"),
            at: batch.column_by_name("assigned_at").and_then(|c| c.as_primitive_opt::<TimestampMicrosecondType>()),
            rows: batch.num_rows(),
        }
    }

    /// The id of the tag that a row mentions.
    pub(super) fn tag_id(&self, row: usize) -> Option<&'b str> {
        cell(self.tag, row)
    }

    /// The group and the name of the tag that a row mentions, where it tells both.
    pub(super) fn tag_named(&self, row: usize) -> Option<(&'b str, &'b str)> {
        cell(self.group, row).zip(cell(self.name, row))
    }
}

impl AssignmentReader {
    /// Reads a batch.
    pub(in crate::run) fn read(&self, conformed: &Conformed) -> ReadAssignments {
        let [rows, refused] = [&conformed.rows, &conformed.refused].map(|rows| {
            let columns = Columns::of(rows);
            ReadRows { whom: self.whom(&columns), mentions: Mentions::of(&columns) }
        });
        ReadAssignments { rows, refused }
    }

    fn whom(&self, columns: &Columns<'_>) -> Vec<Whom> {
        let mut near = Near::default();
        // Rows mostly come by follow, so that the last answer is mostly the next one.
        let mut last: Option<(u32, &str, Whom)> = None;
        let find = |row: usize| {
            let Some(id) = cell(columns.customer, row).filter(|id| !id.is_empty()) else { return Whom::Untold };
            let Some(customer) = self.customers.get_near(id, &mut near) else { return Whom::UnknownCustomer };
            let Some(staff) = cell(columns.staff, row) else { return Whom::Known { customer, follow: NO_FOLLOW } };
            if let Some((.., whom)) = last.filter(|(other, by, _)| *other == customer && *by == staff) {
                return whom;
            }
            let follow = self.follows.get(staff, customer);
            let whom = follow.map_or(Whom::UnknownFollow, |follow| Whom::Known { customer, follow });
            last = Some((customer, staff, whom));
            whom
        };
        (0..columns.rows).map(find).collect()
    }
}

impl Mentions {
    fn of(columns: &Columns<'_>) -> Self {
        let (mut by_id, mut by_name) = (HashMap::<&str, u32>::default(), HashMap::<(&str, &str), u32>::default());
        let mut mentions = Self { of_rows: Vec::with_capacity(columns.rows), first_rows: Vec::new() };
        for row in 0..columns.rows {
            // Fewer than there are rows in a batch.
            let next = mentions.first_rows.len() as u32;
            let mention = match (columns.tag_id(row), columns.tag_named(row)) {
                (Some(id), _) => Some(*by_id.entry(id).or_insert(next)),
                (None, Some(named)) => Some(*by_name.entry(named).or_insert(next)),
                (None, None) => None,
            };
            if mention == Some(next) {
                mentions.first_rows.push(row);
            }
            mentions.of_rows.push(mention);
        }
        mentions
    }

    /// Which mention a row has; `None` where it says nothing of a tag.
    pub(super) fn of_row(&self, row: usize) -> Option<u32> {
        self.of_rows.get(row).copied().flatten()
    }

    /// A row for each mention: the first that has it.
    pub(super) fn first_rows(&self) -> &[usize] {
        &self.first_rows
    }
}

#[cfg(test)]
mod tests {
    use datafusion::arrow::array::ArrayRef;

    use super::*;

    fn rows(columns: &[(&str, &[Option<&str>])]) -> RecordBatch {
        let columns = columns.iter().map(|(name, values)| {
            let array: ArrayRef = Arc::new(StringArray::from(values.to_vec()));
            (*name, array, true)
        });
        RecordBatch::try_from_iter_with_nullable(columns).expect("a batch")
    }

    #[test]
    fn a_row_is_about_the_customer_and_the_follow_that_it_names_whatever_came_before_it() {
        let (mut customers, mut follows, mut near) = (CustomerKeys::default(), FollowKeys::default(), Near::default());
        let [a, b] = ["a", "b"].map(|id| customers.get_or_give(id, &mut near).0);
        let [li, wang] = [("li", a), ("wang", b)].map(|(staff, customer)| follows.get_or_give(staff, customer).0);
        let reader = AssignmentReader { customers: Arc::new(customers), follows: Arc::new(follows) };
        let known = |customer, follow| Whom::Known { customer, follow };
        let cases = [
            (Some("a"), Some("li"), known(a, li)),
            (Some("a"), Some("li"), known(a, li)),
            (Some("b"), Some("li"), Whom::UnknownFollow),
            (Some("b"), Some("wang"), known(b, wang)),
            (Some("b"), None, known(b, NO_FOLLOW)),
            (Some("x"), Some("wang"), Whom::UnknownCustomer),
            (Some(""), Some("wang"), Whom::Untold),
            (None, None, Whom::Untold),
            (Some("a"), Some("li"), known(a, li)),
        ];
        let columns = [("customer_id", cases.map(|case| case.0)), ("staff_id", cases.map(|case| case.1))];
        let batch = rows(&[(columns[0].0, &columns[0].1), (columns[1].0, &columns[1].1)]);
        let read = reader.read(&Conformed { refused: batch.slice(5, 2), rows: batch });
        assert_eq!(read.rows.whom, cases.map(|case| case.2));
        assert_eq!(read.refused.whom, [Whom::UnknownCustomer, Whom::Untold]);
    }

    #[test]
    fn rows_with_the_same_words_mention_the_same_tag() {
        let batch = rows(&[
            ("tag_id", &[Some("t1"), None, Some("t2"), Some("t1"), None, None, None]),
            ("group_name", &[Some("A"), Some("A"), None, None, Some("A"), Some("A"), None]),
            ("tag_name", &[Some("B"), Some("B"), None, None, Some("B"), None, Some("B")]),
        ]);
        let mentions = Mentions::of(&Columns::of(&batch));
        let told: Vec<_> = (0..7).map(|row| mentions.of_row(row)).collect();
        assert_eq!(told, [Some(0), Some(1), Some(2), Some(0), Some(1), None, None]);
        assert_eq!(mentions.first_rows(), [0, 1, 2]);
    }
}
