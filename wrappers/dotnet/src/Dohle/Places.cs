using System;
using System.Collections.Generic;

namespace Dohle
{
    /// <summary>A partition's number.</summary>
    public readonly struct Partition : IEquatable<Partition>
    {
        /// <summary>The producer's partitioner chooses.</summary>
        public static readonly Partition Any = new Partition(-1);

        /// <summary>A partition by its number, from 0; −1: any.</summary>
        public Partition(int value) => Value = value;

        /// <summary>The number; −1: any.</summary>
        public int Value { get; }
        /// <summary>Whether it is <see cref="Any"/>.</summary>
        public bool IsSpecial => Value < 0;

        /// <summary>A number is a partition.</summary>
        public static implicit operator Partition(int value) => new Partition(value);
        /// <summary>A partition is a number.</summary>
        public static implicit operator int(Partition partition) => partition.Value;
        /// <inheritdoc/>
        public bool Equals(Partition other) => Value == other.Value;
        /// <inheritdoc/>
        public override bool Equals(object? other) => other is Partition partition && Equals(partition);
        /// <inheritdoc/>
        public override int GetHashCode() => Value;
        /// <summary>The number in brackets.</summary>
        public override string ToString() => IsSpecial ? "[Any]" : "[" + Value + "]";
    }

    /// <summary>A place in a partition's log.</summary>
    public readonly struct Offset : IEquatable<Offset>
    {
        /// <summary>The first record of the log.</summary>
        public static readonly Offset Beginning = new Offset(-2);
        /// <summary>Behind the last record of the log.</summary>
        public static readonly Offset End = new Offset(-1);
        /// <summary>What the group has committed.</summary>
        public static readonly Offset Stored = new Offset(-1000);
        /// <summary>None, or not known.</summary>
        public static readonly Offset Unset = new Offset(-1001);

        /// <summary>An offset by its number, from 0.</summary>
        public Offset(long value) => Value = value;

        /// <summary>The number; below 0 a place that has a name.</summary>
        public long Value { get; }
        /// <summary>Whether it is a place that has a name, and no number.</summary>
        public bool IsSpecial => Value < 0;

        /// <summary>A number is an offset.</summary>
        public static implicit operator Offset(long value) => new Offset(value);
        /// <summary>An offset is a number.</summary>
        public static implicit operator long(Offset offset) => offset.Value;
        /// <summary>So many records later.</summary>
        public static Offset operator +(Offset offset, long records) => new Offset(offset.IsSpecial ? offset.Value : offset.Value + records);
        /// <inheritdoc/>
        public bool Equals(Offset other) => Value == other.Value;
        /// <inheritdoc/>
        public override bool Equals(object? other) => other is Offset offset && Equals(offset);
        /// <inheritdoc/>
        public override int GetHashCode() => Value.GetHashCode();

        /// <summary>The number or the name.</summary>
        public override string ToString() => Value switch
        {
            -2 => "Beginning",
            -1 => "End",
            -1000 => "Stored",
            -1001 => "Unset",
            _ => Value.ToString(System.Globalization.CultureInfo.InvariantCulture),
        };
    }

    /// <summary>One partition of one topic.</summary>
    public sealed class TopicPartition : IEquatable<TopicPartition>, IComparable<TopicPartition>
    {
        /// <summary>A partition by topic and number.</summary>
        public TopicPartition(string topic, Partition partition)
        {
            Topic = topic ?? throw new ArgumentNullException(nameof(topic));
            Partition = partition;
        }

        /// <summary>The topic's name.</summary>
        public string Topic { get; }
        /// <summary>The partition's number.</summary>
        public Partition Partition { get; }

        /// <inheritdoc/>
        public bool Equals(TopicPartition? other) => other is object && other.Partition.Equals(Partition) && other.Topic == Topic;
        /// <inheritdoc/>
        public override bool Equals(object? other) => Equals(other as TopicPartition);
        /// <inheritdoc/>
        public override int GetHashCode() => Topic.GetHashCode() * 31 + Partition;
        /// <summary>By topic, then by number.</summary>
        public int CompareTo(TopicPartition? other) =>
            other is null ? 1 : string.CompareOrdinal(Topic, other.Topic) is var order && order != 0 ? order : Partition.Value.CompareTo(other.Partition.Value);
        /// <summary>Whether both are the same partition.</summary>
        public static bool operator ==(TopicPartition? a, TopicPartition? b) => a is null ? b is null : a.Equals(b);
        /// <summary>Whether they are different partitions.</summary>
        public static bool operator !=(TopicPartition? a, TopicPartition? b) => !(a == b);
        /// <summary>Topic and number.</summary>
        public override string ToString() => Topic + " " + Partition;

        internal Dictionary<string, object?> ToJson() => Json.Object(("topic", Topic), ("partition", Partition.Value));

        internal static TopicPartition From(object? json)
        {
            var from = (Dictionary<string, object?>)json!;
            return new TopicPartition((string)from["topic"]!, (int)(long)from["partition"]!);
        }
    }

    /// <summary>A place in a partition.</summary>
    public sealed class TopicPartitionOffset : IEquatable<TopicPartitionOffset>
    {
        /// <summary>A place by topic, number and offset.</summary>
        public TopicPartitionOffset(string topic, Partition partition, Offset offset) : this(new TopicPartition(topic, partition), offset) { }

        /// <summary>A place by partition and offset.</summary>
        /// <param name="partition">The partition.</param>
        /// <param name="offset">The offset; of a commit that of the next record to be read.</param>
        /// <param name="leaderEpoch">Leader epoch of the record before, if it is known (KIP-320).</param>
        /// <param name="metadata">A text of the application's own, to be committed with the offset.</param>
        public TopicPartitionOffset(TopicPartition partition, Offset offset, int? leaderEpoch = null, string? metadata = null)
        {
            TopicPartition = partition ?? throw new ArgumentNullException(nameof(partition));
            Offset = offset;
            LeaderEpoch = leaderEpoch;
            Metadata = metadata;
        }

        /// <summary>The partition.</summary>
        public TopicPartition TopicPartition { get; }
        /// <summary>The topic's name.</summary>
        public string Topic => TopicPartition.Topic;
        /// <summary>The partition's number.</summary>
        public Partition Partition => TopicPartition.Partition;
        /// <summary>The offset.</summary>
        public Offset Offset { get; }
        /// <summary>Leader epoch of the record before, if it is known (KIP-320).</summary>
        public int? LeaderEpoch { get; }
        /// <summary>A text of the application's own that was, or is to be, committed with the offset.</summary>
        public string? Metadata { get; }

        /// <summary>Whether partition and offset are the same.</summary>
        public bool Equals(TopicPartitionOffset? other) => other is object && other.Offset.Equals(Offset) && other.TopicPartition.Equals(TopicPartition);
        /// <inheritdoc/>
        public override bool Equals(object? other) => Equals(other as TopicPartitionOffset);
        /// <inheritdoc/>
        public override int GetHashCode() => TopicPartition.GetHashCode() * 31 + Offset.GetHashCode();
        /// <summary>Topic, number and offset.</summary>
        public override string ToString() => TopicPartition + " @" + Offset;

        /// <summary>As the operations for commits have it.</summary>
        internal Dictionary<string, object?> ToJson()
        {
            var made = TopicPartition.ToJson();
            made["offset"] = Json.Decimal(Offset);
            if (LeaderEpoch is int epoch) made["leaderEpoch"] = epoch;
            if (Metadata != null) made["metadata"] = Metadata;
            return made;
        }

        /// <summary>As the operations for positions have it. <paramref name="unset"/> is the meaning of an offset that is not set.</summary>
        internal Dictionary<string, object?> ToStart(string unset)
        {
            var made = TopicPartition.ToJson();
            string? name = Offset.Value switch { -2 => "earliest", -1 => "latest", -1000 => "committed", -1001 => unset, _ => null };
            if (name == null && Offset.Value < 0) throw KafkaException.Of(Error.Argument("offset", Offset.Value + " is below 0, and none of those that have a name"));
            made["start"] = name != null ? Json.Object(("kind", name)) : Json.Object(("kind", "offset"), ("offset", Json.Decimal(Offset)));
            return made;
        }

        internal static TopicPartitionOffset From(object? json)
        {
            var from = (Dictionary<string, object?>)json!;
            object? Member(string name) => from.TryGetValue(name, out object? value) ? value : null;
            return new TopicPartitionOffset(TopicPartition.From(json), Json.Long(Member("offset")) ?? Offset.Unset,
                Member("leaderEpoch") is long epoch ? (int)epoch : (int?)null, (string?)Member("metadata"));
        }
    }

    /// <summary>A time in a partition.</summary>
    public sealed class TopicPartitionTimestamp
    {
        /// <summary>A time by topic and number.</summary>
        public TopicPartitionTimestamp(string topic, Partition partition, Timestamp timestamp) : this(new TopicPartition(topic, partition), timestamp) { }

        /// <summary>A time by partition.</summary>
        public TopicPartitionTimestamp(TopicPartition partition, Timestamp timestamp)
        {
            TopicPartition = partition ?? throw new ArgumentNullException(nameof(partition));
            Timestamp = timestamp;
        }

        /// <summary>The partition.</summary>
        public TopicPartition TopicPartition { get; }
        /// <summary>The topic's name.</summary>
        public string Topic => TopicPartition.Topic;
        /// <summary>The partition's number.</summary>
        public Partition Partition => TopicPartition.Partition;
        /// <summary>The time.</summary>
        public Timestamp Timestamp { get; }
    }

    /// <summary>The ends of a partition's log.</summary>
    public sealed class WatermarkOffsets
    {
        internal WatermarkOffsets(Offset low, Offset high)
        {
            Low = low;
            High = high;
        }

        /// <summary>The first offset; <see cref="Offset.Unset"/>: not known yet.</summary>
        public Offset Low { get; }
        /// <summary>One more than the last offset that may be read; <see cref="Offset.Unset"/>: not known yet.</summary>
        public Offset High { get; }
    }

    /// <summary>Milliseconds since the epoch, UTC.</summary>
    public readonly struct Timestamp : IEquatable<Timestamp>
    {
        /// <summary>None: a record that is produced gets the time of now.</summary>
        public static readonly Timestamp Default = new Timestamp(-1);

        private static readonly DateTime Epoch = new DateTime(1970, 1, 1, 0, 0, 0, DateTimeKind.Utc);
        private readonly long later; // one more than the milliseconds, so that `default` is none

        /// <summary>A time by its milliseconds since the epoch; −1: none.</summary>
        public Timestamp(long unixTimestampMs) => later = unixTimestampMs + 1;

        /// <summary>A time.</summary>
        public Timestamp(DateTime time) : this((time.ToUniversalTime() - Epoch).Ticks / TimeSpan.TicksPerMillisecond) { }

        /// <summary>A time.</summary>
        public Timestamp(DateTimeOffset time) : this(time.ToUnixTimeMilliseconds()) { }

        /// <summary>Milliseconds since the epoch; −1: none.</summary>
        public long UnixTimestampMs => later - 1;
        /// <summary>The time, UTC. That of the epoch when there is none.</summary>
        public DateTime UtcDateTime => Epoch.AddMilliseconds(Math.Max(0, UnixTimestampMs));

        internal static long Now => (DateTime.UtcNow.Ticks - Epoch.Ticks) / TimeSpan.TicksPerMillisecond;

        /// <inheritdoc/>
        public bool Equals(Timestamp other) => later == other.later;
        /// <inheritdoc/>
        public override bool Equals(object? other) => other is Timestamp timestamp && Equals(timestamp);
        /// <inheritdoc/>
        public override int GetHashCode() => later.GetHashCode();
        /// <summary>The time in ISO 8601.</summary>
        public override string ToString() => UtcDateTime.ToString("o", System.Globalization.CultureInfo.InvariantCulture);
    }
}
