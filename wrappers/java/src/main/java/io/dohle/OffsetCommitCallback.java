package io.dohle;

import java.util.Map;

/** Is told what became of a commit. */
@FunctionalInterface
public interface OffsetCommitCallback {
    /**
     * The commit is done, or has failed. Called within a later {@code poll}, {@code commitSync} or {@code close} of the consumer, by its thread.
     *
     * @param offsets what was to be committed; empty: everything that was read
     * @param exception why it has failed; null: it is done
     */
    void onComplete(Map<TopicPartition, OffsetAndMetadata> offsets, Exception exception);
}
