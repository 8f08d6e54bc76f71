use super::*;
use crate::world::TokioWorld;

const SECRET: &str = "hunter2secret";

fn aws(sasl: Value, environment: &[(&str, &str)]) -> Result<Aws, OptionError> {
    let options = json!({ "brokers": "a:1", "sasl": sasl });
    let options = ClientOptions::parse(options.as_object().unwrap())?;
    Aws::new(&options, None, |name| environment.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned()))
}

fn keys() -> Value {
    json!({ "awsAccessKeyId": "AKIDEXAMPLE", "awsSecretAccessKey": SECRET })
}

async fn payload(aws: &Aws, host: &str) -> Result<Value> {
    let payload = aws.payload(&TokioWorld::current(), host).await?;
    Ok(serde_json::from_str(payload.expose()).unwrap())
}

#[tokio::test]
async fn the_message_says_who_and_where_and_never_the_key() {
    let mut sasl = keys();
    sasl["awsSessionToken"] = json!("session/+=");
    let host = "b-1.orders.abc.c2.kafka.eu-central-1.amazonaws.com";
    let said = payload(&aws(sasl, &[]).unwrap(), host).await.unwrap();
    let names: Vec<&str> = said.as_object().unwrap().keys().map(String::as_str).collect();
    let expected = [
        "action",
        "host",
        "user-agent",
        "version",
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    ];
    assert_eq!(names, expected);
    let text = |name: &str| said[name].as_str().unwrap();
    assert_eq!((text("version"), text("host"), text("action")), ("2020_10_22", host, "kafka-cluster:Connect"));
    let scope = format!("AKIDEXAMPLE/{}/eu-central-1/kafka-cluster/aws4_request", &text("x-amz-date")[..8]);
    assert_eq!((text("x-amz-credential"), text("x-amz-expires")), (&*scope, "900"));
    assert_eq!((text("x-amz-signedheaders"), text("x-amz-security-token")), ("host", "session/+="));
    assert!(!said.to_string().contains(SECRET));
}

#[tokio::test]
async fn the_region_is_the_options_else_the_hosts_else_the_environments() {
    let of = |aws: Aws, host: &'static str| async move {
        let said = payload(&aws, host).await?;
        Ok::<_, Error>(said["x-amz-credential"].as_str().unwrap().split('/').nth(2).unwrap().to_owned())
    };
    let host = "b-1.x.kafka.cn-north-1.amazonaws.com.cn";
    let named = || {
        let mut sasl = keys();
        sasl["awsRegion"] = json!("us-east-1");
        aws(sasl, &[("AWS_REGION", "eu-west-3")]).unwrap()
    };
    assert_eq!(of(named(), host).await.unwrap(), "us-east-1");
    let unnamed = || aws(keys(), &[("AWS_DEFAULT_REGION", "eu-west-3")]).unwrap();
    assert_eq!(of(unnamed(), host).await.unwrap(), "cn-north-1");
    assert_eq!(of(unnamed(), "localhost").await.unwrap(), "eu-west-3");
    let error = of(aws(keys(), &[]).unwrap(), "localhost").await.unwrap_err();
    assert!(error.message().contains("sasl.awsRegion (sasl.aws.region): is needed"), "{error}");
}

#[tokio::test]
async fn a_token_is_the_presigned_url_that_awss_signers_make() {
    let mut sasl = keys();
    sasl["awsRegion"] = json!("us-east-1");
    let tokens = aws(sasl, &[]).unwrap().into_tokens().unwrap();
    let world: Arc<dyn World> = Arc::new(TokioWorld::current());
    let token = tokens.token(world.clone()).await.unwrap();
    let left = token.expires_at_ms.unwrap() - world.wall_clock_ms();
    assert!((890_000..=900_000).contains(&left), "{left}");
    let url = String::from_utf8(URL_SAFE_NO_PAD.decode(token.value.expose()).unwrap()).unwrap();
    let head = "https://kafka.us-east-1.amazonaws.com/?Action=kafka-cluster%3AConnect&X-Amz-Algorithm=AWS4-HMAC-SHA256\
                &X-Amz-Credential=AKIDEXAMPLE%2F";
    assert!(
        url.starts_with(head) && url.contains("&X-Amz-Signature=") && url.contains("&User-Agent=dohle%2F"),
        "{url}"
    );
    token.check().unwrap();
}

#[test]
fn credentials_come_from_one_place() {
    let environment = [("AWS_ACCESS_KEY_ID", "E"), ("AWS_SECRET_ACCESS_KEY", "S"), ("AWS_SESSION_TOKEN", "T")];
    let of = |sasl, environment: &[(&str, &str)]| match aws(sasl, environment).unwrap().credentials {
        Given::Fixed(credentials) => (credentials.access_key_id, credentials.session_token.is_some()),
        Given::Asked(_) => unreachable!(),
    };
    assert_eq!(of(json!({}), &environment), ("E".to_owned(), true));
    assert_eq!(of(keys(), &environment), ("AKIDEXAMPLE".to_owned(), false));
    let refused = |sasl: Value, what: &str| {
        let error = aws(sasl, &environment[..1]).err().expect("refused").to_string();
        assert!(error.contains(what) && !error.contains("hunter2"), "{error}");
    };
    refused(json!({}), "sasl.awsAccessKeyId (sasl.aws.access.key.id): is needed");
    refused(json!({ "awsSecretAccessKey": SECRET }), "sasl.awsAccessKeyId");
    refused(json!({ "awsAccessKeyId": "a" }), "sasl.awsSecretAccessKey");
    refused(json!({ "awsAccessKeyId": "a", "awsSecretAccessKey": "" }), "sasl.awsSecretAccessKey");
    refused(json!({ "awsSessionToken": SECRET }), "sasl.awsAccessKeyId");
    refused(json!({ "awsRegion": "EU West" }), "sasl.awsRegion");
    assert!(aws(keys(), &[]).unwrap().into_tokens().err().unwrap().to_string().contains("sasl.awsRegion"));
}

struct Asked(Credentials);

impl CredentialSource for Asked {
    fn credentials(&self) -> BoxFuture<'static, Result<Credentials>> {
        let credentials = self.0.clone();
        Box::pin(async move { Ok(credentials) })
    }
}

#[tokio::test]
async fn what_a_function_gives_is_used_as_long_as_it_is_good() {
    let now = TokioWorld::current().wall_clock_ms();
    let expires_in = |ms: Option<i64>| async move {
        let credentials = Credentials {
            access_key_id: "F".to_owned(),
            secret_access_key: Secret::new(SECRET),
            session_token: None,
            expires_at_ms: ms.map(|ms| now + ms),
        };
        let given = Given::Asked(Arc::new(Asked(credentials)));
        payload(&Aws { region: Some("r".to_owned()), fallback: None, credentials: given }, "h").await
    };
    assert_eq!(expires_in(None).await.unwrap()["x-amz-expires"], "900");
    assert_eq!(expires_in(Some(86_400_000)).await.unwrap()["x-amz-expires"], "900");
    let some: i64 = expires_in(Some(300_000)).await.unwrap()["x-amz-expires"].as_str().unwrap().parse().unwrap();
    assert!((200..=300).contains(&some), "{some}");
    let error = expires_in(Some(-1)).await.unwrap_err();
    assert!(error.code() == "CALLBACK_FAILED" && error.message().contains("have expired"), "{error}");
}
