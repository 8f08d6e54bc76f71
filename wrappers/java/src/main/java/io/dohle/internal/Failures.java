package io.dohle.internal;

import io.dohle.ApplicationRecoverableException;
import io.dohle.InvalidConfigurationException;
import io.dohle.KafkaException;
import io.dohle.KafkaException.FailedItem;
import io.dohle.KafkaException.Persistence;
import io.dohle.RefreshRetriableException;
import io.dohle.RetriableException;
import io.dohle.TransactionAbortableException;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;

/** Exceptions of the engine's failures. */
public final class Failures {
    private Failures() {}

    /** The exception of what the native part threw. */
    public static KafkaException of(NativeFailure failure) {
        return read(failure.getMessage(), null);
    }

    /** The exception of a failure's JSON; {@code persistence} is the queue's word for records, or null. */
    public static KafkaException read(String json, Integer persistence) {
        Map<String, Object> members = Json.object(json);
        if (persistence != null) {
            members.putIfAbsent("persistence", Persistence.values()[persistence].word());
        }
        return of(members);
    }

    /** The exception of a failure that was read. */
    @SuppressWarnings("unchecked")
    public static KafkaException of(Map<String, Object> members) {
        Throwable cause = null;
        List<Object> causes = (List<Object>) members.getOrDefault("causes", List.of());
        for (int i = causes.size() - 1; i >= 0; i--) {
            cause = new Cause((String) causes.get(i), cause);
        }
        List<FailedItem> items = new ArrayList<>();
        for (Object item : (List<Object>) members.getOrDefault("items", List.of())) {
            Map<String, Object> of = (Map<String, Object>) item;
            items.add(new FailedItem((String) of.get("name"), of((Map<String, Object>) of.get("error"))));
        }
        KafkaException.Facts facts = new KafkaException.Facts(
                (String) members.get("code"),
                Boolean.TRUE.equals(members.get("retriable")),
                Boolean.TRUE.equals(members.get("fatal")),
                Boolean.TRUE.equals(members.get("abortable")),
                Persistence.of((String) members.get("persistence")),
                items);
        String message = (String) members.get("message");
        return switch (String.valueOf(members.get("class"))) {
            case "retriable" -> new RetriableException(message, facts, cause);
            case "refreshRetriable" -> new RefreshRetriableException(message, facts, cause);
            case "abortable" -> new TransactionAbortableException(message, facts, cause);
            case "applicationRecoverable" -> new ApplicationRecoverableException(message, facts, cause);
            case "invalidConfiguration" -> new InvalidConfigurationException(message, facts, cause);
            default -> new KafkaException(message, facts, cause);
        };
    }

    /** The object was closed. */
    public static KafkaException closed(String what) {
        return new KafkaException("the " + what + " is closed", KafkaException.Facts.of("CLOSED"), null);
    }

    /** Something within the engine that led to a failure. */
    private static final class Cause extends Exception {
        private static final long serialVersionUID = 1L;

        Cause(String message, Throwable cause) {
            super(message, cause, false, false);
        }

        @Override
        public String toString() {
            return getMessage();
        }
    }
}
