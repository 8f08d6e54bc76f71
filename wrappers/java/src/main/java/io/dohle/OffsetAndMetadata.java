package io.dohle;

import java.util.Objects;
import java.util.Optional;

/**
 * An offset to commit, or that was committed.
 *
 * @param offset offset of the next record to read: one more than that of the last finished one
 * @param leaderEpoch leader epoch of the record before, if it is known
 * @param metadata the application's own text; empty: none
 */
public record OffsetAndMetadata(long offset, Optional<Integer> leaderEpoch, String metadata) {
    /**
     * Checks the offset.
     *
     * @param offset offset of the next record to read, at least 0
     * @param leaderEpoch leader epoch of the record before, if it is known
     * @param metadata the application's own text; null or empty: none
     */
    public OffsetAndMetadata {
        if (offset < 0) {
            throw new IllegalArgumentException("offset: " + offset + " is below 0");
        }
        Objects.requireNonNull(leaderEpoch, "leaderEpoch");
        metadata = metadata == null ? "" : metadata;
    }

    /**
     * Just an offset.
     *
     * @param offset offset of the next record to read
     */
    public OffsetAndMetadata(long offset) {
        this(offset, Optional.empty(), "");
    }

    /**
     * An offset with a text.
     *
     * @param offset offset of the next record to read
     * @param metadata the application's own text
     */
    public OffsetAndMetadata(long offset, String metadata) {
        this(offset, Optional.empty(), metadata);
    }
}
