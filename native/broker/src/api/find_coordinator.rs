//! FindCoordinator (key 10): who coordinates a group or a transaction: the node that leads its partition of the coordinators' topic.
//!
//! Behaviour: the first to ask makes the coordinators' topic, and is answered when it is there (Kafka answers
//! COORDINATOR_NOT_AVAILABLE until then).
//! Versions: 1 key type, error message · 3 flexible · 4 several keys · 5 transactions v2 · 6 share groups (refused).

use dohle_protocol::{
    ErrorCode,
    messages::{FindCoordinatorRequest, FindCoordinatorResponse, find_coordinator_response::Coordinator},
};

use super::{Api, Call, Reply, permissions::FindCoordinator as _};
use crate::{cluster::Told, coordinator::internal};

pub(super) struct FindCoordinator;

impl Api for FindCoordinator {
    type Request = FindCoordinatorRequest;
    const VERSIONS: (i16, i16) = (0, 6);

    async fn handle(call: &Call, request: FindCoordinatorRequest) -> Reply<Self> {
        if !matches!(request.key_type, 0 | 1) {
            return Reply::With(Self::refuse_in(call.version, &request, ErrorCode::INVALID_REQUEST));
        }
        let made = match request.key_type {
            0 => call.node.groups.make_topic(),
            _ => call.node.transactions.make_topic(),
        };
        if made.is_err() {
            return Reply::With(Self::refuse_in(call.version, &request, ErrorCode::COORDINATOR_NOT_AVAILABLE));
        }
        let told = call.node.told(call.session.local);
        let find = |key: &str| {
            let (topic, index) = match request.key_type {
                0 => (internal::OFFSETS, call.node.groups.partition_of(key)),
                _ => (internal::TRANSACTIONS, call.node.transactions.partition_of(key)),
            };
            let id = call.node.cluster.coordinator(topic, index);
            told.iter().find(|told| Some(told.id) == id).ok_or(ErrorCode::COORDINATOR_NOT_AVAILABLE)
        };
        if call.version < 4 {
            return Reply::With(match find(&request.key) {
                Ok(&Told { id: node_id, ref host, port, .. }) => {
                    FindCoordinatorResponse { node_id, host: host.clone(), port, ..Default::default() }
                }
                Err(code) => Self::refuse_in(call.version, &request, code),
            });
        }
        let coordinator = |key: &String| match request.key(call, key).and_then(|()| find(key)) {
            Ok(&Told { id: node_id, ref host, port, .. }) => {
                Coordinator { key: key.clone(), node_id, host: host.clone(), port, ..Default::default() }
            }
            Err(code) => refused(key, code),
        };
        let coordinators = request.coordinator_keys.iter().map(coordinator).collect();
        Reply::With(FindCoordinatorResponse { coordinators, ..Default::default() })
    }

    fn refuse(request: &FindCoordinatorRequest, code: ErrorCode) -> FindCoordinatorResponse {
        Self::refuse_in(if request.coordinator_keys.is_empty() { 3 } else { 4 }, request, code)
    }

    fn refuse_in(version: i16, request: &FindCoordinatorRequest, code: ErrorCode) -> FindCoordinatorResponse {
        // From version 4 on each key has its error; nobody is told any when no key is asked for, as in Kafka.
        if version < 4 {
            let error_message = Some(code.text().into());
            return FindCoordinatorResponse {
                error_code: code.0,
                error_message,
                node_id: -1,
                port: -1,
                ..Default::default()
            };
        }
        let coordinators = request.coordinator_keys.iter().map(|key| refused(key, code));
        FindCoordinatorResponse { coordinators: coordinators.collect(), ..Default::default() }
    }
}

fn refused(key: &str, code: ErrorCode) -> Coordinator {
    Coordinator {
        key: key.into(),
        node_id: -1,
        port: -1,
        error_code: code.0,
        error_message: Some(code.text().into()),
        ..Default::default()
    }
}
