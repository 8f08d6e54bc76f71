package io.dohle;

import java.time.Duration;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;

/**
 * Writes records to topics. All methods may be called by several threads.
 *
 * @param <K> type of keys
 * @param <V> type of values
 * @see KafkaProducer
 */
public interface Producer<K, V> extends AutoCloseable {
    /**
     * Sends a record: {@link #send(ProducerRecord, Callback)} without a callback.
     *
     * @param record the record
     * @return where it is
     */
    CompletableFuture<RecordMetadata> send(ProducerRecord<K, V> record);

    /**
     * Sends a record. Returns at once, unless {@code buffer.memory} is used up: then it waits for room, for at most {@code max.block.ms}. Records for
     * one partition keep their order.
     *
     * <p>What the future and the callback tell (a {@link KafkaException}): that the record is too large, that it was not acknowledged within
     * {@code delivery.timeout.ms}, that it found no room in time (code {@code MAX_BLOCK_TIMEOUT}), that the broker refused it, and so on.
     * {@link KafkaException#persistence()} says whether it may be in the log all the same.
     *
     * @param record the record
     * @param callback is told what became of it, or null; see {@link Callback#onCompletion} for where it runs
     * @return where it is. Its continuations run where callbacks do, unless they are given an executor. Cancelling it takes nothing back
     * @throws KafkaException the producer is closed (code {@code CLOSED})
     * @throws InterruptException the thread was interrupted while it waited for room
     * @throws RuntimeException what a serializer has thrown
     */
    CompletableFuture<RecordMetadata> send(ProducerRecord<K, V> record, Callback callback);

    /**
     * Sends what there is without lingering, and waits until every record sent before is settled and its callback has returned.
     * {@code delivery.timeout.ms} bounds it. That a record has failed is told by its own future.
     *
     * @throws InterruptException the thread was interrupted
     */
    void flush();

    /**
     * The partitions of a topic, asked of the cluster.
     *
     * @param topic the topic's name
     * @return its partitions, by number
     * @throws KafkaException there is no such topic, or no answer came within {@code default.api.timeout.ms}
     */
    List<PartitionInfo> partitionsFor(String topic);

    /**
     * Waits until the producer has its transactional id (KIP-98): an earlier producer with the same id is fenced, and its transaction
     * aborted. To be called before the first transaction; once more, it does nothing.
     *
     * @throws KafkaException there is no {@code transactional.id}; or it could not be had within {@code max.block.ms} (then it may be
     *     called again)
     */
    void initTransactions();

    /**
     * Begins a transaction: what is sent from now on is part of it.
     *
     * @throws KafkaException one is open, or the producer was fenced ({@link KafkaException#isFatal()})
     */
    void beginTransaction();

    /**
     * Commits offsets of a consumer's group within the transaction (KIP-447). The consumer needs {@code enable.auto.commit=false}.
     *
     * @param offsets by partition: the offset of the next record to read
     * @param group the consumer's {@link Consumer#groupMetadata()}
     * @throws KafkaException the transaction can only be aborted then
     */
    void sendOffsetsToTransaction(Map<TopicPartition, OffsetAndMetadata> offsets, ConsumerGroupMetadata group);

    /**
     * Waits for everything that was sent in the transaction, and commits it.
     *
     * @throws TransactionAbortableException it was aborted instead, because something of it has failed: {@link #beginTransaction()} begins
     *     the next one, and {@link #abortTransaction()} in between does nothing
     * @throws KafkaException the producer was fenced, for example ({@link KafkaException#isFatal()})
     */
    void commitTransaction();

    /**
     * Aborts the transaction: who reads with {@code read_committed} never sees anything of it, and what was not sent yet never is.
     *
     * @throws KafkaException none is open, or the producer was fenced
     */
    void abortTransaction();

    /** Closes it after everything was sent, as {@link #close(Duration)} with {@code delivery.timeout.ms}, which bounds that. */
    @Override
    void close();

    /**
     * Takes no more records, sends what there is, and closes. Once more: nothing happens.
     *
     * @param timeout what is not settled after it fails; zero: at once
     */
    void close(Duration timeout);
}
