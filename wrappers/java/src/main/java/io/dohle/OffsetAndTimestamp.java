package io.dohle;

import java.util.Optional;

/**
 * A record that was found by its time.
 *
 * @param offset its offset
 * @param timestamp its time in milliseconds since 1970
 * @param leaderEpoch epoch of the leader that wrote it, if it is known
 */
public record OffsetAndTimestamp(long offset, long timestamp, Optional<Integer> leaderEpoch) {}
