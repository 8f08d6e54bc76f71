//! AlterUserScramCredentials (key 51): makes, changes and deletes users who log in with SCRAM.
//!
//! Behaviour: the changes of a user are made together or not at all; the same user and mechanism twice is
//! DUPLICATE_RESOURCE. The password arrives salted and hashed. Versions: 0.

use std::collections::BTreeMap;

use dohle_protocol::{
    ErrorCode,
    messages::{
        AlterUserScramCredentialsRequest, AlterUserScramCredentialsResponse,
        alter_user_scram_credentials_response::AlterUserScramCredentialsResult,
    },
};

use super::{Api, Call, Reply};
use crate::{
    topics::Refusal,
    users::{Change, Credential},
};

pub(super) struct AlterUserScramCredentials;

impl Api for AlterUserScramCredentials {
    type Request = AlterUserScramCredentialsRequest;
    const VERSIONS: (i16, i16) = (0, 0);

    async fn handle(call: &Call, request: AlterUserScramCredentialsRequest) -> Reply<Self> {
        let results = by_user(request).into_iter().map(|(user, changes)| {
            let mut mechanisms: Vec<i8> = changes
                .iter()
                .map(|change| match change {
                    Change::Delete { mechanism } | Change::Set { mechanism, .. } => *mechanism,
                })
                .collect();
            mechanisms.sort_unstable();
            if mechanisms.windows(2).any(|two| two[0] == two[1]) {
                let why = "A user credential cannot be altered twice in the same request";
                return answer(user, Err((ErrorCode::DUPLICATE_RESOURCE, why.into())));
            }
            let changed = call.node.users.change(&user, &changes);
            answer(user, changed)
        });
        Reply::With(AlterUserScramCredentialsResponse { results: results.collect(), ..Default::default() })
    }

    fn refuse(request: &AlterUserScramCredentialsRequest, code: ErrorCode) -> AlterUserScramCredentialsResponse {
        let users = by_user(request.clone()).into_keys();
        let results = users.map(|user| answer(user, Err((code, code.text().into())))).collect();
        AlterUserScramCredentialsResponse { results, ..Default::default() }
    }
}

fn by_user(request: AlterUserScramCredentialsRequest) -> BTreeMap<String, Vec<Change>> {
    let mut users = BTreeMap::<String, Vec<Change>>::new();
    for of in request.deletions {
        users.entry(of.name).or_default().push(Change::Delete { mechanism: of.mechanism });
    }
    for of in request.upsertions {
        let credential = Credential { iterations: of.iterations, salt: of.salt, salted_password: of.salted_password };
        users.entry(of.name).or_default().push(Change::Set { mechanism: of.mechanism, credential });
    }
    users
}

fn answer(user: String, changed: Result<(), Refusal>) -> AlterUserScramCredentialsResult {
    let (error_code, error_message) = changed.err().map_or((0, None), |(code, why)| (code.0, Some(why)));
    AlterUserScramCredentialsResult { user, error_code, error_message, ..Default::default() }
}
