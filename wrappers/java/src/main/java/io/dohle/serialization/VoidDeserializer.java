package io.dohle.serialization;

/** Nothing but null. */
public final class VoidDeserializer implements Deserializer<Void> {
    /** One for all topics. */
    public VoidDeserializer() {}

    @Override
    public Void deserialize(String topic, byte[] data) {
        if (data != null) {
            throw new IllegalArgumentException("null is expected, not " + data.length + " bytes");
        }
        return null;
    }
}
