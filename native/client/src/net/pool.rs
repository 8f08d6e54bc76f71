//! One connection per broker and lane, opened when first asked for, shared attempts, back-off after failures.

use std::sync::Arc;

use super::{ApiVersionTable, Connection, Endpoint, Lane};
use crate::error::{Error, Result};
use crate::generated::options::ClientOptions;
use crate::world::World;

/// The connections of one client.
#[derive(Clone)]
pub struct Pool {}

#[allow(missing_docs, unused_variables)]
impl Pool {
    pub fn new(world: Arc<dyn World>, options: &ClientOptions, bootstrap: &[Endpoint]) -> Self {
        todo!()
    }
    pub async fn connection(&self, node: i32, lane: Lane) -> Result<Connection> {
        todo!()
    }
    pub fn open_connection(&self, node: i32, lane: Lane) -> Option<Connection> {
        todo!()
    }
    pub fn versions(&self, node: i32) -> Option<ApiVersionTable> {
        todo!()
    }
    pub async fn close(&self, reason: Error) {
        todo!()
    }
}
