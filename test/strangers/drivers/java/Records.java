// Producing, reading and transactions with kafka-clients.

import static java.util.stream.Collectors.toList;

import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import java.util.function.Consumer;
import org.apache.kafka.clients.consumer.ConsumerRecord;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.clients.producer.RecordMetadata;
import org.apache.kafka.common.KafkaException;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.errors.InvalidProducerEpochException;
import org.apache.kafka.common.errors.ProducerFencedException;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

class Records {
    static void cases(Map<String, Driver.Case> cases) {
        for (String codec : List.of("none", "gzip", "snappy", "lz4", "zstd")) {
            cases.put("codec-" + codec, topic -> codec(topic, codec));
        }
        cases.put("too-large", Records::tooLarge);
        cases.put("append-time", Records::appendTime);
        cases.put("auto-create", Records::autoCreate);
        cases.put("fetch", Records::fetch);
        cases.put("seek-by-time", Records::seekByTime);
        cases.put("transactions", Records::transactions);
    }

    static KafkaProducer<byte[], byte[]> producer(Object... settings) {
        return new KafkaProducer<>(Driver.settings(settings), new ByteArraySerializer(), new ByteArraySerializer());
    }

    static KafkaConsumer<byte[], byte[]> consumer(Object... settings) {
        var all = Driver.settings(settings);
        all.putIfAbsent("auto.offset.reset", "none");
        return new KafkaConsumer<>(all, new ByteArrayDeserializer(), new ByteArrayDeserializer());
    }

    static ProducerRecord<byte[], byte[]> record(String topic, Long timestamp, String key, String value) {
        return new ProducerRecord<>(topic, 0, timestamp, Driver.bytes(key), Driver.bytes(value));
    }

    /** What is from a place that `seek` goes to up to the present end. */
    static List<ConsumerRecord<byte[], byte[]>> read(
            TopicPartition place, Consumer<KafkaConsumer<byte[], byte[]>> seek, Object... settings) {
        try (var consumer = consumer(settings)) {
            consumer.assign(List.of(place));
            seek.accept(consumer);
            long end = consumer.endOffsets(List.of(place)).get(place);
            List<ConsumerRecord<byte[], byte[]>> records = new ArrayList<>();
            do {
                consumer.poll(Duration.ofMillis(200)).forEach(records::add);
            } while (consumer.position(place) != end);
            return records;
        }
    }

    static List<ConsumerRecord<byte[], byte[]>> readAll(String topic, Object... settings) {
        var place = new TopicPartition(topic, 0);
        return read(place, consumer -> consumer.seekToBeginning(List.of(place)), settings);
    }

    static List<String> values(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(record -> Driver.text(record.value())).collect(toList());
    }

    static List<Long> offsets(List<ConsumerRecord<byte[], byte[]>> records) {
        return records.stream().map(ConsumerRecord::offset).collect(toList());
    }

    static Map<String, Object> codec(String topic, String codec) throws Exception {
        try (var producer = producer("compression.type", codec)) {
            var first = record(topic, Driver.T0, "k0", "v0");
            first.headers().add("h", Driver.bytes("1")).add("h", Driver.bytes("2"));
            var empty = record(topic, Driver.T0 + 3_000, "k3", "");
            empty.headers().add("empty", new byte[0]);
            producer.send(first);
            producer.send(record(topic, Driver.T0 + 1_000, null, "no key"));
            producer.send(record(topic, Driver.T0 + 2_000, "k2", null));
            producer.send(empty);
            producer.send(record(topic, Driver.T0 + 4_000, "big", "x".repeat(20_000))).get();
        }
        List<Object> records = new ArrayList<>();
        for (var record : readAll(topic)) {
            List<Object> headers = new ArrayList<>();
            for (Header header : record.headers()) headers.add(List.of(header.key(), Driver.text(header.value())));
            records.add(Driver.object("offset", record.offset(), "key", Driver.text(record.key()),
                "value", Driver.text(record.value()), "headers", headers, "timestamp", record.timestamp()));
        }
        return Map.of("records", records);
    }

    static Map<String, Object> tooLarge(String topic) throws Exception {
        try (var producer = producer()) {
            int error = 0;
            try {
                producer.send(record(topic, null, null, "x".repeat(20_000))).get();
            } catch (ExecutionException refused) {
                error = Errors.forException(refused.getCause()).code();
            }
            long offset = producer.send(record(topic, null, null, "small")).get().offset();
            return Map.of("error", error, "offset", offset, "end", end(topic, "read_uncommitted"));
        }
    }

    static long end(String topic, String isolation) {
        try (var consumer = consumer("isolation.level", isolation)) {
            return consumer.endOffsets(List.of(new TopicPartition(topic, 0))).values().iterator().next();
        }
    }

    static Map<String, Object> appendTime(String topic) throws Exception {
        try (var producer = producer()) {
            producer.send(record(topic, Driver.T0, null, "v")).get();
        }
        var record = readAll(topic).get(0);
        boolean near = Math.abs(System.currentTimeMillis() - record.timestamp()) < 3_600_000;
        return Map.of("type", record.timestampType().toString(), "brokersClock", near);
    }

    static Map<String, Object> autoCreate(String name) throws Exception {
        String topic = name + "-auto";
        try (var producer = producer()) {
            RecordMetadata sent = producer.send(new ProducerRecord<>(topic, Driver.bytes("v"))).get();
            return Map.of("offset", sent.offset(), "partitions", producer.partitionsFor(topic).size());
        }
    }

    static Map<String, Object> fetch(String topic) {
        var places = List.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1));
        var records = read(places.get(1), consumer -> consumer.seek(places.get(1), 4));
        try (var consumer = consumer("auto.offset.reset", "earliest")) {
            consumer.assign(List.of(places.get(1)));
            consumer.seek(places.get(1), 100);
            var reset = consumer.poll(Duration.ofMillis(Driver.PATIENCE)).iterator();
            while (!reset.hasNext()) reset = consumer.poll(Duration.ofMillis(Driver.PATIENCE)).iterator();
            var earliest = consumer.beginningOffsets(places);
            var latest = consumer.endOffsets(places);
            return Map.of("values", values(records), "offsets", offsets(records), "reset", reset.next().offset(),
                "earliest", places.stream().map(earliest::get).collect(toList()),
                "latest", places.stream().map(latest::get).collect(toList()));
        }
    }

    static Map<String, Object> seekByTime(String topic) {
        var place = new TopicPartition(topic, 0);
        List<Long> offsets = new ArrayList<>();
        try (var consumer = consumer()) {
            for (long after : new long[] {-1, 4_500, 5_000, 9_001}) {
                var found = consumer.offsetsForTimes(Map.of(place, Driver.T0 + after)).get(place);
                offsets.add(found == null ? null : found.offset());
            }
        }
        return Driver.object("offsets", offsets, "values", values(read(place, consumer -> consumer.seek(place, offsets.get(1)))));
    }

    static Map<String, Object> transactions(String topic) throws Exception {
        Object[] settings = {"transactional.id", topic + "-tx"};
        String group = topic + "-group";
        try (var one = producer(settings); var two = producer(settings)) {
            one.initTransactions();
            begin(one, topic, "a0", "a1");
            one.commitTransaction();
            begin(one, topic, "b0", "b1");
            one.abortTransaction();
            begin(one, topic, "c0");
            var place = new TopicPartition(topic, 0);
            try (var consumer = consumer("group.id", group)) {
                one.sendOffsetsToTransaction(Map.of(place, new OffsetAndMetadata(2)), consumer.groupMetadata());
            }
            one.commitTransaction();
            begin(one, topic, "d0");
            List<Long> open = List.of(end(topic, "read_committed"), end(topic, "read_uncommitted"));
            var committed = readAll(topic, "isolation.level", "read_committed");
            two.initTransactions();
            boolean fenced = false;
            try {
                one.commitTransaction();
            } catch (ProducerFencedException | InvalidProducerEpochException error) {
                fenced = true;
            } catch (KafkaException error) {
                fenced = error.getCause() instanceof ProducerFencedException || error.getCause() instanceof InvalidProducerEpochException;
            }
            var uncommitted = values(readAll(topic, "isolation.level", "read_uncommitted"));
            uncommitted.remove("d0");
            return Driver.object("committed", values(committed), "offsets", offsets(committed), "uncommitted", uncommitted,
                "ends", open, "groupOffset", Administration.committed(group, topic, 1).get(0), "fenced", fenced,
                "final", List.of(end(topic, "read_committed"), end(topic, "read_uncommitted")));
        }
    }

    static void begin(KafkaProducer<byte[], byte[]> producer, String topic, String... values) throws Exception {
        producer.beginTransaction();
        for (String value : values) producer.send(record(topic, null, null, value)).get();
    }
}
