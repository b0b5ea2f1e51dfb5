//! Tag conditions: sets of follows first, projected to customers as the condition says.

use roaring::RoaringBitmap;
use tagmill_schemas::segment::{Follower, TagLeaf, TagRef, TagTest};

use super::evaluate::{Walk, resolve};
use super::leaves::Holders;
use super::sets::{Customers, Follows, follow_set, staff_sql};
use crate::error::QueryError;

impl Walk<'_> {
    /// The follows of the universe that a tag condition looks at.
    pub(super) async fn follows_of(&self, follower: &Follower) -> Result<Follows, QueryError> {
        let Follower::Named(staff) = follower else { return Ok(self.scope.follows.clone()) };
        Ok(Follows(follow_set(self.view, &staff_sql(staff)).await?.0 & &self.scope.follows.0))
    }

    /// A tag leaf's customers: the follows' tags, projected as `follower` says, and customer-level assignments after `any`.
    pub(super) fn tag(&self, leaf: &TagLeaf, within: &Follows) -> Result<Customers, QueryError> {
        match leaf.follower {
            Follower::Any => self.tag_within(&leaf.test, within, true),
            Follower::Named(_) => self.tag_within(&leaf.test, within, false),
            Follower::All => {
                let failing = Follows(&within.0 - self.holding(&leaf.test)?.0);
                Ok(Customers(self.index.project(within).0 - self.index.project(&failing).0))
            }
        }
    }

    /// The follows on which a tag leaf holds: those with a tag that it asks for. One that asks for absence holds on none.
    pub(super) fn tagged(&self, leaf: &TagLeaf, within: &Follows) -> Result<Follows, QueryError> {
        if let TagTest::NoneOf(_) = leaf.test {
            return Ok(Follows::default());
        }
        let each = self.holders_of(leaf.test.tags())?;
        let union = each.iter().fold(RoaringBitmap::new(), |set, holders| set | &holders.follows.0);
        Ok(Follows(union & &within.0))
    }

    /// The follows of the universe that satisfy a tag test each for itself.
    pub(super) fn holding(&self, test: &TagTest) -> Result<Follows, QueryError> {
        let scope = &self.scope.follows.0;
        let each = self.holders_of(test.tags())?;
        let union = each.iter().fold(RoaringBitmap::new(), |set, holders| set | &holders.follows.0);
        Ok(Follows(match test {
            TagTest::AnyOf(_) => union & scope,
            TagTest::AllOf(_) => each.iter().fold(scope.clone(), |set, holders| set & &holders.follows.0),
            TagTest::NoneOf(_) => scope - union,
        }))
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
