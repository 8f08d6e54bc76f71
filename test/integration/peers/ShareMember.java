// A member of a share group (KIP-932): joins and reads until its standard input ends.
//   ShareMember.java BOOTSTRAP TOPIC GROUP
// Prints "read PARTITION:OFFSET" for every record.

import java.io.PrintStream;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;
import org.apache.kafka.clients.consumer.KafkaShareConsumer;
import org.apache.kafka.common.serialization.ByteArrayDeserializer;

public class ShareMember {
    public static void main(String[] args) throws Exception {
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
        Map<String, Object> options = Map.of("bootstrap.servers", args[0], "group.id", args[2], "client.id", "share-member");
        try (var consumer = new KafkaShareConsumer<>(options, new ByteArrayDeserializer(), new ByteArrayDeserializer())) {
            consumer.subscribe(List.of(args[1]));
            while (!ended.get()) {
                for (var record : consumer.poll(Duration.ofMillis(50))) out.println("read " + record.partition() + ":" + record.offset());
            }
        }
    }
}
