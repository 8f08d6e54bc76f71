package io.dohle;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dohle.serialization.Deserializer;
import io.dohle.serialization.StringDeserializer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.Timeout;

/** What a program's code may do where it is called, whatever it throws. */
class CallbackTest extends Fixture {
    private static final Duration LONG = Duration.ofHours(1);

    /** A listener of two lambdas. */
    private record Listener(java.util.function.Consumer<Collection<TopicPartition>> assigned, java.util.function.Consumer<Collection<TopicPartition>> revoked)
            implements ConsumerRebalanceListener {
        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> partitions) {
            assigned.accept(partitions);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
            revoked.accept(partitions);
        }
    }

    private static KafkaConsumer<String, String> member(String topic) {
        fill(topic, 0, 10);
        return consumer(
                "group.id", topic, "auto.offset.reset", "earliest", "enable.auto.commit", false, "default.api.timeout.ms", 900_000);
    }

    private static void assertClosed(Runnable use) {
        assertEquals("CLOSED", assertThrows(KafkaException.class, use::run).code());
    }

    @Test
    void aListenerMayCommitWhileItsConsumerCloses() {
        String topic = name();
        TopicPartition partition = new TopicPartition(topic, 0);
        List<Object> seen = new ArrayList<>();
        try (var consumer = member(topic)) {
            consumer.subscribe(List.of(topic), new Listener(partitions -> {}, partitions -> {
                consumer.commitSync(Map.of(partition, new OffsetAndMetadata(7)));
                seen.add(consumer.committed(Set.of(partition)).get(partition).offset());
                seen.add(consumer.position(partition));
            }));
            take(consumer, 10);
            // As who ends a loop does, which is not in a poll just now.
            consumer.wakeup();
        }
        assertEquals(List.of(7L, 10L), seen);
        try (var next = member(topic)) {
            assertEquals(7, next.committed(Set.of(partition)).get(partition).offset());
        }
    }

    /** Long before the time that a close has is over. */
    @Test
    @Timeout(300)
    void aListenerMayCloseItsConsumerAndSoMayADeserializerAndACommitsCallback() {
        String topic = name();
        var first = member(topic);
        first.subscribe(List.of(topic), new Listener(partitions -> first.close(), partitions -> first.close()));
        assertClosed(() -> take(first, 1));
        var second = member(topic);
        second.subscribe(List.of(topic), new Listener(partitions -> {}, partitions -> second.close()));
        take(second, 10);
        second.close();
        assertClosed(() -> second.poll(Duration.ZERO));
        var third = member(topic);
        third.subscribe(List.of(topic), new Listener(partitions -> {}, partitions -> third.close()));
        take(third, 10);
        third.unsubscribe();
        assertClosed(() -> third.poll(Duration.ZERO));
        var fourth = member(topic);
        fourth.subscribe(List.of(topic));
        take(fourth, 10);
        fourth.commitAsync((offsets, exception) -> fourth.close());
        assertClosed(() -> take(fourth, 1));
        var fifth = new CompletableFuture<KafkaConsumer<String, String>>();
        Deserializer<String> closes = (of, data) -> {
            fifth.join().close();
            return "closed";
        };
        fifth.complete(new KafkaConsumer<>(configs("auto.offset.reset", "earliest"), new StringDeserializer(), closes));
        fifth.join().assign(List.of(new TopicPartition(topic, 0)));
        assertClosed(() -> {
            take(fifth.join(), 1);
            fifth.join().poll(LONG);
        });
    }

    @Test
    void anErrorOfAListenerIsThrownByThePollAndByTheClose() {
        String topic = name();
        var consumer = member(topic);
        consumer.subscribe(List.of(topic), new Listener(
                partitions -> {
                    throw new AssertionError("assigned");
                },
                partitions -> {
                    throw new StackOverflowError("revoked");
                }));
        assertEquals("assigned", assertThrows(AssertionError.class, () -> take(consumer, 1)).getMessage());
        take(consumer, 10);
        assertEquals("revoked", assertThrows(StackOverflowError.class, consumer::close).getMessage());
        assertClosed(() -> consumer.poll(Duration.ZERO));
    }

    @Test
    void anErrorOfADeserializerLosesNoRecords() {
        String topic = name();
        fill(topic, 0, 10);
        AtomicInteger calls = new AtomicInteger();
        Deserializer<String> throwing = (of, data) -> {
            int call = calls.incrementAndGet();
            if (call == 1 || call == 5) {
                throw new StackOverflowError("of a test");
            }
            return new String(data, java.nio.charset.StandardCharsets.UTF_8);
        };
        try (var consumer = new KafkaConsumer<>(configs("auto.offset.reset", "earliest"), new StringDeserializer(), throwing)) {
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            assertThrows(StackOverflowError.class, () -> take(consumer, 1));
            assertEquals(IntStream.range(0, 10).mapToObj(Integer::toString).toList(), values(take(consumer, 10)));
        }
    }

    @Test
    void anErrorOfACallbackStopsNobodyElses() {
        String topic = name();
        try (var producer = producer("linger.ms", 50)) {
            List<CompletableFuture<RecordMetadata>> sent = new ArrayList<>();
            for (int i = 0; i < 10; i++) {
                int number = i;
                sent.add(producer.send(new ProducerRecord<>(topic, 0, "k", "v"), (metadata, exception) -> {
                    if (number % 2 == 0) {
                        throw new StackOverflowError("of a test");
                    }
                }));
            }
            producer.flush();
            assertTrue(sent.stream().allMatch(each -> each.join().hasOffset()));
        }
    }
}
