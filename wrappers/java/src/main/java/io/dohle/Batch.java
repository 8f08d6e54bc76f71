package io.dohle;

import io.dohle.serialization.Deserializer;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/** Makes the records of one poll of pages. */
record Batch<K, V>(Deserializer<K> keys, Deserializer<V> values, ConsumerState state) {
    /** The records of a page, and of what else is here. */
    ConsumerRecords<K, V> read(Page first) {
        Map<TopicPartition, List<ConsumerRecord<K, V>>> records = new LinkedHashMap<>();
        int count = 0;
        for (Page page = first; page != null; page = state.more(state.maxPollRecords - count)) {
            Throwable[] thrown = new Throwable[1];
            List<ConsumerRecord<K, V>> list = records.computeIfAbsent(page.partition, each -> new ArrayList<>(first.count));
            int read = page.read(keys, values, list, thrown);
            count += read;
            if (thrown[0] != null) {
                // The position is at the record: a seek beyond it, or the next poll meets it again.
                long offset = page.offset(read);
                state.seek(page.partition, "offset", offset);
                if (list.isEmpty()) {
                    records.remove(page.partition);
                }
                if (count == 0 && thrown[0] instanceof Error error) {
                    throw error;
                }
                if (count == 0) {
                    throw new RecordDeserializationException(page.partition, offset, thrown[0]);
                }
                break;
            }
            if (count >= state.maxPollRecords) {
                break;
            }
        }
        return new ConsumerRecords<>(records);
    }
}
