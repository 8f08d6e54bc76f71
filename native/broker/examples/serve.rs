//! Runs an embedded broker until its standard input ends or Ctrl-C: `cargo run -p dohle-broker --example serve -- [PORT] [PARTITIONS]`.
//! The first line printed is its address.

use dohle_broker::{Broker, BrokerOptions};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let partitions = arguments.next().map_or(Ok(1), |partitions| partitions.parse())?;
    let options = BrokerOptions::new().with_address("127.0.0.1", port).with_partitions(partitions);
    let broker = Broker::start_default(options).await?;
    println!("{}", broker.address());
    tokio::signal::ctrl_c().await?;
    broker.stop().await;
    Ok(())
}
