// The Java client (kafka-clients) as a program of the tests; run from source with Kafka's jars on the class path.
//   JavaClient.java write BOOTSTRAP            records as lines of JSON on stdin (see peer.ts)
//   JavaClient.java read BOOTSTRAP TOPIC...    records as lines of JSON on stdout, from the beginnings to the present ends

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.BufferedReader;
import java.io.BufferedWriter;
import java.io.InputStreamReader;
import java.io.OutputStreamWriter;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Future;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.clients.producer.KafkaProducer;
import org.apache.kafka.clients.producer.ProducerRecord;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;
import org.apache.kafka.common.serialization.ByteArraySerializer;

public class JavaClient {
    static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws Exception {
        if (args[0].equals("write")) write(args[1]);
        else read(args[1], List.of(args).subList(2, args.length));
    }

    static void write(String bootstrap) throws Exception {
        Map<String, KafkaProducer<byte[], byte[]>> producers = new HashMap<>();
        List<Future<?>> sent = new ArrayList<>();
        BufferedReader lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode row = JSON.readTree(line);
            var producer = producers.computeIfAbsent(row.get("codec").asText(), codec -> new KafkaProducer<>(
                Map.of("bootstrap.servers", bootstrap, "compression.type", codec, "linger.ms", 100),
                new ByteArraySerializer(), new ByteArraySerializer()));
            Long timestamp = row.get("timestamp").isNull() ? null : Long.valueOf(row.get("timestamp").asLong());
            Integer partition = row.get("partition").asInt() < 0 ? null : Integer.valueOf(row.get("partition").asInt());
            var record = new ProducerRecord<>(row.get("topic").asText(), partition, timestamp,
                bytes(row.get("key")), bytes(row.get("value")));
            for (JsonNode header : row.get("headers")) record.headers().add(header.get(0).asText(), bytes(header.get(1)));
            sent.add(producer.send(record));
        }
        for (var producer : producers.values()) producer.close();
        for (Future<?> future : sent) future.get();
    }

    static void read(String bootstrap, List<String> topics) throws Exception {
        var out = new BufferedWriter(new OutputStreamWriter(System.out, StandardCharsets.UTF_8));
        Map<String, Object> options = Map.of("bootstrap.servers", bootstrap, "check.crcs", true);
        try (var consumer = new KafkaConsumer<>(options, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            List<TopicPartition> partitions = new ArrayList<>();
            for (String topic : topics) {
                for (var info : consumer.partitionsFor(topic)) partitions.add(new TopicPartition(topic, info.partition()));
            }
            consumer.assign(partitions);
            consumer.seekToBeginning(partitions);
            Map<TopicPartition, Long> ends = consumer.endOffsets(partitions);
            while (partitions.stream().anyMatch(partition -> consumer.position(partition) < ends.get(partition))) {
                for (var record : consumer.poll(Duration.ofSeconds(1))) {
                    ObjectNode row = JSON.createObjectNode();
                    row.put("topic", record.topic());
                    row.put("partition", record.partition());
                    row.put("offset", record.offset());
                    row.put("timestamp", record.timestamp());
                    row.put("key", text(record.key()));
                    row.put("value", text(record.value()));
                    ArrayNode headers = row.putArray("headers");
                    for (Header header : record.headers()) headers.addArray().add(header.key()).add(text(header.value()));
                    out.write(JSON.writeValueAsString(row));
                    out.write('\n');
                }
            }
        }
        out.flush();
    }

    static byte[] bytes(JsonNode node) {
        return node.isNull() ? null : Base64.getDecoder().decode(node.asText());
    }

    static String text(byte[] bytes) {
        return bytes == null ? null : Base64.getEncoder().encodeToString(bytes);
    }
}
