package io.dohle.serialization;

import java.nio.ByteBuffer;

/** 64 bits, the highest byte first. */
public final class LongDeserializer implements Deserializer<Long> {
    /** One for all topics. */
    public LongDeserializer() {}

    @Override
    public Long deserialize(String topic, byte[] data) {
        if (data == null) {
            return null;
        }
        if (data.length != 8) {
            throw new IllegalArgumentException("8 bytes are expected, not " + data.length);
        }
        return ByteBuffer.wrap(data).getLong();
    }
}
