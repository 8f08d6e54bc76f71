package io.dohle;

import io.dohle.internal.Engine;
import io.dohle.internal.Failures;
import io.dohle.internal.Json;
import io.dohle.internal.Native;
import io.dohle.internal.NativeFailure;
import io.dohle.internal.Values;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.HashSet;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.regex.Pattern;

/**
 * What a consumer has of the engine: its reader, its questions and answers, and who waits. Does not lead to the consumer, so that one that its
 * program has lost can be collected; then {@link #run} closes it.
 */
final class ConsumerState implements Engine.Receiver, Runnable {
    /** Where partitions begin that {@code assign} names. */
    interface Start {
        Map<String, Object> of(TopicPartition partition);
    }

    final int client;
    final int handle;
    final int maxPollRecords;
    final boolean readCommitted;
    final Start start;
    /** Whether a partition without an offset is an error, and those that {@code assign} has left without one. */
    final boolean placesNeeded;
    final Set<TopicPartition> unplaced = new HashSet<>();
    volatile boolean closed;
    private boolean closing;
    private Long closeTimeoutMs;
    private boolean unsubscribing;
    /** Of the engine; not to be used once the consumer is closed, which a callback may do in the middle of a poll. */
    private final long reader;
    volatile ConsumerRebalanceListener listener;
    volatile Pattern pattern;
    /** What the pump leaves for the thread that polls. */
    private final ConcurrentLinkedQueue<Runnable> left = new ConcurrentLinkedQueue<>();
    private final Object[] out = new Object[4];
    private final Map<String, String> names = new HashMap<>();
    private final long apiTimeoutMs;
    private RuntimeException later;
    /** The call that is waited for, so that a wake-up can end it. Guarded by this. */
    private CompletableFuture<String> waiting;
    /** Guarded by this. */
    private boolean woken;

    ConsumerState(Settings settings) {
        maxPollRecords = (int) Math.min(settings.number("max.poll.records", 500, 1), Integer.MAX_VALUE);
        settings.take("max.poll.records");
        apiTimeoutMs = settings.number("default.api.timeout.ms", 60_000, 1);
        readCommitted = "read_committed".equals(String.valueOf(settings.all().get("isolation.level")));
        placesNeeded = settings.all().get("group.id") == null && "none".equals(settings.all().get("auto.offset.reset"));
        client = settings.openClient();
        try {
            handle = Engine.open("consumer", client, settings.own());
        } catch (RuntimeException failure) {
            Engine.call(client, "client.close", "{}");
            throw failure;
        }
        // What is wrong in them, the engine has told.
        start = start(settings.all());
        reader = Native.reader(handle);
        Engine.tell(handle, this);
    }

    private static Start start(Map<String, Object> options) {
        if (options.get("group.id") != null) {
            return partition -> Places.start(partition, "committed", null);
        }
        String reset = String.valueOf(options.getOrDefault("auto.offset.reset", "latest"));
        String ago = "by_duration:";
        if (reset.startsWith(ago)) {
            Duration duration = Duration.parse(reset.substring(ago.length()));
            return partition -> Places.since(partition, System.currentTimeMillis() - duration.toMillis());
        }
        return partition -> Places.start(partition, reset.equals("earliest") ? "earliest" : "latest", null);
    }

    private long reader() {
        if (closed) {
            throw Failures.closed("consumer");
        }
        return reader;
    }

    /** What was given so far is done, and a commit covers it. */
    void finish() {
        Native.finish(reader());
    }

    Duration apiTimeout() {
        return Duration.ofMillis(apiTimeoutMs);
    }

    // ---- what is read ------------------------------------------------------------------------------------------------

    Set<TopicPartition> assignment() {
        return Places.set(Engine.invoke(handle, "consumer.assignment", "{}"));
    }

    void subscribe(Pattern asked, ConsumerRebalanceListener told) {
        // Java matches, and brokers that can (KIP-848) when the flags mean the same to them.
        boolean ignoreCase = asked.flags() == Pattern.CASE_INSENSITIVE;
        String source = asked.flags() == 0 || ignoreCase ? "^(?:" + asked.pattern() + ")$" : null;
        pattern = asked;
        listener = told;
        Map<String, Object> of = Json.map("source", source, "ignoreCase", ignoreCase);
        Engine.invoke(handle, "consumer.subscribe", Json.of("topics", List.of(), "pattern", of));
    }

    /** Those that it has already go on where they are. */
    void assign(Set<TopicPartition> partitions) {
        finish();
        Set<TopicPartition> before = assignment();
        List<Object> places = new ArrayList<>();
        unplaced.retainAll(before);
        for (TopicPartition each : partitions) {
            Long at = before.contains(each) ? position(each) : null;
            if (placesNeeded && !before.contains(each)) {
                unplaced.add(each);
            }
            places.add(at == null ? start.of(each) : Places.start(each, "offset", at));
        }
        Engine.invoke(handle, "consumer.assign", Json.of("partitions", places));
        unplaced.retainAll(partitions);
        listener = null;
    }

    void seek(TopicPartition partition, String kind, Long offset) {
        Engine.invoke(handle, "consumer.seek", Json.of("to", Places.start(partition, kind, offset)));
        unplaced.remove(partition);
    }

    /** Null: it is not known yet. */
    Long position(TopicPartition partition) {
        return number("consumer.position", partition);
    }

    /** What the engine knows of a partition. */
    Long number(String operation, TopicPartition partition) {
        return Places.number(Engine.invoke(handle, operation, Json.write(Values.writeTopicPartition(partition))));
    }

    // ---- reading -----------------------------------------------------------------------------------------------------

    /** One wait of at most so many milliseconds; null: no records came. */
    Page poll(long waitMs) {
        if (later != null) {
            RuntimeException thrown = later;
            later = null;
            throw thrown;
        }
        woken();
        if (!unplaced.isEmpty()) {
            throw new ApplicationRecoverableException(
                    "there is no offset to begin at, and auto.offset.reset is none: seek first in " + unplaced,
                    KafkaException.Facts.of("NO_OFFSET"),
                    null);
        }
        try {
            switch (Native.poll(reader(), waitMs, maxPollRecords, out)) {
                case Native.PAGE:
                    return page();
                case Native.QUESTION:
                    ask();
                    break;
                case Native.WOKEN:
                    woken();
                    break;
                default:
                    break;
            }
            return null;
        } catch (NativeFailure failure) {
            throw Failures.of(failure);
        }
    }

    /** Records that are here already. What is wrong is thrown by the next poll: this one has records to give. */
    Page more(int most) {
        try {
            return Native.more(reader(), most, out) == Native.PAGE ? page() : null;
        } catch (NativeFailure failure) {
            later = Failures.of(failure);
            return null;
        }
    }

    private Page page() {
        long[] facts = (long[]) out[2];
        // One string for all records of a topic.
        String topic = names.computeIfAbsent((String) out[3], name -> name);
        Page page = new Page(new TopicPartition(topic, (int) facts[0]), (byte[]) out[0], (int[]) out[1], facts);
        java.util.Arrays.fill(out, null);
        return page;
    }

    /** Has the listener answer the question that a wait ended with. What it throws, the poll throws. */
    private void ask() {
        String question = (String) out[0];
        out[0] = null;
        Throwable[] thrown = new Throwable[1];
        Engine.answer(
                new Engine.Receiver() {
                    @Override
                    public Object question(String name, Map<String, Object> request) {
                        try {
                            told(name, Places.set(request.get("partitions")));
                        } catch (Throwable failure) {
                            thrown[0] = failure;
                        }
                        return null;
                    }
                },
                question);
        ConsumerState.<RuntimeException>thrown(thrown[0]);
    }

    /** Throws what a program's code has thrown, if it has; in languages without checked exceptions that may be any. */
    @SuppressWarnings("unchecked")
    static <T extends Throwable> void thrown(Throwable thrown) throws T {
        if (thrown != null) {
            throw (T) thrown;
        }
    }

    private void told(String name, Collection<TopicPartition> partitions) {
        ConsumerRebalanceListener asked = listener;
        if (asked == null) {
            return;
        }
        switch (name) {
            case "assigned" -> asked.onPartitionsAssigned(partitions);
            case "revoke" -> asked.onPartitionsRevoked(partitions);
            default -> asked.onPartitionsLost(partitions);
        }
    }

    /** Runs what the pump has left: callbacks of commits, and news of partitions that are lost. */
    void told() {
        for (Runnable next = left.poll(); next != null; next = left.poll()) {
            next.run();
        }
    }

    // ---- waiting -----------------------------------------------------------------------------------------------------

    void wakeup() {
        synchronized (this) {
            if (closing) {
                return;
            }
            woken = true;
            if (waiting != null) {
                waiting.completeExceptionally(new WakeupException());
            }
        }
        try {
            Native.wake(handle);
        } catch (NativeFailure gone) {
            // It is closed: nobody waits.
        }
    }

    /** Throws if somebody has woken it; that counts once. */
    synchronized void woken() {
        if (woken) {
            woken = false;
            throw new WakeupException();
        }
    }

    /** Waits for a call; null: for as long as it takes by itself. */
    Object await(CompletableFuture<String> call, Duration limit) {
        synchronized (this) {
            if (woken) {
                call.cancel(false);
            }
            woken();
            waiting = call;
        }
        try {
            return Engine.await(call, limit);
        } catch (WakeupException failure) {
            synchronized (this) {
                woken = false;
            }
            throw new WakeupException();
        } finally {
            synchronized (this) {
                waiting = null;
            }
        }
    }

    void unsubscribe() {
        finish();
        unplaced.clear();
        unsubscribing = true;
        try {
            leave(Engine.call(handle, "consumer.unsubscribe", "{}"));
        } finally {
            unsubscribing = false;
            listener = null;
            if (closing) {
                close(closeTimeoutMs);
            }
        }
    }

    /** Waits for a call that leaves the group: its listener is asked meanwhile, and no wake-up ends it. */
    private void leave(CompletableFuture<String> call) {
        Throwable thrown = null;
        try {
            while (!call.isDone()) {
                if (Native.question(handle, 10, out) == Native.QUESTION) {
                    try {
                        ask();
                    } catch (Throwable failure) {
                        thrown = failure;
                    }
                }
            }
        } catch (NativeFailure gone) {
            // It is closed: there are no more questions.
        }
        Engine.await(call);
        told();
        ConsumerState.<RuntimeException>thrown(thrown);
    }

    void commit(Map<TopicPartition, OffsetAndMetadata> offsets, String request, OffsetCommitCallback callback) {
        Engine.call(handle, "consumer.commit", request).whenComplete((response, failure) -> {
            if (callback != null) {
                RuntimeException why = failure == null ? null : Engine.exception(failure);
                left.add(() -> callback.onComplete(offsets, why));
            }
        });
    }

    // ---- the pump ----------------------------------------------------------------------------------------------------

    @Override
    public Object question(String name, Map<String, Object> request) {
        Pattern asked = pattern;
        if (!name.equals("match") || asked == null) {
            throw new IllegalStateException("nobody answers the question " + name);
        }
        return ((List<?>) request.get("topics"))
                .stream().filter(topic -> asked.matcher((String) topic).matches()).toList();
    }

    @Override
    public void event(String name, Map<String, Object> event) {
        if (name.equals("lost")) {
            Collection<TopicPartition> partitions = Places.set(event.get("partitions"));
            left.add(() -> told(name, partitions));
        }
    }

    // ---- the end -----------------------------------------------------------------------------------------------------

    /** A listener may close it while it is being closed. */
    boolean closing() {
        return closing;
    }

    void close(Long timeoutMs) {
        synchronized (this) {
            // As in Kafka's client: what listeners do from here on is not woken.
            closing = true;
            woken = false;
        }
        closeTimeoutMs = timeoutMs;
        if (unsubscribing) {
            // By a listener, for whose answer the engine waits: it is closed when that has come.
            return;
        }
        finish();
        try {
            leave(Engine.call(handle, "consumer.close", Json.of("timeoutMs", timeoutMs)));
        } catch (RetriableException late) {
            // Who gives no time has asked for that.
            if (timeoutMs == null || timeoutMs != 0) {
                throw late;
            }
        } finally {
            end();
            Engine.await(Engine.call(client, "client.close", "{}"));
        }
    }

    private void end() {
        closed = true;
        Native.freeReader(reader);
        Engine.tell(handle, null);
    }

    /** The consumer was collected: nobody can use the reader any more. */
    @Override
    public void run() {
        if (!closed) {
            end();
            Engine.call(handle, "consumer.close", "{\"timeoutMs\":0}")
                    .handle((response, failure) -> Engine.call(client, "client.close", "{}"));
        }
    }
}
