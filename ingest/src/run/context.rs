//! What the steps of a run share, and the order in which they are taken.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use futures::StreamExt;
use tagmill_schemas::clock::BusinessZone;
use tagmill_store::{GuardCount, Run, SourceState, Stager, TableFill, arrow_type};

use super::conform::Conformer;
use super::input::Input;
use super::keys::{CustomerKeys, FollowKeys};
use super::mapping::Mapper;
use super::quarantine::Quarantine;
use super::report::{FileCount, RunReport, TableCount};
use super::targets::{InputColumn, ORDER, input_columns};
use super::{IngestOptions, assignments, customers, events, follows, listed, tags};
use crate::error::IngestError;
use crate::raw::FileAccount;
use crate::source::{Mode, Source, TableSelect};

/// What the steps of a run share.
pub(crate) struct RunContext<'s> {
    pub(crate) run: Run,
    pub(crate) source: &'s Source,
    pub(crate) state: SourceState,
    pub(crate) zone: BusinessZone,
    pub(crate) read_from: DateTime<Utc>,
    stated: Option<DateTime<Utc>>,
    pub(crate) is_dry_run: bool,
    pub(crate) quarantine: Quarantine,
    pub(crate) customers: CustomerKeys,
    pub(crate) follows: FollowKeys,
    /// The groups that this run lists, by name.
    pub(crate) staged_groups: HashMap<String, String>,
    /// When each tag was made, once this run has filled `tag`.
    pub(crate) tag_created: Option<HashMap<String, i64>>,
    /// When each follow began, once this run has filled `follow`.
    pub(crate) follow_added: Option<HashMap<u32, i64>>,
    /// The follows that have ended, once this run has filled `follow`.
    pub(crate) ended_follows: Option<HashSet<u32>>,
    files: Vec<FileCount>,
    tables: Vec<TableCount>,
    notes: Vec<String>,
    counts: Vec<GuardCount>,
}

/// What a run hands to the store, and its report.
pub(crate) struct Finished {
    pub(crate) counts: Vec<GuardCount>,
    pub(crate) state: SourceState,
    pub(crate) report: RunReport,
}

/// One target table of a run: how it is filled, and what is counted of it.
pub(crate) struct Target<'t> {
    pub(crate) select: &'t TableSelect,
    pub(crate) columns: &'t [InputColumn],
    pub(crate) count: TableCount,
}

impl<'s> RunContext<'s> {
    pub(crate) fn new(
        run: Run,
        source: &'s Source,
        state: Option<SourceState>,
        stated: Option<DateTime<Utc>>,
        options: &IngestOptions,
    ) -> Result<Self, IngestError> {
        let read_from = stated.unwrap_or_else(|| run.warehouse().clock().now());
        let stager = if options.is_dry_run { None } else { Some(run.stager("quarantine")?) };
        let quarantine = Quarantine::new(&source.name, run.snapshot_id(), stager);
        let zone = source.zone_or(run.warehouse().zone());
        let notes = run.notes().to_vec();
        let mut state = state.unwrap_or_default();
        state.id_space.clone_from(&source.id_space);
        Ok(Self {
            run,
            source,
            state,
            zone,
            read_from,
            stated,
            is_dry_run: options.is_dry_run,
            quarantine,
            customers: CustomerKeys::default(),
            follows: FollowKeys::default(),
            staged_groups: HashMap::new(),
            tag_created: None,
            follow_added: None,
            ended_follows: None,
            files: Vec::new(),
            tables: Vec::new(),
            notes,
            counts: Vec::new(),
        })
    }

    /// Fills every target of the input, in the order in which they refer to each other.
    pub(crate) async fn fill(&mut self, input: Input) -> Result<(), IngestError> {
        self.customers = CustomerKeys::load(self.run.base(), &self.source.id_space).await?;
        self.follows = FollowKeys::load(self.run.base()).await?;
        match input {
            Input::Files { mapper, accounts, tables, digests } => {
                for name in ORDER {
                    for select in tables.iter().filter(|table| table.table == *name) {
                        let digest = digests.get(*name).cloned().unwrap_or_default();
                        self.fill_from_select(&mapper, select, &accounts, digest).await?;
                    }
                }
                self.settle_files(&accounts)
            }
            Input::Sample { tables, digest, .. } => {
                for name in ORDER {
                    if let Some((_, batches)) = tables.iter().find(|(table, _)| table == name) {
                        self.fill_from_sample(name, batches, digest.clone()).await?;
                    }
                }
                Ok(())
            }
        }
    }

    async fn fill_from_select(
        &mut self,
        mapper: &Mapper,
        select: &TableSelect,
        accounts: &[(String, Arc<FileAccount>)],
        digest: String,
    ) -> Result<(), IngestError> {
        let with_raw = select.table == "event";
        let mapped = mapper.plan(select, with_raw).await?;
        self.declare(select)?;
        if mapped.row_wise_over.is_none() {
            self.notes
                .push(format!("the SELECT for `{}` joins or groups, so its rejected rows carry no line", select.table));
        }
        let stream = mapper.run(&select.table, &mapped).await?;
        let batches = stream.map(|batch| batch.map_err(|cause| IngestError::from_select(&select.table, cause)));
        let mut count = self.fill_target(select, &mapped.columns, Box::pin(batches), digest).await?;
        if let Some(raw) = &mapped.row_wise_over {
            let tallies = accounts.iter().filter(|(name, _)| name == raw).map(|(_, account)| account.get());
            let parsed: Option<u64> = tallies.map(|tally| tally.map(|tally| tally.parsed)).sum();
            count.filtered = parsed.map(|parsed| parsed.saturating_sub(count.mapped));
        }
        self.tables.push(count);
        Ok(())
    }

    async fn fill_from_sample(
        &mut self,
        table: &str,
        batches: &[RecordBatch],
        digest: String,
    ) -> Result<(), IngestError> {
        let select = TableSelect {
            table: table.to_owned(),
            mode: if table == "event" { Mode::Append } else { Mode::Full },
            priority: None,
            declared: Vec::new(),
            is_row_event_id: false,
            select: String::new(),
        };
        let given = batches.first().map(RecordBatch::schema);
        let columns: Vec<InputColumn> = input_columns(table, &[])
            .into_iter()
            .filter(|column| given.as_ref().is_some_and(|schema| schema.index_of(&column.name).is_ok()))
            .collect();
        let stream = futures::stream::iter(batches.iter().cloned().map(Ok)).boxed();
        let count = self.fill_target(&select, &columns, stream, digest).await?;
        self.tables.push(count);
        Ok(())
    }

    /// Conforms and applies the rows of one target.
    async fn fill_target(
        &mut self,
        select: &TableSelect,
        columns: &[InputColumn],
        mut batches: futures::stream::BoxStream<'_, Result<RecordBatch, IngestError>>,
        digest: String,
    ) -> Result<TableCount, IngestError> {
        let table = select.table.clone();
        let conformer = Conformer::new(&table, columns.to_vec(), self.zone);
        let count = TableCount { table: table.clone(), mode: select.mode.word().to_owned(), ..TableCount::default() };
        let mut target = Target { select, columns, count };
        self.refuse_taken_columns(select, columns)?;
        if table == "event" {
            let mut sink = events::EventSink::open(self).await?;
            while let Some(batch) = batches.next().await {
                let batch = batch?;
                target.count.mapped += batch.num_rows() as u64;
                let rows = conformer.conform(&batch, &mut self.quarantine)?;
                sink.take(self, &rows, &mut target).await?;
            }
            sink.finish(self, &mut target).await?;
        } else if table == "assignment" {
            let mut sink = assignments::AssignmentSink::default();
            while let Some(batch) = batches.next().await {
                let batch = batch?;
                target.count.mapped += batch.num_rows() as u64;
                let rows = conformer.conform(&batch, &mut self.quarantine)?;
                sink.take(self, &rows)?;
            }
            sink.finish(self, &mut target).await?;
        } else {
            let mut kept = Vec::new();
            while let Some(batch) = batches.next().await {
                let batch = batch?;
                target.count.mapped += batch.num_rows() as u64;
                kept.push(conformer.conform(&batch, &mut self.quarantine)?);
            }
            let fields: Vec<Field> =
                columns.iter().map(|column| Field::new(&column.name, column.ty.clone(), true)).collect();
            let rows = super::merge::concat(&Schema::new(fields).into(), &kept)?;
            drop(kept);
            match table.as_str() {
                "customer" => customers::apply(self, &rows, &mut target).await?,
                "follow" => follows::apply(self, &rows, &mut target).await?,
                "tag" | "tag_group" => tags::apply(self, &rows, &mut target).await?,
                _ => listed::apply(self, &rows, &mut target).await?,
            }
        }
        let mut count = target.count;
        self.settle_target(select, columns, &mut count, digest);
        Ok(count)
    }

    /// Closes the account of a target, and tells the guard and the source's state about it.
    fn settle_target(&mut self, select: &TableSelect, columns: &[InputColumn], count: &mut TableCount, digest: String) {
        let table = select.table.as_str();
        count.duplicate = self.quarantine.count(table, |code| code == "DUPLICATE");
        count.unmatched = self.quarantine.count(table, |code| code.starts_with("UNMATCHED_"));
        let is_rejected =
            |code: &str| code != "DUPLICATE" && !code.starts_with("UNMATCHED_") && !code.starts_with("RAW_");
        count.rejected = self.quarantine.count(table, is_rejected);
        let before = self.state.tables.get(table).map_or(0, |fill| fill.listed);
        // Rows that were brought before are listed all the same.
        let listed = count.accepted + count.duplicate;
        self.counts.push(GuardCount {
            what: format!("rows for `{table}`"),
            before,
            after: listed,
            is_full: select.mode == Mode::Full,
        });
        let fill = TableFill {
            columns: columns.iter().map(|column| column.name.clone()).collect(),
            priority: select.priority,
            input_digest: digest,
            listed,
        };
        self.state.tables.insert(table.to_owned(), fill);
    }

    /// Puts unparsable rows into quarantine and closes the accounts of the raw files.
    fn settle_files(&mut self, accounts: &[(String, Arc<FileAccount>)]) -> Result<(), IngestError> {
        for (name, account) in accounts {
            let Some(tally) = account.get() else {
                self.notes.push(format!("no SELECT read the raw file `{}` to its end", account.path()));
                continue;
            };
            for row in &tally.unparsable {
                let place =
                    super::quarantine::Place { file: Some(tally.path.clone()), line: i64::try_from(row.line).ok() };
                let refusal = super::quarantine::Refusal::new(row.code, row.reason.clone());
                self.quarantine.add(name, &place, refusal, || row.raw.clone())?;
            }
            self.files.push(FileCount {
                path: tally.path.clone(),
                raw: tally.raw,
                parsed: tally.parsed,
                unparsable: tally.unparsable_count,
            });
        }
        Ok(())
    }

    /// Adds declared columns to the target.
    fn declare(&mut self, select: &TableSelect) -> Result<(), IngestError> {
        if select.declared.is_empty() {
            return Ok(());
        }
        let fields: Vec<Field> =
            select.declared.iter().map(|(name, ty)| Field::new(name, arrow_type(*ty), true)).collect();
        Ok(self.run.declare(&select.table, &Schema::new(fields))?)
    }

    /// Two sources fill one column of a shared id space only where both say who wins.
    fn refuse_taken_columns(&self, select: &TableSelect, columns: &[InputColumn]) -> Result<(), IngestError> {
        for (other, state) in self.others() {
            let Some(fill) = state.tables.get(&select.table) else { continue };
            let is_ranked = fill.priority.is_some() && select.priority.is_some();
            let is_shared = select.table == "customer" && state.id_space == self.source.id_space;
            let taken =
                columns.iter().find(|column| column.name != "customer_id" && fill.columns.contains(&column.name));
            if let (true, false, Some(column)) = (is_shared, is_ranked, taken) {
                return Err(IngestError::ColumnTaken {
                    table: select.table.clone(),
                    column: column.name.clone(),
                    other: other.clone(),
                });
            }
        }
        Ok(())
    }

    /// The instant by which what has been read so far had happened: the one that the source states, else now.
    pub(crate) fn read_by(&self) -> DateTime<Utc> {
        self.stated.unwrap_or_else(|| self.run.warehouse().clock().now())
    }

    /// What other sources brought so far.
    pub(crate) fn others(&self) -> impl Iterator<Item = (&String, &SourceState)> {
        let sources = self.run.base().map(|base| &base.row().sources);
        sources.into_iter().flatten().filter(|(name, _)| **name != self.source.name)
    }

    /// Stages batches of a table; a dry run stages nothing.
    pub(crate) async fn stage(
        &mut self,
        table: &'static str,
        bucket: Option<u32>,
        batches: Vec<RecordBatch>,
    ) -> Result<(), IngestError> {
        if self.is_dry_run || batches.iter().all(|batch| batch.num_rows() == 0) {
            return Ok(());
        }
        let stager: Stager = self.run.stager(table)?;
        let staged = tokio::task::spawn_blocking(move || stager.stage(bucket, batches)).await;
        self.run.add(table, staged.map_err(IngestError::internal)??);
        Ok(())
    }

    /// Ends reading: the quarantine is staged, and the report adds up.
    pub(crate) async fn finish(mut self) -> Result<(Run, Finished), IngestError> {
        let read_until = self.read_by();
        let refused = self.quarantine.counts().iter().map(|(t, code, count)| (t.clone(), (*code).to_owned(), *count));
        let report = RunReport {
            source: self.source.name.clone(),
            read_from: self.read_from,
            read_until,
            files: self.files,
            tables: self.tables,
            refused: refused.collect(),
            notes: self.notes,
        };
        if let Some(table) = report.tables.iter().find(|table| !table.adds_up()) {
            return Err(IngestError::internal(format!("the rows of `{}` do not add up: {table:?}", table.table)));
        }
        for staged in self.quarantine.finish()? {
            self.run.add("quarantine", staged);
        }
        self.state.last_read_from = Some(self.read_from);
        Ok((self.run, Finished { counts: self.counts, state: self.state, report }))
    }
}
