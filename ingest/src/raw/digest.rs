//! SHA-256 of files and of records.

use std::collections::HashMap;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use sha2::{Digest, Sha256};

use super::error::RawError;

/// How much of a file is hashed at a time.
const CHUNK_BYTES: usize = 256 * 1024;

/// Returns the SHA-256 of the file's bytes as on disk, in lower-case hex, reading it once in constant memory.
///
/// # Errors
///
/// [`RawError`] where the file is missing or unreadable.
pub fn file_digest(path: &Path) -> Result<String, RawError> {
    let file = File::open(path).map_err(|source| RawError::opening(path, source))?;
    let mut reader = BufReader::with_capacity(CHUNK_BYTES, file);
    let mut hasher = Sha256::new();
    loop {
        let chunk = reader.fill_buf().map_err(|source| RawError::reading(path, false, source))?;
        if chunk.is_empty() {
            return Ok(hex_digest(hasher));
        }
        hasher.update(chunk);
        let length = chunk.len();
        reader.consume(length);
    }
}

/// Gives the records of one file their `_row_id`, in the order of the file.
///
/// Equal records are recognised by the first 64 bits of their hash, so that a distinct record costs some 30 bytes and
/// not its text. Should two different records ever share these bits, their ordinals are shared out between them, and
/// the ids still differ.
#[derive(Debug, Default)]
pub(super) struct RowIds {
    seen: HashMap<u64, u64>,
}

impl RowIds {
    /// Returns the id of the next record: SHA-256 of its bytes, `#` and its ordinal among equals, from 0, in lower-case
    /// hex.
    pub(super) fn next_id(&mut self, raw: &[u8]) -> String {
        let mut hasher = Sha256::new();
        hasher.update(raw);
        let content: [u8; 32] = hasher.clone().finalize().into();
        let mut key = [0; 8];
        key.copy_from_slice(&content[..8]);
        let seen = self.seen.entry(u64::from_le_bytes(key)).or_insert(0);
        let ordinal = *seen;
        *seen += 1;
        hasher.update(b"#");
        hasher.update(ordinal.to_string().as_bytes());
        hex_digest(hasher)
    }
}

/// Ends the hash and writes it in lower-case hex.
pub(super) fn hex_digest(hasher: Sha256) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let bytes: [u8; 32] = hasher.finalize().into();
    let mut hex = String::with_capacity(64);
    for byte in bytes {
        hex.push(char::from(DIGITS[usize::from(byte >> 4)]));
        hex.push(char::from(DIGITS[usize::from(byte & 0x0f)]));
    }
    hex
}
