//! AddRaftVoter (key 80): changes who votes on the metadata.
//!
//! Behaviour: as of a cluster whose `kraft.version` is 0: the voters are fixed. Versions: 0 · 1 when it is answered.

use dohle_protocol::{
    ErrorCode,
    messages::{AddRaftVoterRequest, AddRaftVoterResponse},
};

use super::{Api, Call, Reply};

pub(super) struct AddRaftVoter;

impl Api for AddRaftVoter {
    type Request = AddRaftVoterRequest;
    const VERSIONS: (i16, i16) = (0, 1);

    async fn handle(_: &Call, request: AddRaftVoterRequest) -> Reply<Self> {
        let error_message = Some("Cluster doesn't support adding voter because the kraft.version feature is 0".into());
        Reply::With(AddRaftVoterResponse { error_message, ..Self::refuse(&request, ErrorCode::UNSUPPORTED_VERSION) })
    }

    fn refuse(_: &AddRaftVoterRequest, code: ErrorCode) -> AddRaftVoterResponse {
        AddRaftVoterResponse { error_code: code.0, error_message: None, ..Default::default() }
    }
}
