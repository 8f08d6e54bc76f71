//! AWS's Signature Version 4 in the query of a URL ("presigned"): what is signed, and with which key.

use ring::{digest, hmac};
use zeroize::Zeroizing;

use super::Credentials;
use crate::security::percent::encoded;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
/// Of an empty body.
const NO_BODY: &str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

/// A GET without a body, that only names its host.
pub(super) struct Presign<'a> {
    pub(super) credentials: &'a Credentials,
    pub(super) region: &'a str,
    pub(super) service: &'a str,
    pub(super) host: &'a str,
    pub(super) query: &'a [(&'a str, &'a str)],
    pub(super) now_ms: i64,
    pub(super) lifetime_seconds: i64,
}

impl Presign<'_> {
    /// The query's parameters in order, the signature among them as the last.
    pub(super) fn parameters(&self) -> Vec<(String, Zeroizing<String>)> {
        let timestamp = timestamp(self.now_ms);
        let scope = format!("{}/{}/{}/aws4_request", &timestamp[..8], self.region, self.service);
        let own = |name: &str, value: String| (name.to_owned(), Zeroizing::new(value));
        let mut parameters: Vec<_> = self.query.iter().map(|(name, value)| own(name, (*value).to_owned())).collect();
        parameters.extend([
            own("X-Amz-Algorithm", ALGORITHM.to_owned()),
            own("X-Amz-Credential", format!("{}/{scope}", self.credentials.access_key_id)),
            own("X-Amz-Date", timestamp.clone()),
            own("X-Amz-Expires", self.lifetime_seconds.to_string()),
            own("X-Amz-SignedHeaders", "host".to_owned()),
        ]);
        let session = self.credentials.session_token.as_ref();
        parameters.extend(session.map(|token| own("X-Amz-Security-Token", token.expose().to_owned())));
        parameters.sort_by_cached_key(|(name, value)| (encoded(name), encoded(value)));
        let query = query(&parameters);
        let request = Zeroizing::new(format!("GET\n/\n{}\nhost:{}\n\nhost\n{NO_BODY}", *query, self.host));
        let secret = self.credentials.secret_access_key.expose();
        let signature = signature(secret, &timestamp, self.region, self.service, &request);
        parameters.push(own("X-Amz-Signature", signature));
        parameters
    }
}

/// As it stands in a URL.
pub(super) fn query(parameters: &[(String, Zeroizing<String>)]) -> Zeroizing<String> {
    let mut text = Zeroizing::new(String::with_capacity(4096));
    for (name, value) in parameters {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(&encoded(name));
        text.push('=');
        text.push_str(&Zeroizing::new(encoded(value)));
    }
    text
}

/// The signature of a canonical request.
fn signature(secret: &str, timestamp: &str, region: &str, service: &str, request: &str) -> String {
    let date = &timestamp[..8];
    let sign = |key: &[u8], text: &str| hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes());
    let first = Zeroizing::new(format!("AWS4{secret}"));
    let mut key = sign(first.as_bytes(), date);
    for text in [region, service, "aws4_request"] {
        key = sign(key.as_ref(), text);
    }
    let request = hex(digest::digest(&digest::SHA256, request.as_bytes()).as_ref());
    let scope = format!("{date}/{region}/{service}/aws4_request");
    hex(sign(key.as_ref(), &format!("{ALGORITHM}\n{timestamp}\n{scope}\n{request}")).as_ref())
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// `20150830T123600Z`, of milliseconds since 1970.
fn timestamp(ms: i64) -> String {
    let seconds = ms.div_euclid(1000);
    let (days, second) = (seconds.div_euclid(86_400), seconds.rem_euclid(86_400));
    // Howard Hinnant's civil_from_days: years begin in March, in eras of 400.
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let of_year = day - (365 * year + year / 4 - year / 100);
    let march = (5 * of_year + 2) / 153;
    let (date, month) = (of_year - (153 * march + 2) / 5 + 1, if march < 10 { march + 3 } else { march - 9 });
    let year = year + era * 400 + i64::from(month <= 2);
    let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
    format!("{year:04}{month:02}{date:02}T{hour:02}{minute:02}{second:02}Z")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::security::Secret;

    /// Of AWS's documentation and test suite.
    const EXAMPLE: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    /// 2015-08-30T12:36:00Z, the moment of all vectors of the test suite.
    const MOMENT: i64 = 1_440_938_160_000;

    fn credentials(id: &str, secret: &str, session: Option<&str>) -> Credentials {
        Credentials {
            access_key_id: id.to_owned(),
            secret_access_key: Secret::new(secret),
            session_token: session.map(Secret::new),
            expires_at_ms: None,
        }
    }

    #[test]
    fn a_moment_is_written_as_aws_does() {
        assert_eq!(timestamp(MOMENT), "20150830T123600Z");
        assert_eq!(timestamp(0), "19700101T000000Z");
        assert_eq!(timestamp(1_709_251_199_999), "20240229T235959Z");
        assert_eq!(timestamp(1_767_225_600_000), "20260101T000000Z");
        assert_eq!(timestamp(951_782_400_000), "20000229T000000Z");
    }

    /// AWS, IAM user guide, "Create a signed AWS API request": ListUsers.
    #[test]
    fn the_signature_of_the_guide() {
        let request = format!(
            "GET\n/\nAction=ListUsers&Version=2010-05-08\ncontent-type:application/x-www-form-urlencoded; charset=utf-8\n\
             host:iam.amazonaws.com\nx-amz-date:20150830T123600Z\n\ncontent-type;host;x-amz-date\n{NO_BODY}"
        );
        assert_eq!(
            signature(EXAMPLE, "20150830T123600Z", "us-east-1", "iam", &request),
            "5d672d79c15b13162d9279b0855cfba6789a8edb4c82c400e06b5924a6f2b5d7"
        );
    }

    /// AWS, S3 API reference, "Authenticating requests: using query parameters".
    #[test]
    fn the_presigned_url_of_s3() {
        let request = "GET\n/test.txt\nX-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIAIOSFODNN7EXAMPLE%2F20130524%2F\
                       us-east-1%2Fs3%2Faws4_request&X-Amz-Date=20130524T000000Z&X-Amz-Expires=86400&X-Amz-SignedHeaders=host\n\
                       host:examplebucket.s3.amazonaws.com\n\nhost\nUNSIGNED-PAYLOAD";
        let secret = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";
        assert_eq!(
            signature(secret, "20130524T000000Z", "us-east-1", "s3", request),
            "aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"
        );
    }

    /// AWS's Signature Version 4 test suite, as awslabs/aws-c-auth has it (tests/aws-signing-test-suite/v4):
    /// `get-vanilla-query-order-key-case/query-signed-request.txt`.
    #[test]
    fn the_presigned_url_of_the_test_suite() {
        let presign = Presign {
            credentials: &credentials("AKIDEXAMPLE", EXAMPLE, None),
            region: "us-east-1",
            service: "service",
            host: "example.amazonaws.com",
            query: &[("Param2", "value2"), ("Param1", "value1")],
            now_ms: MOMENT,
            lifetime_seconds: 3600,
        };
        let expected = "Param1=value1&Param2=value2&X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Credential=AKIDEXAMPLE%2F20150830%2F\
                        us-east-1%2Fservice%2Faws4_request&X-Amz-Date=20150830T123600Z&X-Amz-Expires=3600&X-Amz-SignedHeaders=host\
                        &X-Amz-Signature=86012e2c9ad4d77369f5d81c11f75158aae4f895a085212cc6d3f923d300bed5";
        assert_eq!(*query(&presign.parameters()), expected);
    }

    /// github.com/jmaver-plume/kafkajs-msk-iam-authentication-mechanism, src/create-payload.spec.ts: what AWS's own signer for
    /// JavaScript makes of a connection to MSK, with a session.
    #[test]
    fn the_signature_of_a_connection_to_msk() {
        let presign = Presign {
            credentials: &credentials("accessKeyId", "secretAccessKey", Some("sessionToken")),
            region: "us-east-1",
            service: "kafka-cluster",
            host: "examples.com",
            query: &[("Action", "kafka-cluster:Connect")],
            now_ms: 1_609_459_200_000,
            lifetime_seconds: 900,
        };
        let parameters = presign.parameters();
        let signature = parameters.iter().find(|(name, _)| name == "X-Amz-Signature").map(|(_, value)| value.as_str());
        assert_eq!(signature, Some("3515d158e62c159a3d8d4344942cff44c865cdeac6748a4b5dc42686641bb272"));
    }
}
