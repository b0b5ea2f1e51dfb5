//! What a row says of the person it is about: each column that names one, as a key of 128 bits.
//!
//! Keys of one kind are equal exactly where they name the same: mobile numbers in whatever form they are written, and a
//! source's hash of a number and our own. Whose key it is, `identity` knows.

use datafusion::arrow::array::{Array, AsArray, RecordBatch, StringArray};
use md5::Md5;
use sha2::Digest;

use super::keys::{first_128_bits, id_hash};
use crate::values::parse_mobile;

/// How a person may be named.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum KeyKind {
    /// By id space and outside id.
    CustomerId,
    /// By the id across one owner's apps.
    Unionid,
    /// By the SHA-256 of the digits of the mobile number.
    Mobile,
    /// By the MD5 of the digits of the mobile number.
    MobileMd5,
    /// By platform and the id there.
    Platform,
}

impl KeyKind {
    /// How many kinds there are.
    pub(super) const COUNT: usize = 5;

    /// The kind that a column speaks of; `None` for the outside id, which every run knows, and for columns that name nobody.
    pub(super) fn of_column(name: &str) -> Option<Self> {
        match name {
            "unionid" => Some(Self::Unionid),
            "mobile" | "mobile_sha256" => Some(Self::Mobile),
            "mobile_md5" => Some(Self::MobileMd5),
            "platform_id" => Some(Self::Platform),
            _ => None,
        }
    }
}

/// What one column of a row says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Said {
    /// The column.
    pub(super) column: &'static str,
    /// How it names the person.
    pub(super) kind: KeyKind,
    /// The key; `None` where what is there can be none, such as a number that was made unreadable.
    pub(super) key: Option<u128>,
}

/// The columns of a batch that say whose each row is; those that it lacks say nothing.
pub(super) struct PersonColumns<'r> {
    customer_id: Option<&'r StringArray>,
    unionid: Option<&'r StringArray>,
    mobile: Option<&'r StringArray>,
    mobile_sha256: Option<&'r StringArray>,
    mobile_md5: Option<&'r StringArray>,
    platform: Option<&'r StringArray>,
    platform_id: Option<&'r StringArray>,
}

impl<'r> PersonColumns<'r> {
    pub(super) fn of(rows: &'r RecordBatch) -> Self {
        Self {
            customer_id: texts(rows, "customer_id"),
            unionid: texts(rows, "unionid"),
            mobile: texts(rows, "mobile"),
            mobile_sha256: texts(rows, "mobile_sha256"),
            mobile_md5: texts(rows, "mobile_md5"),
            platform: texts(rows, "platform"),
            platform_id: texts(rows, "platform_id"),
        }
    }

    /// The outside id that a row names.
    pub(super) fn customer_id(&self, row: usize) -> Option<&'r str> {
        told(self.customer_id, row)
    }

    /// Whether there are columns beside the outside id.
    pub(super) fn has_others(&self) -> bool {
        let others = [self.unionid, self.mobile, self.mobile_sha256, self.mobile_md5, self.platform, self.platform_id];
        others.iter().any(Option::is_some)
    }

    /// What the other columns of a row say.
    pub(super) fn others(&self, row: usize) -> impl Iterator<Item = Said> {
        let said =
            |column: &'static str, kind: KeyKind, key: Option<Option<u128>>| key.map(|key| Said { column, kind, key });
        let place = told(self.platform, row).zip(told(self.platform_id, row));
        let each = [
            said("unionid", KeyKind::Unionid, told(self.unionid, row).map(unionid_key).map(Some)),
            said("mobile", KeyKind::Mobile, told(self.mobile, row).map(mobile_key)),
            said("mobile_sha256", KeyKind::Mobile, told(self.mobile_sha256, row).map(|text| hex_key(text, 64))),
            said("mobile_md5", KeyKind::MobileMd5, told(self.mobile_md5, row).map(|text| hex_key(text, 32))),
            said("platform_id", KeyKind::Platform, place.map(|(platform, id)| Some(pair_key(platform, id)))),
        ];
        each.into_iter().flatten()
    }

    /// The columns that are there.
    pub(super) fn names(&self) -> Vec<&'static str> {
        let columns = [
            ("customer_id", self.customer_id),
            ("unionid", self.unionid),
            ("mobile", self.mobile),
            ("mobile_sha256", self.mobile_sha256),
            ("mobile_md5", self.mobile_md5),
            ("platform", self.platform),
            ("platform_id", self.platform_id),
        ];
        columns.into_iter().filter(|(_, column)| column.is_some()).map(|(name, _)| name).collect()
    }
}

/// A text column; `None` where the batch has none of that name.
pub(super) fn texts<'r>(rows: &'r RecordBatch, name: &str) -> Option<&'r StringArray> {
    rows.column_by_name(name)?.as_string_opt::<i32>()
}

/// A text that is there and not empty.
pub(super) fn told(column: Option<&StringArray>, row: usize) -> Option<&str> {
    let column = column.filter(|column| !column.is_null(row))?;
    Some(column.value(row)).filter(|text| !text.is_empty())
}

/// The key of an id that means something in one space only: a customer's, or one on a platform.
pub(super) fn pair_key(space: &str, id: &str) -> u128 {
    id_hash(&format!("{space}\u{1f}{id}"))
}

/// The key of a unionid.
pub(super) fn unionid_key(unionid: &str) -> u128 {
    id_hash(unionid)
}

/// The key of a mobile number by SHA-256; `None` where it is no number.
pub(super) fn mobile_key(mobile: &str) -> Option<u128> {
    mobile_digits(mobile).map(|digits| id_hash(&digits))
}

/// The key of a mobile number by MD5; `None` where it is no number.
pub(super) fn mobile_md5_key(mobile: &str) -> Option<u128> {
    mobile_digits(mobile).map(|digits| first_128_bits(&Md5::digest(digits.as_bytes())))
}

/// The digits of a mobile number, without the code of the country where it is China; `None` where it is no number that stands
/// for one person: one with stars in it would be that of many.
fn mobile_digits(text: &str) -> Option<String> {
    parse_mobile(text).or_else(|| other_digits(text))
}

/// The digits of a number of another country or of a landline.
fn other_digits(text: &str) -> Option<String> {
    let is_number = text.chars().all(|c| c.is_ascii_digit() || matches!(c, ' ' | '-' | '+' | '(' | ')'));
    let digits: String = text.chars().filter(char::is_ascii_digit).collect();
    // No number of a telephone network is shorter, and none is longer even with an exit code before it.
    Some(digits).filter(|digits| is_number && (7..=18).contains(&digits.len()))
}

/// The key that a digest in hexadecimal digits stands for; `None` where it has another length or other characters.
fn hex_key(text: &str, length: usize) -> Option<u128> {
    let text = text.trim();
    let is_digest = text.len() == length && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    let first = text.get(..32).filter(|_| is_digest)?;
    u128::from_str_radix(first, 16).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_mobile_number_has_one_key_however_it_is_written() {
        for written in [
            "13800138000",
            " 138 0013 8000 ",
            "138-0013-8000",
            "+86 13800138000",
            "+86-138-0013-8000",
            "(+86)13800138000",
            "8613800138000",
            "0086 138 0013 8000",
            "１３８００１３８０００",
            "＋８６　１３８００１３８０００",
            "13800138000.0",
        ] {
            assert_eq!(mobile_digits(written).as_deref(), Some("13800138000"), "{written}");
        }
    }

    #[test]
    fn a_number_elsewhere_keeps_all_its_digits() {
        for (written, digits) in [("+852 9123 4567", "85291234567"), ("0571-87654321", "057187654321")] {
            assert_eq!(mobile_digits(written).as_deref(), Some(digits), "{written}");
        }
        // This begins with 86 and has no code before it.
        assert_eq!(mobile_digits("86123456").as_deref(), Some("86123456"));
    }

    #[test]
    fn what_stands_for_nobody_or_for_many_is_no_number() {
        for written in ["", "0", "-", "无", "138****8000", "1380013800x", "1.38E+10", "123456", "1234567890123456789"]
        {
            assert_eq!(mobile_digits(written), None, "{written}");
        }
    }

    #[test]
    fn a_digest_that_a_source_gives_is_the_key_of_the_number() {
        let sha256 = "bc6b6c6b2ddbb8ee74d6ad4c0e0a1b1f";
        assert_eq!(hex_key(sha256, 64), None, "half a digest is none");
        let digest: String = sha2::Sha256::digest(b"13800138000").iter().map(|byte| format!("{byte:02X}")).collect();
        assert_eq!(hex_key(&digest, 64), mobile_key("+86 138 0013 8000"));
        let digest: String = Md5::digest(b"13800138000").iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hex_key(&format!(" {digest} "), 32), mobile_md5_key("138-0013-8000"));
        assert_eq!(hex_key("zz", 32), None);
    }

    #[test]
    fn an_id_belongs_to_its_space() {
        assert_ne!(pair_key("wecom", "c1"), pair_key("shop", "c1"));
        assert_ne!(pair_key("a", "bc"), pair_key("ab", "c"));
    }
}
