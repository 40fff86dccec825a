//! Compares the addresses of all Access Edges of one request.

use std::collections::BTreeMap;

use futures_util::{StreamExt as _, stream::FuturesUnordered};
use tokio::time::{Instant, timeout_at};

use super::{AddressFacts, Checker, Lane, edge};
use crate::{names::AccessEdge, readiness::Finding};

impl Checker {
    /// The findings of those of `edges` that have an address in common, which are all of one request.
    ///
    /// An edge that was looked at some seconds ago has the addresses that it had then, like
    /// [`Checker::shown`]. Those of any other, as of an earlier turn, are looked up, until `end` at
    /// most; what is not known by then is not compared.
    pub(crate) async fn shared(
        &self,
        edges: impl IntoIterator<Item = &AccessEdge>,
        lane: Lane,
        end: Instant,
    ) -> Vec<Finding> {
        let edges: Vec<_> = edges.into_iter().collect();
        if edges.len() < 2 {
            return Vec::new();
        }
        let look_up = |edge: &AccessEdge| {
            let edge = edge.clone();
            async move {
                let facts = self.known_addresses(&edge, lane).await;
                (edge, facts)
            }
        };
        let mut looking: FuturesUnordered<_> = edges.into_iter().map(look_up).collect();
        let mut known = BTreeMap::new();
        while let Ok(Some((edge, facts))) = timeout_at(end, looking.next()).await {
            known.insert(edge, facts);
        }
        edge::shared(&known, self.0.reach)
    }

    /// What DNS has about the name of an edge, or had when it was looked at some seconds ago.
    async fn known_addresses(&self, edge: &AccessEdge, lane: Lane) -> AddressFacts {
        match self.0.edges.get(edge).await {
            Some(shown) => shown.addresses.clone(),
            None => self.addresses(edge, lane).await,
        }
    }
}
