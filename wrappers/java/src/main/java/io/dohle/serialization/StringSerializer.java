package io.dohle.serialization;

import java.nio.charset.StandardCharsets;

/** Text as UTF-8. */
public final class StringSerializer implements Serializer<String> {
    /** One for all threads and topics. */
    public StringSerializer() {}

    @Override
    public byte[] serialize(String topic, String data) {
        return data == null ? null : data.getBytes(StandardCharsets.UTF_8);
    }

    @Override
    public boolean usesHeaders() {
        return false;
    }
}
