package io.dohle;

import java.io.Serial;

/**
 * The transaction must be aborted; the producer stays usable.
 *
 * @see <a href="https://cwiki.apache.org/confluence/display/KAFKA/KIP-1050">KIP-1050</a>
 */
public class TransactionAbortableException extends KafkaException {
    @Serial
    private static final long serialVersionUID = 1L;

    /**
     * See {@link KafkaException#KafkaException(String, Facts, Throwable)}.
     *
     * @param message for people
     * @param facts what it tells beside that
     * @param cause what it came from, or null
     */
    public TransactionAbortableException(String message, Facts facts, Throwable cause) {
        super(message, facts, cause);
    }
}
