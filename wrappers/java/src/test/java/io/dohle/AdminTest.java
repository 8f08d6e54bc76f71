package io.dohle;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertFalse;
import static org.junit.jupiter.api.Assertions.assertInstanceOf;
import static org.junit.jupiter.api.Assertions.assertNull;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import io.dohle.admin.AlterConfigOp;
import io.dohle.admin.ConfigChange;
import io.dohle.admin.ConfigChanges;
import io.dohle.admin.ConfigEntry;
import io.dohle.admin.ConfigKind;
import io.dohle.admin.ConfigsOf;
import io.dohle.admin.CreateTopicsOptions;
import io.dohle.admin.DescribeClientQuotasOptions;
import io.dohle.admin.NewTopic;
import io.dohle.admin.OffsetOf;
import io.dohle.admin.OffsetSpec;
import io.dohle.admin.PartitionOffset;
import io.dohle.admin.OffsetsOf;
import io.dohle.admin.QuotaChanges;
import io.dohle.admin.QuotaEntity;
import io.dohle.admin.QuotaFilter;
import io.dohle.admin.ScramChange;
import io.dohle.admin.ScramMechanism;
import java.util.List;
import java.util.Map;
import java.util.concurrent.ExecutionException;
import org.junit.jupiter.api.Test;

class AdminTest extends Fixture {
    @Test
    void topicsAreCreatedDescribedAndDeleted() throws Exception {
        String topic = name();
        try (var admin = AdminClient.create(configs())) {
            NewTopic wanted = new NewTopic(topic).withPartitions(3).withConfigs(Map.of("retention.ms", "1234"));
            assertNull(wanted.replicationFactor());
            admin.createTopics(List.of(wanted), new CreateTopicsOptions().withValidateOnly(true)).get();
            assertFalse(admin.listTopics().get().stream().anyMatch(each -> each.topic().equals(topic)));
            assertEquals(3, admin.createTopics(List.of(wanted)).get().get(0).partitions());
            var described = admin.describeTopics(List.of(topic)).get().get(0);
            assertEquals(3, described.partitions().size());
            assertEquals(1, described.partitions().get(0).leader());
            admin.deleteTopics(List.of(topic)).get();
            var failure = assertThrows(ExecutionException.class, admin.describeTopics(List.of(topic))::get).getCause();
            assertEquals("UNKNOWN_TOPIC_OR_PARTITION", assertInstanceOf(RefreshRetriableException.class, failure).code());
        }
    }

    @Test
    void whatFailsOfSeveralIsNamedAndTheOthersAreDone() throws Exception {
        String there = name();
        String made = name();
        fill(there, 0, 1);
        try (var admin = AdminClient.create(configs())) {
            var call = admin.createTopics(List.of(new NewTopic(there), new NewTopic(made)));
            var failure = assertInstanceOf(KafkaException.class, assertThrows(ExecutionException.class, call::get).getCause());
            assertEquals(List.of(there), failure.items().stream().map(KafkaException.FailedItem::name).toList());
            assertEquals("TOPIC_ALREADY_EXISTS", failure.items().get(0).error().code());
            assertTrue(admin.listTopics().get().stream().anyMatch(each -> each.topic().equals(made)));
        }
    }

    @Test
    void configsQuotasAndCredentialsAreChanged() throws Exception {
        String topic = name();
        fill(topic, 0, 1);
        try (var admin = AdminClient.create(configs())) {
            ConfigKind kind = ConfigKind.TOPIC;
            var change = new ConfigChange("retention.ms").withValue("99").withOperation(AlterConfigOp.SET);
            admin.incrementalAlterConfigs(List.of(new ConfigChanges(kind, topic, List.of(change)))).get();
            var configs = admin.describeConfigs(List.of(new ConfigsOf(kind, topic))).get().get(0);
            ConfigEntry entry = configs.configs().stream().filter(each -> each.name().equals("retention.ms")).findFirst().get();
            assertEquals("99", entry.value());

            var entity = new QuotaEntity("user").withName("alice");
            for (double value : new double[] {1.5, 99}) {
                admin.alterClientQuotas(List.of(new QuotaChanges(List.of(entity)).withSet(Map.of("request_percentage", value)))).get();
                var filter = new QuotaFilter("user").withName("alice");
                var quotas = admin.describeClientQuotas(List.of(filter), new DescribeClientQuotasOptions().withStrict(true)).get();
                assertEquals(value, quotas.get(0).quotas().get(0).value());
            }

            var scram = new ScramChange("bob", ScramMechanism.SCRAM_SHA_256).withPassword("hunter2").withSalt(new byte[16]);
            assertFalse(scram.toString().contains("hunter2"));
            admin.alterUserScramCredentials(List.of(scram)).get();
            assertEquals("bob", admin.describeUserScramCredentials().get().get(0).user());
        }
    }

    @Test
    void offsetsAreListedAndThoseOfGroupsChanged() throws Exception {
        String topic = name();
        String group = name();
        fill(topic, 0, 10);
        try (var admin = AdminClient.create(configs())) {
            var latest = admin.listOffsets(List.of(new OffsetOf(topic, 0, new OffsetSpec.Latest()))).get().get(0);
            assertEquals(10, latest.offset());
            var timed = admin.listOffsets(List.of(new OffsetOf(topic, 0, new OffsetSpec.Timestamp(1004)))).get().get(0);
            assertEquals(List.of(4L, 1004L), List.of(timed.offset(), timed.timestamp()));
            long large = (1L << 53) + 1;
            admin.alterConsumerGroupOffsets(group, List.of(new PartitionOffset(topic, 0, large).withMetadata("text"))).get();
            var found = admin.listConsumerGroupOffsets(List.of(new OffsetsOf(group))).get().get(0).offsets().get(0);
            assertEquals(large, found.offset());
            assertEquals("text", found.metadata());
        }
    }

    @Test
    void optionsAreCheckedAndUseAfterCloseIsClear() {
        assertThrows(InvalidConfigurationException.class, () -> AdminClient.create(configs("linger.ms", 5)));
        var admin = AdminClient.create(configs());
        admin.close();
        admin.close();
        var failure = assertThrows(ExecutionException.class, admin.listTopics()::get).getCause();
        assertEquals("CLOSED", assertInstanceOf(KafkaException.class, failure).code());
    }
}
