package io.dohle;

import static java.nio.charset.StandardCharsets.UTF_8;
import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertSame;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dohle.serialization.ByteArrayDeserializer;
import io.dohle.serialization.ByteArraySerializer;
import io.dohle.serialization.IntegerSerializer;
import io.dohle.serialization.StringSerializer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collections;
import java.util.List;
import java.util.Map;
import java.util.Properties;
import java.util.Random;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;

class ProducerTest extends Fixture {
    @Test
    void whatIsSentIsReadWithKeysHeadersAndTimes() throws Exception {
        String topic = name();
        try (var producer = producer();
                var consumer = reader(topic)) {
            var record = new ProducerRecord<>(topic, 1, 1234L, "clé", "välue");
            record.headers().add("a", "1".getBytes(UTF_8)).add("none", null).add("a", new byte[0]);
            RecordMetadata at = producer.send(record).get();
            assertEquals("%s-1@0".formatted(topic), at.toString());
            assertEquals(1234, at.timestamp());
            assertEquals(List.of(4, 6), List.of(at.serializedKeySize(), at.serializedValueSize()));
            producer.send(new ProducerRecord<String, String>(topic, 1, null, null)).get();

            List<ConsumerRecord<String, String>> records = take(consumer, 2);
            var first = records.get(0);
            assertEquals(List.of("clé", "välue", 1234L, 0L), List.of(first.key(), first.value(), first.timestamp(), first.offset()));
            assertEquals("[a: 1 bytes, none: null, a: 0 bytes]", first.headers().toString());
            assertArrayEquals(new byte[0], first.headers().lastHeader("a").value());
            assertNull(first.headers().lastHeader("b"));
            assertNull(records.get(1).key());
            assertNull(records.get(1).value());
            assertEquals(-1, records.get(1).serializedValueSize());
            assertTrue(records.get(1).timestamp() > 1_600_000_000_000L);
        }
    }

    @Test
    void callbacksComeInOrderAndBeforeFlushReturns() {
        String topic = name();
        List<Long> offsets = Collections.synchronizedList(new ArrayList<>());
        try (var producer = producer("linger.ms", 1000)) {
            for (int i = 0; i < 5000; i++) {
                producer.send(new ProducerRecord<>(topic, 0, "k", "v" + i), (metadata, exception) -> offsets.add(metadata.offset()));
            }
            producer.flush();
            assertEquals(java.util.stream.LongStream.range(0, 5000).boxed().toList(), offsets);
        }
    }

    @Test
    void aCallbackThatThrowsStopsNobodyElses() throws Exception {
        String topic = name();
        try (var producer = producer()) {
            var first = producer.send(new ProducerRecord<>(topic, 0, "k", "v"), (metadata, exception) -> {
                throw new IllegalStateException("a test");
            });
            var second = producer.send(new ProducerRecord<>(topic, 0, "k", "v"));
            assertEquals(0, first.get().offset());
            assertEquals(1, second.get().offset());
        }
    }

    @Test
    void recordsOfAnySizeArrive() throws Exception {
        String topic = name();
        var configs = configs("auto.offset.reset", "earliest");
        try (var producer = new KafkaProducer<>(configs(), new ByteArraySerializer(), new ByteArraySerializer());
                var consumer = new KafkaConsumer<>(configs, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            Random random = new Random(1);
            List<byte[]> values = new ArrayList<>();
            for (int size : new int[] {0, 1, 32 << 10, (32 << 10) + 1, 900 << 10}) {
                byte[] value = new byte[size];
                random.nextBytes(value);
                values.add(value);
                producer.send(new ProducerRecord<>(topic, 0, new byte[] {7}, value));
            }
            consumer.assign(List.of(new TopicPartition(topic, 0)));
            var records = take(consumer, values.size());
            for (int i = 0; i < values.size(); i++) {
                assertArrayEquals(values.get(i), records.get(i).value());
                assertArrayEquals(new byte[] {7}, records.get(i).key());
            }
        }
    }

    @Test
    void aRecordThatIsRefusedFailsItsFutureAndTellsItsCallback() {
        try (var producer = producer("max.request.size", 1000)) {
            CompletableFuture<Exception> told = new CompletableFuture<>();
            var sent = producer.send(new ProducerRecord<>(name(), "k", "v".repeat(2000)), (metadata, exception) -> told.complete(exception));
            var failure = assertThrows(ExecutionException.class, sent::get).getCause();
            assertSame(failure, told.join());
            assertEquals(ErrorCode.MESSAGE_TOO_LARGE, assertInstanceOf(KafkaException.class, failure).code());
            assertEquals(KafkaException.Persistence.NOT_PERSISTED, ((KafkaException) failure).persistence());
            assertThrows(IllegalArgumentException.class, () -> new ProducerRecord<>("t", -1, "k", "v"));
        }
    }

    @Test
    void whenMemoryIsFullSendWaitsForRoomAndNotForLonger() throws Exception {
        String topic = name();
        fill(topic, 0, 1);
        try (var producer = producer("buffer.memory", 100_000, "batch.size", 10_000, "max.block.ms", 50)) {
            broker.addFault(Map.of("api", "Produce", "topic", topic, "count", 0, "action", Map.of("kind", "hold", "when", "before")));
            List<CompletableFuture<RecordMetadata>> sent = new ArrayList<>();
            do {
                sent.add(producer.send(new ProducerRecord<>(topic, 0, "k", "v".repeat(1000))));
            } while (!sent.get(sent.size() - 1).isCompletedExceptionally());
            var failure = assertThrows(ExecutionException.class, sent.get(sent.size() - 1)::get).getCause();
            assertEquals("MAX_BLOCK_TIMEOUT", assertInstanceOf(RetriableException.class, failure).code());
            assertEquals(KafkaException.Persistence.NOT_PERSISTED, ((KafkaException) failure).persistence());
            broker.clearFaults();
            for (int i = 0; i < sent.size() - 1; i++) {
                assertEquals(i + 1, sent.get(i).get().offset());
            }
        } finally {
            broker.clearFaults();
        }
    }

    @Test
    void manyThreadsSendThroughLittleMemory() throws Exception {
        String topic = name();
        int each = 3000;
        try (var producer = producer("buffer.memory", 65_536, "batch.size", 4096)) {
            List<Thread> threads = new ArrayList<>();
            List<CompletableFuture<RecordMetadata>> sent = Collections.synchronizedList(new ArrayList<>());
            for (int t = 0; t < 4; t++) {
                Thread thread = new Thread(() -> {
                    for (int i = 0; i < each; i++) {
                        sent.add(producer.send(new ProducerRecord<>(topic, 0, "k", "v".repeat(100))));
                    }
                });
                thread.start();
                threads.add(thread);
            }
            for (Thread thread : threads) {
                thread.join();
            }
            List<Long> offsets = new ArrayList<>();
            for (var one : sent) {
                offsets.add(one.get().offset());
            }
            Collections.sort(offsets);
            assertEquals(java.util.stream.LongStream.range(0, 4 * each).boxed().toList(), offsets);
        }
    }

    @Test
    void aFailedBatchFailsItsRecordsByClassAndPersistence() {
        String topic = name();
        fill(topic, 0, 1);
        try (var producer = producer("delivery.timeout.ms", 200, "request.timeout.ms", 100, "linger.ms", 0)) {
            broker.addFault(Map.of("api", "Produce", "topic", topic, "count", 0, "action", Map.of("kind", "hold", "when", "before")));
            var sent = producer.send(new ProducerRecord<>(topic, 0, "k", "v"));
            var failure = assertThrows(ExecutionException.class, sent::get).getCause();
            assertEquals("DELIVERY_TIMEOUT", assertInstanceOf(KafkaException.class, failure).code());
            assertEquals(KafkaException.Persistence.POSSIBLY_PERSISTED, ((KafkaException) failure).persistence());
        } finally {
            broker.clearFaults();
        }
    }

    @Test
    void useAfterCloseIsClearAndASecondCloseDoesNothing() {
        var producer = producer();
        producer.close();
        producer.close(Duration.ZERO);
        var failure = assertThrows(KafkaException.class, () -> producer.send(new ProducerRecord<>("t", "v")));
        assertEquals("CLOSED", failure.code());
        assertEquals("CLOSED", assertThrows(KafkaException.class, producer::flush).code());
    }

    @Test
    void whatACallbackMayNotDoIsRefusedInsteadOfHanging() throws Exception {
        String topic = name();
        try (var producer = producer()) {
            CompletableFuture<Throwable> thrown = new CompletableFuture<>();
            producer.send(new ProducerRecord<>(topic, "k", "v"), (metadata, exception) -> {
                try {
                    producer.flush();
                    thrown.complete(null);
                } catch (IllegalStateException refused) {
                    thrown.complete(refused);
                }
            });
            assertInstanceOf(IllegalStateException.class, thrown.get());
        }
        CountDownLatch closed = new CountDownLatch(1);
        var other = producer();
        other.send(new ProducerRecord<>(topic, "k", "v"), (metadata, exception) -> {
            other.close();
            closed.countDown();
        });
        closed.await();
    }

    @Test
    void optionsAreCheckedByNameAndSerializersTakenByKafkasNames() throws Exception {
        var unknown = assertThrows(InvalidConfigurationException.class, () -> producer("linger.msec", 5));
        assertTrue(unknown.getMessage().contains("linger.msec"), unknown.getMessage());
        var wrong = assertThrows(InvalidConfigurationException.class, () -> producer("linger.ms", "soon"));
        assertTrue(wrong.getMessage().contains("linger.ms"), wrong.getMessage());
        assertThrows(InvalidConfigurationException.class, () -> new KafkaProducer<String, String>(configs()));
        // Also when another one is missing in its place.
        Object[] security = {"security.protocol", "SASL_SSL", "sasl.mechanism", "PLAIN", "sasl.jaas.config", "x"};
        var kafkas = assertThrows(InvalidConfigurationException.class, () -> producer(security));
        assertTrue(kafkas.getMessage().startsWith("sasl.jaas.config: "), kafkas.getMessage());
        var no = assertThrows(InvalidConfigurationException.class, () -> consumer("auto.offset.reset", "by_duration:soon"));
        assertTrue(no.getMessage().startsWith("auto.offset.reset: "), no.getMessage());

        Properties properties = new Properties();
        properties.put(ProducerConfig.BOOTSTRAP_SERVERS_CONFIG, broker.address());
        properties.put(ProducerConfig.LINGER_MS_CONFIG, "1");
        properties.put(ProducerConfig.KEY_SERIALIZER_CLASS_CONFIG, "org.apache.kafka.common.serialization.StringSerializer");
        properties.put(ProducerConfig.VALUE_SERIALIZER_CLASS_CONFIG, IntegerSerializer.class);
        try (var producer = new KafkaProducer<String, Integer>(properties)) {
            assertEquals(4, producer.send(new ProducerRecord<>(name(), "k", 7)).get().serializedValueSize());
        }
    }

    @Test
    void transactionsAreSeenWhenTheyAreCommittedAndOnlyThen() {
        String topic = name();
        try (var producer = producer("transactional.id", name());
                var reader = reader(topic)) {
            producer.initTransactions();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, 0, "k", "aborted"));
            producer.abortTransaction();
            producer.beginTransaction();
            producer.send(new ProducerRecord<>(topic, 0, "k", "committed"));
            assertThrows(KafkaException.class, producer::beginTransaction);
            producer.commitTransaction();
            assertEquals(List.of("committed"), values(take(reader, 1)));
            assertThrows(KafkaException.class, producer::commitTransaction);
        }
    }

    @Test
    void offsetsAreCommittedWithinATransactionAndNotWithAnAbortedOne() {
        String topic = name();
        fill(topic, 0, 10);
        String group = name();
        TopicPartition partition = new TopicPartition(topic, 0);
        try (var producer = producer("transactional.id", name());
                var consumer = consumer("group.id", group, "enable.auto.commit", false, "auto.offset.reset", "earliest")) {
            consumer.subscribe(List.of(topic));
            take(consumer, 10);
            producer.initTransactions();
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(3)), consumer.groupMetadata());
            producer.abortTransaction();
            assertNull(consumer.committed(java.util.Set.of(partition)).get(partition));
            producer.beginTransaction();
            producer.sendOffsetsToTransaction(Map.of(partition, new OffsetAndMetadata(7, "text")), consumer.groupMetadata());
            producer.commitTransaction();
            OffsetAndMetadata committed = consumer.committed(java.util.Set.of(partition)).get(partition);
            assertEquals(7, committed.offset());
            assertEquals("text", committed.metadata());
        }
    }

    @Test
    void aTransactionOfWhichARecordFailedIsAbortedByItsCommit() {
        String topic = name();
        try (var producer = producer("transactional.id", name(), "max.request.size", 1000)) {
            producer.initTransactions();
            producer.beginTransaction();
            assertTrue(producer.send(new ProducerRecord<>(topic, 0, "k", "v".repeat(2000))).isCompletedExceptionally());
            assertThrows(TransactionAbortableException.class, producer::commitTransaction);
            producer.abortTransaction();
            producer.beginTransaction();
            producer.commitTransaction();
        }
    }

    @Test
    void theNextProducerOfATransactionalIdFencesTheOneBefore() {
        String id = name();
        try (var first = producer("transactional.id", id)) {
            first.initTransactions();
            // A producer asks for its id from the start: made beside the first one it could come before it.
            try (var second = producer("transactional.id", id)) {
                second.initTransactions();
                first.beginTransaction();
                var sent = first.send(new ProducerRecord<>(name(), "k", "v"));
                var failure = assertThrows(KafkaException.class, first::commitTransaction);
                assertTrue(failure.isFatal(), failure.toString());
                assertThrows(ExecutionException.class, sent::get);
            }
        }
    }

    @Test
    void partitionsAreToldByTheCluster() {
        String topic = name();
        fill(topic, 0, 1);
        try (var producer = new KafkaProducer<>(configs(), new StringSerializer(), new StringSerializer())) {
            List<PartitionInfo> partitions = producer.partitionsFor(topic);
            assertEquals(List.of(0, 1), partitions.stream().map(PartitionInfo::partition).toList());
            assertEquals(List.of(1), partitions.get(0).replicas());
            var failure = assertThrows(KafkaException.class, () -> producer.partitionsFor("nothing-" + name()));
            assertEquals("UNKNOWN_TOPIC_OR_PARTITION", failure.code());
        }
    }
}
