package io.dohle.serialization;

import java.nio.ByteBuffer;

/** 32 bits, the highest byte first. */
public final class IntegerSerializer implements Serializer<Integer> {
    /** One for all threads and topics. */
    public IntegerSerializer() {}

    @Override
    public byte[] serialize(String topic, Integer data) {
        return data == null ? null : ByteBuffer.allocate(4).putInt(data).array();
    }

    @Override
    public boolean usesHeaders() {
        return false;
    }
}
