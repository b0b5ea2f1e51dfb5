//! Reading a customer's private values from every file that holds any: a name, a number or a remark may have changed
//! from snapshot to snapshot.

use std::borrow::Cow;
use std::collections::BTreeSet;

use super::files::{HeldFile, Holdings};
use super::in_memory::{cell_text, is_of, text_at};
use super::values::Values;
use crate::error::StoreError;
use crate::objects::Objects;

/// Takes in every private value of the customer, and notes which of them others have too.
///
/// # Errors
/// Where a file cannot be read.
pub(super) async fn collect(objects: &Objects, holdings: &Holdings, values: &mut Values) -> Result<(), StoreError> {
    for file in holdings.files.iter().filter(|file| file.is_by_number()) {
        each_private_cell(objects, holdings, file, |cell| {
            if cell.is_theirs {
                values.add(file.table.name, cell.column, cell.text.into_owned(), cell.platform);
            }
        })
        .await?;
    }
    let mut shared = BTreeSet::new();
    for file in holdings.files.iter().filter(|file| file.is_by_number()) {
        each_private_cell(objects, holdings, file, |cell| {
            if !cell.is_theirs && values.hold(&cell.text) {
                shared.insert(cell.text.into_owned());
            }
        })
        .await?;
    }
    values.shared = shared;
    values.settle();
    Ok(())
}

/// A private cell of a row that is some customer's.
struct PrivateCell<'c> {
    is_theirs: bool,
    column: &'c str,
    text: Cow<'c, str>,
    /// The platform of the row, where it has one.
    platform: Option<&'c str>,
}

async fn each_private_cell(
    objects: &Objects,
    holdings: &Holdings,
    held: &HeldFile,
    mut take: impl FnMut(PrivateCell<'_>),
) -> Result<(), StoreError> {
    let Some(file) = held.open(objects).await? else { return Ok(()) };
    let private = holdings.private_in(held.table.name);
    let columns: Vec<&str> = private.iter().map(String::as_str).chain(["customer_no", "platform"]).collect();
    file.each_batch(Some(&columns), |batch| {
        let theirs = is_of(batch, &held.numbers);
        for column in &private {
            let Some(cells) = batch.column_by_name(column) else { continue };
            for (row, is_theirs) in theirs.iter().copied().enumerate() {
                if let Some(text) = cell_text(cells, row) {
                    let platform = if is_theirs { text_at(batch, "platform", row) } else { None };
                    take(PrivateCell { is_theirs, column, text, platform });
                }
            }
        }
        Ok(())
    })
}
