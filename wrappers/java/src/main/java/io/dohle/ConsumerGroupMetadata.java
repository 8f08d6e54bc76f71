package io.dohle;

import java.util.Optional;

/**
 * Who a consumer is in its group; for {@link Producer#sendOffsetsToTransaction} (KIP-447).
 *
 * @param groupId {@code group.id}
 * @param generationId the group's generation; −1: outside of one
 * @param memberId the member's id; empty: outside of a generation
 * @param groupInstanceId {@code group.instance.id}, if there is one
 */
public record ConsumerGroupMetadata(
        String groupId, int generationId, String memberId, Optional<String> groupInstanceId) {
    /**
     * A group, and nobody in it: such offsets are not fenced.
     *
     * @param groupId {@code group.id}
     */
    public ConsumerGroupMetadata(String groupId) {
        this(groupId, -1, "", Optional.empty());
    }
}
