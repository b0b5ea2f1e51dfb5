//! Who follows whom: one customer in three has more than one follower, some deleted theirs, some are no longer listed.

use super::channels::{CHANNELS, Channel};
use super::days::{DAY, PULLS, end, taken_at, whole_seconds};
use super::org::Org;
use super::people::{Customer, LEVELS, VIP};
use super::random::{Purpose, Random};

/// One staff member's relation to one customer.
pub(super) struct Follow {
    /// The index of the customer.
    pub customer: usize,
    /// The index of the staff member.
    pub staff: u16,
    /// 0 for the customer's first follower, 1 for the second, and so on.
    pub rank: usize,
    pub added_at: i64,
    pub add_way: &'static str,
    pub state: Option<String>,
    pub channel: Option<&'static str>,
    pub remark: Option<String>,
    /// When the customer deleted the staff member.
    pub left_at: Option<i64>,
    is_half: bool,
    /// The first pull that no longer lists the follow.
    gone_at_pull: usize,
}

impl Follow {
    /// The follow's status in a pull; `None` where the pull does not list it.
    pub fn status(&self, pull: usize) -> Option<&'static str> {
        if self.added_at >= taken_at(pull) || self.gone_at_pull <= pull {
            return None;
        }
        match self.left_at {
            Some(left_at) if left_at < taken_at(pull) => Some("left"),
            _ if self.is_half => Some("half"),
            _ => Some("active"),
        }
    }

    /// Whether the customer had already left by the first pull.
    pub fn left_early(&self) -> bool {
        self.left_at.is_some_and(|left_at| left_at < taken_at(0))
    }
}

/// Makes the follows, by customer and rank. A few customers have none: the corp knows them from elsewhere.
pub(super) fn follows(seed: u64, customers: &[Customer], org: &Org) -> Vec<Follow> {
    let mut follows = Vec::with_capacity(customers.len() * 4 / 3);
    for (index, customer) in customers.iter().enumerate() {
        let mut random = Random::stream(seed, Purpose::Follow, index);
        let followers = random.weighted(&[10, 680, 300, 10]);
        let mut taken: Vec<u16> = Vec::with_capacity(followers);
        for rank in 0..followers {
            let follow = follow(&mut random, index, customer, rank, org, &taken);
            taken.push(follow.staff);
            follows.push(follow);
        }
    }
    follows
}

fn follow(random: &mut Random, index: usize, customer: &Customer, rank: usize, org: &Org, taken: &[u16]) -> Follow {
    let first_channel = &CHANNELS[customer.channel];
    let channel = if rank == 0 || random.chance(550) {
        first_channel
    } else {
        &CHANNELS[random.below(CHANNELS.len() as u64) as usize]
    };
    let region = customer.province.map(|province| province.region);
    let staff = org.follower(random, channel.name, region, taken);
    let added_at = if rank == 0 { customer.created_at } else { later(random, customer.created_at, end()) };
    let is_shared = rank > 0 && random.chance(300);
    Follow {
        customer: index,
        staff,
        rank,
        added_at,
        add_way: if is_shared { "shared" } else { channel.add_way },
        state: if is_shared { None } else { state(random, channel) },
        channel: random.chance(940).then_some(channel.name),
        remark: remark(random, customer),
        left_at: random.chance(75).then(|| later(random, added_at + DAY, end() + DAY)),
        is_half: random.chance(45),
        gone_at_pull: [PULLS, 1, 2][random.weighted(&[990, 5, 5])],
    }
}

/// A full second from `from` to `to`; both are full seconds themselves.
fn later(random: &mut Random, from: i64, to: i64) -> i64 {
    whole_seconds(random.between(from, to))
}

/// The mark of the contact way, such as `sph_07`; one customer in twelve came without.
fn state(random: &mut Random, channel: &Channel) -> Option<String> {
    let prefix = channel.state_prefix?;
    random.chance(920).then(|| format!("{prefix}_{:02}", 1 + random.below(12)))
}

/// What the staff member wrote for a name, if anything.
fn remark(random: &mut Random, customer: &Customer) -> Option<String> {
    if random.chance(600) {
        return None;
    }
    let level = if customer.level >= VIP { LEVELS[customer.level] } else { "" };
    let city = customer.city.unwrap_or("");
    Some(format!("{}{city}{level}", customer.name))
}
