//! The customers that an upload may mean, and who follows them: as much of a snapshot as its rows ask for.

use std::collections::HashMap;

use tagmill_query::View;
use tagmill_schemas::documents::import::UploadRow;
use tagmill_schemas::ids::{CustomerKey, CustomerNo, FollowNo, StaffId};

use super::outcome::MAX_ID_BYTES;
use crate::cells::{dense, flag, text, texts};
use crate::error::ActivateError;

/// How many colons of an id are taken for the one between name space and id. No name space has that many.
const MAX_COLONS: usize = 8;

/// A follow that is active or half.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct ActiveFollow {
    pub(super) follow_no: FollowNo,
    pub(super) staff_id: StaffId,
    pub(super) is_owner: bool,
}

/// Customers by the ids that the rows of an upload may mean, with their active follows.
#[derive(Debug, Default)]
pub(super) struct Directory<'r> {
    /// By outside id: the name spaces that have it.
    customers: HashMap<&'r str, Vec<(String, CustomerNo)>>,
    follows: HashMap<CustomerNo, Vec<ActiveFollow>>,
}

impl<'r> Directory<'r> {
    /// Looks the rows up in a snapshot. It is read through once, however many rows there are, and what no row asks for
    /// is not kept.
    ///
    /// # Errors
    /// What the questions may fail with.
    pub(super) async fn load(view: &View, rows: &'r [UploadRow]) -> Result<Self, ActivateError> {
        let mut directory = Self::wanting(rows);
        let mut customers = view.sql("SELECT customer_no, id_space, customer_id FROM customer").await?;
        while let Some(batch) = customers.next().await {
            let batch = batch?;
            for (row, id) in texts(&batch, "customer_id")?.iter().enumerate() {
                let Some(id) = id.filter(|id| directory.customers.contains_key(*id)) else { continue };
                let id_space = text(&batch, "id_space", row)?.unwrap_or_default();
                if let Some(no) = dense(&batch, "customer_no", row)? {
                    directory.add_customer(id, id_space, CustomerNo(no));
                }
            }
        }
        let active = "SELECT customer_no, follow_no, staff_id, is_owner FROM follow WHERE status IN ('active', 'half')";
        let mut follows = view.sql(active).await?;
        while let Some(batch) = follows.next().await {
            let batch = batch?;
            for row in 0..batch.num_rows() {
                let customer_no = dense(&batch, "customer_no", row)?.map(CustomerNo);
                let Some(customer_no) = customer_no.filter(|no| directory.follows.contains_key(no)) else { continue };
                let Some(follow_no) = dense(&batch, "follow_no", row)?.map(FollowNo) else { continue };
                let staff_id = StaffId(text(&batch, "staff_id", row)?.unwrap_or_default());
                let is_owner = flag(&batch, "is_owner", row)?.unwrap_or(false);
                directory.add_follow(customer_no, ActiveFollow { follow_no, staff_id, is_owner });
            }
        }
        Ok(directory)
    }

    /// An empty directory that knows which ids the rows ask for.
    pub(super) fn wanting(rows: &'r [UploadRow]) -> Self {
        let asked = rows.iter().filter(|row| row.customer_id.len() <= MAX_ID_BYTES);
        let ids = asked.flat_map(|row| readings(row).into_iter().map(|(_, id)| (id, Vec::new())));
        Self { customers: ids.collect(), follows: HashMap::new() }
    }

    /// Adds a customer. One whose id no row asks for is left out.
    pub(super) fn add_customer(&mut self, id: &str, id_space: String, customer_no: CustomerNo) {
        if let Some(spaces) = self.customers.get_mut(id) {
            spaces.push((id_space, customer_no));
            self.follows.entry(customer_no).or_default();
        }
    }

    /// Adds a follow. That of a customer who was not added is left out.
    pub(super) fn add_follow(&mut self, customer_no: CustomerNo, follow: ActiveFollow) {
        if let Some(follows) = self.follows.get_mut(&customer_no) {
            follows.push(follow);
        }
    }

    /// The customers that a row may mean.
    ///
    /// `SPACE:ID` means that very customer, even where somebody else's bare id reads the same.
    pub(super) fn find(&self, row: &UploadRow) -> Vec<(CustomerKey, CustomerNo)> {
        let (mut explicit, mut bare) = (Vec::new(), Vec::new());
        for (wanted, id) in readings(row) {
            for (id_space, customer_no) in self.customers.get(id).into_iter().flatten() {
                let key = CustomerKey { id_space: id_space.clone(), customer_id: id.to_owned() };
                match wanted {
                    None => bare.push((key, *customer_no)),
                    Some(wanted) if wanted == id_space.as_str() => explicit.push((key, *customer_no)),
                    Some(_) => {}
                }
            }
        }
        if explicit.is_empty() { bare } else { explicit }
    }

    /// The active follows of a customer.
    pub(super) fn follows_of(&self, customer_no: CustomerNo) -> &[ActiveFollow] {
        self.follows.get(&customer_no).map(Vec::as_slice).unwrap_or_default()
    }
}

/// The outside keys that a row may mean: an id, and the name space where the row says one.
fn readings(row: &UploadRow) -> Vec<(Option<&str>, &str)> {
    let id = row.customer_id.as_str();
    if let Some(id_space) = row.id_space.as_deref() {
        return vec![(Some(id_space), id)];
    }
    let with_space = id.match_indices(':').take(MAX_COLONS).map(|(at, _)| (Some(&id[..at]), &id[at + 1..]));
    with_space.chain(std::iter::once((None, id))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(id_space: Option<&str>, customer_id: &str) -> UploadRow {
        let id_space = id_space.map(str::to_owned);
        UploadRow { row: 2, id_space, customer_id: customer_id.to_owned(), staff_id: None }
    }

    /// What a row finds among the customers `corp:c1`, `shop:c1`, `corp:c2`, `corp:d` and `shop:corp:d`.
    fn check(row: UploadRow, expected: &[&str]) {
        let rows = [row];
        let mut directory = Directory::wanting(&rows);
        let known = [("corp", "c1"), ("shop", "c1"), ("corp", "c2"), ("corp", "d"), ("shop", "corp:d")];
        for (no, (id_space, id)) in (0..).zip(known) {
            directory.add_customer(id, id_space.to_owned(), CustomerNo(no));
        }
        let found: Vec<String> = directory.find(&rows[0]).into_iter().map(|(key, _)| key.to_string()).collect();
        assert_eq!(found, expected, "{rows:?}");
    }

    #[test]
    fn a_bare_id_finds_every_customer_that_has_it_and_a_name_space_finds_one() {
        check(row(None, "c1"), &["corp:c1", "shop:c1"]);
        check(row(None, "shop:c1"), &["shop:c1"]);
        check(row(Some("shop"), "c1"), &["shop:c1"]);
        check(row(None, "c2"), &["corp:c2"]);
        check(row(None, "shop:c2"), &[]);
        check(row(Some("shop"), "c2"), &[]);
        check(row(None, "c3"), &[]);
    }

    #[test]
    fn an_id_with_a_colon_is_read_as_space_and_id_where_there_is_such_a_customer() {
        check(row(None, "corp:d"), &["corp:d"]);
        check(row(None, "shop:corp:d"), &["shop:corp:d"]);
        check(row(Some("shop"), "corp:d"), &["shop:corp:d"]);
    }

    #[test]
    fn what_no_row_asks_for_is_not_kept() {
        let rows = [row(None, "c1"), row(None, &"x".repeat(MAX_ID_BYTES + 1))];
        let mut directory = Directory::wanting(&rows);
        directory.add_customer("c2", "corp".to_owned(), CustomerNo(2));
        let follow = ActiveFollow { follow_no: FollowNo(1), staff_id: StaffId::new("wang"), is_owner: true };
        directory.add_follow(CustomerNo(2), follow);
        assert_eq!((directory.customers.len(), directory.follows.len()), (1, 0));
    }
}
