package io.dohle;

/** Is told what became of a record. */
@FunctionalInterface
public interface Callback {
    /**
     * The record was acknowledged, or will not be. Called on the one thread that completes the records of all producers of the process, in the
     * order of the records of a partition: what waits here lets them all wait, and it must not wait for a producer.
     *
     * @param metadata where the record is; with an exception: topic and, if it is known, partition, and no offset
     * @param exception why it was not acknowledged; null: it was
     */
    void onCompletion(RecordMetadata metadata, Exception exception);
}
