//! The values that tell who a customer is, and which texts hold one of them.
//!
//! A value *tells* where it can hardly stand for anything else, and is looked for within any text. A short one or a
//! mere word (`1001`, `wang`) is looked for only where such a value may stand, and only as a whole word.

#[cfg(test)]
mod tests;

use std::cmp::Reverse;
use std::collections::BTreeSet;
use std::ops::RangeInclusive;

use md5::Md5;
use memchr::memmem::Finder;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tagmill_schemas::ids::{CustomerKey, CustomerNo};

/// What stands in the place of a text that was erased.
pub(super) const ERASED_TEXT: &str = "erased";
/// From how many bytes on a value tells, where it is no mere word.
const TELLING_BYTES: usize = 8;
/// As [`TELLING_BYTES`], for a word of letters alone: ids may be such, and names are shorter.
const TELLING_WORD_BYTES: usize = 16;
/// As [`TELLING_BYTES`], for what is not ASCII: two characters of Chinese.
const TELLING_OTHER_BYTES: usize = 4;
/// How many digits a mobile number has, from and to.
const MOBILE_DIGITS: RangeInclusive<usize> = 7..=18;

/// What a value is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ValueKind {
    /// The outside id.
    CustomerId,
    /// The id across one owner's apps.
    Unionid,
    /// A mobile number.
    Mobile,
    /// The id on another platform.
    PlatformId,
    /// A name.
    Name,
    /// Another private attribute that nobody else has, such as an address.
    Other,
}

impl ValueKind {
    /// What it is called; never the value itself.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::CustomerId => "outside id",
            Self::Unionid => "unionid",
            Self::Mobile => "mobile number",
            Self::PlatformId => "id on another platform",
            Self::Name => "name",
            Self::Other => "private attribute",
        }
    }

    /// Whether it stands for nobody else. Names are shared, by people and by places.
    pub(super) fn is_unique(self) -> bool {
        self != Self::Name
    }
}

/// All private values of one customer that any kept file holds.
#[derive(Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Values {
    /// The customer.
    pub(super) customer_no: CustomerNo,
    /// The outside key, as it was.
    pub(super) key: CustomerKey,
    /// Every unionid there was.
    pub(super) unionids: BTreeSet<String>,
    /// Every mobile number, as it was written.
    pub(super) mobiles: BTreeSet<String>,
    /// Every id on another platform: the platform, and the id there.
    pub(super) platform_ids: BTreeSet<(String, String)>,
    /// Every name.
    pub(super) names: BTreeSet<String>,
    /// Every other private attribute that is a text or a long number.
    pub(super) others: BTreeSet<String>,
    /// Those of all these that another customer has too.
    pub(super) shared: BTreeSet<String>,
}

impl Values {
    /// Nothing but who it is.
    pub(super) fn new(customer_no: CustomerNo, key: CustomerKey) -> Self {
        let none = BTreeSet::new;
        Self {
            customer_no,
            key,
            unionids: none(),
            mobiles: none(),
            platform_ids: BTreeSet::new(),
            names: none(),
            others: none(),
            shared: none(),
        }
    }

    /// The outside id from now on: unique, and nobody's.
    pub(super) fn tombstone(&self) -> String {
        format!("{ERASED_TEXT}:{}", self.customer_no.0)
    }

    /// The id on a platform from now on: unique on that platform, and the same in every file.
    pub(super) fn platform_tombstone(&self, platform: &str, id: &str) -> String {
        let place = self.platform_ids.iter().position(|(on, theirs)| on == platform && theirs == id);
        match place {
            Some(0) => self.tombstone(),
            // A number that another run had given to somebody else is in no list.
            place => format!("{}:{}", self.tombstone(), place.map_or(0, |place| place + 1)),
        }
    }

    /// Whether an outside key is the customer's, before or after it was erased.
    pub(super) fn is_key(&self, id_space: &str, customer_id: &str) -> bool {
        id_space == self.key.id_space && (customer_id == self.key.customer_id || customer_id == self.tombstone())
    }

    /// Takes in a private cell of the customer. `platform` is that of the row, where it has one.
    pub(super) fn add(&mut self, table: &str, column: &str, cell: String, platform: Option<&str>) {
        if cell.is_empty() || cell.starts_with(&self.tombstone()) {
            return;
        }
        match (table, column, platform) {
            ("customer", "unionid", _) => self.unionids.insert(cell),
            ("customer", "mobile", _) => self.mobiles.insert(cell),
            ("customer", "name", _) => self.names.insert(cell),
            ("id_map", "platform_id", Some(platform)) => self.platform_ids.insert((platform.to_owned(), cell)),
            ("customer", ..) => self.others.insert(cell),
            // Remarks and what is told of events are words, and do not say of whom.
            _ => false,
        };
    }

    /// Whether any of them is this text.
    pub(super) fn hold(&self, text: &str) -> bool {
        [&self.unionids, &self.mobiles, &self.names, &self.others].iter().any(|texts| texts.contains(text))
    }

    /// Leaves out, of the other attributes, what says nothing of this customer in particular.
    pub(super) fn settle(&mut self) {
        let shared = &self.shared;
        let has_a_mark = |text: &str| text.contains(|c: char| c.is_ascii_digit() || c == '@');
        self.others.retain(|text| tells(text) && has_a_mark(text) && !is_dated(text) && !shared.contains(text));
    }

    /// The unionids that no other customer has.
    pub(super) fn own_unionids(&self) -> impl Iterator<Item = &str> {
        self.unionids.iter().filter(|unionid| !self.shared.contains(*unionid)).map(String::as_str)
    }

    /// All of them that stand for the customer beyond its own rows, each once.
    fn identifying(&self) -> Vec<(ValueKind, String)> {
        let digits = self.mobiles.iter().filter_map(|mobile| mobile_digits(mobile));
        let mobiles: BTreeSet<String> = self.mobiles.iter().cloned().chain(digits).collect();
        let names = self.names.iter().filter(|name| name.chars().count() >= 2);
        let kinds: [(ValueKind, Vec<String>); 6] = [
            (ValueKind::CustomerId, vec![self.key.customer_id.clone()]),
            (ValueKind::Unionid, self.unionids.iter().cloned().collect()),
            (ValueKind::Mobile, mobiles.into_iter().collect()),
            (ValueKind::PlatformId, self.platform_ids.iter().map(|(_, id)| id.clone()).collect()),
            (ValueKind::Name, names.cloned().collect()),
            (ValueKind::Other, self.others.iter().cloned().collect()),
        ];
        let mut known = BTreeSet::new();
        let all = kinds.into_iter().flat_map(|(kind, texts)| texts.into_iter().map(move |text| (kind, text)));
        all.filter(|(_, text)| !text.is_empty() && known.insert(text.clone())).collect()
    }
}

/// A value that is looked for.
pub(super) struct Needle {
    /// What it is.
    pub(super) kind: ValueKind,
    /// The value as a number, where it is one.
    pub(super) number: Option<i64>,
    text: String,
    finder: Finder<'static>,
}

impl Needle {
    fn new((kind, text): (ValueKind, String)) -> Self {
        let finder = Finder::new(text.as_bytes()).into_owned();
        let is_number = text.bytes().all(|byte| byte.is_ascii_digit());
        Self { kind, number: text.parse().ok().filter(|_| is_number), text, finder }
    }

    /// Whether bytes hold it anywhere.
    pub(super) fn is_in(&self, bytes: &[u8]) -> bool {
        self.finder.find(bytes).is_some()
    }

    /// Whether a text holds it as a whole word or a whole number.
    fn is_word_of(&self, text: &str) -> bool {
        self.finder.find_iter(text.as_bytes()).any(|at| {
            let (before, after) = (&text[..at], &text[at + self.text.len()..]);
            let mut back = before.chars().rev();
            let mut on = after.chars();
            self.ends_at(back.next(), back.next()) && self.ends_at(on.next(), on.next())
        })
    }

    /// Whether a word ends before that character; `beyond` is the one after it.
    fn ends_at(&self, next: Option<char>, beyond: Option<char>) -> bool {
        match next {
            None => true,
            Some(next) if next.is_ascii_alphanumeric() || next == '_' => false,
            // Parts of dates, times, amounts and versions are no ids.
            Some('-' | '/' | '.' | ':') if self.number.is_some() => !beyond.is_some_and(|c| c.is_ascii_digit()),
            Some(_) => true,
        }
    }
}

/// The values of a customer, ready to be looked for.
pub(super) struct Search {
    /// Whose they are.
    pub(super) values: Values,
    telling: Vec<Needle>,
    weak: Vec<Needle>,
    mobiles: BTreeSet<String>,
    mobile_hashes: BTreeSet<String>,
}

impl Search {
    /// Makes these values ready.
    pub(super) fn new(values: Values) -> Self {
        let mut needles: Vec<Needle> = values.identifying().into_iter().map(Needle::new).collect();
        // What holds another value is replaced before that one.
        needles.sort_by_key(|needle| Reverse(needle.text.len()));
        let (telling, weak) = needles.into_iter().partition(|needle| tells(&needle.text));
        let mobiles: BTreeSet<String> = values.mobiles.iter().filter_map(|mobile| mobile_digits(mobile)).collect();
        let hashes = |digits: &String| [format!("{:x}", Sha256::digest(digits)), format!("{:x}", Md5::digest(digits))];
        let mobile_hashes = mobiles.iter().flat_map(hashes).collect();
        Self { values, telling, weak, mobiles, mobile_hashes }
    }

    /// Those that can hardly stand for anything else, the longest first.
    pub(super) fn telling(&self) -> &[Needle] {
        &self.telling
    }

    /// The length of the longest of them, in bytes.
    pub(super) fn longest(&self) -> usize {
        self.telling.first().map_or(0, |needle| needle.text.len())
    }

    /// Whether a text holds a value that tells and stands for nobody else.
    pub(super) fn is_named_in(&self, text: &str) -> bool {
        self.telling.iter().any(|needle| needle.kind.is_unique() && needle.is_in(text.as_bytes()))
    }

    /// Whether a text that may be about anybody is about the customer: it holds a value that tells, another as a whole
    /// word, or a mobile number in whatever form it is written.
    pub(super) fn is_meant_in(&self, text: &str) -> bool {
        let is_told = self.telling.iter().any(|needle| needle.is_in(text.as_bytes()));
        let is_numbered = || {
            let squeezed = squeezed(text);
            self.mobiles.iter().any(|mobile| squeezed.contains(mobile))
        };
        is_told || self.weak.iter().any(|needle| needle.is_word_of(text)) || is_numbered()
    }

    /// A text without the values that tell and stand for nobody else; `None` where it holds none.
    pub(super) fn without_ids(&self, text: &str) -> Option<String> {
        self.without(text, |needle| needle.kind.is_unique())
    }

    /// A text that people wrote without all values that tell, names too; `None` where it holds none.
    pub(super) fn without_values(&self, text: &str) -> Option<String> {
        self.without(text, |_| true)
    }

    fn without(&self, text: &str, goes: impl Fn(&Needle) -> bool) -> Option<String> {
        let held = self.telling.iter().filter(|needle| goes(needle) && needle.is_in(text.as_bytes()));
        let left = held.fold(text.to_owned(), |text, needle| text.replace(&needle.text, ERASED_TEXT));
        (left != text).then_some(left)
    }

    /// Whether a mobile number is the customer's, in whatever form it is written.
    pub(super) fn has_mobile(&self, mobile: &str) -> bool {
        self.values.mobiles.contains(mobile)
            || mobile_digits(mobile).is_some_and(|digits| self.mobiles.contains(&digits))
    }

    /// Whether the hash of a mobile number is that of the customer's.
    pub(super) fn has_mobile_hash(&self, hash: &str) -> bool {
        self.mobile_hashes.contains(&hash.trim().to_ascii_lowercase())
    }
}

/// Whether a value can hardly stand for anything else.
fn tells(text: &str) -> bool {
    let is_word = text.bytes().all(|byte| byte.is_ascii_alphabetic());
    match (text.is_ascii(), is_word) {
        (false, _) => text.len() >= TELLING_OTHER_BYTES,
        (true, false) => text.len() >= TELLING_BYTES,
        (true, true) => text.len() >= TELLING_WORD_BYTES,
    }
}

/// Whether a text begins as a date: many have one, whoever they are.
fn is_dated(text: &str) -> bool {
    let bytes = text.as_bytes();
    let is_digits = |from: usize, to: usize| bytes[from..to].iter().all(u8::is_ascii_digit);
    bytes.len() >= 8 && is_digits(0, 4) && !bytes[4].is_ascii_alphanumeric() && is_digits(5, 6)
}

/// The digits of a mobile number, without the code of the country where it is China; `None` where it is no number.
fn mobile_digits(mobile: &str) -> Option<String> {
    let written = mobile.trim();
    let digits: String = written.strip_suffix(".0").unwrap_or(written).chars().filter_map(digit).collect();
    let is_chinese = |rest: &&str| rest.len() == 11 && rest.starts_with('1');
    let local = ["0086", "86"].iter().find_map(|code| digits.strip_prefix(code).filter(is_chinese));
    let local = local.unwrap_or(&digits);
    MOBILE_DIGITS.contains(&local.len()).then(|| local.to_owned())
}

/// A text without what parts the digits of a number for the eye, and with plain digits.
fn squeezed(text: &str) -> String {
    let is_between = |c: &char| matches!(c, ' ' | '-' | '(' | ')' | '\u{3000}' | '\u{2010}'..='\u{2015}' | '－');
    text.chars().filter(|c| !is_between(c)).map(|c| digit(c).unwrap_or(c)).collect()
}

/// A digit, plain or of full width, as a plain one.
fn digit(c: char) -> Option<char> {
    match c {
        '0'..='9' => Some(c),
        '０'..='９' => char::from_digit(u32::from(c) - u32::from('０'), 10),
        _ => None,
    }
}
