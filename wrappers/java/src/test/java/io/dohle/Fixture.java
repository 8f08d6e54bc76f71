package io.dohle;

import io.dohle.serialization.StringDeserializer;
import io.dohle.serialization.StringSerializer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterAll;
import org.junit.jupiter.api.BeforeAll;

/** A broker for all tests of a class, and topics of their own. */
abstract class Fixture {
    private static final AtomicInteger NAMES = new AtomicInteger();
    static EmbeddedBroker broker;

    @BeforeAll
    static void start() {
        broker = EmbeddedBroker.start(Map.of("partitions", 2));
    }

    @AfterAll
    static void stop() {
        broker.close();
    }

    static String name() {
        return "test-" + NAMES.incrementAndGet();
    }

    static Map<String, Object> configs(Object... more) {
        Map<String, Object> configs = new HashMap<>(Map.of("bootstrap.servers", broker.address()));
        for (int i = 0; i < more.length; i += 2) {
            configs.put((String) more[i], more[i + 1]);
        }
        return configs;
    }

    static KafkaProducer<String, String> producer(Object... more) {
        return new KafkaProducer<>(configs(more), new StringSerializer(), new StringSerializer());
    }

    static KafkaConsumer<String, String> consumer(Object... more) {
        return new KafkaConsumer<>(configs(more), new StringDeserializer(), new StringDeserializer());
    }

    /** A consumer that reads all of a topic. */
    static KafkaConsumer<String, String> reader(String topic) {
        KafkaConsumer<String, String> consumer = consumer("auto.offset.reset", "earliest", "isolation.level", "read_committed");
        consumer.assign(List.of(new TopicPartition(topic, 0), new TopicPartition(topic, 1)));
        return consumer;
    }

    /** Sends values {@code 0} to {@code count - 1} to one partition. */
    static void fill(String topic, int partition, int count) {
        try (var producer = producer()) {
            for (int i = 0; i < count; i++) {
                producer.send(new ProducerRecord<>(topic, partition, (long) 1000 + i, "k" + i, Integer.toString(i)));
            }
        }
    }

    /** Polls until there are so many records. */
    static <K, V> List<ConsumerRecord<K, V>> take(Consumer<K, V> consumer, int count) {
        List<ConsumerRecord<K, V>> all = new ArrayList<>();
        while (all.size() < count) {
            consumer.poll(Duration.ofSeconds(1)).forEach(all::add);
        }
        return all;
    }

    static List<String> values(List<ConsumerRecord<String, String>> records) {
        return records.stream().map(ConsumerRecord::value).toList();
    }
}
