package io.dohle;

import static java.nio.charset.StandardCharsets.UTF_8;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collections;
import java.util.Iterator;
import java.util.List;

/** The headers of a record, in their order. Not for several threads at a time while one of them changes it. */
public final class Headers implements Iterable<Header> {
    private final List<Header> list;

    /** None. */
    public Headers() {
        this.list = new ArrayList<>();
    }

    /**
     * A copy.
     *
     * @param headers what it begins with
     */
    public Headers(Iterable<Header> headers) {
        this();
        headers.forEach(list::add);
    }

    private Headers(List<Header> list) {
        this.list = list;
    }

    /** Of a record that was read: {@code count} headers in Kafka's format at {@code start}. */
    static Headers of(byte[] bytes, int start, int count) {
        List<Header> list = new ArrayList<>(count);
        int[] at = {start};
        for (int i = 0; i < count; i++) {
            String key = new String(field(bytes, at), UTF_8);
            list.add(new Header(key, field(bytes, at)));
        }
        return new Headers(list);
    }

    /** A zigzag varint length (−1: null), and that many bytes. */
    private static byte[] field(byte[] bytes, int[] at) {
        int raw = 0;
        for (int shift = 0; ; shift += 7) {
            byte each = bytes[at[0]++];
            raw |= (each & 0x7F) << shift;
            if (each >= 0) {
                break;
            }
        }
        int length = raw >>> 1 ^ -(raw & 1);
        if (length < 0) {
            return null;
        }
        at[0] += length;
        return Arrays.copyOfRange(bytes, at[0] - length, at[0]);
    }

    /** As the engine's arena has them (see {@code native/bridge/src/arena.rs}); null: there are none. */
    byte[] packed() {
        if (list.isEmpty()) {
            return null;
        }
        int size = 4;
        byte[][] names = new byte[list.size()][];
        for (int i = 0; i < names.length; i++) {
            Header header = list.get(i);
            names[i] = header.key().getBytes(UTF_8);
            size += 8 + names[i].length + (header.value() == null ? 0 : header.value().length);
        }
        ByteBuffer packed = ByteBuffer.allocate(size).order(ByteOrder.LITTLE_ENDIAN).putInt(names.length);
        for (int i = 0; i < names.length; i++) {
            byte[] value = list.get(i).value();
            packed.putInt(names[i].length).put(names[i]).putInt(value == null ? -1 : value.length);
            if (value != null) {
                packed.put(value);
            }
        }
        return packed.array();
    }

    /**
     * Adds one at the end.
     *
     * @param header the header
     * @return this
     */
    public Headers add(Header header) {
        list.add(header);
        return this;
    }

    /**
     * Adds one at the end.
     *
     * @param key its name
     * @param value its value, or null
     * @return this
     */
    public Headers add(String key, byte[] value) {
        return add(new Header(key, value));
    }

    /**
     * Removes all of this name.
     *
     * @param key the name
     * @return this
     */
    public Headers remove(String key) {
        list.removeIf(header -> header.key().equals(key));
        return this;
    }

    /**
     * The last one of this name.
     *
     * @param key the name
     * @return null: there is none
     */
    public Header lastHeader(String key) {
        for (int i = list.size() - 1; i >= 0; i--) {
            if (list.get(i).key().equals(key)) {
                return list.get(i);
            }
        }
        return null;
    }

    /**
     * All of this name, in their order.
     *
     * @param key the name
     * @return possibly none
     */
    public Iterable<Header> headers(String key) {
        return list.stream().filter(header -> header.key().equals(key)).toList();
    }

    /**
     * All, in their order.
     *
     * @return a copy
     */
    public Header[] toArray() {
        return list.toArray(Header[]::new);
    }

    /** All, in their order. They cannot be removed by it. */
    @Override
    public Iterator<Header> iterator() {
        return Collections.unmodifiableList(list).iterator();
    }

    /** Names and lengths. */
    @Override
    public String toString() {
        return list.stream()
                .map(header -> header.key() + ": " + (header.value() == null ? "null" : header.value().length + " bytes"))
                .toList()
                .toString();
    }
}
