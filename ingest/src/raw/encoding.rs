//! The encodings of raw text: told by a byte order mark, else stated by the source, else UTF-8.
//!
//! Whatever is not UTF-8 is decoded to it before it is cut into records, so that `_raw` and every column are UTF-8.
//! Bytes that mean nothing in the encoding become one byte that is no UTF-8: they cost their record, as a bad byte of a
//! UTF-8 file does, and nothing is guessed.

use std::io::{self, Read};

use encoding_rs::{Decoder, DecoderResult, GB18030, UTF_16BE, UTF_16LE};

use super::account::{NOT_IN_ENCODING, NOT_UTF8, Unparsable};

/// How much is decoded at a time.
const CHUNK_BYTES: usize = 64 * 1024;
/// Stands in the decoded text for what cannot be decoded.
const UNDECODABLE: u8 = 0xff;

/// How the characters of a text file are written as bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Encoding {
    /// UTF-8, with a byte order mark or without.
    Utf8,
    /// UTF-16, the low byte first.
    Utf16Le,
    /// UTF-16, the high byte first.
    Utf16Be,
    /// GB 18030, and with it GBK and GB 2312.
    Gb18030,
}

impl Encoding {
    /// Returns the encoding that a byte order mark at the start of a text tells.
    pub(super) fn marked(head: &[u8]) -> Option<Self> {
        match head {
            [0xef, 0xbb, 0xbf, ..] => Some(Self::Utf8),
            [0xff, 0xfe, ..] => Some(Self::Utf16Le),
            [0xfe, 0xff, ..] => Some(Self::Utf16Be),
            [0x84, 0x31, 0x95, 0x33, ..] => Some(Self::Gb18030),
            _ => None,
        }
    }

    /// Returns what makes UTF-8 of it; `None` where it is UTF-8 as it stands.
    pub(super) fn decoder(self) -> Option<Decoder> {
        let encoding = match self {
            Self::Utf8 => return None,
            Self::Utf16Le => UTF_16LE,
            Self::Utf16Be => UTF_16BE,
            Self::Gb18030 => GB18030,
        };
        // The mark stays in the text, where it is passed over as that of UTF-8 is.
        Some(encoding.new_decoder_without_bom_handling())
    }

    /// Returns the flaw of a record, as decoded, that is no text in this encoding.
    pub(super) fn flaw(self, line: u64, raw: &[u8]) -> Unparsable {
        if self != Self::Utf8 {
            return Unparsable::new(line, NOT_IN_ENCODING, format!("the record is not {}", self.name()), raw);
        }
        let is_gb18030 = GB18030.decode_without_bom_handling_and_without_replacement(raw).is_some();
        let advice = if is_gb18030 { "; it could be GB18030, which `encoding: gb18030` reads" } else { "" };
        Unparsable::new(line, NOT_UTF8, format!("the record is not UTF-8{advice}"), raw)
    }

    fn name(self) -> &'static str {
        match self {
            Self::Utf8 => "UTF-8",
            Self::Utf16Le => "UTF-16LE",
            Self::Utf16Be => "UTF-16BE",
            Self::Gb18030 => "GB18030",
        }
    }
}

/// A text as UTF-8, decoded while it is read.
pub(super) struct Decoded<R> {
    input: R,
    decoder: Decoder,
    encoded: Vec<u8>,
    /// The part of `encoded` that waits to be decoded.
    waiting: std::ops::Range<usize>,
    text: Vec<u8>,
    /// The part of `text` that waits to be given out.
    ready: std::ops::Range<usize>,
    is_input_over: bool,
    is_over: bool,
}

impl<R: Read> Decoded<R> {
    pub(super) fn new(input: R, decoder: Decoder) -> Self {
        Self {
            input,
            decoder,
            encoded: vec![0; CHUNK_BYTES],
            waiting: 0..0,
            text: vec![0; CHUNK_BYTES],
            ready: 0..0,
            is_input_over: false,
            is_over: false,
        }
    }

    /// Returns the input, as far as it has been read.
    pub(super) fn into_inner(self) -> R {
        self.input
    }

    fn decode(&mut self) -> io::Result<()> {
        if self.waiting.is_empty() && !self.is_input_over {
            let length = self.input.read(&mut self.encoded)?;
            self.waiting = 0..length;
            self.is_input_over = length == 0;
        }
        // One byte stays free for what cannot be decoded.
        let room = self.text.len() - 1;
        let (result, read, written) = self.decoder.decode_to_utf8_without_replacement(
            &self.encoded[self.waiting.clone()],
            &mut self.text[..room],
            self.is_input_over,
        );
        self.waiting.start += read;
        self.ready = 0..written;
        match result {
            DecoderResult::InputEmpty => self.is_over = self.is_input_over,
            DecoderResult::OutputFull => {}
            DecoderResult::Malformed(..) => {
                self.text[written] = UNDECODABLE;
                self.ready.end += 1;
            }
        }
        Ok(())
    }
}

impl<R: Read> Read for Decoded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.ready.is_empty() && !self.is_over {
            self.decode()?;
        }
        let length = buffer.len().min(self.ready.len());
        let from = self.ready.start;
        buffer[..length].copy_from_slice(&self.text[from..from + length]);
        self.ready.start += length;
        Ok(length)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads bytes in pieces of three, so that characters are cut.
    fn decoded(encoding: Encoding, bytes: &[u8]) -> Vec<u8> {
        struct Slowly<'a>(&'a [u8]);
        impl Read for Slowly<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                let length = self.0.len().min(buffer.len()).min(3);
                let (now, later) = self.0.split_at(length);
                buffer[..length].copy_from_slice(now);
                self.0 = later;
                Ok(length)
            }
        }
        let mut text = Vec::new();
        let Some(decoder) = encoding.decoder() else { return bytes.to_vec() };
        Decoded::new(Slowly(bytes), decoder).read_to_end(&mut text).unwrap();
        text
    }

    fn utf16(text: &str, bytes_of: fn(u16) -> [u8; 2]) -> Vec<u8> {
        text.encode_utf16().flat_map(bytes_of).collect()
    }

    #[test]
    fn every_encoding_gives_the_same_text() {
        let text = "城市,上海😀\n";
        assert_eq!(decoded(Encoding::Utf8, text.as_bytes()), text.as_bytes());
        assert_eq!(decoded(Encoding::Utf16Le, &utf16(text, u16::to_le_bytes)), text.as_bytes());
        assert_eq!(decoded(Encoding::Utf16Be, &utf16(text, u16::to_be_bytes)), text.as_bytes());
        assert_eq!(decoded(Encoding::Gb18030, &GB18030.encode(text).0), text.as_bytes());
    }

    #[test]
    fn what_cannot_be_decoded_is_marked_and_what_follows_is_read() {
        assert_eq!(decoded(Encoding::Gb18030, b"a,\xff\nb\n"), b"a,\xff\nb\n");
        // A character that is cut off by the end of the file.
        assert_eq!(decoded(Encoding::Gb18030, b"a,\xc9"), b"a,\xff");
        let half_a_pair = [b'a', 0, 0x00, 0xd8, b'\n', 0, b'b', 0];
        assert_eq!(decoded(Encoding::Utf16Le, &half_a_pair), b"a\xff\nb");
    }

    #[test]
    fn bytes_that_would_be_gb18030_are_told_so() {
        let reason = |raw: &[u8]| Encoding::Utf8.flaw(1, raw).reason;
        assert!(reason(b"c1,\xc9\xcf\xba\xa3").contains("`encoding: gb18030`"));
        assert_eq!(reason(b"c1,\xff"), "the record is not UTF-8");
    }
}
