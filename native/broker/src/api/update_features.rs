//! UpdateFeatures (key 57): puts features of the cluster into force, at a level, or out of it.
//!
//! Behaviour: all or none. What clients are told changes with it; what a request does follows from its version.
//! Versions: 1 kinds of upgrade, validate only · 2 one error for all, no results of each (KIP-1022).

use dohle_protocol::{
    ErrorCode,
    messages::{UpdateFeaturesRequest, UpdateFeaturesResponse, update_features_response::UpdatableFeatureResult},
};

use super::{Api, Call, Reply};
use crate::features::Update;

pub(super) struct UpdateFeatures;

impl Api for UpdateFeatures {
    type Request = UpdateFeaturesRequest;
    const VERSIONS: (i16, i16) = (0, 2);

    async fn handle(call: &Call, request: UpdateFeaturesRequest) -> Reply<Self> {
        // Kinds of upgrade: 1 up only, 2 and 3 down, with or without a check of what is lost.
        let updates = request.feature_updates.iter().map(|asked| Update {
            name: &asked.feature,
            level: asked.max_version_level,
            may_go_down: if call.version == 0 { asked.allow_downgrade } else { matches!(asked.upgrade_type, 2 | 3) },
        });
        let updates: Vec<_> = updates.collect();
        Reply::With(match call.node.features.update(&updates, request.validate_only) {
            Ok(()) => answer(call.version, &request, ErrorCode::NONE, None),
            Err(why) => {
                let why = format!("The update failed for all features since the following feature had an error: {why}");
                answer(call.version, &request, ErrorCode::INVALID_UPDATE_VERSION, Some(why))
            }
        })
    }

    fn refuse(request: &UpdateFeaturesRequest, code: ErrorCode) -> UpdateFeaturesResponse {
        answer(2, request, code, None)
    }
}

fn answer(
    version: i16,
    request: &UpdateFeaturesRequest,
    code: ErrorCode,
    why: Option<String>,
) -> UpdateFeaturesResponse {
    let results = request.feature_updates.iter().filter(|_| version < 2).map(|asked| UpdatableFeatureResult {
        feature: asked.feature.clone(),
        error_code: code.0,
        error_message: why.clone(),
        ..Default::default()
    });
    UpdateFeaturesResponse { error_code: code.0, results: results.collect(), error_message: why, ..Default::default() }
}
