//! The data files that may hold rows of a customer, and by which number each of them calls it.
//!
//! They are found by listing, so that what a run has staged, what the guard refused and what a killed run left are
//! among them. Such a run may have given its new customers numbers that a later one gave anew: which are meant is read
//! off the customers that it staged.

use std::collections::{BTreeMap, BTreeSet};

use futures::{StreamExt, stream};
use tagmill_schemas::ids::SnapshotId;
use tagmill_schemas::tables::{TABLES, Table};

use super::in_memory::{InMemory, number_at, text_at};
use super::values::Values;
use crate::arrow_types::private_columns;
use crate::delta::{LOG, open_table};
use crate::error::StoreError;
use crate::location::Location;
use crate::objects::Objects;
use crate::publish::staged_for;
use crate::warehouse::Warehouse;

/// The table of input rows that were not taken.
pub(super) const QUARANTINE: &str = "quarantine";
/// The table of events whose person is not known yet.
pub(super) const WAITING: &str = "unmatched_event";
/// How many table versions are opened at once.
const OPENED_AT_ONCE: usize = 8;

/// The data files that may hold rows of a customer.
pub(super) struct Holdings {
    /// The files, by table and path.
    pub(super) files: Vec<HeldFile>,
    /// Table to the columns that are private, as far as anybody has ever said so.
    pub(super) private: BTreeMap<&'static str, BTreeSet<String>>,
}

/// A data file that may hold rows of a customer.
#[derive(Debug)]
pub(super) struct HeldFile {
    /// Its table.
    pub(super) table: &'static Table,
    /// Its path below the warehouse.
    pub(super) path: String,
    /// The numbers by which it calls the customer; one, but for what was never published.
    pub(super) numbers: Vec<i64>,
    is_published: bool,
    /// The snapshot that it was staged for, by its name.
    run: Option<SnapshotId>,
}

impl Holdings {
    /// Finds them. The ledger and the tables must be as the last run left them.
    ///
    /// # Errors
    /// Where a kept snapshot, or a file that no snapshot holds, cannot be read.
    pub(super) async fn of(warehouse: &Warehouse, values: &Values) -> Result<Self, StoreError> {
        let location = warehouse.location();
        let published = published(warehouse).await?;
        let bucket = format!("b{:04}", values.customer_no.bucket());
        let (mut files, mut private) = (Vec::new(), BTreeMap::new());
        for table in TABLES.iter().filter(|table| is_about_customers(table)) {
            private.insert(table.name, private_columns(table, &open_table(location, table.name, None).await?.schema));
            let folder = location.table_folder(table.name);
            for object in location.objects().list(&folder).await? {
                let is_published = published.contains(&(table.name.to_owned(), object.path.clone()));
                let is_elsewhere = table.is_bucketed && is_published && !is_in(&object.path, &bucket);
                if is_data(&object.path) && !is_elsewhere {
                    let (path, run) = (format!("{folder}/{}", object.path), staged_for(&object.path));
                    files.push(HeldFile { table, path, numbers: Vec::new(), is_published, run });
                }
            }
        }
        let provisional = Provisional::read(location.objects(), &files, values).await?;
        for file in &mut files {
            file.numbers = provisional.numbers_in(file, i64::from(values.customer_no.0));
        }
        Ok(Self { files, private })
    }

    /// The private columns of a table.
    pub(super) fn private_in(&self, table: &str) -> BTreeSet<String> {
        self.private.get(table).cloned().unwrap_or_default()
    }
}

impl HeldFile {
    /// Whether its rows are of customers by number.
    pub(super) fn is_by_number(&self) -> bool {
        self.table.column("customer_no").is_some()
    }

    /// Opens it; `None` where it is gone, as it may be to who holds no lock, and where it is no Parquet and nobody's.
    pub(super) async fn open(&self, objects: &Objects) -> Result<Option<InMemory>, StoreError> {
        let Some(content) = objects.read(&self.path).await? else { return Ok(None) };
        match InMemory::open(content.into(), &self.path) {
            Err(StoreError::Parquet { .. }) if !self.is_published => Ok(None),
            opened => opened.map(Some),
        }
    }
}

/// Whether rows of a table can say something private of a customer.
fn is_about_customers(table: &Table) -> bool {
    let has_private = table.is_extensible || table.columns.iter().any(|column| column.is_private);
    has_private && (table.column("customer_no").is_some() || [QUARANTINE, WAITING].contains(&table.name))
}

/// Whether a path below a table's folder is a data file's.
fn is_data(path: &str) -> bool {
    path.ends_with(".parquet") && path.split('/').next() != Some(LOG)
}

/// Whether a path below a table's folder is in the folder of that bucket, or in none.
fn is_in(path: &str, bucket: &str) -> bool {
    path.split_once('/').is_none_or(|(folder, _)| folder == bucket)
}

/// The files of all kept snapshots: table, and path below its folder.
async fn published(warehouse: &Warehouse) -> Result<BTreeSet<(String, String)>, StoreError> {
    let (location, rows): (&Location, _) = (warehouse.location(), warehouse.ledger().await?);
    let mut opening = Vec::new();
    for table in TABLES.iter().filter(|table| is_about_customers(table)) {
        let versions: BTreeSet<u64> = rows.iter().filter_map(|row| row.tables.get(table.name).copied()).collect();
        opening.extend(versions.into_iter().map(|version| open_table(location, table.name, Some(version))));
    }
    let mut files = BTreeSet::new();
    let mut opened = stream::iter(opening).buffered(OPENED_AT_ONCE);
    while let Some(version) = opened.next().await {
        let version = version?;
        files.extend(version.files.iter().map(|file| (version.table.clone(), file.path.clone())));
    }
    Ok(files)
}

/// What runs that were never published call whom.
#[derive(Default)]
struct Provisional {
    /// Further numbers of the customer, by run.
    theirs: BTreeMap<Option<SnapshotId>, BTreeSet<i64>>,
    /// The runs that gave the customer's number to somebody else.
    given_away: BTreeSet<Option<SnapshotId>>,
}

impl Provisional {
    async fn read(objects: &Objects, files: &[HeldFile], values: &Values) -> Result<Self, StoreError> {
        let mut told = Self::default();
        let number = i64::from(values.customer_no.0);
        let columns = ["customer_no", "id_space", "customer_id"];
        for held in files.iter().filter(|file| !file.is_published && file.table.name == "customer") {
            let Some(file) = held.open(objects).await? else { continue };
            file.each_batch(Some(&columns), |batch| {
                for row in 0..batch.num_rows() {
                    let text = |name: &str| text_at(batch, name, row).unwrap_or_default();
                    let is_theirs = values.is_key(text("id_space"), text("customer_id"));
                    match (number_at(batch, row), is_theirs) {
                        (Some(other), true) if other != number => {
                            told.theirs.entry(held.run).or_default().insert(other);
                        }
                        (Some(same), false) if same == number => {
                            told.given_away.insert(held.run);
                        }
                        _ => {}
                    }
                }
                Ok(())
            })?;
        }
        Ok(told)
    }

    fn numbers_in(&self, file: &HeldFile, number: i64) -> Vec<i64> {
        if file.is_published {
            return vec![number];
        }
        let own = Some(number).filter(|_| !self.given_away.contains(&file.run));
        own.into_iter().chain(self.theirs.get(&file.run).into_iter().flatten().copied()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_tables_that_can_say_something_private_of_a_customer_are_known() {
        let about = TABLES.iter().filter(|table| is_about_customers(table));
        let names: Vec<&str> = about.map(|table| table.name).collect();
        assert_eq!(names, ["customer", "follow", "event", "unmatched_event", "id_map", "quarantine"]);
    }

    #[test]
    fn data_is_told_from_the_log_and_a_bucket_from_the_others() {
        assert!(is_data("b0000/s000001-x.parquet") && is_data("compacted.parquet"));
        assert!(!is_data("_delta_log/00000000000000000010.checkpoint.parquet") && !is_data("notes.txt"));
        assert!(is_in("b0001/x.parquet", "b0001") && is_in("x.parquet", "b0001"));
        assert!(!is_in("b0010/x.parquet", "b0001"));
    }

    #[test]
    fn what_was_never_published_may_call_the_customer_by_another_number() {
        let table = &TABLES[0];
        let file = |is_published, run| HeldFile {
            table,
            path: String::new(),
            numbers: Vec::new(),
            is_published,
            run: Some(SnapshotId(run)),
        };
        let told = Provisional {
            theirs: BTreeMap::from([(Some(SnapshotId(3)), BTreeSet::from([8]))]),
            given_away: BTreeSet::from([Some(SnapshotId(3)), Some(SnapshotId(4))]),
        };
        assert_eq!(told.numbers_in(&file(true, 3), 7), [7]);
        assert_eq!(told.numbers_in(&file(false, 3), 7), [8]);
        assert_eq!(told.numbers_in(&file(false, 4), 7), Vec::<i64>::new());
        assert_eq!(told.numbers_in(&file(false, 5), 7), [7]);
    }
}
