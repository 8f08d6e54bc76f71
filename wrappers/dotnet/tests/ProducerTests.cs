using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using static Dohle.Tests.Setup;

namespace Dohle.Tests;

public class ProducerTests
{
    [Test]
    public async Task A_task_tells_where_a_record_is()
    {
        await using var producer = Producer();
        string topic = Fresh();
        var first = await producer.ProduceAsync(new TopicPartition(topic, 2), Record("one", "key"));
        var second = await producer.ProduceAsync(new TopicPartition(topic, 2), Record("two", "key"));
        Assert.That(first.TopicPartitionOffset, Is.EqualTo(new TopicPartitionOffset(topic, 2, 0)));
        Assert.That(second.Offset.Value, Is.EqualTo(1));
        Assert.That(second.Status, Is.EqualTo(PersistenceStatus.Persisted));
        Assert.That(second.Timestamp.UtcDateTime, Is.EqualTo(DateTime.UtcNow).Within(TimeSpan.FromMinutes(1)));
    }

    [Test]
    public void Handlers_are_told_in_order_and_none_twice()
    {
        using var producer = Producer();
        string topic = Fresh();
        var told = new List<(long Offset, string Value)>();
        for (int i = 0; i < 20_000; i++)
            producer.Produce(new TopicPartition(topic, 0), Record(i.ToString()), report => told.Add((report.Offset, report.Value)));
        Assert.That(producer.Flush(TimeSpan.FromSeconds(60)), Is.Zero);
        Assert.That(told, Is.EqualTo(Enumerable.Range(0, 20_000).Select(i => ((long)i, i.ToString()))));
    }

    [Test]
    public void What_was_produced_last_needs_no_flush()
    {
        using var producer = Producer();
        string topic = Fresh();
        var told = new CountdownEvent(1000);
        for (int i = 0; i < 1000; i++) producer.Produce(topic, Record("x"), _ => told.Signal());
        told.Wait();
    }

    [Test]
    public void What_a_handler_throws_comes_out_of_the_next_flush_and_spares_the_others()
    {
        using var producer = Producer();
        string topic = Fresh();
        int told = 0;
        for (int i = 0; i < 10; i++)
        {
            int number = i;
            producer.Produce(new TopicPartition(topic, 0), Record("x"), _ =>
            {
                told++;
                if (number == 3) throw new InvalidOperationException("mine");
            });
        }
        var thrown = Assert.Throws<InvalidOperationException>(() => producer.Flush(TimeSpan.FromSeconds(60)));
        Assert.That(thrown!.Message, Is.EqualTo("mine"));
        Assert.That(told, Is.EqualTo(10));
        Assert.That(producer.Flush(TimeSpan.FromSeconds(60)), Is.Zero);
    }

    [Test]
    public void A_flush_in_a_handler_waits_for_no_handler()
    {
        using var producer = Producer();
        using var done = new ManualResetEventSlim();
        producer.Produce(Fresh(), Record("x"), _ =>
        {
            producer.Flush();
            done.Set();
        });
        done.Wait();
    }

    [Test]
    public async Task Many_threads_lose_nothing()
    {
        await using var producer = Producer();
        string topic = Fresh();
        await Task.WhenAll(Enumerable.Range(0, 8).Select(thread => Task.Run(async () =>
        {
            var sent = new List<Task<DeliveryResult<string, string>>>();
            for (int i = 0; i < 2000; i++) sent.Add(producer.ProduceAsync(new TopicPartition(topic, 0), Record(thread + " " + i)));
            long last = -1;
            foreach (var result in await Task.WhenAll(sent))
            {
                Assert.That(result.Offset.Value, Is.GreaterThan(last)); // each thread's order is kept
                last = result.Offset;
            }
        })));
        using var consumer = Consumer(Fresh("group"));
        consumer.Assign(new TopicPartitionOffset(topic, 0, Offset.Beginning));
        Assert.That(Values(consumer, 16_000).Distinct().Count(), Is.EqualTo(16_000));
    }

    [Test]
    public void When_memory_is_full_produce_throws_and_waiting_makes_room()
    {
        using var producer = Producer(config => config.Set("buffer.memory", "1000000"));
        string topic = Fresh(), value = new string('x', 1000);
        long fault = Broker.AddFault(new Testing.FaultRule(new Testing.FaultAction.Delay(500, Testing.FaultWhen.Before)) { Topic = topic, Api = Testing.FaultApi.Produce, Count = 1 });
        int full = 0;
        for (int i = 0; i < 5000; i++)
        {
            try
            {
                producer.Produce(new TopicPartition(topic, 0), Record(value));
            }
            catch (ProduceException<string, string> exception) when (exception.Code == ErrorCode.QueueFull)
            {
                Assert.That(exception.IsRetriable);
                Assert.That(exception.DeliveryResult.Status, Is.EqualTo(PersistenceStatus.NotPersisted));
                full++;
                i--;
                producer.Poll(TimeSpan.FromMilliseconds(1));
            }
        }
        Assert.That(full, Is.Positive);
        Assert.That(producer.Flush(TimeSpan.FromSeconds(60)), Is.Zero);
        Assert.That(Broker.RemoveFault(fault));
        using var consumer = Consumer(Fresh("group"));
        Assert.That(consumer.QueryWatermarkOffsets(new TopicPartition(topic, 0), TimeSpan.FromSeconds(60)).High.Value, Is.EqualTo(5000));
    }

    [Test]
    public async Task When_memory_is_full_tasks_wait_in_order()
    {
        await using var producer = Producer(config => config.Set("buffer.memory", "1000000"));
        string topic = Fresh(), filler = new string('x', 1000);
        var sent = Enumerable.Range(0, 5000).Select(i => producer.ProduceAsync(new TopicPartition(topic, 0), Record(i + filler))).ToList();
        var results = await Task.WhenAll(sent);
        Assert.That(results.Select(result => result.Offset.Value), Is.EqualTo(Enumerable.Range(0, 5000)));
    }

    [Test]
    public async Task A_record_that_waits_for_memory_can_be_cancelled_and_is_not_sent()
    {
        await using var producer = Producer(config => config.Set("buffer.memory", "1000000"));
        string topic = Fresh(), value = new string('x', 10_000);
        long fault = Broker.AddFault(new Testing.FaultRule(new Testing.FaultAction.Delay(300, Testing.FaultWhen.Before)) { Topic = topic, Api = Testing.FaultApi.Produce, Count = 1 });
        var sent = Enumerable.Range(0, 200).Select(_ => producer.ProduceAsync(new TopicPartition(topic, 0), Record(value))).ToList();
        using var cancel = new CancellationTokenSource();
        var cancelled = producer.ProduceAsync(new TopicPartition(topic, 0), Record("cancelled"), cancel.Token);
        cancel.Cancel();
        Assert.CatchAsync<OperationCanceledException>(() => cancelled);
        var results = await Task.WhenAll(sent);
        var last = await producer.ProduceAsync(new TopicPartition(topic, 0), Record("last"));
        Assert.That(last.Offset.Value, Is.EqualTo(results.Length));
        Broker.RemoveFault(fault);
    }

    [Test]
    public void A_record_that_is_too_large_is_refused_alone_with_its_own_reason()
    {
        using var producer = Producer(config => config.Set("max.request.size", "100000"));
        string topic = Fresh();
        var told = new ConcurrentQueue<DeliveryReport<string, string>>();
        for (int i = 0; i < 100; i++)
        {
            string value = i % 10 == 3 ? new string('x', 200_000 + i) : "small";
            producer.Produce(new TopicPartition(topic, i % 10 == 7 ? 99 : 0), Record(value), told.Enqueue);
        }
        producer.Flush(TimeSpan.FromSeconds(60));
        Assert.That(told.Count(report => !report.Error.IsError), Is.EqualTo(80));
        var large = told.Where(report => report.Value.Length > 10).ToList();
        Assert.That(large.Count, Is.EqualTo(10));
        foreach (var report in large)
        {
            Assert.That(report.Error.Code, Is.EqualTo(ErrorCode.MessageTooLarge));
            Assert.That(report.Error.Persistence, Is.EqualTo(PersistenceStatus.NotPersisted));
        }
    }

    [Test]
    public void The_class_of_a_failure_is_that_of_its_group()
    {
        using var producer = Producer(config => config.MaxBlockMs = 100);
        string topic = Fresh();
        Fill(topic, "x");
        var thrown = Assert.ThrowsAsync<ProduceException<string, string>>(() => producer.ProduceAsync(new TopicPartition(topic, 99), Record("x")));
        Assert.That(thrown!.Code, Is.EqualTo(ErrorCode.UnknownTopicOrPartition));
        Assert.That(thrown.Error.Class, Is.EqualTo(ErrorClass.RefreshRetriable));
        Assert.That(thrown.InnerException, Is.TypeOf<RefreshRetriableException>());
        var config = Assert.Throws<InvalidConfigurationException>(() => Producer(options => options.Set("linger.ms", "-5")));
        Assert.That(config!.Message, Does.Contain("linger.ms: -5 is below 0"));
    }

    [Test]
    public void What_a_serializer_throws_is_the_cause()
    {
        var config = new ProducerConfig { BootstrapServers = Broker.BootstrapServers };
        using var producer = new ProducerBuilder<string, string>(config).SetValueSerializer(new Failing()).Build();
        foreach (var thrown in new[]
        {
            Assert.Throws<ProduceException<string, string>>(() => producer.Produce("t", Record("x"))),
            Assert.ThrowsAsync<ProduceException<string, string>>(() => producer.ProduceAsync("t", Record("x"))),
        })
        {
            Assert.That(thrown!.InnerException, Is.TypeOf<InvalidConfigurationException>());
            Assert.That(thrown.InnerException!.InnerException, Is.TypeOf<FormatException>());
            Assert.That(thrown.Persistence, Is.EqualTo(PersistenceStatus.NotPersisted));
        }
    }

    private sealed class Failing : ISerializer<string>
    {
        public byte[] Serialize(string data, SerializationContext context) => throw new FormatException("mine");
    }

    [Test]
    public async Task A_header_of_another_making_harms_nobody_also_when_memory_is_full()
    {
        await using var producer = Producer(config => config.Set("buffer.memory", "1000000"));
        string topic = Fresh(), value = new string('x', 10_000);
        Message<string, string> Odd() => new() { Value = "odd", Headers = new Headers { new Growing() } };
        Assert.Throws<InvalidOperationException>(() => producer.ProduceAsync(topic, Odd()));
        long fault = Broker.AddFault(new Testing.FaultRule(new Testing.FaultAction.Delay(300, Testing.FaultWhen.Before)) { Topic = topic, Api = Testing.FaultApi.Produce, Count = 1 });
        var sent = Enumerable.Range(0, 200).Select(_ => producer.ProduceAsync(topic, Record(value))).ToList();
        var odd = producer.ProduceAsync(topic, Odd());
        Assert.ThrowsAsync<ProduceException<string, string>>(() => odd);
        await Task.WhenAll(sent);
        Broker.RemoveFault(fault);
    }

    /// <summary>Its value is larger whenever it is asked for.</summary>
    private sealed class Growing : IHeader
    {
        private int length = 1;
        public string Key => "grows";
        public byte[] GetValueBytes() => new byte[length *= 1000];
    }

    [Test]
    public void Wrong_arguments_are_named()
    {
        using var producer = Producer();
        Assert.That(Assert.Throws<ArgumentNullException>(() => producer.Produce((string)null!, Record("x")))!.ParamName, Is.EqualTo("topic"));
        Assert.Throws<ArgumentNullException>(() => producer.Produce((TopicPartition)null!, Record("x")));
        Assert.Throws<ArgumentNullException>(() => producer.ProduceAsync("t", null!));
        var thrown = Assert.Throws<ProduceException<string, string>>(() => producer.Produce(new TopicPartition("t", -7), Record("x")));
        Assert.That(thrown!.Message, Does.Contain("partition: -7 is below"));
        using var consumer = Consumer(Fresh("group"));
        Assert.Throws<ArgumentNullException>(() => consumer.Subscribe((string)null!));
        Assert.Throws<ArgumentNullException>(() => consumer.Commit((ConsumeResult<string, string>)null!));
        Assert.Throws<ArgumentNullException>(() => consumer.StoreOffset((TopicPartitionOffset)null!));
        Assert.Throws<ArgumentNullException>(() => consumer.Seek(null!));
        Assert.Throws<ArgumentNullException>(() => consumer.Position(null!));
    }

    [Test]
    public void Time_limits_may_be_of_any_size()
    {
        using var producer = Producer();
        string topic = Fresh();
        foreach (var limit in new[] { TimeSpan.MaxValue, TimeSpan.MinValue, TimeSpan.FromSeconds(-5) })
        {
            producer.Produce(topic, Record("x"), _ => { });
            Assert.That(producer.Flush(limit), Is.Zero);
            Assert.That(producer.Poll(limit), Is.EqualTo(1));
        }
    }

    [Test]
    public void Whatever_was_disposed_of_says_so()
    {
        var producer = Producer();
        producer.Dispose();
        producer.Dispose();
        Assert.Throws<ObjectDisposedException>(() => producer.Produce("t", Record("x")));
        Assert.ThrowsAsync<ObjectDisposedException>(() => producer.ProduceAsync("t", Record("x")));
        Assert.Throws<ObjectDisposedException>(() => producer.Flush(TimeSpan.Zero));
        Assert.Throws<ObjectDisposedException>(producer.BeginTransaction);
        Assert.Throws<ObjectDisposedException>(producer.CommitTransaction);
        Assert.Throws<ObjectDisposedException>(producer.AbortTransaction);
        Assert.Throws<ObjectDisposedException>(() => producer.Poll(TimeSpan.MaxValue));
    }

    [Test]
    public async Task Disposing_sends_what_there_is()
    {
        string topic = Fresh();
        var producer = Producer(config => config.LingerMs = 60_000);
        var sent = producer.ProduceAsync(topic, Record("x"));
        await producer.DisposeAsync();
        Assert.That((await sent).Status, Is.EqualTo(PersistenceStatus.Persisted));
    }

    [Test]
    public void Disposing_hangs_on_no_broker_that_is_not_there()
    {
        var producer = new ProducerBuilder<string, string>(new ProducerConfig { BootstrapServers = "127.0.0.1:1", LogLevel = LogLevel.Off }).Build();
        var sent = producer.ProduceAsync("t", Record("x"));
        producer.Dispose();
        var thrown = Assert.ThrowsAsync<ProduceException<string, string>>(() => sent);
        Assert.That(thrown!.Persistence, Is.EqualTo(PersistenceStatus.NotPersisted));
    }

    [Test]
    public void A_producer_that_is_forgotten_is_closed_by_the_collector()
    {
        static WeakReference Forgotten()
        {
            var producer = Producer();
            producer.Produce("forgotten", Record("x"));
            return new WeakReference(producer);
        }
        var weak = Forgotten();
        for (int i = 0; i < 50 && weak.IsAlive; i++)
        {
            GC.Collect();
            GC.WaitForPendingFinalizers();
            Thread.Sleep(10);
        }
        Assert.That(weak.IsAlive, Is.False);
    }
}
