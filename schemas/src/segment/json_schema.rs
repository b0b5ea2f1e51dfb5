//! The JSON Schema of segment documents, for editors that complete and explain while somebody writes.
//!
//! The parser is the judge: it reports more than a schema can say (reversed windows, impossible dates, near names). The
//! schema is committed as `schemas/json/segment.schema.json`; a document names it in its first line, as in
//! `# yaml-language-server: $schema=…/segment.schema.json`.

use serde_json::{Value, json};

use super::parse::OPERATORS;
use super::tree::{MeasureWord, Missing, Never, Universe};
use crate::words::word_list;

/// Returns the schema, in JSON Schema draft 2020-12.
pub fn segment_schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "Segment",
        "description": "A question whose answer is a set of customers.",
        "type": "object",
        "required": ["universe", "as_of", "where"],
        "additionalProperties": false,
        "properties": {
            "name": {
                "description": "What people call the segment. No part of its identity.",
                "type": ["string", "null"]
            },
            "universe": universe(),
            "as_of": as_of(),
            "where": { "$ref": "#/$defs/condition" }
        },
        "$defs": {
            "condition": condition(),
            "follow_condition": follow_condition(),
            "tag": tag(),
            "follow_tag": follow_tag(),
            "tags": tags(),
            "tag_ref": tag_ref(),
            "staff_ids": staff_ids(),
            "attribute": attribute(),
            "event": event(),
            "window": window(),
            "operator": operator(),
            "compared_value": compared_value(),
            "value": value(),
            "time": time()
        }
    })
}

fn universe() -> Value {
    json!({
        "description": "What `not` is taken against. followed: customers with at least one active follow. all: every \
            customer ever known. lost: customers who had a follow once and have none now.",
        "enum": word_list(Universe::WORDS)
    })
}

fn as_of() -> Value {
    json!({
        "description": "The state the question is asked of, and the instant before which events count: `latest`, a \
            snapshot's number, or a time with its offset such as 2026-06-01T08:00:00+08:00.",
        "anyOf": [
            { "const": "latest" },
            { "type": "integer", "minimum": 1 },
            { "type": "string", "pattern": "^\\d{4}-\\d{1,2}-\\d{1,2}[ T].*(Z|[+-]\\d{2}:?\\d{2})$" }
        ]
    })
}

fn condition() -> Value {
    json!({
        "description": "A condition on customers: exactly one of `all`, `any`, `not`, `same_follower`, `tag`, \
            `attribute`, `event`, `segment` and `sql`.",
        "type": "object",
        "oneOf": [
            alone("all", parts("Every part holds.", "condition")),
            alone("any", parts("At least one part holds.", "condition")),
            alone("not", json!({ "description": "The complement inside the universe.", "$ref": "#/$defs/condition" })),
            alone("same_follower", parts("One and the same follow satisfies every part.", "follow_condition")),
            alone("tag", json!({ "$ref": "#/$defs/tag" })),
            alone("attribute", json!({ "$ref": "#/$defs/attribute" })),
            { "$ref": "#/$defs/event" },
            alone("segment", segment_name()),
            alone("sql", select())
        ]
    })
}

/// A condition that is written as one key.
fn alone(key: &str, inside: Value) -> Value {
    json!({ "required": [key], "additionalProperties": false, "properties": { (key): inside } })
}

/// A list of conditions of one kind.
fn parts(description: &str, kind: &str) -> Value {
    let items = format!("#/$defs/{kind}");
    json!({ "description": description, "type": "array", "minItems": 1, "items": { "$ref": items } })
}

fn segment_name() -> Value {
    json!({
        "description": "The customer is in another segment: the name of its file beside this one, without ending.",
        "type": "string",
        "pattern": "^[^./\\\\][^/\\\\]*$"
    })
}

fn select() -> Value {
    json!({ "description": "A SELECT that returns `customer_no` or `customer_id`.", "type": "string", "minLength": 1 })
}

fn follow_condition() -> Value {
    json!({
        "description": "A condition on a single follow: exactly one of `tag`, `staff`, `not` and `any`.",
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": false,
        "properties": {
            "tag": { "$ref": "#/$defs/follow_tag" },
            "staff": { "$ref": "#/$defs/staff_ids" },
            "not": { "$ref": "#/$defs/follow_condition" },
            "any": parts("At least one part holds on this follow.", "follow_condition")
        }
    })
}

fn tag() -> Value {
    json!({
        "description": "The customer holds tags: one of `any_of`, `all_of` and `none_of`, and on which follows.",
        "type": "object",
        "required": ["follower"],
        "minProperties": 2,
        "maxProperties": 2,
        "additionalProperties": false,
        "properties": {
            "any_of": { "description": "At least one of these tags.", "$ref": "#/$defs/tags" },
            "all_of": { "description": "Every one of these tags.", "$ref": "#/$defs/tags" },
            "none_of": { "description": "Not one of these tags.", "$ref": "#/$defs/tags" },
            "follower": {
                "description": "On which follows. any: at least one, or on the customer itself. all: every one of the \
                    universe; false without follows. A list of staff ids: on a follow of one of them. There is no \
                    default.",
                "anyOf": [
                    { "enum": ["any", "all"] },
                    { "$ref": "#/$defs/staff_ids" },
                    {
                        "type": "object",
                        "required": ["named"],
                        "additionalProperties": false,
                        "properties": { "named": { "$ref": "#/$defs/staff_ids" } }
                    }
                ]
            }
        }
    })
}

fn follow_tag() -> Value {
    json!({
        "description": "This follow holds tags: one of `any_of`, `all_of` and `none_of`.",
        "type": "object",
        "minProperties": 1,
        "maxProperties": 1,
        "additionalProperties": false,
        "properties": {
            "any_of": { "description": "At least one of these tags.", "$ref": "#/$defs/tags" },
            "all_of": { "description": "Every one of these tags.", "$ref": "#/$defs/tags" },
            "none_of": { "description": "Not one of these tags.", "$ref": "#/$defs/tags" }
        }
    })
}

fn tags() -> Value {
    json!({ "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/tag_ref" } })
}

fn tag_ref() -> Value {
    json!({
        "description": "A tag as `group/tag`, which is refused where two living tags fit, or as `{id: TAG_ID}`, \
            which always works.",
        "anyOf": [
            { "type": "string", "pattern": "^.+/.+$" },
            {
                "type": "object",
                "required": ["id"],
                "additionalProperties": false,
                "properties": { "id": { "type": ["string", "number"] } }
            }
        ]
    })
}

fn staff_ids() -> Value {
    json!({
        "description": "Staff members by their id; a follow of any of them counts.",
        "type": "array",
        "minItems": 1,
        "items": { "type": ["string", "number"] }
    })
}

fn attribute() -> Value {
    json!({
        "description": "A column of customer compares. A missing value compares false, and so does its opposite.",
        "type": "object",
        "required": ["name", "op", "value", "missing"],
        "additionalProperties": false,
        "properties": {
            "name": { "description": "A column of customer, such as `city` or `birth_month`.", "type": "string" },
            "op": { "$ref": "#/$defs/operator" },
            "value": { "$ref": "#/$defs/compared_value" },
            "missing": {
                "description": "What a customer without the value is: out (exclude) or in (include). There is no \
                    default.",
                "enum": word_list(Missing::WORDS)
            }
        }
    })
}

fn event() -> Value {
    json!({
        "description": "A measure over the customer's events of some types in a window compares.",
        "type": "object",
        "required": ["event", "window", "measure", "op", "value"],
        "additionalProperties": false,
        "properties": {
            "event": {
                "description": "The event types that count: one, or a list of them.",
                "anyOf": [
                    { "type": "string" },
                    { "type": "array", "minItems": 1, "items": { "type": "string" } }
                ]
            },
            "filter": {
                "description": "Columns or declared properties of the event, each with the value or values it must \
                    have.",
                "type": "object",
                "minProperties": 1,
                "additionalProperties": {
                    "anyOf": [
                        { "$ref": "#/$defs/value" },
                        { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/value" } }
                    ]
                }
            },
            "window": { "$ref": "#/$defs/window" },
            "include_today": {
                "description": "For `this_month` and windows of the last days or months: whether as_of's own \
                    business day counts. Without it, it does not.",
                "type": "boolean"
            },
            "measure": {
                "description": "count: how many events. sum: the exact sum of `amount`. last: when the latest one \
                    happened. distinct: how many values of the column `of`. distinct_days: on how many business \
                    days. There is no default.",
                "enum": word_list(MeasureWord::WORDS)
            },
            "of": { "description": "For `distinct`: the column whose values are counted.", "type": "string" },
            "op": { "$ref": "#/$defs/operator" },
            "value": { "$ref": "#/$defs/compared_value" },
            "currency": {
                "description": "For `sum`: which currency; needed where events of several currencies are in.",
                "type": "string"
            },
            "never": {
                "description": "For `last`: what a customer without such an event is. since_created: as if it had \
                    happened when the customer was created.",
                "enum": word_list(Never::WORDS)
            }
        },
        "allOf": key_rules()
    })
}

/// The keys that belong to some measures or windows alone.
fn key_rules() -> Value {
    json!([
        {
            "if": { "properties": { "measure": { "const": "distinct" } } },
            "then": { "required": ["of"] },
            "else": { "properties": { "of": false } }
        },
        {
            "if": { "properties": { "measure": { "const": "last" } } },
            "then": { "required": ["never"] },
            "else": { "properties": { "never": false } }
        },
        {
            "if": { "properties": { "measure": { "const": "sum" } } },
            "else": { "properties": { "currency": false } }
        },
        {
            "if": { "properties": { "window": fixed_window() } },
            "then": { "properties": { "include_today": false } }
        }
    ])
}

/// A window that as_of's own day has no part in, or always has.
fn fixed_window() -> Value {
    json!({ "anyOf": [{ "enum": ["lifetime", "last_month"] }, { "type": "object" }] })
}

fn window() -> Value {
    json!({
        "description": "When the events count. Windows relative to as_of leave out its business day; a window of two \
            times is half open. There is no default.",
        "anyOf": [
            { "enum": ["lifetime", "this_month", "last_month", "last_30_days", "last_3_months"] },
            { "type": "string", "pattern": "^last_[1-9]\\d*_(days|months)$" },
            {
                "type": "object",
                "required": ["from", "to"],
                "additionalProperties": false,
                "properties": {
                    "from": { "$ref": "#/$defs/time" },
                    "to": { "$ref": "#/$defs/time" }
                }
            }
        ]
    })
}

fn operator() -> Value {
    json!({
        "description": "How it compares. in: equal to one of a list. between: from (included) to (excluded). There \
            is no default.",
        "enum": OPERATORS
    })
}

fn compared_value() -> Value {
    json!({
        "description": "One value; with `in` a list of values; with `between` `{from: …, to: …}`, where an end may \
            be left out.",
        "anyOf": [
            { "$ref": "#/$defs/value" },
            { "type": "array", "minItems": 1, "items": { "$ref": "#/$defs/value" } },
            {
                "type": "object",
                "minProperties": 1,
                "additionalProperties": false,
                "properties": {
                    "from": { "$ref": "#/$defs/value" },
                    "to": { "$ref": "#/$defs/value" }
                }
            }
        ]
    })
}

fn value() -> Value {
    json!({
        "description": "A text (always, in quotes), an exact number with at most 18 digits and 4 decimals, true or \
            false, a time, `as_of - 3 months`, or `as_of.month`.",
        "type": ["string", "number", "boolean"]
    })
}

fn time() -> Value {
    json!({
        "description": "A date or a date and time of the business time zone, an instant with its offset, `as_of`, or \
            `as_of - N days` or `months`.",
        "type": "string",
        "anyOf": [
            { "pattern": "^\\d{4}-\\d{1,2}-\\d{1,2}([ T].+)?$" },
            { "pattern": "^as_of(\\s*-\\s*\\d+\\s+(days?|months?))?$" }
        ]
    })
}

#[cfg(test)]
mod tests;
