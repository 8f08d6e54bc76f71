package io.dohle;

import java.util.Objects;

/**
 * A header of a record. Its name may be there several times.
 *
 * @param key the name
 * @param value the value, or null; not copied: do not change it
 */
public record Header(String key, byte[] value) {
    /**
     * Checks that there is a name.
     *
     * @param key the name
     * @param value the value, or null
     */
    public Header {
        Objects.requireNonNull(key, "key");
    }
}
