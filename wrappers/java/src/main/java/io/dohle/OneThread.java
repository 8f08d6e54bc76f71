package io.dohle;

import java.util.ConcurrentModificationException;
import java.util.concurrent.atomic.AtomicLong;

/** Sees that one thread at a time uses an object. The thread that is in may enter again, as a listener does that is called by a poll. */
final class OneThread {
    private static final long NONE = 0;

    private final AtomicLong thread = new AtomicLong(NONE);
    /** Of the thread that is in. */
    private int depth;

    void enter() {
        long current = Thread.currentThread().getId();
        if (thread.get() != current && !thread.compareAndSet(NONE, current)) {
            throw new ConcurrentModificationException("a consumer is for one thread at a time; thread " + thread.get() + " uses it");
        }
        depth++;
    }

    void leave() {
        if (--depth == 0) {
            thread.set(NONE);
        }
    }
}
