//! The steps of a plan for people: with names instead of ids.

use std::collections::BTreeMap;

use tagmill_query::View;
use tagmill_schemas::documents::plan::PlanStep;
use tagmill_schemas::ids::TagId;

use crate::commands::columns::texts;
use crate::output::TextTable;

/// What tags are called, by id.
#[derive(Debug, Default)]
pub(crate) struct TagNames(BTreeMap<String, String>);

impl TagNames {
    /// Reads the names in a snapshot. A tag that was renamed has its newest name.
    ///
    /// # Errors
    /// What the query failed with.
    pub(crate) async fn load(view: &View) -> anyhow::Result<Self> {
        let sql = "SELECT tag_id, group_name || '/' || tag_name AS name FROM tag ORDER BY valid_from";
        let mut names = BTreeMap::new();
        for batch in view.sql(sql).await?.collect().await? {
            let rows = texts(&batch, "tag_id")?.into_iter().zip(texts(&batch, "name")?);
            names.extend(rows.filter_map(|(id, name)| Some((id?, name?))));
        }
        Ok(Self(names))
    }

    /// The names of tags, or the ids of those that have none.
    fn shown(&self, tags: &[TagId]) -> String {
        let names = tags.iter().map(|tag| self.0.get(tag.as_str()).map_or(tag.as_str(), String::as_str));
        names.collect::<Vec<_>>().join(", ")
    }
}

/// Steps as a table: staff member, customer, what is added and removed, and why.
pub(crate) fn steps_table(steps: &[PlanStep], names: &TagNames) -> TextTable {
    let headings = ["staff", "customer", "add", "remove", "evidence"];
    let mut table = TextTable::new(headings.map(|heading| (heading.to_owned(), false)));
    for step in steps {
        table.add_row(&[
            step.staff_id.as_ref().map(|staff| staff.to_string()).unwrap_or_default(),
            step.customer.customer_id.clone(),
            names.shown(&step.add),
            names.shown(&step.remove),
            step.evidence.clone(),
        ]);
    }
    table
}
