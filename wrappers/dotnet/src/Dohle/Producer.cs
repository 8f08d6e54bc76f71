using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

namespace Dohle
{
    internal sealed class Producer<TKey, TValue> : IProducer<TKey, TValue>
    {
        /// <summary>How long <see cref="Dispose"/> waits.</summary>
        private static readonly TimeSpan DisposeLimit = TimeSpan.FromSeconds(5);

        private readonly Client client;
        private readonly ResourceHandle handle;
        private readonly Serial handlers = new Serial();
        private readonly Outbox outbox;
        private readonly ISerializer<TKey> keys;
        private readonly ISerializer<TValue> values;
        private readonly bool keysAreText, valuesAreText;
        private Task? ending;
        private readonly object transaction = new object();

        public Producer(Client client, IDictionary<string, object?> options, string name, ISerializer<TKey> keys, ISerializer<TValue> values)
        {
            this.client = client;
            this.keys = keys;
            this.values = values;
            Name = name;
            (keysAreText, valuesAreText) = (keys is Utf8Serializer, values is Utf8Serializer);
            outbox = new Outbox(handlers, client);
            handle = client.Open("producer", options, outbox);
            outbox.Opened(handle.Value);
        }

        public string Name { get; }

        public Task<DeliveryResult<TKey, TValue>> ProduceAsync(TopicPartition topicPartition, Message<TKey, TValue> message, CancellationToken cancellationToken = default) =>
            ProduceAsync(topicPartition?.Topic!, topicPartition?.Partition ?? -1, message, cancellationToken);

        public Task<DeliveryResult<TKey, TValue>> ProduceAsync(string topic, Message<TKey, TValue> message, CancellationToken cancellationToken = default) =>
            ProduceAsync(topic, -1, message, cancellationToken);

        private Task<DeliveryResult<TKey, TValue>> ProduceAsync(string topic, int partition, Message<TKey, TValue> message, CancellationToken cancel)
        {
            if (cancel.IsCancellationRequested) return Task.FromCanceled<DeliveryResult<TKey, TValue>>(cancel);
            var sent = new Sent<TKey, TValue>(topic, message);
            try
            {
                outbox.Add(Outgoing(topic, partition, message, sent, ref sent.Result.Time), wait: true);
            }
            catch (KafkaException refused)
            {
                sent.Result.Partition = partition;
                sent.Refused(refused);
            }
            catch (ObjectDisposedException closed)
            {
                sent.TrySetException(closed);
            }
            if (cancel.CanBeCanceled) sent.EndWith(cancel);
            return sent.Task;
        }

        public void Produce(TopicPartition topicPartition, Message<TKey, TValue> message, Action<DeliveryReport<TKey, TValue>>? deliveryHandler = null) =>
            Produce(topicPartition?.Topic!, topicPartition?.Partition ?? -1, message, deliveryHandler);

        public void Produce(string topic, Message<TKey, TValue> message, Action<DeliveryReport<TKey, TValue>>? deliveryHandler = null) =>
            Produce(topic, -1, message, deliveryHandler);

        private void Produce(string topic, int partition, Message<TKey, TValue> message, Action<DeliveryReport<TKey, TValue>>? handler)
        {
            KafkaException failure;
            try
            {
                long time = -1;
                var reported = handler == null ? null : new Reported<TKey, TValue>(topic, message, handler);
                var record = reported == null ? Outgoing(topic, partition, message, null, ref time) : Outgoing(topic, partition, message, reported, ref reported.Report.Time);
                if (outbox.Add(record, wait: false)) return;
                failure = KafkaException.Of(new Error(ErrorCode.QueueFull, "buffer.memory is full: wait, and send the record again", ErrorClass.Retriable, retriable: true));
            }
            catch (KafkaException refused)
            {
                failure = refused;
            }
            throw new ProduceException<TKey, TValue>(failure.Error, new DeliveryResult<TKey, TValue>(topic, message) { Partition = partition }, failure);
        }

        private Outgoing Outgoing(string topic, int partition, Message<TKey, TValue> message, IWaiter? waiter, ref long time)
        {
            if (topic == null) throw new ArgumentNullException(nameof(topic));
            if (message == null) throw new ArgumentNullException(nameof(message));
            object? key = keysAreText ? message.Key : Serialized(keys, message.Key, MessageComponentType.Key, topic, message.Headers);
            object? value = valuesAreText ? message.Value : Serialized(values, message.Value, MessageComponentType.Value, topic, message.Headers);
            time = message.Timestamp.UnixTimestampMs;
            if (time < 0 && waiter != null) time = Timestamp.Now; // the report tells it
            return new Outgoing(topic, partition, time, key, value, message.Headers, waiter);
        }

        private static byte[]? Serialized<T>(ISerializer<T> serializer, T data, MessageComponentType component, string topic, Headers? headers)
        {
            try
            {
                return serializer.Serialize(data, new SerializationContext(component, topic, headers));
            }
            catch (Exception thrown)
            {
                throw new InvalidConfigurationException(Error.Argument(component.ToString().ToLowerInvariant(), "its serializer has failed: " + thrown.Message), thrown);
            }
        }

        public int Poll(TimeSpan timeout)
        {
            Usable();
            int reports = handlers.Reported(timeout);
            handlers.Rethrow();
            return reports;
        }

        public int Flush(TimeSpan timeout)
        {
            using var cancel = new CancellationTokenSource();
            Task flushed = Settled(cancel.Token);
            if (Engine.Wait(flushed, timeout)) flushed.GetAwaiter().GetResult();
            else cancel.Cancel();
            handlers.Rethrow();
            return outbox.Pending;
        }

        public void Flush(CancellationToken cancellationToken = default)
        {
            Settled(cancellationToken).GetAwaiter().GetResult();
            handlers.Rethrow();
        }

        public async Task FlushAsync(CancellationToken cancellationToken = default)
        {
            await Settled(cancellationToken).ConfigureAwait(false);
            handlers.Rethrow();
        }

        /// <summary>Completes when everything is settled and told of. In a handler it waits for no handler.</summary>
        private async Task Settled(CancellationToken cancel)
        {
            Usable();
            bool inHandler = handlers.IsCurrent;
            await Crossed(cancel).ConfigureAwait(false);
            await Engine.Start(handle.Value, "producer.flush", null, cancel).ConfigureAwait(false);
            if (!inHandler) await Within(handlers.Drained(), cancel).ConfigureAwait(false);
        }

        private Task Crossed(CancellationToken cancel) => Within(outbox.Crossed(), cancel);

        private static async Task Within(Task task, CancellationToken cancel)
        {
            if (cancel.CanBeCanceled && !task.IsCompleted)
            {
                var cancelled = new TaskCompletionSource<object?>(TaskCreationOptions.RunContinuationsAsynchronously);
                using (cancel.Register(() => cancelled.TrySetCanceled(cancel)))
                    task = await Task.WhenAny(task, cancelled.Task).ConfigureAwait(false);
            }
            await task.ConfigureAwait(false);
        }

        public void InitTransactions(TimeSpan timeout)
        {
            // What takes over from an earlier producer is the beginning; the engine asks nothing of the cluster for the end of an empty one.
            Run("producer.beginTransaction", null, timeout);
            Run("producer.abortTransaction", null, timeout);
        }

        public void BeginTransaction()
        {
            outbox.Untold = null;
            Run("producer.beginTransaction", null, null);
        }

        public void CommitTransaction() => Commit(null);

        public void CommitTransaction(TimeSpan timeout) => Commit(timeout);

        private void Commit(TimeSpan? timeout)
        {
            Usable();
            lock (transaction)
            {
                ending ??= Committed();
                End(timeout, "commit");
            }
        }

        private async Task Committed()
        {
            await outbox.Crossed().ConfigureAwait(false);
            if (outbox.Untold is Error error)
                throw KafkaException.Of(error.Aborting());
            await Engine.Start(handle.Value, "producer.commitTransaction").ConfigureAwait(false);
        }

        public void AbortTransaction() => Abort(null);

        public void AbortTransaction(TimeSpan timeout) => Abort(timeout);

        private void Abort(TimeSpan? timeout)
        {
            Usable();
            lock (transaction)
            {
                ending ??= Aborted();
                End(timeout, "abort");
            }
        }

        private async Task Aborted()
        {
            outbox.Drop(new Error(ErrorCode.Aborted, "the transaction was aborted before the record was sent") { Persistence = PersistenceStatus.NotPersisted });
            await Engine.Start(handle.Value, "producer.abortTransaction").ConfigureAwait(false);
        }

        /// <summary>Waits for the end that is under way; when it does not come in time, the next call waits for the same.</summary>
        private void End(TimeSpan? timeout, string what)
        {
            if (timeout is TimeSpan limit && !Engine.Wait(ending!, limit))
                throw KafkaException.Of(new Error(ErrorCode.RequestTimedOut, "the " + what + " is not done yet; call again to wait on", ErrorClass.Retriable, retriable: true));
            Task ended = ending!;
            ending = null;
            ended.GetAwaiter().GetResult();
        }

        public void SendOffsetsToTransaction(IEnumerable<TopicPartitionOffset> offsets, IConsumerGroupMetadata groupMetadata, TimeSpan timeout)
        {
            if (!(groupMetadata is ConsumerGroupMetadata group)) throw new ArgumentException("is not of a consumer of this library", nameof(groupMetadata));
            Run("producer.commitOffsets", Json.Object(("offsets", offsets.Select(offset => offset.ToJson()).ToList()), ("group", group.Identity)), timeout);
        }

        private void Run(string operation, object? request, TimeSpan? timeout)
        {
            Usable();
            Engine.Run(handle.Value, operation, request, timeout);
        }

        private void Usable()
        {
            if (handle.IsClosing) throw new ObjectDisposedException("producer");
        }

        public void Dispose()
        {
            if (!handle.Begin()) return;
            // What it waits for is done by other threads than those of the pool, so that it cannot wait for itself.
            Engine.Wait(Close((int)DisposeLimit.TotalMilliseconds), DisposeLimit + TimeSpan.FromSeconds(1));
        }

        public async ValueTask DisposeAsync()
        {
            if (handle.Begin()) await Close(null).ConfigureAwait(false);
        }

        private async Task Close(int? limitMs)
        {
            bool inHandler = handlers.IsCurrent;
            try
            {
                if (limitMs is int most) await Task.WhenAny(outbox.Crossed(), Task.Delay(most)).ConfigureAwait(false);
                else await outbox.Crossed().ConfigureAwait(false);
                await Engine.Start(handle.Value, "producer.close", Json.Object(("timeoutMs", limitMs))).ConfigureAwait(false);
            }
            finally
            {
                outbox.Break(Error.Closed("producer"));
                handle.Done();
                await client.CloseAsync().ConfigureAwait(false);
            }
            if (!inHandler) await handlers.Drained().ConfigureAwait(false);
        }
    }

    /// <summary>Who waits for a record as a task.</summary>
    internal sealed class Sent<TKey, TValue> : TaskCompletionSource<DeliveryResult<TKey, TValue>>, IWaiter
    {
        public readonly DeliveryResult<TKey, TValue> Result;
        private CancellationTokenRegistration cancellation;

        public Sent(string topic, Message<TKey, TValue> message) : base(TaskCreationOptions.RunContinuationsAsynchronously) =>
            Result = new DeliveryResult<TKey, TValue>(topic, message);

        public bool IsHandler => false;
        public bool IsSettled => Task.IsCompleted;

        public void EndWith(CancellationToken cancel)
        {
            if (Task.IsCompleted) return;
            // Takes no lock: whoever tells of the record may hold the outbox's, and waits for this.
            cancellation = cancel.Register(() => TrySetCanceled(cancel));
            if (Task.IsCompleted) cancellation.Dispose();
        }

        /// <summary>The record could not be given to the producer.</summary>
        public void Refused(KafkaException why) => TrySetException(new ProduceException<TKey, TValue>(why.Error, Result, why));

        public void Told(int partition, long offset, long appendTime, PersistenceStatus status, Error? error)
        {
            Result.Settle(partition, offset, appendTime, status);
            if (error == null) TrySetResult(Result);
            else TrySetException(new ProduceException<TKey, TValue>(error, Result));
            cancellation.Dispose();
        }
    }

    /// <summary>Who waits for a record as a handler.</summary>
    internal sealed class Reported<TKey, TValue> : IWaiter
    {
        public readonly DeliveryReport<TKey, TValue> Report;
        private readonly Action<DeliveryReport<TKey, TValue>> handler;

        public Reported(string topic, Message<TKey, TValue> message, Action<DeliveryReport<TKey, TValue>> handler)
        {
            Report = new DeliveryReport<TKey, TValue>(topic, message);
            this.handler = handler;
        }

        public bool IsHandler => true;
        public bool IsSettled => false;

        public void Told(int partition, long offset, long appendTime, PersistenceStatus status, Error? error)
        {
            Report.Settle(partition, offset, appendTime, status);
            if (error != null) Report.Error = error;
            handler(Report);
        }
    }
}
