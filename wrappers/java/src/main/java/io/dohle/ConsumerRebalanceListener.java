package io.dohle;

import java.util.Collection;

/**
 * Is told which partitions come and go. Called within {@code poll}, {@code unsubscribe} and {@code close}, by the consumer's thread, and may use
 * the consumer.
 */
public interface ConsumerRebalanceListener {
    /**
     * Partitions go to another member; what was read of them can still be committed. The others of the group wait meanwhile.
     *
     * @param partitions those that go
     */
    void onPartitionsRevoked(Collection<TopicPartition> partitions);

    /**
     * Partitions have come: those that are new, possibly none. Nothing was read of them yet.
     *
     * @param partitions those that came
     */
    void onPartitionsAssigned(Collection<TopicPartition> partitions);

    /**
     * Partitions are gone: the group has given them to others already, and nothing of them can be committed. Does what
     * {@link #onPartitionsRevoked} does unless it is overridden (KIP-429).
     *
     * @param partitions those that are gone
     */
    default void onPartitionsLost(Collection<TopicPartition> partitions) {
        onPartitionsRevoked(partitions);
    }
}
