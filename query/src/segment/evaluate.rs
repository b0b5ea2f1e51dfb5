//! Evaluating a segment: a walk over its tree that returns a set and, on the way, what each node answered.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use futures::future::{BoxFuture, FutureExt};
use roaring::RoaringBitmap;
use serde::Serialize;
use tagmill_schemas::ids::{CustomerNo, FollowNo, TagId};
use tagmill_schemas::segment::check::Catalog;
use tagmill_schemas::segment::{FollowNode, Node, TagRef};
use tagmill_schemas::yaml::Problems;

use super::leaves::{self, Holders};
use super::sets::{Customers, FollowIndex, Follows, Scope, customer_set, follow_set, staff_sql};
use super::sql_text::Calendar;
use crate::definitions::LoadedSegment;
use crate::error::QueryError;
use crate::view::View;

/// What one node of a segment answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct NodeAnswer {
    /// JSON pointer into the document.
    pub(crate) path: String,
    /// The size of its set.
    pub(crate) count: u64,
    /// Whether the set is one of follows.
    pub(crate) is_follows: bool,
}

/// A segment's answer on one snapshot and instant.
#[derive(Debug, Clone)]
pub struct Evaluation {
    pub(crate) members: RoaringBitmap,
    pub(crate) nodes: Vec<NodeAnswer>,
    count: SegmentCount,
    matched: Option<Follows>,
}

/// What a node found: its customers and, where that is asked for, the follows on which it holds of them.
#[derive(Debug, Clone, Default)]
pub(super) struct Found {
    customers: Customers,
    matched: Follows,
}

impl From<Customers> for Found {
    fn from(customers: Customers) -> Self {
        Self { customers, ..Self::default() }
    }
}

/// How many customers a segment has, and on what that was computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SegmentCount {
    /// Customers in the segment.
    pub count: u64,
    /// Customers in its universe.
    pub universe_count: u64,
    /// The snapshot it was computed on.
    pub snapshot_id: i64,
    /// The instant before which events count.
    pub as_of: DateTime<Utc>,
    /// Up to which instant events were read; `None` where no source brought any.
    pub events_until: Option<DateTime<Utc>>,
    /// SHA-256 of the canonical document.
    pub definition_hash: String,
    /// What the definition's author should know: see [`View::notes`].
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

impl Evaluation {
    /// The count and what it was computed on.
    pub fn count(&self) -> &SegmentCount {
        &self.count
    }

    /// Whether a customer is in.
    pub fn contains(&self, customer: CustomerNo) -> bool {
        self.members.contains(customer.0)
    }

    /// Whether the condition holds on a follow; always false where [`View::evaluate`] made the answer.
    ///
    /// A tag condition holds on the follows that hold a tag it asks for, `same_follower` on the follows that satisfy it;
    /// what is under a `not`, and what asks for no follow (attributes, events, SQL), holds on none.
    pub fn matches(&self, follow: FollowNo) -> bool {
        self.matched.as_ref().is_some_and(|matched| matched.0.contains(follow.0))
    }

    /// The members' dense numbers, ascending.
    pub fn customer_nos(&self) -> impl Iterator<Item = CustomerNo> + '_ {
        self.members.iter().map(CustomerNo)
    }
}

impl View {
    /// Evaluates a segment on this view's snapshot and instant.
    ///
    /// The document's own `as_of` has been used to make the view; here it is not looked at again.
    ///
    /// # Errors
    /// `QueryError::Document` where the document does not fit the tables, and what its leaves' SQL may fail with.
    pub async fn evaluate(&self, loaded: &LoadedSegment) -> Result<Evaluation, QueryError> {
        self.evaluation(loaded, false).await
    }

    /// Evaluates a segment as [`View::evaluate`] does, and finds the follows on which its condition holds.
    ///
    /// # Errors
    /// As [`View::evaluate`].
    pub async fn evaluate_follows(&self, loaded: &LoadedSegment) -> Result<Evaluation, QueryError> {
        self.evaluation(loaded, true).await
    }

    async fn evaluation(&self, loaded: &LoadedSegment, finds_follows: bool) -> Result<Evaluation, QueryError> {
        let view = self.for_one_question();
        view.check(loaded).await?;
        let mut trace = Trace { finds_follows, ..Trace::default() };
        let (Found { customers: members, matched }, scope) = view.members_of(loaded, "", &mut trace).await?;
        let count = SegmentCount {
            count: members.0.len(),
            universe_count: scope.customers.0.len(),
            snapshot_id: self.ledger_row().snapshot_id.0,
            as_of: self.as_of(),
            events_until: self.events_until(&loaded.event_types()),
            definition_hash: loaded.hash.clone(),
            notes: view.notes(loaded).await?,
        };
        let matched = finds_follows.then_some(matched);
        Ok(Evaluation { members: members.0, nodes: trace.nodes, count, matched })
    }

    /// The id of the tag that a document means.
    ///
    /// # Errors
    /// `QueryError::Document` where the name is unknown, ambiguous or borne by dead tags only.
    pub async fn resolve_tag(&self, tag: &TagRef) -> Result<TagId, QueryError> {
        resolve(tag, self.catalog().await?)
    }

    fn members_of<'a>(
        &'a self,
        loaded: &'a LoadedSegment,
        path: &'a str,
        trace: &'a mut Trace,
    ) -> BoxFuture<'a, Result<(Found, Scope), QueryError>> {
        async move {
            let follows = self.follows().await?;
            let scope = follows.scope(self, loaded.segment.universe).await?;
            let catalog = self.catalog().await?;
            let holders = leaves::holders(self, &tags_of(&loaded.segment.condition, catalog)?).await?;
            let calendar = Calendar { as_of: self.as_of(), zone: self.zone() };
            let mut walk =
                Walk { view: self, loaded, scope: &scope, index: follows, catalog, holders, calendar, trace };
            let found = walk.node(&loaded.segment.condition, &format!("{path}/where")).await?;
            Ok((found, scope))
        }
        .boxed()
    }
}

/// What the walk leaves behind, through references too.
#[derive(Debug, Default)]
struct Trace {
    nodes: Vec<NodeAnswer>,
    finds_follows: bool,
    /// The answers of the segments referred to, by definition hash: each is evaluated once, where it is first mentioned.
    known: HashMap<String, Found>,
}

/// The walk over one segment's tree.
pub(super) struct Walk<'a> {
    pub(super) view: &'a View,
    loaded: &'a LoadedSegment,
    pub(super) scope: &'a Scope,
    pub(super) index: &'a FollowIndex,
    pub(super) catalog: &'a Catalog,
    pub(super) holders: HashMap<TagId, Holders>,
    calendar: Calendar,
    trace: &'a mut Trace,
}

impl Walk<'_> {
    /// What a node finds, always within the universe.
    fn node<'w>(&'w mut self, node: &'w Node, path: &'w str) -> BoxFuture<'w, Result<Found, QueryError>> {
        async move {
            // The place is kept before the children take theirs, so that answers stand in the order of the document.
            let place = self.trace.nodes.len();
            self.trace.nodes.push(NodeAnswer { path: path.to_owned(), count: 0, is_follows: false });
            let found = self.answer(node, path).await?;
            let customers = Customers(found.customers.0 & &self.scope.customers.0);
            self.trace.nodes[place].count = customers.0.len();
            let matched = self.index.follows_of(&found.matched, &customers);
            Ok(Found { customers, matched })
        }
        .boxed()
    }

    async fn answer(&mut self, node: &Node, path: &str) -> Result<Found, QueryError> {
        match node {
            Node::All(parts) => {
                let mut found = Found::from(self.scope.customers.clone());
                for (index, part) in parts.iter().enumerate() {
                    let part = self.node(part, &format!("{path}/all/{index}")).await?;
                    found.customers.0 &= part.customers.0;
                    found.matched.0 |= part.matched.0;
                }
                Ok(found)
            }
            Node::Any(parts) => {
                let mut found = Found::default();
                for (index, part) in parts.iter().enumerate() {
                    let part = self.node(part, &format!("{path}/any/{index}")).await?;
                    found.customers.0 |= part.customers.0;
                    found.matched.0 |= part.matched.0;
                }
                Ok(found)
            }
            Node::Not(part) => {
                let inner = self.node(part, &format!("{path}/not")).await?;
                Ok(Customers(&self.scope.customers.0 - inner.customers.0).into())
            }
            Node::SameFollower(parts) => {
                let mut set = self.scope.follows.0.clone();
                for (index, part) in parts.iter().enumerate() {
                    set &= self.follow_node(part, &format!("{path}/same_follower/{index}")).await?.0;
                }
                let follows = Follows(set);
                Ok(Found { customers: self.index.project(&follows), matched: self.if_asked(follows) })
            }
            Node::Tag(leaf) => {
                let within = self.follows_of(&leaf.follower).await?;
                let customers = self.tag(leaf, &within)?;
                let matched = self.if_asked(self.tagged(leaf, &within)?);
                Ok(Found { customers, matched })
            }
            Node::Attribute(leaf) => {
                Ok(customer_set(self.view, &leaves::attribute_sql(leaf, self.catalog, &self.calendar)).await?.into())
            }
            Node::Event(leaf) => Ok(leaves::event_set(self.view, leaf, &self.calendar, self.scope).await?.into()),
            Node::Segment(name) => self.reference(name, path).await,
            Node::Sql(sql) => Ok(leaves::sql_set(self.view, sql).await?.into()),
        }
    }

    /// Follows where they are asked for; none where only customers are.
    fn if_asked(&self, follows: Follows) -> Follows {
        if self.trace.finds_follows { follows } else { Follows::default() }
    }

    /// The answer of a segment referred to. Its nodes are reported below its first mention only.
    async fn reference(&mut self, name: &str, path: &str) -> Result<Found, QueryError> {
        let referred = self
            .loaded
            .references
            .get(name)
            .ok_or_else(|| QueryError::Internal { reason: format!("the reference to `{name}` was not loaded") })?;
        if let Some(found) = self.trace.known.get(&referred.hash) {
            return Ok(found.clone());
        }
        let (found, _) = self.view.members_of(referred, &format!("{path}/segment"), self.trace).await?;
        self.trace.known.insert(referred.hash.clone(), found.clone());
        Ok(found)
    }

    /// One condition on single follows, within the follows of the universe.
    fn follow_node<'w>(
        &'w mut self,
        node: &'w FollowNode,
        path: &'w str,
    ) -> BoxFuture<'w, Result<Follows, QueryError>> {
        async move {
            let place = self.trace.nodes.len();
            self.trace.nodes.push(NodeAnswer { path: path.to_owned(), count: 0, is_follows: true });
            let set = match node {
                FollowNode::Tag(test) => self.holding(test)?.0,
                FollowNode::Staff(staff) => follow_set(self.view, &staff_sql(staff)).await?.0,
                FollowNode::Not(part) => {
                    &self.scope.follows.0 - self.follow_node(part, &format!("{path}/not")).await?.0
                }
                FollowNode::Any(parts) => {
                    let mut set = RoaringBitmap::new();
                    for (index, part) in parts.iter().enumerate() {
                        set |= self.follow_node(part, &format!("{path}/any/{index}")).await?.0;
                    }
                    set
                }
            };
            let set = set & &self.scope.follows.0;
            self.trace.nodes[place].count = set.len();
            Ok(Follows(set))
        }
        .boxed()
    }
}

/// Every tag that a condition names, each once.
fn tags_of(condition: &Node, catalog: &Catalog) -> Result<Vec<TagId>, QueryError> {
    let mut ids = condition.tags().into_iter().map(|tag| resolve(tag, catalog)).collect::<Result<Vec<_>, _>>()?;
    ids.sort();
    ids.dedup();
    Ok(ids)
}

pub(super) fn resolve(tag: &TagRef, catalog: &Catalog) -> Result<TagId, QueryError> {
    catalog.resolve(tag).map_err(|problem| QueryError::Document {
        document: "the segment".to_owned(),
        problems: Problems(vec![problem]),
    })
}
