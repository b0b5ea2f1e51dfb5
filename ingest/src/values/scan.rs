//! Takes a text apart from its front.

/// What is left of a text. What cannot be taken stays.
pub(super) struct Scan<'t>(&'t str);

impl<'t> Scan<'t> {
    pub(super) fn new(text: &'t str) -> Self {
        Self(text)
    }

    /// Takes a run of digits as a whole; `None` where it is shorter than `least` or longer than `most`.
    pub(super) fn digits(&mut self, least: usize, most: usize) -> Option<&'t str> {
        let length = self.0.bytes().take_while(u8::is_ascii_digit).count();
        if length < least || length > most {
            return None;
        }
        let (digits, rest) = self.0.split_at(length);
        self.0 = rest;
        Some(digits)
    }

    /// As [`Self::digits`], as a number.
    pub(super) fn number(&mut self, least: usize, most: usize) -> Option<u32> {
        self.digits(least, most)?.parse().ok()
    }

    /// Takes a word, and says whether it was there.
    pub(super) fn eat(&mut self, word: &str) -> bool {
        let rest = self.0.strip_prefix(word);
        self.0 = rest.unwrap_or(self.0);
        rest.is_some()
    }

    /// Takes the first of some words that is there, and says whether one was.
    pub(super) fn eat_any(&mut self, words: &[&str]) -> bool {
        words.iter().any(|word| self.eat(word))
    }

    /// Takes spaces, if there are any.
    pub(super) fn spaces(&mut self) {
        self.0 = self.0.trim_start();
    }

    /// Whether nothing is left.
    pub(super) fn is_done(&self) -> bool {
        self.0.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_taken_and_what_does_not_stays() {
        let mut scan = Scan::new("2026年06  x");
        assert_eq!(scan.digits(1, 3), None);
        assert_eq!(scan.digits(5, 9), None);
        assert_eq!(scan.number(4, 4), Some(2026));
        assert!(!scan.eat("月"));
        assert!(scan.eat_any(&["月", "年"]));
        assert_eq!(scan.digits(2, 2), Some("06"));
        scan.spaces();
        assert!(!scan.is_done());
        assert!(scan.eat("x") && scan.is_done());
        assert_eq!(scan.digits(0, 1), Some(""));
    }
}
