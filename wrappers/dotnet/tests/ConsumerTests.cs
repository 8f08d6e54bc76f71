using System;
using System.Collections.Generic;
using System.Linq;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using static Dohle.Tests.Setup;

namespace Dohle.Tests;

public class ConsumerTests
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(60);

    private static TopicPartition First(string topic) => new(topic, 0);

    [Test]
    public void A_record_comes_back_as_it_was_sent()
    {
        string topic = Fresh();
        var headers = new Headers { { "name", Encoding.UTF8.GetBytes("wert ü") }, { "none", null }, { "empty", Array.Empty<byte>() }, { "name", new byte[] { 0 } } };
        using (var producer = Producer())
        {
            producer.Produce(new TopicPartition(topic, 1), new Message<string, string> { Key = "schlüssel", Value = "𝄞 wert", Headers = headers, Timestamp = new Timestamp(1234567890123) });
            producer.Produce(new TopicPartition(topic, 1), new Message<string, string> { Key = "", Value = "" });
            producer.Produce(new TopicPartition(topic, 1), new Message<string, string> { Key = null!, Value = null! });
            producer.Flush();
        }
        using var consumer = Consumer(Fresh("group"));
        consumer.Subscribe(topic);
        var first = consumer.Consume();
        Assert.That(first.TopicPartitionOffset, Is.EqualTo(new TopicPartitionOffset(topic, 1, 0)));
        Assert.That((first.Message.Key, first.Message.Value), Is.EqualTo(("schlüssel", "𝄞 wert")));
        Assert.That(first.Message.Timestamp, Is.EqualTo(new Timestamp(1234567890123)));
        Assert.That(first.Message.Headers!.Select(header => (header.Key, header.GetValueBytes())), Is.EqualTo(headers.Select(header => (header.Key, header.GetValueBytes()))));
        Assert.That(first.Message.Headers!.GetLastBytes("name"), Is.EqualTo(new byte[] { 0 }));
        var second = consumer.Consume();
        Assert.That((second.Message.Key, second.Message.Value, second.Message.Headers!.Count), Is.EqualTo(("", "", 0)));
        var third = consumer.Consume();
        Assert.That((third.Message.Key, third.Message.Value), Is.EqualTo(((string?)null, (string?)null)));
    }

    [Test]
    public async Task Serializers_and_deserializers_are_found_by_type()
    {
        string topic = Fresh();
        await using var producer = new ProducerBuilder<long, byte[]>(new ProducerConfig { BootstrapServers = Broker.BootstrapServers }).Build();
        await producer.ProduceAsync(topic, new Message<long, byte[]> { Key = -5_000_000_000, Value = new byte[] { 1, 2 } });
        using var consumer = new ConsumerBuilder<long, byte[]>(Reading(Fresh("group"))).Build();
        consumer.Subscribe(topic);
        var read = consumer.Consume();
        Assert.That((read.Message.Key, read.Message.Value), Is.EqualTo((-5_000_000_000, new byte[] { 1, 2 })));
        Assert.Throws<InvalidOperationException>(() => new ProducerBuilder<DateTime, string>(new ProducerConfig { BootstrapServers = "a:1" }).Build());
    }

    [Test]
    public void A_value_that_cannot_be_read_is_a_failure_of_its_own_and_the_next_goes_on()
    {
        string topic = Fresh();
        Fill(topic, "four", "eightbytes", "4444");
        using var consumer = new ConsumerBuilder<Ignore, int>(Reading(Fresh("group"))).Build();
        consumer.Assign(First(topic));
        Assert.That(consumer.Consume().Message.Value, Is.EqualTo(0x666F7572));
        var thrown = Assert.Throws<ConsumeException>(() => _ = consumer.Consume().Message.Value);
        Assert.That(Encoding.UTF8.GetString(thrown!.ConsumerRecord.Message.Value!), Is.EqualTo("eightbytes"));
        Assert.That(consumer.Consume().Offset.Value, Is.EqualTo(2));
    }

    [Test]
    public async Task Values_outlive_their_consumer()
    {
        string topic = Fresh();
        Fill(topic, Numbers(1000));
        var kept = new List<ConsumeResult<string, string>>();
        await using (var consumer = Consumer(Fresh("group")))
        {
            consumer.Assign(First(topic));
            for (int i = 0; i < 1000; i++) kept.Add(consumer.Consume());
        }
        Assert.That(kept.Select(read => read.Message.Value), Is.EqualTo(Numbers(1000)));
    }

    [Test]
    public async Task An_async_stream_yields_everything_and_ends_with_its_token()
    {
        string topic = Fresh();
        Fill(topic, Numbers(100));
        await using var consumer = Consumer(Fresh("group"));
        consumer.Assign(First(topic));
        using var cancel = new CancellationTokenSource();
        var values = new List<string>();
        Assert.CatchAsync<OperationCanceledException>(async () =>
        {
            await foreach (var read in consumer.ReadAllAsync(cancel.Token))
            {
                values.Add(read.Message.Value);
                if (values.Count == 100) Fill(topic, "late");
                if (values.Count == 101) cancel.Cancel();
            }
        });
        Assert.That(values, Is.EqualTo(Numbers(100).Append("late")));
    }

    [Test]
    public async Task An_async_stream_ends_when_its_consumer_is_closed()
    {
        var consumer = Consumer(Fresh("group"));
        consumer.Subscribe(Fresh());
        var reading = Task.Run(async () =>
        {
            await foreach (var _ in consumer.ReadAllAsync()) { }
        });
        await Task.Delay(50);
        await consumer.DisposeAsync();
        await reading;
    }

    [Test]
    public async Task Consume_is_ended_by_a_token_by_time_and_by_close()
    {
        string topic = Fresh();
        using var consumer = Consumer(Fresh("group"));
        consumer.Subscribe(topic);
        Assert.That(consumer.Consume(TimeSpan.FromMilliseconds(10)), Is.Null);
        Assert.That(consumer.Consume(0), Is.Null);
        using var cancel = new CancellationTokenSource(50);
        Assert.Throws<OperationCanceledException>(() => consumer.Consume(cancel.Token));
        Fill(topic, "after");
        Assert.That(consumer.Consume().Message.Value, Is.EqualTo("after"));
        var waiting = Task.Run(() => consumer.Consume());
        await Task.Delay(50);
        consumer.Close();
        Assert.ThrowsAsync<ObjectDisposedException>(() => waiting);
        Assert.Throws<ObjectDisposedException>(() => consumer.Consume());
        Assert.Throws<ObjectDisposedException>(() => consumer.Subscribe("t"));
        Assert.Throws<ObjectDisposedException>(() => consumer.Commit());
        consumer.Close();
    }

    [Test]
    public void Close_commits_what_was_given_and_dispose_leaves_the_last_one()
    {
        string topic = Fresh(), group = Fresh("group");
        Fill(topic, Numbers(10));
        using (var consumer = Consumer(group))
        {
            consumer.Subscribe(topic);
            Assert.That(Values(consumer, 4), Is.EqualTo(new[] { "0", "1", "2", "3" }));
            consumer.Close();
        }
        using (var consumer = Consumer(group))
        {
            consumer.Subscribe(topic);
            Assert.That(Values(consumer, 2), Is.EqualTo(new[] { "4", "5" })); // and no Close
        }
        using var last = Consumer(group);
        last.Subscribe(topic);
        Assert.That(Values(last, 1), Is.EqualTo(new[] { "5" }));
    }

    [Test]
    public void Commits_say_where_the_group_goes_on()
    {
        string topic = Fresh();
        Fill(topic, Numbers(10));
        using var consumer = Consumer(Fresh("group"), config => config.EnableAutoCommit = false);
        consumer.Assign(new TopicPartitionOffset(First(topic), Offset.Beginning));
        Values(consumer, 3);
        Assert.That(consumer.Commit(), Is.EqualTo(new[] { new TopicPartitionOffset(topic, 0, 3) }));
        consumer.Commit(consumer.Consume());
        Assert.That(consumer.Committed(Long).Single().Offset.Value, Is.EqualTo(4));
        consumer.Commit(new[] { new TopicPartitionOffset(First(topic), 7, metadata: "mine") });
        var committed = consumer.Committed(new[] { First(topic), new TopicPartition(topic, 1) }, Long);
        Assert.That(committed.Select(place => (place.Offset.Value, place.Metadata)), Is.EqualTo(new[] { (7L, "mine"), (Offset.Unset.Value, null) }));
    }

    [Test]
    public async Task Stored_offsets_are_what_is_committed()
    {
        string topic = Fresh();
        Fill(topic, Numbers(10));
        using var consumer = Consumer(Fresh("group"), config => (config.EnableAutoCommit, config.EnableAutoOffsetStore) = (false, false));
        consumer.Assign(new TopicPartitionOffset(First(topic), Offset.Beginning));
        var read = Enumerable.Range(0, 10).Select(_ => consumer.Consume()).ToList();
        await consumer.CommitAsync();
        Assert.That(consumer.Committed(Long).Single().Offset.Value, Is.Zero); // where it began
        consumer.StoreOffset(read[4]);
        await consumer.CommitAsync();
        Assert.That(consumer.Committed(Long).Single().Offset.Value, Is.EqualTo(5));
        consumer.StoreOffset(new TopicPartitionOffset(First(topic), 9));
        consumer.StoreOffset(read[1]); // goes back nowhere
        await consumer.CommitAsync();
        Assert.That(consumer.Committed(Long).Single().Offset.Value, Is.EqualTo(9));
    }

    [Test]
    public void The_record_in_hand_is_committed_by_itself_when_it_is_said_to_be_done()
    {
        string topic = Fresh();
        Fill(topic, Numbers(10));
        using var consumer = Consumer(Fresh("group"), config => config.AutoCommitIntervalMs = 10);
        consumer.Assign(new TopicPartitionOffset(First(topic), Offset.Beginning));
        var read = Enumerable.Range(0, 3).Select(_ => consumer.Consume()).ToList().Last();
        consumer.StoreOffset(read);
        while (consumer.Committed(Long).Single().Offset != 3) Thread.Sleep(10);
    }

    [Test]
    public void Seek_pause_and_position()
    {
        string topic = Fresh();
        Fill(topic, Numbers(10));
        using var consumer = Consumer(Fresh("group"));
        consumer.Assign(First(topic));
        Values(consumer, 2);
        Assert.That(consumer.Position(First(topic)).Value, Is.EqualTo(2));
        consumer.Seek(new TopicPartitionOffset(topic, 0, 8));
        Assert.That(Values(consumer, 1), Is.EqualTo(new[] { "8" }));
        consumer.Pause(new[] { First(topic) });
        Assert.That(consumer.Consume(100), Is.Null);
        consumer.Resume(new[] { First(topic) });
        Assert.That(Values(consumer, 1), Is.EqualTo(new[] { "9" }));
        consumer.Seek(new TopicPartitionOffset(First(topic), Offset.Beginning));
        Assert.That(Values(consumer, 1), Is.EqualTo(new[] { "0" }));
        Assert.That(consumer.Assignment, Is.EqualTo(new[] { First(topic) }));
        consumer.Unassign();
        Assert.That(consumer.Assignment, Is.Empty);
    }

    [Test]
    public void Ends_and_times_are_looked_up()
    {
        string topic = Fresh();
        using (var producer = Producer())
        {
            for (int i = 0; i < 5; i++) producer.Produce(First(topic), new Message<string, string> { Value = "x", Timestamp = new Timestamp(1000 + i * 10) });
            producer.Flush();
        }
        using var consumer = Consumer(Fresh("group"));
        var ends = consumer.QueryWatermarkOffsets(First(topic), Long);
        Assert.That((ends.Low.Value, ends.High.Value), Is.EqualTo((0L, 5L)));
        var found = consumer.OffsetsForTimes(new[] { 1000L, 1015, 9999 }.Select(time => new TopicPartitionTimestamp(First(topic), new Timestamp(time))), Long);
        Assert.That(found.Select(place => place.Offset), Is.EqualTo(new Offset[] { 0, 2, Offset.End }));
        consumer.Assign(new TopicPartitionOffset(First(topic), Offset.Beginning));
        consumer.Consume();
        Assert.That(consumer.GetWatermarkOffsets(First(topic)).High.Value, Is.EqualTo(5));
    }

    [Test]
    public void A_pattern_finds_topics()
    {
        string prefix = Fresh("pattern");
        Fill(prefix + "-a", "a");
        Fill(prefix + "-b", "b");
        using var consumer = Consumer(Fresh("group"));
        consumer.Subscribe("^" + prefix + "-.*");
        Assert.That(Values(consumer, 2), Is.EquivalentTo(new[] { "a", "b" }));
        Assert.That(consumer.Subscription, Is.EquivalentTo(new[] { prefix + "-a", prefix + "-b" }));
    }

    [Test]
    public void No_offset_to_begin_at_is_an_error_when_that_is_asked_for()
    {
        string topic = Fresh();
        Fill(topic, "x");
        using var consumer = Consumer(Fresh("group"), config => config.AutoOffsetReset = AutoOffsetReset.None);
        consumer.Subscribe(topic);
        var thrown = Assert.Throws<ApplicationRecoverableException>(() => consumer.Consume());
        Assert.That(thrown!.Code, Is.EqualTo(ErrorCode.NoOffset));
    }

    [Test]
    public void A_consumer_that_is_forgotten_is_closed_by_the_collector()
    {
        static WeakReference Forgotten()
        {
            var consumer = Consumer(Fresh("group"));
            consumer.Subscribe("forgotten");
            consumer.Consume(10);
            return new WeakReference(consumer);
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

    [Test]
    public void Of_two_threads_that_consume_one_is_refused()
    {
        using var consumer = Consumer(Fresh("group"));
        consumer.Subscribe(Fresh());
        using var cancel = new CancellationTokenSource();
        var first = Task.Run(() => consumer.Consume(cancel.Token));
        Assert.That(() =>
        {
            try
            {
                consumer.Consume(0);
                return false;
            }
            catch (InvalidOperationException)
            {
                return true;
            }
        }, Is.True.After(60_000, 10));
        cancel.Cancel();
        Assert.CatchAsync<OperationCanceledException>(() => first);
        Assert.That(consumer.Consume(0), Is.Null);
    }

    [Test]
    public async Task Dispose_throws_nothing_when_the_brokers_are_gone_and_tells_the_handler_of_errors()
    {
        var broker = await EmbeddedBroker.StartAsync();
        var config = new ConsumerConfig { BootstrapServers = broker.BootstrapServers, GroupId = Fresh("group"), AutoOffsetReset = AutoOffsetReset.Earliest, LogLevel = LogLevel.Off };
        await using (var producer = new ProducerBuilder<string, string>(new ProducerConfig { BootstrapServers = broker.BootstrapServers }).Build())
            await producer.ProduceAsync("t", Record("x"));
        Error? last = null;
        var consumer = new ConsumerBuilder<string, string>(config).SetErrorHandler((_, error) => last = error).Build();
        consumer.Subscribe("t");
        Values(consumer, 1);
        Assert.That(consumer.Consume(0), Is.Null);
        await broker.DisposeAsync();
        consumer.Dispose();
        Assert.That(() => last?.Code, Is.EqualTo(ErrorCode.RequestTimedOut).After(60_000, 10));
    }
}
