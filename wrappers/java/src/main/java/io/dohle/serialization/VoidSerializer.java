package io.dohle.serialization;

/** Nothing but null. */
public final class VoidSerializer implements Serializer<Void> {
    /** One for all threads and topics. */
    public VoidSerializer() {}

    @Override
    public byte[] serialize(String topic, Void data) {
        return null;
    }

    @Override
    public boolean usesHeaders() {
        return false;
    }
}
