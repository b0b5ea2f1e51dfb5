//! Five segments that marketing asks for every week: how many customers, what exactly was asked, and why it is right.

use std::time::Instant;

use tagmill_query::{Access, Explanation, View};

use super::corp::Corp;
use super::page::Page;
use crate::output::{TextTable, busy, thousands};

/// One of the segments.
struct Asked {
    /// What it is called in the list of behaviours.
    item: &'static str,
    /// Its name in the definitions folder.
    name: &'static str,
    /// Why its count is right, from what its conditions answered.
    why: fn(&View, &Explanation) -> String,
}

const ASKED: [Asked; 5] = [
    Asked { item: "S71", name: "s71_high_value", why: why_high_value },
    Asked { item: "S72", name: "s72_sleeping", why: why_sleeping },
    Asked { item: "S81", name: "s81_channel_active", why: why_channel_active },
    Asked { item: "S85", name: "s85_june_cart_no_pay", why: why_june_cart },
    Asked { item: "S88", name: "s88_vip_birthday", why: why_vip_birthday },
];

/// The place of the column that holds sentences.
const SENTENCES: usize = 1;

/// Counts the five segments and says of each what was asked.
///
/// # Errors
/// What is wrong with a definition, or with its answer.
pub(super) async fn five_segments(page: &mut Page, corp: &Corp) -> anyhow::Result<()> {
    let started = Instant::now();
    let shown = busy("asking five segments");
    let mut answers = Vec::new();
    for asked in &ASKED {
        let loaded = corp.definitions.load(asked.name)?;
        let view = corp.engine.view(loaded.segment.as_of, Access::Full).await?;
        let explanation = view.explain(&loaded).await?;
        let why = (asked.why)(&view, &explanation);
        let name = loaded.segment.name.unwrap_or(loaded.key);
        answers.push((format!("{} {name}", asked.item), explanation, why));
    }
    drop(shown);
    page.section("Five segments, each a file of a few lines", started.elapsed())?;
    let scope = shared_scope(answers.iter().map(|(_, explanation, _)| explanation.english.as_str()));
    if let Some(scope) = scope {
        page.paragraph(&format!("{scope}, those for whom …"))?;
    }
    let headings = [("customers", true), ("segment: what it asks, and why the count is right", false)];
    let mut table = TextTable::new(headings.map(|(heading, is_right)| (heading.to_owned(), is_right)));
    for (name, explanation, why) in &answers {
        let question = match (scope, split(&explanation.english)) {
            (Some(_), Some((_, condition))) => format!("… {condition}"),
            _ => explanation.english.clone(),
        };
        table.add_row(&[thousands(explanation.count.count), name.clone()]);
        table.add_row(&[String::new(), question]);
        table.add_row(&[String::new(), format!("→ {why}")]);
    }
    page.fitting_table(table.wrapping_only(SENTENCES))
}

/// Among whom the sentences ask, where it is the same for all of them.
fn shared_scope<'s>(mut sentences: impl Iterator<Item = &'s str>) -> Option<&'s str> {
    let (first, _) = split(sentences.next()?)?;
    sentences.all(|sentence| split(sentence).is_some_and(|(scope, _)| scope == first)).then_some(first)
}

/// A sentence as among whom it asks, and for what.
fn split(sentence: &str) -> Option<(&str, &str)> {
    sentence.split_once(", those for whom ")
}

fn why_high_value(_: &View, explanation: &Explanation) -> String {
    format!("of {}: 49,999.99 is out, 50,000.00 is in, and refunds are taken off", universe(explanation))
}

fn why_sleeping(view: &View, explanation: &Explanation) -> String {
    let limit = view.zone().minus_months(view.as_of(), 3).with_timezone(&view.zone().0).format("%Y-%m-%d %H:%M");
    format!(
        "of {}: the limit is {limit}, by the calendar and not by 90 days; \
         who never logged in counts from the day they came",
        universe(explanation)
    )
}

fn why_channel_active(_: &View, explanation: &Explanation) -> String {
    format!(
        "{} came by 视频号, {} were active on 3 days or more, {} are both",
        part(explanation, 0),
        part(explanation, 1),
        thousands(explanation.count.count)
    )
}

fn why_june_cart(_: &View, explanation: &Explanation) -> String {
    format!(
        "{} filled a cart three times in June, {} paid nothing in June, {} are both",
        part(explanation, 0),
        part(explanation, 1),
        thousands(explanation.count.count)
    )
}

fn why_vip_birthday(view: &View, explanation: &Explanation) -> String {
    let month = view.as_of().with_timezone(&view.zone().0).format("%B");
    format!(
        "{} hold 会员等级/VIP, {} were born in {month}, {} are both; who told no birthday is out",
        part(explanation, 0),
        part(explanation, 1),
        thousands(explanation.count.count)
    )
}

/// `19,012 followed customers`.
fn universe(explanation: &Explanation) -> String {
    format!("{} followed customers", thousands(explanation.count.universe_count))
}

/// The count of one part of the outermost `all`; a question mark where the definition has been changed.
fn part(explanation: &Explanation, place: usize) -> String {
    let path = format!("/where/all/{place}");
    let node = explanation.nodes.iter().find(|node| node.path == path);
    node.map_or_else(|| "?".to_owned(), |node| thousands(node.count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_all_sentences_share_is_said_once() {
        let same = ["Among all, those for whom a.", "Among all, those for whom b."];
        assert_eq!(shared_scope(same.into_iter()), Some("Among all"));
        let other = ["Among all, those for whom a.", "Among some, those for whom b."];
        assert_eq!(shared_scope(other.into_iter()), None);
        assert_eq!(split("Among all, those for whom a."), Some(("Among all", "a.")));
    }
}
