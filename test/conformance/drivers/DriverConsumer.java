import io.dohle.ConsumerGroupMetadata;
import io.dohle.ConsumerRebalanceListener;
import io.dohle.ConsumerRecord;
import io.dohle.KafkaConsumer;
import io.dohle.OffsetAndMetadata;
import io.dohle.OffsetAndTimestamp;
import io.dohle.TopicPartition;
import io.dohle.WakeupException;
import io.dohle.serialization.ByteArrayDeserializer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.LinkedHashMap;
import java.util.LinkedHashSet;
import java.util.List;
import java.util.Map;
import java.util.Queue;
import java.util.Set;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.locks.ReentrantLock;
import java.util.regex.Pattern;

/** A consumer of the driver. It is for one thread at a time: the lock sees to that, and who cancels or closes wakes the one that polls. */
final class DriverConsumer {
    private final KafkaConsumer<byte[], byte[]> consumer;
    private final ReentrantLock lock = new ReentrantLock();
    private final Queue<Object> events = new ConcurrentLinkedQueue<>();
    private final boolean commits;
    private volatile boolean closing;
    private volatile boolean cancelled;

    DriverConsumer(Map<String, Object> options) {
        // `poll` cannot be asked for a number of records: one at a time, so that the position is behind what was given, and no further.
        options.putIfAbsent("max.poll.records", 1);
        commits = options.get("group.id") != null && !"false".equals(String.valueOf(options.get("enable.auto.commit")));
        consumer = new KafkaConsumer<>(options, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    void cancel() {
        cancelled = true;
        consumer.wakeup();
    }

    void close(Duration limit) {
        closing = true;
        consumer.wakeup();
        lock.lock();
        try {
            if (limit == null) {
                consumer.close();
            } else {
                consumer.close(limit);
            }
        } finally {
            lock.unlock();
        }
    }

    ConsumerGroupMetadata group() {
        lock.lock();
        try {
            return consumer.groupMetadata();
        } finally {
            lock.unlock();
        }
    }

    Object consume(DriverKit.Request of) {
        List<Object> records = new ArrayList<>();
        boolean quiet = of.yes("quiet");
        long count = 0;
        lock.lock();
        try {
            boolean wasClosed = closing;
            long end = System.nanoTime() + TimeUnit.MILLISECONDS.toNanos(of.number("ms"));
            for (long left = end - System.nanoTime();
                    count < of.number("count") && left > 0 && (wasClosed || !closing);
                    left = end - System.nanoTime()) {
                try {
                    for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofNanos(left))) {
                        count++;
                        if (!quiet) {
                            records.add(told(record));
                        }
                    }
                } catch (WakeupException woken) {
                    if (cancelled) {
                        cancelled = false;
                        throw woken;
                    }
                }
            }
            if (commits && count > 0 && !closing) {
                finish();
            }
        } finally {
            lock.unlock();
        }
        return quiet ? Map.of("count", count) : Map.of("records", records);
    }

    /** Automatic commits cover what was given once the next poll begins: one that reads nothing. */
    private void finish() {
        Set<TopicPartition> read = new LinkedHashSet<>(consumer.assignment());
        read.removeAll(consumer.paused());
        consumer.pause(read);
        try {
            consumer.poll(Duration.ZERO);
        } catch (WakeupException woken) {
            // It came after the last record.
            cancelled = false;
        }
        // Some may have been revoked meanwhile.
        read.retainAll(consumer.assignment());
        consumer.resume(read);
    }

    private static Object told(ConsumerRecord<byte[], byte[]> record) {
        List<Object> headers = new ArrayList<>();
        record.headers().forEach(header -> {
            List<Object> pair = new ArrayList<>();
            pair.add(header.key());
            pair.add(DriverKit.shown(header.value()));
            headers.add(pair);
        });
        return DriverKit.told(
                "topic", record.topic(),
                "partition", record.partition(),
                "offset", record.offset(),
                "timestamp", record.timestamp(),
                "key", DriverKit.shown(record.key()),
                "value", DriverKit.shown(record.value()),
                "headers", headers);
    }

    Object act(String name, DriverKit.Request of) {
        lock.lock();
        try {
            return actAlone(name, of);
        } finally {
            lock.unlock();
        }
    }

    private Object actAlone(String name, DriverKit.Request of) {
        switch (name) {
            case "subscribe" -> {
                if (of.text("pattern") != null) {
                    // The whole name must match, as in Kafka's client.
                    consumer.subscribe(Pattern.compile(of.text("pattern") + ".*"), new Listener(offsets(of)));
                } else {
                    consumer.subscribe(of.texts("topics"), new Listener(offsets(of)));
                }
            }
            case "assign" -> {
                consumer.assign(of.partitions());
                of.all("partitions").forEach(this::seek);
            }
            case "unsubscribe" -> consumer.unsubscribe();
            case "seek" -> seek(of);
            case "pause" -> consumer.pause(of.partitions());
            case "resume" -> consumer.resume(of.partitions());
            case "assignment" -> {
                return Map.of("partitions", named(consumer.assignment()));
            }
            case "position" -> {
                return Map.of("offset", consumer.position(of.partition()));
            }
            case "commit" -> {
                if (of.member("offsets") == null) {
                    consumer.commitSync();
                } else {
                    consumer.commitSync(offsets(of));
                }
            }
            case "committed" -> {
                return Map.of("offsets", committed(of.partitions()));
            }
            case "offsetAt" -> {
                Map<TopicPartition, Long> asked = Map.of(of.partition(), of.number("timestamp"));
                OffsetAndTimestamp at = consumer.offsetsForTimes(asked).get(of.partition());
                return DriverKit.told("offset", at == null ? null : at.offset());
            }
            case "ends" -> {
                List<TopicPartition> asked = List.of(of.partition());
                long low = consumer.beginningOffsets(asked).get(of.partition());
                return Map.of("low", low, "high", consumer.endOffsets(asked).get(of.partition()));
            }
            case "events" -> {
                List<Object> told = new ArrayList<>();
                for (Object each = events.poll(); each != null; each = events.poll()) {
                    told.add(each);
                }
                return Map.of("events", told);
            }
            default -> throw new DriverKit.NotOffered();
        }
        return null;
    }

    private void seek(DriverKit.Request to) {
        Object offset = to.member("offset");
        if ("earliest".equals(offset)) {
            consumer.seekToBeginning(List.of(to.partition()));
        } else if ("latest".equals(offset)) {
            consumer.seekToEnd(List.of(to.partition()));
        } else {
            consumer.seek(to.partition(), (Long) offset);
        }
    }

    private List<Object> committed(List<TopicPartition> partitions) {
        Map<TopicPartition, OffsetAndMetadata> found = consumer.committed(new LinkedHashSet<>(partitions));
        List<Object> all = new ArrayList<>();
        for (TopicPartition each : partitions) {
            OffsetAndMetadata at = found.get(each);
            all.add(DriverKit.told(
                    "topic", each.topic(),
                    "partition", each.partition(),
                    "offset", at == null ? null : at.offset(),
                    "metadata", at == null ? null : at.metadata()));
        }
        return all;
    }

    static Map<TopicPartition, OffsetAndMetadata> offsets(DriverKit.Request of) {
        Map<TopicPartition, OffsetAndMetadata> offsets = new LinkedHashMap<>();
        of.all("offsets").forEach(each ->
                offsets.put(each.partition(), new OffsetAndMetadata(each.number("offset"), each.text("metadata"))));
        return offsets;
    }

    private static List<Object> named(Collection<TopicPartition> partitions) {
        List<Object> list = new ArrayList<>();
        partitions.forEach(each -> list.add(DriverKit.told("topic", each.topic(), "partition", each.partition())));
        return list;
    }

    /** Notes what it is told, and commits what it was given when partitions are revoked. */
    private final class Listener implements ConsumerRebalanceListener {
        private final Map<TopicPartition, OffsetAndMetadata> last;

        private Listener(Map<TopicPartition, OffsetAndMetadata> last) {
            this.last = last;
        }

        private void note(String event, Collection<TopicPartition> of) {
            events.add(Map.of("event", event, "partitions", named(of)));
        }

        @Override
        public void onPartitionsAssigned(Collection<TopicPartition> of) {
            note("assigned", of);
        }

        @Override
        public void onPartitionsRevoked(Collection<TopicPartition> of) {
            note("revoked", of);
            if (!last.isEmpty()) {
                consumer.commitSync(last);
            }
        }

        @Override
        public void onPartitionsLost(Collection<TopicPartition> of) {
            note("lost", of);
        }
    }
}
