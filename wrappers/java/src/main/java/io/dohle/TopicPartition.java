package io.dohle;

import java.util.Objects;

/**
 * One partition of one topic.
 *
 * @param topic the topic's name
 * @param partition the partition's number, from 0
 */
public record TopicPartition(String topic, int partition) {
    /**
     * Checks that there is a name.
     *
     * @param topic the topic's name
     * @param partition the partition's number, from 0
     */
    public TopicPartition {
        Objects.requireNonNull(topic, "topic");
    }

    /** Such as {@code orders-3}. */
    @Override
    public String toString() {
        return topic + "-" + partition;
    }
}
