//! Reading events without regard to each other: whose each is, and what tells it from others.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;

use super::content_hash::content_hashes;
use super::identity::{Found, Identities};
use super::keys::{CustomerKeys, Near};
use super::known_events::{EventKey, EventKeys};
use super::person::{PersonColumns, texts, told};

/// Reads the events of one source.
pub(super) struct EventReader {
    pub(super) customers: Arc<CustomerKeys>,
    /// The customers by what the source names them by, beside their outside id.
    pub(super) identities: Arc<Identities>,
    pub(super) keys: EventKeys,
    /// The columns whose values are what an event says.
    pub(super) columns: Vec<String>,
}

/// What was read of an event.
pub(super) struct ReadEvent {
    /// Whose it is.
    pub(super) found: Found,
    pub(super) key: EventKey,
    /// The hash of what the source says of it.
    pub(super) content: i64,
}

impl EventReader {
    /// Reads conformed rows, each as one event.
    pub(super) fn read(&self, rows: &RecordBatch) -> Vec<ReadEvent> {
        let person = PersonColumns::of(rows);
        let ids = texts(rows, "event_id");
        let contents = content_hashes(rows, self.columns.iter().map(String::as_str));
        let mut near = Near::default();
        let read = contents.into_iter().enumerate().map(|(row, content)| {
            let found = self.identities.find(&person, row, |id| self.customers.get_near(id, &mut near));
            ReadEvent { found, key: self.keys.of(told(ids, row).unwrap_or_default()), content }
        });
        read.collect()
    }
}
