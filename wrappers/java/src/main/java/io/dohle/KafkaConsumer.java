package io.dohle;

import io.dohle.internal.Engine;
import io.dohle.internal.Failures;
import io.dohle.internal.Json;
import io.dohle.serialization.Deserializer;
import java.lang.ref.Reference;
import java.time.Duration;
import java.util.Collection;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.concurrent.TimeUnit;
import java.util.function.Supplier;
import java.util.regex.Pattern;

/**
 * The consumer, with the methods of Kafka's own.
 *
 * <p>Fetching, decompression, heartbeats and automatic commits are the engine's, on its own threads: a slow loop loses nothing but
 * its place in the group, after {@code max.poll.interval.ms}. One that its program has lost is closed when it is collected.
 *
 * <pre>{@code
 * try (var consumer = new KafkaConsumer<>(configs, new StringDeserializer(), new StringDeserializer())) {
 *     consumer.subscribe(List.of("orders"));
 *     while (running) {
 *         for (var record : consumer.poll(Duration.ofSeconds(1))) System.out.println(record.value());
 *     }
 * }
 * }</pre>
 *
 * @param <K> type of keys
 * @param <V> type of values
 */
public final class KafkaConsumer<K, V> implements Consumer<K, V> {
    /** How long one native wait takes at most, in milliseconds: so soon an interrupt is seen. */
    private static final long LONGEST_WAIT = 100;

    private final Deserializer<K> keys;
    private final Deserializer<V> values;
    private final ConsumerState state;
    private final ConsumerQuestions questions;
    private final OneThread thread = new OneThread();

    /**
     * A consumer whose deserializers are among the options.
     *
     * @param configs options by Kafka's names ({@link ConsumerConfig}); a {@code java.util.Properties} too
     * @throws InvalidConfigurationException an option is unknown or wrong
     */
    public KafkaConsumer(Map<?, ?> configs) {
        this(configs, null, null);
    }

    /**
     * A consumer.
     *
     * @param configs options by Kafka's names ({@link ConsumerConfig}); a {@code java.util.Properties} too
     * @param keyDeserializer for keys; null: it is among the options
     * @param valueDeserializer for values; null: it is among the options
     * @throws InvalidConfigurationException an option is unknown or wrong
     */
    @SuppressWarnings("unchecked")
    public KafkaConsumer(Map<?, ?> configs, Deserializer<K> keyDeserializer, Deserializer<V> valueDeserializer) {
        Settings settings = new Settings(configs);
        Map<String, Object> all = settings.copy();
        keys = settings.made(keyDeserializer, "key.deserializer", Deserializer.class, true);
        values = settings.made(valueDeserializer, "value.deserializer", Deserializer.class, false);
        if (keyDeserializer == null) {
            keys.configure(all, true);
        }
        if (valueDeserializer == null) {
            values.configure(all, false);
        }
        state = new ConsumerState(settings);
        questions = new ConsumerQuestions(state);
        Engine.CLEANER.register(this, state);
    }

    // ---- one thread at a time ---------------------------------------------------------------------------------------

    /** Runs what one thread at a time may do, and nobody once it is closed. */
    private <T> T alone(Supplier<T> work) {
        thread.enter();
        try {
            if (state.closed) {
                throw Failures.closed("consumer");
            }
            return work.get();
        } finally {
            thread.leave();
            // Not collected, and so not closed, while it is used.
            Reference.reachabilityFence(this);
        }
    }

    private Object invoke(String operation, String request) {
        return alone(() -> Engine.invoke(state.handle, operation, request));
    }

    /** Calls and waits; a wake-up ends the wait, and with it the call. */
    private Object call(String operation, String request, Duration limit) {
        return alone(() -> state.await(Engine.call(state.handle, operation, request), limit));
    }

    // ---- what is read ------------------------------------------------------------------------------------------------

    @Override
    public Set<TopicPartition> assignment() {
        return alone(state::assignment);
    }

    @Override
    public Set<String> subscription() {
        Set<String> names = new LinkedHashSet<>();
        ((List<?>) invoke("consumer.subscription", "{}")).forEach(name -> names.add((String) name));
        return names;
    }

    @Override
    public void subscribe(Collection<String> topics) {
        subscribe(topics, null);
    }

    @Override
    public void subscribe(Collection<String> topics, ConsumerRebalanceListener listener) {
        if (topics.isEmpty()) {
            unsubscribe();
            return;
        }
        alone(() -> {
            Engine.invoke(state.handle, "consumer.subscribe", Json.of("topics", List.copyOf(new LinkedHashSet<>(topics))));
            return state.listener = listener;
        });
    }

    @Override
    public void subscribe(Pattern pattern) {
        subscribe(pattern, null);
    }

    @Override
    public void subscribe(Pattern pattern, ConsumerRebalanceListener listener) {
        alone(() -> {
            state.subscribe(pattern, listener);
            return null;
        });
    }

    @Override
    public void assign(Collection<TopicPartition> partitions) {
        if (partitions.isEmpty()) {
            unsubscribe();
            return;
        }
        alone(() -> {
            state.assign(new LinkedHashSet<>(partitions));
            return null;
        });
    }

    @Override
    public void unsubscribe() {
        alone(() -> {
            state.unsubscribe();
            return null;
        });
    }

    // ---- reading -----------------------------------------------------------------------------------------------------

    @Override
    public ConsumerRecords<K, V> poll(Duration timeout) {
        if (timeout.isNegative()) {
            throw new IllegalArgumentException("timeout: " + timeout + " is below 0");
        }
        return alone(() -> {
            long deadline = System.nanoTime() + Math.min(Engine.nanos(timeout), Long.MAX_VALUE / 2);
            while (true) {
                state.told();
                if (Thread.interrupted()) {
                    throw new InterruptException(new InterruptedException("interrupted before or during a poll"));
                }
                long left = Math.max(0, deadline - System.nanoTime());
                // Rounded up: a wait that ends a little early would only begin anew.
                long wait = Math.min(TimeUnit.NANOSECONDS.toMillis(left + 999_999), LONGEST_WAIT);
                Page page = state.poll(wait);
                if (page != null) {
                    return new Batch<>(keys, values, state).read(page);
                }
                if (left == 0) {
                    return ConsumerRecords.empty();
                }
            }
        });
    }

    // ---- offsets -----------------------------------------------------------------------------------------------------

    @Override
    public void commitSync() {
        commit(null, null);
    }

    @Override
    public void commitSync(Duration timeout) {
        commit(null, timeout);
    }

    @Override
    public void commitSync(Map<TopicPartition, OffsetAndMetadata> offsets) {
        commit(offsets, null);
    }

    @Override
    public void commitSync(Map<TopicPartition, OffsetAndMetadata> offsets, Duration timeout) {
        commit(offsets, timeout);
    }

    private void commit(Map<TopicPartition, OffsetAndMetadata> offsets, Duration timeout) {
        alone(() -> {
            state.told();
            state.finish();
            return call("consumer.commit", asked(offsets), timeout);
        });
    }

    private static String asked(Map<TopicPartition, OffsetAndMetadata> offsets) {
        return Json.of("offsets", offsets == null ? null : Places.committed(offsets));
    }

    @Override
    public void commitAsync() {
        commitAsync(null, null);
    }

    @Override
    public void commitAsync(OffsetCommitCallback callback) {
        commitAsync(null, callback);
    }

    @Override
    public void commitAsync(Map<TopicPartition, OffsetAndMetadata> offsets, OffsetCommitCallback callback) {
        alone(() -> {
            state.finish();
            state.commit(offsets == null ? Map.of() : Map.copyOf(offsets), asked(offsets), callback);
            return null;
        });
    }

    @Override
    public void seek(TopicPartition partition, long offset) {
        if (offset < 0) {
            throw new IllegalArgumentException("offset: " + offset + " is below 0");
        }
        seek(partition, "offset", offset);
    }

    @Override
    public void seek(TopicPartition partition, OffsetAndMetadata offset) {
        seek(partition, offset.offset());
    }

    @Override
    public void seekToBeginning(Collection<TopicPartition> partitions) {
        alone(() -> {
            (partitions.isEmpty() ? assignment() : partitions).forEach(each -> seek(each, "earliest", null));
            return null;
        });
    }

    @Override
    public void seekToEnd(Collection<TopicPartition> partitions) {
        alone(() -> {
            (partitions.isEmpty() ? assignment() : partitions).forEach(each -> seek(each, "latest", null));
            return null;
        });
    }

    private void seek(TopicPartition partition, String kind, Long offset) {
        alone(() -> {
            state.seek(partition, kind, offset);
            return null;
        });
    }

    @Override
    public long position(TopicPartition partition) {
        return position(partition, state.apiTimeout());
    }

    @Override
    public long position(TopicPartition partition, Duration timeout) {
        return alone(() -> questions.position(partition, timeout));
    }

    @Override
    public Map<TopicPartition, OffsetAndMetadata> committed(Set<TopicPartition> partitions) {
        return committed(partitions, null);
    }

    @Override
    public Map<TopicPartition, OffsetAndMetadata> committed(Set<TopicPartition> partitions, Duration timeout) {
        return alone(() -> questions.committed(partitions, timeout));
    }

    @Override
    public Map<TopicPartition, OffsetAndTimestamp> offsetsForTimes(Map<TopicPartition, Long> timestamps) {
        return offsetsForTimes(timestamps, null);
    }

    @Override
    public Map<TopicPartition, OffsetAndTimestamp> offsetsForTimes(Map<TopicPartition, Long> timestamps, Duration timeout) {
        return alone(() -> questions.offsetsForTimes(timestamps, timeout));
    }

    @Override
    public Map<TopicPartition, Long> beginningOffsets(Collection<TopicPartition> partitions) {
        return beginningOffsets(partitions, null);
    }

    @Override
    public Map<TopicPartition, Long> beginningOffsets(Collection<TopicPartition> partitions, Duration timeout) {
        return alone(() -> questions.ends(partitions, "earliest", timeout));
    }

    @Override
    public Map<TopicPartition, Long> endOffsets(Collection<TopicPartition> partitions) {
        return endOffsets(partitions, null);
    }

    @Override
    public Map<TopicPartition, Long> endOffsets(Collection<TopicPartition> partitions, Duration timeout) {
        return alone(() -> questions.ends(partitions, "latest", timeout));
    }

    @Override
    public OptionalLong currentLag(TopicPartition partition) {
        Long lag = alone(() -> state.number("consumer.lag", partition));
        return lag == null ? OptionalLong.empty() : OptionalLong.of(lag);
    }

    // ---- the cluster, the group --------------------------------------------------------------------------------------

    @Override
    public List<PartitionInfo> partitionsFor(String topic) {
        return partitionsFor(topic, null);
    }

    @Override
    public List<PartitionInfo> partitionsFor(String topic, Duration timeout) {
        return alone(() -> questions.partitionsFor(topic, timeout));
    }

    @Override
    public Map<String, List<PartitionInfo>> listTopics() {
        return listTopics(null);
    }

    @Override
    public Map<String, List<PartitionInfo>> listTopics(Duration timeout) {
        return alone(() -> questions.topics(timeout));
    }

    @Override
    public Set<TopicPartition> paused() {
        return Places.set(invoke("consumer.paused", "{}"));
    }

    @Override
    public void pause(Collection<TopicPartition> partitions) {
        invoke("consumer.pause", Json.of("partitions", Places.partitions(partitions)));
    }

    @Override
    public void resume(Collection<TopicPartition> partitions) {
        invoke("consumer.resume", Json.of("partitions", Places.partitions(partitions)));
    }

    @Override
    public ConsumerGroupMetadata groupMetadata() {
        return alone(questions::group);
    }

    @Override
    public void wakeup() {
        state.wakeup();
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
        thread.enter();
        try {
            if (!state.closing()) {
                try {
                    state.close(timeoutMs);
                } finally {
                    keys.close();
                    values.close();
                }
            }
        } finally {
            thread.leave();
            Reference.reachabilityFence(this);
        }
    }
}
