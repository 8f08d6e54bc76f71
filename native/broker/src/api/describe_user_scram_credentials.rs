//! DescribeUserScramCredentials (key 50): the users who log in with SCRAM, with mechanisms and iterations, never passwords.
//!
//! Behaviour: no names mean all users; a user named twice is DUPLICATE_RESOURCE. Versions: 0.

use dohle_protocol::{
    ErrorCode,
    messages::{
        DescribeUserScramCredentialsRequest, DescribeUserScramCredentialsResponse,
        describe_user_scram_credentials_response::{CredentialInfo, DescribeUserScramCredentialsResult},
    },
};

use super::{Api, Call, Reply};

pub(super) struct DescribeUserScramCredentials;

impl Api for DescribeUserScramCredentials {
    type Request = DescribeUserScramCredentialsRequest;
    const VERSIONS: (i16, i16) = (0, 0);

    async fn handle(call: &Call, request: DescribeUserScramCredentialsRequest) -> Reply<Self> {
        let users = &call.node.users;
        let asked: Vec<String> = request.users.into_iter().flatten().map(|user| user.name).collect();
        let mut names = if asked.is_empty() { users.names() } else { asked.clone() };
        names.dedup();
        let results = names.into_iter().map(|user| {
            if asked.iter().filter(|name| **name == user).count() > 1 {
                let why = "Cannot describe SCRAM credentials for the same user twice in a single request";
                return failed(user.clone(), ErrorCode::DUPLICATE_RESOURCE, format!("{why}: {user}"));
            }
            let Some(credentials) = users.describe(&user) else {
                let why = format!("Attempt to describe a user credential that does not exist: {user}");
                return failed(user, ErrorCode::RESOURCE_NOT_FOUND, why);
            };
            let info = |(mechanism, iterations)| CredentialInfo { mechanism, iterations, ..Default::default() };
            DescribeUserScramCredentialsResult {
                user,
                error_message: None,
                credential_infos: credentials.into_iter().map(info).collect(),
                ..Default::default()
            }
        });
        let results = results.collect();
        Reply::With(DescribeUserScramCredentialsResponse { error_message: None, results, ..Default::default() })
    }

    fn refuse(_: &DescribeUserScramCredentialsRequest, code: ErrorCode) -> DescribeUserScramCredentialsResponse {
        DescribeUserScramCredentialsResponse { error_code: code.0, error_message: None, ..Default::default() }
    }
}

fn failed(user: String, code: ErrorCode, why: String) -> DescribeUserScramCredentialsResult {
    DescribeUserScramCredentialsResult { user, error_code: code.0, error_message: Some(why), ..Default::default() }
}
