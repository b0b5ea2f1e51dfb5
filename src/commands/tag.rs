//! `tagmill tag`: the taxonomy, and what is wrong with its names.

use std::collections::BTreeMap;

use tagmill_query::{Limits, View};
use tagmill_schemas::policy::{Policy, policy};
use tagmill_schemas::tag_name::{NameProblem, exceeds_console, find_duplicate_group, validate_tag_name};

use super::columns::{batch, text_column, texts};
use super::quarantine::quoted;
use crate::cli::{TagLintArgs, TagListArgs};
use crate::globals::Globals;
use crate::output::{say, write_batch, write_rows};

/// Lists tags by group and name, with the number of customers who hold them now.
///
/// # Errors
/// What the query, or the writing, failed with.
pub(crate) async fn list_tags(globals: &Globals, args: &TagListArgs) -> anyhow::Result<()> {
    let format = args.output.resolved_format()?;
    let engine = globals.open_engine(Limits::default()).await?;
    let view = globals.view(&engine).await?;
    let rows = view.sql(&list_sql(args)).await?;
    write_rows(rows, format, &args.output.destination()).await?;
    super::say_provenance(&view, view.events_until(&[]));
    Ok(())
}

/// Checks the names of living groups and tags against the policy profile.
///
/// Names that are there already are told, never rejected: findings are no failure.
///
/// # Errors
/// What the queries, or the writing, failed with.
pub(crate) async fn lint_tags(globals: &Globals, args: &TagLintArgs) -> anyhow::Result<()> {
    let format = args.output.resolved_format()?;
    let engine = globals.open_engine(Limits::default()).await?;
    let view = globals.view(&engine).await?;
    let names = LivingNames::load(&view).await?;
    let findings = lint(&names, policy(globals.profile));
    let rows = batch([
        ("what", text_column(findings.iter().map(|finding| Some(finding.what)))),
        ("id", text_column(findings.iter().map(|finding| Some(&finding.id)))),
        ("name", text_column(findings.iter().map(|finding| Some(&finding.name)))),
        ("code", text_column(findings.iter().map(|finding| Some(finding.code)))),
        ("problem", text_column(findings.iter().map(|finding| Some(&finding.problem)))),
        ("hint", text_column(findings.iter().map(|finding| finding.hint.as_ref()))),
    ])?;
    write_batch(&rows, format, &args.output.destination())?;
    say(format!(
        "{} in {} groups and {} tags, profile `{}`",
        if findings.len() == 1 { "1 finding".to_owned() } else { format!("{} findings", findings.len()) },
        names.groups.len(),
        names.tags.len(),
        globals.profile
    ));
    Ok(())
}

fn list_sql(args: &TagListArgs) -> String {
    let mut tests = Vec::new();
    if !args.ended {
        tests.push("tag.valid_to IS NULL".to_owned());
    }
    if let Some(find) = &args.find {
        tests.push(format!("strpos(lower(tag.group_name || '/' || tag.tag_name), lower({})) > 0", quoted(find)));
    }
    let condition = if tests.is_empty() { String::new() } else { format!("WHERE {}\n", tests.join(" AND ")) };
    format!("{}{condition}ORDER BY tag.group_name, tag.tag_name, tag.tag_id", include_str!("tag_list.sql"))
}

/// The names that are in use.
#[derive(Debug, Default)]
struct LivingNames {
    /// Id and name of every group.
    groups: Vec<(String, String)>,
    /// Id, group name and name of every tag.
    tags: Vec<(String, String, String)>,
}

impl LivingNames {
    async fn load(view: &View) -> anyhow::Result<Self> {
        let mut names = Self::default();
        let groups = "SELECT group_id, group_name FROM tag_group WHERE valid_to IS NULL ORDER BY group_name, group_id";
        for batch in view.sql(groups).await?.collect().await? {
            let (ids, group_names) = (texts(&batch, "group_id")?, texts(&batch, "group_name")?);
            let rows = ids.into_iter().zip(group_names);
            names.groups.extend(rows.map(|(id, name)| (id.unwrap_or_default(), name.unwrap_or_default())));
        }
        let tags = "\
SELECT tag_id, group_name, tag_name
FROM tag
WHERE valid_to IS NULL
ORDER BY group_name, tag_name, tag_id";
        for batch in view.sql(tags).await?.collect().await? {
            let (ids, group_names) = (texts(&batch, "tag_id")?, texts(&batch, "group_name")?);
            let rows = ids.into_iter().zip(group_names).zip(texts(&batch, "tag_name")?);
            names.tags.extend(rows.map(|((id, group), name)| {
                (id.unwrap_or_default(), group.unwrap_or_default(), name.unwrap_or_default())
            }));
        }
        Ok(names)
    }
}

/// Something to know about a name.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Finding {
    what: &'static str,
    id: String,
    name: String,
    code: &'static str,
    problem: String,
    hint: Option<String>,
}

/// What there is to know about the names: the groups first, then the tags.
fn lint(names: &LivingNames, policy: &Policy) -> Vec<Finding> {
    let mut findings = Vec::new();
    for (index, (id, name)) in names.groups.iter().enumerate() {
        let mut problems = validate_tag_name(name, policy);
        // Of two groups with one name, the later one is told.
        let others = names.groups.get(..index).unwrap_or_default();
        problems.extend(find_duplicate_group(name, others, policy));
        findings.extend(problems.iter().map(|problem| of_problem("tag_group", id, name, problem)));
        findings.extend(too_long_for_console("tag_group", id, name, policy));
    }
    let groups_by_tag_name = groups_by_tag_name(names);
    for (id, group, name) in &names.tags {
        let full_name = format!("{group}/{name}");
        let problems = validate_tag_name(name, policy);
        findings.extend(problems.iter().map(|problem| of_problem("tag", id, &full_name, problem)));
        let too_long = too_long_for_console("tag", id, name, policy);
        findings.extend(too_long.map(|found| Finding { name: full_name.clone(), ..found }));
        let groups = groups_by_tag_name.get(name.as_str()).map_or(&[][..], Vec::as_slice);
        if groups.len() > 1 {
            findings.push(Finding {
                what: "tag",
                id: id.clone(),
                name: full_name,
                code: "TAG_NAME_SHARED",
                problem: format!("`{name}` alone is ambiguous: the groups {} have it", groups.join(", ")),
                hint: Some("write it with its group".to_owned()),
            });
        }
    }
    findings
}

fn groups_by_tag_name(names: &LivingNames) -> BTreeMap<&str, Vec<&str>> {
    let mut found: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for (_, group, name) in &names.tags {
        let groups = found.entry(name).or_default();
        if !groups.contains(&group.as_str()) {
            groups.push(group);
        }
    }
    found
}

fn of_problem(what: &'static str, id: &str, name: &str, problem: &NameProblem) -> Finding {
    Finding {
        what,
        id: id.to_owned(),
        name: name.to_owned(),
        code: problem.code(),
        problem: problem.to_string(),
        hint: problem.hint(),
    }
}

fn too_long_for_console(what: &'static str, id: &str, name: &str, policy: &Policy) -> Option<Finding> {
    exceeds_console(name, policy).then(|| Finding {
        what,
        id: id.to_owned(),
        name: name.to_owned(),
        code: "NAME_NOT_EDITABLE",
        problem: format!("it has more than {} characters and cannot be edited in the UI", policy.tag_name.ui_max_chars),
        hint: None,
    })
}

#[cfg(test)]
mod tests {
    use tagmill_schemas::policy::Profile;

    use super::*;

    fn codes(groups: &[(&str, &str)], tags: &[(&str, &str, &str)]) -> Vec<String> {
        let names = LivingNames {
            groups: groups.iter().map(|(id, name)| ((*id).to_owned(), (*name).to_owned())).collect(),
            tags: tags
                .iter()
                .map(|(id, group, name)| ((*id).to_owned(), (*group).to_owned(), (*name).to_owned()))
                .collect(),
        };
        let findings = lint(&names, policy(Profile::Guide));
        findings.into_iter().map(|finding| format!("{} {}", finding.id, finding.code)).collect()
    }

    #[test]
    fn good_names_have_no_findings() {
        assert!(codes(&[("g1", "来源渠道")], &[("t1", "来源渠道", "视频号")]).is_empty());
    }

    #[test]
    fn s25_a_group_name_that_is_there_twice_is_told_once() {
        assert_eq!(codes(&[("g1", "VIP"), ("g2", "vip")], &[]), ["g2 GROUP_NAME_DUP"]);
    }

    #[test]
    fn s25_the_same_tag_name_in_two_groups_is_allowed_and_told() {
        let tags = [("t1", "来源", "其他"), ("t2", "兴趣", "其他"), ("t3", "兴趣", "宠物")];
        assert_eq!(codes(&[], &tags), ["t1 TAG_NAME_SHARED", "t2 TAG_NAME_SHARED"]);
    }

    #[test]
    fn s26_a_slash_in_a_name_is_told() {
        assert_eq!(codes(&[], &[("t1", "来源", "线上/直播")]), ["t1 NAME_BAD_CHAR"]);
    }
}
