//! Who holds a tag, or should: what plans are made from.

use std::collections::BTreeMap;

use tagmill_query::{Rows, View};
use tagmill_schemas::documents::plan::PlanStep;
use tagmill_schemas::ids::{CustomerKey, CustomerNo, FollowNo, StaffId, TagId};

use crate::cells::{dense, text};
use crate::error::ActivateError;

/// Who holds or should hold a tag: a customer, on one of its follows or by itself.
pub(crate) type Holder = (CustomerNo, Option<FollowNo>);
/// Holders in their order, with what a step needs to say of them.
pub(crate) type Holders = BTreeMap<Holder, Named>;

/// What a step needs to say of a holder.
#[derive(Debug, Clone)]
pub(crate) struct Named {
    /// The customer's outside key.
    pub(crate) customer: CustomerKey,
    /// The follow's staff member; `None` where there is no follow.
    pub(crate) staff_id: Option<StaffId>,
}

/// Reads holders from rows; with `only_active`, follows that are not active or half are left out.
pub(crate) async fn named_holders(
    mut rows: Rows,
    has_follow: bool,
    only_active: bool,
) -> Result<Holders, ActivateError> {
    let mut holders = BTreeMap::new();
    while let Some(batch) = rows.next().await {
        let batch = batch?;
        for row in 0..batch.num_rows() {
            let Some(customer_no) = dense(&batch, "customer_no", row)? else { continue };
            let mut holder: Holder = (CustomerNo(customer_no), None);
            let mut staff_id = None;
            if has_follow {
                holder.1 = dense(&batch, "follow_no", row)?.map(FollowNo);
                staff_id = text(&batch, "staff_id", row)?.map(StaffId);
            }
            let is_active = |status: Option<String>| matches!(status.as_deref(), Some("active" | "half"));
            if has_follow && only_active && !is_active(text(&batch, "status", row)?) {
                continue;
            }
            let customer = CustomerKey {
                id_space: text(&batch, "id_space", row)?.unwrap_or_default(),
                customer_id: text(&batch, "customer_id", row)?.unwrap_or_default(),
            };
            holders.insert(holder, Named { customer, staff_id });
        }
    }
    Ok(holders)
}

/// Who holds a tag by a source now.
pub(crate) async fn held_by(view: &View, source: &str, tag: &TagId) -> Result<Holders, ActivateError> {
    let quoted = |text: &str| text.replace('\'', "''");
    let sql = format!(
        "SELECT held.customer_no, customer.id_space, customer.customer_id, held.follow_no, follow.staff_id \
         FROM held_assignment AS held \
         JOIN customer ON customer.customer_no = held.customer_no \
         LEFT JOIN follow ON follow.follow_no = held.follow_no \
         WHERE held.source = '{}' AND held.tag_id = '{}'",
        quoted(source),
        quoted(tag.as_str())
    );
    named_holders(view.sql(&sql).await?, true, false).await
}

/// A step that makes a change for a holder; its number is still to be given.
pub(crate) fn step(
    holder: Holder,
    named: &Named,
    (add, remove): (Vec<TagId>, Vec<TagId>),
    evidence: String,
) -> PlanStep {
    PlanStep {
        step_no: 0,
        customer_no: holder.0,
        customer: named.customer.clone(),
        follow_no: holder.1,
        staff_id: named.staff_id.clone(),
        add,
        remove,
        evidence,
    }
}
