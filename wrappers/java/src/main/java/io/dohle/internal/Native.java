package io.dohle.internal;

import java.nio.ByteBuffer;

/** What {@code native/java} exports; what each function does stands there. */
public final class Native {
    /** What {@link #poll}, {@link #more} and {@link #question} end with. */
    public static final int NOTHING = 0;

    /** A page of records. */
    public static final int PAGE = 1;

    /** {@link #wake} ended the wait. */
    public static final int WOKEN = 2;

    /** The group asks the listener. */
    public static final int QUESTION = 3;

    /** Answer of {@link #append}: the producer's memory is full. */
    public static final long FULL = -1;

    static {
        NativeLibrary.load();
    }

    private Native() {}

    static native String version();

    public static native int open(String kind, int parent, String options);

    public static native String invoke(int handle, String operation, String request);

    static native void call(int id, int handle, String operation, String request);

    static native void cancel(int id);

    static native int next(int[] words, String[] texts);

    public static native long outbox(int producer);

    public static native ByteBuffer memory(long outbox);

    public static native void freeOutbox(long outbox);

    public static native int topic(long outbox, String name);

    public static native long append(
            long outbox, int topic, int partition, long timestamp, int key, int value, int headers);

    public static native long appendLarge(
            long outbox, int topic, int partition, long timestamp, byte[] key, byte[] value, byte[] headers);

    public static native long reader(int consumer);

    public static native void freeReader(long reader);

    public static native void finish(long reader);

    public static native int poll(long reader, long timeout, int most, Object[] out);

    public static native int more(long reader, int most, Object[] out);

    public static native int question(int consumer, long timeout, Object[] out);

    public static native void wake(int consumer);
}
