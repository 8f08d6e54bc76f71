package io.dohle;

import io.dohle.internal.Json;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** Partitions and places in them, as the engine's JSON has them. */
final class Places {
    private Places() {}

    static List<Object> partitions(Collection<TopicPartition> partitions) {
        List<Object> list = new ArrayList<>();
        for (TopicPartition each : partitions) {
            list.add(Json.map("topic", each.topic(), "partition", each.partition()));
        }
        return list;
    }

    /** Offsets to commit. */
    static List<Object> committed(Map<TopicPartition, OffsetAndMetadata> offsets) {
        List<Object> list = new ArrayList<>();
        offsets.forEach((partition, at) -> list.add(Json.map(
                "topic",
                partition.topic(),
                "partition",
                partition.partition(),
                "offset",
                Long.toString(at.offset()),
                "leaderEpoch",
                at.leaderEpoch().filter(epoch -> epoch >= 0).orElse(null),
                "metadata",
                at.metadata().isEmpty() ? null : at.metadata())));
        return list;
    }

    /** A partition and where to read it from; {@code kind} is {@code earliest}, {@code latest}, {@code committed} or {@code offset}. */
    static Map<String, Object> start(TopicPartition partition, String kind, Long offset) {
        Map<String, Object> start = Json.map("kind", kind, "offset", offset == null ? null : offset.toString());
        return Json.map("topic", partition.topic(), "partition", partition.partition(), "start", start);
    }

    /** A partition, to be read from the first record of this time or later. */
    static Map<String, Object> since(TopicPartition partition, long time) {
        Map<String, Object> start = Json.map("kind", "timestamp", "timestamp", Long.toString(time));
        return Json.map("topic", partition.topic(), "partition", partition.partition(), "start", start);
    }

    static TopicPartition partition(Map<String, Object> of) {
        return new TopicPartition((String) of.get("topic"), (int) (long) of.get("partition"));
    }

    @SuppressWarnings("unchecked")
    static Set<TopicPartition> set(Object list) {
        Set<TopicPartition> set = new LinkedHashSet<>();
        for (Object each : (List<Object>) list) {
            set.add(partition((Map<String, Object>) each));
        }
        return set;
    }

    static Long number(Object decimal) {
        return decimal == null ? null : Long.valueOf((String) decimal);
    }

    static Optional<Integer> epoch(Map<String, Object> of) {
        return of.get("leaderEpoch") instanceof Long epoch ? Optional.of(epoch.intValue()) : Optional.empty();
    }

    /** Offsets that were found; none where there is none. */
    @SuppressWarnings("unchecked")
    static Map<TopicPartition, OffsetAndMetadata> found(Object list) {
        Map<TopicPartition, OffsetAndMetadata> found = new HashMap<>();
        for (Object each : (List<Object>) list) {
            Map<String, Object> of = (Map<String, Object>) each;
            Long offset = number(of.get("offset"));
            OffsetAndMetadata at =
                    offset == null ? null : new OffsetAndMetadata(offset, epoch(of), (String) of.get("metadata"));
            found.put(partition(of), at);
        }
        return found;
    }
}
