package io.dohle.serialization;

import io.dohle.Headers;
import java.util.Map;

/**
 * Turns keys or values into bytes. Used by all threads that send.
 *
 * @param <T> what it takes
 */
public interface Serializer<T> extends AutoCloseable {
    /**
     * Is given the options, once, when the producer makes it from a class.
     *
     * @param configs the producer's options
     * @param isKey whether it is for keys
     */
    default void configure(Map<String, ?> configs, boolean isKey) {}

    /**
     * The bytes of a value.
     *
     * @param topic the topic's name
     * @param data the value, or null
     * @return its bytes, which are copied before {@code send} returns; null for null
     */
    byte[] serialize(String topic, T data);

    /**
     * As {@link #serialize(String, Object)}, and may read or add headers.
     *
     * @param topic the topic's name
     * @param headers the record's
     * @param data the value, or null
     * @return its bytes; null for null
     */
    default byte[] serialize(String topic, Headers headers, T data) {
        return serialize(topic, data);
    }

    /**
     * Whether it wants the headers. Without them the record of a producer needs none made.
     *
     * @return true unless it is overridden
     */
    default boolean usesHeaders() {
        return true;
    }

    /** The producer is closed. */
    @Override
    default void close() {}
}
