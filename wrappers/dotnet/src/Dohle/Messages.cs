using System;
using System.Collections;
using System.Collections.Generic;

namespace Dohle
{
    /// <summary>A header of a record.</summary>
    public interface IHeader
    {
        /// <summary>Its name.</summary>
        string Key { get; }
        /// <summary>Its value; null is not the same as no bytes.</summary>
        byte[]? GetValueBytes();
    }

    /// <summary>A header of a record.</summary>
    public sealed class Header : IHeader
    {
        private readonly byte[]? value;

        /// <summary>A header. The value is not copied.</summary>
        public Header(string key, byte[]? value)
        {
            Key = key ?? throw new ArgumentNullException(nameof(key));
            this.value = value;
        }

        /// <inheritdoc/>
        public string Key { get; }
        /// <inheritdoc/>
        public byte[]? GetValueBytes() => value;
    }

    /// <summary>The headers of a record, in order; a name may be there more than once.</summary>
    public sealed class Headers : IReadOnlyList<IHeader>
    {
        private readonly List<IHeader> headers = new List<IHeader>();

        /// <summary>How many there are.</summary>
        public int Count => headers.Count;
        /// <summary>The one at this place.</summary>
        public IHeader this[int index] => headers[index];

        /// <summary>Adds one.</summary>
        public void Add(string key, byte[]? value) => headers.Add(new Header(key, value));
        /// <summary>Adds one.</summary>
        public void Add(IHeader header) => headers.Add(header ?? throw new ArgumentNullException(nameof(header)));
        /// <summary>Removes all of this name.</summary>
        public void Remove(string key) => headers.RemoveAll(header => header.Key == key);

        /// <summary>The value of the last one of this name.</summary>
        /// <exception cref="KeyNotFoundException">There is none.</exception>
        public byte[]? GetLastBytes(string key) =>
            TryGetLastBytes(key, out byte[]? value) ? value : throw new KeyNotFoundException("no header is called " + key);

        /// <summary>The value of the last one of this name; false: there is none.</summary>
        public bool TryGetLastBytes(string key, out byte[]? value)
        {
            var last = headers.FindLast(header => header.Key == key);
            value = last?.GetValueBytes();
            return last != null;
        }

        /// <inheritdoc/>
        public IEnumerator<IHeader> GetEnumerator() => headers.GetEnumerator();
        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();
    }

    /// <summary>A record.</summary>
    /// <typeparam name="TKey">Type of the key.</typeparam>
    /// <typeparam name="TValue">Type of the value.</typeparam>
    public sealed class Message<TKey, TValue>
    {
        private ConsumeResult<TKey, TValue>? read; // of what was read: where key, value and headers are until they are asked for
        private TKey key = default!;
        private TValue value = default!;
        private Headers? headers;
        private bool hasKey, hasValue, hasHeaders;

        /// <summary>A record to be produced.</summary>
        public Message() => hasKey = hasValue = hasHeaders = true;

        internal Message(ConsumeResult<TKey, TValue> read) => this.read = read;

        /// <summary>The key. Of a record that was read it is deserialized when it is asked for first, which may throw a <see cref="ConsumeException"/>.</summary>
        public TKey Key
        {
            get
            {
                if (!hasKey) Key = read!.DeserializeKey();
                return key;
            }
            set
            {
                key = value;
                hasKey = true;
            }
        }

        /// <summary>The value, which is deserialized as the key is. Null is a tombstone.</summary>
        public TValue Value
        {
            get
            {
                if (!hasValue) Value = read!.DeserializeValue();
                return value;
            }
            set
            {
                this.value = value;
                hasValue = true;
            }
        }

        /// <summary>The headers; null: none. Those of a record that was read are never null.</summary>
        public Headers? Headers
        {
            get
            {
                if (!hasHeaders) Headers = read!.ReadHeaders();
                return headers;
            }
            set
            {
                headers = value;
                hasHeaders = true;
            }
        }

        /// <summary>When it was made or, where the topic says so, appended. None: the time of now.</summary>
        public Timestamp Timestamp { get; set; }
    }

    /// <summary>Where a record is, or why it is not known to be anywhere.</summary>
    /// <typeparam name="TKey">Type of the key.</typeparam>
    /// <typeparam name="TValue">Type of the value.</typeparam>
    public class DeliveryResult<TKey, TValue>
    {
        internal long Time = -1;

        internal DeliveryResult(string topic, Message<TKey, TValue> message)
        {
            Topic = topic;
            Message = message;
        }

        internal void Settle(int partition, long offset, long appendTime, PersistenceStatus status)
        {
            Partition = partition;
            if (offset >= 0) Offset = offset;
            if (appendTime >= 0) Time = appendTime;
            Status = status;
        }

        /// <summary>The topic's name.</summary>
        public string Topic { get; }
        /// <summary>The partition; <see cref="Dohle.Partition.Any"/>: not known, as of a record that failed before one was chosen.</summary>
        public Partition Partition { get; internal set; } = Partition.Any;
        /// <summary>The offset; <see cref="Dohle.Offset.Unset"/>: not known, as with acks 0.</summary>
        public Offset Offset { get; internal set; } = Offset.Unset;
        /// <summary>Whether it is in the log.</summary>
        public PersistenceStatus Status { get; internal set; }
        /// <summary>The record.</summary>
        public Message<TKey, TValue> Message { get; }
        /// <summary>The partition.</summary>
        public TopicPartition TopicPartition => new TopicPartition(Topic, Partition);
        /// <summary>Partition and offset.</summary>
        public TopicPartitionOffset TopicPartitionOffset => new TopicPartitionOffset(TopicPartition, Offset);
        /// <summary>The record's key.</summary>
        public TKey Key => Message.Key;
        /// <summary>The record's value.</summary>
        public TValue Value => Message.Value;
        /// <summary>The record's time: its own, or the broker's where the topic says so.</summary>
        public Timestamp Timestamp => new Timestamp(Time);
        /// <summary>The record's headers.</summary>
        public Headers? Headers => Message.Headers;
    }

    /// <summary>What a handler of <see cref="IProducer{TKey, TValue}.Produce(string, Message{TKey, TValue}, Action{DeliveryReport{TKey, TValue}})"/> is told.</summary>
    /// <typeparam name="TKey">Type of the key.</typeparam>
    /// <typeparam name="TValue">Type of the value.</typeparam>
    public sealed class DeliveryReport<TKey, TValue> : DeliveryResult<TKey, TValue>
    {
        internal DeliveryReport(string topic, Message<TKey, TValue> message) : base(topic, message) { }

        /// <summary>Why it was not acknowledged; <see cref="Error.IsError"/> is false when it was.</summary>
        public Error Error { get; internal set; } = Error.None;
    }
}
