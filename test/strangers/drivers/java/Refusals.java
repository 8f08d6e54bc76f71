// What is refused, and in which words: wrong requests of administration with kafka-clients.

import java.util.List;
import java.util.Map;
import java.util.Optional;
import java.util.Set;
import java.util.TreeMap;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import org.apache.kafka.clients.admin.Admin;
import org.apache.kafka.clients.admin.AlterConfigOp.OpType;
import org.apache.kafka.clients.admin.FeatureUpdate;
import org.apache.kafka.clients.admin.MemberToRemove;
import org.apache.kafka.clients.admin.NewPartitionReassignment;
import org.apache.kafka.clients.admin.NewPartitions;
import org.apache.kafka.clients.admin.NewTopic;
import org.apache.kafka.clients.admin.OffsetSpec;
import org.apache.kafka.clients.admin.RecordsToDelete;
import org.apache.kafka.clients.admin.RemoveMembersFromConsumerGroupOptions;
import org.apache.kafka.clients.admin.ScramCredentialInfo;
import org.apache.kafka.clients.admin.ScramMechanism;
import org.apache.kafka.clients.admin.UpdateFeaturesOptions;
import org.apache.kafka.clients.admin.UserScramCredentialDeletion;
import org.apache.kafka.clients.admin.UserScramCredentialUpsertion;
import org.apache.kafka.clients.consumer.OffsetAndMetadata;
import org.apache.kafka.common.ElectionType;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.TopicPartition;
import org.apache.kafka.common.config.ConfigResource;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.quota.ClientQuotaAlteration;
import org.apache.kafka.common.quota.ClientQuotaEntity;

class Refusals {
    static final Admin admin = Administration.admin;

    static void cases(Map<String, Driver.Case> cases) {
        cases.put("refusals", Refusals::refusals);
    }

    /** The error of a call, as `number: what it says`. */
    static String refusal(Callable<KafkaFuture<?>> call) throws Exception {
        try {
            call.call().get();
            return "0";
        } catch (ExecutionException error) {
            return Errors.forException(error.getCause()).code() + ": " + error.getCause().getMessage();
        }
    }

    static Map<String, Object> refusals(String topic) throws Exception {
        Map<String, Callable<KafkaFuture<?>>> calls = new TreeMap<>();
        topics(calls, topic);
        configs(calls, topic);
        groups(calls, topic);
        others(calls, topic);
        Map<String, Object> said = new TreeMap<>();
        Map<String, Object> codes = new TreeMap<>();
        for (var call : calls.entrySet()) {
            String refusal = refusal(call.getValue());
            codes.put(call.getKey(), Integer.valueOf(refusal.split(":", 2)[0]));
            said.put(call.getKey(), refusal);
        }
        return Driver.object("codes", codes, "details", said);
    }

    static KafkaFuture<Void> create(NewTopic topic) {
        return admin.createTopics(List.of(topic)).all();
    }

    static void topics(Map<String, Callable<KafkaFuture<?>>> calls, String topic) {
        calls.put("topic there", () -> Administration.create(topic, 1, 1));
        calls.put("topic with 0 partitions", () -> Administration.create(topic + "-0", 0, 1));
        calls.put("topic with 0 replicas", () -> Administration.create(topic + "-0", 1, 0));
        calls.put("topic with 3 replicas", () -> Administration.create(topic + "-0", 1, 3));
        calls.put("topic with spaces", () -> Administration.create(topic + " 0", 1, 1));
        calls.put("topic without name", () -> Administration.create("", 1, 1));
        calls.put("topic named .", () -> Administration.create(".", 1, 1));
        calls.put("topic with a long name", () -> Administration.create("n".repeat(250), 1, 1));
        calls.put("topic elsewhere", () -> create(new NewTopic(topic + "-0", Map.of(0, List.of(7)))));
        calls.put("topic from partition 1 on", () -> create(new NewTopic(topic + "-0", Map.of(1, List.of(1)))));
        calls.put("topic with one replica twice", () -> create(new NewTopic(topic + "-0", Map.of(0, List.of(1, 1)))));
        calls.put("topic with bad config", () -> create(new NewTopic(topic + "-0", 1, (short) 1).configs(Map.of("retention.ms", "x"))));
        calls.put("topic with unknown config", () -> create(new NewTopic(topic + "-0", 1, (short) 1).configs(Map.of("x", "1"))));
        calls.put("partitions as before", () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(2))).all());
        calls.put("partitions fewer", () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(1))).all());
        calls.put("partitions of none", () -> admin.createPartitions(Map.of(topic + "-0", NewPartitions.increaseTo(2))).all());
        calls.put("partitions elsewhere", () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3, List.of(List.of(7))))).all());
        calls.put("partitions assigned twice", () -> admin.createPartitions(Map.of(topic, NewPartitions.increaseTo(3, List.of(List.of(1), List.of(1))))).all());
        calls.put("delete no topic", () -> admin.deleteTopics(List.of(topic + "-0")).all());
        calls.put("describe no topic", () -> admin.describeTopics(List.of(topic + "-0")).allTopicNames());
        calls.put("delete records beyond", () -> admin.deleteRecords(Map.of(new TopicPartition(topic, 0), RecordsToDelete.beforeOffset(9))).all());
        calls.put("elect of none", () -> admin.electLeaders(ElectionType.PREFERRED, Set.of(new TopicPartition(topic, 9))).all());
        calls.put("elect needlessly", () -> admin.electLeaders(ElectionType.PREFERRED, Set.of(new TopicPartition(topic, 0))).all());
        calls.put("elect uncleanly", () -> admin.electLeaders(ElectionType.UNCLEAN, Set.of(new TopicPartition(topic, 0))).all());
        calls.put("reassign elsewhere", () -> reassign(topic, 0, Optional.of(new NewPartitionReassignment(List.of(7)))));
        calls.put("reassign none", () -> reassign(topic, 9, Optional.of(new NewPartitionReassignment(List.of(1)))));
        calls.put("reassign twice", () -> reassign(topic, 0, Optional.of(new NewPartitionReassignment(List.of(1, 1)))));
        calls.put("cancel nothing", () -> reassign(topic, 0, Optional.empty()));
    }

    static KafkaFuture<Void> reassign(String topic, int partition, Optional<NewPartitionReassignment> to) {
        return admin.alterPartitionReassignments(Map.of(new TopicPartition(topic, partition), to)).all();
    }

    static void configs(Map<String, Callable<KafkaFuture<?>>> calls, String topic) {
        calls.put("config of a wrong type", () -> Administration.alter(topic, Administration.change(OpType.SET, "retention.ms", "x")));
        calls.put("config below its bound", () -> Administration.alter(topic, Administration.change(OpType.SET, "min.insync.replicas", "0")));
        calls.put("config that is none", () -> Administration.alter(topic, Administration.change(OpType.SET, "x", "1")));
        calls.put("config of a wrong word", () -> Administration.alter(topic, Administration.change(OpType.SET, "cleanup.policy", "x")));
        calls.put("config appended to no list", () -> Administration.alter(topic, Administration.change(OpType.APPEND, "retention.ms", "1")));
        calls.put("config of no topic", () -> Administration.alter(topic + "-0", Administration.change(OpType.SET, "retention.ms", "1")));
        calls.put("config twice", () -> Administration.alter(topic, Administration.change(OpType.SET, "retention.ms", "1"),
            Administration.change(OpType.SET, "retention.ms", "2")));
        calls.put("config of a broker that is fixed", () -> broker(Administration.change(OpType.SET, "node.id", "2")));
        calls.put("config of a broker of a wrong type", () -> broker(Administration.change(OpType.SET, "message.max.bytes", "x")));
        calls.put("configs of no topic", () -> {
            var resource = new ConfigResource(ConfigResource.Type.TOPIC, topic + "-0");
            return admin.describeConfigs(List.of(resource)).all();
        });
    }

    static KafkaFuture<Void> broker(org.apache.kafka.clients.admin.AlterConfigOp change) {
        return admin.incrementalAlterConfigs(Map.of(new ConfigResource(ConfigResource.Type.BROKER, "1"), List.of(change))).all();
    }

    static void groups(Map<String, Callable<KafkaFuture<?>>> calls, String topic) {
        var place = new TopicPartition(topic, 0);
        String live = topic + "-live";
        String none = topic + "-none";
        calls.put("describe no group", () -> admin.describeConsumerGroups(List.of(none)).all());
        calls.put("delete no group", () -> admin.deleteConsumerGroups(List.of(none)).all());
        calls.put("delete a live group", () -> admin.deleteConsumerGroups(List.of(live)).all());
        calls.put("offsets of a live group", () -> admin.alterConsumerGroupOffsets(live, Map.of(place, new OffsetAndMetadata(1))).all());
        calls.put("offsets of no partition", () -> admin.alterConsumerGroupOffsets(topic + "-group",
            Map.of(new TopicPartition(topic, 9), new OffsetAndMetadata(1))).all());
        calls.put("delete offsets in use", () -> admin.deleteConsumerGroupOffsets(live, Set.of(place)).all());
        calls.put("delete offsets of no group", () -> admin.deleteConsumerGroupOffsets(none, Set.of(place)).all());
        calls.put("remove no member", () -> admin.removeMembersFromConsumerGroup(live,
            new RemoveMembersFromConsumerGroupOptions(Set.of(new MemberToRemove("x")))).all());
        calls.put("offset of no time", () -> admin.listOffsets(Map.of(place, OffsetSpec.forTimestamp(Long.MAX_VALUE))).all());
        calls.put("describe no transaction", () -> admin.describeTransactions(List.of(none)).all());
    }

    static void others(Map<String, Callable<KafkaFuture<?>>> calls, String topic) {
        var user = new ClientQuotaEntity(Map.of(ClientQuotaEntity.USER, topic));
        calls.put("quota that is none", () -> quota(user, "x", 1.0));
        calls.put("quota below 0", () -> quota(user, "producer_byte_rate", -1.0));
        calls.put("quota of nobody", () -> quota(new ClientQuotaEntity(Map.of("x", topic)), "producer_byte_rate", 1.0));
        calls.put("users: delete none", () -> admin.alterUserScramCredentials(
            List.of(new UserScramCredentialDeletion(topic, ScramMechanism.SCRAM_SHA_256))).all());
        calls.put("users: few iterations", () -> admin.alterUserScramCredentials(List.of(new UserScramCredentialUpsertion(
            topic, new ScramCredentialInfo(ScramMechanism.SCRAM_SHA_256, 1), "p"))).all());
        calls.put("users: describe none", () -> admin.describeUserScramCredentials(List.of(topic)).description(topic));
        calls.put("feature that is none", () -> feature("x", 1));
        calls.put("feature too high", () -> feature("transaction.version", 99));
        calls.put("feature down without leave", () -> feature("metadata.version", 7));
        calls.put("unregister no broker", () -> admin.unregisterBroker(77).all());
        calls.put("delegation token", () -> admin.createDelegationToken().delegationToken());
    }

    static KafkaFuture<Void> quota(ClientQuotaEntity of, String name, Double value) {
        return admin.alterClientQuotas(List.of(new ClientQuotaAlteration(of, List.of(new ClientQuotaAlteration.Op(name, value))))).all();
    }

    static KafkaFuture<Void> feature(String name, int level) {
        var update = new FeatureUpdate((short) level, FeatureUpdate.UpgradeType.UPGRADE);
        return admin.updateFeatures(Map.of(name, update), new UpdateFeaturesOptions().validateOnly(true)).all();
    }
}
