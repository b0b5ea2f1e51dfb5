//! Evaluating a segment: a walk over its tree that returns a set and, on the way, what each node answered.

use std::collections::HashMap;

use chrono::{DateTime, Utc};
use futures::future::{BoxFuture, FutureExt};
use roaring::RoaringBitmap;
use serde::Serialize;
use tagmill_schemas::ids::{CustomerNo, TagId};
use tagmill_schemas::segment::check::{Catalog, check};
use tagmill_schemas::segment::{AsOf, FollowNode, Follower, Node, TagLeaf, TagRef, TagTest};
use tagmill_schemas::yaml::{Problem, Problems};

use super::leaves::{self, Holders};
use super::sets::{Customers, FollowIndex, Follows, Scope, customer_set, follow_set, staff_list};
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
        self.check(loaded).await?;
        let mut nodes = Vec::new();
        let (members, scope) = self.members_of(loaded, "", &mut nodes).await?;
        let count = SegmentCount {
            count: members.0.len(),
            universe_count: scope.customers.0.len(),
            snapshot_id: self.ledger_row().snapshot_id.0,
            as_of: self.as_of(),
            events_until: self.events_until(&loaded.event_types()),
            definition_hash: loaded.hash.clone(),
        };
        Ok(Evaluation { members: members.0, nodes, count })
    }

    /// The id of the tag that a document means.
    ///
    /// # Errors
    /// `QueryError::Document` where the name is unknown, ambiguous or borne by dead tags only.
    pub async fn resolve_tag(&self, tag: &TagRef) -> Result<TagId, QueryError> {
        resolve(tag, self.catalog().await?)
    }

    /// Checks a segment and all it refers to against the tables of this snapshot.
    ///
    /// # Errors
    /// `QueryError::Document` with every problem.
    pub async fn check(&self, loaded: &LoadedSegment) -> Result<(), QueryError> {
        let problems = check(&loaded.segment, self.catalog().await?);
        if !problems.is_empty() {
            return Err(QueryError::Document { document: loaded.key.clone(), problems: Problems(problems) });
        }
        for (name, reference) in &loaded.references {
            if reference.segment.as_of != AsOf::Latest {
                let message = format!("segment `{name}` fixes its own `as_of` and so cannot be referred to");
                let problem = Problem::new(None, "/as_of", "REFERENCE_AS_OF", message);
                let problem = problem.with_hint(format!("write `as_of: latest` in `{name}`"));
                return Err(QueryError::Document { document: loaded.key.clone(), problems: problem.into() });
            }
            Box::pin(self.check(reference)).await?;
        }
        Ok(())
    }

    fn members_of<'a>(
        &'a self,
        loaded: &'a LoadedSegment,
        path: &'a str,
        nodes: &'a mut Vec<NodeAnswer>,
    ) -> BoxFuture<'a, Result<(Customers, Scope), QueryError>> {
        async move {
            let follows = self.follows().await?;
            let scope = follows.scope(self, loaded.segment.universe).await?;
            let catalog = self.catalog().await?;
            let holders = leaves::holders(self, &tags_of(&loaded.segment.condition, catalog)?).await?;
            let calendar = Calendar { as_of: self.as_of(), zone: self.zone() };
            let mut walk =
                Walk { view: self, loaded, scope: &scope, index: follows, catalog, holders, calendar, nodes };
            let members = walk.node(&loaded.segment.condition, &format!("{path}/where")).await?;
            Ok((members, scope))
        }
        .boxed()
    }
}

/// The walk over one segment's tree.
struct Walk<'a> {
    view: &'a View,
    loaded: &'a LoadedSegment,
    scope: &'a Scope,
    index: &'a FollowIndex,
    catalog: &'a Catalog,
    holders: HashMap<TagId, Holders>,
    calendar: Calendar,
    nodes: &'a mut Vec<NodeAnswer>,
}

impl Walk<'_> {
    /// A node's customers, always within the universe.
    fn node<'w>(&'w mut self, node: &'w Node, path: &'w str) -> BoxFuture<'w, Result<Customers, QueryError>> {
        async move {
            // The place is kept before the children take theirs, so that answers stand in the order of the document.
            let place = self.nodes.len();
            self.nodes.push(NodeAnswer { path: path.to_owned(), count: 0, is_follows: false });
            let set = self.answer(node, path).await?.0 & &self.scope.customers.0;
            self.nodes[place].count = set.len();
            Ok(Customers(set))
        }
        .boxed()
    }

    async fn answer(&mut self, node: &Node, path: &str) -> Result<Customers, QueryError> {
        match node {
            Node::All(parts) => {
                let mut set = self.scope.customers.0.clone();
                for (index, part) in parts.iter().enumerate() {
                    set &= self.node(part, &format!("{path}/all/{index}")).await?.0;
                }
                Ok(Customers(set))
            }
            Node::Any(parts) => {
                let mut set = RoaringBitmap::new();
                for (index, part) in parts.iter().enumerate() {
                    set |= self.node(part, &format!("{path}/any/{index}")).await?.0;
                }
                Ok(Customers(set))
            }
            Node::Not(part) => {
                let inner = self.node(part, &format!("{path}/not")).await?;
                Ok(Customers(&self.scope.customers.0 - inner.0))
            }
            Node::SameFollower(parts) => {
                let mut set = self.scope.follows.0.clone();
                for (index, part) in parts.iter().enumerate() {
                    set &= self.follow_node(part, &format!("{path}/same_follower/{index}")).await?.0;
                }
                Ok(self.index.project(&Follows(set)))
            }
            Node::Tag(leaf) => self.tag(leaf).await,
            Node::Attribute(leaf) => customer_set(self.view, &leaves::attribute_sql(leaf, &self.calendar)).await,
            Node::Event(leaf) => leaves::event_set(self.view, leaf, &self.calendar, self.scope).await,
            Node::Segment(name) => self.reference(name, path).await,
            Node::Sql(sql) => leaves::sql_set(self.view, sql).await,
        }
    }

    async fn reference(&mut self, name: &str, path: &str) -> Result<Customers, QueryError> {
        let referred = self
            .loaded
            .references
            .get(name)
            .ok_or_else(|| QueryError::Internal { reason: format!("the reference to `{name}` was not loaded") })?;
        let (members, _) = self.view.members_of(referred, &format!("{path}/segment"), self.nodes).await?;
        Ok(members)
    }

    /// One condition on single follows, within the follows of the universe.
    fn follow_node<'w>(
        &'w mut self,
        node: &'w FollowNode,
        path: &'w str,
    ) -> BoxFuture<'w, Result<Follows, QueryError>> {
        async move {
            let place = self.nodes.len();
            self.nodes.push(NodeAnswer { path: path.to_owned(), count: 0, is_follows: true });
            let set = match node {
                FollowNode::Tag(test) => self.holding(test)?.0,
                FollowNode::Staff(staff) => {
                    let sql = format!("SELECT follow_no FROM follow WHERE staff_id IN ({})", staff_list(staff));
                    follow_set(self.view, &sql).await?.0
                }
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
            self.nodes[place].count = set.len();
            Ok(Follows(set))
        }
        .boxed()
    }

    /// The follows of the universe that satisfy a tag test each for itself.
    fn holding(&self, test: &TagTest) -> Result<Follows, QueryError> {
        let scope = &self.scope.follows.0;
        let each = self.holders_of(test.tags())?;
        let union = each.iter().fold(RoaringBitmap::new(), |set, holders| set | &holders.follows.0);
        Ok(Follows(match test {
            TagTest::AnyOf(_) => union & scope,
            TagTest::AllOf(_) => each.iter().fold(scope.clone(), |set, holders| set & &holders.follows.0),
            TagTest::NoneOf(_) => scope - union,
        }))
    }

    /// A tag leaf: the follows' tags, projected as `follower` says, and customer-level assignments after `any`.
    async fn tag(&self, leaf: &TagLeaf) -> Result<Customers, QueryError> {
        match &leaf.follower {
            Follower::Any => self.tag_within(&leaf.test, &self.scope.follows, true),
            Follower::Named(staff) => {
                let sql = format!("SELECT follow_no FROM follow WHERE staff_id IN ({})", staff_list(staff));
                let named = follow_set(self.view, &sql).await?;
                self.tag_within(&leaf.test, &Follows(named.0 & &self.scope.follows.0), false)
            }
            Follower::All => {
                let failing = Follows(&self.scope.follows.0 - self.holding(&leaf.test)?.0);
                let followed = self.index.project(&self.scope.follows);
                Ok(Customers(followed.0 - self.index.project(&failing).0))
            }
        }
    }

    /// A tag test over the tags that a customer has on some of the follows, taken together.
    fn tag_within(&self, test: &TagTest, within: &Follows, with_customers: bool) -> Result<Customers, QueryError> {
        let each = self.holders_of(test.tags())?;
        let of_tag = each.iter().map(|holders| {
            let mut set = self.index.project(&Follows(&holders.follows.0 & &within.0)).0;
            if with_customers {
                set |= &holders.customers.0;
            }
            set
        });
        let universe = &self.scope.customers.0;
        Ok(Customers(match test {
            TagTest::AnyOf(_) => of_tag.fold(RoaringBitmap::new(), |set, tag| set | tag),
            TagTest::AllOf(_) => of_tag.fold(universe.clone(), |set, tag| set & tag),
            TagTest::NoneOf(_) => of_tag.fold(universe.clone(), |set, tag| set - tag),
        }))
    }

    fn holders_of(&self, tags: &[TagRef]) -> Result<Vec<&Holders>, QueryError> {
        tags.iter()
            .map(|tag| {
                let id = resolve(tag, self.catalog)?;
                self.holders
                    .get(&id)
                    .ok_or_else(|| QueryError::Internal { reason: format!("the holders of `{id}` were not loaded") })
            })
            .collect()
    }
}

/// Every tag that a condition names, each once.
fn tags_of(condition: &Node, catalog: &Catalog) -> Result<Vec<TagId>, QueryError> {
    let mut ids = condition.tags().into_iter().map(|tag| resolve(tag, catalog)).collect::<Result<Vec<_>, _>>()?;
    ids.sort();
    ids.dedup();
    Ok(ids)
}

fn resolve(tag: &TagRef, catalog: &Catalog) -> Result<TagId, QueryError> {
    catalog.resolve(tag).map_err(|problem| QueryError::Document {
        document: "the segment".to_owned(),
        problems: Problems(vec![problem]),
    })
}
