//! FindCoordinator: both forms of the request, retries, and what is remembered.

use dohle_broker::{Action, Broker, BrokerOptions, Rule, When};
use dohle_client::{CoordinatorKind, Lane};
use dohle_protocol::messages::find_coordinator_response::Coordinator;
use dohle_protocol::messages::{ApiVersionsRequest, FindCoordinatorRequest, FindCoordinatorResponse};
use dohle_protocol::{ApiKey, ErrorCode};

use super::line::counts;
use super::support::{Peer, api, client_of, soon};

/// A peer that coordinates everything itself, of any age.
async fn coordinator_peer(max: i16) -> Peer {
    Peer::start(move |_, mut conn| async move {
        conn.handshake_with(vec![api::<ApiVersionsRequest>(0, 4), api::<FindCoordinatorRequest>(0, max)]).await?;
        loop {
            let request = conn.next().await?;
            let header = request.header.clone();
            let request: FindCoordinatorRequest = request.decode();
            let (host, port) = (conn.address.ip().to_string(), i32::from(conn.address.port()));
            let mut response = FindCoordinatorResponse::default();
            if header.api_version >= 4 {
                for key in request.coordinator_keys {
                    let found = Coordinator { key, node_id: 7, host: host.clone(), port, ..Default::default() };
                    response.coordinators.push(found);
                }
            } else {
                assert_eq!(request.key, "billing");
                response = FindCoordinatorResponse { node_id: 7, host, port, ..response };
            }
            conn.reply::<FindCoordinatorRequest>(&header, &response).await?;
        }
    })
    .await
}

#[tokio::test]
async fn a_coordinator_is_found_in_every_version_and_can_be_reached() {
    for max in 0..=6 {
        let peer = coordinator_peer(max).await;
        let client = client_of(peer.address);
        assert_eq!(soon(client.coordinator(CoordinatorKind::Group, "billing")).await.unwrap(), 7);
        soon(client.connection(7, Lane::Coordinator)).await.unwrap();
    }
}

#[tokio::test]
async fn a_coordinator_is_asked_for_once_until_it_is_forgotten() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let asked = counts(&broker, ApiKey::FIND_COORDINATOR);
    let client = client_of(broker.address());
    let mut node = -1;
    for _ in 0..3 {
        node = soon(client.coordinator(CoordinatorKind::Group, "billing")).await.unwrap();
    }
    assert_eq!(broker.faults().hits(asked).fired, 1);
    client.forget_coordinator(CoordinatorKind::Group, "billing", node + 1);
    assert_eq!(client.known_coordinator(CoordinatorKind::Group, "billing"), Some(node), "another node failed");
    client.forget_coordinator(CoordinatorKind::Group, "billing", node);
    soon(client.coordinator(CoordinatorKind::Group, "billing")).await.unwrap();
    assert_eq!(broker.faults().hits(asked).fired, 2);
}

/// A broker that refuses so many requests for a coordinator; `None`: all.
async fn refusing(code: ErrorCode, count: Option<u32>) -> Broker {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let action = Action::Error { code: code.0, when: When::Before };
    broker.faults().add(Rule { count, ..Rule::new(action).api(ApiKey::FIND_COORDINATOR.0) });
    broker
}

#[tokio::test]
async fn a_coordinator_that_is_not_available_yet_is_waited_for() {
    let broker = refusing(ErrorCode::COORDINATOR_NOT_AVAILABLE, Some(5)).await;
    let asked = counts(&broker, ApiKey::FIND_COORDINATOR);
    soon(client_of(broker.address()).coordinator(CoordinatorKind::Group, "billing")).await.unwrap();
    assert_eq!(broker.faults().hits(asked).fired, 6);
}

#[tokio::test]
async fn a_group_that_may_not_be_used_is_an_error_at_once() {
    let broker = refusing(ErrorCode::GROUP_AUTHORIZATION_FAILED, None).await;
    let error = soon(client_of(broker.address()).coordinator(CoordinatorKind::Group, "billing")).await.unwrap_err();
    assert_eq!(error.code(), "GROUP_AUTHORIZATION_FAILED");
    assert!(error.message().contains("billing"), "{error}");
}

#[tokio::test]
async fn version_0_knows_groups_only() {
    let peer = coordinator_peer(0).await;
    let error = soon(client_of(peer.address).coordinator(CoordinatorKind::Transaction, "billing")).await.unwrap_err();
    assert_eq!(error.code(), "UNSUPPORTED");
}

#[tokio::test]
async fn the_embedded_broker_coordinates_its_groups() {
    let broker = Broker::start_default(BrokerOptions::default()).await.unwrap();
    let client = client_of(broker.address());
    let node = soon(client.coordinator(CoordinatorKind::Group, "billing")).await.unwrap();
    soon(client.connection(node, Lane::Coordinator)).await.unwrap();
}
