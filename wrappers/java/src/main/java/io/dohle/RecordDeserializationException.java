package io.dohle;

import java.io.Serial;

/**
 * A deserializer has thrown. The consumer's position is at the record: {@link Consumer#seek(TopicPartition, long)} to one more passes over it;
 * a poll without that meets it again.
 */
public class RecordDeserializationException extends KafkaException {
    @Serial
    private static final long serialVersionUID = 1L;

    /** Where the record is. */
    private final transient TopicPartition partition;
    /** Its offset. */
    private final long offset;

    RecordDeserializationException(TopicPartition partition, long offset, Throwable cause) {
        super(
                "the record at " + partition + ", offset " + offset + " cannot be deserialized: " + cause.getMessage(),
                Facts.of("CALLBACK_FAILED"),
                cause);
        this.partition = partition;
        this.offset = offset;
    }

    /**
     * Where the record is.
     *
     * @return its partition
     */
    public TopicPartition topicPartition() {
        return partition;
    }

    /**
     * The record's offset.
     *
     * @return the offset
     */
    public long offset() {
        return offset;
    }
}
