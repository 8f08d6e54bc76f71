import java.util.Random;
import org.apache.kafka.clients.producer.internals.BuiltInPartitioner;
import org.apache.kafka.common.utils.Utils;

/** Keys (hex), number of partitions, and the partition that Java's producer chooses. Seeded: the same file each time. */
public class Murmur2Vectors {
    public static void main(String[] args) {
        System.out.println("# key (hex), partitions, partition: written by test/oracle/Murmur2Vectors.java on kafka-clients");
        Random random = new Random(20260101);
        for (int i = 0; i < 2000; i++) {
            byte[] key = new byte[i < 100 ? i : random.nextInt(64)];
            random.nextBytes(key);
            int partitions = i % 3 == 0 ? 1 + random.nextInt(6) : 1 + random.nextInt(10_000);
            StringBuilder hex = new StringBuilder();
            for (byte b : key) hex.append(String.format("%02x", b));
            int partition = BuiltInPartitioner.partitionForKey(key, partitions);
            if (partition != (Utils.murmur2(key) & 0x7fffffff) % partitions) throw new AssertionError();
            System.out.println(hex + " " + partitions + " " + partition);
        }
    }
}
