package io.dohle;

import io.dohle.serialization.ByteArrayDeserializer;
import io.dohle.serialization.Deserializer;
import io.dohle.serialization.StringDeserializer;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.util.Arrays;
import java.util.List;

/**
 * Records of one partition as the engine gives them: their bytes, copied into an array of Java's, and ten numbers of each (see {@code Chunk} in
 * {@code native/client}).
 */
final class Page {
    private static final int WORDS = 10;

    final TopicPartition partition;
    final int count;
    private final byte[] bytes;
    private final int[] index;
    private final long baseOffset;
    private final int leaderEpoch;
    /** Where {@code bytes} begin among those that the index counts in. */
    private final int start;

    Page(TopicPartition partition, byte[] bytes, int[] index, long[] facts) {
        this.partition = partition;
        this.bytes = bytes;
        this.index = index;
        this.count = index.length / WORDS;
        this.baseOffset = facts[1];
        this.leaderEpoch = (int) facts[2];
        this.start = (int) facts[4];
    }

    long offset(int place) {
        return baseOffset + index[place * WORDS];
    }

    /** Adds the records; the place of the first that a deserializer throws at, and its exception goes to {@code thrown}. */
    <K, V> int read(Deserializer<K> keys, Deserializer<V> values, List<ConsumerRecord<K, V>> out, Throwable[] thrown) {
        for (int place = 0; place < count; place++) {
            try {
                out.add(record(place * WORDS, keys, values));
            } catch (Throwable failure) {
                thrown[0] = failure;
                return place;
            }
        }
        return count;
    }

    private <K, V> ConsumerRecord<K, V> record(int at, Deserializer<K> keys, Deserializer<V> values) {
        int headersStart = index[at + 7] - start;
        int headersCount = index[at + 9];
        Headers headers = null;
        if (headersCount > 0 && !(plain(keys) && plain(values))) {
            headers = Headers.of(bytes, headersStart, headersCount);
        }
        return new ConsumerRecord<>(
                partition.topic(),
                partition.partition(),
                leaderEpoch,
                baseOffset + index[at],
                (long) index[at + 2] << 32 | index[at + 1] & 0xFFFF_FFFFL,
                index[at + 4],
                index[at + 6],
                part(keys, headers, index[at + 3] - start, index[at + 4]),
                part(values, headers, index[at + 5] - start, index[at + 6]),
                bytes,
                headersStart,
                headers == null ? headersCount : 0,
                headers);
    }

    private static boolean plain(Deserializer<?> of) {
        return of instanceof StringDeserializer || of instanceof ByteArrayDeserializer;
    }

    @SuppressWarnings("unchecked")
    private <T> T part(Deserializer<T> of, Headers headers, int from, int length) {
        // The two that nearly everybody has: without a slice in between.
        if (length >= 0 && of instanceof StringDeserializer) {
            return (T) (length == 0 ? "" : new String(bytes, from, length, StandardCharsets.UTF_8));
        } else if (length >= 0 && of instanceof ByteArrayDeserializer) {
            return (T) (length == 0 ? new byte[0] : Arrays.copyOfRange(bytes, from, from + length));
        }
        ByteBuffer slice = null;
        if (length == 0) {
            slice = ByteBuffer.allocate(0).asReadOnlyBuffer();
        } else if (length > 0) {
            slice = ByteBuffer.wrap(bytes, from, length).slice().asReadOnlyBuffer();
        }
        return of.deserialize(partition.topic(), headers == null ? new Headers() : headers, slice);
    }
}
