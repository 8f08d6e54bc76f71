using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;

namespace Dohle.Tests;

/// <summary>One embedded broker for all fixtures, and what they have in common.</summary>
[SetUpFixture]
public class Setup
{
    private static int topics;

    public static EmbeddedBroker Broker { get; private set; } = null!;

    [OneTimeSetUp]
    public async Task Start() => Broker = await EmbeddedBroker.StartAsync(partitions: 3);

    [OneTimeTearDown]
    public async Task Stop() => await Broker.DisposeAsync();

    /// <summary>A name that no other test has.</summary>
    public static string Fresh(string what = "topic") => what + "-" + Interlocked.Increment(ref topics);

    public static IProducer<string, string> Producer(Action<ProducerConfig>? set = null)
    {
        var config = new ProducerConfig { BootstrapServers = Broker.BootstrapServers, LingerMs = 1 };
        set?.Invoke(config);
        return new ProducerBuilder<string, string>(config).Build();
    }

    public static ConsumerConfig Reading(string group, Action<ConsumerConfig>? set = null)
    {
        var config = new ConsumerConfig { BootstrapServers = Broker.BootstrapServers, GroupId = group, AutoOffsetReset = AutoOffsetReset.Earliest };
        set?.Invoke(config);
        return config;
    }

    public static IConsumer<string, string> Consumer(string group, Action<ConsumerConfig>? set = null) => new ConsumerBuilder<string, string>(Reading(group, set)).Build();

    public static Message<string, string> Record(string value, string? key = null) => new() { Key = key!, Value = value };

    /// <summary>Sends values, in order, to partition 0.</summary>
    public static void Fill(string topic, params string[] values)
    {
        using var producer = Producer();
        foreach (string value in values) producer.Produce(new TopicPartition(topic, 0), Record(value));
        Assert.That(producer.Flush(TimeSpan.FromSeconds(60)), Is.Zero);
    }

    /// <summary>Values of the next records.</summary>
    public static List<string> Values(IConsumer<string, string> consumer, int count) =>
        Enumerable.Range(0, count).Select(_ => consumer.Consume().Message.Value).ToList();

    public static string[] Numbers(int count) => Enumerable.Range(0, count).Select(number => number.ToString()).ToArray();
}
