//! A hundred clients in one process cost a hundred sockets, not a hundred threads.
#![allow(clippy::disallowed_types, clippy::disallowed_methods)] // tests run in the real world

use std::sync::Arc;
use std::time::Duration;

use dohle_broker::{Broker, BrokerOptions};
use dohle_client::{Client, ClientOptions, Lane, TokioWorld};

const CLIENTS: usize = 50;

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

fn sockets() -> usize {
    let descriptors = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
    let targets = descriptors.filter_map(|entry| std::fs::read_link(entry.path()).ok());
    targets.filter(|target| target.to_string_lossy().starts_with("socket:")).count()
}

/// As the bridge builds it: one I/O worker and a small pool for long work and name look-ups.
fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread().worker_threads(1).max_blocking_threads(4).enable_all().build().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn fifty_clients_add_sockets_and_no_threads() {
    let runtime = runtime();
    runtime.block_on(async {
        let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
        let options = |host: &str| ClientOptions {
            bootstrap_servers: vec![format!("{host}:{}", broker.address().port())],
            ..ClientOptions::default()
        };
        // The name look-ups of this one start the pool's threads; they end again when nobody looks up anything.
        let world = Arc::new(TokioWorld::current());
        let first = Client::new(world.clone(), options("localhost")).unwrap();
        first.connection(-1, Lane::General).await.unwrap();
        let (threads_before, sockets_before) = (threads(), sockets());

        let mut clients = Vec::new();
        for _ in 0..CLIENTS {
            let client = Client::new(world.clone(), options("127.0.0.1")).unwrap();
            client.metadata().track(["orders"], true);
            client.metadata().wait_for_topic("orders", Duration::from_secs(10)).await.unwrap();
            clients.push(client);
        }
        assert_eq!(threads(), threads_before);
        // Both ends of each connection are in this process.
        assert!(sockets() >= sockets_before + 2 * CLIENTS, "{} sockets more", sockets() - sockets_before);

        // With names to look up, no more than the small pool.
        let named: Vec<Client> =
            (0..CLIENTS).map(|_| Client::new(world.clone(), options("localhost")).unwrap()).collect();
        let all = named.iter().map(|client| client.connection(-1, Lane::General));
        assert!(futures_util::future::join_all(all).await.iter().all(Result::is_ok));
        assert!(threads() <= threads_before + 4, "{} threads, {threads_before} before", threads());

        for client in clients.iter().chain(&named) {
            client.close().await;
        }
        first.close().await;
        broker.stop().await;
        assert!(sockets() <= sockets_before, "{} sockets left, {sockets_before} before", sockets());
    });
}
