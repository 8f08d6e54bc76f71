package io.dohle.serialization;

import java.nio.ByteBuffer;

/** The bytes between a buffer's position and its limit. The buffer is not changed (Kafka's rewinds it first). */
public final class ByteBufferSerializer implements Serializer<ByteBuffer> {
    /** One for all threads and topics. */
    public ByteBufferSerializer() {}

    @Override
    public byte[] serialize(String topic, ByteBuffer data) {
        if (data == null) {
            return null;
        }
        byte[] bytes = new byte[data.remaining()];
        data.get(data.position(), bytes);
        return bytes;
    }

    @Override
    public boolean usesHeaders() {
        return false;
    }
}
