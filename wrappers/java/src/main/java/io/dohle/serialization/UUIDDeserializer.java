package io.dohle.serialization;

import java.nio.charset.StandardCharsets;
import java.util.UUID;

/** The text of a UUID, as Kafka's has it. */
public final class UUIDDeserializer implements Deserializer<UUID> {
    /** One for all topics. */
    public UUIDDeserializer() {}

    @Override
    public UUID deserialize(String topic, byte[] data) {
        return data == null ? null : UUID.fromString(new String(data, StandardCharsets.UTF_8));
    }
}
