package io.dohle;

import io.dohle.admin.AdminOperations;
import io.dohle.internal.Engine;
import io.dohle.internal.Failures;
import io.dohle.internal.Json;
import java.time.Duration;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * Creates, describes, changes and deletes what a cluster has: {@link AdminOperations} are its methods. All may be called by several threads.
 *
 * <p>A future fails with a {@link KafkaException}; of a call about several things, {@link KafkaException#items()} says which of them have failed, and
 * the others are done. A future that is cancelled stops its call; what that has done stays done. Continuations run on the thread
 * {@code dohle-pump}, unless they are given an executor, and must not wait there.
 *
 * <pre>{@code
 * try (var admin = AdminClient.create(Map.of("bootstrap.servers", "localhost:9092"))) {
 *     admin.createTopics(List.of(new NewTopic("orders").withPartitions(3))).get();
 * }
 * }</pre>
 */
public final class AdminClient extends AdminOperations implements AutoCloseable {
    private final State state;

    private AdminClient(State state) {
        this.state = state;
        Engine.CLEANER.register(this, state);
    }

    /** Must not lead to the client, which is to be collected when its program has lost it. */
    private static final class State implements Runnable {
        private final int client;
        private volatile boolean closed;

        State(int client) {
            this.client = client;
        }

        @Override
        public void run() {
            close();
        }

        CompletableFuture<String> close() {
            closed = true;
            return Engine.call(client, "client.close", "{}");
        }
    }

    /**
     * An admin client. Nothing is connected yet.
     *
     * @param configs options by Kafka's names ({@link AdminClientConfig}); a {@code java.util.Properties} too
     * @return it
     * @throws InvalidConfigurationException an option is unknown or wrong
     */
    public static AdminClient create(Map<?, ?> configs) {
        return new AdminClient(new State(new Settings(configs).openClientAlone()));
    }

    @Override
    protected CompletableFuture<Object> operate(String operation, Map<String, Object> request) {
        if (state.closed) {
            return CompletableFuture.failedFuture(Failures.closed("client"));
        }
        CompletableFuture<String> call = Engine.call(state.client, operation, Json.write(request));
        CompletableFuture<Object> done = new CompletableFuture<>();
        call.whenComplete((response, failure) -> {
            if (failure == null) {
                done.complete(Json.read(response));
            } else {
                done.completeExceptionally(Engine.exception(failure));
            }
        });
        return done;
    }

    /** Closes it; calls under way fail. Once more: nothing happens. */
    @Override
    public void close() {
        CompletableFuture<String> closed = state.close();
        if (!Engine.isPump()) {
            Engine.await(closed);
        }
    }

    /**
     * As {@link #close()}.
     *
     * @param timeout how long to wait until it is closed
     */
    public void close(Duration timeout) {
        Engine.await(state.close(), timeout);
    }
}
