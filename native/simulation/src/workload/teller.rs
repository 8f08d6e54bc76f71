//! A transactional producer that writes orders, a few in each transaction, and aborts some of these on purpose. It may be killed.

use std::sync::Arc;
use std::time::Duration;

use dohle_client::{Client, Error, World};

use crate::history::{Outcome, What};
use crate::plan::TELLER;
use crate::stage::{ORDERS, Phase, Stage, TOPICS};
use crate::world::SimWorld;

use super::pen::Pen;

/// Everything is written, and settled.
pub const THROUGH: &str = "teller is through";

pub async fn run(stage: Arc<Stage>) {
    let world = stage.world(TELLER);
    stage.note(What::Started { host: TELLER });
    stage.reached(Phase::Running).await;
    let client = stage.client(&world);
    let mut pen = open(&stage, &client);
    let mut buffered = 0;
    while stage.phase() == Phase::Running {
        if transaction(&stage, &mut pen, &world).await.is_err() {
            let broken = std::mem::replace(&mut pen, open(&stage, &client));
            buffered += broken.close().await;
        }
        tokio::time::sleep(Duration::from_millis(100 + world.random_u64() % 700)).await;
    }
    buffered += pen.close().await;
    stage.done(THROUGH);
    stage.leave(TELLER, &world, client, buffered).await;
}

fn open(stage: &Arc<Stage>, client: &Client) -> Pen {
    Pen::open(stage, client, TELLER, Some(TELLER.to_owned()))
}

/// One transaction; an error when the producer is of no use any more.
async fn transaction(stage: &Stage, pen: &mut Pen, world: &SimWorld) -> Result<(), Error> {
    if let Err(error) = pen.producer().begin_transaction().await {
        stage.note(What::Said { host: TELLER, text: format!("cannot begin: {error}") });
        return if error.fatal() { Err(error) } else { Ok(()) };
    }
    let transaction = stage.number();
    for _ in 0..1 + world.random_u64() % 6 {
        let partition = (world.random_u64() % TOPICS[0].1 as u64) as i32;
        let padding = (world.random_u64() % 100) as usize;
        pen.send((ORDERS, Ok(partition)), Some(transaction), None, padding);
        if world.random_u64().is_multiple_of(3) {
            tokio::time::sleep(Duration::from_millis(world.random_u64() % 50)).await;
        }
    }
    let commit = !world.random_u64().is_multiple_of(4);
    if world.random_u64().is_multiple_of(2) {
        pen.producer().flush().await;
    }
    end(stage, TELLER, pen, transaction, commit).await.map(drop)
}

/// Commits or aborts, and notes how that ended; an error when the producer is of no use any more.
pub async fn end(
    stage: &Stage,
    host: &'static str,
    pen: &Pen,
    transaction: u32,
    commit: bool,
) -> Result<Outcome, Error> {
    let ended = match commit {
        true => pen.producer().commit_transaction().await,
        false => pen.producer().abort_transaction().await,
    };
    let outcome = match &ended {
        Ok(()) if commit => Outcome::Committed,
        Ok(()) => Outcome::Aborted,
        Err(error) if error.abortable() => Outcome::Aborted,
        Err(_) => Outcome::Unknown,
    };
    let writer = pen.writer();
    stage.note(What::TransactionEnded { writer, transaction, outcome });
    match ended {
        Ok(()) => Ok(outcome),
        Err(error) => {
            stage.note(What::Said { host, text: format!("writer {writer}, transaction {transaction}: {error}") });
            if error.fatal() { Err(error) } else { Ok(outcome) }
        }
    }
}
