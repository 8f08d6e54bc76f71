//! Our wire format against Apache Kafka's own classes, byte for byte and in both directions.
//! Needs Java 17 and Maven; without them it says so and passes, except in CI, where that is a failure.
//! The Java half is `test/oracle`; `java.rs` starts it once for all tests.

mod batches;
mod facts;
mod java;
mod messages;
