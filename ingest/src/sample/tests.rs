//! Laws of the sample corp: it never changes, has the sizes promised, hangs together, and has somebody in every segment
//! the demo asks for.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::RangeInclusive;

use datafusion::arrow::array::{Array, AsArray, RecordBatch};
use datafusion::arrow::datatypes::{Decimal128Type, Int32Type, TimestampMicrosecondType};
use tagmill_schemas::tables::{Filled, contract};
use tagmill_store::arrow_type;

use super::days::{DAY, end, first_event_at, shanghai, taken_at};
use super::{CorpSize, SampleCorp};

const SEED: u64 = 7;

fn small() -> CorpSize {
    CorpSize { customers: 2_000, events: 30_000, staff: 10 }
}

/// The tables of one pull, by name.
fn pull(corp: &SampleCorp, number: usize) -> HashMap<&'static str, Vec<RecordBatch>> {
    corp.tables(number).expect("a pull").into_iter().collect()
}

fn row_count(batches: &[RecordBatch]) -> usize {
    batches.iter().map(RecordBatch::num_rows).sum()
}

fn texts(batches: &[RecordBatch], column: &str) -> Vec<Option<String>> {
    let arrays = batches.iter().map(|batch| batch.column_by_name(column).expect("a column"));
    arrays.flat_map(|array| array.as_string::<i32>().iter().map(|value| value.map(str::to_owned))).collect()
}

fn told(batches: &[RecordBatch], column: &str) -> Vec<String> {
    texts(batches, column).into_iter().map(|value| value.expect("a value")).collect()
}

fn instants(batches: &[RecordBatch], column: &str) -> Vec<Option<i64>> {
    let arrays = batches.iter().map(|batch| batch.column_by_name(column).expect("a column"));
    arrays.flat_map(|array| array.as_primitive::<TimestampMicrosecondType>().iter()).collect()
}

fn numbers(batches: &[RecordBatch], column: &str) -> Vec<Option<i32>> {
    let arrays = batches.iter().map(|batch| batch.column_by_name(column).expect("a column"));
    arrays.flat_map(|array| array.as_primitive::<Int32Type>().iter()).collect()
}

/// An event as the questions below need it; amounts in ten-thousandths of a yuan.
struct Fact {
    customer: String,
    event_type: String,
    at: i64,
    amount: i128,
}

/// What the last pull says, with the events of all pulls: enough to answer the demo's questions the slow way.
struct World {
    facts: Vec<Fact>,
    /// Customers with at least one active or half follow.
    followed: BTreeSet<String>,
    /// By `group/tag`, the customers with it on an active or half follow.
    holders: BTreeMap<String, BTreeSet<String>>,
    birth_months: HashMap<String, Option<i32>>,
}

impl World {
    fn of(corp: &SampleCorp) -> Self {
        let last = pull(corp, 2);
        let mut live = HashSet::new();
        let mut followed = BTreeSet::new();
        let follow = &last["follow"];
        let pairs = told(follow, "customer_id").into_iter().zip(told(follow, "staff_id"));
        for ((customer, staff), status) in pairs.zip(told(follow, "status")) {
            if status != "left" {
                followed.insert(customer.clone());
                live.insert((customer, staff));
            }
        }
        let tag = &last["tag"];
        let pairs = told(tag, "group_name").into_iter().zip(told(tag, "tag_name"));
        let names = pairs.map(|(group, tag)| format!("{group}/{tag}"));
        let names: HashMap<String, String> = told(tag, "tag_id").into_iter().zip(names).collect();
        let mut holders: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
        let assignment = &last["assignment"];
        let pairs = told(assignment, "customer_id").into_iter().zip(told(assignment, "staff_id"));
        for (pair, tag_id) in pairs.zip(told(assignment, "tag_id")) {
            if live.contains(&pair) {
                holders.entry(names[&tag_id].clone()).or_default().insert(pair.0);
            }
        }
        let customer = &last["customer"];
        let birth_months = told(customer, "customer_id").into_iter().zip(numbers(customer, "birth_month")).collect();
        Self { facts: facts(corp), followed, holders, birth_months }
    }

    /// How many followed customers have at least `least` of a type in a window.
    fn at_least(&self, least: usize, event_type: &str, from: i64, to: i64) -> BTreeSet<&str> {
        let mut counts: HashMap<&str, usize> = HashMap::new();
        for fact in &self.facts {
            if fact.event_type == event_type && (from..to).contains(&fact.at) {
                *counts.entry(&fact.customer).or_default() += 1;
            }
        }
        counts.into_iter().filter(|(_, count)| *count >= least).map(|(customer, _)| customer).collect()
    }

    /// S71: net spend of at least 50,000 yuan, refunds subtracted.
    fn high_value(&self) -> usize {
        let mut spend: HashMap<&str, i128> = HashMap::new();
        for fact in &self.facts {
            *spend.entry(&fact.customer).or_default() += fact.amount;
        }
        spend.iter().filter(|(customer, net)| self.followed.contains(**customer) && **net >= 500_000_000).count()
    }

    /// S72: no login in the three months before the last pull.
    fn sleeping(&self) -> usize {
        let awake = self.at_least(1, "login", shanghai(2026, 8, 12, 2), end());
        self.followed.iter().filter(|customer| !awake.contains(customer.as_str())).count()
    }

    /// S81: tagged 来源渠道/视频号, and active on at least three days of November before the last pull's own.
    fn active_from_channels(&self) -> usize {
        let mut days: HashMap<&str, BTreeSet<i64>> = HashMap::new();
        let (from, to) = (shanghai(2026, 11, 1, 0), shanghai(2026, 11, 12, 0));
        for fact in &self.facts {
            if fact.event_type == "active" && (from..to).contains(&fact.at) {
                days.entry(&fact.customer).or_default().insert((fact.at - from) / DAY);
            }
        }
        let is_active = |customer: &&String| days.get(customer.as_str()).is_some_and(|days| days.len() >= 3);
        self.holders["来源渠道/视频号"].iter().filter(is_active).count()
    }

    /// S85: at least three things into the cart in June 2026, and nothing paid.
    fn hesitant(&self) -> usize {
        let (from, to) = (shanghai(2026, 6, 1, 0), shanghai(2026, 7, 1, 0));
        let paid = self.at_least(1, "order_paid", from, to);
        let full = self.at_least(3, "add_to_cart", from, to);
        full.difference(&paid).filter(|customer| self.followed.contains(**customer)).count()
    }

    /// S88: tagged 会员等级/VIP, and born in November.
    fn birthday_vips(&self) -> usize {
        self.holders["会员等级/VIP"].iter().filter(|customer| self.birth_months[*customer] == Some(11)).count()
    }
}

/// The events of all pulls.
fn facts(corp: &SampleCorp) -> Vec<Fact> {
    let mut facts = Vec::new();
    for number in 0..3 {
        let event = &pull(corp, number)["event"];
        let customers = told(event, "customer_id");
        let types = told(event, "type");
        let times = instants(event, "occurred_at");
        let arrays = event.iter().map(|batch| batch.column_by_name("amount").expect("a column"));
        let amounts = arrays.flat_map(|array| array.as_primitive::<Decimal128Type>().iter());
        for (((customer, event_type), at), amount) in customers.into_iter().zip(types).zip(times).zip(amounts) {
            facts.push(Fact { customer, event_type, at: at.expect("an instant"), amount: amount.unwrap_or(0) });
        }
    }
    facts
}

#[test]
fn the_same_seed_gives_equal_batches_and_another_seed_does_not() {
    let (one, other) = (SampleCorp::new(SEED, small()), SampleCorp::new(SEED, small()));
    for number in 0..3 {
        assert_eq!(one.tables(number).expect("a pull"), other.tables(number).expect("a pull"));
    }
    let stranger = SampleCorp::new(SEED + 1, small());
    assert_ne!(one.tables(0).expect("a pull"), stranger.tables(0).expect("a pull"));
}

#[test]
fn the_demo_has_the_sizes_it_promises() {
    let corp = SampleCorp::new(SEED, CorpSize::default());
    let last = pull(&corp, 2);
    assert_eq!(row_count(&last["customer"]), 20_000);
    assert_eq!(row_count(&last["staff"]), 40);
    assert_eq!(row_count(&last["tag_group"]), 13);
    assert_eq!(row_count(&last["tag"]), 120);
    assert!((24_700..=27_300).contains(&row_count(&last["follow"])), "{} follows", row_count(&last["follow"]));
    let events: usize = (0..3).map(|number| row_count(&pull(&corp, number)["event"])).sum();
    assert!((285_000..=315_000).contains(&events), "{events} events");
    for (name, batches) in corp.tables(0).expect("a pull") {
        assert!(batches.iter().all(|batch| batch.num_rows() <= 65_536), "{name} has a batch that is too long");
    }
}

#[test]
fn every_segment_of_the_demo_has_members_of_a_plausible_number() {
    for size in [small(), CorpSize::default()] {
        let world = World::of(&SampleCorp::new(SEED, size));
        let check = |name: &str, count: usize, permille: RangeInclusive<usize>| {
            assert!(count > 0, "nobody in {name}");
            assert!(permille.contains(&(count * 1000 / size.customers)), "{count} in {name} of {}", size.customers);
        };
        check("S71", world.high_value(), 5..=45);
        check("S72", world.sleeping(), 150..=450);
        check("S81", world.active_from_channels(), 15..=110);
        check("S85", world.hesitant(), 8..=45);
        check("S88", world.birthday_vips(), 0..=9);
    }
}

#[test]
fn assignments_and_events_refer_to_what_the_pull_lists() {
    let corp = SampleCorp::new(SEED, small());
    for number in 0..3 {
        let tables = pull(&corp, number);
        let customers: HashSet<String> = told(&tables["customer"], "customer_id").into_iter().collect();
        assert_eq!(customers.len(), row_count(&tables["customer"]), "a customer id comes twice");
        let staff: HashSet<String> = told(&tables["staff"], "staff_id").into_iter().collect();
        let tags: HashSet<String> = told(&tables["tag"], "tag_id").into_iter().collect();
        let follow = &tables["follow"];
        let follows: HashSet<(String, String)> =
            told(follow, "customer_id").into_iter().zip(told(follow, "staff_id")).collect();
        assert_eq!(follows.len(), row_count(follow), "a follow comes twice");
        assert!(follows.iter().all(|(customer, member)| customers.contains(customer) && staff.contains(member)));
        let assignment = &tables["assignment"];
        let pairs: Vec<(String, String)> =
            told(assignment, "customer_id").into_iter().zip(told(assignment, "staff_id")).collect();
        assert!(pairs.iter().all(|pair| follows.contains(pair)));
        let tag_ids = told(assignment, "tag_id");
        assert!(tag_ids.iter().all(|tag| tags.contains(tag)));
        let distinct: HashSet<_> = pairs.iter().zip(&tag_ids).collect();
        assert_eq!(distinct.len(), pairs.len(), "an assignment comes twice");
        assert!(told(&tables["event"], "customer_id").iter().all(|customer| customers.contains(customer)));
    }
}

#[test]
fn every_event_falls_between_its_pull_and_the_one_before() {
    let corp = SampleCorp::new(SEED, small());
    let mut ids = HashSet::new();
    for number in 0..3 {
        let event = &pull(&corp, number)["event"];
        let from = if number == 0 { first_event_at() } else { taken_at(number - 1) };
        let times = instants(event, "occurred_at");
        assert!(times.iter().flatten().all(|at| (from..taken_at(number)).contains(at)));
        assert!(told(event, "event_id").into_iter().all(|id| ids.insert(id)), "an event id comes twice");
    }
}

#[test]
fn a_few_things_change_from_pull_to_pull() {
    let corp = SampleCorp::new(SEED, small());
    let pulls = [pull(&corp, 0), pull(&corp, 1), pull(&corp, 2)];
    let names: Vec<BTreeSet<String>> =
        pulls.iter().map(|tables| told(&tables["tag"], "tag_name").into_iter().collect()).collect();
    let renamed: Vec<&String> = names[1].difference(&names[0]).collect();
    assert_eq!(renamed, ["爱看直播"]);
    assert_eq!(row_count(&pulls[2]["tag_group"]), row_count(&pulls[1]["tag_group"]) + 1);
    for pair in pulls.windows(2) {
        assert!(row_count(&pair[0]["customer"]) < row_count(&pair[1]["customer"]));
        let [before, after] = [&pair[0], &pair[1]].map(listed_assignments);
        let still = |set: &BTreeSet<_>| set.intersection(&before).count() * 100 / before.len();
        assert!((90..100).contains(&still(&after)), "{} % of the assignments stay", still(&after));
        assert!(after.difference(&before).next().is_some());
    }
}

fn listed_assignments(tables: &HashMap<&'static str, Vec<RecordBatch>>) -> BTreeSet<(String, String, String)> {
    let batches = &tables["assignment"];
    let pairs = told(batches, "customer_id").into_iter().zip(told(batches, "staff_id"));
    pairs.zip(told(batches, "tag_id")).map(|((customer, staff), tag)| (customer, staff, tag)).collect()
}

#[test]
fn some_tags_have_no_holder_and_some_only_holders_who_left() {
    let corp = SampleCorp::new(SEED, small());
    let world = World::of(&corp);
    let last = pull(&corp, 2);
    let held: HashSet<String> = told(&last["assignment"], "tag_id").into_iter().collect();
    assert!(held.len() < 120);
    for tag in ["活跃度/沉睡用户", "活跃度/活跃用户", "服务/上门服务"] {
        assert!(!world.holders.contains_key(tag), "{tag} has holders");
    }
    let names = told(&last["tag"], "tag_name");
    let ids = told(&last["tag"], "tag_id");
    let left_behind = names.iter().position(|name| name == "周年庆2023").expect("the tag");
    assert!(held.contains(&ids[left_behind]) && !world.holders.contains_key("活动/周年庆2023"));
}

#[test]
fn birthdays_are_missing_partial_or_on_a_leap_day() {
    let corp = SampleCorp::new(SEED, small());
    let customer = &pull(&corp, 2)["customer"];
    let [years, months, days] = ["birth_year", "birth_month", "birth_day"].map(|column| numbers(customer, column));
    let missing = months.iter().filter(|month| month.is_none()).count() * 100 / months.len();
    assert!((9..=15).contains(&missing), "{missing} % of the birthdays are missing");
    let of = |test: &dyn Fn(Option<i32>, Option<i32>, Option<i32>) -> bool| {
        years.iter().zip(&months).zip(&days).any(|((year, month), day)| test(*year, *month, *day))
    };
    assert!(of(&|_, month, day| month == Some(2) && day == Some(29)));
    assert!(of(&|year, month, _| year.is_none() && month.is_some()));
}

#[test]
fn every_column_is_one_that_a_source_fills_in_the_type_of_its_contract() {
    let corp = SampleCorp::new(SEED, small());
    for (name, batches) in corp.tables(1).expect("a pull") {
        let table = contract(if name == "assignment" { "assignment_log" } else { name }).expect("a contract");
        for field in batches[0].schema().fields() {
            let is_outside_key = field.name() == "customer_id" || (name == "assignment" && field.name() == "staff_id");
            let Some(column) = table.column(field.name()) else {
                assert!(is_outside_key, "{name}.{} is in no contract", field.name());
                continue;
            };
            assert_eq!(column.filled, Filled::BySource, "{name}.{}", field.name());
            assert_eq!(*field.data_type(), arrow_type(column.ty), "{name}.{}", field.name());
        }
        for column in table.columns.iter().filter(|column| column.null_means.is_none()) {
            for batch in batches.iter().filter(|batch| batch.column_by_name(column.name).is_some()) {
                let nulls = batch.column_by_name(column.name).map_or(0, |array| array.null_count());
                assert_eq!(nulls, 0, "{name}.{} may not be missing", column.name);
            }
        }
    }
}

#[test]
fn a_pull_that_does_not_exist_is_refused() {
    let corp = SampleCorp::new(SEED, CorpSize { customers: 0, events: 0, staff: 0 });
    assert!(corp.tables(3).is_err());
    assert_eq!(row_count(&pull(&corp, 2)["customer"]), 0);
    assert_eq!(SampleCorp::pulls()[2].taken_at.to_rfc3339(), "2026-11-11T18:00:00+00:00");
}
