//! Texts that have positions: kept one after the other in one buffer and found by hash, so that an id costs little more
//! than its bytes.

use std::hash::BuildHasher;

use foldhash::fast::RandomState;
use hashbrown::HashTable;

/// Different texts, each with its position among them.
#[derive(Debug, Default)]
pub(super) struct TextIndex {
    hasher: RandomState,
    texts: Texts,
    positions: HashTable<u32>,
}

impl TextIndex {
    /// The text at a position; `None` where there is none yet.
    pub(super) fn text(&self, position: u32) -> Option<&str> {
        self.texts.get(position)
    }

    /// The position of a text; `None` where it is not there.
    pub(super) fn position(&self, text: &str) -> Option<u32> {
        let hash = self.hasher.hash_one(text);
        self.positions.find(hash, |position| self.texts.get(*position) == Some(text)).copied()
    }

    /// Puts a text at the end, and returns its position. It must not be there yet.
    pub(super) fn put(&mut self, text: &str) -> u32 {
        // What is counted here are customers, of whom there are fewer than 2³².
        let position = self.texts.ends.len() as u32;
        self.texts.push(text);
        let (hasher, texts) = (&self.hasher, &self.texts);
        let hash_at = |position: &u32| hasher.hash_one(texts.get(*position).unwrap_or_default());
        self.positions.insert_unique(hasher.hash_one(text), position, hash_at);
        position
    }
}

/// Texts one after the other.
#[derive(Debug, Default)]
struct Texts {
    buffer: String,
    /// Where each of them ends in the buffer.
    ends: Vec<usize>,
}

impl Texts {
    fn get(&self, position: u32) -> Option<&str> {
        let position = position as usize;
        let end = *self.ends.get(position)?;
        let start = position.checked_sub(1).map_or(0, |before| self.ends[before]);
        self.buffer.get(start..end)
    }

    fn push(&mut self, text: &str) {
        self.buffer.push_str(text);
        self.ends.push(self.buffer.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_text_has_the_position_at_which_it_was_put_however_many_follow() {
        let mut index = TextIndex::default();
        let texts: Vec<String> = (0..5_000).map(|number| format!("客户{number}")).collect();
        for (expected, text) in texts.iter().enumerate() {
            assert_eq!(index.position(text), None, "{text}");
            assert_eq!(index.put(text), expected as u32, "{text}");
        }
        for (expected, text) in texts.iter().enumerate() {
            assert_eq!(index.position(text), Some(expected as u32), "{text}");
            assert_eq!(index.text(expected as u32), Some(text.as_str()));
        }
    }

    #[test]
    fn an_empty_text_is_one_like_any_other_and_beyond_the_end_there_is_none() {
        let mut index = TextIndex::default();
        assert_eq!((index.text(0), index.position("")), (None, None));
        assert_eq!([index.put("a"), index.put(""), index.put("b")], [0, 1, 2]);
        assert_eq!((index.position(""), index.text(1), index.text(3)), (Some(1), Some(""), None));
    }
}
