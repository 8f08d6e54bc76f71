package io.dohle.serialization;

import java.nio.charset.StandardCharsets;

/** Text in UTF-8; what is none becomes U+FFFD. */
public final class StringDeserializer implements Deserializer<String> {
    /** One for all topics. */
    public StringDeserializer() {}

    @Override
    public String deserialize(String topic, byte[] data) {
        return data == null ? null : new String(data, StandardCharsets.UTF_8);
    }
}
