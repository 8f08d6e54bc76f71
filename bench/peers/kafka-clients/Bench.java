import java.lang.management.ManagementFactory;
import java.nio.ByteBuffer;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CountDownLatch;
import java.util.concurrent.Semaphore;
import java.util.concurrent.atomic.AtomicLong;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;
import org.apache.kafka.common.utils.AppInfoParser;

/**
 * Kafka's own Java client, at its best honest settings (each named where it is set). One process is one round; the flags
 * are those that all clients take, the result is one line of JSON on stdout.
 */
public final class Bench {
    private final Map<String, String> flags = new HashMap<>();
    private final byte[][] values;
    private final byte[][] keys;
    private final String topic;
    private final long records;
    private final long warmup;

    private Bench(String[] args) throws Exception {
        for (int i = 0; i + 1 < args.length; i += 2) flags.put(args[i].substring(2), args[i + 1]);
        topic = flags.get("topic");
        records = number("records", 0);
        warmup = number("warmup", 0);
        int bytes = (int) number("bytes", 100);
        byte[] data = Files.readAllBytes(Path.of(flags.get("data")));
        values = new byte[data.length / bytes][];
        for (int i = 0; i < values.length; i++) values[i] = Arrays.copyOfRange(data, i * bytes, (i + 1) * bytes);
        keys = new byte["1".equals(flags.get("keyed")) ? 10_000 : 0][];
        for (int i = 0; i < keys.length; i++) keys[i] = String.valueOf(i * 7919 % 10_000 + 10_000_000).getBytes();
    }

    private long number(String name, long otherwise) {
        return flags.containsKey(name) ? Long.parseLong(flags.get(name)) : otherwise;
    }

    private byte[] value(long i) {
        return values[(int) (i % values.length)];
    }

    private byte[] key(long i) {
        return keys.length == 0 ? null : keys[(int) (i % keys.length)];
    }

    public static void main(String[] args) throws Exception {
        Bench bench = new Bench(args);
        switch (bench.flags.get("mode")) {
            case "produce", "enqueue", "single" -> bench.produce();
            case "sequential" -> bench.sequential();
            case "consume", "consume-batches" -> {
                if (bench.warmup > 0) bench.consume(bench.warmup, null);
                bench.consume(bench.records, new Watch());
            }
            case "end-to-end" -> bench.endToEnd();
            default -> throw new IllegalArgumentException("no mode " + bench.flags.get("mode"));
        }
        System.exit(0);
    }

    /**
     * Idempotent with acks all (its default). batch.size 512 KiB instead of 16 KiB, for batches about as large as the others',
     * with buffer.memory 64 MiB to hold enough of them; linger 5 ms is its default.
     */
    private KafkaProducer<byte[], byte[]> producer(int linger) {
        Map<String, Object> options = new HashMap<>();
        options.put("bootstrap.servers", flags.get("brokers"));
        options.put("acks", flags.getOrDefault("acks", "all"));
        options.put("enable.idempotence", !"0".equals(flags.get("acks")));
        options.put("compression.type", flags.getOrDefault("codec", "none"));
        options.put("linger.ms", linger);
        options.put("batch.size", 524_288);
        options.put("buffer.memory", 67_108_864L);
        return new KafkaProducer<>(options, new ByteArraySerializer(), new ByteArraySerializer());
    }

    /** max.poll.records 10,000 instead of 500: fewer, larger polls, as the other clients have them. */
    private KafkaConsumer<byte[], byte[]> consumer() {
        Map<String, Object> options = new HashMap<>();
        options.put("bootstrap.servers", flags.get("brokers"));
        options.put("enable.auto.commit", false);
        options.put("max.poll.records", 10_000);
        KafkaConsumer<byte[], byte[]> consumer =
            new KafkaConsumer<>(options, new ByteArrayDeserializer(), new ByteArrayDeserializer());
        List<TopicPartition> partitions = new ArrayList<>();
        for (int p = 0; p < number("partitions", 6); p++) partitions.add(new TopicPartition(topic, p));
        consumer.assign(partitions);
        consumer.seekToBeginning(partitions);
        return consumer;
    }

    private void produce() throws Exception {
        int window = (int) number("window", 0);
        KafkaProducer<byte[], byte[]> producer = producer(window > 0 ? 0 : 5);
        AtomicLong failed = new AtomicLong();
        Semaphore slots = new Semaphore(Math.max(window, 1));
        Watch watch = null;
        for (long i = 0; i < warmup + records; i++) {
            if (i == warmup) {
                producer.flush();
                watch = new Watch();
            }
            if (window > 0) slots.acquire();
            producer.send(new ProducerRecord<>(topic, key(i), value(i)), (metadata, error) -> {
                if (error != null && failed.getAndIncrement() == 0) error.printStackTrace();
                if (window > 0) slots.release();
            });
        }
        producer.flush();
        watch.end(records, warmup + records - failed.get(), null);
    }

    private void sequential() throws Exception {
        KafkaProducer<byte[], byte[]> producer = producer(0);
        double[] micros = new double[(int) records];
        Watch watch = null;
        for (long i = 0; i < warmup + records; i++) {
            if (i == warmup) watch = new Watch();
            long begun = System.nanoTime();
            producer.send(new ProducerRecord<>(topic, null, value(i))).get();
            if (i >= warmup) micros[(int) (i - warmup)] = (System.nanoTime() - begun) / 1e3;
        }
        producer.flush();
        watch.end(records, warmup + records, micros);
    }

    private void consume(long count, Watch watch) {
        long touched = 0;
        long got = 0;
        try (KafkaConsumer<byte[], byte[]> consumer = consumer()) {
            while (got < count) {
                var polled = consumer.poll(Duration.ofMillis(500));
                if (got == 0 && !polled.isEmpty() && watch != null) watch.arrived();
                for (ConsumerRecord<byte[], byte[]> record : polled) touched += record.value().length + record.value()[0];
                got += polled.count();
            }
            if (touched == 0) throw new IllegalStateException("nothing was read");
            if (watch != null) watch.end(count, 0, null);
        }
    }

    /** Every millisecond as many records as are due by then, whether or not earlier ones have arrived. No linger. */
    private void endToEnd() throws Exception {
        long rate = number("rate", 10_000);
        long total = rate * number("seconds", 20);
        KafkaProducer<byte[], byte[]> producer = producer(0);
        double[] micros = new double[(int) total];
        CountDownLatch done = new CountDownLatch(1);
        Thread reader = new Thread(() -> {
            KafkaConsumer<byte[], byte[]> consumer = consumer();
            for (long got = 0; got < warmup + total; ) {
                for (ConsumerRecord<byte[], byte[]> record : consumer.poll(Duration.ofMillis(500))) {
                    long sent = ByteBuffer.wrap(record.value()).getLong();
                    if (got >= warmup) micros[(int) (got - warmup)] = (System.nanoTime() - sent) / 1e3;
                    got++;
                }
            }
            done.countDown();
        });
        reader.start();
        Watch watch = null;
        long start = System.nanoTime();
        for (long sent = 0; sent < warmup + total; ) {
            long due = Math.min(warmup + total, (System.nanoTime() - start) / 1_000 * rate / 1_000_000);
            for (; sent < due; sent++) {
                if (sent == warmup) watch = new Watch();
                byte[] own = value(sent).clone();
                ByteBuffer.wrap(own).putLong(System.nanoTime());
                producer.send(new ProducerRecord<>(topic, null, own));
            }
            Thread.sleep(1);
        }
        done.await();
        watch.end(total, warmup + total, micros);
    }

    /** The measured window: wall and CPU time of the process. */
    private static final class Watch {
        private static final com.sun.management.OperatingSystemMXBean OS =
            (com.sun.management.OperatingSystemMXBean) ManagementFactory.getOperatingSystemMXBean();
        private long wall = System.nanoTime();
        private final long cpu = OS.getProcessCpuTime();

        /** Starts the wall clock again, not that of the CPU: the first record of a consumer has come. */
        void arrived() {
            wall = System.nanoTime();
        }

        void end(long records, long written, double[] micros) {
            double seconds = (System.nanoTime() - wall) / 1e9;
            double used = (OS.getProcessCpuTime() - cpu) / 1e9;
            StringBuilder line = new StringBuilder();
            line.append(String.format("{\"version\":\"%s\",\"records\":%d,\"written\":%d", AppInfoParser.getVersion(), records, written));
            line.append(String.format(java.util.Locale.ROOT, ",\"seconds\":%.6f,\"cpuSeconds\":%.6f", seconds, used));
            line.append(String.format(",\"peakRssKb\":%s,\"threads\":%s", status("VmHWM"), status("Threads")));
            if (micros != null) {
                Arrays.sort(micros);
                String form = ",\"p50\":%.1f,\"p99\":%.1f,\"p999\":%.1f";
                int n = micros.length;
                line.append(String.format(java.util.Locale.ROOT, form, micros[n / 2], micros[(int) (n * 0.99)], micros[(int) (n * 0.999)]));
            }
            System.out.println(line.append('}'));
        }

        private static String status(String field) {
            try {
                for (String line : Files.readAllLines(Path.of("/proc/self/status"))) {
                    if (line.startsWith(field + ":")) return line.substring(field.length() + 1).trim().split("\\s+")[0];
                }
            } catch (java.io.IOException e) {
                throw new java.io.UncheckedIOException(e);
            }
            return "-1";
        }
    }
}
