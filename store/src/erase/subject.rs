//! Who is meant: a customer as a person writes it, by outside id or as `SPACE:ID`.

use datafusion::arrow::record_batch::RecordBatch;
use datafusion::error::DataFusionError;
use datafusion::execution::context::SessionContext;
use datafusion::parquet::errors::ParquetError;
use datafusion::prelude::{SessionConfig, col, lit};
use tagmill_schemas::ids::{CustomerKey, CustomerNo};

use super::erased::{Erased, ErasedCustomer};
use super::in_memory::{number_at, text_at};
use crate::error::StoreError;
use crate::parquet_file::parquet_error;
use crate::snapshot::Snapshot;
use crate::warehouse::Warehouse;

/// How many colons of an id are taken for the one between name space and id. No name space has that many.
const MAX_COLONS: usize = 8;

/// A customer that was found.
pub(super) enum Subject {
    /// One that is there.
    There(CustomerNo, CustomerKey),
    /// One that was erased before.
    Erased(ErasedCustomer),
}

/// Finds a customer in the newest snapshot, or among those that were erased.
///
/// # Errors
/// `StoreError::NoCustomer` where there is none, `StoreError::ManyCustomers` where a bare id fits several.
pub(super) async fn find(warehouse: &Warehouse, wanted: &str) -> Result<Subject, StoreError> {
    let erased = warehouse.erased().await?;
    let Some(head) = warehouse.head().await? else {
        return Err(StoreError::Empty { location: warehouse.location().to_string() });
    };
    let readings = readings(wanted);
    let there = customers(&head, readings.iter().map(|(_, id)| *id).collect()).await?;
    let mut fits = best(&readings, there);
    match (fits.pop(), fits.is_empty()) {
        (None, _) => {
            let before = erased_as(&erased, &readings).cloned();
            before.map(Subject::Erased).ok_or_else(|| StoreError::NoCustomer { wanted: wanted.to_owned() })
        }
        (Some((number, key)), true) => match erased.by_number(number) {
            Some(before) => Ok(Subject::Erased(before.clone())),
            None => Ok(Subject::There(number, key)),
        },
        (Some(last), false) => {
            let fits = fits.into_iter().chain([last]).map(|(_, key)| format!("`{key}`")).collect();
            Err(StoreError::ManyCustomers { wanted: wanted.to_owned(), fits })
        }
    }
}

/// The outside keys that a text may mean: an id, and the name space where it says one.
fn readings(wanted: &str) -> Vec<(Option<&str>, &str)> {
    let colons = wanted.match_indices(':').take(MAX_COLONS);
    colons.map(|(at, _)| (Some(&wanted[..at]), &wanted[at + 1..])).chain([(None, wanted)]).collect()
}

/// Those of the customers that are meant. `SPACE:ID` means that very one, even where another's bare id reads the same.
fn best(readings: &[(Option<&str>, &str)], there: Vec<(CustomerNo, CustomerKey)>) -> Vec<(CustomerNo, CustomerKey)> {
    let reads = |key: &CustomerKey, space: Option<&str>| readings.contains(&(space, key.customer_id.as_str()));
    let is_explicit = |(_, key): &(CustomerNo, CustomerKey)| reads(key, Some(key.id_space.as_str()));
    let (explicit, others): (Vec<_>, Vec<_>) = there.into_iter().partition(is_explicit);
    if explicit.is_empty() { others.into_iter().filter(|(_, key)| reads(key, None)).collect() } else { explicit }
}

/// The erased customer that is meant.
fn erased_as<'e>(erased: &'e Erased, readings: &[(Option<&str>, &str)]) -> Option<&'e ErasedCustomer> {
    readings.iter().find_map(|(space, id)| match space {
        Some(space) => erased.by_key(space, id),
        None => erased.id_spaces().find_map(|space| erased.by_key(space, id)),
    })
}

/// The customers of a snapshot that have one of these ids, in whatever name space.
async fn customers(head: &Snapshot, ids: Vec<&str>) -> Result<Vec<(CustomerNo, CustomerKey)>, StoreError> {
    let Some(provider) = head.provider("customer") else { return Ok(Vec::new()) };
    let failed = |source: DataFusionError| {
        parquet_error("look through", "tables/customer", ParquetError::External(Box::new(source)))
    };
    let plain_texts = SessionConfig::new().set_bool("datafusion.execution.parquet.schema_force_view_types", false);
    let has_one_of_them = col("customer_id").in_list(ids.into_iter().map(lit).collect(), false);
    let rows = SessionContext::new_with_config(plain_texts)
        .read_table(provider)
        .and_then(|rows| rows.filter(has_one_of_them))
        .and_then(|rows| rows.select_columns(&["customer_no", "id_space", "customer_id"]))
        .map_err(failed)?;
    let batches = rows.collect().await.map_err(failed)?;
    Ok(batches.iter().flat_map(keys_in).collect())
}

fn keys_in(batch: &RecordBatch) -> Vec<(CustomerNo, CustomerKey)> {
    let key = |row: usize| {
        let text = |name: &str| text_at(batch, name, row).unwrap_or_default().to_owned();
        let number = number_at(batch, row).and_then(|number| u32::try_from(number).ok())?;
        Some((CustomerNo(number), CustomerKey { id_space: text("id_space"), customer_id: text("customer_id") }))
    };
    (0..batch.num_rows()).filter_map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Who is meant among `corp:c1`, `shop:c1`, `corp:c2`, `corp:d` and `shop:corp:d`.
    fn check(wanted: &str, expected: &[&str]) {
        let known = [("corp", "c1"), ("shop", "c1"), ("corp", "c2"), ("corp", "d"), ("shop", "corp:d")];
        let there = known
            .map(|(space, id)| (CustomerNo(0), CustomerKey { id_space: space.to_owned(), customer_id: id.to_owned() }));
        let found: Vec<String> =
            best(&readings(wanted), there.into()).into_iter().map(|(_, key)| key.to_string()).collect();
        assert_eq!(found, expected, "{wanted}");
    }

    #[test]
    fn a_bare_id_means_whoever_has_it_and_a_name_space_means_one() {
        check("c1", &["corp:c1", "shop:c1"]);
        check("shop:c1", &["shop:c1"]);
        check("c2", &["corp:c2"]);
        check("shop:c2", &[]);
        check("corp:d", &["corp:d"]);
        check("shop:corp:d", &["shop:corp:d"]);
        check("c3", &[]);
    }
}
