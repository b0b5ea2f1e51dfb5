//! What customers do: their journeys first, then a background of browsing that fills the year up to the size asked for.

use super::channels::{CHANNELS, Habit};
use super::days::Calendar;
use super::goods::{CODES, DOCUMENTS, LINES, TOPICS};
use super::journeys::journeys;
use super::people::Customer;
use super::random::{Purpose, Random};

/// The type of an event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum EventType {
    Active,
    Login,
    PageView,
    AddToCart,
    OrderPaid,
    Refund,
    Consult,
    ViewPdf,
    Scan,
}

impl EventType {
    /// The type as the table writes it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Active => "active",
            Self::Login => "login",
            Self::PageView => "page_view",
            Self::AddToCart => "add_to_cart",
            Self::OrderPaid => "order_paid",
            Self::Refund => "refund",
            Self::Consult => "consult",
            Self::ViewPdf => "view_pdf",
            Self::Scan => "scan",
        }
    }
}

/// One thing that a customer did.
pub(super) struct Event {
    /// The number in the order of time, from 1.
    pub number: usize,
    pub occurred_at: i64,
    /// The index of the customer.
    pub customer: usize,
    pub event_type: EventType,
    pub channel: Option<&'static str>,
    /// Money in 分, hundredths of a yuan; negative for a refund.
    pub amount_fen: Option<i64>,
    pub duration_seconds: Option<i64>,
    pub reference: Option<&'static str>,
}

impl Event {
    /// An event that is no more than its type.
    pub fn new(occurred_at: i64, customer: usize, event_type: EventType) -> Self {
        Self {
            number: 0,
            occurred_at,
            customer,
            event_type,
            channel: None,
            amount_fen: None,
            duration_seconds: None,
            reference: None,
        }
    }

    /// The event about a thing.
    pub fn about(self, reference: &'static str) -> Self {
        Self { reference: Some(reference), ..self }
    }

    /// The event that came by a channel.
    pub fn by(self, channel: Option<&'static str>) -> Self {
        Self { channel, ..self }
    }

    /// The event with money in it.
    pub fn worth(self, amount_fen: i64) -> Self {
        Self { amount_fen: Some(amount_fen), ..self }
    }

    /// The event that took a while.
    pub fn lasting(self, seconds: i64) -> Self {
        Self { duration_seconds: Some(seconds), ..self }
    }
}

/// Makes `count` events in the order of time; more where the journeys alone are more.
pub(super) fn events(seed: u64, customers: &[Customer], count: usize) -> Vec<Event> {
    let calendar = Calendar::new();
    let mut events = Vec::with_capacity(count);
    for (index, customer) in customers.iter().enumerate() {
        let mut random = Random::stream(seed, Purpose::Journey, index);
        journeys(&mut random, &calendar, index, customer, &mut events);
    }
    let rest = count.saturating_sub(events.len());
    background(seed, &calendar, customers, rest, &mut events);
    // A stable sort, so that equal instants keep one order for ever.
    events.sort_by_key(|event| (event.occurred_at, event.customer));
    for (index, event) in events.iter_mut().enumerate() {
        event.number = index + 1;
    }
    events
}

/// Adds `rest` events, shared out among the customers by how lively and how long they were there.
fn background(seed: u64, calendar: &Calendar, customers: &[Customer], rest: usize, events: &mut Vec<Event>) {
    let total: u128 = customers.iter().map(liveliness).sum();
    let mut seen = 0;
    let mut given = 0;
    for (index, customer) in customers.iter().enumerate() {
        seen += liveliness(customer);
        // Rounded on the running total, so that the shares add up to the whole.
        let due = (rest as u128 * seen / total.max(1)) as usize;
        let mut random = Random::stream(seed, Purpose::Background, index);
        for _ in given..due {
            events.push(background_event(&mut random, calendar, index, customer));
        }
        given = due;
    }
}

fn liveliness(customer: &Customer) -> u128 {
    let habit = match customer.habit {
        Habit::Engaged => 60,
        Habit::Casual => 20,
        Habit::Dormant => 16,
        Habit::NeverLogsIn => 8,
    };
    let level = [10, 11, 13, 16, 18][customer.level];
    let (from, to) = customer.life();
    habit * level * u128::from((to - from).unsigned_abs())
}

fn background_event(random: &mut Random, calendar: &Calendar, index: usize, customer: &Customer) -> Event {
    const TYPES: [EventType; 7] = [
        EventType::Active,
        EventType::PageView,
        EventType::Login,
        EventType::AddToCart,
        EventType::Consult,
        EventType::ViewPdf,
        EventType::Scan,
    ];
    let (from, to) = customer.life();
    let at = calendar.instant(random, from, to);
    let event_type = match TYPES[random.weighted(&[38, 27, 15, 3, 7, 6, 4])] {
        EventType::Login if customer.habit == Habit::NeverLogsIn => EventType::PageView,
        other => other,
    };
    let event = Event::new(at, index, event_type).by(touch_channel(random, customer));
    match event_type {
        EventType::PageView => event.about(some_sku(random, customer)).lasting(page_seconds(random)),
        EventType::AddToCart => event.about(some_sku(random, customer)),
        EventType::Consult => event.about(random.pick(TOPICS)).lasting(random.between(40, 1500)),
        EventType::ViewPdf => event.about(random.pick(DOCUMENTS)).lasting(random.between(15, 700)),
        EventType::Scan => event.about(random.pick(CODES)),
        _ => event,
    }
}

/// How long a page was looked at: mostly below a minute, now and then for long.
fn page_seconds(random: &mut Random) -> i64 {
    match random.weighted(&[60, 30, 9, 1]) {
        0 => random.between(3, 40),
        1 => random.between(40, 130),
        2 => random.between(130, 600),
        _ => random.between(600, 1500),
    }
}

fn some_sku(random: &mut Random, customer: &Customer) -> &'static str {
    let line = if random.chance(700) { LINES[customer.line] } else { random.pick(&LINES) };
    random.pick(line.goods).sku
}

/// The channel of an event: mostly the customer's own, sometimes another, sometimes not told.
pub(super) fn touch_channel(random: &mut Random, customer: &Customer) -> Option<&'static str> {
    match random.weighted(&[60, 28, 12]) {
        0 => Some(CHANNELS[customer.channel].name),
        1 => Some(random.pick(&CHANNELS).name),
        _ => None,
    }
}
