//! The broker's properties of TLS, SASL, authorization and limits. Those of TLS and SASL may have the prefix of a listener
//! (`listener.name.internal.`), and of a mechanism behind it. What would protect a broker and is not served is not here, so
//! that it is refused.

use super::{
    Kind::{self, Boolean, Class, List, Password, Text},
    Property,
    broker::{BrokerProperty, Update},
};

const fn p(name: &'static str, kind: Kind, default: &'static str, doc: &'static str) -> BrokerProperty {
    let default = if default.is_empty() { None } else { Some(default) };
    let property = Property { name, kind, default, synonyms: &[], doc };
    BrokerProperty { property, update: Update::ReadOnly, field: None, effect: true }
}

/// Known, so that the `server.properties` of a real broker is understood: brokers talk to no other here.
const fn without_effect(name: &'static str, kind: Kind, default: &'static str) -> BrokerProperty {
    let doc = "For brokers among themselves. It has no effect in the embedded broker.";
    BrokerProperty { effect: false, ..p(name, kind, default, doc) }
}

const CLIENT_AUTH: Kind = Kind::OneOf(&["required", "requested", "none"]);
const AUTHORIZERS: Kind = Kind::OneOf(&[crate::security::options::AUTHORIZER, ""]);
const BUILDER: &str = "org.apache.kafka.common.security.authenticator.DefaultKafkaPrincipalBuilder";

#[rustfmt::skip]
pub(super) const TABLE: &[BrokerProperty] = &[
    p("allow.everyone.if.no.acl.found", Boolean, "false",
        "With an authorizer: what no ACL names is open to everybody."),
    p("authorizer.class.name", AUTHORIZERS, "",
        "Kafka's StandardAuthorizer: ACLs are enforced. Unset: everybody may do everything, and there are no ACLs."),
    p("connection.failed.authentication.delay.ms", Kind::int(0), "100",
        "Milliseconds before a client is told that it could not log in."),
    p("connections.max.idle.ms", Kind::long(-1), "600000",
        "Milliseconds after which a connection that says nothing is closed, and within which a client must have shaken hands \
         and logged in; -1: never."),
    p("connections.max.reauth.ms", Kind::long(0), "0",
        "Milliseconds after which clients must log in again on the same connection (KIP-368), or it is closed; 0: never."),
    p("delegation.token.expiry.time.ms", Kind::long(1), "86400000",
        "Milliseconds that a delegation token is good for, unless it is renewed."),
    p("delegation.token.max.lifetime.ms", Kind::long(1), "604800000",
        "Milliseconds that a delegation token can be good for at most."),
    p("delegation.token.secret.key", Password, "",
        "Delegation tokens are made with it; without it there are none."),
    p("max.connections.per.ip", Kind::int(0), "2147483647",
        "Connections of one address at the same time; more are closed at once."),
    p("max.connections.per.ip.overrides", Text, "",
        "Other limits for some addresses: 10.0.0.1:5,::1:7."),
    p("principal.builder.class", Kind::OneOf(&[BUILDER]), BUILDER,
        "Who a client is: the user that logged in, or the subject of its certificate."),
    p("sasl.enabled.mechanisms", List, "GSSAPI",
        "What clients may log in with: PLAIN, SCRAM-SHA-256, SCRAM-SHA-512, OAUTHBEARER. Kafka's default, GSSAPI, is not served."),
    p("sasl.jaas.config", Password, "",
        "The login module of a mechanism, with PLAIN's users as user_NAME=\"PASSWORD\"; those of SCRAM can be here too, which \
         is not Kafka's."),
    without_effect("sasl.mechanism.controller.protocol", Text, "GSSAPI"),
    without_effect("sasl.mechanism.inter.broker.protocol", Text, "GSSAPI"),
    p("sasl.oauthbearer.clock.skew.seconds", Kind::int(0), "30",
        "Seconds that the clock of who signs tokens may differ."),
    p("sasl.oauthbearer.expected.audience", List, "",
        "One of these must be the audience (aud) of a signed token."),
    p("sasl.oauthbearer.expected.issuer", Text, "",
        "The issuer (iss) of a signed token."),
    p("sasl.oauthbearer.jwks.endpoint.url", Text, "",
        "A file:// URL of the keys (JWKS) that tokens are signed with. Unset: tokens are unsecured, for tests only."),
    p("sasl.oauthbearer.scope.claim.name", Text, "scope",
        "The claim of a signed token that has the scope."),
    p("sasl.oauthbearer.sub.claim.name", Text, "sub",
        "The claim of a signed token that says who it is for."),
    p("sasl.server.callback.handler.class", Class, "",
        "Kafka's OAuthBearerValidatorCallbackHandler for signed tokens; no other is served."),
    p("sasl.server.max.receive.size", Kind::int(1), "524288",
        "Largest request in bytes of a client that has not logged in yet."),
    without_effect("security.inter.broker.protocol", Text, "PLAINTEXT"),
    p("ssl.client.auth", CLIENT_AUTH, "none",
        "Whether clients show a certificate: they must (required), may (requested), or are not asked (none)."),
    p("ssl.enabled.protocols", List, "TLSv1.2,TLSv1.3",
        "Versions of TLS."),
    p("ssl.key.password", Password, "",
        "Opens the private key."),
    p("ssl.keystore.certificate.chain", Password, "",
        "The broker's certificate in PEM, with those between it and its authority."),
    p("ssl.keystore.key", Password, "",
        "The certificate's private key in PEM."),
    p("ssl.keystore.location", Text, "",
        "A file of PEM with the certificates and the key."),
    p("ssl.keystore.type", Text, "JKS",
        "PEM; Kafka's default, JKS, is not read, nor is PKCS12."),
    p("ssl.principal.mapping.rules", Text, "DEFAULT",
        "Who the subject of a certificate is (KIP-371)."),
    p("ssl.truststore.certificates", Password, "",
        "Certificates of the authorities that clients' certificates are of, in PEM."),
    p("ssl.truststore.location", Text, "",
        "A file of them."),
    p("ssl.truststore.type", Text, "JKS",
        "PEM; Kafka's default, JKS, is not read, nor is PKCS12."),
    p("super.users", Text, "",
        "Who may do everything: User:alice;User:CN=bob. Who did not log in is User:ANONYMOUS."),
];

/// Whether a property may have the prefix of a listener.
pub(crate) fn is_of_a_listener(name: &str) -> bool {
    let of = |prefix: &str| name.starts_with(prefix);
    let known = TABLE.iter().any(|known| known.property.name == name);
    known && (of("ssl.") || of("sasl.") || of("connections.max.reauth.ms"))
}
