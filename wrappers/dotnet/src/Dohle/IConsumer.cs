using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace Dohle
{
    /// <summary>Who a consumer is in its group, for <see cref="IProducer{TKey, TValue}.SendOffsetsToTransaction"/>.</summary>
    public interface IConsumerGroupMetadata
    {
    }

    /// <summary>
    /// Reads records. Made by <see cref="ConsumerBuilder{TKey, TValue}"/>. One thread at a time consumes; every other method may be called from every
    /// thread at any time.
    /// </summary>
    /// <remarks>
    /// A record is done when the next one is asked for: that is what automatic commits cover, so that a record is never lost in a
    /// crash, though it may be read twice. <see cref="Commit()"/>, <see cref="Unsubscribe"/> and <see cref="Close"/> cover what was given last, too; <see cref="IDisposable.Dispose"/>
    /// without <see cref="Close"/>, as after an exception, does not.
    /// </remarks>
    /// <typeparam name="TKey">Type of the keys.</typeparam>
    /// <typeparam name="TValue">Type of the values.</typeparam>
    public interface IConsumer<TKey, TValue> : IDisposable, IAsyncDisposable
    {
        /// <summary>Its name in the broker's logs: <c>client.id</c>.</summary>
        string Name { get; }
        /// <summary>The id that the group has given it; empty while it is no member.</summary>
        string MemberId { get; }
        /// <summary>What is assigned now.</summary>
        List<TopicPartition> Assignment { get; }
        /// <summary>What is subscribed; by a pattern, the topics that match it now.</summary>
        List<string> Subscription { get; }
        /// <summary>Who it is in its group now.</summary>
        IConsumerGroupMetadata ConsumerGroupMetadata { get; }

        /// <summary>
        /// The next record. Waits for it on the caller's thread; handlers of rebalances run meanwhile. A consumer that does not ask
        /// for <c>max.poll.interval.ms</c> leaves its group.
        /// </summary>
        /// <param name="cancellationToken">Ends the waiting, with an <see cref="OperationCanceledException"/>.</param>
        /// <exception cref="KafkaException">What the engine could not mend. Asking again goes on.</exception>
        /// <exception cref="InvalidOperationException">Another thread consumes: one at a time can.</exception>
        ConsumeResult<TKey, TValue> Consume(CancellationToken cancellationToken = default);

        /// <summary>The next record; null: none came in time.</summary>
        /// <param name="timeout">How long to wait at most.</param>
        ConsumeResult<TKey, TValue>? Consume(TimeSpan timeout);

        /// <summary>The next record; null: none came in time.</summary>
        /// <param name="millisecondsTimeout">How long to wait at most; −1: for ever.</param>
        ConsumeResult<TKey, TValue>? Consume(int millisecondsTimeout);

        /// <summary>All records, as they come, for <c>await foreach</c>. No thread of the pool waits. It ends when the consumer is closed.</summary>
        /// <param name="cancellationToken">Ends it, with an <see cref="OperationCanceledException"/>.</param>
        IAsyncEnumerable<ConsumeResult<TKey, TValue>> ReadAllAsync(CancellationToken cancellationToken = default);

        /// <summary>Reads a topic as a member of the group; one that begins with ^ is a regular expression. It takes the place of what was subscribed; after <c>Assign</c>, <see cref="Unsubscribe"/> comes first.</summary>
        void Subscribe(string topic);
        /// <summary>Reads topics as a member of the group; a single one that begins with ^ is a regular expression.</summary>
        void Subscribe(IEnumerable<string> topics);
        /// <summary>Commits what is done, if that is automatic, the record that was given last included, leaves the group, and reads nothing more; what was assigned is so no more, too.</summary>
        void Unsubscribe();

        /// <summary>Reads a partition without a group's assignment: from what the group has committed if there is a group, else from the beginning.</summary>
        void Assign(TopicPartition partition);
        /// <summary>Reads a partition from this offset on, without a group's assignment.</summary>
        void Assign(TopicPartitionOffset partition);
        /// <summary>Reads these partitions; they take the place of what was assigned; after <c>Subscribe</c>, <see cref="Unsubscribe"/> comes first.</summary>
        void Assign(IEnumerable<TopicPartition> partitions);
        /// <summary>Reads these partitions, each from its offset on.</summary>
        void Assign(IEnumerable<TopicPartitionOffset> partitions);
        /// <summary>Reads nothing more until the next <c>Assign</c>.</summary>
        void Unassign();

        /// <summary>Commits what is done, the record that was given last included, and waits for the group's coordinator.</summary>
        /// <returns>Where the group goes on.</returns>
        List<TopicPartitionOffset> Commit();
        /// <summary>Commits these offsets: each that of the next record to be read.</summary>
        void Commit(IEnumerable<TopicPartitionOffset> offsets);
        /// <summary>Commits that this record, and all before it in its partition, are done.</summary>
        void Commit(ConsumeResult<TKey, TValue> result);
        /// <summary>As <see cref="Commit()"/>, or with offsets as <see cref="Commit(IEnumerable{TopicPartitionOffset})"/>, without a thread that waits.</summary>
        Task CommitAsync(IEnumerable<TopicPartitionOffset>? offsets = null, CancellationToken cancellationToken = default);

        /// <summary>
        /// This record, and all before it in its partition, are done: the next commit covers them. Needed with <c>enable.auto.offset.store=false</c>; else it says of the
        /// record that was given last what the next call of <c>Consume</c> would say.
        /// </summary>
        void StoreOffset(ConsumeResult<TKey, TValue> result);
        /// <summary>All records before this offset are done: as above.</summary>
        void StoreOffset(TopicPartitionOffset offset);

        /// <summary>Goes on elsewhere in a partition. When it has returned, nothing from before is given.</summary>
        void Seek(TopicPartitionOffset to);
        /// <summary>Nothing of these partitions is given until <see cref="Resume"/>.</summary>
        void Pause(IEnumerable<TopicPartition> partitions);
        /// <summary>Ends <see cref="Pause"/>.</summary>
        void Resume(IEnumerable<TopicPartition> partitions);

        /// <summary>Offset of the next record that is given; <see cref="Offset.Unset"/> while it is being looked up.</summary>
        Offset Position(TopicPartition partition);
        /// <summary>What the group has committed of the assigned partitions, asked of its coordinator. <see cref="Offset.Unset"/>: nothing.</summary>
        List<TopicPartitionOffset> Committed(TimeSpan timeout);
        /// <summary>What the group has committed of these partitions.</summary>
        List<TopicPartitionOffset> Committed(IEnumerable<TopicPartition> partitions, TimeSpan timeout);
        /// <summary>The ends of a partition's log, as its broker told them last, without asking.</summary>
        WatermarkOffsets GetWatermarkOffsets(TopicPartition partition);
        /// <summary>The ends of a partition's log, asked of the cluster.</summary>
        WatermarkOffsets QueryWatermarkOffsets(TopicPartition partition, TimeSpan timeout);
        /// <summary>The first records at or after these times. <see cref="Offset.End"/>: there is none.</summary>
        List<TopicPartitionOffset> OffsetsForTimes(IEnumerable<TopicPartitionTimestamp> times, TimeSpan timeout);

        /// <summary>Commits what is done, if that is automatic, the record that was given last included, and leaves the group. A thread that consumes comes back.</summary>
        void Close();

        /// <summary>
        /// As <see cref="Close"/>, but the record that was given last is not done, and it takes at most five seconds and what handlers take. What fails is told to
        /// the handler of errors, and not thrown.
        /// </summary>
        new void Dispose();
    }
}
