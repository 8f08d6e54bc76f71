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

    record Member(String id, String instance, List<String> topics, List<TopicPartition> owned, int generation, String rack) {}

    public static void main(String[] args) {
        for (int i = 0; i < 15; i++) print("range", topics(5, 9), members(1 + random.nextInt(6), 5, false), true);
        for (int i = 0; i < 15; i++) print("cooperative-sticky", topics(4, 9), members(1 + random.nextInt(7), 4, true), true);
        for (int i = 0; i < 8; i++) chain("cooperative-sticky", true);
        for (int i = 0; i < 8; i++) chain("cooperative-sticky", false);
        for (int i = 0; i < 15; i++) print("roundrobin", topics(5, 9), members(1 + random.nextInt(6), 5, false), true);
        for (int i = 0; i < 10; i++) print("sticky", topics(4, 9), members(1 + random.nextInt(7), 4, true), true);
        for (int i = 0; i < 6; i++) chain("sticky", true);
        for (int i = 0; i < 6; i++) chain("sticky", false);
        for (int i = 0; i < 40; i++) {
            racks = 2 + random.nextInt(3);
            boolean equal = random.nextBoolean();
            Map<String, Integer> topics = topics(4, 9);
            if (random.nextBoolean()) topics.replaceAll((topic, count) -> 6);
            print("range", topics, members(1 + random.nextInt(6), 4, equal), true);
        }
        for (String assignor : List.of("sticky", "cooperative-sticky")) {
            for (int i = 0; i < 12; i++) racked(assignor, true);
            for (int i = 0; i < 6; i++) racked(assignor, false);
        }
        racks = 2;
        for (int i = 0; i < 5; i++) print("roundrobin", topics(4, 9), members(1 + random.nextInt(6), 4, false), true);
    }

    /** A group that lives, in racks. Java keeps members of such ids in their order, so that the lists are the same. */
    static void racked(String assignor, boolean equal) {
        racks = 2 + random.nextInt(2);
        Map<String, Integer> topics = topics(3, 12);
        List<String> same = subscription(3);
        List<Member> members = new ArrayList<>();
        for (int m = 0; m < 1 + random.nextInt(4); m++) members.add(inRack(m, equal ? same : subscription(3)));
        int last = 5;
        for (int generation = 1; generation <= 4; generation++) {
            Map<String, List<TopicPartition>> lists = print(assignor, topics, members, equal);
            List<Member> next = new ArrayList<>();
            for (Member m : members) {
                if (members.size() > 1 && random.nextInt(6) == 0) continue;
                // Now and then one comes back from another rack.
                String rack = random.nextInt(5) == 0 ? "rack-" + random.nextInt(racks) : m.rack;
                next.add(new Member(m.id, null, m.topics, lists.get(m.id), generation, rack));
            }
            if (next.isEmpty() || random.nextInt(2) == 0) next.add(inRack(last++, equal ? same : subscription(3)));
            members = next;
        }
    }

    static Member inRack(int number, List<String> topics) {
        String rack = random.nextInt(6) > 0 ? "rack-" + random.nextInt(racks) : null;
        return new Member("m" + number, null, topics, List.of(), -1, rack);
    }

    /** How many racks brokers and members stand in; 0: nobody says. */
    static int racks = 0;

    /** A group that lives: members come and go, each keeps what it was given. */
    static void chain(String assignor, boolean equal) {
        Map<String, Integer> topics = topics(3, 12);
        List<Member> members = members(1 + random.nextInt(5), 3, equal);
        for (int generation = 1; generation <= 5; generation++) {
            Map<String, List<TopicPartition>> lists = print(assignor, topics, members, false);
            List<Member> next = new ArrayList<>();
            for (Member m : members) {
                if (members.size() > 1 && random.nextInt(6) == 0) continue;
                next.add(new Member(m.id, m.instance, m.topics, lists.get(m.id), generation, m.rack));
            }
            if (next.isEmpty() || random.nextInt(3) == 0) {
                List<String> subscribed = equal ? members.get(0).topics : subscription(3);
                next.add(new Member("late" + generation + random.nextInt(100), null, subscribed, List.of(), -1, null));
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
            List<String> subscribed = equal ? same : subscription(topics);
            String rack = racks > 0 && random.nextInt(6) > 0 ? "rack-" + random.nextInt(racks) : null;
            members.add(new Member(id, instance, subscribed, List.of(), -1, rack));
        }
        return members;
    }

    static Map<String, List<TopicPartition>> print(String name, Map<String, Integer> topics, List<Member> members, boolean exact) {
        List<PartitionInfo> infos = new ArrayList<>();
        topics.forEach((topic, count) -> {
            for (int p = 0; p < count; p++) {
                Node[] replicas = new Node[racks == 0 ? 0 : 1 + random.nextInt(2)];
                for (int r = 0; r < replicas.length; r++) replicas[r] = new Node(r, "h", 9, "rack-" + random.nextInt(racks));
                infos.add(new PartitionInfo(topic, p, null, replicas, replicas));
            }
        });
        Cluster cluster = new Cluster("c", List.of(), infos, Set.of(), Set.of());
        Map<String, Subscription> subscriptions = new HashMap<>();
        List<String> wire = new ArrayList<>();
        for (Member m : members) {
            ConsumerPartitionAssignor own = assignor(name);
            // An eager member owns nothing when it joins: the sticky one tells in its user data what it was given last.
            boolean eager = name.equals("sticky");
            List<TopicPartition> given = eager ? m.owned : List.of();
            if (!eager || m.generation >= 0)
                own.onAssignment(new Assignment(given), new ConsumerGroupMetadata("g", m.generation, m.id, Optional.empty()));
            ByteBuffer data = own.subscriptionUserData(new TreeSet<>(m.topics));
            List<TopicPartition> owned = eager ? List.of() : m.owned;
            Subscription subscription = new Subscription(m.topics, data, owned, m.generation, Optional.ofNullable(m.rack));
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
                "{\"id\":\"%s\",\"instance\":%s,\"topics\":%s,\"owned\":%s,\"generation\":%d,\"rack\":%s,\"subscription\":\"%s\",\"list\":%s,\"assignment\":\"%s\"}",
                m.id, m.instance == null ? "null" : "\"" + m.instance + "\"", strings(m.topics), partitions(m.owned),
                m.generation, m.rack == null ? "null" : "\"" + m.rack + "\"", wire.get(i), partitions(list), assignment));
        }
        StringBuilder counts = new StringBuilder();
        topics.forEach((t, n) -> counts.append(counts.length() == 0 ? "" : ",").append("\"" + t + "\":" + n));
        StringBuilder replicas = new StringBuilder();
        if (racks > 0) topics.forEach((topic, count) -> {
            List<String> byPartition = new ArrayList<>();
            for (PartitionInfo info : cluster.partitionsForTopic(topic)) {
                byPartition.add(strings(Arrays.stream(info.replicas()).map(Node::rack).toList()));
            }
            replicas.append(replicas.length() == 0 ? "" : ",").append("\"" + topic + "\":" + byPartition.toString().replace(" ", ""));
        });
        System.out.printf("{\"assignor\":\"%s\",\"exact\":%b,\"topics\":{%s},\"racks\":{%s},\"members\":[%s]}%n", name, exact, counts, replicas, out);
        return lists;
    }

    static ConsumerPartitionAssignor assignor(String name) {
        return switch (name) {
            case "range" -> new RangeAssignor();
            case "roundrobin" -> new RoundRobinAssignor();
            case "sticky" -> new StickyAssignor();
            default -> new CooperativeStickyAssignor();
        };
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
