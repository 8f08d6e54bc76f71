package io.dohle;

import io.dohle.internal.Engine;
import io.dohle.internal.Failures;
import io.dohle.internal.Json;
import io.dohle.serialization.Serializer;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * The producer, with the methods of Kafka's own and {@link CompletableFuture}.
 *
 * <p>Idempotent and with {@code acks=all} unless it is told otherwise. Close it: what was not sent is lost when the JVM ends. One that its
 * program has lost is closed when it is collected, after what it has was sent.
 *
 * <pre>{@code
 * try (var producer = new KafkaProducer<>(Map.of("bootstrap.servers", "localhost:9092"), new StringSerializer(), new StringSerializer())) {
 *     producer.send(new ProducerRecord<>("orders", "key", "value"), (metadata, exception) -> System.out.println(metadata));
 * }
 * }</pre>
 *
 * @param <K> type of keys
 * @param <V> type of values
 */
public final class KafkaProducer<K, V> implements Producer<K, V> {
    private final Serializer<K> keys;
    private final Serializer<V> values;
    private final boolean headers;
    private final State state;
    private boolean initialised;
    private boolean aborted;

    /**
     * A producer whose serializers are among the options.
     *
     * @param configs options by Kafka's names ({@link ProducerConfig}); a {@code java.util.Properties} too
     * @throws InvalidConfigurationException an option is unknown or wrong
     */
    public KafkaProducer(Map<?, ?> configs) {
        this(configs, null, null);
    }

    /**
     * A producer.
     *
     * @param configs options by Kafka's names ({@link ProducerConfig}); a {@code java.util.Properties} too
     * @param keySerializer for keys; null: it is among the options
     * @param valueSerializer for values; null: it is among the options
     * @throws InvalidConfigurationException an option is unknown or wrong
     */
    @SuppressWarnings("unchecked")
    public KafkaProducer(Map<?, ?> configs, Serializer<K> keySerializer, Serializer<V> valueSerializer) {
        Settings settings = new Settings(configs);
        Map<String, Object> all = settings.copy();
        keys = settings.made(keySerializer, "key.serializer", Serializer.class, true);
        values = settings.made(valueSerializer, "value.serializer", Serializer.class, false);
        if (keySerializer == null) {
            keys.configure(all, true);
        }
        if (valueSerializer == null) {
            values.configure(all, false);
        }
        headers = keys.usesHeaders() || values.usesHeaders();
        state = new State(settings);
        Engine.CLEANER.register(this, state);
    }

    /** What is left to be closed when the producer is collected: it must not lead to it. */
    private static final class State implements Runnable {
        private final int client;
        private final int handle;
        private final Outbox outbox;

        State(Settings settings) {
            long maxBlockMs = settings.number("max.block.ms", 60_000, 0);
            client = settings.openClient();
            try {
                handle = Engine.open("producer", client, settings.own());
            } catch (RuntimeException failure) {
                Engine.call(client, "client.close", "{}");
                throw failure;
            }
            outbox = new Outbox(handle, maxBlockMs);
            Engine.tell(handle, outbox);
            // What the client has to say (a panic) is for its producer.
            Engine.tell(client, outbox);
        }

        @Override
        public void run() {
            close((Long) null);
        }

        CompletableFuture<Void> close(Long timeoutMs) {
            outbox.close();
            return Engine.call(handle, "producer.close", Json.of("timeoutMs", timeoutMs))
                    .handle((response, failure) -> {
                        outbox.end(Failures.closed("producer"));
                        outbox.free();
                        Engine.tell(handle, null);
                        Engine.tell(client, null);
                        return Engine.call(client, "client.close", "{}");
                    })
                    .thenCompose(done -> done)
                    .handle((response, failure) -> null);
        }
    }

    @Override
    public CompletableFuture<RecordMetadata> send(ProducerRecord<K, V> record) {
        return send(record, null);
    }

    @Override
    public CompletableFuture<RecordMetadata> send(ProducerRecord<K, V> record, Callback callback) {
        String topic = record.topic();
        byte[] key;
        byte[] value;
        if (headers) {
            key = keys.serialize(topic, record.headers(), record.key());
            value = values.serialize(topic, record.headers(), record.value());
        } else {
            key = keys.serialize(topic, record.key());
            value = values.serialize(topic, record.value());
        }
        int partition = record.partition() == null ? -1 : record.partition();
        long timestamp = record.timestamp() == null ? System.currentTimeMillis() : record.timestamp();
        Outbox.Sent sent = new Outbox.Sent(topic, partition, timestamp, key, value, callback);
        try {
            state.outbox.send(sent, key, value, record.packedHeaders());
        } finally {
            // Not collected, and so not closed, while it is used.
            Reference.reachabilityFence(this);
        }
        return sent;
    }

    @Override
    public void flush() {
        call("producer.flush", "{}");
    }

    @Override
    public List<PartitionInfo> partitionsFor(String topic) {
        String request = Json.of("topics", List.of(topic));
        return Settings.partitions(((List<?>) Engine.await(Engine.call(state.client, "admin.describeTopics", request))).get(0));
    }

    @Override
    public synchronized void initTransactions() {
        if (!initialised) {
            // The engine asks for the id from the start; the first transaction waits for it.
            call("producer.beginTransaction", "{}");
            call("producer.abortTransaction", "{}");
            initialised = true;
        }
    }

    @Override
    public void beginTransaction() {
        call("producer.beginTransaction", "{}");
        aborted = false;
    }

    @Override
    public void sendOffsetsToTransaction(
            Map<TopicPartition, OffsetAndMetadata> offsets, ConsumerGroupMetadata group) {
        Map<String, Object> identity = Json.map(
                "groupId",
                group.groupId(),
                "generation",
                group.generationId() < 0 ? null : group.generationId(),
                "memberId",
                group.memberId().isEmpty() ? null : group.memberId(),
                "groupInstanceId",
                group.groupInstanceId().orElse(null));
        call("producer.commitOffsets", Json.of("offsets", Places.committed(offsets), "group", identity));
    }

    @Override
    public void commitTransaction() {
        try {
            call("producer.commitTransaction", "{}");
        } catch (KafkaException failure) {
            aborted = failure.isAbortable();
            throw failure;
        }
    }

    @Override
    public void abortTransaction() {
        if (aborted) {
            aborted = false;
            return;
        }
        call("producer.abortTransaction", "{}");
    }

    private void call(String operation, String request) {
        try {
            Engine.await(Engine.call(state.handle, operation, request));
        } finally {
            Reference.reachabilityFence(this);
        }
    }

    @Override
    public void close() {
        close((Long) null);
    }

    @Override
    public void close(Duration timeout) {
        if (timeout.isNegative()) {
            throw new IllegalArgumentException("timeout: " + timeout + " is below 0");
        }
        close(Engine.millis(timeout));
    }

    private void close(Long timeoutMs) {
        CompletableFuture<Void> closed = state.close(timeoutMs);
        try {
            // Within a callback it is closed by and by: waiting would keep the engine from telling that it is.
            if (!Engine.isPump()) {
                closed.get();
            }
        } catch (InterruptedException interrupted) {
            throw new InterruptException(interrupted);
        } catch (java.util.concurrent.ExecutionException impossible) {
            throw new IllegalStateException(impossible);
        } finally {
            keys.close();
            values.close();
        }
    }
}
