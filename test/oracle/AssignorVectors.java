import java.nio.ByteBuffer;
import java.util.*;
import org.apache.kafka.clients.consumer.*;
import org.apache.kafka.clients.consumer.ConsumerPartitionAssignor.*;
import org.apache.kafka.clients.consumer.internals.*;
import org.apache.kafka.common.*;

/**
 * Prints what Java's assignors make of random groups, one JSON object per line, for
 * native/client/src/consumer/group/assignors/vectors.jsonl. Not part of a build; to make the file anew:
 *   java -cp kafka-clients-4.4.0.jar:slf4j-api.jar test/oracle/AssignorVectors.java > …/vectors.jsonl
 * "exact": the order of Java's hash maps cannot matter, so the lists must be the same; otherwise only their sizes.
 */
public class AssignorVectors {
    static final Random random = new Random(20);

    record Member(String id, String instance, List<String> topics, List<TopicPartition> owned, int generation) {}

    public static void main(String[] args) {
        for (int i = 0; i < 15; i++) print("range", topics(5, 9), members(1 + random.nextInt(6), 5, false), true);
        for (int i = 0; i < 15; i++) print("cooperative-sticky", topics(4, 9), members(1 + random.nextInt(7), 4, true), true);
        for (int i = 0; i < 8; i++) chain(true);
        for (int i = 0; i < 8; i++) chain(false);
    }

    /** A group that lives: members come and go, each keeps what it was given. */
    static void chain(boolean equal) {
        Map<String, Integer> topics = topics(3, 12);
        List<Member> members = members(1 + random.nextInt(5), 3, equal);
        for (int generation = 1; generation <= 5; generation++) {
            Map<String, List<TopicPartition>> lists = print("cooperative-sticky", topics, members, false);
            List<Member> next = new ArrayList<>();
            for (Member m : members) {
                if (members.size() > 1 && random.nextInt(6) == 0) continue;
                next.add(new Member(m.id, m.instance, m.topics, lists.get(m.id), generation));
            }
            if (next.isEmpty() || random.nextInt(3) == 0) {
                List<String> subscribed = equal ? members.get(0).topics : subscription(3);
                next.add(new Member("late" + generation + random.nextInt(100), null, subscribed, List.of(), -1));
            }
            members = next;
        }
    }

    static Map<String, Integer> topics(int most, int partitions) {
        Map<String, Integer> topics = new TreeMap<>();
        for (int t = 0; t < 1 + random.nextInt(most); t++) topics.put("topic-" + t, 1 + random.nextInt(partitions));
        return topics;
    }

    static List<String> subscription(int most) {
        List<String> topics = new ArrayList<>();
        for (int t = 0; t < most; t++) if (random.nextInt(3) > 0) topics.add("topic-" + t);
        if (topics.isEmpty()) topics.add("topic-0");
        return topics;
    }

    static List<Member> members(int count, int topics, boolean equal) {
        List<Member> members = new ArrayList<>();
        List<String> same = subscription(topics);
        for (int m = 0; m < count; m++) {
            String instance = random.nextInt(4) == 0 ? "instance-" + random.nextInt(1000) : null;
            String id = "member-" + random.nextInt(100000);
            members.add(new Member(id, instance, equal ? same : subscription(topics), List.of(), -1));
        }
        return members;
    }

    static Map<String, List<TopicPartition>> print(String name, Map<String, Integer> topics, List<Member> members, boolean exact) {
        List<PartitionInfo> infos = new ArrayList<>();
        topics.forEach((topic, count) -> {
            for (int p = 0; p < count; p++) infos.add(new PartitionInfo(topic, p, null, null, null));
        });
        Cluster cluster = new Cluster("c", List.of(), infos, Set.of(), Set.of());
        Map<String, Subscription> subscriptions = new HashMap<>();
        List<String> wire = new ArrayList<>();
        for (Member m : members) {
            ConsumerPartitionAssignor own = assignor(name);
            own.onAssignment(new Assignment(List.of()), new ConsumerGroupMetadata("g", m.generation, m.id, Optional.empty()));
            ByteBuffer data = own.subscriptionUserData(new TreeSet<>(m.topics));
            Subscription subscription = new Subscription(m.topics, data, m.owned, m.generation, Optional.empty());
            subscription.setGroupInstanceId(Optional.ofNullable(m.instance));
            subscriptions.put(m.id, subscription);
            wire.add(hex(ConsumerProtocol.serializeSubscription(subscription)));
        }
        Map<String, Assignment> result = assignor(name).assign(cluster, new GroupSubscription(subscriptions)).groupAssignment();
        Map<String, List<TopicPartition>> lists = new HashMap<>();
        StringBuilder out = new StringBuilder();
        for (int i = 0; i < members.size(); i++) {
            Member m = members.get(i);
            List<TopicPartition> list = new ArrayList<>(result.get(m.id).partitions());
            list.sort(Comparator.comparing(TopicPartition::topic).thenComparing(TopicPartition::partition));
            lists.put(m.id, list);
            String assignment = hex(ConsumerProtocol.serializeAssignment(new Assignment(list)));
            out.append(i == 0 ? "" : ",").append(String.format(
                "{\"id\":\"%s\",\"instance\":%s,\"topics\":%s,\"owned\":%s,\"generation\":%d,\"subscription\":\"%s\",\"list\":%s,\"assignment\":\"%s\"}",
                m.id, m.instance == null ? "null" : "\"" + m.instance + "\"", strings(m.topics), partitions(m.owned),
                m.generation, wire.get(i), partitions(list), assignment));
        }
        StringBuilder counts = new StringBuilder();
        topics.forEach((t, n) -> counts.append(counts.length() == 0 ? "" : ",").append("\"" + t + "\":" + n));
        System.out.printf("{\"assignor\":\"%s\",\"exact\":%b,\"topics\":{%s},\"members\":[%s]}%n", name, exact, counts, out);
        return lists;
    }

    static ConsumerPartitionAssignor assignor(String name) {
        return name.equals("range") ? new RangeAssignor() : new CooperativeStickyAssignor();
    }

    static String strings(List<String> list) {
        return list.stream().map(s -> "\"" + s + "\"").toList().toString().replace(" ", "");
    }

    static String partitions(List<TopicPartition> list) {
        return list.stream().map(tp -> "[\"" + tp.topic() + "\"," + tp.partition() + "]").toList().toString().replace(" ", "");
    }

    static String hex(ByteBuffer buffer) {
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return HexFormat.of().formatHex(bytes);
    }
}
