package io.dohle;

import java.io.Serial;

/** {@link Consumer#wakeup()} ended a wait. */
public class WakeupException extends KafkaException {
    @Serial
    private static final long serialVersionUID = 1L;

    /** One for {@link Consumer#wakeup()}. */
    public WakeupException() {
        super("the consumer was woken", Facts.of("ABORTED"), null);
    }
}
