package io.dohle.serialization;

import java.nio.ByteBuffer;

/** 64 bits, the highest byte first. */
public final class LongSerializer implements Serializer<Long> {
    /** One for all threads and topics. */
    public LongSerializer() {}

    @Override
    public byte[] serialize(String topic, Long data) {
        return data == null ? null : ByteBuffer.allocate(8).putLong(data).array();
    }

    @Override
    public boolean usesHeaders() {
        return false;
    }
}
