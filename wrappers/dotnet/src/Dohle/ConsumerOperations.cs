using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;

namespace Dohle
{
    internal sealed class ConsumerGroupMetadata : IConsumerGroupMetadata
    {
        public readonly object Identity;

        public ConsumerGroupMetadata(object identity) => Identity = identity;
    }

    /// <summary>What is done when partitions come and go.</summary>
    internal sealed class RebalanceHandlers<TKey, TValue>
    {
        public Func<IConsumer<TKey, TValue>, List<TopicPartition>, IEnumerable<TopicPartitionOffset>>? Assigned;
        public Action<IConsumer<TKey, TValue>, List<TopicPartitionOffset>>? Revoked;
        public Action<IConsumer<TKey, TValue>, List<TopicPartitionOffset>>? Lost;

        public bool Any => Assigned != null || Revoked != null || Lost != null;
    }

    /// <summary>What is asked of the engine, beside records.</summary>
    internal sealed partial class Consumer<TKey, TValue>
    {
        public void Subscribe(string topic) => Subscribe(new[] { Given(topic, nameof(topic)) });

        public void Subscribe(IEnumerable<string> topics)
        {
            var names = topics.ToList();
            string? pattern = names.Count == 1 && Given(names[0], nameof(topics)).StartsWith("^", StringComparison.Ordinal) ? names[0] : null;
            events.Pattern = pattern == null ? null : new System.Text.RegularExpressions.Regex(pattern);
            Invoke("consumer.subscribe", pattern == null
                ? Json.Object(("topics", names))
                : Json.Object(("topics", new string[0]), ("pattern", Json.Object(("source", pattern), ("ignoreCase", false)))));
        }

        public void Unsubscribe()
        {
            Usable();
            Include();
            Task left = Engine.Start(handle.Value, "consumer.unsubscribe");
            // While a thread consumes it is that one which the group asks.
            while (!Monitor.TryEnter(reading, 10))
            {
                if (!left.IsCompleted) continue;
                left.GetAwaiter().GetResult();
                return;
            }
            try
            {
                Leaving(left);
            }
            finally
            {
                Monitor.Exit(reading);
            }
        }

        public void Assign(TopicPartition partition) => Assign(new[] { partition });

        public void Assign(TopicPartitionOffset partition) => Assign(new[] { partition });

        public void Assign(IEnumerable<TopicPartition> partitions) => Assign(partitions.Select(partition => new TopicPartitionOffset(partition, Offset.Unset)));

        public void Assign(IEnumerable<TopicPartitionOffset> partitions) =>
            Invoke("consumer.assign", Json.Object(("partitions", partitions.Select(place => place.ToStart(grouped ? "committed" : "earliest")).ToList())));

        public void Unassign() => Assign(Array.Empty<TopicPartitionOffset>());

        public List<TopicPartitionOffset> Commit()
        {
            Include();
            Run("consumer.commit", null, null);
            return Positions(Assignment).Where(place => place.Offset != Offset.Unset).ToList();
        }

        public void Commit(IEnumerable<TopicPartitionOffset> offsets) => Run("consumer.commit", Offsets(offsets), null);

        public void Commit(ConsumeResult<TKey, TValue> result) => Commit(new[] { Given(result, nameof(result)).Behind });

        public Task CommitAsync(IEnumerable<TopicPartitionOffset>? offsets = null, CancellationToken cancellationToken = default)
        {
            Usable();
            if (offsets == null) Include();
            return Engine.Start(handle.Value, "consumer.commit", offsets == null ? null : Offsets(offsets), cancellationToken);
        }

        private static object Offsets(IEnumerable<TopicPartitionOffset> offsets) => Json.Object(("offsets", offsets.Select(offset => offset.ToJson()).ToList()));

        /// <summary>What was given last is done.</summary>
        private void Include()
        {
            Chunk? chunk = current;
            if (stores && chunk != null) chunk.Said(chunk.Next);
        }

        public void StoreOffset(ConsumeResult<TKey, TValue> result) => StoreOffset(Given(result, nameof(result)).Behind);

        public void StoreOffset(TopicPartitionOffset offset)
        {
            Usable();
            Given(offset, nameof(offset));
            Chunk? inHand = current;
            if (stores && inHand != null && inHand.Topic == offset.Topic && inHand.Partition == offset.Partition)
                inHand.Said(Math.Min(inHand.Next, inHand.PlaceOf(offset.Offset)));
            lock (unstored)
            {
                if (!unstored.TryGetValue(offset.TopicPartition, out List<Chunk>? chunks)) return;
                foreach (Chunk chunk in chunks) chunk.Said(chunk.PlaceOf(offset.Offset));
                chunks.RemoveAll(chunk => chunk != current && chunk.IsFinished && chunk.Closed());
            }
        }

        /// <summary>The application will say how far it is with it.</summary>
        private void Keep(Chunk chunk)
        {
            var partition = new TopicPartition(chunk.Topic, chunk.Partition);
            lock (unstored)
            {
                if (!unstored.TryGetValue(partition, out List<Chunk>? chunks)) unstored[partition] = chunks = new List<Chunk>();
                // What is given once more is not to be stored of what it was given from before.
                chunks.RemoveAll(old => (old.IsFinished || old.IsRevoked && old.Offset(0) >= chunk.Offset(0)) && old.Closed());
                chunks.Add(chunk);
            }
        }

        public void Seek(TopicPartitionOffset to)
        {
            if (Given(to, nameof(to)).Offset == Offset.Unset) throw KafkaException.Of(Error.Argument("offset", "is not set"));
            Invoke("consumer.seek", Json.Object(("to", to.ToStart("committed"))));
        }

        public void Pause(IEnumerable<TopicPartition> partitions) => Invoke("consumer.pause", Json.Object(("partitions", partitions.Select(partition => partition.ToJson()).ToList())));

        public void Resume(IEnumerable<TopicPartition> partitions) => Invoke("consumer.resume", Json.Object(("partitions", partitions.Select(partition => partition.ToJson()).ToList())));

        public Offset Position(TopicPartition partition) => Json.Long(Invoke("consumer.position", Given(partition, nameof(partition)).ToJson())) ?? Offset.Unset;

        public List<TopicPartitionOffset> Committed(TimeSpan timeout) => Committed(Assignment, timeout);

        public List<TopicPartitionOffset> Committed(IEnumerable<TopicPartition> partitions, TimeSpan timeout) =>
            Found(Run("consumer.committed", Json.Object(("partitions", partitions.Select(partition => partition.ToJson()).ToList())), timeout));

        public WatermarkOffsets GetWatermarkOffsets(TopicPartition partition)
        {
            var ends = (IDictionary<string, object?>)Invoke("consumer.watermarks", Given(partition, nameof(partition)).ToJson())!;
            return new WatermarkOffsets(Json.Long(ends["logStart"]) ?? Offset.Unset, Json.Long(ends["highWatermark"]) ?? Offset.Unset);
        }

        public WatermarkOffsets QueryWatermarkOffsets(TopicPartition partition, TimeSpan timeout)
        {
            var places = new[] { Offset.Beginning, Offset.End }.Select(end => new TopicPartitionOffset(partition, end).ToStart("earliest")).ToList();
            var found = Found(Run("consumer.offsetsAt", Json.Object(("places", places)), timeout));
            return new WatermarkOffsets(found[0].Offset, found[1].Offset);
        }

        public List<TopicPartitionOffset> OffsetsForTimes(IEnumerable<TopicPartitionTimestamp> times, TimeSpan timeout)
        {
            object Place(TopicPartitionTimestamp time)
            {
                var place = time.TopicPartition.ToJson();
                place["start"] = Json.Object(("kind", "timestamp"), ("timestamp", Json.Decimal(time.Timestamp.UnixTimestampMs)));
                return place;
            }
            var found = Found(Run("consumer.offsetsAt", Json.Object(("places", times.Select(Place).ToList())), timeout));
            return found.Select(place => place.Offset == Offset.Unset ? new TopicPartitionOffset(place.TopicPartition, Offset.End) : place).ToList();
        }
    }
}
