using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace Dohle
{
    /// <summary>
    /// Sends records. Made by <see cref="ProducerBuilder{TKey, TValue}"/>; every method may be called from every thread at any time.
    /// Idempotent and <c>acks=all</c> unless it is told otherwise.
    /// </summary>
    /// <typeparam name="TKey">Type of the keys.</typeparam>
    /// <typeparam name="TValue">Type of the values.</typeparam>
    public interface IProducer<TKey, TValue> : IDisposable, IAsyncDisposable
    {
        /// <summary>Its name in the broker's logs: <c>client.id</c>.</summary>
        string Name { get; }

        /// <summary>
        /// Sends a record. The task is done when the brokers have acknowledged it; there is no need to wait for one before the next is sent,
        /// and records of a partition keep the order in which they were given. While <c>buffer.memory</c> is full, the record waits for room.
        /// </summary>
        /// <param name="topic">The topic's name.</param>
        /// <param name="message">The record.</param>
        /// <param name="cancellationToken">Ends the waiting. The record is not sent if it still waits for room; else it may be in the log.</param>
        /// <returns>Where the record is. Fails with a <see cref="ProduceException{TKey, TValue}"/>.</returns>
        Task<DeliveryResult<TKey, TValue>> ProduceAsync(string topic, Message<TKey, TValue> message, CancellationToken cancellationToken = default);

        /// <summary>The same, to a partition of the caller's choice.</summary>
        /// <param name="topicPartition">The partition; <see cref="Partition.Any"/>: the partitioner chooses.</param>
        /// <param name="message">The record.</param>
        /// <param name="cancellationToken">As above.</param>
        Task<DeliveryResult<TKey, TValue>> ProduceAsync(TopicPartition topicPartition, Message<TKey, TValue> message, CancellationToken cancellationToken = default);

        /// <summary>
        /// Sends a record without waiting for anything: the fastest way. What becomes of it, the handler is told, on a thread of the pool, one report after
        /// the other. What a handler throws comes out of the next <see cref="Flush(TimeSpan)"/> or <see cref="Poll"/>.
        /// </summary>
        /// <param name="topic">The topic's name.</param>
        /// <param name="message">The record.</param>
        /// <param name="deliveryHandler">Told once, of success or failure.</param>
        /// <exception cref="ProduceException{TKey, TValue}">It cannot be sent; <see cref="ErrorCode.QueueFull"/> when <c>buffer.memory</c> is full: wait (<see cref="Poll"/>) and try again.</exception>
        void Produce(string topic, Message<TKey, TValue> message, Action<DeliveryReport<TKey, TValue>>? deliveryHandler = null);

        /// <summary>The same, to a partition of the caller's choice.</summary>
        /// <param name="topicPartition">The partition; <see cref="Partition.Any"/>: the partitioner chooses.</param>
        /// <param name="message">The record.</param>
        /// <param name="deliveryHandler">Told once, of success or failure.</param>
        void Produce(TopicPartition topicPartition, Message<TKey, TValue> message, Action<DeliveryReport<TKey, TValue>>? deliveryHandler = null);

        /// <summary>Waits for reports, which come without it too. Use it to wait for room after <see cref="ErrorCode.QueueFull"/>.</summary>
        /// <param name="timeout">How long to wait for the first.</param>
        /// <returns>How many reports have been handled since it was called last.</returns>
        int Poll(TimeSpan timeout);

        /// <summary>Sends what was produced before without lingering, and waits until all of it is settled and all reports are handled.</summary>
        /// <param name="timeout">How long to wait at most.</param>
        /// <returns>How many records are not settled yet.</returns>
        int Flush(TimeSpan timeout);

        /// <summary>The same, without a limit of its own: <c>delivery.timeout.ms</c> bounds it.</summary>
        /// <param name="cancellationToken">Ends the waiting.</param>
        void Flush(CancellationToken cancellationToken = default);

        /// <summary>The same, without a thread that waits.</summary>
        /// <param name="cancellationToken">Ends the waiting.</param>
        Task FlushAsync(CancellationToken cancellationToken = default);

        /// <summary>
        /// Takes over from an earlier producer of the same <c>transactional.id</c>: what that has left open is aborted, and it can do nothing more.
        /// To be called once, before the first transaction.
        /// </summary>
        /// <param name="timeout">How long to wait at most.</param>
        void InitTransactions(TimeSpan timeout);

        /// <summary>Begins a transaction: what is produced from now on becomes visible with its commit, or never.</summary>
        void BeginTransaction();

        /// <summary>Waits until everything that was produced is acknowledged, and commits.</summary>
        /// <param name="timeout">How long to wait at most. Afterwards the same call waits on.</param>
        /// <exception cref="KafkaException">With <see cref="KafkaException.IsAbortable"/>: something of it has failed, and it is to be aborted.</exception>
        void CommitTransaction(TimeSpan timeout);

        /// <summary>The same, without a limit of its own.</summary>
        void CommitTransaction();

        /// <summary>Aborts: who reads with <c>read_committed</c> never sees anything of it.</summary>
        /// <param name="timeout">How long to wait at most.</param>
        void AbortTransaction(TimeSpan timeout);

        /// <summary>The same, without a limit of its own.</summary>
        void AbortTransaction();

        /// <summary>Commits offsets within the transaction, in the name of a consumer's group (KIP-447).</summary>
        /// <param name="offsets">Offsets of the next records to be read. The consumer should have <c>enable.auto.commit=false</c>.</param>
        /// <param name="groupMetadata">As whom: <see cref="IConsumer{TKey, TValue}.ConsumerGroupMetadata"/>.</param>
        /// <param name="timeout">How long to wait at most.</param>
        void SendOffsetsToTransaction(IEnumerable<TopicPartitionOffset> offsets, IConsumerGroupMetadata groupMetadata, TimeSpan timeout);

        /// <summary>
        /// Closes it: sends what there is, for at most five seconds, and fails what is not acknowledged by then. An open transaction is aborted.
        /// <see cref="IAsyncDisposable.DisposeAsync"/> has no such limit, but <c>delivery.timeout.ms</c>.
        /// </summary>
        new void Dispose();
    }
}
