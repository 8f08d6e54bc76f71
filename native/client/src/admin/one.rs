//! Calls about one thing, and the same question to every broker. They are asked again as the calls of `each` are.

use std::fmt::Display;
use std::time::Duration;

use dohle_protocol::Request;
use futures_util::future::join_all;

use super::each::{Answer, Call, Route, unanswered};
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
    pub(super) async fn one<R: Request, T: Clone>(
        &self,
        doing: &'static str,
        route: Route,
        timeout: Option<Duration>,
        make: impl Fn(i16, i32) -> Result<R>,
        read: impl Fn(R::Response) -> Result<T>,
    ) -> Result<T> {
        let route = |_: &Whole| route.clone();
        let call = Call::new(doing, vec![Whole], &route, timeout);
        let answers = |response| Ok(vec![Answer::new(Whole, 0, read(response)?)]);
        let items = self.each(call, |version, _, timeout_ms| make(version, timeout_ms), answers).await?;
        items.into_iter().next().map_or_else(|| Err(unanswered(doing)), |item| item.result)
    }

    /// The same request to every broker of the cluster, by node id.
    pub(super) async fn every_broker<R: Request, T: Clone>(
        &self,
        doing: &'static str,
        timeout: Option<Duration>,
        make: impl Fn(i16) -> Result<R>,
        read: impl Fn(R::Response) -> Result<T>,
    ) -> Result<Vec<(i32, T)>> {
        let nodes = self.all_brokers(doing, timeout).await?;
        let told = self.brokers(doing, nodes, timeout, make, read).await?;
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
            attempts.pause(&self.client, error).await?;
        }
    }

    /// The same request to each of these brokers.
    pub(super) async fn brokers<R: Request, T: Clone>(
        &self,
        doing: &'static str,
        nodes: Vec<i32>,
        timeout: Option<Duration>,
        make: impl Fn(i16) -> Result<R>,
        read: impl Fn(R::Response) -> Result<T>,
    ) -> Result<Vec<Item<T, i32>>> {
        let (make, read) = (&make, &read);
        let asked = nodes.into_iter().map(|node| async move {
            let told = self.one(doing, Route::Node(node), timeout, |version, _| make(version), read).await;
            Item { name: node, result: told.map_err(|error| error.context(format_args!("broker {node}"))) }
        });
        Ok(join_all(asked).await)
    }
}
