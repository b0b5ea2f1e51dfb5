//! The report as JSON, for programs.
//!
//! Field names are stable; a reader must bear fields that are added. Instants are RFC 3339 in UTC, days (`since`) are
//! business days of `time_zone`, `holders` are distinct customers. `notes` say what keeps "unread" from being certain.
//!
//! ```text
//! snapshot_id, as_of, time_zone, options { max_age_days }
//! totals { tags, findings, may_enter_plan, only_unread, holdings, holdings_may_enter_plan }
//! notes [ { english, chinese } ]                                              empty where nothing does
//! classes [ { class, tags, holdings, english, chinese } ]                       all seven, by weight
//! findings [ {
//!   tag_id, group_name, tag_name, tag_class|null, is_protected, is_deleted,
//!   created_at|null, valid_until|null, valid_to|null, holders, holders_may_enter, holding_follows, former_holders,
//!   held_by_rule|null, given_since, undated        holders since the tag's date had passed, and not known to be so or not
//!   age { certain|null, possible|null }, each { since, days, months, english, chinese }
//!   classes [ { class, certainty: "certain"|"possible", evidence { english, chinese } } ]   never empty
//!   readers [ name ], may_enter_plan, why { english, chinese }
//! } ]
//! ```

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Value, json};

use super::{Age, ClassCount, ClassFound, Finding, Sentence, StaleReport};

/// Renders the report as one JSON object; the module's head lists the fields. Findings keep their order.
pub fn to_json(report: &StaleReport) -> Value {
    let options = &report.options;
    let totals = &report.totals;
    json!({
        "snapshot_id": options.snapshot_id.0,
        "as_of": instant(options.as_of),
        "time_zone": options.zone.name(),
        "options": { "max_age_days": options.max_age_days },
        "totals": {
            "tags": totals.tags,
            "findings": totals.findings,
            "may_enter_plan": totals.may_enter_plan,
            "only_unread": totals.only_unread,
            "holdings": totals.holdings,
            "holdings_may_enter_plan": totals.holdings_may_enter_plan,
        },
        "notes": report.doubts.iter().map(|doubt| sentence(&doubt.sentence())).collect::<Vec<Value>>(),
        "classes": report.class_counts.iter().map(class_count).collect::<Vec<Value>>(),
        "findings": report.findings.iter().map(finding).collect::<Vec<Value>>(),
    })
}

fn class_count(count: &ClassCount) -> Value {
    let (english, chinese) = count.class.name();
    json!({
        "class": count.class.code(),
        "tags": count.tags,
        "holdings": count.holdings,
        "english": english,
        "chinese": chinese,
    })
}

fn finding(finding: &Finding) -> Value {
    let tag = &finding.tag;
    json!({
        "tag_id": tag.tag_id.as_str(),
        "group_name": tag.group_name,
        "tag_name": tag.tag_name,
        "tag_class": tag.class,
        "is_protected": tag.is_protected,
        "is_deleted": finding.is_deleted,
        "created_at": tag.created_at.map(instant),
        "valid_until": tag.valid_until.map(instant),
        "valid_to": tag.valid_to.map(instant),
        "holders": tag.holders,
        "holders_may_enter": finding.holders_may_enter,
        "holding_follows": tag.holding_follows,
        "former_holders": tag.former_holders,
        "held_by_rule": tag.held_by_rule,
        "given_since": tag.given_since,
        "undated": tag.undated,
        "age": {
            "certain": finding.ages.certain.as_ref().map(age),
            "possible": finding.ages.possible.as_ref().map(age),
        },
        "classes": finding.classes.iter().map(class_found).collect::<Vec<Value>>(),
        "readers": tag.readers,
        "may_enter_plan": finding.may_enter_plan,
        "why": sentence(&finding.why),
    })
}

fn class_found(found: &ClassFound) -> Value {
    json!({
        "class": found.class.code(),
        "certainty": found.certainty.code(),
        "evidence": sentence(&found.evidence),
    })
}

fn age(age: &Age) -> Value {
    json!({
        "since": age.since.to_string(),
        "days": age.days,
        "months": age.months,
        "english": age.english(),
        "chinese": age.chinese(),
    })
}

fn sentence(sentence: &Sentence) -> Value {
    json!({ "english": sentence.english, "chinese": sentence.chinese })
}

fn instant(instant: DateTime<Utc>) -> String {
    instant.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
