//! Who the customers are: names, birthdays, homes, member levels, and the habits that decide what they will do.

use super::channels::{CHANNELS, EARLIER_SHARES, Habit, LATER_SHARES};
use super::days::{DAY, end, first_event_at, shanghai, taken_at, whole_seconds};
use super::goods::LINE_WEIGHTS;
use super::names::customer_name;
use super::places::{PROVINCE_WEIGHTS, PROVINCES, Province};
use super::random::{Purpose, Random};

/// The member levels from low to high, which are also the tags of the group 会员等级.
pub(super) const LEVELS: [&str; 5] = ["普通", "银卡", "金卡", "VIP", "SVIP"];

/// The index of `VIP` in [`LEVELS`].
pub(super) const VIP: usize = 3;

/// A customer of the sample corp.
pub(super) struct Customer {
    pub customer_id: String,
    pub name: String,
    pub kind: &'static str,
    pub gender: Option<&'static str>,
    pub birth: Birth,
    pub province: Option<&'static Province>,
    pub city: Option<&'static str>,
    /// The index of the member level in [`LEVELS`].
    pub level: usize,
    /// Whether the corp's own records know the level.
    is_level_told: bool,
    /// The index of the channel in [`CHANNELS`].
    pub channel: usize,
    /// Whether the corp's own records know the channel.
    is_channel_told: bool,
    pub created_at: i64,
    pub unionid: Option<String>,
    pub mobile: Option<String>,
    pub habit: Habit,
    /// From when on the customer does nothing more: the end, for all but the dormant.
    quiet_from: i64,
    /// The index of the favourite product line.
    pub line: usize,
    /// Whether the customer fills the cart in June 2026 and does not pay.
    pub is_hesitant: bool,
}

/// A birthday, any part of which may be missing.
#[derive(Clone, Copy, Default)]
pub(super) struct Birth {
    pub year: Option<i32>,
    pub month: Option<i32>,
    pub day: Option<i32>,
}

impl Customer {
    /// From when to when, end excluded, the customer has events.
    pub fn life(&self) -> (i64, i64) {
        let from = self.created_at.max(first_event_at());
        (from, self.quiet_from.max(from))
    }

    /// The member level as the corp's own records have it.
    pub fn told_level(&self) -> Option<&'static str> {
        self.is_level_told.then_some(LEVELS[self.level])
    }

    /// The channel as the corp's own records have it.
    pub fn told_channel(&self) -> Option<&'static str> {
        self.is_channel_told.then_some(CHANNELS[self.channel].name)
    }
}

/// Makes the customers, in the order in which they were first known.
pub(super) fn customers(seed: u64, count: usize) -> Vec<Customer> {
    (0..count).map(|index| customer(seed, index, created_at(seed, index, count))).collect()
}

fn customer(seed: u64, index: usize, created_at: i64) -> Customer {
    let mut random = Random::stream(seed, Purpose::Customer, index);
    let random = &mut random;
    let gender = [Some("female"), Some("male"), None][random.weighted(&[56, 36, 8])];
    let shares = if created_at < first_event_at() { &EARLIER_SHARES } else { &LATER_SHARES };
    let channel = random.weighted(shares);
    let habit = Habit::ALL[random.weighted(&CHANNELS[channel].habits)];
    let home = &PROVINCES[random.weighted(&PROVINCE_WEIGHTS)];
    let province = random.chance(930).then_some(home);
    Customer {
        customer_id: format!("wm{}{index:06}", random.letters(6)),
        name: customer_name(random, gender),
        kind: if random.chance(940) { "wechat" } else { "wecom" },
        gender,
        birth: birth(random),
        province,
        city: province.filter(|_| random.chance(960)).map(|province| random.pick(province.cities)),
        level: random.weighted(&CHANNELS[channel].levels),
        is_level_told: random.chance(960),
        channel,
        is_channel_told: random.chance(950),
        created_at,
        unionid: random.chance(800).then(|| format!("oSample{}", random.letters(21))),
        mobile: random.chance(650).then(|| mobile(index)),
        habit,
        quiet_from: quiet_from(random, habit, created_at),
        line: random.weighted(&LINE_WEIGHTS),
        is_hesitant: matches!(habit, Habit::Engaged | Habit::Casual) && random.chance(40),
    }
}

/// When a customer was first known. Later customers are later in the list, so that a pull lists the first so many.
fn created_at(seed: u64, index: usize, count: usize) -> i64 {
    // Of a thousand customers so many came up to each instant; the last few on Singles' Day itself.
    let stages =
        [(0, shanghai(2023, 3, 1, 10)), (570, first_event_at()), (965, taken_at(0)), (997, taken_at(1)), (1000, end())];
    let position = index as i128;
    let boundary = |permille: i128| count as i128 * permille / 1000;
    for pair in stages.windows(2) {
        let ((first, from), (last, to)) = (pair[0], pair[1]);
        let (first, last) = (boundary(first), boundary(last));
        if position < last {
            let step = i128::from(to - from) / (last - first);
            let jitter = Random::new(seed ^ index as u64).below(step as u64);
            return whole_seconds(from + (step * (position - first)) as i64 + jitter as i64);
        }
    }
    end() - DAY
}

/// A birthday: missing for one in eight, without a year for one in twelve, without a day for a few, and now and then on
/// 29 February, which is what breaks birthday rules.
fn birth(random: &mut Random) -> Birth {
    const MONTH_LENGTHS: [u64; 12] = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    if random.chance(120) {
        return Birth::default();
    }
    let is_year_told = !random.chance(80);
    if random.chance(4) {
        let year = 1960 + 4 * random.below(12) as i32;
        return Birth { year: is_year_told.then_some(year), month: Some(2), day: Some(29) };
    }
    let month = random.below(12) as usize;
    let day = 1 + random.below(MONTH_LENGTHS[month]) as i32;
    // The sum of two even draws has its peak in the middle: most customers are in their thirties and forties.
    let year = 1956 + (random.below(26) + random.below(26)) as i32;
    Birth {
        year: is_year_told.then_some(year),
        month: Some(month as i32 + 1),
        day: (!random.chance(30)).then_some(day),
    }
}

/// A mobile number of a block that nobody uses: 139-0000-0000 and on.
fn mobile(index: usize) -> String {
    format!("139-{:04}-{:04}", index / 10_000, index % 10_000)
}

/// When a customer does the last thing. The dormant went quiet well before the last pull, or soon after they came.
fn quiet_from(random: &mut Random, habit: Habit, created_at: i64) -> i64 {
    if habit != Habit::Dormant {
        return end();
    }
    let quiet = random.between(shanghai(2025, 10, 20, 0), shanghai(2026, 8, 8, 0));
    let stayed = random.between(3 * DAY, 40 * DAY);
    quiet.max(created_at + stayed).min(end())
}
