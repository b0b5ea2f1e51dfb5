//! What the steps of a run share, and the order in which they are taken.

use std::collections::{BTreeMap, HashMap};

use chrono::{DateTime, Utc};
use datafusion::arrow::datatypes::{Field, Schema};
use datafusion::arrow::record_batch::RecordBatch;
use futures::StreamExt;
use sha2::{Digest, Sha256};
use tagmill_schemas::clock::BusinessZone;
use tagmill_store::{GuardCount, Run, SourceState, Stager, TableFill, arrow_type};

use super::conform::Conformer;
use super::keys::{CustomerKeys, FollowKeys};
use super::mapping::Mapper;
use super::quarantine::Quarantine;
use super::report::{FileCount, RunReport, TableCount};
use super::targets::{InputColumn, ORDER, input_columns};
use super::{IngestOptions, assignments, customers, events, follows, listed, tags};
use crate::error::IngestError;
use crate::raw::{self, FileAccount};
use crate::sample::{CorpSize, SampleCorp};
use crate::source::{Mode, SampleSpec, Source, SourceKind, TableSelect};

/// What a run reads.
pub(crate) enum Input {
    /// Raw files and their SELECTs, opened.
    Files {
        mapper: Mapper,
        accounts: Vec<(String, std::sync::Arc<FileAccount>)>,
        tables: Vec<TableSelect>,
        digests: BTreeMap<String, String>,
    },
    /// One pull of the sample corp.
    Sample { tables: Vec<(&'static str, Vec<RecordBatch>)>, taken_at: DateTime<Utc>, digest: String },
}

impl Input {
    /// Opens the input; `None` where it is the one of the source's last run.
    pub(crate) fn open(
        source: &Source,
        state: Option<&SourceState>,
        options: &IngestOptions,
    ) -> Result<Option<Self>, IngestError> {
        match &source.kind {
            SourceKind::Files { files, tables } => {
                let mut file_digests = Vec::new();
                for file in files {
                    for path in &file.paths {
                        file_digests.push(format!("{}={}", file.name, raw::file_digest(path)?));
                    }
                }
                let digests: BTreeMap<String, String> = tables
                    .iter()
                    .map(|table| (table.table.clone(), input_digest(source, table, &file_digests)))
                    .collect();
                let is_same = |(table, digest): (&String, &String)| {
                    state.and_then(|state| state.tables.get(table)).is_some_and(|fill| fill.input_digest == *digest)
                };
                if digests.iter().all(is_same) {
                    return Ok(None);
                }
                let (mut providers, mut accounts) = (Vec::new(), Vec::new());
                for file in files {
                    let table = raw::raw_table(file, options.progress.clone())?;
                    providers.push((file.name.clone(), table.provider));
                    accounts.extend(table.accounts.into_iter().map(|account| (file.name.clone(), account)));
                }
                let mapper = Mapper::new(&providers)?;
                Ok(Some(Self::Files { mapper, accounts, tables: tables.clone(), digests }))
            }
            SourceKind::Sample(spec) => Self::open_sample(spec, state),
        }
    }

    fn open_sample(spec: &SampleSpec, state: Option<&SourceState>) -> Result<Option<Self>, IngestError> {
        let digest = |pull: usize| format!("sample:{}:{}:{}:{pull}", spec.seed, spec.customers, spec.events);
        let last = state.and_then(|state| state.tables.get("customer")).map(|fill| fill.input_digest.clone());
        let pulls = SampleCorp::pulls().len();
        let next = match last {
            None => 0,
            Some(last) => (0..pulls).find(|pull| digest(*pull) == last).map_or(0, |pull| pull + 1),
        };
        if next >= pulls {
            return Ok(None);
        }
        let size = CorpSize { customers: spec.customers, events: spec.events, ..CorpSize::default() };
        let tables = SampleCorp::new(spec.seed, size).tables(next).map_err(IngestError::internal)?;
        Ok(Some(Self::Sample { tables, taken_at: SampleCorp::taken_at(next), digest: digest(next) }))
    }
}

/// SHA-256 over everything that decides what a table's run brings: the files' bytes and how they are mapped.
fn input_digest(source: &Source, table: &TableSelect, file_digests: &[String]) -> String {
    let mut hash = Sha256::new();
    let zone = source.zone.map_or("", |zone| zone.name());
    let settings = format!("{}\n{zone}\n{:?}\n{table:?}\n", source.id_space, source.taken_at);
    hash.update(settings.as_bytes());
    for digest in file_digests {
        hash.update(digest.as_bytes());
    }
    hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect()
}

/// What the steps of a run share.
pub(crate) struct RunContext<'s> {
    pub(crate) run: Run,
    pub(crate) source: &'s Source,
    pub(crate) state: SourceState,
    pub(crate) zone: BusinessZone,
    pub(crate) read_from: DateTime<Utc>,
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
        read_from: DateTime<Utc>,
        options: &IngestOptions,
    ) -> Result<Self, IngestError> {
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
            is_dry_run: options.is_dry_run,
            quarantine,
            customers: CustomerKeys::default(),
            follows: FollowKeys::default(),
            staged_groups: HashMap::new(),
            tag_created: None,
            follow_added: None,
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
        accounts: &[(String, std::sync::Arc<FileAccount>)],
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
                "assignment" => assignments::apply(self, &rows, &mut target).await?,
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
        let before = self.state.tables.get(table).map_or(0, |fill| fill.accepted);
        self.counts.push(GuardCount {
            what: format!("rows for `{table}`"),
            before,
            after: count.accepted,
            is_full: select.mode == Mode::Full,
        });
        let fill = TableFill {
            columns: columns.iter().map(|column| column.name.clone()).collect(),
            priority: select.priority,
            input_digest: digest,
            accepted: count.accepted,
        };
        self.state.tables.insert(table.to_owned(), fill);
    }

    /// Puts unparsable rows into quarantine and closes the accounts of the raw files.
    fn settle_files(&mut self, accounts: &[(String, std::sync::Arc<FileAccount>)]) -> Result<(), IngestError> {
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
    pub(crate) async fn finish(mut self, read_until: DateTime<Utc>) -> Result<(Run, Finished), IngestError> {
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
