package io.dohle;

import java.util.Objects;

/**
 * A record to be sent.
 *
 * @param <K> type of keys
 * @param <V> type of values
 */
public final class ProducerRecord<K, V> {
    private final String topic;
    private final Integer partition;
    private final Long timestamp;
    private final K key;
    private final V value;
    private Headers headers;

    /**
     * A record.
     *
     * @param topic the topic's name
     * @param partition the partition's number; null: the partitioner chooses, by the key if there is one, as Kafka's own does
     * @param timestamp milliseconds since 1970; null: now
     * @param key the key, or null
     * @param value the value; null: a tombstone
     * @param headers headers, which are copied; null: none
     */
    public ProducerRecord(
            String topic, Integer partition, Long timestamp, K key, V value, Iterable<Header> headers) {
        this.topic = Objects.requireNonNull(topic, "topic");
        if (timestamp != null && timestamp < 0) {
            throw new IllegalArgumentException("timestamp: " + timestamp + " is below 0");
        }
        if (partition != null && partition < 0) {
            throw new IllegalArgumentException("partition: " + partition + " is below 0");
        }
        this.partition = partition;
        this.timestamp = timestamp;
        this.key = key;
        this.value = value;
        this.headers = headers == null ? null : new Headers(headers);
    }

    /**
     * A record without headers.
     *
     * @param topic the topic's name
     * @param partition the partition's number; null: the partitioner chooses
     * @param timestamp milliseconds since 1970; null: now
     * @param key the key, or null
     * @param value the value; null: a tombstone
     */
    public ProducerRecord(String topic, Integer partition, Long timestamp, K key, V value) {
        this(topic, partition, timestamp, key, value, null);
    }

    /**
     * A record of this moment.
     *
     * @param topic the topic's name
     * @param partition the partition's number; null: the partitioner chooses
     * @param key the key, or null
     * @param value the value; null: a tombstone
     * @param headers headers, which are copied; null: none
     */
    public ProducerRecord(String topic, Integer partition, K key, V value, Iterable<Header> headers) {
        this(topic, partition, null, key, value, headers);
    }

    /**
     * A record of this moment without headers.
     *
     * @param topic the topic's name
     * @param partition the partition's number; null: the partitioner chooses
     * @param key the key, or null
     * @param value the value; null: a tombstone
     */
    public ProducerRecord(String topic, Integer partition, K key, V value) {
        this(topic, partition, null, key, value, null);
    }

    /**
     * A record whose partition is chosen by its key.
     *
     * @param topic the topic's name
     * @param key the key, or null
     * @param value the value; null: a tombstone
     */
    public ProducerRecord(String topic, K key, V value) {
        this(topic, null, null, key, value, null);
    }

    /**
     * A record without a key.
     *
     * @param topic the topic's name
     * @param value the value; null: a tombstone
     */
    public ProducerRecord(String topic, V value) {
        this(topic, null, null, null, value, null);
    }

    /**
     * The topic's name.
     *
     * @return the name
     */
    public String topic() {
        return topic;
    }

    /**
     * The partition's number.
     *
     * @return null: the partitioner chooses
     */
    public Integer partition() {
        return partition;
    }

    /**
     * Milliseconds since 1970.
     *
     * @return null: now
     */
    public Long timestamp() {
        return timestamp;
    }

    /**
     * The key.
     *
     * @return it, or null
     */
    public K key() {
        return key;
    }

    /**
     * The value.
     *
     * @return it; null: a tombstone
     */
    public V value() {
        return value;
    }

    /**
     * The headers, to which more can be added until the record is sent.
     *
     * @return possibly empty
     */
    public Headers headers() {
        if (headers == null) {
            headers = new Headers();
        }
        return headers;
    }

    /** The headers for the engine; null: there are none. */
    byte[] packedHeaders() {
        return headers == null ? null : headers.packed();
    }

    /** Topic, partition, timestamp and headers, not the contents. */
    @Override
    public String toString() {
        return "ProducerRecord(topic=" + topic + ", partition=" + partition + ", timestamp=" + timestamp + ", headers="
                + (headers == null ? "[]" : headers) + ")";
    }
}
