package io.dohle.serialization;

import io.dohle.Headers;
import java.nio.ByteBuffer;

/**
 * A read-only slice, without a copy. It is on the Java heap and stays valid for as long as it is kept, and keeps the page that the record came
 * in: the records of one partition that one poll gave. Copy what is to be kept of a few records of many.
 */
public final class ByteBufferDeserializer implements Deserializer<ByteBuffer> {
    /** One for all topics. */
    public ByteBufferDeserializer() {}

    @Override
    public ByteBuffer deserialize(String topic, byte[] data) {
        return data == null ? null : ByteBuffer.wrap(data);
    }

    @Override
    public ByteBuffer deserialize(String topic, Headers headers, ByteBuffer data) {
        return data;
    }
}
