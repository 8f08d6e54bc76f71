// Groups with kafka-clients.

import static java.util.stream.Collectors.toList;

import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Set;
import java.util.TreeSet;
import java.util.function.Supplier;
import java.util.stream.Stream;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.MemberDescription;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.protocol.Errors;

class Groups {
    static void cases(Map<String, Driver.Case> cases) {
        cases.put("group-classic", topic -> rebalances(topic, classic()));
        cases.put("group-848", topic -> rebalances(topic, new Object[] {"group.protocol", "consumer"}));
        cases.put("static-member", Groups::staticMember);
    }

    static Object[] classic(Object... more) {
        Object[] own = {
            "partition.assignment.strategy", "org.apache.kafka.clients.consumer.RangeAssignor", "heartbeat.interval.ms", 300,
        };
        return Stream.concat(Arrays.stream(own), Arrays.stream(more)).toArray();
    }

    /** A member of a group: what it has read, and how often it lost something. */
    static class Member implements ConsumerRebalanceListener {
        final KafkaConsumer<byte[], byte[]> consumer;
        final Map<Integer, Long> next = new HashMap<>();
        int revoked;
        KafkaException failed;

        Member(String topic, Object... settings) {
            Object[] own = {"group.id", topic + "-group", "auto.offset.reset", "earliest", "enable.auto.commit", false};
            consumer = Records.consumer(Stream.concat(Arrays.stream(own), Arrays.stream(settings)).toArray());
            consumer.subscribe(List.of(topic), this);
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> places) {}

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> places) {
            revoked += places.size();
        }

        void poll(Set<String> seen) {
            try {
                for (var record : consumer.poll(Duration.ofMillis(50))) {
                    seen.add(record.partition() + ":" + record.offset());
                    next.put(record.partition(), record.offset() + 1);
                }
            } catch (KafkaException error) {
                failed = error;
            }
        }

        Set<Integer> places() {
            Set<Integer> places = new TreeSet<>();
            consumer.assignment().forEach(place -> places.add(place.partition()));
            return places;
        }
    }

    static List<Integer> counts(Member... members) {
        return Arrays.stream(members).map(member -> member.places().size()).collect(toList());
    }

    static void settle(Set<String> seen, Supplier<Boolean> done, Member... members) throws InterruptedException {
        Driver.until("settled", () -> {
            for (Member member : members) member.poll(seen);
            return done.get();
        });
    }

    static List<Object> state(ConsumerGroupDescription group) {
        return List.of(group.groupState().toString().toUpperCase(Locale.ROOT), group.members().size());
    }

    static Map<String, Object> rebalances(String topic, Object[] settings) throws Exception {
        String group = topic + "-group";
        Set<String> seen = new HashSet<>();
        List<Object> steps = new ArrayList<>();
        Member one = new Member(topic, settings);
        settle(seen, () -> counts(one).equals(List.of(4)), one);
        steps.add(counts(one));
        Member two = new Member(topic, settings);
        settle(seen, () -> counts(one, two).equals(List.of(2, 2)), one, two);
        steps.add(counts(one, two));
        one.consumer.close();
        // The one that is left reads what nobody has committed.
        Map<Integer, Long> all = Map.of(0, 10L, 1, 10L, 2, 10L, 3, 10L);
        settle(seen, () -> counts(two).equals(List.of(4)) && two.next.equals(all), two);
        steps.add(counts(two));
        Map<TopicPartition, OffsetAndMetadata> commit = new HashMap<>();
        two.next.forEach((partition, offset) -> commit.put(new TopicPartition(topic, partition), new OffsetAndMetadata(offset)));
        two.consumer.commitSync(commit);
        var described = Administration.describe(group);
        two.consumer.close();
        var empty = Driver.until("the group is empty", () -> {
            var now = state(Administration.describe(group));
            return now.get(1).equals(0) ? now : null;
        });
        return Driver.object("steps", steps, "read", seen.size(), "committed", Administration.committed(group, topic, 4),
            "stable", state(described), "empty", empty,
            "details", List.of(described.type().toString(), described.partitionAssignor(), described.isSimpleConsumerGroup()));
    }

    static Map<String, Object> staticMember(String topic) throws Exception {
        Set<String> seen = new HashSet<>();
        Member one = new Member(topic, classic("group.instance.id", "one"));
        Member two = new Member(topic, classic("group.instance.id", "two"));
        settle(seen, () -> counts(one, two).equals(List.of(1, 1)) && !one.places().equals(two.places()), one, two);
        var steps = counts(one, two);
        var before = one.places();
        int revoked = two.revoked;
        one.consumer.close(); // a static member does not leave
        Member back = new Member(topic, classic("group.instance.id", "one"));
        settle(seen, () -> counts(back, two).equals(List.of(1, 1)), back, two);
        boolean same = back.places().equals(before);
        boolean undisturbed = two.revoked == revoked;
        var instances = Administration.describe(topic + "-group").members().stream()
            .map(MemberDescription::groupInstanceId).map(id -> id.orElse(null)).sorted().collect(toList());
        Member third = new Member(topic, classic("group.instance.id", "one"));
        settle(seen, () -> back.failed != null, third, two, back);
        for (Member member : List.of(third, two, back)) member.consumer.close();
        return Driver.object("steps", steps, "same", same, "undisturbed", undisturbed, "instances", instances,
            "fenced", Errors.forException(back.failed).code());
    }
}
