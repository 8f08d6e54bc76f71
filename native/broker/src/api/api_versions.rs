//! ApiVersions (key 18): which APIs and versions this broker serves, and its feature levels.
//!
//! Behaviour: a version that is not known is answered in version 0 with UNSUPPORTED_VERSION and this API's own range, so
//! that the client can ask again (KIP-511); Kafka 2.1 told no range. A broker that passes for an older release tells that one's
//! versions and features (`release`). Features are told as far as they are served.
//! Versions: 1 throttle time · 3 flexible (the header of the answer is not), client's name and version, features ·
//! 4 features with minimum 0.

use dohle_protocol::{
    ApiKey, ErrorCode, frame,
    messages::{
        ApiVersionsRequest, ApiVersionsResponse,
        api_versions_response::{ApiVersion, FinalizedFeatureKey, SupportedFeatureKey},
    },
};

use super::{Api, Call, Envelope, Outcome, Reply, TABLE};
use crate::{Release, features::Feature};

pub(super) struct ApiVersions;

impl Api for ApiVersions {
    type Request = ApiVersionsRequest;
    const VERSIONS: (i16, i16) = (0, 4);

    async fn handle(call: &Call, request: ApiVersionsRequest) -> Reply<Self> {
        let named = |text: &str| is_software_name(text);
        if call.version >= 3 && !(named(&request.client_software_name) && named(&request.client_software_version)) {
            return Reply::With(Self::refuse(&request, ErrorCode::INVALID_REQUEST));
        }
        let release = call.node.options.as_version;
        let api_keys = TABLE.iter().filter_map(|entry| range(entry, release)).collect();
        let mut response = ApiVersionsResponse { api_keys, ..Default::default() };
        let features = &call.node.features;
        if call.version >= 3 && !features.supported().is_empty() {
            // Older clients cannot read a minimum of 0 (KAFKA-17492).
            let known = features.supported().iter().filter(|feature| call.version >= 4 || feature.min > 0);
            response.supported_features = known.map(supported).collect();
            let (levels, epoch) = features.finalized();
            response.finalized_features = levels.into_iter().map(|(name, level)| finalized_at(name, level)).collect();
            response.finalized_features_epoch = epoch;
        }
        Reply::With(response)
    }

    fn refuse(_: &ApiVersionsRequest, code: ErrorCode) -> ApiVersionsResponse {
        ApiVersionsResponse { error_code: code.0, ..Default::default() }
    }
}

fn supported(feature: &Feature) -> SupportedFeatureKey {
    SupportedFeatureKey {
        name: feature.name.into(),
        min_version: feature.min,
        max_version: feature.max,
        ..Default::default()
    }
}

fn finalized_at(name: &str, level: i16) -> FinalizedFeatureKey {
    FinalizedFeatureKey { name: name.into(), max_version_level: level, min_version_level: level, ..Default::default() }
}

/// The answer to a version from the future.
pub(super) fn unsupported_version(envelope: &Envelope) -> Outcome {
    let release = envelope.node.options.as_version;
    let own = TABLE.iter().filter(|entry| entry.key == ApiKey::API_VERSIONS && release > Release::V2_1);
    let error_code = ErrorCode::UNSUPPORTED_VERSION.0;
    let response = ApiVersionsResponse {
        error_code,
        api_keys: own.filter_map(|entry| range(entry, release)).collect(),
        ..Default::default()
    };
    match frame::encode_response::<ApiVersionsRequest>(0, envelope.header.correlation_id, &response) {
        Ok(segments) => Outcome::Reply(segments),
        Err(error) => Outcome::Close(error.to_string()),
    }
}

fn range(entry: &super::Entry, release: Release) -> Option<ApiVersion> {
    let (min_version, max_version) = release.versions(entry.key, entry.versions)?;
    Some(ApiVersion { api_key: entry.key.0, min_version, max_version, ..Default::default() })
}

/// KIP-511's rule for a client's name and version.
fn is_software_name(text: &str) -> bool {
    let alphanumeric = |c: char| c.is_ascii_alphanumeric();
    text.starts_with(alphanumeric)
        && text.ends_with(alphanumeric)
        && text.chars().all(|c| alphanumeric(c) || c == '-' || c == '.')
}
