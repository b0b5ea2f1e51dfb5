//! The ladder: which snapshots stay, by their age and by the plans that refer to them. Pure.

use std::collections::BTreeMap;
use std::fmt;

use chrono::{DateTime, Utc};
use tagmill_schemas::clock::BusinessZone;
use tagmill_schemas::ids::{PlanId, SnapshotId};

/// How long snapshots are kept, in days of the business calendar back from the newest snapshot's `taken_at`.
///
/// The last snapshot of each business month is kept for ever, and the newest one always.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ladder {
    /// For so many days every snapshot is kept.
    pub all_days: u32,
    /// For so many days the last snapshot of each business day is kept.
    pub daily_days: u32,
}

impl Default for Ladder {
    fn default() -> Self {
        Self { all_days: 7, daily_days: 90 }
    }
}

/// Why a snapshot stays: the first reason that holds, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum KeptAs {
    /// It is the newest.
    Newest,
    /// It is young enough for every snapshot to be kept.
    Recent,
    /// It is the last of its business day, and young enough for that.
    LastOfDay,
    /// It is the last of its business month.
    LastOfMonth,
    /// A plan was computed on it that is not over yet, or that can be taken back.
    Plan(PlanId),
}

impl fmt::Display for KeptAs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Newest => f.write_str("newest"),
            Self::Recent => f.write_str("recent"),
            Self::LastOfDay => f.write_str("last of its day"),
            Self::LastOfMonth => f.write_str("last of its month"),
            Self::Plan(plan_id) => write!(f, "{plan_id} refers to it"),
        }
    }
}

/// Why each snapshot stays; `None` for one that goes.
///
/// `taken` is every snapshot there is, ascending by id and so by `taken_at`; `plans` says which plan refers to which.
/// What the ladder lets go is never what it would keep later, so that pruning often or seldom comes to the same.
pub(super) fn judge(
    taken: &[(SnapshotId, DateTime<Utc>)],
    zone: BusinessZone,
    ladder: Ladder,
    plans: &BTreeMap<SnapshotId, PlanId>,
) -> Vec<Option<KeptAs>> {
    let Some((_, newest)) = taken.last() else { return Vec::new() };
    let all_after = zone.minus_days(*newest, ladder.all_days);
    let daily_after = zone.minus_days(*newest, ladder.daily_days);
    let judged = taken.iter().enumerate().map(|(index, (id, at))| {
        let Some((_, next)) = taken.get(index + 1) else { return Some(KeptAs::Newest) };
        let ends_day = zone.day_of(*at) != zone.day_of(*next);
        let ends_month = zone.first_of_month(*at, 0) != zone.first_of_month(*next, 0);
        if *at > all_after {
            Some(KeptAs::Recent)
        } else if ends_day && *at > daily_after {
            Some(KeptAs::LastOfDay)
        } else if ends_month {
            Some(KeptAs::LastOfMonth)
        } else {
            plans.get(id).cloned().map(KeptAs::Plan)
        }
    });
    judged.collect()
}

#[cfg(test)]
mod tests {
    use chrono::{NaiveDateTime, TimeDelta};

    use super::*;

    const LADDER: Ladder = Ladder { all_days: 7, daily_days: 90 };

    fn shanghai(text: &str) -> DateTime<Utc> {
        let local = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M").unwrap();
        BusinessZone::default().instant_of(local)
    }

    /// Snapshots from 1 on, taken at these local times.
    fn taken(times: &[&str]) -> Vec<(SnapshotId, DateTime<Utc>)> {
        times.iter().zip(1..).map(|(time, id)| (SnapshotId(id), shanghai(time))).collect()
    }

    /// What is said of each, with `-` for what goes.
    fn check(ladder: Ladder, times: &[&str], expected: &[&str]) {
        let judged = judge(&taken(times), BusinessZone::default(), ladder, &BTreeMap::new());
        let said: Vec<String> =
            judged.iter().map(|kept| kept.as_ref().map_or("-".to_owned(), ToString::to_string)).collect();
        assert_eq!(said, expected, "{times:?}");
    }

    /// Those that stay.
    fn kept(taken: &[(SnapshotId, DateTime<Utc>)], ladder: Ladder) -> Vec<(SnapshotId, DateTime<Utc>)> {
        let judged = judge(taken, BusinessZone::default(), ladder, &BTreeMap::new());
        taken.iter().zip(judged).filter(|(_, kept)| kept.is_some()).map(|(one, _)| *one).collect()
    }

    #[test]
    fn all_stay_for_a_week_then_one_a_day_then_one_a_month() {
        let times = [
            "2026-01-10 02:00",
            "2026-01-31 10:00",
            "2026-05-10 02:00",
            "2026-05-10 20:00",
            "2026-05-31 20:00",
            "2026-06-24 08:00",
            "2026-06-24 20:00",
            "2026-06-30 18:00",
        ];
        let expected =
            ["-", "last of its month", "-", "last of its day", "last of its day", "recent", "recent", "newest"];
        check(LADDER, &times, &expected);
    }

    #[test]
    fn a_day_ends_at_midnight_of_the_business_zone_and_so_does_a_month() {
        // In UTC the first three are of one day.
        let times = ["2026-04-30 23:59", "2026-05-01 00:00", "2026-05-01 07:00", "2026-06-30 18:00"];
        check(LADDER, &times, &["last of its day", "-", "last of its day", "newest"]);
        let no_days = Ladder { all_days: 0, daily_days: 0 };
        check(no_days, &times, &["last of its month", "-", "last of its month", "newest"]);
    }

    #[test]
    fn what_was_taken_as_many_days_before_at_the_same_time_is_too_old() {
        let times = ["2026-06-03 01:00", "2026-06-03 02:00", "2026-06-03 02:01", "2026-06-10 02:00"];
        let week = Ladder { all_days: 7, daily_days: 7 };
        check(week, &times, &["-", "-", "recent", "newest"]);
        check(Ladder { all_days: 8, ..week }, &times, &["recent", "recent", "recent", "newest"]);
    }

    #[test]
    fn without_any_days_the_newest_stays_alone_in_its_month_whoever_was_taken_at_its_instant() {
        let times = ["2026-06-10 02:00", "2026-06-10 02:00", "2026-06-10 02:00"];
        check(Ladder { all_days: 0, daily_days: 0 }, &times, &["-", "-", "newest"]);
    }

    #[test]
    fn more_days_than_the_calendar_has_keep_everything() {
        let times = ["1990-01-01 00:00", "1990-01-01 01:00", "2026-06-10 02:00"];
        check(Ladder { all_days: u32::MAX, daily_days: 0 }, &times, &["recent", "recent", "newest"]);
        check(Ladder { all_days: 0, daily_days: u32::MAX }, &times, &["-", "last of its day", "newest"]);
    }

    #[test]
    fn a_plan_keeps_what_the_ladder_would_let_go() {
        let taken = taken(&["2020-06-10 02:00", "2020-06-10 03:00", "2020-06-10 04:00", "2026-06-10 02:00"]);
        let plans = [1, 3].map(|id| (SnapshotId(id), PlanId::new(format!("plan-{id}"))));
        let judged = judge(&taken, BusinessZone::default(), LADDER, &plans.into());
        let of_plan = Some(KeptAs::Plan(PlanId::new("plan-1")));
        assert_eq!(judged, [of_plan, None, Some(KeptAs::LastOfMonth), Some(KeptAs::Newest)]);
    }

    #[test]
    fn no_snapshots_have_no_verdicts() {
        check(LADDER, &[], &[]);
    }

    #[test]
    fn pruning_after_each_snapshot_comes_to_the_same_as_pruning_once() {
        // Every seven hours for half a year.
        let start = shanghai("2026-01-01 00:00");
        let all: Vec<_> = (0..620).map(|step| (SnapshotId(step + 1), start + TimeDelta::hours(7 * step))).collect();
        for ladder in [LADDER, Ladder { all_days: 2, daily_days: 30 }, Ladder { all_days: 40, daily_days: 3 }] {
            let mut often: Vec<(SnapshotId, DateTime<Utc>)> = Vec::new();
            for one in &all {
                often.push(*one);
                often = kept(&often, ladder);
            }
            assert_eq!(often, kept(&all, ladder), "{ladder:?}");
            assert_eq!(kept(&often, ladder), often, "{ladder:?}");
            assert!(often.len() < all.len() / 2, "{} stay", often.len());
        }
    }
}
