//! RemoveRaftVoter (key 81): changes who votes on the metadata.
//!
//! Behaviour: as of a cluster whose `kraft.version` is 0: the voters are fixed. Versions: 0.

use dohle_protocol::{
    ErrorCode,
    messages::{RemoveRaftVoterRequest, RemoveRaftVoterResponse},
};

use super::{Api, Call, Reply};

pub(super) struct RemoveRaftVoter;

impl Api for RemoveRaftVoter {
    type Request = RemoveRaftVoterRequest;
    const VERSIONS: (i16, i16) = (0, 0);

    async fn handle(_: &Call, request: RemoveRaftVoterRequest) -> Reply<Self> {
        let error_message =
            Some("Cluster doesn't support removing voter because the kraft.version feature is 0".into());
        Reply::With(RemoveRaftVoterResponse { error_message, ..Self::refuse(&request, ErrorCode::UNSUPPORTED_VERSION) })
    }

    fn refuse(_: &RemoveRaftVoterRequest, code: ErrorCode) -> RemoveRaftVoterResponse {
        RemoveRaftVoterResponse { error_code: code.0, error_message: None, ..Default::default() }
    }
}
