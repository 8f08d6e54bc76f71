package io.dohle.serialization;

import java.nio.charset.StandardCharsets;
import java.util.UUID;

/** The text of a UUID, as Kafka's has it. */
public final class UUIDSerializer implements Serializer<UUID> {
    /** One for all threads and topics. */
    public UUIDSerializer() {}

    @Override
    public byte[] serialize(String topic, UUID data) {
        return data == null ? null : data.toString().getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public boolean usesHeaders() {
        return false;
    }
}
