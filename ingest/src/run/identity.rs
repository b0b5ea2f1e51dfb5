//! Whose an event is: the customers, by every key that names one.
//!
//! Nothing is guessed. Keys that name two customers leave an event without one, and so does a key that fits two.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashSet};

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use tagmill_schemas::ids::BUCKET_BITS;

use super::context::RunContext;
use super::keys::{HashMap, dense, read_each};
use super::mapping::Mapper;
use super::person::{KeyKind, PersonColumns, mobile_key, mobile_md5_key, pair_key, texts, told, unionid_key};
use super::quarantine::Refusal;
use crate::error::IngestError;
use crate::source::TableSelect;

/// Which keys somebody asks for, so that no others are kept in memory.
#[derive(Debug, Default)]
pub(super) struct WantedKeys([Wanted; KeyKind::COUNT]);

#[derive(Debug, Default)]
enum Wanted {
    #[default]
    Nothing,
    These(HashSet<u128>),
    All,
}

impl WantedKeys {
    /// Every key of the kinds that these columns speak of.
    pub(super) fn of_columns<'c>(columns: impl IntoIterator<Item = &'c str>) -> Self {
        let mut wanted = Self::default();
        for kind in columns.into_iter().filter_map(KeyKind::of_column) {
            wanted.0[kind as usize] = Wanted::All;
        }
        wanted
    }

    /// One key more.
    pub(super) fn add(&mut self, kind: KeyKind, key: u128) {
        match &mut self.0[kind as usize] {
            Wanted::All => {}
            Wanted::These(keys) => {
                keys.insert(key);
            }
            nothing => *nothing = Wanted::These(HashSet::from([key])),
        }
    }

    fn is_any(&self, kind: KeyKind) -> bool {
        !matches!(self.0[kind as usize], Wanted::Nothing)
    }

    /// Whether any of them is a column of `customer`.
    fn is_any_of_customers(&self) -> bool {
        let kinds = [KeyKind::CustomerId, KeyKind::Unionid, KeyKind::Mobile, KeyKind::MobileMd5];
        kinds.into_iter().any(|kind| self.is_any(kind))
    }

    fn contains(&self, kind: KeyKind, key: u128) -> bool {
        match &self.0[kind as usize] {
            Wanted::Nothing => false,
            Wanted::These(keys) => keys.contains(&key),
            Wanted::All => true,
        }
    }
}

/// The customers by their keys, as the run leaves them.
#[derive(Debug, Default)]
pub(super) struct Identities {
    wanted: WantedKeys,
    holders: [HashMap<u128, Holder>; KeyKind::COUNT],
}

/// Whose a key is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Holder {
    One(u32),
    Several,
}

/// Whose an event is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// This customer's.
    Customer(u32),
    /// Nobody's who is known yet.
    Nobody,
    /// It could be that of several, for this reason.
    Ambiguous(String),
    /// Its row does not say, and never will.
    Unnamed(Refusal),
}

impl Identities {
    /// Loads the keys that are wanted. To be asked when the run has filled `customer` and `id_map`.
    pub(super) async fn load(context: &RunContext<'_>, wanted: WantedKeys) -> Result<Self, IngestError> {
        let mut identities = Self { wanted, ..Self::default() };
        let (base, people) = (context.run.base(), &context.people);
        if identities.wanted.is_any_of_customers() {
            let sql = "SELECT customer_no, id_space, customer_id, unionid, mobile FROM customer";
            let is_changed = |number: u32| people.customers.contains_key(&(number >> BUCKET_BITS));
            read_each(base, "customer", sql, |batch| identities.take_customers(batch, is_changed)).await?;
            for batch in people.customers.values() {
                identities.take_customers(batch, |_| false)?;
            }
        }
        if identities.wanted.is_any(KeyKind::Platform) {
            match &people.id_map {
                Some(rows) => identities.take_id_map(rows)?,
                None => {
                    let sql = "SELECT platform, platform_id, customer_no FROM id_map";
                    read_each(base, "id_map", sql, |batch| identities.take_id_map(batch)).await?;
                }
            }
        }
        Ok(identities)
    }

    /// Whether none of the keys that were asked for is anybody's.
    pub(super) fn is_empty(&self) -> bool {
        self.holders.iter().all(HashMap::is_empty)
    }

    /// The customer of an outside id; `None` where it is not known or was not asked for.
    pub(super) fn customer(&self, id_space: &str, customer_id: &str) -> Option<u32> {
        match self.holders[KeyKind::CustomerId as usize].get(&pair_key(id_space, customer_id)) {
            Some(Holder::One(number)) => Some(*number),
            _ => None,
        }
    }

    /// Finds out whose a row is. Every key that it gives has its say; `by_id` knows the outside ids.
    pub(super) fn find(
        &self,
        person: &PersonColumns<'_>,
        row: usize,
        by_id: impl FnOnce(&str) -> Option<u32>,
    ) -> Found {
        let mut heard = Heard::default();
        if let Some(id) = person.customer_id(row) {
            heard.hear("customer_id", by_id(id).map(Holder::One));
        }
        let others = person.has_others().then(|| person.others(row));
        for said in others.into_iter().flatten() {
            match said.key {
                Some(key) => heard.hear(said.column, self.holders[said.kind as usize].get(&key).copied()),
                None => heard.unreadable = heard.unreadable.or(Some(said.column)),
            }
        }
        heard.conclude(person)
    }

    fn take_customers(&mut self, batch: &RecordBatch, is_left_out: impl Fn(u32) -> bool) -> Result<(), IngestError> {
        let numbers = batch.column_by_name("customer_no").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let Some(numbers) = numbers else { return Ok(()) };
        let [spaces, ids] = [texts(batch, "id_space"), texts(batch, "customer_id")];
        let [unionids, mobiles] = [texts(batch, "unionid"), texts(batch, "mobile")];
        for row in 0..batch.num_rows() {
            let number = dense(numbers.value(row))?;
            if is_left_out(number) {
                continue;
            }
            let id = told(spaces, row).zip(told(ids, row));
            let (unionid, mobile) = (told(unionids, row), told(mobiles, row));
            self.note(KeyKind::CustomerId, number, || id.map(|(space, id)| pair_key(space, id)));
            self.note(KeyKind::Unionid, number, || unionid.map(unionid_key));
            self.note(KeyKind::Mobile, number, || mobile.and_then(mobile_key));
            self.note(KeyKind::MobileMd5, number, || mobile.and_then(mobile_md5_key));
        }
        Ok(())
    }

    fn take_id_map(&mut self, batch: &RecordBatch) -> Result<(), IngestError> {
        let numbers = batch.column_by_name("customer_no").and_then(|column| column.as_primitive_opt::<Int64Type>());
        let Some(numbers) = numbers else { return Ok(()) };
        let [platforms, ids] = [texts(batch, "platform"), texts(batch, "platform_id")];
        for row in 0..batch.num_rows() {
            let place = told(platforms, row).zip(told(ids, row));
            let number = dense(numbers.value(row))?;
            self.note(KeyKind::Platform, number, || place.map(|(platform, id)| pair_key(platform, id)));
        }
        Ok(())
    }

    fn note(&mut self, kind: KeyKind, customer: u32, key: impl FnOnce() -> Option<u128>) {
        if !self.wanted.is_any(kind) {
            return;
        }
        let Some(key) = key().filter(|key| self.wanted.contains(kind, *key)) else { return };
        match self.holders[kind as usize].entry(key) {
            Entry::Vacant(free) => {
                free.insert(Holder::One(customer));
            }
            Entry::Occupied(mut held) => {
                if *held.get() != Holder::One(customer) {
                    held.insert(Holder::Several);
                }
            }
        }
    }
}

/// What the keys of one row have said so far.
#[derive(Default)]
struct Heard {
    found: Option<(&'static str, u32)>,
    conflict: Option<String>,
    has_key: bool,
    unreadable: Option<&'static str>,
}

impl Heard {
    fn hear(&mut self, column: &'static str, holder: Option<Holder>) {
        self.has_key = true;
        // Reasons are public, and most keys are not: they name columns.
        let conflict = match (holder, self.found) {
            (None, _) => None,
            (Some(Holder::Several), _) => Some(format!("`{column}` fits several customers")),
            (Some(Holder::One(number)), None) => {
                self.found = Some((column, number));
                None
            }
            (Some(Holder::One(number)), Some((first, found))) => {
                (number != found).then(|| format!("`{first}` and `{column}` name two different customers"))
            }
        };
        self.conflict = self.conflict.take().or(conflict);
    }

    fn conclude(self, person: &PersonColumns<'_>) -> Found {
        match (self.conflict, self.found, self.unreadable) {
            (Some(reason), ..) => Found::Ambiguous(reason),
            (None, Some((_, number)), _) => Found::Customer(number),
            (None, None, _) if self.has_key => Found::Nobody,
            (None, None, Some(column)) => {
                let what = if column == "mobile" { "mobile number" } else { "hash of a mobile number" };
                Found::Unnamed(Refusal::new("BAD_VALUE", format!("the value is no {what} for `{column}`")))
            }
            (None, None, None) => {
                let names = person.names();
                let verb = if names.len() == 1 { "is" } else { "are" };
                Found::Unnamed(Refusal::new("MISSING_VALUE", format!("`{}` {verb} missing", names.join("`, `"))))
            }
        }
    }
}

/// What a run has changed of that which tells whose an event is. Files that are staged cannot be asked.
#[derive(Debug, Default)]
pub(crate) struct ChangedPeople {
    /// Whether the run will ask for it: else nothing is kept.
    is_asked: bool,
    /// The customers of each bucket that the run changes, as it leaves them.
    customers: BTreeMap<u32, RecordBatch>,
    /// The id map as the run leaves it, where it changes it.
    id_map: Option<RecordBatch>,
}

impl ChangedPeople {
    /// Nothing has changed yet. Changes will be asked for where events wait for their person (`is_awaited`), and where those
    /// of the run name theirs by what customers have beside their outside id.
    pub(super) async fn expecting(mapper: Option<(&Mapper, &[TableSelect])>, is_awaited: bool) -> Self {
        let mut is_asked = is_awaited;
        let (mapper, selects) = mapper.unzip();
        for select in selects.into_iter().flatten().filter(|select| select.table == "event") {
            let Some(mapper) = mapper else { continue };
            // What is wrong with the SELECT is told when its turn has come.
            let Ok(mapped) = mapper.plan(select, false).await else { continue };
            let names = mapped.columns.iter().map(|column| column.name.as_str());
            is_asked |= WantedKeys::of_columns(names).is_any_of_customers();
        }
        Self { is_asked, ..Self::default() }
    }

    /// Notes the customers of a bucket as the run leaves them.
    pub(super) fn keep_customers(&mut self, bucket: u32, rows: &RecordBatch) -> Result<(), IngestError> {
        if self.is_asked {
            let names = ["customer_no", "id_space", "customer_id", "unionid", "mobile"];
            let indices: Vec<usize> = names.iter().filter_map(|name| rows.schema().index_of(name).ok()).collect();
            self.customers.insert(bucket, rows.project(&indices).map_err(IngestError::internal)?);
        }
        Ok(())
    }

    /// Notes the id map as the run leaves it.
    pub(super) fn keep_id_map(&mut self, rows: &RecordBatch) {
        self.id_map = Some(rows.clone());
    }
}
