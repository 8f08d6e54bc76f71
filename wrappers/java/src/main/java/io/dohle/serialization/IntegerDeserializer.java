package io.dohle.serialization;

import java.nio.ByteBuffer;

/** 32 bits, the highest byte first. */
public final class IntegerDeserializer implements Deserializer<Integer> {
    /** One for all topics. */
    public IntegerDeserializer() {}

    @Override
    public Integer deserialize(String topic, byte[] data) {
        if (data == null) {
            return null;
        }
        if (data.length != 4) {
            throw new IllegalArgumentException("4 bytes are expected, not " + data.length);
        }
        return ByteBuffer.wrap(data).getInt();
    }
}
