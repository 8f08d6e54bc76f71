using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;

namespace Dohle
{
    /// <summary>Options by Kafka's names, with properties for those that there are.</summary>
    public abstract class Config : IEnumerable<KeyValuePair<string, string>>
    {
        private readonly Dictionary<string, string> options = new Dictionary<string, string>();

        /// <summary>Sets an option by Kafka's name; null: it is not set.</summary>
        public void Set(string key, string? value)
        {
            if (value == null) options.Remove(key);
            else options[key] = value;
        }

        /// <summary>The value of an option; null: it is not set.</summary>
        public string? Get(string key) => options.TryGetValue(key, out string? value) ? value : null;

        /// <inheritdoc/>
        public IEnumerator<KeyValuePair<string, string>> GetEnumerator() => options.GetEnumerator();
        IEnumerator IEnumerable.GetEnumerator() => GetEnumerator();

        internal bool? Bool(string key) => Get(key) is string value ? bool.Parse(value) : (bool?)null;

        internal long? Long(string key) => Get(key) is string value ? long.Parse(value, CultureInfo.InvariantCulture) : (long?)null;

        internal int? Index(string key, string[] values) => Get(key) is string value ? Array.IndexOf(values, value) : (int?)null;

        internal void Set(string key, bool? value) => Set(key, value is bool yes ? (yes ? "true" : "false") : null);

        internal void Set(string key, long? value) => Set(key, value?.ToString(CultureInfo.InvariantCulture));

        internal void Set(string key, int? index, string[] values) => Set(key, index is int at ? values[at] : null);
    }

    public sealed partial class ConsumerConfig
    {
        /// <summary>
        /// <c>enable.auto.offset.store</c>: a record is done when the next one is asked for; else <see cref="IConsumer{TKey, TValue}.StoreOffset(TopicPartitionOffset)"/> says
        /// when it is. Default: true. Source: librdkafka.
        /// </summary>
        public bool? EnableAutoOffsetStore
        {
            get => Bool("enable.auto.offset.store");
            set => Set("enable.auto.offset.store", value);
        }
    }

    /// <summary>Values of <see cref="ConsumerConfig.AutoOffsetReset"/> that have a name.</summary>
    public static class AutoOffsetReset
    {
        /// <summary>The beginning of the log.</summary>
        public const string Earliest = "earliest";
        /// <summary>The end of the log.</summary>
        public const string Latest = "latest";
        /// <summary>Nowhere: <see cref="ErrorCode.NoOffset"/>.</summary>
        public const string None = "none";
    }

    public static partial class ErrorCode
    {
        /// <summary>There is no error.</summary>
        public const string NoError = "NO_ERROR";
        /// <summary>The memory for records is full. It is given by <c>Produce</c> alone, which does not wait.</summary>
        public const string QueueFull = "QUEUE_FULL";
    }
}
