//! Explaining a segment: what it asks in words, and what every node of it answered.

use std::collections::HashSet;

use serde::Serialize;
use tagmill_schemas::segment::check::Catalog;
use tagmill_schemas::segment::sentence;
use tagmill_schemas::segment::{FollowNode, Follower, Node, Segment, TagLeaf, TagRef};

use super::evaluate::SegmentCount;
use super::leaves;
use super::sets::staff_sql;
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
    /// Every node, in the order of the document. The nodes of a segment that is referred to more than once stand below its
    /// first mention.
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
        let calendar = Calendar { as_of: self.as_of(), zone: self.zone() };
        let mut describer = Describer { catalog: self.catalog().await?, calendar, described: HashSet::new() };
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
        // A `latest` may have been filled by whoever asks, and the sentence says what was asked in the end.
        let asked = Segment { as_of: self.asked(), ..loaded.segment.clone() };
        Ok(Explanation {
            count: evaluation.count().clone(),
            english: sentence::english(&asked),
            chinese: sentence::chinese(&asked),
            nodes,
        })
    }
}

/// Describes nodes in the order in which they are evaluated.
struct Describer<'c> {
    catalog: &'c Catalog,
    calendar: Calendar,
    /// The segments referred to so far, by definition hash: each is evaluated at its first mention only.
    described: HashSet<String>,
}

impl Describer<'_> {
    fn segment(&mut self, loaded: &LoadedSegment, out: &mut Vec<(String, Option<String>)>) {
        self.node(&loaded.segment.condition, loaded, out);
    }

    fn node(&mut self, node: &Node, loaded: &LoadedSegment, out: &mut Vec<(String, Option<String>)>) {
        let heading = sentence::heading_english(node);
        let description = heading.map_or_else(|| sentence::node_english(node), str::to_owned);
        out.push((description, self.sql(node)));
        match node {
            Node::All(parts) | Node::Any(parts) => parts.iter().for_each(|part| self.node(part, loaded, out)),
            Node::Not(part) => self.node(part, loaded, out),
            Node::SameFollower(parts) => parts.iter().for_each(|part| self.follow_node(part, out)),
            Node::Segment(name) => {
                let referred = loaded.references.get(name);
                if let Some(referred) = referred.filter(|referred| self.described.insert(referred.hash.clone())) {
                    self.segment(referred, out);
                }
            }
            Node::Tag(_) | Node::Attribute(_) | Node::Event(_) | Node::Sql(_) => {}
        }
    }

    fn follow_node(&self, node: &FollowNode, out: &mut Vec<(String, Option<String>)>) {
        let heading = sentence::follow_heading_english(node);
        let description = heading.map_or_else(|| sentence::follow_node_english(node), str::to_owned);
        let sql = match node {
            FollowNode::Tag(test) => Some(self.tags_sql(test.tags())),
            FollowNode::Staff(staff) => Some(staff_sql(staff)),
            FollowNode::Not(_) | FollowNode::Any(_) => None,
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
            Node::Tag(leaf) => Some(self.tag_sql(leaf)),
            Node::Attribute(leaf) => Some(leaves::attribute_sql(leaf, self.catalog, &self.calendar)),
            Node::Event(leaf) => Some(leaves::event_query(leaf, self.catalog, &self.calendar).text()),
            Node::Sql(sql) => Some(sql.clone()),
            Node::All(_) | Node::Any(_) | Node::Not(_) | Node::SameFollower(_) | Node::Segment(_) => None,
        }
    }

    fn tag_sql(&self, leaf: &TagLeaf) -> String {
        let tags = self.tags_sql(leaf.test.tags());
        match &leaf.follower {
            Follower::Named(staff) => format!("{};\n{tags}", staff_sql(staff)),
            Follower::Any | Follower::All => tags,
        }
    }

    fn tags_sql(&self, tags: &[TagRef]) -> String {
        let statements: Vec<String> =
            tags.iter().filter_map(|tag| self.catalog.resolve(tag).ok()).map(|id| leaves::holders_sql(&id)).collect();
        statements.join(";\n")
    }
}
