//! `tagmill erase`: a customer's private values, gone from everything that is kept.

use arrow::array::RecordBatch;
use tagmill_schemas::clock::BusinessZone;
use tagmill_store::erase::{Counts, Erasing, Erasure, Found, Left};

use super::columns::{batch, count_column, text_column};
use crate::cli::EraseArgs;
use crate::errors::SurfaceError;
use crate::globals::Globals;
use crate::output::{Format, busy, local_time, say, thousands, write_batch};

/// Erases a customer and looks through everything afterwards, or says what would be replaced.
///
/// # Errors
/// `StoreError::NoCustomer` and `StoreError::ManyCustomers`, `StoreError::Locked` where a run is writing,
/// `SurfaceError::EraseLeft` where something of the customer is left.
pub(crate) async fn erase_customer(globals: &Globals, args: &EraseArgs) -> anyhow::Result<()> {
    let format = args.output.resolved_format()?;
    let by = globals.actor.trim();
    if by.is_empty() {
        return Err(SurfaceError::usage("the name of who is acting is empty", "`--as NAME` says who").into());
    }
    let warehouse = globals.open_warehouse().await?;
    let erasing = {
        let _shown = busy("looking for the customer in everything that is kept");
        if args.dry_run {
            warehouse.erase_dry(&args.customer).await?
        } else {
            warehouse.erase(&args.customer, by).await?
        }
    };
    let none = Counts::default();
    let counts = match &erasing {
        Erasing::Done(erasure) => &erasure.counts,
        Erasing::Before(_) => &none,
    };
    // To people the words say it all where nothing was replaced; a program gets its empty list.
    if !counts.tables.is_empty() || format != Format::Table {
        write_batch(&replaced(counts)?, format, &args.output.destination())?;
    }
    told(&erasing, warehouse.zone()).into_iter().for_each(say);
    match &erasing {
        Erasing::Done(Erasure { found: Some(found), .. }) if !found.left.is_empty() => {
            Err(SurfaceError::EraseLeft { places: found.left.len() }.into())
        }
        _ => Ok(()),
    }
}

/// A row for each table, and one for the plans.
fn replaced(counts: &Counts) -> anyhow::Result<RecordBatch> {
    let tables = || counts.tables.iter().map(|told| (told.table.as_str(), told.files, Some(told.rows)));
    let plans = || (counts.plans > 0).then_some(("plan", counts.plans, None));
    let rows = || tables().chain(plans());
    batch([
        ("what", text_column(rows().map(|(what, ..)| Some(what)))),
        ("files", count_column(rows().map(|(_, files, _)| Some(files)))),
        ("rows", count_column(rows().map(|(.., rows)| rows))),
    ])
}

/// What was done, in lines.
fn told(erasing: &Erasing, zone: BusinessZone) -> Vec<String> {
    let erasure = match erasing {
        Erasing::Done(erasure) => erasure,
        Erasing::Before(before) => {
            let (number, at) = (before.customer_no.0, local_time(before.erased_at, zone));
            return vec![format!("customer {number} was erased on {at} by {}; nothing was changed", before.by)];
        }
    };
    let mut lines = erasure.notes.clone();
    lines.push(in_numbers(erasure));
    lines.extend(erasure.found.iter().flat_map(looked_through));
    lines
}

fn in_numbers(erasure: &Erasure) -> String {
    let Erasure { customer_no, tombstone, counts, found, .. } = erasure;
    let files: u64 = counts.tables.iter().map(|told| told.files).sum();
    let rows: u64 = counts.tables.iter().map(|told| told.rows).sum();
    let much = format!("{} rows in {} files and {} plans", thousands(rows), thousands(files), thousands(counts.plans));
    match found {
        Some(_) => format!("erased customer {}, from now on `{tombstone}`: {much}", customer_no.0),
        None => format!("dry run: customer {} would become `{tombstone}`: {much}", customer_no.0),
    }
}

fn looked_through(found: &Found) -> Vec<String> {
    let Found { objects, bytes, left, of_others } = found;
    let all = format!("looked through {} objects with {} bytes", thousands(*objects), thousands(*bytes));
    let mut lines: Vec<String> = left.iter().map(left_in_words).collect();
    lines.push(if left.is_empty() { format!("{all}: nothing of it is left") } else { all });
    if *of_others > 0 {
        lines.push(format!(
            "{} cells about others hold a name or a number that it had too; they are theirs and stay",
            thousands(*of_others)
        ));
    }
    lines
}

fn left_in_words(left: &Left) -> String {
    let whose = if left.is_yours { "yours, and not changed" } else { "kept by tagmill" };
    format!("left in `{}` ({whose}): {}", left.path, left.what)
}

#[cfg(test)]
mod tests {
    use tagmill_schemas::ids::CustomerNo;
    use tagmill_store::erase::ErasedRows;

    use super::*;

    fn erasure(found: Option<Found>) -> Erasing {
        let in_table = |table: &str, files, rows| ErasedRows { table: table.to_owned(), files, rows };
        let counts = Counts { tables: vec![in_table("customer", 3, 3), in_table("event", 2, 1200)], plans: 1 };
        let (customer_no, tombstone) = (CustomerNo(7), "erased:7".to_owned());
        Erasing::Done(Erasure { customer_no, tombstone, counts, found, notes: vec!["mended".to_owned()] })
    }

    #[test]
    fn a_dry_run_says_what_would_be_and_an_erasure_what_was_and_what_is_left() {
        let zone = BusinessZone::default();
        let much = "`erased:7`: 1,203 rows in 5 files and 1 plans";
        assert_eq!(told(&erasure(None), zone), ["mended", &format!("dry run: customer 7 would become {much}")]);
        let clean = Found { objects: 40, bytes: 12_345, ..Found::default() };
        let done = format!("erased customer 7, from now on {much}");
        let looked = "looked through 40 objects with 12,345 bytes";
        let all_gone = format!("{looked}: nothing of it is left");
        assert_eq!(told(&erasure(Some(clean.clone())), zone), ["mended", &done, &all_gone]);
        let vip = Left { path: "audiences/vip.csv".to_owned(), what: "name".to_owned(), is_yours: true };
        let found = Found { left: vec![vip], of_others: 2, ..clean };
        let lines = told(&erasure(Some(found)), zone);
        assert_eq!(lines[2..4], ["left in `audiences/vip.csv` (yours, and not changed): name", looked]);
        assert!(lines[4].starts_with("2 cells about others hold"), "{lines:?}");
    }
}
