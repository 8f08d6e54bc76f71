package io.dohle;

import java.util.ArrayList;
import java.util.Collections;
import java.util.Iterator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;

/**
 * What one poll gave: records of some partitions, those of each in their order.
 *
 * @param <K> type of keys
 * @param <V> type of values
 */
public final class ConsumerRecords<K, V> implements Iterable<ConsumerRecord<K, V>> {
    private static final ConsumerRecords<?, ?> EMPTY = new ConsumerRecords<>(Map.of());

    private final Map<TopicPartition, List<ConsumerRecord<K, V>>> records;

    /**
     * These records.
     *
     * @param records by partition
     */
    public ConsumerRecords(Map<TopicPartition, List<ConsumerRecord<K, V>>> records) {
        this.records = new LinkedHashMap<>(records);
    }

    /**
     * No records.
     *
     * @param <K> type of keys
     * @param <V> type of values
     * @return the same each time
     */
    @SuppressWarnings("unchecked")
    public static <K, V> ConsumerRecords<K, V> empty() {
        return (ConsumerRecords<K, V>) EMPTY;
    }

    /**
     * How many there are.
     *
     * @return at most {@code max.poll.records}
     */
    public int count() {
        int count = 0;
        for (List<?> each : records.values()) {
            count += each.size();
        }
        return count;
    }

    /**
     * Whether there are none.
     *
     * @return true if so
     */
    public boolean isEmpty() {
        return records.isEmpty();
    }

    /**
     * The partitions that there are records of.
     *
     * @return possibly none
     */
    public Set<TopicPartition> partitions() {
        return Collections.unmodifiableSet(records.keySet());
    }

    /**
     * Those of a partition.
     *
     * @param partition the partition
     * @return possibly none
     */
    public List<ConsumerRecord<K, V>> records(TopicPartition partition) {
        return Collections.unmodifiableList(records.getOrDefault(partition, List.of()));
    }

    /**
     * Those of a topic, partition by partition.
     *
     * @param topic the topic's name
     * @return possibly none
     */
    public Iterable<ConsumerRecord<K, V>> records(String topic) {
        List<ConsumerRecord<K, V>> list = new ArrayList<>();
        records.forEach((partition, of) -> {
            if (partition.topic().equals(topic)) {
                list.addAll(of);
            }
        });
        return list;
    }

    /** All, partition by partition. */
    @Override
    public Iterator<ConsumerRecord<K, V>> iterator() {
        Iterator<List<ConsumerRecord<K, V>>> partitions = records.values().iterator();
        return new Iterator<>() {
            private Iterator<ConsumerRecord<K, V>> current = Collections.emptyIterator();

            @Override
            public boolean hasNext() {
                while (!current.hasNext() && partitions.hasNext()) {
                    current = partitions.next().iterator();
                }
                return current.hasNext();
            }

            @Override
            public ConsumerRecord<K, V> next() {
                return hasNext() ? current.next() : Collections.<ConsumerRecord<K, V>>emptyIterator().next();
            }
        };
    }
}
