package io.dohle.serialization;

import io.dohle.Headers;
import java.nio.ByteBuffer;
import java.util.Map;

/**
 * Makes keys or values of bytes. Used by the thread that polls.
 *
 * @param <T> what it gives
 */
public interface Deserializer<T> extends AutoCloseable {
    /**
     * Is given the options, once, when the consumer makes it from a class.
     *
     * @param configs the consumer's options
     * @param isKey whether it is for keys
     */
    default void configure(Map<String, ?> configs, boolean isKey) {}

    /**
     * The value of bytes.
     *
     * @param topic the topic's name
     * @param data the bytes, a copy that is the deserializer's; null: there are none
     * @return the value
     */
    T deserialize(String topic, byte[] data);

    /**
     * As {@link #deserialize(String, byte[])}, with the headers.
     *
     * @param topic the topic's name
     * @param headers the record's
     * @param data the bytes, a copy that is the deserializer's; null: there are none
     * @return the value
     */
    default T deserialize(String topic, Headers headers, byte[] data) {
        return deserialize(topic, data);
    }

    /**
     * As {@link #deserialize(String, Headers, byte[])}, but the bytes are lent (KIP-863): a read-only slice, on the Java heap, of the page that
     * the record came in. It stays valid for as long as it is kept, and keeps the page (the records of one partition that one
     * poll gave). What overrides this spares the copy that the default makes.
     *
     * @param topic the topic's name
     * @param headers the record's
     * @param data the bytes; null: there are none
     * @return the value
     */
    default T deserialize(String topic, Headers headers, ByteBuffer data) {
        byte[] copy = null;
        if (data != null) {
            copy = new byte[data.remaining()];
            data.get(data.position(), copy);
        }
        return deserialize(topic, headers, copy);
    }

    /** The consumer is closed. */
    @Override
    default void close() {}
}
