package io.dohle.internal;

/** A failure as the native part throws it: its message is JSON. {@link Failures#of} makes the exception that users get. */
public final class NativeFailure extends RuntimeException {
    private static final long serialVersionUID = 1L;

    /** Called by the native part. */
    public NativeFailure(String json) {
        super(json, null, false, false);
    }
}
