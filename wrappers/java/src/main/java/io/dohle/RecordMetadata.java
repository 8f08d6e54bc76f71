package io.dohle;

/** Where an acknowledged record is. */
public final class RecordMetadata {
    private final String topic;
    private final int partition;
    private final long offset;
    private final long timestamp;
    private final int keySize;
    private final int valueSize;

    RecordMetadata(String topic, int partition, long offset, long timestamp, int keySize, int valueSize) {
        this.topic = topic;
        this.partition = partition;
        this.offset = offset;
        this.timestamp = timestamp;
        this.keySize = keySize;
        this.valueSize = valueSize;
    }

    /**
     * Whether its offset is known: it is not with {@code acks=0}.
     *
     * @return true if so
     */
    public boolean hasOffset() {
        return offset >= 0;
    }

    /**
     * The record's offset.
     *
     * @return −1: not known, as with {@code acks=0}
     */
    public long offset() {
        return offset;
    }

    /**
     * The record's time: the broker's for topics with {@code message.timestamp.type=LogAppendTime}, else its own.
     *
     * @return milliseconds since 1970
     */
    public long timestamp() {
        return timestamp;
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
     * @return the number, from 0; −1: it was not yet known to which partition the record would have gone
     */
    public int partition() {
        return partition;
    }

    /**
     * Length of the serialized key.
     *
     * @return bytes; −1: there was none
     */
    public int serializedKeySize() {
        return keySize;
    }

    /**
     * Length of the serialized value.
     *
     * @return bytes; −1: there was none
     */
    public int serializedValueSize() {
        return valueSize;
    }

    /** Such as {@code orders-3@42}. */
    @Override
    public String toString() {
        return topic + "-" + partition + "@" + offset;
    }
}
