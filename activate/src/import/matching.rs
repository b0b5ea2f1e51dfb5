//! What becomes of each uploaded row, decided from the rows and a directory alone.

use std::collections::HashMap;

use tagmill_schemas::documents::import::{ImportOn, UploadRow};
use tagmill_schemas::ids::{CustomerKey, CustomerNo, StaffId};

use super::directory::{ActiveFollow, Directory};
use super::outcome::{MAX_ID_BYTES, RowOutcome, WhyNot};
use crate::holders::Holder;

/// Who is to hold the tags by a row: the customer, on these follows or by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Listed {
    pub(super) customer: CustomerKey,
    pub(super) customer_no: CustomerNo,
    /// At least one, with the follow's staff member.
    pub(super) holders: Vec<(Holder, Option<StaffId>)>,
}

/// Decides every row, in order.
///
/// A row is a duplicate where all that it would tag is tagged by earlier rows, however they are written, or where it
/// repeats an earlier row that was not matched to the letter.
pub(super) fn judge(
    rows: &[UploadRow],
    directory: &Directory<'_>,
    on: ImportOn,
    is_inside: impl Fn(CustomerNo) -> bool,
) -> Vec<Result<Listed, WhyNot>> {
    let mut seen = Seen::default();
    let verdict = |row| -> Result<Listed, WhyNot> {
        let listed = seen.first(row, find(row, directory, on))?;
        if is_inside(listed.customer_no) { Ok(listed) } else { Err(WhyNot::NotInSegment) }
    };
    rows.iter().map(verdict).collect()
}

/// Whom a row means, whatever the rows before it say.
fn find(row: &UploadRow, directory: &Directory<'_>, on: ImportOn) -> Result<Listed, WhyNot> {
    if row.customer_id.is_empty() {
        return Err(WhyNot::IdEmpty);
    }
    if row.customer_id.len() > MAX_ID_BYTES {
        return Err(WhyNot::IdTooLong);
    }
    let mut found = directory.find(row);
    let Some((customer, customer_no)) = found.pop() else {
        let is_rounded = is_rounded_number(&row.customer_id);
        return Err(if is_rounded { WhyNot::IdRounded } else { WhyNot::CustomerUnknown });
    };
    if !found.is_empty() {
        found.push((customer, customer_no));
        let mut fits: Vec<CustomerKey> = found.into_iter().map(|(key, _)| key).collect();
        fits.sort();
        return Err(WhyNot::CustomerAmbiguous { fits });
    }
    let holders = holders(row, customer_no, directory.follows_of(customer_no), on)?;
    Ok(Listed { customer, customer_no, holders })
}

/// Where the tags of a row go. A staff member in the row has to follow the customer, even where the customer is tagged.
fn holders(
    row: &UploadRow,
    customer_no: CustomerNo,
    follows: &[ActiveFollow],
    on: ImportOn,
) -> Result<Vec<(Holder, Option<StaffId>)>, WhyNot> {
    let itself = || vec![((customer_no, None), None)];
    let is_meant = |follow: &ActiveFollow| match (row.staff_id.as_deref(), on) {
        (Some(staff_id), _) => follow.staff_id.as_str() == staff_id,
        (None, ImportOn::Owner) => follow.is_owner,
        (None, ImportOn::AllActive) => true,
        (None, ImportOn::Customer) => false,
    };
    let meant: Vec<&ActiveFollow> = follows.iter().filter(|follow| is_meant(follow)).collect();
    match (row.staff_id.is_some(), on) {
        (true, _) if meant.is_empty() => Err(WhyNot::NotFollowedByStaff),
        (_, ImportOn::Customer) => Ok(itself()),
        (false, _) if meant.is_empty() => Err(WhyNot::NotFollowed),
        _ => Ok(meant
            .into_iter()
            .map(|follow| ((customer_no, Some(follow.follow_no)), Some(follow.staff_id.clone())))
            .collect()),
    }
}

/// Whether a text is a number as a spreadsheet writes one that has too many digits for it: `1.23457E+17`.
fn is_rounded_number(text: &str) -> bool {
    let is_digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let Some((mantissa, exponent)) = text.split_once("E+") else { return false };
    let (whole, rest) = mantissa.split_once('.').unwrap_or((mantissa, "0"));
    is_digits(whole) && is_digits(rest) && is_digits(exponent)
}

/// What earlier rows have said.
#[derive(Debug, Default)]
struct Seen<'r> {
    /// The row that first tags a holder.
    tagged: HashMap<Holder, u64>,
    /// The row that first said what was not matched: name space, id and staff member.
    unmatched: HashMap<(Option<&'r str>, &'r str, Option<&'r str>), u64>,
}

impl<'r> Seen<'r> {
    /// The verdict on a row, unless an earlier one says the same. What cannot be understood says nothing.
    fn first(&mut self, row: &'r UploadRow, found: Result<Listed, WhyNot>) -> Result<Listed, WhyNot> {
        match found {
            Ok(listed) => match self.earlier(&listed) {
                Some(earlier) => Err(WhyNot::SameAs { row: earlier }),
                None => {
                    for (holder, _) in &listed.holders {
                        self.tagged.entry(*holder).or_insert(row.row);
                    }
                    Ok(listed)
                }
            },
            Err(why) if why.outcome() == RowOutcome::Unmatched => {
                let said = (row.id_space.as_deref(), row.customer_id.as_str(), row.staff_id.as_deref());
                match self.unmatched.get(&said) {
                    Some(earlier) => Err(WhyNot::SameAs { row: *earlier }),
                    None => {
                        self.unmatched.insert(said, row.row);
                        Err(why)
                    }
                }
            }
            Err(why) => Err(why),
        }
    }

    /// The row before which all that is listed had not been tagged yet; `None` where some of it still is not.
    fn earlier(&self, listed: &Listed) -> Option<u64> {
        let rows: Option<Vec<u64>> =
            listed.holders.iter().map(|(holder, _)| self.tagged.get(holder).copied()).collect();
        rows?.into_iter().max()
    }
}

#[cfg(test)]
mod tests;
