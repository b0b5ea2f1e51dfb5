//! The Chinese wording.
//!
//! 跟进人 is the follower, 截至时点 the instant as_of, 截至日 its business day; names stand in 「」, groups in 【】.

use super::{sign, sql_shown, tag_shown, time_shown, value_shown};
use crate::ids::StaffId;
use crate::segment::tree::{
    AsOf, AttributeLeaf, CalendarUnit, Comparison, EventLeaf, FollowNode, Follower, Measure, Missing, Never, Node,
    Operator, Segment, TagLeaf, TagTest, TimeValue, Universe, Value, Window,
};

/// The whole sentence.
pub(super) fn segment(segment: &Segment) -> String {
    let universe = match segment.universe {
        Universe::Followed => "在至少有一位有效跟进人的客户中",
        Universe::All => "在所有已知客户中",
        Universe::Lost => "在曾有跟进人、现在一位也没有的客户中",
    };
    let as_of = match segment.as_of {
        AsOf::Latest => "最新快照".to_owned(),
        AsOf::Snapshot(snapshot_id) => format!("快照 {snapshot_id}"),
        AsOf::Time(instant) => time_shown(TimeValue::Instant(instant)),
    };
    let (kind, parts) = match &segment.condition {
        Node::All(parts) if parts.len() > 1 => ("同时满足以下全部条件", clauses(parts)),
        Node::Any(parts) if parts.len() > 1 => ("满足以下至少一项条件", clauses(parts)),
        single => ("满足以下条件", clause(single)),
    };
    format!("截至{as_of}，{universe}，{kind}的客户：{parts}。")
}

/// One node as a clause.
pub(super) fn clause(node: &Node) -> String {
    match node {
        Node::All(parts) => format!("同时满足【{}】", clauses(parts)),
        Node::Any(parts) => format!("满足以下至少一项【{}】", clauses(parts)),
        Node::Not(part) => format!("不满足【{}】", clause(part)),
        Node::SameFollower(parts) => format!("同一跟进人同时满足【{}】", follow_clauses(parts)),
        Node::Tag(leaf) => tag(leaf),
        Node::Attribute(leaf) => attribute(leaf),
        Node::Event(leaf) => event(leaf),
        Node::Segment(name) => format!("属于分群「{name}」"),
        Node::Sql(sql) => format!("在 SQL 查询「{}」的结果中", sql_shown(sql)),
    }
}

fn clauses(parts: &[Node]) -> String {
    parts.iter().map(clause).collect::<Vec<_>>().join("；")
}

fn follow_clauses(parts: &[FollowNode]) -> String {
    parts.iter().map(follow_clause).collect::<Vec<_>>().join("；")
}

fn follow_clause(node: &FollowNode) -> String {
    match node {
        FollowNode::Tag(test) => held(test),
        FollowNode::Staff(staff) => format!("跟进人为{}", quoted(staff.iter().map(StaffId::as_str)).join("或")),
        FollowNode::Not(part) => format!("不满足【{}】", follow_clause(part)),
        FollowNode::Any(parts) => format!("满足以下至少一项【{}】", follow_clauses(parts)),
    }
}

fn tag(leaf: &TagLeaf) -> String {
    let is_any = leaf.follower == Follower::Any;
    let follower = match &leaf.follower {
        Follower::Any => "任一跟进人".to_owned(),
        Follower::All => return format!("每位跟进人都{}", held(&leaf.test)),
        Follower::Named(staff) if staff.len() == 1 => {
            return format!("跟进人{}{}", names(staff.iter().map(StaffId::as_str)), held(&leaf.test));
        }
        Follower::Named(staff) => format!("指定跟进人（{}）中任一位", names(staff.iter().map(StaffId::as_str))),
    };
    let alone = if is_any { "（含客户级标签）" } else { "" };
    match &leaf.test {
        // Several tags may come from several followers.
        TagTest::AllOf(tags) if tags.len() > 1 => {
            let besides = if is_any { "，含客户级标签" } else { "" };
            format!("{}每个标签都由{follower}打上（不必是同一位{besides}）", names(tags.iter().map(tag_shown)))
        }
        TagTest::NoneOf(_) => format!("{follower}都{}{alone}", held(&leaf.test)),
        TagTest::AnyOf(_) | TagTest::AllOf(_) => format!("{follower}{}{alone}", held(&leaf.test)),
    }
}

fn held(test: &TagTest) -> String {
    let tags = names(test.tags().iter().map(tag_shown));
    let is_single = test.tags().len() == 1;
    match test {
        TagTest::AnyOf(_) | TagTest::AllOf(_) if is_single => format!("打有标签{tags}"),
        TagTest::AnyOf(_) => format!("打有{tags}中的至少一个标签"),
        TagTest::AllOf(_) => format!("打有{tags}全部标签"),
        TagTest::NoneOf(_) if is_single => format!("未打标签{tags}"),
        TagTest::NoneOf(_) => format!("未打{tags}中的任何标签"),
    }
}

fn attribute(leaf: &AttributeLeaf) -> String {
    let missing = match leaf.missing {
        Missing::Exclude => "不计入",
        Missing::Include => "计入",
    };
    format!("属性「{}」{}，缺少该值的客户{missing}", leaf.name, comparison(&leaf.test))
}

fn event(leaf: &EventLeaf) -> String {
    let window = window(leaf.window, leaf.include_today);
    let events = events(leaf);
    let subject = match &leaf.measure {
        Measure::Count => format!("{window}{events}的次数"),
        Measure::Sum => match &leaf.currency {
            Some(currency) => format!("{window}{events}的金额合计（币种 {currency}）"),
            None => format!("{window}{events}的金额合计"),
        },
        Measure::Last => format!("{window}最近一次{events}的时间"),
        Measure::Distinct(column) => format!("{window}{events}中「{column}」的不同取值个数"),
        Measure::DistinctDays => format!("{window}有{events}的不同自然日天数"),
    };
    let never = match leaf.never {
        None => "",
        Some(Never::Include) => "，从未有过该事件的客户计入",
        Some(Never::Exclude) => "，从未有过该事件的客户不计入",
        Some(Never::SinceCreated) => "，从未有过该事件的客户以其创建时间计",
    };
    format!("{subject}{}{never}", comparison(&leaf.test))
}

fn events(leaf: &EventLeaf) -> String {
    let types = quoted(leaf.events.iter().map(String::as_str)).join("或");
    let filters: Vec<String> =
        leaf.filter.iter().map(|(column, values)| format!("「{column}」为{}", values_in(values))).collect();
    if filters.is_empty() {
        return format!("{types}事件");
    }
    format!("{types}事件（{}）", filters.join("，且"))
}

fn window(window: Window, include_today: bool) -> String {
    let end = if include_today { "截至时点" } else { "截至日零点" };
    match window {
        Window::Lifetime => "截至时点之前的全部时间内".to_owned(),
        Window::Between { from, to } => format!("自 {}（含）至 {}（不含）期间", time_words(from), time_words(to)),
        Window::LastDays(count) => {
            let last = if include_today { "含截至日当天在内的最近" } else { "截至日之前的" };
            format!("{last} {count} 个自然日内，即自首日零点（含）至{end}（不含），")
        }
        Window::LastMonths(count) => format!("自截至日前 {count} 个自然月（含）至{end}（不含）期间"),
        Window::ThisMonth => format!("截至时点所在的自然月内，即自当月 1 日零点（含）至{end}（不含），"),
        Window::LastMonth => "截至时点的上一个自然月内，即自上月 1 日零点（含）至当月 1 日零点（不含），".to_owned(),
    }
}

fn comparison(test: &Comparison) -> String {
    let end = |operator, value: &Value| (words(operator, value), format!("{} {}", sign(operator), shown(value)));
    match test {
        Comparison::Single(operator, value) => {
            let (words, sign) = end(*operator, value);
            format!("{words}（{sign}）")
        }
        Comparison::In(values) => format!("为{}（in）", values_in(values)),
        Comparison::Band { from, to } => {
            let from = from.as_ref().map(|value| end(Operator::Ge, value));
            let to = to.as_ref().map(|value| end(Operator::Lt, value));
            match (from, to) {
                (Some((from, ge)), Some((to, lt))) => format!("{from}，且{to}（{ge} 且 {lt}）"),
                (Some((from, ge)), None) => format!("{from}（{ge}，不设上限）"),
                (None, Some((to, lt))) => format!("{to}（{lt}，不设下限）"),
                (None, None) => "有值".to_owned(),
            }
        }
    }
}

fn words(operator: Operator, value: &Value) -> String {
    let is_time = matches!(value, Value::Time(_));
    let verb = match operator {
        Operator::Eq => "等于",
        Operator::Ne => "不等于",
        Operator::Lt if is_time => "早于",
        Operator::Le if is_time => "不晚于",
        Operator::Gt if is_time => "晚于",
        Operator::Ge if is_time => "不早于",
        Operator::Lt => "小于",
        Operator::Le => "至多为",
        Operator::Gt => "大于",
        Operator::Ge => "至少为",
    };
    match value {
        Value::Time(relative @ TimeValue::AsOfMinus(..)) => format!("{verb}{}", time_words(*relative)),
        Value::AsOfMonth => format!("{verb}截至时点所在的月份"),
        Value::Text(_) => format!("{verb}{}", shown(value)),
        plain => format!("{verb} {}", shown(plain)),
    }
}

fn time_words(time: TimeValue) -> String {
    match time {
        TimeValue::AsOfMinus(0, _) => "截至时点".to_owned(),
        TimeValue::AsOfMinus(count, CalendarUnit::Days) => format!("截至时点前 {count} 个自然日"),
        TimeValue::AsOfMinus(count, CalendarUnit::Months) => format!("截至时点前 {count} 个自然月"),
        fixed => time_shown(fixed),
    }
}

fn values_in(values: &[Value]) -> String {
    let values: Vec<String> = values.iter().map(shown).collect();
    match values.as_slice() {
        [single] => single.clone(),
        several => format!("{}之一", several.join("、")),
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Text(text) => format!("「{text}」"),
        plain => value_shown(plain),
    }
}

fn quoted<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    names.map(|name| format!("「{name}」")).collect()
}

fn names<'a>(names: impl Iterator<Item = &'a str>) -> String {
    quoted(names).join("、")
}
