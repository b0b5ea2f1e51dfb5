//! The events that a source ever brought: what tells a repeat from a conflict and from what is new.

use std::hash::{BuildHasher, RandomState};

use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// The events of one source. Each costs a hash of its id and one of its content.
#[derive(Default)]
pub(super) struct KnownEvents {
    keys: EventKeys,
    events: HashTable<Known>,
}

/// Makes the keys of events. Cheap to clone; keys of clones are alike, others are not.
#[derive(Clone, Default)]
pub(super) struct EventKeys {
    first: RandomState,
    second: RandomState,
}

/// The id of an event as 127 bits that nobody can foresee: two ids collide in no warehouse that will ever be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct EventKey {
    first: u64,
    /// Even.
    second: u64,
}

/// What an event is to those that came before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nobody has brought it.
    New,
    /// An earlier run has brought it, the same as now.
    Again,
    /// This run has brought it, the same as now.
    Duplicate,
    /// It was brought with other values.
    Conflict,
}

/// What is known of an event.
struct Known {
    first: u64,
    /// The lowest bit says whether this run has listed it.
    second: u64,
    /// The hash of its content.
    content: i64,
}

/// The bit of [`Known`] that is set where this run has listed the event.
const LISTED: u64 = 1;

impl EventKeys {
    /// The key of an id.
    pub(super) fn of(&self, id: &str) -> EventKey {
        EventKey { first: self.first.hash_one(id), second: self.second.hash_one(id) & !LISTED }
    }
}

impl KnownEvents {
    /// What makes its keys.
    pub(super) fn keys(&self) -> &EventKeys {
        &self.keys
    }

    /// Takes in an event that an earlier run has brought.
    pub(super) fn put(&mut self, key: EventKey, content: i64) {
        let known = Known { first: key.first, second: key.second, content };
        self.events.insert_unique(key.first, known, |known| known.first);
    }

    /// Holds an event against what was brought before, and notes that this run lists it.
    pub(super) fn judge(&mut self, key: EventKey, content: i64) -> Verdict {
        match self.events.entry(key.first, |known| known.is(key), |known| known.first) {
            Entry::Vacant(free) => {
                free.insert(Known { first: key.first, second: key.second | LISTED, content });
                Verdict::New
            }
            Entry::Occupied(mut known) => {
                let known = known.get_mut();
                if known.content != content {
                    return Verdict::Conflict;
                }
                let was_listed = known.second & LISTED == LISTED;
                known.second |= LISTED;
                if was_listed { Verdict::Duplicate } else { Verdict::Again }
            }
        }
    }

    /// Forgets an event that was not kept, so that it is no repeat when it comes again.
    pub(super) fn forget(&mut self, key: EventKey) {
        if let Ok(known) = self.events.find_entry(key.first, |known| known.is(key)) {
            known.remove();
        }
    }
}

impl Known {
    fn is(&self, key: EventKey) -> bool {
        self.first == key.first && self.second & !LISTED == key.second
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_again_is_known_from_an_earlier_run_and_a_duplicate_within_one() {
        let mut events = KnownEvents::default();
        events.put(events.keys().of("earlier"), 1);
        let mut judged = |id: &str, content| events.judge(events.keys().of(id), content);
        assert_eq!([judged("earlier", 1), judged("earlier", 1)], [Verdict::Again, Verdict::Duplicate]);
        assert_eq!([judged("now", 1), judged("now", 1)], [Verdict::New, Verdict::Duplicate]);
        assert_eq!([judged("earlier", 2), judged("now", 2)], [Verdict::Conflict, Verdict::Conflict]);
        events.forget(events.keys().of("now"));
        events.forget(events.keys().of("never"));
        assert_eq!(events.judge(events.keys().of("now"), 2), Verdict::New);
    }

    #[test]
    fn events_are_told_apart_however_many_there_are_and_each_is_small() {
        let mut events = KnownEvents::default();
        let keys = events.keys().clone();
        let judged: Vec<Verdict> =
            (0..10_000).chain(0..10_000).map(|number| events.judge(keys.of(&format!("e{number}")), number)).collect();
        assert!(judged[..10_000].iter().all(|verdict| *verdict == Verdict::New));
        assert!(judged[10_000..].iter().all(|verdict| *verdict == Verdict::Duplicate));
        assert_eq!(size_of::<Known>(), 24);
    }
}
