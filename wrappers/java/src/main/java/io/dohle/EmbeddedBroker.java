package io.dohle;

import io.dohle.internal.Engine;
import io.dohle.internal.Json;
import java.util.Map;
import java.util.concurrent.atomic.AtomicBoolean;

/**
 * A Kafka-compatible broker of one node within the process, in memory: for tests. What it holds is gone when it stops.
 *
 * <pre>{@code
 * try (var broker = EmbeddedBroker.start()) {
 *     var configs = Map.of("bootstrap.servers", broker.address());
 * }
 * }</pre>
 */
public final class EmbeddedBroker implements AutoCloseable {
    private final int handle;
    private final String address;
    private final AtomicBoolean closed = new AtomicBoolean();

    private EmbeddedBroker(Map<?, ?> running) {
        handle = ((Long) running.get("handle")).intValue();
        address = (String) running.get("address");
    }

    /**
     * Starts one on a free port of 127.0.0.1.
     *
     * @return it runs
     */
    public static EmbeddedBroker start() {
        return start(Map.of());
    }

    /**
     * Starts one.
     *
     * @param options those of docs/embedded-broker.md, such as {@code partitions} (of topics that are created without a number of
     *     them; default 1), {@code port} (default 0: a free one), {@code properties} (a map of those of Kafka's {@code server.properties})
     * @return it runs
     * @throws InvalidConfigurationException an option is unknown or wrong
     * @throws KafkaException it cannot listen there (code {@code CANNOT_LISTEN})
     */
    public static EmbeddedBroker start(Map<String, ?> options) {
        return new EmbeddedBroker((Map<?, ?>) Engine.await(Engine.call(0, "environment.startBroker", Json.write(options))));
    }

    /**
     * Where it listens, as {@code bootstrap.servers} takes it.
     *
     * @return such as {@code 127.0.0.1:40123}
     */
    public String address() {
        return address;
    }

    /**
     * What it is to do wrong from now on: a fault rule, such as
     * {@code Map.of("api", "Produce", "nth", 3, "action", Map.of("kind", "error", "code", "REQUEST_TIMED_OUT"))}.
     *
     * @param rule as {@code faults.add} of docs/embedded-broker.md takes it
     * @return the rule's number
     */
    public long addFault(Map<String, ?> rule) {
        return Long.parseLong((String) Engine.invoke(handle, "broker.addFault", Json.write(rule)));
    }

    /** Ends all fault rules. */
    public void clearFaults() {
        Engine.invoke(handle, "broker.clearFaults", "{}");
    }

    /** Stops it: closes all connections. Once more: nothing happens. */
    @Override
    public void close() {
        if (closed.compareAndSet(false, true)) {
            Engine.await(Engine.call(handle, "broker.stop", "{}"));
        }
    }
}
