/**
 * A Kafka client on a native engine, with the names of Kafka's own: {@link io.dohle.KafkaProducer}, {@link io.dohle.KafkaConsumer}, and
 * {@link io.dohle.EmbeddedBroker} for tests.
 */
package io.dohle;
