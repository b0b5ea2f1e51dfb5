//! Opens a text file: looks through gzip, counts and hashes the bytes on disk, and refuses what is plainly no UTF-8
//! text.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::account::Progress;
use super::digest::hex_digest;
use super::error::RawError;
use super::format::CsvDialect;
use super::record::{Piece, RecordReader};

/// How much is read from disk at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// The first bytes of a gzip stream (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];

/// First bytes that tell another format, what it is and what to do about it.
static FOREIGN: [(&[u8], &str, &str); 6] = [
    (b"PAR1", "a Parquet file", "give its format as parquet"),
    (b"PK\x03\x04", "a ZIP archive or a workbook", "unpack it, or save the sheet as CSV UTF-8"),
    (&[0x28, 0xb5, 0x2f, 0xfd], "a zstd archive", "unpack it, or pack it with gzip"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "an xz archive", "unpack it, or pack it with gzip"),
    (&[0xff, 0xfe], "UTF-16", "`iconv -f UTF-16 -t UTF-8 FILE` makes it UTF-8"),
    (&[0xfe, 0xff], "UTF-16", "`iconv -f UTF-16 -t UTF-8 FILE` makes it UTF-8"),
];

/// The records of one text file.
pub(super) struct TextReader<'a> {
    path: &'a Path,
    is_gzip: bool,
    records: RecordReader<Source>,
}

impl<'a> TextReader<'a> {
    /// Opens `path` at its first record; `is_hashed` asks for the digest at the end.
    pub(super) fn open(
        path: &'a Path,
        dialect: &CsvDialect,
        is_hashed: bool,
        progress: Arc<dyn Progress>,
    ) -> Result<Self, RawError> {
        let file = File::open(path).map_err(|source| RawError::opening(path, source))?;
        let tracked = Tracked { file, hasher: is_hashed.then(Sha256::new), progress };
        let source = Source::new(tracked).map_err(|source| RawError::reading(path, false, source))?;
        let is_gzip = matches!(source, Source::Gzip(_));
        let records = RecordReader::new(source, dialect).map_err(|source| RawError::reading(path, is_gzip, source))?;
        let foreign = FOREIGN.iter().find(|(magic, _, _)| records.head().starts_with(magic));
        match foreign {
            Some(&(_, found, advice)) => Err(RawError::WrongFormat { path: path.to_owned(), found, advice }),
            None => Ok(Self { path, is_gzip, records }),
        }
    }

    /// Reads the next record, header or not; `None` at the end of the file.
    pub(super) fn read_record(&mut self) -> Result<Option<Piece<'_>>, RawError> {
        let (path, is_gzip) = (self.path, self.is_gzip);
        self.records.read_record().map_err(|source| RawError::reading(path, is_gzip, source))
    }

    /// Closes the file and returns the SHA-256 of all its bytes, where it was asked for.
    pub(super) fn finish(self) -> Result<Option<String>, RawError> {
        let (path, is_gzip) = (self.path, self.is_gzip);
        self.records.into_input().finish().map_err(|source| RawError::reading(path, is_gzip, source))
    }
}

/// A file as the bytes of its text.
enum Source {
    Plain(BufReader<Tracked>),
    Gzip(Box<MultiGzDecoder<BufReader<Tracked>>>),
}

impl Source {
    fn new(tracked: Tracked) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(CHUNK_BYTES, tracked);
        let is_gzip = reader.fill_buf()?.starts_with(&GZIP_MAGIC);
        Ok(if is_gzip { Self::Gzip(Box::new(MultiGzDecoder::new(reader))) } else { Self::Plain(reader) })
    }

    /// Reads what is left on disk, so that the digest covers the whole file, and returns the digest.
    fn finish(self) -> io::Result<Option<String>> {
        let mut reader = match self {
            Self::Plain(reader) => reader,
            Self::Gzip(decoder) => (*decoder).into_inner(),
        };
        io::copy(&mut reader, &mut io::sink())?;
        Ok(reader.into_inner().hasher.map(hex_digest))
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Plain(reader) => reader.read(buffer),
            Self::Gzip(decoder) => decoder.read(buffer),
        }
    }
}

/// A file whose bytes are counted and, if asked for, hashed as they are read.
struct Tracked {
    file: File,
    hasher: Option<Sha256>,
    progress: Arc<dyn Progress>,
}

impl Read for Tracked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..length]);
        }
        self.progress.bytes_read(length as u64);
        Ok(length)
    }
}
