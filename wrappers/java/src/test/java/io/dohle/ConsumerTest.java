package io.dohle;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dohle.serialization.ByteBufferDeserializer;
import io.dohle.serialization.Deserializer;
import io.dohle.serialization.IntegerDeserializer;
import io.dohle.serialization.StringDeserializer;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.ConcurrentModificationException;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.regex.Pattern;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;

class ConsumerTest extends Fixture {
    private static final Duration LONG = Duration.ofHours(1);

    private static List<String> numbers(int from, int to) {
        return IntStream.range(from, to).mapToObj(Integer::toString).toList();
    }

    @Test
    void aPollGivesAtMostMaxPollRecordsAndPositionsAreBehindThem() {
        String topic = name();
        TopicPartition partition = new TopicPartition(topic, 0);
        fill(topic, 0, 1000);
        try (var consumer = consumer("auto.offset.reset", "earliest", "max.poll.records", 30)) {
            consumer.assign(List.of(partition));
            List<String> all = new ArrayList<>();
            while (all.size() < 1000) {
                var records = consumer.poll(LONG);
                assertTrue(records.count() >= 1 && records.count() <= 30);
                assertEquals(Set.of(partition), records.partitions());
                records.records(partition).forEach(record -> all.add(record.value()));
                assertEquals(all.size(), consumer.position(partition));
            }
            assertEquals(numbers(0, 1000), all);
            assertTrue(consumer.poll(Duration.ZERO).isEmpty());
        }
    }

    @Test
    void seekPauseAndResumeMoveWhatIsGiven() {
        String topic = name();
        TopicPartition partition = new TopicPartition(topic, 0);
        fill(topic, 0, 100);
        try (var consumer = consumer("auto.offset.reset", "earliest", "max.poll.records", 10)) {
            consumer.assign(List.of(partition, new TopicPartition(topic, 1)));
            assertEquals(numbers(0, 10), values(take(consumer, 10)));
            consumer.seek(partition, 50);
            assertEquals(50, consumer.position(partition));
            assertEquals(numbers(50, 60), values(take(consumer, 10)));
            assertEquals(40, consumer.currentLag(partition).orElseThrow());
            consumer.pause(List.of(partition));
            assertEquals(Set.of(partition), consumer.paused());
            assertTrue(consumer.poll(Duration.ofMillis(100)).isEmpty());
            consumer.resume(consumer.paused());
            assertEquals(numbers(60, 70), values(take(consumer, 10)));
            consumer.seekToEnd(List.of(partition));
            assertEquals(100, consumer.position(partition));
            consumer.seekToBeginning(List.of());
            assertEquals(numbers(0, 10), values(take(consumer, 10)));
            // What stays assigned goes on where it is.
            consumer.assign(List.of(partition));
            assertEquals(numbers(10, 20), values(take(consumer, 10)));
        }
    }

    @Test
    void offsetsAreFoundByEndsAndTimes() {
        String topic = name();
        TopicPartition partition = new TopicPartition(topic, 0);
        TopicPartition empty = new TopicPartition(topic, 1);
        fill(topic, 0, 20);
        try (var consumer = consumer()) {
            assertEquals(Map.of(partition, 0L, empty, 0L), consumer.beginningOffsets(List.of(partition, empty)));
            assertEquals(Map.of(partition, 20L, empty, 0L), consumer.endOffsets(List.of(partition, empty)));
            var found = consumer.offsetsForTimes(Map.of(partition, 1005L, empty, 0L));
            assertEquals(5, found.get(partition).offset());
            assertEquals(1005, found.get(partition).timestamp());
            assertNull(found.get(empty));
            assertTrue(consumer.listTopics(LONG).get(topic).size() == 2);
            assertEquals(2, consumer.partitionsFor(topic, LONG).size());
            assertThrows(RetriableException.class, () -> consumer.endOffsets(List.of(partition), Duration.ZERO));
        }
    }

    @Test
    void aGroupGoesOnWhereItsCommitsEnd() {
        String topic = name();
        String group = name();
        TopicPartition partition = new TopicPartition(topic, 0);
        fill(topic, 0, 100);
        Object[] configs = {"group.id", group, "enable.auto.commit", false, "auto.offset.reset", "earliest", "max.poll.records", 10};
        try (var consumer = consumer(configs)) {
            consumer.subscribe(List.of(topic));
            assertEquals(Set.of(topic), consumer.subscription());
            take(consumer, 10);
            consumer.commitSync();
            take(consumer, 10);
            assertEquals(10, consumer.committed(Set.of(partition)).get(partition).offset());
            assertEquals(group, consumer.groupMetadata().groupId());
            assertFalse(consumer.groupMetadata().memberId().isEmpty());
        }
        try (var consumer = consumer(configs)) {
            consumer.subscribe(List.of(topic));
            assertEquals(numbers(10, 20), values(take(consumer, 10)));
            consumer.commitSync(Map.of(partition, new OffsetAndMetadata(42, "a text")));
            assertEquals("a text", consumer.committed(Set.of(partition)).get(partition).metadata());
            List<Map<TopicPartition, OffsetAndMetadata>> told = new ArrayList<>();
            Thread own = Thread.currentThread();
            consumer.commitAsync(Map.of(partition, new OffsetAndMetadata(50)), (offsets, exception) -> {
                assertNull(exception);
                assertEquals(own, Thread.currentThread());
                told.add(offsets);
            });
            while (told.isEmpty()) {
                consumer.poll(Duration.ofMillis(10));
            }
            assertEquals(50, consumer.committed(Set.of(partition)).get(partition).offset());
        }
    }

    @Test
    void whatWasReadIsCommittedWhenAConsumerCloses() {
        String topic = name();
        Object[] configs = {"group.id", name(), "auto.offset.reset", "earliest", "max.poll.records", 10};
        fill(topic, 0, 100);
        for (int round = 0; round < 3; round++) {
            try (var consumer = consumer(configs)) {
                consumer.subscribe(List.of(topic));
                assertEquals(numbers(10 * round, 10 * round + 10), values(take(consumer, 10)));
            }
        }
    }

    /** Notes what it is told. */
    private static final class Notes implements ConsumerRebalanceListener {
        private final List<String> events = new ArrayList<>();
        private final Consumer<?, ?> commits;

        Notes(Consumer<?, ?> commits) {
            this.commits = commits;
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            events.add("revoked " + partitions.size());
            commits.commitSync();
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            events.add("assigned " + partitions.size());
        }
    }

    @Test
    void theListenerIsToldAndMayCommitBeforePartitionsGo() {
        String topic = name();
        String group = name();
        fill(topic, 0, 10);
        fill(topic, 1, 10);
        Object[] configs = {"group.id", group, "enable.auto.commit", false, "auto.offset.reset", "earliest"};
        try (var first = consumer(configs);
                var second = consumer(configs)) {
            Notes notes = new Notes(first);
            first.subscribe(List.of(topic), notes);
            take(first, 20);
            assertEquals(List.of("assigned 2"), notes.events);
            second.subscribe(List.of(topic));
            List<ConsumerRecord<String, String>> again = new ArrayList<>();
            while (second.assignment().size() != 1 || first.assignment().size() != 1) {
                first.poll(Duration.ofMillis(10)).forEach(again::add);
                second.poll(Duration.ofMillis(10)).forEach(again::add);
            }
            assertTrue(notes.events.get(1).startsWith("revoked"), notes.events.toString());
            // What was read before is committed, and nobody reads it again.
            assertEquals(List.of(), again);
            first.unsubscribe();
            assertTrue(notes.events.get(notes.events.size() - 1).startsWith("revoked"), notes.events.toString());
            assertEquals(Set.of(), first.assignment());
        }
    }

    @Test
    void whatAListenerThrowsThePollThrows() {
        String topic = name();
        fill(topic, 0, 1);
        try (var consumer = consumer("group.id", name(), "auto.offset.reset", "earliest")) {
            consumer.subscribe(List.of(topic), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {}

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
                    throw new IllegalStateException("of a test");
                }
            });
            assertEquals("of a test", assertThrows(IllegalStateException.class, () -> take(consumer, 1)).getMessage());
            assertEquals(1, take(consumer, 1).size());
        }
    }

    @Test
    void aPatternFindsTopicsByTheirWholeNames() {
        String prefix = name();
        fill(prefix + "-a", 0, 5);
        fill(prefix + "-b", 0, 5);
        fill("x" + prefix + "-a", 0, 5);
        try (var consumer = consumer("group.id", name(), "auto.offset.reset", "earliest")) {
            consumer.subscribe(Pattern.compile(prefix + "-[ab]"));
            take(consumer, 10);
            assertEquals(Set.of(prefix + "-a", prefix + "-b"), consumer.subscription());
        }
    }

    @Test
    void kafkasClassesOfAssignorsAreTakenForOurs() throws Exception {
        String kafkas = "org.apache.kafka.clients.consumer.";
        Map<Object, String> asked = Map.of(
                kafkas + "RoundRobinAssignor, range", "roundrobin",
                List.of(kafkas + "CooperativeStickyAssignor", kafkas + "RangeAssignor"), "cooperative-sticky",
                kafkas + "StickyAssignor", "sticky",
                "range", "range");
        String topic = name();
        fill(topic, 0, 1);
        for (var each : asked.entrySet()) {
            String group = name();
            try (var consumer = consumer(
                            "group.id", group, "auto.offset.reset", "earliest", "partition.assignment.strategy", each.getKey());
                    var admin = AdminClient.create(configs())) {
                consumer.subscribe(List.of(topic));
                take(consumer, 1);
                assertEquals(each.getValue(), admin.describeGroups(List.of(group)).get().get(0).assignor());
            }
        }
        var failure = assertThrows(
                InvalidConfigurationException.class,
                () -> consumer("group.id", name(), "partition.assignment.strategy", kafkas + "MyAssignor"));
        assertTrue(failure.getMessage().contains("MyAssignor"), failure.getMessage());
    }

    @Test
    void aWakeUpEndsTheWaitOfAnotherThreadOrElseTheNextOne() throws Exception {
        String topic = name();
        fill(topic, 0, 1);
        try (var consumer = reader(topic)) {
            take(consumer, 1);
            CompletableFuture<Throwable> ended = new CompletableFuture<>();
            Thread thread = new Thread(() -> {
                try {
                    consumer.poll(LONG);
                } catch (Throwable thrown) {
                    ended.complete(thrown);
                }
            });
            thread.start();
            consumer.wakeup();
            assertInstanceOf(WakeupException.class, ended.get());
            thread.join();
            consumer.wakeup();
            assertThrows(WakeupException.class, () -> consumer.poll(LONG));
            assertTrue(consumer.poll(Duration.ofMillis(20)).isEmpty());
            consumer.wakeup();
            assertThrows(WakeupException.class, consumer::listTopics);
            assertTrue(consumer.poll(Duration.ofMillis(20)).isEmpty());
        }
    }

    @Test
    void anInterruptEndsAPollAndStaysSet() throws Exception {
        String topic = name();
        fill(topic, 0, 1);
        try (var consumer = reader(topic)) {
            take(consumer, 1);
            CompletableFuture<Boolean> ended = new CompletableFuture<>();
            Thread thread = new Thread(() -> {
                try {
                    consumer.poll(LONG);
                } catch (InterruptException interrupted) {
                    ended.complete(Thread.currentThread().isInterrupted());
                }
            });
            thread.start();
            Thread.sleep(20);
            thread.interrupt();
            assertTrue(ended.get());
            thread.join();
        }
    }

    @Test
    void aSecondThreadIsRefused() throws Exception {
        String topic = name();
        fill(topic, 0, 1);
        CountDownLatch entered = new CountDownLatch(1);
        CountDownLatch leave = new CountDownLatch(1);
        Deserializer<String> slow = (of, data) -> {
            entered.countDown();
            try {
                leave.await();
            } catch (InterruptedException interrupted) {
                throw new IllegalStateException(interrupted);
            }
            return "";
        };
        var consumer = new KafkaConsumer<>(configs("auto.offset.reset", "earliest"), new StringDeserializer(), slow);
        consumer.assign(List.of(new TopicPartition(topic, 0)));
        Thread thread = new Thread(() -> consumer.poll(LONG));
        thread.start();
        entered.await();
        assertThrows(ConcurrentModificationException.class, consumer::assignment);
        leave.countDown();
        thread.join();
        consumer.close();
        consumer.close();
        assertEquals("CLOSED", assertThrows(KafkaException.class, consumer::assignment).code());
        consumer.wakeup();
    }

    @Test
    void aDeserializerThatThrowsStopsAtItsRecord() {
        String topic = name();
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var producer = producer()) {
            for (String value : List.of("0", "bad", "2")) {
                producer.send(new ProducerRecord<>(topic, 0, "k", value));
            }
        }
        Deserializer<Integer> numbers = (of, data) -> Integer.parseInt(new String(data, StandardCharsets.UTF_8));
        var configs = configs("auto.offset.reset", "earliest");
        try (var consumer = new KafkaConsumer<>(configs, new StringDeserializer(), numbers)) {
            consumer.assign(List.of(partition));
            assertEquals(0, take(consumer, 1).get(0).value());
            for (int i = 0; i < 2; i++) {
                var failure = assertThrows(RecordDeserializationException.class, () -> consumer.poll(LONG));
                assertEquals(partition, failure.topicPartition());
                assertEquals(1, failure.offset());
                assertInstanceOf(NumberFormatException.class, failure.getCause());
            }
            consumer.seek(partition, 2);
            assertEquals(2, take(consumer, 1).get(0).value());
        }
    }

    @Test
    void slicesAreReadOnlyAndStayWhatTheyWere() {
        String topic = name();
        fill(topic, 0, 2000);
        var configs = configs("auto.offset.reset", "earliest", "key.deserializer", StringDeserializer.class);
        try (var consumer = new KafkaConsumer<String, ByteBuffer>(configs, null, new ByteBufferDeserializer())) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            List<ConsumerRecord<String, ByteBuffer>> all = take(consumer, 2000);
            System.gc();
            for (int i = 0; i < all.size(); i++) {
                assertTrue(all.get(i).value().isReadOnly());
                assertEquals(Integer.toString(i), StandardCharsets.UTF_8.decode(all.get(i).value()).toString());
            }
        }
        assertThrows(IllegalArgumentException.class, () -> new IntegerDeserializer().deserialize("t", new byte[3]));
    }

    @Test
    void withoutAnOffsetAndWithoutAResetThePollSaysSo() {
        String topic = name();
        fill(topic, 0, 3);
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var consumer = consumer("auto.offset.reset", "none")) {
            consumer.assign(List.of(partition));
            assertEquals("NO_OFFSET", assertThrows(KafkaException.class, () -> consumer.poll(LONG)).code());
            consumer.seek(partition, 1);
            assertEquals(List.of("1", "2"), values(take(consumer, 2)));
        }
        try (var consumer = consumer("auto.offset.reset", "none", "group.id", name())) {
            consumer.assign(List.of(partition));
            assertEquals("NO_OFFSET", assertThrows(KafkaException.class, () -> consumer.poll(LONG)).code());
        }
    }
}
