//! Random segments: valid for a given warehouse, different for every seed, and the same for ever for one.
//!
//! Whatever a segment may name (tags, staff, event types, values) is drawn from what the warehouse has, so that answers
//! are seldom empty. References and `sql:` leaves are left out: the oracle does not know them.

use chrono::{Days, NaiveDate, NaiveDateTime};
use tagmill_query::View;
use tagmill_schemas::ids::{StaffId, TagId};
use tagmill_schemas::segment::{
    AsOf, AttributeLeaf, CalendarUnit, Comparison, EventLeaf, FollowNode, Follower, Measure, Missing, Never, Node,
    Operator, Segment, TagLeaf, TagRef, TagTest, TimeValue, Universe, Value, Window,
};

use super::view::{rows, texts};

/// How deep conditions are nested.
const DEPTH: usize = 2;
/// Columns of `customer` that hold texts.
const TEXT_COLUMNS: [&str; 6] = ["kind", "gender", "province", "member_level", "first_channel", "latest_channel"];
/// Columns of `customer` that hold numbers, with values on both sides of what is common.
const NUMBER_COLUMNS: [(&str, usize, usize); 3] =
    [("birth_year", 1955, 2010), ("birth_month", 1, 12), ("birth_day", 1, 31)];
/// Columns of `event` that hold texts.
const EVENT_COLUMNS: [&str; 2] = ["channel", "ref"];

/// What a segment may name in a warehouse.
pub struct Vocabulary {
    /// Living tags: id and `group/tag`.
    tags: Vec<(String, String)>,
    staff: Vec<String>,
    event_types: Vec<String>,
    /// Values by column of `customer`.
    customer_texts: Vec<(&'static str, Vec<String>)>,
    /// Values by column of `event`.
    event_texts: Vec<(&'static str, Vec<String>)>,
}

impl Vocabulary {
    /// Reads what there is to name.
    pub async fn of(view: &View) -> Self {
        let tags =
            rows(view, "SELECT tag_id, group_name || '/' || tag_name FROM tag WHERE valid_to IS NULL ORDER BY tag_id");
        let tags = tags.await.into_iter().map(|row| (row[0].clone(), row[1].clone())).collect();
        let (mut customer_texts, mut event_texts) = (Vec::new(), Vec::new());
        for column in TEXT_COLUMNS {
            customer_texts.push((column, values_of(view, "customer", column).await));
        }
        for column in EVENT_COLUMNS {
            event_texts.push((column, values_of(view, "event", column).await));
        }
        Self {
            tags,
            staff: values_of(view, "follow", "staff_id").await,
            event_types: values_of(view, "event", "type").await,
            customer_texts,
            event_texts,
        }
    }
}

async fn values_of(view: &View, table: &str, column: &str) -> Vec<String> {
    let sql = format!("SELECT DISTINCT {column} FROM {table} WHERE {column} IS NOT NULL ORDER BY 1");
    let values = texts(view, &sql).await;
    assert!(!values.is_empty(), "{table}.{column} has no values");
    values
}

/// Random numbers of our own (SplitMix64), the same on every machine and for ever.
pub struct Random(u64);

impl Random {
    /// The numbers of a seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 to below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        usize::try_from(self.next() % end as u64).unwrap()
    }

    /// A share, 0 to below 1.
    pub fn share(&mut self) -> f64 {
        self.below(1_000_000) as f64 / 1_000_000.0
    }

    fn between(&mut self, from: usize, to: usize) -> usize {
        from + self.below(to - from + 1)
    }

    fn is(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }

    fn pick<T: Clone>(&mut self, items: &[T]) -> T {
        items[self.below(items.len())].clone()
    }

    /// One to `most` different items.
    fn some<T: Clone + PartialEq>(&mut self, items: &[T], most: usize) -> Vec<T> {
        let wanted = self.between(1, most);
        let mut picked: Vec<T> = Vec::new();
        for _ in 0..wanted {
            let item = self.pick(items);
            if !picked.contains(&item) {
                picked.push(item);
            }
        }
        picked
    }
}

/// A random segment of the newest snapshot.
pub fn segment(random: &mut Random, vocabulary: &Vocabulary) -> Segment {
    let universe = random.pick(&[Universe::Followed, Universe::Followed, Universe::All, Universe::Lost]);
    let condition = Making { random, vocabulary }.node(DEPTH);
    Segment { name: Some("随机 random".to_owned()), universe, as_of: AsOf::Latest, condition }
}

/// A segment in the making.
struct Making<'m> {
    random: &'m mut Random,
    vocabulary: &'m Vocabulary,
}

impl Making<'_> {
    fn node(&mut self, depth: usize) -> Node {
        if depth == 0 || self.random.is(25) {
            return self.leaf();
        }
        match self.random.below(7) {
            0 | 1 => Node::All(self.parts(depth)),
            2 | 3 => Node::Any(self.parts(depth)),
            4 | 5 => Node::Not(Box::new(self.node(depth - 1))),
            _ => {
                let count = self.random.between(1, 3);
                Node::SameFollower((0..count).map(|_| self.follow_node(1)).collect())
            }
        }
    }

    fn parts(&mut self, depth: usize) -> Vec<Node> {
        let count = self.random.between(2, 3);
        (0..count).map(|_| self.node(depth - 1)).collect()
    }

    fn leaf(&mut self) -> Node {
        match self.random.below(3) {
            0 => Node::Tag(self.tag()),
            1 => Node::Attribute(self.attribute()),
            _ => Node::Event(self.event()),
        }
    }

    fn follow_node(&mut self, depth: usize) -> FollowNode {
        match self.random.below(if depth == 0 { 3 } else { 5 }) {
            0 | 1 => FollowNode::Tag(self.tag_test()),
            2 => FollowNode::Staff(self.staff()),
            3 => FollowNode::Not(Box::new(self.follow_node(depth - 1))),
            _ => FollowNode::Any((0..2).map(|_| self.follow_node(depth - 1)).collect()),
        }
    }

    fn staff(&mut self) -> Vec<StaffId> {
        self.random.some(&self.vocabulary.staff, 4).into_iter().map(StaffId::new).collect()
    }

    fn tag(&mut self) -> TagLeaf {
        let follower = match self.random.below(4) {
            0 | 1 => Follower::Any,
            2 => Follower::All,
            _ => Follower::Named(self.staff()),
        };
        TagLeaf { test: self.tag_test(), follower }
    }

    fn tag_test(&mut self) -> TagTest {
        let picked = self.random.some(&self.vocabulary.tags, 3);
        let tags = picked
            .into_iter()
            .map(|(id, name)| if self.random.is(20) { TagRef::Id(TagId::new(id)) } else { TagRef::Name(name) })
            .collect();
        match self.random.below(4) {
            0 | 1 => TagTest::AnyOf(tags),
            2 => TagTest::AllOf(tags),
            _ => TagTest::NoneOf(tags),
        }
    }

    fn attribute(&mut self) -> AttributeLeaf {
        let (name, test) = match self.random.below(3) {
            0 => {
                let (column, values) = self.random.pick(&self.vocabulary.customer_texts);
                (column, self.text_test(&values))
            }
            1 => {
                let (column, least, most) = self.random.pick(&NUMBER_COLUMNS);
                let test = if column == "birth_month" && self.random.is(30) {
                    Comparison::Single(self.operator(), Value::AsOfMonth)
                } else {
                    self.number_test(|random| random.between(least, most).to_string())
                };
                (column, test)
            }
            _ => (self.random.pick(&["created_at", "lost_at"]), self.time_test()),
        };
        let missing = self.random.pick(&[Missing::Exclude, Missing::Exclude, Missing::Include]);
        AttributeLeaf { name: name.to_owned(), test, missing }
    }

    fn event(&mut self) -> EventLeaf {
        let measure = match self.random.below(7) {
            0 | 1 => Measure::Count,
            2 => Measure::Sum,
            3 => Measure::Distinct(self.random.pick(&EVENT_COLUMNS).to_owned()),
            4 => Measure::DistinctDays,
            _ => Measure::Last,
        };
        let test = match &measure {
            Measure::Last => self.time_test(),
            Measure::Sum => self.number_test(|random| format!("{}.{}", random.below(2_000), random.between(10, 99))),
            _ => self.number_test(|random| random.below(8).to_string()),
        };
        let never = self.random.pick(&[Never::Include, Never::Exclude, Never::SinceCreated]);
        let has_currency = measure == Measure::Sum && self.random.is(50);
        let events = self.random.some(&self.vocabulary.event_types, 3);
        let (filter, window) = (self.filter(), self.window());
        EventLeaf {
            events,
            filter,
            window,
            include_today: self.random.is(30) && window.ends_with_as_of_day(),
            never: (measure == Measure::Last).then_some(never),
            measure,
            test,
            currency: has_currency.then(|| "CNY".to_owned()),
        }
    }

    fn filter(&mut self) -> Vec<(String, Vec<Value>)> {
        if !self.random.is(20) {
            return Vec::new();
        }
        let (column, values) = self.random.pick(&self.vocabulary.event_texts);
        let values = self.random.some(&values, 4).into_iter().map(Value::Text).collect();
        vec![(column.to_owned(), values)]
    }

    fn window(&mut self) -> Window {
        match self.random.below(8) {
            0 | 1 => Window::Lifetime,
            2 => Window::ThisMonth,
            3 => Window::LastMonth,
            4 => Window::LastMonths(self.random.between(1, 13) as u32),
            5 => Window::LastDays(self.random.between(1, 400) as u32),
            _ => {
                let from = self.local_time();
                let to = from.checked_add_days(Days::new(self.random.between(1, 200) as u64)).unwrap();
                Window::Between { from: TimeValue::Local(from), to: TimeValue::Local(to) }
            }
        }
    }

    fn operator(&mut self) -> Operator {
        self.random.pick(&Operator::ALL)
    }

    fn text_test(&mut self, values: &[String]) -> Comparison {
        match self.random.below(3) {
            0 => Comparison::Single(Operator::Eq, Value::Text(self.random.pick(values))),
            1 => Comparison::Single(Operator::Ne, Value::Text(self.random.pick(values))),
            _ => Comparison::In(self.random.some(values, 4).into_iter().map(Value::Text).collect()),
        }
    }

    /// A comparison with numbers that `make` writes.
    fn number_test(&mut self, make: impl Fn(&mut Random) -> String) -> Comparison {
        let number = |text: String| Value::Number(text.parse().unwrap());
        match self.random.below(6) {
            0 => {
                let count = self.random.between(1, 3);
                Comparison::In((0..count).map(|_| number(make(&mut *self.random))).collect())
            }
            1 => {
                let (one, other) = (number(make(&mut *self.random)), number(make(&mut *self.random)));
                self.band(one, other)
            }
            _ => Comparison::Single(self.operator(), number(make(&mut *self.random))),
        }
    }

    fn time_test(&mut self) -> Comparison {
        if self.random.is(25) {
            let [one, other] = [(); 2].map(|()| Value::Time(TimeValue::Local(self.local_time())));
            return self.band(one, other);
        }
        // An instant is hit by chance only, so that equality would tell nothing.
        let operator = self.random.pick(&[Operator::Lt, Operator::Le, Operator::Gt, Operator::Ge]);
        let time = match self.random.below(4) {
            0 => TimeValue::AsOfMinus(self.random.between(1, 500) as u32, CalendarUnit::Days),
            1 => TimeValue::AsOfMinus(self.random.between(1, 15) as u32, CalendarUnit::Months),
            2 => TimeValue::Instant(self.local_time().and_utc()),
            _ => TimeValue::Local(self.local_time()),
        };
        Comparison::Single(operator, Value::Time(time))
    }

    /// A band between two values, whichever is the lesser; sometimes with one end only.
    fn band(&mut self, one: Value, other: Value) -> Comparison {
        let (from, to) = match (&one, &other) {
            (Value::Number(low), Value::Number(high)) if low > high => (other, one),
            (Value::Time(TimeValue::Local(low)), Value::Time(TimeValue::Local(high))) if low > high => (other, one),
            _ => (one, other),
        };
        match self.random.below(4) {
            0 => Comparison::Band { from: None, to: Some(to) },
            1 => Comparison::Band { from: Some(from), to: None },
            // Equal ends make no band.
            _ if from == to => Comparison::Band { from: Some(from), to: None },
            _ => Comparison::Band { from: Some(from), to: Some(to) },
        }
    }

    /// A local time around the year of events; half of them are midnights.
    fn local_time(&mut self) -> NaiveDateTime {
        let first = NaiveDate::from_ymd_opt(2025, 8, 1).unwrap();
        let day = first.checked_add_days(Days::new(self.random.below(490) as u64)).unwrap();
        let (hour, minute) = if self.random.is(50) { (0, 0) } else { (self.random.below(24), self.random.below(60)) };
        day.and_hms_opt(hour as u32, minute as u32, 0).unwrap()
    }
}
