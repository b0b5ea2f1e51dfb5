//! SHA-256 of files and of records.

use std::collections::HashMap;
use std::fs::{self, File, Metadata};
use std::io::{BufRead, BufReader};
use std::path::Path;
use std::time::SystemTime;

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
        let chunk = reader.fill_buf().map_err(|source| RawError::reading(path, None, source))?;
        if chunk.is_empty() {
            return Ok(hex_digest(hasher));
        }
        hasher.update(chunk);
        let length = chunk.len();
        reader.consume(length);
    }
}

/// What a file held when it was hashed: its SHA-256, and by what it is known that nobody has written to it since.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileVersion {
    sha256: String,
    stamp: Stamp,
}

impl FileVersion {
    /// Reads the file once, in constant memory; blocks.
    ///
    /// # Errors
    ///
    /// [`RawError`] where the file is missing, unreadable, or written to meanwhile.
    pub fn of(path: &Path) -> Result<Self, RawError> {
        let stamp = Stamp::of(path)?;
        let version = Self { sha256: file_digest(path)?, stamp };
        version.check(path)?;
        Ok(version)
    }

    /// Returns the SHA-256 of the bytes on disk, in lower-case hex.
    pub fn sha256(&self) -> &str {
        &self.sha256
    }

    /// Fails where the file at `path` is no longer this version.
    pub(super) fn check(&self, path: &Path) -> Result<(), RawError> {
        if Stamp::of(path)? == self.stamp { Ok(()) } else { Err(RawError::Changed { path: path.to_owned() }) }
    }
}

/// What changes with every ordinary way of writing to a file; it costs no reading.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Stamp {
    bytes: u64,
    modified: Option<SystemTime>,
    inode: u64,
}

impl Stamp {
    fn of(path: &Path) -> Result<Self, RawError> {
        let metadata = fs::metadata(path).map_err(|source| RawError::opening(path, source))?;
        Ok(Self { bytes: metadata.len(), modified: metadata.modified().ok(), inode: inode(&metadata) })
    }
}

#[cfg(unix)]
fn inode(metadata: &Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::ino(metadata)
}

/// Nothing like it is known here.
#[cfg(not(unix))]
fn inode(_metadata: &Metadata) -> u64 {
    0
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
