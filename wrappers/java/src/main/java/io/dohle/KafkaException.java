package io.dohle;

import java.io.Serial;
import java.util.List;

/**
 * Every error of Dohle. Its subclasses are the five groups of KIP-1050, which say what to do; an error outside of these groups is a plain
 * {@code KafkaException}.
 *
 * @see <a href="https://cwiki.apache.org/confluence/display/KAFKA/KIP-1050">KIP-1050</a>
 */
public class KafkaException extends RuntimeException {
    @Serial
    private static final long serialVersionUID = 1L;

    /** Whether a record that was not acknowledged is in the log all the same, as far as can be known. */
    public enum Persistence {
        /** It may be sent again without making a duplicate. */
        NOT_PERSISTED("not-persisted"),
        /** It left the client, and no answer told its fate. */
        POSSIBLY_PERSISTED("possibly-persisted"),
        /** It is in the log. */
        PERSISTED("persisted");

        private final String word;

        Persistence(String word) {
            this.word = word;
        }

        /**
         * The word that all of Dohle's languages have for it.
         *
         * @return such as {@code not-persisted}
         */
        public String word() {
            return word;
        }

        /**
         * The one of a word.
         *
         * @param word such as {@code not-persisted}, or null
         * @return it; null: there is none of this word
         */
        public static Persistence of(String word) {
            for (Persistence each : values()) {
                if (each.word.equals(word)) {
                    return each;
                }
            }
            return null;
        }
    }

    /**
     * One of several things that a call was about, and why it failed.
     *
     * @param name such as that of a topic; {@code orders-3} is a partition
     * @param error why
     */
    public record FailedItem(String name, KafkaException error) {}

    /**
     * What an exception tells beside its message.
     *
     * @param code Kafka's name of the error, such as {@code UNKNOWN_TOPIC_OR_PARTITION}, or one of Dohle's, such as {@code CLOSED}
     * @param retriable whether the same call may succeed when it is made again
     * @param fatal whether the object that gave it is of no more use
     * @param abortable whether it ended a transaction, which is aborted or must be
     * @param persistence for a record that was not acknowledged: whether it is in the log all the same; else null
     * @param items of an admin call about several things: those that failed, in the order of the call
     */
    public record Facts(
            String code,
            boolean retriable,
            boolean fatal,
            boolean abortable,
            Persistence persistence,
            List<FailedItem> items) {
        /**
         * Neither retriable nor fatal.
         *
         * @param code the error's name
         * @return the facts
         */
        public static Facts of(String code) {
            return new Facts(code, false, false, false, null, List.of());
        }
    }

    /** What it tells. Not written when it is serialized: exceptions within it may not be serializable. */
    private final transient Facts facts;

    /**
     * An exception of the program's own making, for tests of its error handling; the library makes its own in the same way.
     *
     * @param message for people
     * @param facts what it tells beside that
     * @param cause what it came from, or null
     */
    public KafkaException(String message, Facts facts, Throwable cause) {
        super(message, cause);
        this.facts = facts;
    }

    /**
     * Everything it tells beside its message.
     *
     * @return the facts
     */
    public Facts facts() {
        return facts == null ? Facts.of("UNKNOWN") : facts;
    }

    /**
     * Kafka's name of the error, such as {@code UNKNOWN_TOPIC_OR_PARTITION}, or one of Dohle's, such as {@code CLOSED}.
     *
     * @return the name, a constant of {@link ErrorCode} unless a broker answers with a newer one
     */
    public String code() {
        return facts().code();
    }

    /**
     * Whether the same call may succeed when it is made again.
     *
     * @return true if so
     */
    public boolean isRetriable() {
        return facts().retriable();
    }

    /**
     * Whether the client, producer or consumer that gave it is of no more use.
     *
     * @return true if so
     */
    public boolean isFatal() {
        return facts().fatal();
    }

    /**
     * Whether it ended a transaction, which is aborted or must be; the producer can begin another one.
     *
     * @return true if so
     */
    public boolean isAbortable() {
        return facts().abortable();
    }

    /**
     * For a record that was not acknowledged: whether it is in the log all the same.
     *
     * @return null for other errors
     */
    public Persistence persistence() {
        return facts().persistence();
    }

    /**
     * Of an admin call about several things: those that failed, in the order of the call, each with its own error; those not named were done.
     *
     * @return empty where it was not about things one by one, or all of them shared one fate, such as a timeout
     */
    public List<FailedItem> items() {
        return facts().items();
    }
}
