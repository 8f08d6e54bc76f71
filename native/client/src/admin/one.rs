//! Calls about one thing, and the same question to every broker. They are asked again as the calls of `each` are.

use std::fmt::Display;
use std::time::Duration;

use dohle_protocol::Request;

use super::each::{Call, Route, unanswered};
use super::{Admin, Item};
use crate::error::Result;

/// The only item of a call that is about one thing.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Whole;

impl Display for Whole {
    fn fmt(&self, _: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        Ok(())
    }
}

impl Admin {
    /// One request to who is responsible, again while that may help. `read` fails when the response says so.
    pub(super) async fn one<R: Request, T: Send>(
        &self,
        doing: &'static str,
        route: Route,
        timeout: Option<Duration>,
        make: impl Fn(i16, i32) -> Result<R> + Sync,
        read: impl Fn(R::Response) -> Result<T> + Sync,
    ) -> Result<T> {
        let route = |_: &Whole| route.clone();
        let call = Call::new(doing, vec![Whole], &route, timeout);
        let make = |version, _, timeout_ms| make(version, timeout_ms);
        let items = self.apart(call, make, |_, response| read(response)).await;
        items.into_iter().next().map_or_else(|| Err(unanswered(doing)), |item| item.result)
    }

    /// The same request to every broker of the cluster, by node id.
    pub(super) async fn every_broker<R: Request, T: Send>(
        &self,
        doing: &'static str,
        timeout: Option<Duration>,
        make: impl Fn(i16) -> Result<R> + Sync,
        read: impl Fn(R::Response) -> Result<T> + Sync,
    ) -> Result<Vec<(i32, T)>> {
        let nodes = self.all_brokers(doing, timeout).await?;
        let told = self.brokers(doing, nodes, timeout, make, read).await;
        told.into_iter().map(|item| Ok((item.name, item.result?))).collect()
    }

    /// The brokers that are up, by node id.
    pub(super) async fn all_brokers(&self, doing: &'static str, timeout: Option<Duration>) -> Result<Vec<i32>> {
        let mut attempts = self.start(doing, timeout);
        loop {
            let error = match attempts.limit(self.client.metadata().refresh()).await? {
                Ok(snapshot) => {
                    let mut nodes: Vec<i32> = snapshot.brokers.keys().copied().collect();
                    nodes.sort_unstable();
                    return Ok(nodes);
                }
                Err(error) => error,
            };
            attempts.pause(error).await?;
        }
    }

    /// The same request to each of these brokers.
    pub(super) async fn brokers<R: Request, T: Send>(
        &self,
        doing: &'static str,
        nodes: Vec<i32>,
        timeout: Option<Duration>,
        make: impl Fn(i16) -> Result<R> + Sync,
        read: impl Fn(R::Response) -> Result<T> + Sync,
    ) -> Vec<Item<T, i32>> {
        let call = Call::new(doing, nodes, &|node| Route::Node(*node), timeout);
        let mut told = self.apart(call, |version, _, _| make(version), |_, response| read(response)).await;
        for Item { name, result } in &mut told {
            if let Err(error) = result {
                *error = error.clone().context(format_args!("broker {name}"));
            }
        }
        told
    }
}
