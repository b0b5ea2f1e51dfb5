//! The linter: what no plan may do to a tag, whatever it was made from.

use std::collections::BTreeMap;

use tagmill_query::View;
use tagmill_schemas::documents::plan::PlanStep;

use crate::cells::{flag, instant, text};
use crate::error::ActivateError;

/// How often the steps of a plan give a tag and take it away.
#[derive(Debug, Default, Clone, Copy)]
struct Touched {
    given: u64,
    taken: u64,
}

/// Refuses steps on a tag that may not be marked, steps that give a deleted tag, and steps that take a protected one
/// away.
///
/// Taking a deleted tag away is allowed: what a rule holds of it would otherwise stay for ever.
///
/// # Errors
/// `ActivateError::Lint`, and what the question may fail with.
pub(crate) async fn lint(view: &View, steps: &[PlanStep]) -> Result<(), ActivateError> {
    let mut tags: BTreeMap<&str, Touched> = BTreeMap::new();
    for step in steps {
        for tag in &step.add {
            tags.entry(tag.as_str()).or_default().given += 1;
        }
        for tag in &step.remove {
            tags.entry(tag.as_str()).or_default().taken += 1;
        }
    }
    for (tag, touched) in tags {
        judge(&TagFlags::load(view, tag).await?, touched)?;
    }
    Ok(())
}

fn judge(flags: &TagFlags, touched: Touched) -> Result<(), ActivateError> {
    let Touched { given, taken } = touched;
    let name = &flags.name;
    let refused = |reason: String, advice: &str| Err(ActivateError::Lint { reason, advice: advice.to_owned() });
    if !flags.may_mark {
        let reason = format!("`{name}` may not be marked by us");
        return refused(reason, "take a tag of your own, which its source lets us mark");
    }
    if let Some(day) = flags.gone_by.as_ref().filter(|_| given > 0) {
        let reason = format!("`{name}` was gone from its source by {day}, and {given} steps would give it");
        return refused(reason, "take a tag that is there; `tagmill tag list` shows them");
    }
    if flags.is_protected && taken > 0 {
        let reason = format!("`{name}` is protected, and {taken} steps would remove it");
        return refused(reason, "a rule leaves it with `on_exit: sticky`, or has another tag");
    }
    Ok(())
}

/// What a tag's newest row says of what may be done with it.
#[derive(Debug, Clone)]
struct TagFlags {
    name: String,
    may_mark: bool,
    is_protected: bool,
    /// The business day by which it was deleted; `None` for a living tag.
    gone_by: Option<String>,
}

impl TagFlags {
    async fn load(view: &View, tag_id: &str) -> Result<Self, ActivateError> {
        let sql = format!(
            "SELECT group_name || '/' || tag_name AS name, may_mark, is_protected, valid_to FROM tag WHERE tag_id = '{}' \
             ORDER BY valid_from DESC LIMIT 1",
            tag_id.replace('\'', "''")
        );
        let batches = view.sql(&sql).await?.collect().await?;
        let batch = batches
            .iter()
            .find(|batch| batch.num_rows() > 0)
            .ok_or_else(|| ActivateError::Internal { reason: format!("tag `{tag_id}` has no row") })?;
        Ok(Self {
            name: text(batch, "name", 0)?.unwrap_or_default(),
            may_mark: flag(batch, "may_mark", 0)?.unwrap_or(true),
            is_protected: flag(batch, "is_protected", 0)?.unwrap_or(false),
            gone_by: instant(batch, "valid_to", 0)?.map(|at| view.zone().day_of(at).to_string()),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flags() -> TagFlags {
        TagFlags { name: "会员等级/VIP".to_owned(), may_mark: true, is_protected: false, gone_by: None }
    }

    fn check(flags: &TagFlags, given: u64, taken: u64, expected: Option<&str>) {
        let said = judge(flags, Touched { given, taken }).err().map(|error| error.to_string());
        let is_as_expected = match (&said, expected) {
            (Some(said), Some(expected)) => said.contains(expected),
            (said, expected) => said.is_none() && expected.is_none(),
        };
        assert!(is_as_expected, "{flags:?}, {given} given, {taken} taken: {said:?}");
    }

    #[test]
    fn a_usual_tag_comes_and_goes() {
        check(&flags(), 3, 4, None);
    }

    #[test]
    fn a_tag_that_may_not_be_marked_is_left_alone() {
        let flags = TagFlags { may_mark: false, ..flags() };
        check(&flags, 1, 0, Some("may not be marked"));
        check(&flags, 0, 1, Some("may not be marked"));
    }

    #[test]
    fn a_protected_tag_is_given_and_not_taken_away() {
        let flags = TagFlags { is_protected: true, ..flags() };
        check(&flags, 1, 0, None);
        check(&flags, 1, 2, Some("is protected, and 2 steps would remove it"));
    }

    #[test]
    fn a_deleted_tag_is_taken_away_and_not_given() {
        let flags = TagFlags { gone_by: Some("2026-06-08".to_owned()), ..flags() };
        check(&flags, 0, 1, None);
        check(&flags, 5, 0, Some("was gone from its source by 2026-06-08, and 5 steps would give it"));
    }
}
