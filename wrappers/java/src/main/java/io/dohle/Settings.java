package io.dohle;

import io.dohle.internal.Engine;
import io.dohle.internal.Json;
import java.lang.reflect.InvocationTargetException;
import java.time.Duration;
import java.util.Collections;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.function.Predicate;

/**
 * The options of one producer, consumer or admin client, as Kafka has them: one map of names and values, of which the client takes
 * some. What they mean, and whether they are right, the engine knows.
 */
final class Settings {
    /** Kafka's classes of assignors, for ours. */
    private static final Map<String, String> ASSIGNORS = Map.of(
            "org.apache.kafka.clients.consumer.RangeAssignor", "range",
            "org.apache.kafka.clients.consumer.RoundRobinAssignor", "roundrobin",
            "org.apache.kafka.clients.consumer.StickyAssignor", "sticky",
            "org.apache.kafka.clients.consumer.CooperativeStickyAssignor", "cooperative-sticky");

    private final Map<String, Object> given = new LinkedHashMap<>();

    Settings(Map<?, ?> configs) {
        configs.forEach((name, value) -> {
            if (!(name instanceof String)) {
                throw new IllegalArgumentException("configs: a name is not a string: " + name);
            }
            given.put((String) name, value);
        });
        // Those of a Properties that stand behind it are not among its entries.
        if (configs instanceof java.util.Properties properties) {
            properties.stringPropertyNames().forEach(name -> given.putIfAbsent(name, properties.getProperty(name)));
        }
    }

    Map<String, Object> all() {
        return given;
    }

    /** What serializers are given. */
    Map<String, Object> copy() {
        return Collections.unmodifiableMap(new LinkedHashMap<>(given));
    }

    /** Takes an option of Java's own. */
    Object take(String name) {
        return given.remove(name);
    }

    /** A whole number of this side's. */
    long number(String name, long otherwise, long least) {
        Object value = given.get(name);
        if (value == null) {
            return otherwise;
        }
        long number;
        try {
            number = Long.parseLong(value.toString().trim());
        } catch (NumberFormatException wrong) {
            throw invalid(name, "'" + value + "' is not a whole number");
        }
        if (number < least) {
            throw invalid(name, number + " is below " + least);
        }
        return number;
    }

    /** Opens the client that these options tell of. */
    int openClient() {
        return Engine.open("client", 0, part(Settings::isClients));
    }

    /** Opens the client of all these options, and nothing of its own. */
    int openClientAlone() {
        return Engine.open("client", 0, part(name -> true));
    }

    /** What is left for a producer or a consumer. */
    Map<String, Object> own() {
        return part(name -> !isClients(name));
    }

    /** Also what nobody has: the client knows what to say of Kafka's options of security that are not here. */
    private static boolean isClients(String name) {
        return CommonClientConfigs.CLIENT.contains(name) || name.startsWith("sasl.") || name.startsWith("ssl.");
    }

    private Map<String, Object> part(Predicate<String> which) {
        Map<String, Object> part = new LinkedHashMap<>();
        given.forEach((name, value) -> {
            if (value != null && which.test(name)) {
                Object plain = plain(name, value);
                part.put(name, name.equals(ConsumerConfig.PARTITION_ASSIGNMENT_STRATEGY_CONFIG) ? assignors(plain) : plain);
            }
        });
        return part;
    }

    private static Object assignors(Object names) {
        List<?> list = names instanceof List<?> given ? given : List.of(String.valueOf(names).split(","));
        return list.stream()
                .map(name -> String.valueOf(name).trim())
                .map(name -> ASSIGNORS.getOrDefault(name, name))
                .toList();
    }

    /** As JSON has it. */
    private static Object plain(String name, Object value) {
        if (value instanceof CharSequence || value instanceof Number || value instanceof Boolean) {
            return value;
        } else if (value instanceof java.util.Collection<?> list) {
            return list.stream().map(each -> plain(name, each)).toList();
        } else if (value instanceof Enum<?> || value instanceof Class<?>) {
            return value instanceof Class<?> type ? type.getName() : value.toString();
        } else if (value instanceof Duration duration) {
            return duration.toMillis();
        }
        // Not shown: it may be a secret.
        throw invalid(name, "is of " + value.getClass() + ", which is no string, number, boolean or list of strings");
    }

    /** The serializer or deserializer that was given, or is to be made of a class. */
    <T> T made(T given, String name, Class<T> type, boolean isKey) {
        Object value = take(name);
        if (given != null) {
            return given;
        }
        if (value == null) {
            throw invalid(name, "is missing: give one here or to the constructor");
        }
        if (type.isInstance(value)) {
            return type.cast(value);
        }
        Object made;
        try {
            made = (value instanceof Class<?> of ? of : classOf(value.toString())).getConstructor().newInstance();
        } catch (InvocationTargetException thrown) {
            throw invalid(name, "its constructor has thrown " + thrown.getCause());
        } catch (ReflectiveOperationException cause) {
            throw invalid(name, "'" + value + "' cannot be made: " + cause);
        }
        if (!type.isInstance(made)) {
            throw invalid(name, "'" + value + "' is no " + type.getName());
        }
        return type.cast(made);
    }

    private static Class<?> classOf(String name) throws ClassNotFoundException {
        String kafkas = "org.apache.kafka.common.serialization.";
        if (name.startsWith(kafkas)) {
            return Class.forName("io.dohle.serialization." + name.substring(kafkas.length()));
        }
        ClassLoader loader = Thread.currentThread().getContextClassLoader();
        return Class.forName(name, true, loader == null ? Settings.class.getClassLoader() : loader);
    }

    static InvalidConfigurationException invalid(String name, String problem) {
        return new InvalidConfigurationException(name + ": " + problem, KafkaException.Facts.of("INVALID_CONFIG"), null);
    }

    /** The partitions of a topic, asked of the cluster. */
    @SuppressWarnings("unchecked")
    static List<PartitionInfo> partitions(Object description) {
        Map<String, Object> topic = (Map<String, Object>) description;
        return ((List<Map<String, Object>>) topic.get("partitions"))
                .stream()
                        .map(of -> new PartitionInfo(
                                (String) topic.get("topic"),
                                (int) (long) of.get("partition"),
                                of.get("leader") == null ? null : (int) (long) of.get("leader"),
                                ids(of.get("replicas")),
                                ids(of.get("inSync")),
                                ids(of.get("offline"))))
                        .toList();
    }

    private static List<Integer> ids(Object list) {
        return ((List<?>) list).stream().map(id -> (int) (long) id).toList();
    }
}
