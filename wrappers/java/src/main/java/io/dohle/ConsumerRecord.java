package io.dohle;

import java.util.Optional;

/**
 * A record that was read.
 *
 * @param <K> type of keys
 * @param <V> type of values
 */
public final class ConsumerRecord<K, V> {
    private final String topic;
    private final int partition;
    private final int leaderEpoch;
    private final long offset;
    private final long timestamp;
    private final int keySize;
    private final int valueSize;
    private final K key;
    private final V value;
    /** Where the headers are, until somebody asks for them; null: there are none, or they are read. */
    private byte[] bytes;
    private final int headersStart;
    private final int headersCount;
    private Headers headers;

    ConsumerRecord(
            String topic,
            int partition,
            int leaderEpoch,
            long offset,
            long timestamp,
            int keySize,
            int valueSize,
            K key,
            V value,
            byte[] bytes,
            int headersStart,
            int headersCount,
            Headers headers) {
        this.topic = topic;
        this.partition = partition;
        this.leaderEpoch = leaderEpoch;
        this.offset = offset;
        this.timestamp = timestamp;
        this.keySize = keySize;
        this.valueSize = valueSize;
        this.key = key;
        this.value = value;
        this.bytes = headersCount == 0 ? null : bytes;
        this.headersStart = headersStart;
        this.headersCount = headersCount;
        this.headers = headers;
    }

    /**
     * A record without headers, for tests of what reads records.
     *
     * @param topic the topic's name
     * @param partition the partition's number
     * @param offset its offset
     * @param key its key
     * @param value its value
     */
    public ConsumerRecord(String topic, int partition, long offset, K key, V value) {
        this(topic, partition, -1, offset, -1, -1, -1, key, value, null, 0, 0, new Headers());
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
     * @return the number, from 0
     */
    public int partition() {
        return partition;
    }

    /**
     * The offset.
     *
     * @return the offset
     */
    public long offset() {
        return offset;
    }

    /**
     * The record's time: as its topic's {@code message.timestamp.type} says, that of its producer or that of the broker.
     *
     * @return milliseconds since 1970; −1: it has none
     */
    public long timestamp() {
        return timestamp;
    }

    /**
     * The epoch of the leader that wrote it.
     *
     * @return empty: not known
     */
    public Optional<Integer> leaderEpoch() {
        return leaderEpoch < 0 ? Optional.empty() : Optional.of(leaderEpoch);
    }

    /**
     * Length of the serialized key.
     *
     * @return bytes; −1: there is none
     */
    public int serializedKeySize() {
        return keySize;
    }

    /**
     * Length of the serialized value.
     *
     * @return bytes; −1: there is none
     */
    public int serializedValueSize() {
        return valueSize;
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
     * The headers. They are read when they are first asked for; until then the record keeps the page that it came in.
     *
     * @return possibly empty
     */
    public synchronized Headers headers() {
        if (headers == null) {
            headers = bytes == null ? new Headers() : Headers.of(bytes, headersStart, headersCount);
            bytes = null;
        }
        return headers;
    }

    /** Where it is, not its contents. */
    @Override
    public String toString() {
        return "ConsumerRecord(topic=" + topic + ", partition=" + partition + ", offset=" + offset + ", timestamp=" + timestamp
                + ")";
    }
}
