using System;

namespace Dohle
{
    /// <summary>What turns the bytes of a consumer's records into keys and values.</summary>
    internal sealed class Decoders<TKey, TValue>
    {
        public readonly IDeserializer<TKey> Keys;
        public readonly IDeserializer<TValue> Values;

        public Decoders(IDeserializer<TKey> keys, IDeserializer<TValue> values)
        {
            Keys = keys;
            Values = values;
        }
    }

    /// <summary>A record that was read. Key and value are deserialized when they are asked for first.</summary>
    /// <typeparam name="TKey">Type of the key.</typeparam>
    /// <typeparam name="TValue">Type of the value.</typeparam>
    public sealed class ConsumeResult<TKey, TValue>
    {
        internal readonly Chunk Chunk;
        internal readonly int Place;
        private readonly Decoders<TKey, TValue> decoders;
        private Message<TKey, TValue>? message;

        internal ConsumeResult(Chunk chunk, int place, Decoders<TKey, TValue> decoders)
        {
            Chunk = chunk;
            Place = place;
            this.decoders = decoders;
        }

        /// <summary>The topic's name.</summary>
        public string Topic => Chunk.Topic;
        /// <summary>The partition.</summary>
        public Partition Partition => Chunk.Partition;
        /// <summary>The offset.</summary>
        public Offset Offset => Chunk.Offset(Place);
        /// <summary>Leader epoch of the record, if it is known (KIP-320).</summary>
        public int? LeaderEpoch => Chunk.LeaderEpoch < 0 ? (int?)null : Chunk.LeaderEpoch;
        /// <summary>The partition.</summary>
        public TopicPartition TopicPartition => new TopicPartition(Topic, Partition);
        /// <summary>Partition and offset.</summary>
        public TopicPartitionOffset TopicPartitionOffset => new TopicPartitionOffset(TopicPartition, Offset, LeaderEpoch);
        /// <summary>The record.</summary>
        public Message<TKey, TValue> Message => message ??= new Message<TKey, TValue>(this) { Timestamp = new Timestamp(Chunk.Timestamp(Place)) };

        /// <summary>Partition and offset of the record behind it: what is committed when this one is done.</summary>
        internal TopicPartitionOffset Behind => new TopicPartitionOffset(TopicPartition, Offset + 1, LeaderEpoch);

        internal TKey DeserializeKey() => Deserialize(decoders.Keys, Chunk.Key(Place, out bool isNull), isNull, MessageComponentType.Key);

        internal TValue DeserializeValue() => Deserialize(decoders.Values, Chunk.Value(Place, out bool isNull), isNull, MessageComponentType.Value);

        internal Headers ReadHeaders() => Chunk.Headers(Place);

        private T Deserialize<T>(IDeserializer<T> deserializer, ReadOnlySpan<byte> data, bool isNull, MessageComponentType component)
        {
            try
            {
                return deserializer.Deserialize(data, isNull, new SerializationContext(component, Topic));
            }
            catch (Exception thrown)
            {
                var bytes = new Decoders<byte[]?, byte[]?>(Deserializers.ByteArray!, Deserializers.ByteArray!);
                var error = Error.Argument(component.ToString().ToLowerInvariant(), "its deserializer has failed, at " + TopicPartitionOffset + ": " + thrown.Message);
                throw new ConsumeException(error, new ConsumeResult<byte[]?, byte[]?>(Chunk, Place, bytes), thrown);
            }
        }
    }
}
