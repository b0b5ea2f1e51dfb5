//! Labelled parts of the customers: they neither overlap nor leave anybody out, and no two of them have one label.

use std::collections::HashMap;

use roaring::RoaringBitmap;
use tagmill_schemas::segment::check::CatalogTag;

use crate::segment::sets::Customers;

/// The customers under one label.
pub(super) type Part = (String, RoaringBitmap);

/// Parts, and where those customers stand who are in none of them.
pub(super) struct Parts {
    /// The parts in order.
    pub(super) parts: Vec<Part>,
    /// Everybody else. They are told from the parts by their place, never by their label.
    pub(super) others: Others,
}

/// The part of those who are in no other, under its label.
pub(super) enum Others {
    /// Before all others.
    First(&'static str),
    /// After all others.
    Last(&'static str),
}

impl Parts {
    /// Cuts the parts to some customers and adds those who are in none.
    pub(super) fn among(self, customers: &Customers) -> Vec<Part> {
        let mut left = customers.0.clone();
        let mut parts = Vec::with_capacity(self.parts.len() + 1);
        for (label, set) in self.parts {
            let set = set & &left;
            left -= &set;
            parts.push((label, set));
        }
        match self.others {
            Others::First(label) => parts.insert(0, (label.to_owned(), left)),
            Others::Last(label) => parts.push((label.to_owned(), left)),
        }
        parts
    }
}

/// Sorts parts by their size, the largest first, and equal ones by their label.
pub(super) fn by_size(parts: &mut [Part]) {
    parts.sort_by(|a, b| b.1.len().cmp(&a.1.len()).then_with(|| a.0.cmp(&b.0)));
}

/// A value as a label: in quotes where it would read like one of our own labels.
///
/// A value that is in quotes already gets another pair, so that two values never share a label.
pub(super) fn value_label(value: String, ours: &[&str]) -> String {
    if ours.contains(&value.trim_matches('"')) { format!("\"{value}\"") } else { value }
}

/// The labels of a group's tags: their names, and with their ids in brackets where two have one name.
pub(super) fn tag_labels(tags: &[&CatalogTag], ours: &[&str]) -> Vec<String> {
    let mut bearers: HashMap<&str, usize> = HashMap::new();
    for tag in tags {
        *bearers.entry(&tag.tag_name).or_default() += 1;
    }
    let label = |tag: &&CatalogTag| {
        let has_twin = bearers.get(tag.tag_name.as_str()).is_some_and(|bearers| *bearers > 1);
        let name = if has_twin { format!("{} [{}]", tag.tag_name, tag.tag_id) } else { tag.tag_name.clone() };
        value_label(name, ours)
    };
    tags.iter().map(label).collect()
}

#[cfg(test)]
mod tests {
    use tagmill_schemas::ids::TagId;

    use super::*;

    fn set(numbers: &[u32]) -> RoaringBitmap {
        numbers.iter().copied().collect()
    }

    fn tag(id: &str, name: &str) -> CatalogTag {
        CatalogTag { tag_id: TagId::new(id), group_name: "g".to_owned(), tag_name: name.to_owned(), valid_to: None }
    }

    #[test]
    fn everybody_is_in_exactly_one_part() {
        let parts = vec![("a".to_owned(), set(&[1, 2, 9])), ("b".to_owned(), set(&[2, 3]))];
        let parts = Parts { parts, others: Others::Last("unknown") };
        let expected = [("a", set(&[1, 2])), ("b", set(&[3])), ("unknown", set(&[4]))];
        let expected: Vec<Part> = expected.into_iter().map(|(label, set)| (label.to_owned(), set)).collect();
        assert_eq!(parts.among(&Customers(set(&[1, 2, 3, 4]))), expected);
    }

    #[test]
    fn the_others_stay_apart_from_a_part_that_is_called_like_them() {
        let parts = Parts { parts: vec![("unknown".to_owned(), set(&[1]))], others: Others::First("unknown") };
        let parts = parts.among(&Customers(set(&[1, 2])));
        assert_eq!(parts.iter().map(|(_, set)| set.min()).collect::<Vec<_>>(), [Some(2), Some(1)]);
    }

    #[test]
    fn a_value_that_reads_like_a_label_of_ours_is_quoted() {
        let check = |value: &str, expected: &str| assert_eq!(value_label(value.to_owned(), &["none"]), expected);
        check("none", "\"none\"");
        check("\"none\"", "\"\"none\"\"");
        check("None", "None");
        check("\"VIP\"", "\"VIP\"");
        check("", "");
    }

    #[test]
    fn tags_of_one_name_are_told_apart_by_their_ids() {
        let tags = [tag("t1", "VIP"), tag("t2", "none"), tag("t3", "VIP"), tag("t4", "普通")];
        let tags: Vec<&CatalogTag> = tags.iter().collect();
        assert_eq!(tag_labels(&tags, &["none", "more than one"]), ["VIP [t1]", "\"none\"", "VIP [t3]", "普通"]);
    }

    #[test]
    fn the_largest_part_comes_first_and_equal_ones_by_label() {
        let mut parts: [Part; 3] =
            [("b".to_owned(), set(&[1])), ("c".to_owned(), set(&[2, 3])), ("a".to_owned(), set(&[4]))];
        by_size(&mut parts);
        assert_eq!(parts.iter().map(|(label, _)| label.as_str()).collect::<Vec<_>>(), ["c", "a", "b"]);
    }
}
