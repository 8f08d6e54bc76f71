// The life of a topic and of a group with the Java clients; what it must print is in lives.test.ts.
//   Life.java BOOTSTRAP TOPIC ASSIGNOR

import com.fasterxml.jackson.databind.ObjectMapper;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.TreeSet;
import java.util.concurrent.Future;
import java.util.function.BooleanSupplier;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.StringDeserializer;
import org.apache.kafka.common.serialization.StringSerializer;

public class Life {
    static final long START = 1_700_000_000_000L;
    static final long PATIENCE_MS = 120_000;
    static String bootstrap, topic, assignor;

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        topic = args[1];
        assignor = args[2];
        List<List<Long>> listed = new ArrayList<>();
        try (Admin admin = Admin.create(Map.of("bootstrap.servers", bootstrap))) {
            admin.createTopics(List.of(new NewTopic(topic, 4, (short) 1))).all().get();
            produce(0, 10);
            for (OffsetSpec spec : List.of(OffsetSpec.earliest(), OffsetSpec.latest(), OffsetSpec.forTimestamp(START + 5000))) {
                Map<TopicPartition, OffsetSpec> asked = new HashMap<>();
                for (int i = 0; i < 4; i++) asked.put(new TopicPartition(topic, i), spec);
                listed.add(admin.listOffsets(asked).all().get().values().stream().map(found -> found.offset()).sorted().toList());
            }
        }
        var seen = new TreeSet<String>();
        var one = member();
        var two = member();
        var both = List.of(one, two);
        pollUntil(both, seen, () -> both.stream().allMatch(
            each -> each.assignment().size() == 2 && each.assignment().stream().allMatch(place -> each.position(place) == 10)));
        int read = seen.size();
        one.commitSync();
        two.commitSync();
        two.close();
        pollUntil(List.of(one), seen, () -> one.assignment().size() == 4);
        one.close();

        produce(10, 11);
        var later = new TreeSet<String>();
        var three = member();
        pollUntil(List.of(three), later, () -> later.size() >= 4);
        for (var record : three.poll(Duration.ofSeconds(1))) later.add(record.partition() + ":" + record.offset());
        three.close();
        var resumed = later.stream().map(place -> List.of(Integer.valueOf(place.split(":")[0]), Integer.valueOf(place.split(":")[1])));
        System.out.println(new ObjectMapper().writeValueAsString(Map.of("listed", listed, "read", read, "resumed", resumed.toList())));
    }

    static void produce(int from, int to) throws Exception {
        var options = Map.<String, Object>of("bootstrap.servers", bootstrap, "linger.ms", 20);
        try (var producer = new KafkaProducer<>(options, new StringSerializer(), new StringSerializer())) {
            List<Future<?>> sent = new ArrayList<>();
            for (int number : IntStream.range(from, to).toArray())
                for (int partition = 0; partition < 4; partition++)
                    sent.add(producer.send(new ProducerRecord<>(topic, partition, START + number * 1000L, null, "" + number)));
            for (var each : sent) each.get();
        }
    }

    static KafkaConsumer<String, String> member() {
        var options = Map.<String, Object>of("bootstrap.servers", bootstrap, "group.id", topic, "auto.offset.reset", "earliest",
            "enable.auto.commit", false, "group.protocol", "classic", "heartbeat.interval.ms", 500,
            "partition.assignment.strategy", "org.apache.kafka.clients.consumer." + assignor);
        var consumer = new KafkaConsumer<>(options, new StringDeserializer(), new StringDeserializer());
        consumer.subscribe(List.of(topic));
        return consumer;
    }

    static void pollUntil(Collection<KafkaConsumer<String, String>> members, Collection<String> seen, BooleanSupplier done) {
        long end = System.currentTimeMillis() + PATIENCE_MS;
        while (!done.getAsBoolean()) {
            if (System.currentTimeMillis() > end)
                throw new IllegalStateException("assigned: " + members.stream().map(each -> each.assignment().size()).toList() + ", read: " + seen.size());
            for (var each : members)
                for (var record : each.poll(Duration.ofMillis(50))) seen.add(record.partition() + ":" + record.offset());
        }
    }
}
