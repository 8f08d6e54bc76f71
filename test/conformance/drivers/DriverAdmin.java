import io.dohle.AdminClient;
import io.dohle.KafkaException;
import io.dohle.admin.Acl;
import io.dohle.admin.AclFilter;
import io.dohle.admin.AclOperation;
import io.dohle.admin.AclPatternType;
import io.dohle.admin.AclPermission;
import io.dohle.admin.AclResourceType;
import io.dohle.admin.AlterConfigOp;
import io.dohle.admin.BrokerDescription;
import io.dohle.admin.ClusterDescription;
import io.dohle.admin.ConfigChange;
import io.dohle.admin.ConfigChanges;
import io.dohle.admin.ConfigKind;
import io.dohle.admin.ConfigsOf;
import io.dohle.admin.ConsumerGroupOffsets;
import io.dohle.admin.CreateTopicsOptions;
import io.dohle.admin.DescribeClientQuotasOptions;
import io.dohle.admin.DescribeUserScramCredentialsOptions;
import io.dohle.admin.GroupDescription;
import io.dohle.admin.GroupListing;
import io.dohle.admin.NewPartitions;
import io.dohle.admin.NewTopic;
import io.dohle.admin.OffsetsOf;
import io.dohle.admin.PartitionOffset;
import io.dohle.admin.QuotaChanges;
import io.dohle.admin.QuotaEntity;
import io.dohle.admin.QuotaFilter;
import io.dohle.admin.RecordsBefore;
import io.dohle.admin.ScramChange;
import io.dohle.admin.ScramMechanism;
import io.dohle.admin.TopicListing;
import io.dohle.admin.UserScramCredentials;
import java.util.ArrayList;
import java.util.Base64;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;
import java.util.function.Function;

/** The admin operations of the driver. */
final class DriverAdmin {
    private DriverAdmin() {}

    static Object act(AdminClient admin, String name, DriverKit.Request of) throws Exception {
        return switch (name) {
            case "createTopics" -> {
                List<NewTopic> topics = of.all("topics").stream().map(DriverAdmin::topic).toList();
                yield done(admin.createTopics(topics, new CreateTopicsOptions().withValidateOnly(of.yes("validateOnly"))));
            }
            case "deleteTopics" -> done(admin.deleteTopics(of.texts("topics")));
            case "createPartitions" ->
                done(admin.createPartitions(List.of(new NewPartitions(of.text("topic"), of.whole("count")))));
            case "listTopics" -> Map.of("topics", get(admin.listTopics()).stream().map(TopicListing::topic).toList());
            case "describeTopics" -> {
                var described = get(admin.describeTopics(of.texts("topics")));
                yield Map.of("topics", list(described, each ->
                        DriverKit.told("topic", each.topic(), "partitions", each.partitions().size())));
            }
            case "describeConfigs" -> {
                var found = get(admin.describeConfigs(List.of(new ConfigsOf(kind(of), of.text("name")))));
                Map<String, Object> configs = new LinkedHashMap<>();
                found.get(0).configs().forEach(each -> configs.put(
                        each.name(),
                        DriverKit.told("value", each.value(), "source", each.source() == null ? null : each.source().name())));
                yield Map.of("configs", configs);
            }
            case "alterConfigs" -> {
                List<ConfigChange> changes = of.all("changes").stream()
                        .map(each -> new ConfigChange(each.text("name"))
                                .withOperation(new AlterConfigOp(each.text("operation")))
                                .withValue(each.text("value")))
                        .toList();
                yield done(admin.incrementalAlterConfigs(List.of(new ConfigChanges(kind(of), of.text("name"), changes))));
            }
            case "describeCluster" -> {
                ClusterDescription cluster = get(admin.describeCluster());
                List<Integer> brokers = cluster.brokers().stream().map(BrokerDescription::id).toList();
                yield DriverKit.told("clusterId", cluster.clusterId(), "controller", cluster.controller(), "brokers", brokers);
            }
            case "describeGroup" -> {
                GroupDescription group = get(admin.describeGroups(List.of(of.text("group")))).get(0);
                sound(group.error());
                yield DriverKit.told("state", group.state(), "members", group.members().size());
            }
            case "listGroups" -> Map.of("groups", get(admin.listGroups()).stream().map(GroupListing::groupId).toList());
            case "deleteGroups" -> done(admin.deleteGroups(of.texts("groups")));
            case "groupOffsets" -> {
                ConsumerGroupOffsets found =
                        get(admin.listConsumerGroupOffsets(List.of(new OffsetsOf(of.text("group"))))).get(0);
                sound(found.error());
                yield Map.of("offsets", list(found.offsets(), each -> DriverKit.told(
                        "topic", each.topic(),
                        "partition", each.partition(),
                        "offset", each.offset() == null ? null : each.offset().toString(),
                        "metadata", each.metadata())));
            }
            case "alterGroupOffsets" -> {
                List<PartitionOffset> offsets = of.all("offsets").stream()
                        .map(each -> new PartitionOffset(
                                        each.text("topic"), each.whole("partition"), Long.parseLong(each.text("offset")))
                                .withMetadata(each.text("metadata")))
                        .toList();
                yield done(admin.alterConsumerGroupOffsets(of.text("group"), offsets));
            }
            case "deleteRecords" -> {
                RecordsBefore before =
                        new RecordsBefore(of.text("topic"), of.whole("partition")).withBeforeOffset(of.number("offset"));
                yield Map.of("low", get(admin.deleteRecords(List.of(before))).get(0).lowWatermark());
            }
            case "createAcls" -> done(admin.createAcls(of.all("acls").stream().map(DriverAdmin::acl).toList()));
            case "describeAcls" -> Map.of("acls", list(get(admin.describeAcls(filter(of))), DriverAdmin::told));
            case "deleteAcls" -> Map.of("acls", list(get(admin.deleteAcls(List.of(filter(of)))), DriverAdmin::told));
            default -> actWithUsers(admin, name, of);
        };
    }

    private static Object actWithUsers(AdminClient admin, String name, DriverKit.Request of) throws Exception {
        return switch (name) {
            case "alterQuota" -> {
                List<QuotaEntity> entity = new ArrayList<>();
                of.map("entity").forEach((type, each) -> entity.add(new QuotaEntity(type).withName((String) each)));
                Object value = of.member("value");
                QuotaChanges changes = new QuotaChanges(entity);
                yield done(admin.alterClientQuotas(List.of(
                        value == null
                                ? changes.withRemove(List.of(of.text("name")))
                                : changes.withSet(Map.of(of.text("name"), Double.valueOf(value.toString()))))));
            }
            case "describeQuota" -> {
                List<QuotaFilter> filters = new ArrayList<>();
                of.map("entity").forEach((type, each) -> filters.add(new QuotaFilter(type).withName((String) each)));
                Map<String, Object> values = new LinkedHashMap<>();
                get(admin.describeClientQuotas(filters, new DescribeClientQuotasOptions().withStrict(true)))
                        .forEach(each -> each.quotas().forEach(quota -> values.put(quota.name(), quota.value())));
                yield Map.of("values", values);
            }
            case "alterScram" -> {
                String salt = of.text("salt");
                ScramChange change = new ScramChange(of.text("user"), new ScramMechanism(of.text("mechanism")))
                        .withIterations(of.whole("iterations"))
                        .withPassword(of.text("password"))
                        .withSalt(salt == null ? null : Base64.getDecoder().decode(salt));
                yield done(admin.alterUserScramCredentials(List.of(change)));
            }
            case "describeScram" -> {
                var asked = new DescribeUserScramCredentialsOptions().withUsers(List.of(of.text("user")));
                UserScramCredentials user = get(admin.describeUserScramCredentials(asked)).get(0);
                sound(user.error());
                yield Map.of("credentials", list(user.credentials(), each ->
                        DriverKit.told("mechanism", each.mechanism().name(), "iterations", each.iterations())));
            }
            default -> throw new DriverKit.NotOffered();
        };
    }

    private static <T> T get(CompletableFuture<T> call) throws InterruptedException, ExecutionException {
        return call.get();
    }

    private static Object done(CompletableFuture<?> call) throws InterruptedException, ExecutionException {
        call.get();
        return null;
    }

    private static <T> List<Object> list(List<T> of, Function<T, Object> each) {
        return of.stream().map(each).toList();
    }

    private static void sound(KafkaException error) {
        if (error != null) {
            throw error;
        }
    }

    private static ConfigKind kind(DriverKit.Request of) {
        return new ConfigKind(of.text("type"));
    }

    private static NewTopic topic(DriverKit.Request of) {
        Map<String, String> configs = new LinkedHashMap<>();
        of.map("configs").forEach((name, value) -> configs.put(name, (String) value));
        return new NewTopic(of.text("topic"))
                .withPartitions(of.whole("partitions"))
                .withReplicationFactor(of.whole("replicationFactor"))
                .withConfigs(configs);
    }

    private static Acl acl(DriverKit.Request of) {
        return new Acl(
                new AclResourceType(of.text("resourceType")),
                of.text("resourceName"),
                new AclPatternType(of.text("patternType")),
                of.text("principal"),
                of.text("host"),
                new AclOperation(of.text("operation")),
                new AclPermission(of.text("permission")));
    }

    private static AclFilter filter(DriverKit.Request request) {
        DriverKit.Request of = new DriverKit.Request(request.map("filter"));
        AclFilter filter = new AclFilter()
                .withResourceName(of.text("resourceName"))
                .withPrincipal(of.text("principal"))
                .withHost(of.text("host"));
        if (of.text("resourceType") != null) {
            filter = filter.withResourceType(new AclResourceType(of.text("resourceType")));
        }
        if (of.text("patternType") != null) {
            filter = filter.withPatternType(new AclPatternType(of.text("patternType")));
        }
        if (of.text("operation") != null) {
            filter = filter.withOperation(new AclOperation(of.text("operation")));
        }
        if (of.text("permission") != null) {
            filter = filter.withPermission(new AclPermission(of.text("permission")));
        }
        return filter;
    }

    private static Object told(Acl acl) {
        return DriverKit.told(
                "resourceType", acl.resourceType().name(),
                "resourceName", acl.resourceName(),
                "patternType", acl.patternType().name(),
                "principal", acl.principal(),
                "host", acl.host(),
                "operation", acl.operation().name(),
                "permission", acl.permission().name());
    }
}
