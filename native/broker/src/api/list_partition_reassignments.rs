//! ListPartitionReassignments (key 46): there are never any; `kafka-topics --describe` asks.
//!
//! Versions: 0.

use dohle_protocol::{
    ErrorCode,
    messages::{ListPartitionReassignmentsRequest, ListPartitionReassignmentsResponse},
};

use super::{Api, Call, Reply};

pub(super) struct ListPartitionReassignments;

impl Api for ListPartitionReassignments {
    type Request = ListPartitionReassignmentsRequest;
    const VERSIONS: (i16, i16) = (0, 0);

    async fn handle(_: &Call, _: ListPartitionReassignmentsRequest) -> Reply<Self> {
        Reply::With(ListPartitionReassignmentsResponse { error_message: None, ..Default::default() })
    }

    fn refuse(_: &ListPartitionReassignmentsRequest, code: ErrorCode) -> ListPartitionReassignmentsResponse {
        ListPartitionReassignmentsResponse { error_code: code.0, error_message: None, ..Default::default() }
    }
}
