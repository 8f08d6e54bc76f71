package io.dohle;

import java.io.Serial;

/**
 * An option or an argument is wrong; the message names it, its value and what is allowed.
 *
 * @see <a href="https://cwiki.apache.org/confluence/display/KAFKA/KIP-1050">KIP-1050</a>
 */
public class InvalidConfigurationException extends KafkaException {
    @Serial
    private static final long serialVersionUID = 1L;

    /**
     * See {@link KafkaException#KafkaException(String, Facts, Throwable)}.
     *
     * @param message for people
     * @param facts what it tells beside that
     * @param cause what it came from, or null
     */
    public InvalidConfigurationException(String message, Facts facts, Throwable cause) {
        super(message, facts, cause);
    }
}
