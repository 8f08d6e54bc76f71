// The administration of kafka-clients.

import static java.util.stream.Collectors.toList;

import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.TreeMap;
import java.util.stream.IntStream;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.Config;
import org.apache.kafka.clients.admin.ConfigEntry;
import org.apache.kafka.clients.admin.ConsumerGroupDescription;
import org.apache.kafka.clients.admin.GroupListing;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.Node;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.acl.AccessControlEntry;
import org.apache.kafka.common.acl.AccessControlEntryFilter;
import org.apache.kafka.common.acl.AclBinding;
import org.apache.kafka.common.acl.AclBindingFilter;
import org.apache.kafka.common.acl.AclOperation;
import org.apache.kafka.common.acl.AclPermissionType;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.resource.PatternType;
import org.apache.kafka.common.resource.ResourcePattern;
import org.apache.kafka.common.resource.ResourcePatternFilter;
import org.apache.kafka.common.resource.ResourceType;

class Administration {
    static final Admin admin = Admin.create(Driver.settings());

    static void cases(Map<String, Driver.Case> cases) {
        cases.put("list-offsets", Administration::listOffsets);
        cases.put("admin-topics", Administration::topics);
        cases.put("delete-records", Administration::deleteRecords);
        cases.put("admin-configs", Administration::configs);
        cases.put("admin-groups", Administration::groups);
        cases.put("admin-offsets", Administration::groupOffsets);
        cases.put("admin-acls", Administration::acls);
    }

    static <T> T get(KafkaFuture<T> future) {
        try {
            return future.get();
        } catch (Exception error) {
            throw new IllegalStateException(error);
        }
    }

    static ConsumerGroupDescription describe(String group) {
        return get(admin.describeConsumerGroups(List.of(group)).describedGroups().get(group));
    }

    /** What a group has committed for the partitions of a topic. */
    static List<Long> committed(String group, String topic, int partitions) {
        var found = get(admin.listConsumerGroupOffsets(group).partitionsToOffsetAndMetadata());
        return IntStream.range(0, partitions).mapToObj(partition -> found.get(new TopicPartition(topic, partition)))
            .map(place -> place == null ? null : place.offset()).collect(toList());
    }

    static long offset(String topic, OffsetSpec spec) {
        var place = new TopicPartition(topic, 0);
        return get(admin.listOffsets(Map.of(place, spec)).partitionResult(place)).offset();
    }

    static Map<String, Object> listOffsets(String topic) {
        return Map.of("earliest", offset(topic, OffsetSpec.earliest()), "latest", offset(topic, OffsetSpec.latest()),
            "byTime", offset(topic, OffsetSpec.forTimestamp(Driver.T0 + 1)), "largest", offset(topic, OffsetSpec.maxTimestamp()));
    }

    static KafkaFuture<Void> create(String topic, int partitions, int replicas) {
        return admin.createTopics(List.of(new NewTopic(topic, partitions, (short) replicas))).all();
    }

    static Map<String, Object> topics(String name) throws Exception {
        String topic = name + "-new";
        create(topic, 2, 1).get();
        Driver.until("it is listed", () -> get(admin.listTopics().names()).contains(topic));
        var partitions = get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).partitions();
        List<List<Integer>> replicas = new ArrayList<>();
        List<List<Integer>> isr = new ArrayList<>();
        for (var partition : partitions) {
            replicas.add(partition.replicas().stream().map(Node::id).collect(toList()));
            isr.add(partition.isr().stream().map(Node::id).collect(toList()));
        }
        var result = Driver.object(
            "brokers", get(admin.describeCluster().nodes()).stream().map(Node::id).collect(toList()),
            "described", Map.of("partitions", partitions.size(), "replicas", replicas, "isr", isr,
                "leaders", partitions.stream().map(partition -> partition.leader().id()).collect(toList())),
            "again", Driver.code(() -> create(topic, 2, 1)),
            "badName", Driver.code(() -> create(name + " with spaces", 2, 1)),
            "badReplication", Driver.code(() -> create(name + "-wide", 1, 3)),
            "listed", true);
        admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3))).all().get();
        result.put("grown", Driver.until("it has grown", () -> {
            int now = get(admin.describeTopics(List.of(topic)).allTopicNames()).get(topic).partitions().size();
            return now == 3 ? now : null;
        }));
        result.put("shrunk", Driver.code(() -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(1))).all()));
        admin.deleteTopics(List.of(topic)).all().get();
        result.put("deleted", Driver.until("it is gone", () -> !get(admin.listTopics().names()).contains(topic)));
        result.put("unknown", Driver.code(() -> admin.deleteTopics(List.of(name + "-none")).all()));
        return result;
    }

    static Map<String, Object> deleteRecords(String topic) throws Exception {
        var place = new TopicPartition(topic, 0);
        long low = deleteBefore(place, 4).get().lowWatermark();
        long earliest = offset(topic, OffsetSpec.earliest());
        int beyond = Driver.code(() -> deleteBefore(place, 11));
        return Map.of("low", low, "earliest", earliest, "beyond", beyond, "all", deleteBefore(place, -1).get().lowWatermark());
    }

    static KafkaFuture<org.apache.kafka.clients.admin.DeletedRecords> deleteBefore(TopicPartition place, long offset) {
        return admin.deleteRecords(Map.of(place, RecordsToDelete.beforeOffset(offset))).lowWatermarks().get(place);
    }

    static Config configOf(ConfigResource.Type type, String name) {
        var resource = new ConfigResource(type, name);
        return get(admin.describeConfigs(List.of(resource)).values().get(resource));
    }

    static Map<String, Object> chosen(Config config, String... names) {
        Map<String, Object> found = new TreeMap<>();
        for (String name : names) found.put(name, List.of(config.get(name).value(), config.get(name).source().name()));
        return found;
    }

    static KafkaFuture<Void> alter(String topic, AlterConfigOp... changes) {
        return admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.TOPIC, topic), List.of(changes))).all();
    }

    static AlterConfigOp change(OpType type, String name, String value) {
        return new AlterConfigOp(new ConfigEntry(name, value), type);
    }

    static Map<String, Object> configs(String topic) throws Exception {
        var type = ConfigResource.Type.TOPIC;
        var before = chosen(configOf(type, topic), "retention.ms", "cleanup.policy");
        alter(topic, change(OpType.SET, "retention.bytes", "1000"), change(OpType.DELETE, "retention.ms", null),
            change(OpType.APPEND, "cleanup.policy", "compact")).get();
        var after = Driver.until("it is changed", () -> {
            var now = configOf(type, topic);
            return now.get("retention.bytes").value().equals("1000") ? now : null;
        });
        return Driver.object("before", before, "after", chosen(after, "retention.ms", "retention.bytes", "cleanup.policy"),
            "badValue", Driver.code(() -> alter(topic, change(OpType.SET, "retention.bytes", "much"))),
            "unknownName", Driver.code(() -> alter(topic, change(OpType.SET, "no.such.name", "1"))),
            "unknownTopic", Driver.code(() -> alter(topic + "-none", change(OpType.SET, "retention.bytes", "1"))),
            "broker", configOf(ConfigResource.Type.BROKER, "1").get("num.partitions").value(),
            "details", after.entries().stream().map(Administration::whole).sorted().collect(toList()));
    }

    static String whole(ConfigEntry entry) {
        var of = entry.isReadOnly() + ":" + entry.isSensitive();
        return String.join(":", entry.name(), entry.value(), entry.source().name(), entry.type().name(), of);
    }

    static Map<String, Object> groups(String name) throws Exception {
        String empty = name + "-group";
        String live = name + "-live";
        Map<String, String> listed = new TreeMap<>();
        for (GroupListing group : admin.listGroups().all().get()) {
            if (group.groupId().startsWith(name)) listed.put(group.groupId(), group.type() + " " + group.protocol() + " " + group.groupState());
        }
        var result = Driver.object("listed", listed.keySet().containsAll(List.of(empty, live)), "details", listed,
            "described", Groups.state(describe(empty)), "live", Groups.state(describe(live)),
            "notEmpty", Driver.code(() -> admin.deleteConsumerGroups(List.of(live)).all()),
            "unknown", Driver.code(() -> admin.deleteConsumerGroups(List.of(name + "-none")).all()));
        admin.deleteConsumerGroups(List.of(empty)).all().get();
        var left = admin.listGroups().all().get().stream().map(GroupListing::groupId).collect(toList());
        result.put("deleted", !left.contains(empty));
        return result;
    }

    static Map<String, Object> groupOffsets(String name) throws Exception {
        String group = name + "-group";
        var before = committed(group, name, 2);
        admin.alterConsumerGroupOffsets(group, Map.of(new TopicPartition(name, 0), new OffsetAndMetadata(1))).all().get();
        var altered = committed(group, name, 2);
        admin.deleteConsumerGroupOffsets(group, Set.of(new TopicPartition(name, 1))).all().get();
        return Map.of("before", before, "altered", altered, "deleted", committed(group, name, 2));
    }

    static Map<String, Object> acls(String name) throws Exception {
        String alice = "User:" + name + "-alice";
        String bob = "User:" + name + "-bob";
        admin.createAcls(List.of(
            new AclBinding(new ResourcePattern(ResourceType.TOPIC, name, PatternType.LITERAL),
                new AccessControlEntry(alice, "*", AclOperation.READ, AclPermissionType.ALLOW)),
            new AclBinding(new ResourcePattern(ResourceType.GROUP, name, PatternType.PREFIXED),
                new AccessControlEntry(bob, "10.0.0.1", AclOperation.DESCRIBE, AclPermissionType.DENY)))).all().get();
        Driver.until("the rules are there", () -> find(of(alice)).size() + find(of(bob)).size() == 2);
        var result = Driver.object("alice", find(of(alice)), "bob", find(of(bob)),
            "matchTopic", find(on(ResourceType.TOPIC, name, PatternType.MATCH)),
            "matchGroup", find(on(ResourceType.GROUP, name + "-longer", PatternType.MATCH)),
            "literalGroup", find(on(ResourceType.GROUP, name + "-longer", PatternType.LITERAL)));
        result.put("deleted", admin.deleteAcls(List.of(of(alice))).all().get().stream().map(Administration::said).sorted().collect(toList()));
        Driver.until("alice's is gone", () -> find(of(alice)).isEmpty());
        result.put("left", find(of(bob)));
        return result;
    }

    static AclBindingFilter of(String principal) {
        return new AclBindingFilter(ResourcePatternFilter.ANY,
            new AccessControlEntryFilter(principal, null, AclOperation.ANY, AclPermissionType.ANY));
    }

    static AclBindingFilter on(ResourceType type, String name, PatternType pattern) {
        return new AclBindingFilter(new ResourcePatternFilter(type, name, pattern), AccessControlEntryFilter.ANY);
    }

    static List<String> find(AclBindingFilter filter) {
        return get(admin.describeAcls(filter).values()).stream().map(Administration::said).sorted().collect(toList());
    }

    static String said(AclBinding acl) {
        var entry = acl.entry();
        var pattern = acl.pattern();
        return String.join(":", pattern.resourceType().name(), pattern.patternType().name(), pattern.name(), entry.principal(),
            entry.host(), entry.operation().name(), entry.permissionType().name());
    }
}
