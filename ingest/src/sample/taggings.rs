//! What each follow is tagged with, and how that changes between pulls.
//!
//! A customer has one [`Portrait`]; every follower sees a part of it and tags that, so that two followers of one
//! customer agree on much and differ on some, which is the case that any, all and same-follower questions are about.

use super::channels::{CHANNELS, Habit};
use super::days::{HOUR, PULLS, shanghai, taken_at};
use super::follows::Follow;
use super::goods::LINES;
use super::people::{Customer, LEVELS, VIP};
use super::random::{Purpose, Random};
use super::tags::Taxonomy;

/// A tag on a follow, listed by the pulls from `from` up to `until`, `until` excluded.
#[derive(Debug, Clone, Copy)]
pub(super) struct Held {
    /// The tag's number in the taxonomy.
    pub tag: u16,
    from: u8,
    until: u8,
}

impl Held {
    /// Whether a pull lists it, if it lists the follow.
    pub fn is_listed(&self, pull: usize) -> bool {
        (usize::from(self.from)..usize::from(self.until)).contains(&pull)
    }
}

/// Of a thousand follows, how many gain or lose a tag between one pull and the next.
const CHANGED_PERMILLE: u64 = 30;

/// Tags that staff put on a follow in the weeks between the pulls.
const NEW_TAGS: [(&str, &str); 7] = [
    ("活动", "双11意向客户2026"),
    ("意向等级", "高意向"),
    ("服务", "临时咨询"),
    ("服务", "专属顾问"),
    ("生命周期", "复购"),
    ("口味偏好", "囤货型"),
    ("服务", "电话回访"),
];

const PERSONAS: [(&str, u64); 11] = [
    ("上班族", 240),
    ("宠物主人", 130),
    ("宝妈", 110),
    ("备孕阶段", 60),
    ("孕期妈妈", 35),
    ("学生", 50),
    ("银发族", 70),
    ("健身人群", 80),
    ("露营爱好者", 60),
    ("企业采购", 45),
    ("礼品采购", 90),
];

const TASTES: [(&str, u64); 8] = [
    ("偏好线下支付", 120),
    ("偏好货到付款", 60),
    ("喜辣", 150),
    ("喜甜", 160),
    ("清淡", 140),
    ("无糖", 100),
    ("直播控", 120),
    ("尝新型", 150),
];

/// The campaigns, until when they ran, and how many of a thousand follows were tagged for them.
const CAMPAIGNS: [(&str, (i32, u32, u32), u64); 13] = [
    ("双11意向客户2023", (2023, 11, 12), 330),
    ("年货节2024", (2024, 2, 10), 180),
    ("618大促2024", (2024, 6, 19), 200),
    ("双11意向客户2024", (2024, 11, 12), 260),
    ("年货节2025", (2025, 1, 29), 140),
    ("618大促2025", (2025, 6, 19), 160),
    ("会员日2025", (2025, 9, 1), 60),
    ("双11意向客户2025", (2025, 11, 12), 180),
    ("年货节2026", (2026, 2, 17), 90),
    ("直播专场2026春", (2026, 4, 12), 50),
    ("618大促2026", (2026, 6, 19), 110),
    ("会员日2026", (2026, 9, 1), 70),
    ("双11意向客户2026", (2026, 11, 10), 60),
];

/// Forgotten tags that only follows of customers who left still hold.
const LEFT_BEHIND: [(&str, &str); 3] = [("活动", "周年庆2023"), ("人群", "团购团长"), ("产品线", "白酒")];

/// What a customer is really like, as far as tags can say.
struct Portrait {
    personas: Vec<&'static str>,
    tastes: Vec<&'static str>,
    kind: &'static str,
    intent: &'static str,
    kind_of_goods: &'static str,
}

/// Makes the tags of every follow, in the order of the follows.
pub(super) fn taggings(seed: u64, taxonomy: &Taxonomy, customers: &[Customer], follows: &[Follow]) -> Vec<Vec<Held>> {
    follows
        .iter()
        .enumerate()
        .map(|(index, follow)| {
            let customer = &customers[follow.customer];
            let portrait = portrait(&mut Random::stream(seed, Purpose::Portrait, follow.customer), customer);
            let mut sheet =
                Sheet { taxonomy, random: Random::stream(seed, Purpose::Tagging, index), held: Vec::with_capacity(12) };
            sheet.fill(customer, follow, &portrait);
            sheet.change(customer, follow);
            sheet.held
        })
        .collect()
}

fn portrait(random: &mut Random, customer: &Customer) -> Portrait {
    let is_north_west = customer.province.is_some_and(|province| province.region == "西北");
    let mut personas = draw(random, &PERSONAS, 1);
    if customer.line == LINES.len() - 1 && !personas.contains(&"宠物主人") {
        personas.push("宠物主人");
    }
    let tastes = draw(random, &TASTES, if is_north_west { 2 } else { 1 });
    let kind = if personas.contains(&"企业采购") {
        "企业客户"
    } else {
        ["个人客户", "企业客户", "经销商", "竞对公司", "媒体达人", "内部员工"]
            [random.weighted(&[930, 25, 18, 10, 12, 5])]
    };
    let intents: &[u32] = match customer.habit {
        Habit::Engaged => &[42, 32, 14, 2, 9, 1],
        Habit::Casual => &[16, 34, 27, 6, 15, 2],
        Habit::Dormant | Habit::NeverLogsIn => &[5, 14, 28, 20, 11, 22],
    };
    let intent = ["高意向", "中意向", "低意向", "无意向", "待培育", "已流失意向"][random.weighted(intents)];
    // 白酒 is left out: the tag is one of those that nobody who stayed holds.
    let kinds = LINES[customer.line].kinds;
    let kind_of_goods = loop {
        let kind = random.pick(kinds);
        if kind != "白酒" {
            break kind;
        }
    };
    Portrait { personas, tastes, kind, intent, kind_of_goods }
}

/// Each name with its chance in a thousand, times `factor`.
fn draw(random: &mut Random, chances: &[(&'static str, u64)], factor: u64) -> Vec<&'static str> {
    chances.iter().filter(|(_, chance)| random.chance(chance * factor)).map(|(name, _)| *name).collect()
}

/// The tags of one follow while they are being written.
struct Sheet<'a> {
    taxonomy: &'a Taxonomy,
    random: Random,
    held: Vec<Held>,
}

impl Sheet<'_> {
    /// Writes what the follower tagged up to the first pull that lists the follow.
    fn fill(&mut self, customer: &Customer, follow: &Follow, portrait: &Portrait) {
        let is_first = follow.rank == 0;
        self.fill_channel(customer, follow, is_first);
        self.fill_level(customer, is_first);
        self.maybe(if is_first { 600 } else { 350 }, "意向等级", portrait.intent);
        for &persona in &portrait.personas {
            self.maybe(if is_first { 800 } else { 450 }, "人群", persona);
        }
        for &taste in &portrait.tastes {
            self.maybe(if is_first { 650 } else { 400 }, "口味偏好", taste);
        }
        if self.random.chance(if is_first { 600 } else { 300 }) {
            self.give("客户类型", portrait.kind);
        }
        self.fill_region(customer);
        self.fill_lifecycle(customer);
        self.fill_service(customer, portrait, is_first);
        self.fill_campaigns(customer, follow);
        self.maybe(380, "产品线", LINES[customer.line].name);
        self.maybe(240, "产品线", portrait.kind_of_goods);
        if follow.left_early() {
            for (group, tag) in LEFT_BEHIND {
                self.maybe(50, group, tag);
            }
        }
    }

    fn fill_channel(&mut self, customer: &Customer, follow: &Follow, is_first: bool) {
        self.maybe(if is_first { 910 } else { 450 }, "来源渠道", CHANNELS[customer.channel].name);
        // A second follower who met the customer elsewhere often tags that.
        if let Some(channel) = follow.channel.filter(|_| !is_first) {
            self.maybe(300, "来源渠道", channel);
        }
    }

    fn fill_level(&mut self, customer: &Customer, is_first: bool) {
        let permille = match (customer.level, is_first) {
            (0, true) => 550,
            (0, false) => 250,
            (_, true) => 920,
            (_, false) => 450,
        };
        if !self.random.chance(permille) {
            return;
        }
        // One second follower in five has not noticed that the customer rose.
        let is_outdated = !is_first && customer.level > 0 && self.random.chance(200);
        self.give("会员等级", LEVELS[customer.level - usize::from(is_outdated)]);
    }

    fn fill_region(&mut self, customer: &Customer) {
        let Some(province) = customer.province else { return };
        if !self.random.chance(450) {
            return;
        }
        self.give("地区", province.region);
        if self.taxonomy.number("地区", province.name).is_some() {
            self.maybe(600, "地区", province.name);
        }
    }

    fn fill_lifecycle(&mut self, customer: &Customer) {
        let stage = match (customer.habit, customer.level) {
            (Habit::Dormant, _) => self.random.pick(&["沉默", "流失", "首购"]),
            (Habit::Engaged, 2..) => "忠诚",
            (Habit::Engaged, _) => self.random.pick(&["复购", "首购"]),
            _ => self.random.pick(&["新客", "首购", "复购"]),
        };
        self.maybe(400, "生命周期", stage);
    }

    fn fill_service(&mut self, customer: &Customer, portrait: &Portrait, is_first: bool) {
        if customer.level >= VIP && is_first {
            self.maybe(680, "服务", "专属顾问");
            self.maybe(220, "服务", "生日关怀");
        }
        if customer.level >= 2 {
            self.maybe(90, "服务", "年度套餐客户");
        }
        if portrait.kind == "企业客户" {
            self.maybe(350, "服务", "企业对公");
            self.maybe(200, "服务", "发票需求");
        }
        for (tag, permille) in [("临时咨询", 45), ("售后处理中", 15), ("已投诉", 8), ("电话回访", 40)] {
            self.maybe(permille, "服务", tag);
        }
    }

    /// Writes the campaigns that ran while the follow was there; who came long after one was never tagged for it.
    fn fill_campaigns(&mut self, customer: &Customer, follow: &Follow) {
        let factor = match customer.habit {
            Habit::Engaged => 130,
            Habit::Casual => 100,
            Habit::Dormant | Habit::NeverLogsIn => 70,
        };
        for (tag, (year, month, day), permille) in CAMPAIGNS {
            if follow.added_at < shanghai(year, month, day, 0) {
                self.maybe(permille * factor / 100, "活动", tag);
            }
        }
    }

    /// Changes a few follows from one pull to the next, and brings in the group that the last pull adds.
    fn change(&mut self, customer: &Customer, follow: &Follow) {
        for pull in 1..PULLS {
            if follow.left_at.is_some() || !self.random.chance(CHANGED_PERMILLE) {
                continue;
            }
            if self.random.chance(400) && !self.held.is_empty() {
                let index = self.random.below(self.held.len() as u64) as usize;
                self.close(index, pull);
            } else {
                let (group, tag) = self.random.pick(&NEW_TAGS);
                self.give_from(pull, group, tag);
            }
        }
        let came_in_time = follow.added_at < taken_at(PULLS - 1) - HOUR;
        if customer.habit == Habit::Engaged && follow.rank == 0 && came_in_time && follow.left_at.is_none() {
            let tag = self.random.pick(&["预售定金", "尾款已付", "凑单加购"]);
            if self.random.chance(40) {
                self.give_from(PULLS - 1, "双11分层", tag);
            }
        }
    }

    /// Ends a held tag with a pull, unless it only begins there.
    fn close(&mut self, index: usize, pull: usize) {
        let held = &mut self.held[index];
        if usize::from(held.from) < pull {
            held.until = held.until.min(pull as u8);
        }
    }

    fn maybe(&mut self, permille: u64, group: &'static str, tag: &'static str) {
        if self.random.chance(permille) {
            self.give(group, tag);
        }
    }

    fn give(&mut self, group: &'static str, tag: &'static str) {
        self.give_from(0, group, tag);
    }

    /// Holds a tag from a pull on; a tag that the follow has or had already stays as it is.
    fn give_from(&mut self, pull: usize, group: &'static str, tag: &'static str) {
        let number = self.taxonomy.number(group, tag);
        debug_assert!(number.is_some(), "no tag {group}/{tag}");
        let Some(tag) = number else { return };
        if self.held.iter().all(|held| held.tag != tag) {
            self.held.push(Held { tag, from: pull as u8, until: PULLS as u8 });
        }
    }
}
