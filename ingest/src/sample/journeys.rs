//! Journeys: the purposeful part of what a customer does. They carry the demo's questions: net spend by level, full
//! carts without payment in June, active days in November, the last login.

use super::channels::Habit;
use super::days::{Calendar, DAY, SECOND, end, first_event_at, shanghai, whole_seconds};
use super::events::{Event, EventType, touch_channel};
use super::goods::LINES;
use super::people::Customer;
use super::random::Random;

/// How many orders a customer places between the first event and the last, by member level: from, and to, `to`
/// excluded.
const ORDERS: [(i64, i64); 5] = [(0, 2), (1, 4), (2, 7), (5, 14), (10, 22)];

/// What an order is about worth, in yuan, by member level: from, and to, `to` excluded.
const ORDER_YUAN: [(i64, i64); 5] = [(60, 300), (100, 600), (200, 1500), (1000, 8500), (2500, 14_000)];

/// Adds what the customer of that index sets out to do.
pub(super) fn journeys(
    random: &mut Random,
    calendar: &Calendar,
    index: usize,
    customer: &Customer,
    events: &mut Vec<Event>,
) {
    let mut journey = Journey { random, calendar, index, customer, events };
    for _ in 0..journey.order_count() {
        journey.order();
    }
    if customer.is_hesitant {
        journey.fill_the_june_cart();
    }
    journey.be_active_in_november();
    journey.log_in_lately();
}

struct Journey<'a> {
    random: &'a mut Random,
    calendar: &'a Calendar,
    index: usize,
    customer: &'a Customer,
    events: &'a mut Vec<Event>,
}

impl Journey<'_> {
    /// How many orders the customer places while there: the full number cut down to the time stayed, rounded up.
    fn order_count(&mut self) -> i64 {
        let (from, to) = ORDERS[self.customer.level];
        let in_full = self.random.between(from, to);
        let (began, ended) = self.customer.life();
        let whole = end() - first_event_at();
        let stayed = (in_full * (ended - began) + whole - 1) / whole;
        if self.customer.habit == Habit::Dormant { stayed / 2 } else { stayed }
    }

    /// One order: mostly from the cart, sometimes sent back in full or in part.
    fn order(&mut self) {
        let (from, to) = self.customer.life();
        let paid_at = self.calendar.instant(self.random, from, to);
        if self.customer.is_hesitant && is_in_june(paid_at) {
            return;
        }
        let line = if self.random.chance(750) { LINES[self.customer.line] } else { self.random.pick(&LINES) };
        let good = self.random.pick(line.goods);
        let (least, most) = ORDER_YUAN[self.customer.level];
        let quantity = (self.random.between(least, most) * 100 / good.price_fen).max(1);
        let discount_percent = self.random.between(0, 16);
        let paid_fen = quantity * good.price_fen * (100 - discount_percent) / 100;
        let channel = touch_channel(self.random, self.customer);
        let carted_at = paid_at - self.random.between(120, 2 * 24 * 3600) * SECOND;
        if carted_at >= from && self.random.chance(700) {
            self.add(Event::new(carted_at, self.index, EventType::AddToCart).about(good.sku).by(channel));
        }
        self.add(Event::new(paid_at, self.index, EventType::OrderPaid).about(good.sku).by(channel).worth(paid_fen));
        self.maybe_refund(paid_at, paid_fen, good.sku);
    }

    fn maybe_refund(&mut self, paid_at: i64, paid_fen: i64, sku: &'static str) {
        let refunded_at = paid_at + whole_seconds(self.random.between(DAY, 20 * DAY));
        let is_refunded = self.random.chance(60);
        let refunded_fen = if self.random.chance(700) { paid_fen } else { paid_fen / 2 };
        if is_refunded && refunded_at < end() {
            self.add(Event::new(refunded_at, self.index, EventType::Refund).about(sku).worth(-refunded_fen));
        }
    }

    /// At least three things into the cart in June 2026; the order for them never comes.
    fn fill_the_june_cart(&mut self) {
        let (from, to) = self.customer.life();
        let (from, to) = (from.max(shanghai(2026, 6, 1, 0)), to.min(shanghai(2026, 7, 1, 0)));
        if from >= to {
            return;
        }
        let line = &LINES[self.customer.line];
        for _ in 0..self.random.between(3, 7) {
            let at = self.calendar.instant(self.random, from, to);
            let sku = self.random.pick(line.goods).sku;
            let channel = touch_channel(self.random, self.customer);
            self.add(Event::new(at, self.index, EventType::AddToCart).about(sku).by(channel));
        }
    }

    /// Active days in the eleven days up to Singles' Day 2026.
    fn be_active_in_november(&mut self) {
        let permille = match self.customer.habit {
            Habit::Engaged => 220,
            Habit::Casual => 50,
            Habit::Dormant | Habit::NeverLogsIn => return,
        };
        let (from, to) = self.customer.life();
        for day in 1..=11 {
            let began = shanghai(2026, 11, day, 0);
            let (from, to) = (from.max(began), to.min(began + DAY));
            if self.random.chance(permille) && from < to {
                let at = self.calendar.instant(self.random, from, to);
                let channel = touch_channel(self.random, self.customer);
                self.add(Event::new(at, self.index, EventType::Active).by(channel));
            }
        }
    }

    /// A login in the last three months for nearly all who are still about, and one while they were for the dormant.
    fn log_in_lately(&mut self) {
        let permille = match self.customer.habit {
            Habit::Engaged => 970,
            Habit::Casual => 860,
            Habit::Dormant => 800,
            Habit::NeverLogsIn => return,
        };
        let (from, to) = self.customer.life();
        let from = if self.customer.habit == Habit::Dormant { from } else { from.max(to - 85 * DAY) };
        if self.random.chance(permille) && from < to {
            let at = self.calendar.instant(self.random, from, to);
            let channel = touch_channel(self.random, self.customer);
            self.add(Event::new(at, self.index, EventType::Login).by(channel));
        }
    }

    fn add(&mut self, event: Event) {
        self.events.push(event);
    }
}

fn is_in_june(instant: i64) -> bool {
    (shanghai(2026, 6, 1, 0)..shanghai(2026, 7, 1, 0)).contains(&instant)
}
