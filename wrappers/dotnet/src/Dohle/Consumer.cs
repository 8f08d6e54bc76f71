using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Linq;
using System.Runtime.CompilerServices;
using System.Runtime.ExceptionServices;
using System.Threading;
using System.Threading.Tasks;

namespace Dohle
{
    internal sealed partial class Consumer<TKey, TValue> : IConsumer<TKey, TValue>
    {
        private const long ForEver = -1;
        private static readonly int DisposeLimitMs = 5_000;

        private readonly Client client;
        private readonly ResourceHandle handle;
        private readonly Events events;
        private readonly Decoders<TKey, TValue> decoders;
        private readonly RebalanceHandlers<TKey, TValue> rebalances;
        private readonly bool stores, grouped;
        private readonly object reading = new object();
        private readonly Dictionary<TopicPartition, List<Chunk>> unstored = new Dictionary<TopicPartition, List<Chunk>>();
        private Chunk? current;
        private volatile bool polling;
        private object? asked; // id of the question whose handler runs
        private string? last; // topic
        private Poller<ConsumeResult<TKey, TValue>>? poller;

        /// <param name="client">Its connections.</param>
        /// <param name="options">Those of a consumer.</param>
        /// <param name="name">Its <c>client.id</c>.</param>
        /// <param name="decoders">For keys and values.</param>
        /// <param name="rebalances">Handlers.</param>
        /// <param name="stores">A record is done when the next one is asked for; else the application says so.</param>
        public Consumer(Client client, IDictionary<string, object?> options, string name, Decoders<TKey, TValue> decoders, RebalanceHandlers<TKey, TValue> rebalances, bool stores)
        {
            this.client = client;
            this.decoders = decoders;
            this.rebalances = rebalances;
            this.stores = stores;
            Name = name;
            grouped = options.ContainsKey("group.id");
            events = new Events(client);
            handle = client.Open(rebalances.Any ? "listening consumer" : "polling consumer", options, events);
            events.Wake = handle.Value;
        }

        public string Name { get; }

        public string MemberId => ((IDictionary<string, object?>)Invoke("consumer.groupMetadata")!)["memberId"] as string ?? "";

        public List<TopicPartition> Assignment => Partitions(Invoke("consumer.assignment"));

        public List<string> Subscription => ((List<object?>)Invoke("consumer.subscription")!).Cast<string>().ToList();

        public IConsumerGroupMetadata ConsumerGroupMetadata => new ConsumerGroupMetadata(Invoke("consumer.groupMetadata")!);

        public ConsumeResult<TKey, TValue> Consume(CancellationToken cancellationToken = default) => Next(ForEver, cancellationToken)!;

        public ConsumeResult<TKey, TValue>? Consume(TimeSpan timeout) => Next((long)Math.Max(-1, Math.Ceiling(timeout.TotalMilliseconds)), default);

        public ConsumeResult<TKey, TValue>? Consume(int millisecondsTimeout) => Next(millisecondsTimeout, default);

        public async IAsyncEnumerable<ConsumeResult<TKey, TValue>> ReadAllAsync([EnumeratorCancellation] CancellationToken cancellationToken = default)
        {
            for (;;)
            {
                cancellationToken.ThrowIfCancellationRequested();
                ConsumeResult<TKey, TValue>? next;
                try
                {
                    next = Next(0, default);
                    if (next == null)
                    {
                        poller ??= new Poller<ConsumeResult<TKey, TValue>>(Consume);
                        next = await poller.Next(cancellationToken).ConfigureAwait(false);
                    }
                }
                catch (ObjectDisposedException)
                {
                    yield break;
                }
                yield return next;
            }
        }

        private ConsumeResult<TKey, TValue>? Next(long timeoutMs, CancellationToken cancel)
        {
            Enter();
            try
            {
                NotClosing();
                Chunk? chunk = current;
                if (chunk != null)
                {
                    if (stores) chunk.Finish(chunk.Next);
                    if (chunk.Next < chunk.Count && !chunk.IsRevoked) return Give(chunk);
                    Leave(chunk);
                }
                chunk = Poll(timeoutMs, cancel);
                if (chunk == null) return null;
                current = chunk;
                last = chunk.Topic;
                if (!stores) Keep(chunk);
                return Give(chunk);
            }
            finally
            {
                Monitor.Exit(reading);
            }
        }

        /// <summary>Two that consume would each say of the other's record that it is done.</summary>
        private void Enter()
        {
            if (Monitor.TryEnter(reading)) return;
            if (polling) throw new InvalidOperationException("another thread consumes; one at a time can");
            Monitor.Enter(reading); // who leaves the group is done soon
        }

        private ConsumeResult<TKey, TValue> Give(Chunk chunk)
        {
            int place = chunk.Next;
            chunk.Step(place + 1);
            chunk.Next = place + 1;
            return new ConsumeResult<TKey, TValue>(chunk, place, decoders);
        }

        private void Leave(Chunk chunk)
        {
            current = null;
            if (stores) chunk.Close();
        }

        private unsafe Chunk? Poll(long timeoutMs, CancellationToken cancel)
        {
            long began = Stopwatch.GetTimestamp();
            CancellationTokenRegistration wake = default;
            bool first = true;
            polling = true;
            try
            {
                for (;;)
                {
                    Lost();
                    NotClosing();
                    cancel.ThrowIfCancellationRequested();
                    long left = timeoutMs < 0 ? ForEver : Math.Max(0, timeoutMs - (Stopwatch.GetTimestamp() - began) * 1000 / Stopwatch.Frequency);
                    // To be woken costs more than to look, so that is prepared for when there is nothing.
                    bool looks = first && cancel.CanBeCanceled;
                    var native = new NativeChunk { Size = (uint)sizeof(NativeChunk) };
                    byte* question;
                    IntPtr error;
                    int status = Native.dohle_poll(Engine.Environment, handle.Value, looks ? 0 : left, &native, &question, &error);
                    if (status < 0) Failed(Engine.Taken(error));
                    if (status == 1) return new Chunk(ref native, last);
                    if (status == 3) Answer(Engine.Taken(question)!);
                    if (status == 0 && !looks && left == 0) return null;
                    if (looks) wake = cancel.Register(Wake);
                    first = false;
                }
            }
            finally
            {
                polling = false;
                wake.Dispose();
            }
        }

        private void Failed(Error error)
        {
            NotClosing();
            throw KafkaException.Of(error);
        }

        private unsafe void Wake()
        {
            IntPtr error;
            if (Native.dohle_wake(Engine.Environment, handle.Value, &error) < 0) Native.dohle_error_free(error); // closed: nobody waits
        }

        /// <summary>A question of the group: the application's handler is called, and the engine goes on.</summary>
        private void Answer(string question)
        {
            var read = (IDictionary<string, object?>)Json.Read(question)!;
            var partitions = Partitions(((IDictionary<string, object?>)read["request"]!)["partitions"]);
            asked = read["id"];
            try
            {
                if ((string)read["name"]! == "assigned") Assigned(partitions);
                else rebalances.Revoked?.Invoke(this, Positions(partitions));
            }
            finally
            {
                Answered();
            }
        }

        private void Answered()
        {
            object? id = asked;
            asked = null;
            if (id != null) Engine.Invoke(0, "environment.answer", Json.Object(("id", id)));
        }

        private void Assigned(List<TopicPartition> partitions)
        {
            if (rebalances.Assigned == null) return;
            foreach (var from in rebalances.Assigned(this, partitions))
                if (from.Offset != Offset.Unset && from.Offset != Offset.Stored) Seek(from);
        }

        /// <summary>Calls the handler of what was lost meanwhile.</summary>
        private void Lost()
        {
            while (events.Lost(out List<TopicPartition>? partitions))
                (rebalances.Lost ?? rebalances.Revoked)?.Invoke(this, partitions!.Select(partition => new TopicPartitionOffset(partition, Offset.Unset)).ToList());
        }

        private List<TopicPartitionOffset> Positions(List<TopicPartition> partitions) =>
            partitions.Select(partition => new TopicPartitionOffset(partition, Known(() => Position(partition)))).ToList();

        private static Offset Known(Func<Offset> position)
        {
            try
            {
                return position();
            }
            catch (KafkaException)
            {
                return Offset.Unset; // it is not assigned any more
            }
        }

        public void Close() => Close(includes: true, null);

        public void Dispose() => Dispose(DisposeLimitMs);

        public ValueTask DisposeAsync() => new ValueTask(Task.Run(() => Dispose(null)));

        /// <summary>Throws nothing of the engine's, which would hide what the application has thrown.</summary>
        private void Dispose(int? limitMs)
        {
            try
            {
                Close(includes: false, limitMs);
            }
            catch (KafkaException failed)
            {
                client.Failed(failed.Error);
            }
        }

        private void Close(bool includes, int? limitMs)
        {
            if (!handle.Begin()) return;
            Wake();
            // A handler that does not come back holds up no Dispose: what it has in hand is not done.
            bool alone = Monitor.TryEnter(reading, limitMs ?? Timeout.Infinite);
            try
            {
                if (includes) Include();
            }
            finally
            {
                try
                {
                    Leaving(Engine.Start(handle.Value, "consumer.close", Json.Object(("timeoutMs", limitMs))));
                }
                finally
                {
                    current?.Close();
                    lock (unstored) foreach (var chunks in unstored.Values) chunks.ForEach(chunk => chunk.Close());
                    if (alone) Monitor.Exit(reading);
                    handle.Done();
                    client.CloseAsync().GetAwaiter().GetResult();
                }
            }
        }

        /// <summary>Waits for the end of an operation in which the group may ask for what the application has to say.</summary>
        private unsafe void Leaving(Task left)
        {
            ExceptionDispatchInfo? thrown = null;
            Answered(); // the handler that leaves has said what there was to say
            if (rebalances.Any) left.ContinueWith(_ => Wake(), TaskScheduler.Default);
            while (rebalances.Any && !left.IsCompleted)
            {
                byte* question;
                IntPtr error;
                int status = Native.dohle_question(Engine.Environment, handle.Value, 1000, &question, &error);
                if (status < 0)
                {
                    Native.dohle_error_free(error);
                    break;
                }
                if (status != 3) continue;
                try
                {
                    Answer(Engine.Taken(question)!);
                }
                catch (Exception exception)
                {
                    thrown = ExceptionDispatchInfo.Capture(exception);
                }
            }
            left.GetAwaiter().GetResult();
            thrown?.Throw();
        }

        private static T Given<T>(T? argument, string name) where T : class => argument ?? throw new ArgumentNullException(name);

        private void NotClosing()
        {
            if (handle.IsClosing) throw new ObjectDisposedException("consumer");
        }

        /// <summary>Handlers may still use it while it closes.</summary>
        private void Usable()
        {
            if (handle.IsClosed) throw new ObjectDisposedException("consumer");
        }

        private object? Invoke(string operation, object? request = null)
        {
            Usable();
            return Engine.Invoke(handle.Value, operation, request);
        }

        private object? Run(string operation, object? request, TimeSpan? timeout)
        {
            Usable();
            return Engine.Run(handle.Value, operation, request, timeout);
        }

        private static List<TopicPartition> Partitions(object? json) => ((List<object?>)json!).Select(TopicPartition.From).ToList();

        private static List<TopicPartitionOffset> Found(object? json) => ((List<object?>)json!).Select(TopicPartitionOffset.From).ToList();
    }
}
