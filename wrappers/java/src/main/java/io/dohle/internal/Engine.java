package io.dohle.internal;

import io.dohle.InterruptException;
import io.dohle.KafkaException;
import io.dohle.RetriableException;
import java.lang.System.Logger;
import java.lang.System.Logger.Level;
import java.lang.ref.Cleaner;
import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ConcurrentHashMap;
import java.util.concurrent.ExecutionException;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.TimeoutException;
import java.util.concurrent.atomic.AtomicInteger;

/**
 * The engine of this JVM: calls, and the one thread that hands out what the engine has to say.
 *
 * <p>That thread, {@code dohle-pump}, is a daemon: it does not keep the JVM alive. It completes futures and runs callbacks of producers; who
 * blocks it blocks those of all others.
 */
public final class Engine {
    /** Closes what its program has lost. */
    public static final Cleaner CLEANER = Cleaner.create();

    /** Who is told of entries about a handle, on the pump's thread. */
    public interface Receiver {
        /** Records of {@code group} from {@code first} on were settled; {@code failure} is JSON, or null. */
        default void delivered(
                int group, int first, int count, int partition, long offset, long time, String failure, int persistence) {}

        /** There is room again. */
        default void space() {}

        /** Something has happened. */
        default void event(String name, Map<String, Object> event) {}

        /** What the engine asks; the answer is written as JSON. */
        default Object question(String name, Map<String, Object> request) throws Exception {
            throw new UnsupportedOperationException("nobody answers the question " + name);
        }

        /** Its engine has panicked: nothing more will be heard. */
        default void poisoned(String failure) {}
    }

    private static final int WORDS = 12;
    private static final int ENTRIES = 128;
    private static final Logger LOG = System.getLogger("io.dohle");
    private static final ConcurrentHashMap<Integer, CompletableFuture<String>> CALLS = new ConcurrentHashMap<>();
    private static final ConcurrentHashMap<Integer, Receiver> RECEIVERS = new ConcurrentHashMap<>();
    private static final AtomicInteger LAST = new AtomicInteger();
    private static final Thread PUMP = new Thread(Engine::pump, "dohle-pump");

    static {
        String built = Native.version();
        String own = Engine.class.getPackage().getImplementationVersion();
        if (own != null && !own.equals(built)) {
            throw new UnsatisfiedLinkError("the native part of dohle is of version " + built + ", the jar of " + own);
        }
        PUMP.setDaemon(true);
        PUMP.start();
    }

    private Engine() {}

    /** Opens a client, or a producer or consumer of one. */
    public static int open(String kind, int parent, Object options) {
        try {
            return Native.open(kind, parent, Json.write(options));
        } catch (NativeFailure failure) {
            throw Failures.of(failure);
        }
    }

    /** Entries about {@code handle} go to {@code receiver}; null: to nobody. */
    public static void tell(int handle, Receiver receiver) {
        if (receiver == null) {
            RECEIVERS.remove(handle);
        } else {
            RECEIVERS.put(handle, receiver);
        }
    }

    /** An operation that never waits. */
    public static Object invoke(int handle, String operation, String request) {
        try {
            return Json.read(Native.invoke(handle, operation, request));
        } catch (NativeFailure failure) {
            throw Failures.of(failure);
        }
    }

    /** Starts an operation. The future fails with {@link NativeFailure}; {@link #exception} makes of it what users get. */
    public static CompletableFuture<String> call(int handle, String operation, String request) {
        CompletableFuture<String> done = new CompletableFuture<>();
        int id;
        do {
            id = LAST.incrementAndGet();
        } while (CALLS.putIfAbsent(id, done) != null);
        Native.call(id, handle, operation, request);
        int call = id;
        // Who no longer waits has it stopped. One that has completed is under way no more: nothing happens.
        done.whenComplete((response, failure) -> {
            if (CALLS.remove(call) != null) {
                Native.cancel(call);
            }
        });
        return done;
    }

    /** Waits for a call, which has its own time limit. */
    public static Object await(CompletableFuture<String> call) {
        return await(call, null);
    }

    /** Waits for a call, for at most {@code limit}; then it is stopped. */
    public static Object await(CompletableFuture<String> call, Duration limit) {
        if (isPump() && !call.isDone()) {
            call.cancel(false);
            throw new IllegalStateException("a callback must not wait for the producer or for an admin call: it runs on the thread"
                    + " that would have to go on");
        }
        try {
            return Json.read(limit == null ? call.get() : call.get(nanos(limit), TimeUnit.NANOSECONDS));
        } catch (InterruptedException interrupted) {
            call.cancel(false);
            throw new InterruptException(interrupted);
        } catch (TimeoutException late) {
            call.cancel(false);
            throw timedOut("no answer within " + limit.toMillis() + " ms");
        } catch (ExecutionException failed) {
            throw exception(failed);
        }
    }

    /** A duration in nanoseconds; what is longer than 292 years counts as that. */
    public static long nanos(Duration duration) {
        try {
            return duration.toNanos();
        } catch (ArithmeticException veryLong) {
            return Long.MAX_VALUE;
        }
    }

    /** A duration in milliseconds, as requests take them; what is longer than 49 days counts as that. */
    public static Long millis(Duration duration) {
        return Math.min(nanos(duration) / 1_000_000, 0xFFFF_FFFFL);
    }

    /** The exception that users get of a call's failure. */
    public static RuntimeException exception(Throwable failure) {
        Throwable cause = failure;
        while ((cause instanceof ExecutionException || cause instanceof CompletionException) && cause.getCause() != null) {
            cause = cause.getCause();
        }
        if (cause instanceof NativeFailure failed) {
            return Failures.of(failed);
        }
        return cause instanceof RuntimeException other ? other : new IllegalStateException(cause);
    }

    /** A wait that its own limit ended. */
    public static KafkaException timedOut(String what) {
        return new RetriableException(
                what, new KafkaException.Facts("REQUEST_TIMED_OUT", true, false, false, null, List.of()), null);
    }

    /** Whether this is the thread that completes futures and runs callbacks. */
    public static boolean isPump() {
        return Thread.currentThread() == PUMP;
    }

    private static void pump() {
        int[] words = new int[ENTRIES * WORDS];
        String[] texts = new String[ENTRIES];
        while (true) {
            try {
                int count = Native.next(words, texts);
                for (int i = 0; i < count; i++) {
                    String text = texts[i];
                    texts[i] = null;
                    guarded(words, i * WORDS, text);
                }
            } catch (Throwable broken) {
                log("the pump of dohle cannot take what the engine has to say", broken);
            }
        }
    }

    /** The pump goes on also when nothing can be logged, as while the JVM has no memory. */
    private static void log(String what, Throwable thrown) {
        try {
            LOG.log(Level.ERROR, what, thrown);
        } catch (Throwable lost) {
            Thread.onSpinWait();
        }
    }

    /** What a program's callback throws stops nobody else's. */
    private static void guarded(int[] words, int at, String text) {
        try {
            dispatch(words, at, text);
        } catch (Throwable thrown) {
            thrown(thrown);
        }
    }

    /** A program's callback has thrown: it is told to the logger {@code io.dohle}. */
    public static void thrown(Throwable thrown) {
        log("a callback has thrown", thrown);
    }

    private static void dispatch(int[] words, int at, String text) {
        int handle = words[at + 1];
        if (words[at] == 4) {
            CompletableFuture<String> call = CALLS.remove(words[at + 2]);
            if (call == null) {
                return;
            }
            if (words[at + 3] == 0) {
                call.complete(text);
            } else {
                call.completeExceptionally(new NativeFailure(text));
            }
            return;
        }
        Receiver receiver = RECEIVERS.get(handle);
        switch (words[at]) {
            case 1:
                if (receiver != null) {
                    receiver.delivered(
                            words[at + 2],
                            words[at + 3],
                            words[at + 4],
                            words[at + 5],
                            wide(words, at + 8),
                            wide(words, at + 10),
                            text,
                            words[at + 6]);
                }
                break;
            case 2:
                if (receiver != null) {
                    receiver.space();
                }
                break;
            case 5:
                answer(receiver, text);
                break;
            case 6:
                event(receiver, Json.object(text));
                break;
            case 7:
                if (receiver != null) {
                    receiver.poisoned(text);
                }
                break;
            default:
                break;
        }
    }

    private static long wide(int[] words, int at) {
        return (long) words[at + 1] << 32 | words[at] & 0xFFFF_FFFFL;
    }

    /** Has a question of the engine answered, on the caller's thread. */
    @SuppressWarnings("unchecked")
    public static void answer(Receiver receiver, String text) {
        Map<String, Object> question = Json.object(text);
        Object id = question.get("id");
        String answer;
        try {
            if (receiver == null) {
                throw new IllegalStateException("nobody is there to answer");
            }
            Object given = receiver.question((String) question.get("name"), (Map<String, Object>) question.get("request"));
            answer = Json.of("id", id, "answer", Json.write(given));
        } catch (Throwable thrown) {
            answer = Json.of("id", id, "error", String.valueOf(thrown));
        }
        invoke(0, "environment.answer", answer);
    }

    private static void event(Receiver receiver, Map<String, Object> event) {
        String name = (String) event.get("name");
        if (!name.equals("log")) {
            if (receiver != null) {
                receiver.event(name, event);
            }
            return;
        }
        Level level =
                switch (String.valueOf(event.get("level"))) {
                    case "error" -> Level.ERROR;
                    case "warn" -> Level.WARNING;
                    case "info" -> Level.INFO;
                    default -> Level.DEBUG;
                };
        System.getLogger("io.dohle." + event.get("target"))
                .log(level, () -> event.get("message") + " " + Json.write(event.get("fields")));
    }
}
