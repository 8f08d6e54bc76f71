package io.dohle;

import java.io.Serial;

/** The thread was interrupted while it waited. It still is: the interrupt is set again. */
public class InterruptException extends KafkaException {
    @Serial
    private static final long serialVersionUID = 1L;

    /**
     * Sets the thread's interrupt again.
     *
     * @param cause what ended the wait
     */
    public InterruptException(InterruptedException cause) {
        super("interrupted while waiting", Facts.of("ABORTED"), cause);
        Thread.currentThread().interrupt();
    }
}
