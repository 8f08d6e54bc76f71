package io.dohle;

import java.time.Duration;
import java.util.Collection;
import java.util.List;
import java.util.Map;
import java.util.OptionalLong;
import java.util.Set;
import java.util.regex.Pattern;

/**
 * Reads records. For one thread at a time, as Kafka's own: any other gets {@link java.util.ConcurrentModificationException}; only
 * {@link #wakeup()} is for all.
 *
 * <p>What waits is ended by {@link #wakeup()} ({@link WakeupException}) and by an interrupt ({@link InterruptException}). What asks the
 * cluster waits for at most {@code default.api.timeout.ms}, or the timeout given.
 *
 * @param <K> type of keys
 * @param <V> type of values
 * @see KafkaConsumer
 */
public interface Consumer<K, V> extends AutoCloseable {
    /**
     * What is assigned now.
     *
     * @return a copy
     */
    Set<TopicPartition> assignment();

    /**
     * What is subscribed, by name; with a pattern the topics that it has found.
     *
     * @return a copy
     */
    Set<String> subscription();

    /**
     * Reads these topics as a member of the group {@code group.id}. They take the place of those before.
     *
     * @param topics names; none: as {@link #unsubscribe()}
     */
    void subscribe(Collection<String> topics);

    /**
     * Reads these topics as a member of the group {@code group.id}. They take the place of those before.
     *
     * @param topics names; none: as {@link #unsubscribe()}
     * @param listener is told which partitions come and go
     */
    void subscribe(Collection<String> topics, ConsumerRebalanceListener listener);

    /**
     * Reads the topics whose names match, also those that are created later.
     *
     * @param pattern is to match the whole name
     */
    void subscribe(Pattern pattern);

    /**
     * Reads the topics whose names match, also those that are created later.
     *
     * @param pattern is to match the whole name
     * @param listener is told which partitions come and go
     */
    void subscribe(Pattern pattern, ConsumerRebalanceListener listener);

    /**
     * Reads these partitions, without a group's assignment: from what the group has committed, if there is a group, else as
     * {@code auto.offset.reset} says. Those that were assigned before go on where they are.
     *
     * @param partitions they take the place of those before; none: as {@link #unsubscribe()}
     */
    void assign(Collection<TopicPartition> partitions);

    /** Ends subscription or assignment, and leaves the group. With {@code enable.auto.commit} what was read is committed first. */
    void unsubscribe();

    /**
     * The next records. Waits until there is at least one; what there is else is given too, up to {@code max.poll.records} (500).
     *
     * <p>What the poll before has given counts as done: with {@code enable.auto.commit} it may be committed from now on. Who does not
     * poll for {@code max.poll.interval.ms} leaves the group until the next poll. Listeners and callbacks of commits run within it.
     *
     * @param timeout how long to wait at most; zero: not at all
     * @return none: no record came in time
     * @throws WakeupException {@link #wakeup()} was called before or meanwhile
     * @throws InterruptException the thread is interrupted
     * @throws RecordDeserializationException a deserializer has thrown
     * @throws KafkaException there is nothing to read from without {@code auto.offset.reset} (code {@code NO_OFFSET}); the group cannot be
     *     joined; and others
     */
    ConsumerRecords<K, V> poll(Duration timeout);

    /** Commits the positions: everything that polls have given. */
    void commitSync();

    /**
     * Commits the positions: everything that polls have given.
     *
     * @param timeout how long it may take
     */
    void commitSync(Duration timeout);

    /**
     * Commits offsets.
     *
     * @param offsets by partition: the offset of the next record to read
     * @throws KafkaException the group has given the partitions to others, for example (code {@code REBALANCE_IN_PROGRESS},
     *     {@code ILLEGAL_GENERATION})
     */
    void commitSync(Map<TopicPartition, OffsetAndMetadata> offsets);

    /**
     * Commits offsets.
     *
     * @param offsets by partition: the offset of the next record to read
     * @param timeout how long it may take
     */
    void commitSync(Map<TopicPartition, OffsetAndMetadata> offsets, Duration timeout);

    /** Commits the positions without waiting; a failure is logged by the engine. */
    void commitAsync();

    /**
     * Commits the positions without waiting.
     *
     * @param callback is told the outcome within a later call; null: nobody is
     */
    void commitAsync(OffsetCommitCallback callback);

    /**
     * Commits offsets without waiting.
     *
     * @param offsets by partition: the offset of the next record to read
     * @param callback is told the outcome within a later call; null: nobody is
     */
    void commitAsync(Map<TopicPartition, OffsetAndMetadata> offsets, OffsetCommitCallback callback);

    /**
     * Moves the position. Nothing from before is given afterwards.
     *
     * @param partition one that is assigned
     * @param offset where to
     */
    void seek(TopicPartition partition, long offset);

    /**
     * Moves the position.
     *
     * @param partition one that is assigned
     * @param offset where to; its metadata is not used
     */
    void seek(TopicPartition partition, OffsetAndMetadata offset);

    /**
     * Moves to the start of the log.
     *
     * @param partitions some that are assigned; none: all
     */
    void seekToBeginning(Collection<TopicPartition> partitions);

    /**
     * Moves to the end of the log.
     *
     * @param partitions some that are assigned; none: all
     */
    void seekToEnd(Collection<TopicPartition> partitions);

    /**
     * Offset of the next record that a poll gives. Waits while it is being looked up.
     *
     * @param partition one that is assigned
     * @return the offset
     */
    long position(TopicPartition partition);

    /**
     * Offset of the next record that a poll gives.
     *
     * @param partition one that is assigned
     * @param timeout how long to wait while it is being looked up
     * @return the offset
     */
    long position(TopicPartition partition, Duration timeout);

    /**
     * What the group has committed.
     *
     * @param partitions of which
     * @return null where there is nothing
     */
    Map<TopicPartition, OffsetAndMetadata> committed(Set<TopicPartition> partitions);

    /**
     * What the group has committed.
     *
     * @param partitions of which
     * @param timeout how long it may take
     * @return null where there is nothing
     */
    Map<TopicPartition, OffsetAndMetadata> committed(Set<TopicPartition> partitions, Duration timeout);

    /**
     * The partitions of a topic, asked of the cluster.
     *
     * @param topic the topic's name
     * @return its partitions, by number
     */
    List<PartitionInfo> partitionsFor(String topic);

    /**
     * As the method without a time, which takes {@code default.api.timeout.ms}.
     *
     * @param topic the topic's name
     * @param timeout how long it may take
     * @return its partitions, by number
     */
    List<PartitionInfo> partitionsFor(String topic, Duration timeout);

    /**
     * The partitions of all topics but Kafka's own.
     *
     * @return partitions by topic
     */
    Map<String, List<PartitionInfo>> listTopics();

    /**
     * As the method without a time, which takes {@code default.api.timeout.ms}.
     *
     * @param timeout how long it may take
     * @return partitions by topic
     */
    Map<String, List<PartitionInfo>> listTopics(Duration timeout);

    /**
     * What is paused.
     *
     * @return a copy
     */
    Set<TopicPartition> paused();

    /**
     * Stops reading these; nothing of them is given until {@link #resume}.
     *
     * @param partitions some that are assigned
     */
    void pause(Collection<TopicPartition> partitions);

    /**
     * Ends a pause.
     *
     * @param partitions some that are assigned
     */
    void resume(Collection<TopicPartition> partitions);

    /**
     * The first record at or after a time, of each partition.
     *
     * @param timestamps milliseconds since 1970
     * @return null where there is none
     */
    Map<TopicPartition, OffsetAndTimestamp> offsetsForTimes(Map<TopicPartition, Long> timestamps);

    /**
     * As the method without a time, which takes {@code default.api.timeout.ms}.
     *
     * @param timestamps milliseconds since 1970
     * @param timeout how long it may take
     * @return null where there is none
     */
    Map<TopicPartition, OffsetAndTimestamp> offsetsForTimes(Map<TopicPartition, Long> timestamps, Duration timeout);

    /**
     * The first offset of each log.
     *
     * @param partitions of which; they need not be assigned
     * @return offsets
     */
    Map<TopicPartition, Long> beginningOffsets(Collection<TopicPartition> partitions);

    /**
     * As the method without a time, which takes {@code default.api.timeout.ms}.
     *
     * @param partitions of which; they need not be assigned
     * @param timeout how long it may take
     * @return offsets
     */
    Map<TopicPartition, Long> beginningOffsets(Collection<TopicPartition> partitions, Duration timeout);

    /**
     * The offset that the next record of each log will have; with {@code isolation.level=read_committed} that of the first open transaction.
     *
     * @param partitions of which; they need not be assigned
     * @return offsets
     */
    Map<TopicPartition, Long> endOffsets(Collection<TopicPartition> partitions);

    /**
     * As the method without a time, which takes {@code default.api.timeout.ms}.
     *
     * @param partitions of which; they need not be assigned
     * @param timeout how long it may take
     * @return offsets
     */
    Map<TopicPartition, Long> endOffsets(Collection<TopicPartition> partitions, Duration timeout);

    /**
     * How many records of a partition are not read yet, as far as its broker has told.
     *
     * @param partition one that is assigned
     * @return empty while that is not known
     */
    OptionalLong currentLag(TopicPartition partition);

    /**
     * Who this consumer is in its group, for {@link Producer#sendOffsetsToTransaction}.
     *
     * @return the group as it is now
     */
    ConsumerGroupMetadata groupMetadata();

    /** Ends the wait of the thread that uses the consumer, or else its next one, with {@link WakeupException}. From any thread. */
    void wakeup();

    /** Closes it, as {@link #close(Duration)} with {@code default.api.timeout.ms}. */
    @Override
    void close();

    /**
     * Commits what was read, if {@code enable.auto.commit} says so, leaves the group, and closes. Once more: nothing happens. A wake-up does not end it.
     *
     * @param timeout how long that may take; zero: nothing is waited for
     * @throws KafkaException it is closed all the same, but not everything was committed in time, or could be
     */
    void close(Duration timeout);
}
