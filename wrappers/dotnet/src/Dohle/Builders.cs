using System;
using System.Collections.Generic;
using System.Linq;

namespace Dohle
{
    /// <summary>What is common to the builders: options and the handlers of events. What a handler of events throws is dropped.</summary>
    /// <typeparam name="TBuilder">The builder's own type.</typeparam>
    /// <typeparam name="TClient">Type of what is built.</typeparam>
    public abstract class ClientBuilder<TBuilder, TClient> where TBuilder : ClientBuilder<TBuilder, TClient> where TClient : class
    {
        private readonly Dictionary<string, object?> options = new Dictionary<string, object?>();
        private Action<TClient, Error>? onError;
        private Action<TClient, LogMessage>? onLog;
        private Action<TClient, string>? onStatistics;

        internal ClientBuilder(IEnumerable<KeyValuePair<string, string>> config)
        {
            foreach (var option in config ?? throw new ArgumentNullException(nameof(config))) options[option.Key] = option.Value;
        }

        /// <summary>Told of what the engine mends itself, such as a broker that is not there, and of what it cannot: <see cref="Error.IsFatal"/>. On a thread of the pool.</summary>
        public TBuilder SetErrorHandler(Action<TClient, Error> errorHandler)
        {
            onError = errorHandler;
            return (TBuilder)this;
        }

        /// <summary>Takes the lines of the log, from <c>log.level</c> on, on a thread of the pool. Without one they go to stderr.</summary>
        public TBuilder SetLogHandler(Action<TClient, LogMessage> logHandler)
        {
            onLog = logHandler;
            return (TBuilder)this;
        }

        /// <summary>Takes the statistics as JSON, in librdkafka's words, every <c>statistics.interval.ms</c>, which must be set with it. On a thread of the pool.</summary>
        public TBuilder SetStatisticsHandler(Action<TClient, string> statisticsHandler)
        {
            onStatistics = statisticsHandler;
            return (TBuilder)this;
        }

        /// <summary>The value of an option that is not the engine's, which is taken out.</summary>
        internal string? Taken(string name)
        {
            if (!options.TryGetValue(name, out object? value)) return null;
            options.Remove(name);
            return (string?)value;
        }

        /// <summary>Opens the connections, and then what uses them with the options that are not of these.</summary>
        internal TClient Build(Func<Client, Dictionary<string, object?>, string, TClient> build)
        {
            var own = options.Where(option => OptionNames.Client.Contains(option.Key)).ToDictionary(option => option.Key, option => option.Value);
            var others = options.Where(option => !own.ContainsKey(option.Key)).ToDictionary(option => option.Key, option => option.Value);
            string name = options.TryGetValue("client.id", out object? id) ? (string)id! : "dohle";
            var client = new Client(own);
            TClient made = build(client, others, name);
            var weak = new WeakReference<TClient>(made); // what was forgotten is not kept alive by its handlers
            client.OnLog = line => Console.Error.WriteLine(DateTime.UtcNow.ToString("o") + " dohle " + line.Level.ToString().ToUpperInvariant() + " [" + name + "] " + line);
            if (onLog is Action<TClient, LogMessage> log) client.OnLog = line => Tell(weak, log, line);
            if (onError is Action<TClient, Error> failed) client.OnError = error => Tell(weak, failed, error);
            if (onStatistics is Action<TClient, string> statistics) client.OnStatistics = text => Tell(weak, statistics, text);
            return made;
        }

        private static void Tell<T>(WeakReference<TClient> whose, Action<TClient, T> handler, T what)
        {
            if (whose.TryGetTarget(out TClient? client)) handler(client, what);
        }
    }

    /// <summary>Makes a producer. Its options are those of docs/configuration.md, by Kafka's names; <see cref="ProducerConfig"/> has them as properties.</summary>
    /// <typeparam name="TKey">Type of the keys.</typeparam>
    /// <typeparam name="TValue">Type of the values.</typeparam>
    public sealed class ProducerBuilder<TKey, TValue> : ClientBuilder<ProducerBuilder<TKey, TValue>, IProducer<TKey, TValue>>
    {
        private ISerializer<TKey>? keys;
        private ISerializer<TValue>? values;

        /// <summary>Options by Kafka's names: a <see cref="ProducerConfig"/>, a dictionary, …</summary>
        public ProducerBuilder(IEnumerable<KeyValuePair<string, string>> config) : base(config) { }

        /// <summary>Makes bytes of keys. Without one those of <see cref="Serializers"/> are used.</summary>
        public ProducerBuilder<TKey, TValue> SetKeySerializer(ISerializer<TKey> serializer)
        {
            keys = serializer;
            return this;
        }

        /// <summary>Makes bytes of values. Without one those of <see cref="Serializers"/> are used.</summary>
        public ProducerBuilder<TKey, TValue> SetValueSerializer(ISerializer<TValue> serializer)
        {
            values = serializer;
            return this;
        }

        /// <summary>Makes the producer. Nothing is connected before it is needed.</summary>
        /// <exception cref="InvalidConfigurationException">The message names the option, its value and what is allowed.</exception>
        public IProducer<TKey, TValue> Build() => Build((client, options, name) =>
            new Producer<TKey, TValue>(client, options, name, keys ?? Serializers.Default<TKey>(), values ?? Serializers.Default<TValue>()));
    }

    /// <summary>Makes a consumer. Its options are those of docs/configuration.md, by Kafka's names; <see cref="ConsumerConfig"/> has them as properties.</summary>
    /// <typeparam name="TKey">Type of the keys.</typeparam>
    /// <typeparam name="TValue">Type of the values.</typeparam>
    public sealed class ConsumerBuilder<TKey, TValue> : ClientBuilder<ConsumerBuilder<TKey, TValue>, IConsumer<TKey, TValue>>
    {
        private readonly RebalanceHandlers<TKey, TValue> rebalances = new RebalanceHandlers<TKey, TValue>();
        private IDeserializer<TKey>? keys;
        private IDeserializer<TValue>? values;
        private string? stores;

        /// <summary>Options by Kafka's names: a <see cref="ConsumerConfig"/>, a dictionary, … Beside those of the engine <c>enable.auto.offset.store</c> (default: true).</summary>
        public ConsumerBuilder(IEnumerable<KeyValuePair<string, string>> config) : base(config) { }

        /// <summary>Makes keys of bytes. Without one those of <see cref="Deserializers"/> are used.</summary>
        public ConsumerBuilder<TKey, TValue> SetKeyDeserializer(IDeserializer<TKey> deserializer)
        {
            keys = deserializer;
            return this;
        }

        /// <summary>Makes values of bytes. Without one those of <see cref="Deserializers"/> are used.</summary>
        public ConsumerBuilder<TKey, TValue> SetValueDeserializer(IDeserializer<TValue> deserializer)
        {
            values = deserializer;
            return this;
        }

        /// <summary>Called within <c>Consume</c> when partitions come, before anything of them is read. <c>Seek</c> may be called in it.</summary>
        public ConsumerBuilder<TKey, TValue> SetPartitionsAssignedHandler(Action<IConsumer<TKey, TValue>, List<TopicPartition>> partitionsAssignedHandler) =>
            SetPartitionsAssignedHandler((consumer, partitions) =>
            {
                partitionsAssignedHandler(consumer, partitions);
                return Array.Empty<TopicPartitionOffset>();
            });

        /// <summary>The same, and it says from where each is read; <see cref="Offset.Unset"/>: from what the group has committed.</summary>
        public ConsumerBuilder<TKey, TValue> SetPartitionsAssignedHandler(Func<IConsumer<TKey, TValue>, List<TopicPartition>, IEnumerable<TopicPartitionOffset>> partitionsAssignedHandler)
        {
            rebalances.Assigned = partitionsAssignedHandler;
            return this;
        }

        /// <summary>Called within <c>Consume</c>, <c>Unsubscribe</c> or <c>Close</c> when partitions are about to be given up, with their positions. <c>Commit</c> may be called in it, and what leaves the group.</summary>
        public ConsumerBuilder<TKey, TValue> SetPartitionsRevokedHandler(Action<IConsumer<TKey, TValue>, List<TopicPartitionOffset>> partitionsRevokedHandler)
        {
            rebalances.Revoked = partitionsRevokedHandler;
            return this;
        }

        /// <summary>Called within <c>Consume</c> when partitions were taken away, and others may have them already. Without one that of revoked partitions is called.</summary>
        public ConsumerBuilder<TKey, TValue> SetPartitionsLostHandler(Action<IConsumer<TKey, TValue>, List<TopicPartitionOffset>> partitionsLostHandler)
        {
            rebalances.Lost = partitionsLostHandler;
            return this;
        }

        /// <summary>Makes the consumer. Nothing is connected before it is needed.</summary>
        /// <exception cref="InvalidConfigurationException">The message names the option, its value and what is allowed.</exception>
        public IConsumer<TKey, TValue> Build()
        {
            string? stores = this.stores ??= Taken("enable.auto.offset.store");
            if (stores != null && !bool.TryParse(stores, out _)) throw KafkaException.Of(Error.Argument("enable.auto.offset.store", stores + " is neither true nor false"));
            var decoders = new Decoders<TKey, TValue>(keys ?? Deserializers.Default<TKey>(), values ?? Deserializers.Default<TValue>());
            return Build((client, options, name) => new Consumer<TKey, TValue>(client, options, name, decoders, rebalances, stores == null || bool.Parse(stores)));
        }
    }
}
