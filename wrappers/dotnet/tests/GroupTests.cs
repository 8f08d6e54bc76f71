using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using static Dohle.Tests.Setup;

namespace Dohle.Tests;

public class GroupTests
{
    private static ConsumerBuilder<string, string> Listening(string group, List<string> events) => new ConsumerBuilder<string, string>(Reading(group))
        .SetPartitionsAssignedHandler((_, partitions) => events.Add("assigned " + partitions.Count))
        .SetPartitionsRevokedHandler((_, places) => events.Add("revoked " + places.Count));

    [Test]
    public void Handlers_run_within_consume_and_within_close()
    {
        string topic = Fresh();
        Fill(topic, "x");
        var events = new List<string>();
        var consumer = Listening(Fresh("group"), events).Build();
        consumer.Subscribe(topic);
        consumer.Consume();
        Assert.That(events, Is.EqualTo(new[] { "assigned 3" }));
        Assert.That(consumer.MemberId, Is.Not.Empty);
        consumer.Close();
        Assert.That(events, Is.EqualTo(new[] { "assigned 3", "revoked 3" }));
    }

    [Test]
    public void Partitions_go_to_a_second_member_and_come_back()
    {
        string topic = Fresh(), group = Fresh("group");
        using (var admin = new AdminClientBuilder(new AdminClientConfig { BootstrapServers = Broker.BootstrapServers }).Build())
            admin.CreateTopicsAsync(new[] { new Admin.NewTopic(topic) { Partitions = 3 } }).GetAwaiter().GetResult();
        List<string> firsts = new(), seconds = new();
        using var first = Listening(group, firsts).Build();
        first.Subscribe(topic);
        while (first.Assignment.Count < 3) first.Consume(10);
        var second = Listening(group, seconds).Build();
        second.Subscribe(topic);
        while (second.Assignment.Count == 0 || first.Assignment.Count + second.Assignment.Count != 3)
        {
            first.Consume(10);
            second.Consume(10);
        }
        Assert.That(firsts.Any(told => told.StartsWith("revoked", StringComparison.Ordinal)));
        Assert.That(first.Assignment.Concat(second.Assignment).Distinct().Count(), Is.EqualTo(3));
        second.Close();
        while (first.Assignment.Count < 3) first.Consume(10);
        Assert.That(seconds.Last(), Does.StartWith("revoked"));
    }

    [Test]
    public void The_handler_of_what_comes_says_where_to_begin()
    {
        string topic = Fresh();
        Fill(topic, Numbers(10));
        using var consumer = new ConsumerBuilder<string, string>(Reading(Fresh("group")))
            .SetPartitionsAssignedHandler((_, partitions) => partitions.Where(one => one.Partition == 0).Select(one => new TopicPartitionOffset(one, 7)))
            .Build();
        consumer.Subscribe(topic);
        Assert.That(Values(consumer, 3), Is.EqualTo(new[] { "7", "8", "9" }));
    }

    [Test]
    public void The_handler_of_what_goes_may_commit()
    {
        string topic = Fresh(), group = Fresh("group");
        Fill(topic, Numbers(10));
        var consumer = new ConsumerBuilder<string, string>(Reading(group, config => config.EnableAutoCommit = false))
            .SetPartitionsRevokedHandler((own, _) => own.Commit())
            .Build();
        consumer.Subscribe(topic);
        Values(consumer, 4);
        consumer.Close();
        using var next = Consumer(group);
        next.Subscribe(topic);
        Assert.That(Values(next, 1), Is.EqualTo(new[] { "4" }));
    }

    [Test]
    public void What_a_handler_throws_comes_out_of_consume_and_the_group_goes_on()
    {
        string topic = Fresh();
        Fill(topic, "x");
        bool thrown = false;
        using var consumer = new ConsumerBuilder<string, string>(Reading(Fresh("group")))
            .SetPartitionsAssignedHandler((_, _) =>
            {
                if (thrown) return;
                thrown = true;
                throw new InvalidOperationException("mine");
            })
            .Build();
        consumer.Subscribe(topic);
        Assert.Throws<InvalidOperationException>(() => consumer.Consume());
        Assert.That(consumer.Consume().Message.Value, Is.EqualTo("x"));
    }

    [Test]
    public void Unsubscribe_tells_the_handler_and_reads_no_more()
    {
        string topic = Fresh();
        Fill(topic, Numbers(3));
        var events = new List<string>();
        using var consumer = Listening(Fresh("group"), events).Build();
        consumer.Subscribe(topic);
        consumer.Consume();
        consumer.Unsubscribe();
        Assert.That(events, Is.EqualTo(new[] { "assigned 3", "revoked 3" }));
        Assert.That(consumer.Consume(50), Is.Null);
        Assert.That(consumer.MemberId, Is.Empty);
    }

    [Test]
    public async Task A_handler_may_leave_the_group()
    {
        foreach (var leave in new Action<IConsumer<string, string>>[] { own => own.Unsubscribe(), own => own.Close(), own => own.Dispose() })
        {
            string topic = Fresh(), group = Fresh("group");
            Fill(topic, Numbers(3));
            bool left = false;
            using var first = new ConsumerBuilder<string, string>(Reading(group))
                .SetPartitionsRevokedHandler((own, _) =>
                {
                    if (left) return;
                    left = true;
                    leave(own);
                })
                .Build();
            first.Subscribe(topic);
            Values(first, 3);
            using var second = Consumer(group);
            second.Subscribe(topic);
            var others = Task.Run(() =>
            {
                while (second.Assignment.Count < 3) second.Consume(50);
            });
            try
            {
                while (!others.IsCompleted) first.Consume(50);
            }
            catch (ObjectDisposedException)
            {
                // It was closed.
            }
            await others;
            Assert.That(left);
        }
    }

    [Test]
    public async Task Unsubscribe_waits_for_no_thread_that_consumes()
    {
        string topic = Fresh();
        Fill(topic, Numbers(3));
        var events = new List<string>();
        using var consumer = Listening(Fresh("group"), events).Build();
        consumer.Subscribe(topic);
        Values(consumer, 3);
        using var cancel = new CancellationTokenSource();
        var consuming = Task.Run(() => consumer.Consume(cancel.Token));
        Thread.Sleep(100);
        await Task.Run(consumer.Unsubscribe);
        Assert.That(consuming.IsCompleted, Is.False);
        Assert.That(events, Is.EqualTo(new[] { "assigned 3", "revoked 3" }));
        cancel.Cancel();
        Assert.CatchAsync<OperationCanceledException>(() => consuming);
    }
}
