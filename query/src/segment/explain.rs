//! Explaining a segment: what it asks in words, and what every node of it answered.

use serde::Serialize;
use tagmill_schemas::segment::check::Catalog;
use tagmill_schemas::segment::sentence;
use tagmill_schemas::segment::{FollowNode, Node, TagRef, TagTest};

use super::evaluate::SegmentCount;
use super::leaves;
use super::sql_text::Calendar;
use crate::definitions::LoadedSegment;
use crate::error::QueryError;
use crate::view::View;

/// Why a segment's count is what it is.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Explanation {
    /// The count and what it was computed on.
    #[serde(flatten)]
    pub count: SegmentCount,
    /// The question as one English sentence.
    pub english: String,
    /// The question as one Chinese sentence.
    pub chinese: String,
    /// Every node, in the order of the document.
    pub nodes: Vec<ExplainedNode>,
}

/// One node of a segment, explained.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ExplainedNode {
    /// JSON pointer into the document, through references.
    pub path: String,
    /// What the node asks, in English.
    pub description: String,
    /// The size of its set.
    pub count: u64,
    /// `follows` or `customers`: what is counted.
    pub kind: &'static str,
    /// The statements that answered it; none for set algebra.
    pub sql: Option<String>,
}

impl View {
    /// Evaluates a segment and explains every node.
    ///
    /// # Errors
    /// As [`View::evaluate`].
    pub async fn explain(&self, loaded: &LoadedSegment) -> Result<Explanation, QueryError> {
        let evaluation = self.evaluate(loaded).await?;
        let describer =
            Describer { catalog: self.catalog().await?, calendar: Calendar { as_of: self.as_of(), zone: self.zone() } };
        let mut described = Vec::new();
        describer.segment(loaded, &mut described);
        let nodes = evaluation
            .nodes
            .iter()
            .zip(described)
            .map(|(answer, (description, sql))| ExplainedNode {
                path: answer.path.clone(),
                description,
                count: answer.count,
                kind: if answer.is_follows { "follows" } else { "customers" },
                sql,
            })
            .collect();
        Ok(Explanation {
            count: evaluation.count().clone(),
            english: sentence::english(&loaded.segment),
            chinese: sentence::chinese(&loaded.segment),
            nodes,
        })
    }
}

/// Describes nodes in the order in which they are evaluated.
struct Describer<'c> {
    catalog: &'c Catalog,
    calendar: Calendar,
}

impl Describer<'_> {
    fn segment(&self, loaded: &LoadedSegment, out: &mut Vec<(String, Option<String>)>) {
        self.node(&loaded.segment.condition, loaded, out);
    }

    fn node(&self, node: &Node, loaded: &LoadedSegment, out: &mut Vec<(String, Option<String>)>) {
        out.push((describe(node), self.sql(node)));
        match node {
            Node::All(parts) | Node::Any(parts) => parts.iter().for_each(|part| self.node(part, loaded, out)),
            Node::Not(part) => self.node(part, loaded, out),
            Node::SameFollower(parts) => parts.iter().for_each(|part| self.follow_node(part, out)),
            Node::Segment(name) => {
                if let Some(referred) = loaded.references.get(name) {
                    self.segment(referred, out);
                }
            }
            Node::Tag(_) | Node::Attribute(_) | Node::Event(_) | Node::Sql(_) => {}
        }
    }

    fn follow_node(&self, node: &FollowNode, out: &mut Vec<(String, Option<String>)>) {
        let (description, sql) = match node {
            FollowNode::Tag(test) => (describe_test(test), Some(self.tags_sql(test.tags()))),
            FollowNode::Staff(staff) => {
                let names: Vec<&str> = staff.iter().map(|id| id.as_str()).collect();
                (format!("followed by {}", names.join(" or ")), None)
            }
            FollowNode::Not(_) => ("not".to_owned(), None),
            FollowNode::Any(_) => ("at least one of".to_owned(), None),
        };
        out.push((description, sql));
        match node {
            FollowNode::Not(part) => self.follow_node(part, out),
            FollowNode::Any(parts) => parts.iter().for_each(|part| self.follow_node(part, out)),
            FollowNode::Tag(_) | FollowNode::Staff(_) => {}
        }
    }

    fn sql(&self, node: &Node) -> Option<String> {
        match node {
            Node::Tag(leaf) => Some(self.tags_sql(leaf.test.tags())),
            Node::Attribute(leaf) => Some(leaves::attribute_sql(leaf, &self.calendar)),
            Node::Event(leaf) => Some(leaves::event_query(leaf, &self.calendar).text()),
            Node::Sql(sql) => Some(sql.clone()),
            Node::All(_) | Node::Any(_) | Node::Not(_) | Node::SameFollower(_) | Node::Segment(_) => None,
        }
    }

    fn tags_sql(&self, tags: &[TagRef]) -> String {
        let statements: Vec<String> =
            tags.iter().filter_map(|tag| self.catalog.resolve(tag).ok()).map(|id| leaves::holders_sql(&id)).collect();
        statements.join(";\n")
    }
}

fn describe(node: &Node) -> String {
    match node {
        Node::All(_) => "all of".to_owned(),
        Node::Any(_) => "at least one of".to_owned(),
        Node::Not(_) => "not".to_owned(),
        Node::SameFollower(_) => "one and the same follower has all of".to_owned(),
        Node::Segment(name) => format!("in segment `{name}`"),
        Node::Sql(_) => "in the answer of a SQL question".to_owned(),
        leaf => sentence::node_english(leaf),
    }
}

fn describe_test(test: &TagTest) -> String {
    let names: Vec<String> = test
        .tags()
        .iter()
        .map(|tag| match tag {
            TagRef::Name(name) => format!("`{name}`"),
            TagRef::Id(id) => format!("the tag with id `{id}`"),
        })
        .collect();
    match test {
        TagTest::AnyOf(_) => format!("holds {}", names.join(" or ")),
        TagTest::AllOf(_) => format!("holds {}", names.join(" and ")),
        TagTest::NoneOf(_) => format!("holds none of {}", names.join(", ")),
    }
}
