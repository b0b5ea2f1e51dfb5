//! Opens a text file: looks through gzip and zstd, decodes to UTF-8, counts and hashes the bytes on disk, and refuses
//! what is plainly no text.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Chain, Cursor, Read};
use std::path::Path;
use std::sync::Arc;

use flate2::bufread::MultiGzDecoder;
use sha2::{Digest, Sha256};

use super::account::Progress;
use super::digest::hex_digest;
use super::encoding::{Decoded, Encoding};
use super::error::RawError;
use super::format::CsvDialect;
use super::record::{Piece, RecordReader};

/// How much is read from disk at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// The first bytes of a gzip stream (RFC 1952, section 2.3.1).
const GZIP_MAGIC: [u8; 2] = [0x1f, 0x8b];
/// The first bytes of a zstd frame (RFC 8878, section 3.1.1).
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];
/// Up to so many bytes of text, an archive may be as dense as it likes.
const DENSE_BYTES: u64 = 256 * 1024 * 1024;
/// How many times its size an archive may unpack to. Exports of orders or customers come to some 5 to 50 times.
const MAX_RATIO: u64 = 500;
/// How much of a text is looked at to know what it is.
const HEAD_BYTES: u64 = 8;

/// First bytes that tell another format, what it is and what to do about it.
static FOREIGN: [(&[u8], &str, &str); 3] = [
    (b"PAR1", "a Parquet file", "give its format as parquet"),
    (b"PK\x03\x04", "a ZIP archive or a workbook", "unpack it, or save the sheet as CSV UTF-8"),
    (&[0xfd, b'7', b'z', b'X', b'Z'], "an xz archive", "unpack it, or pack it with gzip or zstd"),
];

/// The records of one CSV file.
pub(super) struct TextReader<'a> {
    path: &'a Path,
    archive: Option<&'static str>,
    records: RecordReader<TextInput>,
}

impl<'a> TextReader<'a> {
    /// Opens `path` at its first record; `is_hashed` asks for the digest at the end.
    pub(super) fn open(
        path: &'a Path,
        dialect: &CsvDialect,
        is_hashed: bool,
        progress: Arc<dyn Progress>,
    ) -> Result<Self, RawError> {
        let input = TextInput::open(path, dialect.encoding, is_hashed, progress)?;
        let (archive, encoding) = (input.archive, input.encoding);
        let records = RecordReader::new(input, dialect, encoding);
        let records = records.map_err(|cause| RawError::reading(path, archive, cause))?;
        Ok(Self { path, archive, records })
    }

    /// Reads the next record, header or not; `None` at the end of the file.
    pub(super) fn read_record(&mut self) -> Result<Option<Piece<'_>>, RawError> {
        let (path, archive) = (self.path, self.archive);
        self.records.read_record().map_err(|cause| RawError::reading(path, archive, cause))
    }

    /// Closes the file and returns the SHA-256 of all its bytes, where it was asked for.
    pub(super) fn finish(self) -> Result<Option<String>, RawError> {
        let (path, archive) = (self.path, self.archive);
        self.records.into_input().finish().map_err(|cause| RawError::reading(path, archive, cause))
    }
}

/// The text of one file, as UTF-8.
pub(super) struct TextInput {
    /// The kind of archive that the file is, if any.
    pub(super) archive: Option<&'static str>,
    /// How the text is written in the file.
    pub(super) encoding: Encoding,
    text: Text,
}

/// The bytes of a text: those looked at to know what it is, then the others.
type Headed = Chain<Cursor<Vec<u8>>, Source>;

enum Text {
    Utf8(Headed),
    Other(Box<Decoded<Headed>>),
}

impl TextInput {
    /// Opens `path` at its first byte, a byte order mark included; `is_hashed` asks for the digest at the end.
    pub(super) fn open(
        path: &Path,
        stated: Option<Encoding>,
        is_hashed: bool,
        progress: Arc<dyn Progress>,
    ) -> Result<Self, RawError> {
        let file = File::open(path).map_err(|cause| RawError::opening(path, cause))?;
        let tracked = Tracked { file, bytes: 0, hasher: is_hashed.then(Sha256::new), progress };
        let mut source = Source::new(tracked).map_err(|cause| RawError::reading(path, None, cause))?;
        let archive = source.packed.kind();
        let mut head = Vec::new();
        source
            .by_ref()
            .take(HEAD_BYTES)
            .read_to_end(&mut head)
            .map_err(|cause| RawError::reading(path, archive, cause))?;
        if let Some(&(_, found, advice)) = FOREIGN.iter().find(|(magic, _, _)| head.starts_with(magic)) {
            return Err(RawError::WrongFormat { path: path.to_owned(), found, advice });
        }
        let encoding = Encoding::marked(&head).or(stated).unwrap_or(Encoding::Utf8);
        let headed = Cursor::new(head).chain(source);
        let text = match encoding.decoder() {
            None => Text::Utf8(headed),
            Some(decoder) => Text::Other(Box::new(Decoded::new(headed, decoder))),
        };
        Ok(Self { archive, encoding, text })
    }

    /// Reads what is left on disk, so that the digest covers the whole file, and returns the digest.
    pub(super) fn finish(self) -> io::Result<Option<String>> {
        let headed = match self.text {
            Text::Utf8(headed) => headed,
            Text::Other(decoded) => (*decoded).into_inner(),
        };
        let (_, source) = headed.into_inner();
        source.finish()
    }
}

impl Read for TextInput {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match &mut self.text {
            Text::Utf8(headed) => headed.read(buffer),
            Text::Other(decoded) => decoded.read(buffer),
        }
    }
}

/// A file as the bytes of its text, unpacked.
struct Source {
    packed: Packed,
    text_bytes: u64,
}

enum Packed {
    Plain(Box<BufReader<Tracked>>),
    Gzip(Box<MultiGzDecoder<BufReader<Tracked>>>),
    Zstd(Box<zstd::Decoder<'static, BufReader<Tracked>>>),
}

impl Source {
    fn new(tracked: Tracked) -> io::Result<Self> {
        let mut reader = BufReader::with_capacity(CHUNK_BYTES, tracked);
        let head = reader.fill_buf()?;
        let (is_gzip, is_zstd) = (head.starts_with(&GZIP_MAGIC), head.starts_with(&ZSTD_MAGIC) || is_skippable(head));
        let packed = if is_gzip {
            Packed::Gzip(Box::new(MultiGzDecoder::new(reader)))
        } else if is_zstd {
            Packed::Zstd(Box::new(zstd::Decoder::with_buffer(reader)?))
        } else {
            Packed::Plain(Box::new(reader))
        };
        Ok(Self { packed, text_bytes: 0 })
    }

    fn finish(self) -> io::Result<Option<String>> {
        let mut reader = match self.packed {
            Packed::Plain(reader) => *reader,
            Packed::Gzip(decoder) => (*decoder).into_inner(),
            Packed::Zstd(decoder) => (*decoder).finish(),
        };
        io::copy(&mut reader, &mut io::sink())?;
        Ok(reader.into_inner().hasher.map(hex_digest))
    }
}

/// Whether a file begins with a skippable frame of zstd (RFC 8878, section 3.1.2), as parallel packers write them.
fn is_skippable(head: &[u8]) -> bool {
    matches!(head, [0x50..=0x5f, 0x2a, 0x4d, 0x18, ..])
}

impl Packed {
    fn kind(&self) -> Option<&'static str> {
        match self {
            Self::Plain(_) => None,
            Self::Gzip(_) => Some("gzip"),
            Self::Zstd(_) => Some("zstd"),
        }
    }

    /// Returns how many bytes of the file were read; `None` where the file is no archive.
    fn packed_bytes(&self) -> Option<u64> {
        match self {
            Self::Plain(_) => None,
            Self::Gzip(decoder) => Some(decoder.get_ref().get_ref().bytes),
            Self::Zstd(decoder) => Some(decoder.get_ref().get_ref().bytes),
        }
    }
}

impl Read for Source {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = match &mut self.packed {
            Packed::Plain(reader) => reader.read(buffer)?,
            Packed::Gzip(decoder) => decoder.read(buffer)?,
            Packed::Zstd(decoder) => decoder.read(buffer)?,
        };
        self.text_bytes += length as u64;
        let packed_bytes = self.packed.packed_bytes().filter(|_| self.text_bytes > DENSE_BYTES);
        if packed_bytes.is_some_and(|packed_bytes| self.text_bytes / MAX_RATIO > packed_bytes) {
            return Err(io::Error::other(TooDense));
        }
        Ok(length)
    }
}

/// An archive unpacks to so much text that reading it would end only when somebody's patience or disk does.
#[derive(Debug, thiserror::Error)]
#[error("the archive is too dense")]
pub(super) struct TooDense;

impl TooDense {
    /// How many times its size an archive may unpack to.
    pub(super) fn ratio(&self) -> u64 {
        MAX_RATIO
    }
}

/// A file whose bytes are counted and, if asked for, hashed as they are read.
struct Tracked {
    file: File,
    bytes: u64,
    hasher: Option<Sha256>,
    progress: Arc<dyn Progress>,
}

impl Read for Tracked {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let length = self.file.read(buffer)?;
        if let Some(hasher) = &mut self.hasher {
            hasher.update(&buffer[..length]);
        }
        self.bytes += length as u64;
        self.progress.bytes_read(length as u64);
        Ok(length)
    }
}
