package io.dohle;

import io.dohle.internal.Engine;
import io.dohle.internal.Failures;
import io.dohle.internal.Native;
import io.dohle.internal.NativeFailure;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;

/**
 * The records of one producer on their way out: given to the engine one by one, and remembered until it tells their fate.
 *
 * <p>One lock for both: a delivery that comes while its record is being noted waits, and so finds it. The lock is never held while a
 * program's code runs.
 */
final class Outbox implements Engine.Receiver {
    /** A record under way, and the future that its program has. */
    static final class Sent extends CompletableFuture<RecordMetadata> {
        private final String topic;
        private final int partition;
        private final long timestamp;
        private final int keySize;
        private final int valueSize;
        private final Callback callback;

        Sent(String topic, int partition, long timestamp, byte[] key, byte[] value, Callback callback) {
            this.topic = topic;
            this.partition = partition;
            this.timestamp = timestamp;
            this.keySize = key == null ? -1 : key.length;
            this.valueSize = value == null ? -1 : value.length;
            this.callback = callback;
        }

        private RecordMetadata metadata(int partition, long offset, long time) {
            return new RecordMetadata(
                    topic, partition < 0 ? this.partition : partition, offset, time < 0 ? timestamp : time, keySize, valueSize);
        }

        void delivered(int partition, long offset, long time) {
            RecordMetadata metadata = metadata(partition, offset, time);
            told(metadata, null);
            complete(metadata);
        }

        void failed(int partition, KafkaException failure) {
            told(metadata(partition, -1, -1), failure);
            completeExceptionally(failure);
        }

        /** First, as in Kafka's own client: who waits for the future finds what the callback has done. */
        private void told(RecordMetadata metadata, KafkaException failure) {
            if (callback != null) {
                try {
                    callback.onCompletion(metadata, failure);
                } catch (Throwable thrown) {
                    Engine.thrown(thrown);
                }
            }
        }
    }

    /** The records of an open batch of the engine, or of a topic's waiting room, by index. Indices only grow. */
    private static final class Group {
        private Sent[] slots = new Sent[64];
        private int base;
        private int open;

        void add(int index, Sent sent) {
            if (open == 0) {
                base = index;
            }
            int place = index - base;
            if (place >= slots.length) {
                slots = java.util.Arrays.copyOf(slots, Math.max(slots.length * 2, place + 1));
            }
            slots[place] = sent;
            open++;
        }

        /** Takes those from {@code first} on; null where nobody waits. */
        Sent[] take(int first, int count) {
            Sent[] taken = new Sent[count];
            for (int i = 0; i < count; i++) {
                int place = first + i - base;
                if (place >= 0 && place < slots.length && slots[place] != null) {
                    taken[i] = slots[place];
                    slots[place] = null;
                    open--;
                }
            }
            return taken;
        }
    }

    private final Map<String, Integer> topics = new HashMap<>();
    private final Map<Integer, Group> groups = new HashMap<>();
    private final long maxBlockNanos;
    private final ByteBuffer memory;
    private final int capacity;
    private long address;
    private int lastGroup;
    private Group last;
    /** Grows whenever there is room again. */
    private int spaces;
    /** Why nothing is taken any more. */
    private KafkaException closed;

    Outbox(int producer, long maxBlockMs) {
        maxBlockNanos = TimeUnit.MILLISECONDS.toNanos(maxBlockMs);
        address = Native.outbox(producer);
        memory = Native.memory(address);
        capacity = memory.capacity();
    }

    /** Gives a record to the engine; {@code sent} is told its fate. */
    void send(Sent sent, byte[] key, byte[] value, byte[] headers) {
        KafkaException refused;
        try {
            refused = taken(sent, key, value, headers);
        } catch (NativeFailure failure) {
            // What was not taken was not sent.
            refused = Failures.read(failure.getMessage(), KafkaException.Persistence.NOT_PERSISTED.ordinal());
        }
        if (refused != null) {
            sent.failed(-1, refused);
        }
    }

    private synchronized KafkaException taken(Sent sent, byte[] key, byte[] value, byte[] headers) {
        long deadline = 0;
        while (true) {
            if (closed != null) {
                throw closed.isFatal() ? closed : Failures.closed("producer");
            }
            int seen = spaces;
            long answer = append(sent, key, value, headers);
            if (answer != Native.FULL) {
                note((int) (answer >>> 32), (int) answer, sent);
                return null;
            }
            if (Engine.isPump()) {
                return full("a callback cannot wait for room");
            }
            long now = System.nanoTime();
            deadline = deadline == 0 ? now + maxBlockNanos : deadline;
            if (!room(seen, deadline - now)) {
                return full("no room within max.block.ms, " + TimeUnit.NANOSECONDS.toMillis(maxBlockNanos));
            }
        }
    }

    /** Waits until there is room, with the lock given up meanwhile; false: not in time. */
    private boolean room(int seen, long nanos) {
        long deadline = System.nanoTime() + nanos;
        try {
            while (spaces == seen && closed == null) {
                long left = deadline - System.nanoTime();
                if (left <= 0) {
                    return false;
                }
                TimeUnit.NANOSECONDS.timedWait(this, left + 999_999);
            }
            return true;
        } catch (InterruptedException interrupted) {
            throw new InterruptException(interrupted);
        }
    }

    private static KafkaException full(String why) {
        var facts = new KafkaException.Facts(
                "MAX_BLOCK_TIMEOUT", true, false, false, KafkaException.Persistence.NOT_PERSISTED, List.of());
        return new RetriableException("buffer.memory is used up: " + why, facts, null);
    }

    private long append(Sent sent, byte[] key, byte[] value, byte[] headers) {
        Integer topic = topics.get(sent.topic);
        if (topic == null) {
            topic = Native.topic(address, sent.topic);
            topics.put(sent.topic, topic);
        }
        int keys = key == null ? 0 : key.length;
        int values = value == null ? 0 : value.length;
        int more = headers == null ? 0 : headers.length;
        if ((long) keys + values + more > capacity) {
            return Native.appendLarge(address, topic, sent.partition, sent.timestamp, key, value, headers);
        }
        if (keys > 0) {
            memory.put(0, key);
        }
        if (values > 0) {
            memory.put(keys, value);
        }
        if (more > 0) {
            memory.put(keys + values, headers);
        }
        return Native.append(
                address, topic, sent.partition, sent.timestamp, key == null ? -1 : keys, value == null ? -1 : values, more);
    }

    private void note(int group, int index, Sent sent) {
        if (last == null || lastGroup != group) {
            last = groups.computeIfAbsent(group, number -> new Group());
            lastGroup = group;
        }
        last.add(index, sent);
    }

    private synchronized Sent[] take(int number, int first, int count) {
        Group group = groups.get(number);
        if (group == null) {
            return new Sent[0];
        }
        Sent[] taken = group.take(first, count);
        if (group.open == 0) {
            groups.remove(number);
            last = lastGroup == number ? null : last;
        }
        return taken;
    }

    @Override
    public void delivered(
            int group, int first, int count, int partition, long offset, long time, String failure, int persistence) {
        Sent[] taken = take(group, first, count);
        for (int i = 0; i < taken.length; i++) {
            Sent sent = taken[i];
            if (sent == null) {
                continue;
            } else if (failure == null) {
                sent.delivered(partition, offset < 0 ? -1 : offset + i, time);
            } else {
                sent.failed(partition, Failures.read(failure, persistence));
            }
        }
    }

    @Override
    public synchronized void space() {
        spaces++;
        notifyAll();
    }

    @Override
    public void poisoned(String failure) {
        end(Failures.read(failure, null));
    }

    /** Takes no more records. What the engine has is still told. */
    synchronized void close() {
        if (closed == null) {
            closed = Failures.closed("producer");
            notifyAll();
        }
    }

    /** Takes no more records, and fails what nobody will tell the fate of. */
    void end(KafkaException why) {
        List<Sent> left = new ArrayList<>();
        synchronized (this) {
            closed = closed == null || why.isFatal() ? why : closed;
            notifyAll();
            for (Group group : groups.values()) {
                for (Sent sent : group.slots) {
                    if (sent != null) {
                        left.add(sent);
                    }
                }
            }
            groups.clear();
            last = null;
        }
        left.forEach(sent -> sent.failed(-1, why));
    }

    /** Frees the engine's memory. Nothing may be appended any more. */
    synchronized void free() {
        if (address != 0) {
            Native.freeOutbox(address);
            address = 0;
        }
    }
}
