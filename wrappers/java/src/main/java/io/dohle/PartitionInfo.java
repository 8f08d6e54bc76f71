package io.dohle;

import java.util.List;

/**
 * What the cluster tells of a partition. Brokers are told by their ids; {@code AdminClient.describeCluster} has their addresses.
 *
 * @param topic the topic's name
 * @param partition the partition's number, from 0
 * @param leader id of its leader; null: it has none now
 * @param replicas ids of the brokers that have a copy
 * @param inSyncReplicas those of them that are in sync
 * @param offlineReplicas those of them that are down
 */
public record PartitionInfo(
        String topic,
        int partition,
        Integer leader,
        List<Integer> replicas,
        List<Integer> inSyncReplicas,
        List<Integer> offlineReplicas) {}
