//! Two idempotent producers that write orders in bursts: one names partitions, one keys.

use std::sync::Arc;
use std::time::Duration;

use dohle_client::World;

use crate::plan::WRITERS;
use crate::stage::{ORDERS, Phase, Stage, TOPICS};
use crate::world::SimWorld;

use super::pen::Pen;

/// Everything is written, and settled.
pub const THROUGH: &str = "writers are through";

pub async fn run(stage: Arc<Stage>) {
    let world = stage.world(WRITERS);
    stage.reached(Phase::Running).await;
    let client = stage.client(&world);
    let mut by_partition = Pen::open(&stage, &client, WRITERS, None);
    let mut by_key = Pen::open(&stage, &client, WRITERS, None);
    while stage.phase() == Phase::Running {
        burst(&mut by_partition, &world, |dice| Ok((dice % TOPICS[0].1 as u64) as i32));
        burst(&mut by_key, &world, |dice| Err(dice % 20));
        tokio::time::sleep(Duration::from_millis(20 + world.random_u64() % 300)).await;
    }
    by_partition.producer().flush().await;
    let buffered = by_partition.close().await + by_key.close().await;
    stage.done(THROUGH);
    stage.leave(WRITERS, &world, client, buffered).await;
}

fn burst(pen: &mut Pen, world: &SimWorld, to: fn(u64) -> Result<i32, u64>) {
    for _ in 0..1 + world.random_u64() % 6 {
        let padding = (world.random_u64() % 200) as usize;
        assert!(pen.send((ORDERS, to(world.random_u64())), None, None, padding), "there is room");
    }
}
