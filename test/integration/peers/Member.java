// A member of a group by the Java client: joins, reads and commits until its standard input ends.
//   Member.java BOOTSTRAP TOPIC GROUP KEY=VALUE...
// Prints "assigned N" whenever it has another number of partitions, and "read PARTITION:OFFSET" for every record.

import java.io.PrintStream;
import java.time.Duration;
import java.util.Collection;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.ConsumerRebalanceListener;
import org.apache.kafka.clients.consumer.KafkaConsumer;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class Member {
    public static void main(String[] args) throws Exception {
        Map<String, Object> options = new HashMap<>(Map.of("bootstrap.servers", args[0], "group.id", args[2], "auto.offset.reset", "earliest"));
        for (String setting : List.of(args).subList(3, args.length)) options.put(setting.split("=", 2)[0], setting.split("=", 2)[1]);
        var ended = new AtomicBoolean();
        var input = new Thread(() -> {
            try {
                while (System.in.read() >= 0);
            } catch (java.io.IOException error) {
                // The end, too.
            }
            ended.set(true);
        });
        input.setDaemon(true);
        input.start();
        var out = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true);
        try (var consumer = new KafkaConsumer<>(options, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            // By itself a cooperative one commits before it joins, and is given more until partitions go: those came twice.
            consumer.subscribe(List.of(args[1]), new ConsumerRebalanceListener() {
                @Override
                public void onPartitionsRevoked(Collection<TopicPartition> partitions) {
                    consumer.commitSync();
                }

                @Override
                public void onPartitionsAssigned(Collection<TopicPartition> partitions) {}
            });
            int before = -1;
            while (!ended.get()) {
                for (var record : consumer.poll(Duration.ofMillis(50))) out.println("read " + record.partition() + ":" + record.offset());
                int now = consumer.assignment().size();
                if (now != before) out.println("assigned " + now);
                before = now;
            }
        }
    }
}
