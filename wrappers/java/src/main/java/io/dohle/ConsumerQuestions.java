package io.dohle;

import io.dohle.internal.Engine;
import io.dohle.internal.Failures;
import io.dohle.internal.Json;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;

/** What a consumer asks its cluster and its group; a wake-up ends the wait for an answer. For the thread that has the consumer. */
final class ConsumerQuestions {
    private final ConsumerState state;

    ConsumerQuestions(ConsumerState state) {
        this.state = state;
    }

    /** Waits until it is known. */
    long position(TopicPartition partition, Duration timeout) {
        long deadline = System.nanoTime() + Math.min(Engine.nanos(timeout), Long.MAX_VALUE / 2);
        while (true) {
            Long at = state.position(partition);
            if (at != null) {
                return at;
            }
            state.woken();
            if (System.nanoTime() - deadline >= 0) {
                throw Engine.timedOut("the position of " + partition + " is not known after " + timeout.toMillis() + " ms");
            }
            try {
                Thread.sleep(2);
            } catch (InterruptedException interrupted) {
                throw new InterruptException(interrupted);
            }
        }
    }

    Map<TopicPartition, OffsetAndMetadata> committed(Set<TopicPartition> partitions, Duration timeout) {
        return Places.found(asked("consumer.committed", Json.of("partitions", Places.partitions(partitions)), timeout));
    }

    @SuppressWarnings("unchecked")
    Map<TopicPartition, OffsetAndTimestamp> offsetsForTimes(Map<TopicPartition, Long> timestamps, Duration timeout) {
        List<Object> asked = new ArrayList<>();
        timestamps.forEach((partition, time) -> asked.add(Json.map(
                "topic",
                partition.topic(),
                "partition",
                partition.partition(),
                "offset",
                Json.map("kind", "timestamp", "timestamp", time.toString()))));
        Map<TopicPartition, OffsetAndTimestamp> found = new HashMap<>();
        String request = Json.of("partitions", asked, "readCommitted", state.readCommitted);
        Object answer = state.await(Engine.call(state.client, "admin.listOffsets", request), timeout);
        for (Object each : (List<Object>) answer) {
            Map<String, Object> of = (Map<String, Object>) each;
            if (of.get("error") != null) {
                throw Failures.of((Map<String, Object>) of.get("error"));
            }
            Long offset = Places.number(of.get("offset"));
            Long time = Places.number(of.get("timestamp"));
            found.put(
                    Places.partition(of),
                    offset == null ? null : new OffsetAndTimestamp(offset, time == null ? -1 : time, Places.epoch(of)));
        }
        return found;
    }

    /** {@code kind} is {@code earliest} or {@code latest}. */
    Map<TopicPartition, Long> ends(Collection<TopicPartition> partitions, String kind, Duration timeout) {
        List<Object> places = new ArrayList<>();
        partitions.forEach(each -> places.add(Places.start(each, kind, null)));
        Map<TopicPartition, Long> ends = new HashMap<>();
        Places.found(asked("consumer.offsetsAt", Json.of("places", places), timeout))
                .forEach((partition, at) -> ends.put(partition, at == null ? null : at.offset()));
        return ends;
    }

    List<PartitionInfo> partitionsFor(String topic, Duration timeout) {
        return Settings.partitions(described(List.of(topic), timeout).get(0));
    }

    Map<String, List<PartitionInfo>> topics(Duration timeout) {
        List<String> names = new ArrayList<>();
        for (Object each : (List<?>) state.await(Engine.call(state.client, "admin.listTopics", "{}"), timeout)) {
            names.add((String) ((Map<?, ?>) each).get("topic"));
        }
        Map<String, List<PartitionInfo>> topics = new HashMap<>();
        if (!names.isEmpty()) {
            described(names, timeout)
                    .forEach(each -> topics.put((String) ((Map<?, ?>) each).get("topic"), Settings.partitions(each)));
        }
        return topics;
    }

    ConsumerGroupMetadata group() {
        Map<?, ?> of = (Map<?, ?>) Engine.invoke(state.handle, "consumer.groupMetadata", "{}");
        Object generation = of.get("generation");
        Object member = of.get("memberId");
        return new ConsumerGroupMetadata(
                (String) of.get("groupId"),
                generation == null ? -1 : ((Long) generation).intValue(),
                member == null ? "" : (String) member,
                Optional.ofNullable((String) of.get("groupInstanceId")));
    }

    private List<?> described(List<String> topics, Duration timeout) {
        return (List<?>) state.await(Engine.call(state.client, "admin.describeTopics", Json.of("topics", topics)), timeout);
    }

    private Object asked(String operation, String request, Duration limit) {
        return state.await(Engine.call(state.handle, operation, request), limit);
    }
}
