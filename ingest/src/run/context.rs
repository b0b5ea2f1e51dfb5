//! What the steps of a run share, and the order in which they are taken.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use chrono::{DateTime, Utc};
use datafusion::arrow::record_batch::RecordBatch;
use datafusion::common::runtime::SpawnedTask;
use futures::StreamExt;
use tagmill_schemas::clock::BusinessZone;
use tagmill_store::{GuardCount, Run, SourceState, Staged, StoreError, TableFill};

use super::IngestOptions;
use super::conform::{Conformer, RefusedRow};
use super::erased::ErasedPeople;
use super::files::RawFiles;
use super::identity::ChangedPeople;
use super::input::Input;
use super::keys::{CustomerKeys, FollowKeys};
use super::late::LateEvents;
use super::mapping::Mapper;
use super::numbers::{Instants, NumberSet};
use super::prepare::{Preparer, prepare_each};
use super::quarantine::Quarantine;
use super::read_before::{ReadBefore, Skipped};
use super::report::{FileCount, RunReport, TableCount};
use super::sink::Sink;
use super::targets::{InputColumn, ORDER, input_columns};
use super::unmatched;
use crate::error::IngestError;
use crate::source::{Mode, Source, TableSelect};

/// Files that are made at once, each with its rows in memory, beside the rows that are resolved meanwhile.
const STAGING_AT_ONCE: usize = 2;

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
    /// Files in the making, the oldest first, while rows of the next ones are resolved.
    staging: VecDeque<(&'static str, SpawnedTask<Result<Staged, StoreError>>)>,
    /// Shared with whoever reads rows ahead; given more of while nobody does.
    pub(crate) customers: Arc<CustomerKeys>,
    pub(crate) follows: Arc<FollowKeys>,
    /// What this run changes of that which tells whose an event is.
    pub(crate) people: ChangedPeople,
    /// The groups that this run lists, by name.
    pub(crate) staged_groups: HashMap<String, String>,
    /// The rows of `tag` as this run leaves them, once it has filled `tag`.
    pub(crate) tags: Option<RecordBatch>,
    /// When each follow began, once this run has filled `follow`.
    pub(crate) follow_added: Option<Arc<Instants>>,
    /// The follows that have ended, once this run has filled `follow`.
    pub(crate) ended_follows: Option<Arc<NumberSet>>,
    /// The events that change days which had been read.
    pub(crate) late: LateEvents,
    erased: ErasedPeople,
    /// The raw files that the SELECT under way reads.
    reads: RawFiles,
    /// The raw files that the target that only adds has read in an earlier run.
    skipped: Skipped,
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
    /// Rows of which not even the key could be read, the unparsable records of the raw files included.
    pub(crate) unreadable: u64,
}

impl Target<'_> {
    /// Whether what is not listed has ended: all there is was to be listed, and the key of every row could be read.
    pub(crate) fn ends_unlisted(&self) -> bool {
        self.select.mode == Mode::Full && self.unreadable == 0
    }
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
        let late = LateEvents::of(&run, &source.name);
        Ok(Self {
            run,
            source,
            state,
            zone,
            read_from,
            stated,
            is_dry_run: options.is_dry_run,
            quarantine,
            staging: VecDeque::new(),
            customers: Arc::default(),
            follows: Arc::default(),
            people: ChangedPeople::default(),
            staged_groups: HashMap::new(),
            tags: None,
            follow_added: None,
            ended_follows: None,
            late,
            erased: ErasedPeople::default(),
            reads: RawFiles::default(),
            skipped: Skipped::default(),
            files: Vec::new(),
            tables: Vec::new(),
            notes,
            counts: Vec::new(),
        })
    }

    /// Fills every target of the input, in the order in which they refer to each other. Then events that wait for their person
    /// are tried again.
    pub(crate) async fn fill(&mut self, input: Input) -> Result<(), IngestError> {
        self.customers = Arc::new(CustomerKeys::load(self.run.base(), &self.source.id_space).await?);
        self.follows = Arc::new(FollowKeys::load(self.run.base()).await?);
        self.erased = ErasedPeople::load(self.run.warehouse(), &self.source.id_space).await?;
        let is_awaited = unmatched::waiting_in(self.run.base()) > 0;
        match input {
            Input::Files { mapper, files, tables, digests, read_before } => {
                self.people = ChangedPeople::expecting(Some((&mapper, tables.as_slice())), is_awaited).await;
                let mut read = BTreeSet::new();
                for name in ORDER {
                    for select in tables.iter().filter(|table| table.table == *name) {
                        let digest = digests.get(*name).cloned().unwrap_or_default();
                        read.extend(self.fill_from_select(&mapper, select, &files, digest, &read_before).await?);
                    }
                }
                self.settle_files(&files, &read).await?;
            }
            Input::Sample { tables, digest, .. } => {
                self.people = ChangedPeople::expecting(None, is_awaited).await;
                for name in ORDER {
                    if let Some((_, batches)) = tables.iter().find(|(table, _)| table == name) {
                        self.fill_from_sample(name, batches, digest.clone()).await?;
                    }
                }
            }
        }
        unmatched::retry(self).await
    }

    /// Notes what has become of the events that were waiting for their person.
    pub(crate) fn tell_waiting(&mut self, waiting: u64, found: u64, ambiguous: u64) {
        let mut note = format!("{found} of {waiting} waiting events found their customer");
        if ambiguous > 0 {
            note.push_str(&format!("; {ambiguous} fit several and went into quarantine"));
        }
        self.notes.push(note);
        if let Some(event) = self.tables.iter_mut().find(|table| table.table == "event") {
            event.change("waited", found);
        }
    }

    /// Fills one target, and tells of which raw tables its SELECT reads every file.
    async fn fill_from_select(
        &mut self,
        mapper: &Mapper,
        select: &TableSelect,
        files: &RawFiles,
        digest: String,
        read_before: &ReadBefore,
    ) -> Result<BTreeSet<String>, IngestError> {
        let with_raw = select.table == "event";
        let mut mapped = mapper.plan(select, with_raw).await?;
        let skipped = read_before.skipped(select, &mapped);
        if !skipped.is_empty() {
            mapped = read_before.mapper_without(&skipped)?.plan(select, with_raw).await?;
            self.notes.push(skipped.note(&select.table));
            self.skipped = skipped.clone();
        }
        self.declare(select)?;
        self.mark_private(&select.table, &mut mapped.columns);
        if mapped.row_wise_over.is_none() {
            let why = "joins, groups or limits, so its rejected rows carry no line";
            self.notes.push(format!("the SELECT for `{}` {why}", select.table));
        }
        let files = files.without(&skipped);
        self.reads = files.of(|table| mapped.reads.contains(table));
        let batches = mapper.run(&select.table, &mapped).await?;
        let mut count = self.fill_target(select, &mapped.columns, batches, digest).await?;
        if let Some(raw) = &mapped.row_wise_over {
            let tallies = files.of(|table| table == raw).tallies().await?;
            let parsed = tallies.iter().map(|tally| tally.parsed).sum::<u64>();
            count.parsed = Some(parsed);
            count.filtered = parsed.checked_sub(count.mapped);
        }
        self.tables.push(count);
        if let Some(fill) = self.state.tables.get_mut(&select.table) {
            fill.read_files = read_before.remember(select, &mapped, self.quarantine.unsettled_files());
        }
        Ok(if skipped.is_empty() { mapped.reads } else { BTreeSet::new() })
    }

    /// How many records of the raw files behind the SELECT under way could not be read: a listing that comes from such
    /// files may lack rows that are there. To be asked when all rows of the SELECT have come.
    pub(crate) async fn unparsable_read(&self) -> Result<u64, IngestError> {
        Ok(self.reads.tallies().await?.iter().map(|tally| tally.unparsable).sum())
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
        self.reads = RawFiles::default();
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
        batches: futures::stream::BoxStream<'_, Result<RecordBatch, IngestError>>,
        digest: String,
    ) -> Result<TableCount, IngestError> {
        let conformer = Conformer::new(&select.table, columns.to_vec(), self.zone);
        let count =
            TableCount { table: select.table.clone(), mode: select.mode.word().to_owned(), ..TableCount::default() };
        let mut target = Target { select, columns, count, unreadable: 0 };
        self.refuse_taken_columns(select, columns)?;
        let mut sink = Sink::open(self, &target).await?;
        let reader = sink.reader(self, &target);
        let mut prepared = prepare_each(batches, Preparer { conformer, erased: self.erased.clone(), reader });
        while let Some(batch) = prepared.next().await {
            let batch = batch?;
            target.count.mapped += batch.mapped;
            for RefusedRow { place, refusal, raw } in batch.refused {
                self.quarantine.add(&select.table, &place, refusal, || raw)?;
            }
            sink.take(self, batch.conformed, batch.read, &mut target).await?;
            self.quarantine.settle().await?;
        }
        target.unreadable += self.unparsable_read().await?;
        self.note_unreadable(&target);
        sink.finish(self, &mut target).await?;
        let mut count = target.count;
        self.settle_target(select, columns, &mut count, digest);
        Ok(count)
    }

    /// Says so where nothing ends by not being listed because rows could not be read.
    fn note_unreadable(&mut self, target: &Target<'_>) {
        let (table, count) = (target.select.table.as_str(), target.unreadable);
        if count > 0 && target.select.mode == Mode::Full && !matches!(table, "customer" | "event") {
            let rows = if count == 1 { "row" } else { "rows" };
            self.notes.push(format!("{count} {rows} of `{table}` could not be read, so nothing was ended"));
        }
    }

    /// Closes the account of a target, and tells the guard and the source's state about it.
    fn settle_target(&mut self, select: &TableSelect, columns: &[InputColumn], count: &mut TableCount, digest: String) {
        let table = select.table.as_str();
        count.duplicate = self.quarantine.count(table, |code| code == "DUPLICATE");
        // A row that says again what another said is listed all the same, and so is an event that waits for its person.
        let listed = count.accepted + count.duplicate + count.unmatched;
        count.unmatched += self.quarantine.count(table, |code| code.starts_with("UNMATCHED_"));
        let is_rejected =
            |code: &str| code != "DUPLICATE" && !code.starts_with("UNMATCHED_") && !code.starts_with("RAW_");
        count.rejected = self.quarantine.count(table, is_rejected);
        let before = self.state.tables.get(table).map_or(0, |fill| fill.listed);
        let guarded = GuardCount {
            what: format!("rows for `{table}`"),
            before,
            after: listed,
            // Taxonomy and organisation are small: one group of three is a third of them.
            is_full: select.mode == Mode::Full && matches!(table, "customer" | "follow" | "assignment"),
        };
        // Where files were skipped, fewer rows mean nothing: there may be no new file at all.
        if select.mode != Mode::Append || self.skipped.is_empty() {
            self.counts.push(guarded);
        }
        let fill = TableFill {
            columns: columns.iter().map(|column| column.name.clone()).collect(),
            priority: select.priority,
            input_digest: digest,
            listed,
            full_reading: self.state.tables.get(table).and_then(|fill| fill.full_reading.clone()),
            read_files: None,
        };
        self.state.tables.insert(table.to_owned(), fill);
    }

    /// Closes the accounts of the raw files, and puts every record that could not be read into quarantine.
    async fn settle_files(&mut self, files: &RawFiles, read: &BTreeSet<String>) -> Result<(), IngestError> {
        let has_skipped = |table: &str| !self.skipped.is_empty() && table == self.skipped.table;
        let unread: BTreeSet<&str> =
            files.tables().filter(|table| !read.contains(*table) && !has_skipped(table)).collect();
        let note = |table: &str| format!("no SELECT reads the raw table `{table}`, so its rows were only counted");
        self.notes.extend(unread.into_iter().map(note));
        // A file that is skipped is not even counted, unless another target reads it.
        let files = if read.contains(&self.skipped.table) { files.clone() } else { files.without(&self.skipped) };
        let tallies = files.settle(&mut self.quarantine).await?;
        self.files = tallies.into_iter().map(FileCount::from).collect();
        Ok(())
    }

    /// The instant by which what has been read so far had happened: the one that the source states, else now.
    pub(crate) fn read_by(&self) -> DateTime<Utc> {
        self.stated.unwrap_or_else(|| self.run.warehouse().clock().now())
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
        let stager = self.run.stager(table)?;
        while self.staging.len() >= STAGING_AT_ONCE {
            self.settle_oldest().await?;
        }
        self.staging.push_back((table, SpawnedTask::spawn(async move { stager.stage(bucket, batches).await })));
        Ok(())
    }

    /// Waits until the file that has been in the making longest is whole, and takes it into the run.
    async fn settle_oldest(&mut self) -> Result<(), IngestError> {
        let Some((table, staging)) = self.staging.pop_front() else { return Ok(()) };
        Ok(self.run.add(table, staging.join().await.map_err(IngestError::internal)??)?)
    }

    /// Ends reading: the quarantine is staged, and the report adds up.
    pub(crate) async fn finish(mut self) -> Result<(Run, Finished), IngestError> {
        while !self.staging.is_empty() {
            self.settle_oldest().await?;
        }
        let read_until = self.read_by();
        let refused = self.quarantine.counts().iter().map(|(t, code, count)| (t.clone(), (*code).to_owned(), *count));
        let report = RunReport {
            source: self.source.name.clone(),
            read_from: self.read_from,
            read_until,
            files: self.files,
            tables: self.tables,
            late_events: self.late.into_days(),
            refused: refused.collect(),
            notes: self.notes,
        };
        if let Some(table) = report.tables.iter().find(|table| !table.adds_up()) {
            return Err(IngestError::internal(format!("the rows of `{}` do not add up: {table:?}", table.table)));
        }
        for staged in self.quarantine.finish().await? {
            self.run.add("quarantine", staged)?;
        }
        self.state.last_read_from = Some(self.read_from);
        Ok((self.run, Finished { counts: self.counts, state: self.state, report }))
    }
}
