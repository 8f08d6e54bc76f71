using System;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using NUnit.Framework;
using static Dohle.Tests.Setup;

namespace Dohle.Tests;

public class TransactionTests
{
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(60);

    private static IProducer<string, string> Transactional(string id)
    {
        var producer = Producer(config => config.TransactionalId = id);
        producer.InitTransactions(Long);
        return producer;
    }

    private static string[] Committed(string topic, int count)
    {
        using var consumer = Consumer(Fresh("group"), config => config.IsolationLevel = IsolationLevel.ReadCommitted);
        consumer.Assign(new TopicPartition(topic, 0));
        return Values(consumer, count).ToArray();
    }

    [Test]
    public void What_is_committed_is_seen_and_what_is_aborted_never()
    {
        string topic = Fresh();
        using var producer = Transactional(Fresh("id"));
        producer.BeginTransaction();
        producer.Produce(new TopicPartition(topic, 0), Record("one"));
        producer.CommitTransaction();
        producer.BeginTransaction();
        producer.Produce(new TopicPartition(topic, 0), Record("two"));
        producer.AbortTransaction(Long);
        producer.BeginTransaction();
        producer.Produce(new TopicPartition(topic, 0), Record("three"));
        producer.CommitTransaction(Long);
        Assert.That(Committed(topic, 2), Is.EqualTo(new[] { "one", "three" }));
    }

    [Test]
    public void Offsets_are_committed_with_the_records()
    {
        string from = Fresh(), to = Fresh(), group = Fresh("group");
        Fill(from, Numbers(5));
        using var consumer = Consumer(group, config => config.EnableAutoCommit = false);
        consumer.Subscribe(from);
        using var producer = Transactional(Fresh("id"));
        producer.BeginTransaction();
        foreach (string value in Values(consumer, 3)) producer.Produce(new TopicPartition(to, 0), Record(value + "!"));
        producer.SendOffsetsToTransaction(consumer.Assignment.Select(one => new TopicPartitionOffset(one, consumer.Position(one))), consumer.ConsumerGroupMetadata, Long);
        producer.CommitTransaction(Long);
        Assert.That(Committed(to, 3), Is.EqualTo(new[] { "0!", "1!", "2!" }));
        Assert.That(consumer.Committed(Long).Single(place => place.Partition == 0).Offset.Value, Is.EqualTo(3));
    }

    [Test]
    public void The_later_producer_of_an_id_fences_the_earlier_one()
    {
        string id = Fresh("id"), topic = Fresh();
        using var first = Transactional(id);
        first.BeginTransaction();
        first.Produce(new TopicPartition(topic, 0), Record("lost"));
        first.Flush();
        using var second = Transactional(id);
        var thrown = Assert.Catch<KafkaException>(() => first.CommitTransaction(Long));
        Assert.That(thrown!.IsFatal, thrown.ToString());
        second.BeginTransaction();
        second.Produce(new TopicPartition(topic, 0), Record("kept"));
        second.CommitTransaction(Long);
        Assert.That(Committed(topic, 1), Is.EqualTo(new[] { "kept" }));
    }

    [Test]
    public void A_record_that_was_refused_and_that_nobody_asks_for_fails_the_commit()
    {
        string topic = Fresh();
        using var producer = Producer(config => (config.TransactionalId, config.MaxRequestSize) = (Fresh("id"), 1000));
        producer.InitTransactions(Long);
        producer.BeginTransaction();
        producer.Produce(new TopicPartition(topic, 0), Record("small"));
        producer.Produce(new TopicPartition(topic, 0), Record(new string('x', 2000)));
        var thrown = Assert.Throws<AbortableException>(() => producer.CommitTransaction(Long));
        Assert.That(thrown!.Code, Is.EqualTo(ErrorCode.MessageTooLarge));
        producer.AbortTransaction(Long);
        producer.BeginTransaction();
        producer.Produce(new TopicPartition(topic, 0), Record("after"));
        producer.CommitTransaction(Long);
        Assert.That(Committed(topic, 1), Is.EqualTo(new[] { "after" }));
    }

    [Test]
    public void Without_a_transactional_id_there_are_no_transactions()
    {
        using var producer = Producer();
        Assert.Catch<KafkaException>(() => producer.InitTransactions(Long));
    }

    [Test]
    public void Cancelling_while_a_transaction_is_aborted_holds_up_neither()
    {
        var config = new ProducerConfig { BootstrapServers = Broker.BootstrapServers, TransactionalId = Fresh("id"), BufferMemory = 70_000, BatchSize = 16_000, MaxRequestSize = 30_000 };
        using var producer = new ProducerBuilder<string, byte[]>(config).Build();
        producer.InitTransactions(TimeSpan.FromSeconds(60));
        string topic = Fresh();
        for (int round = 0; round < 10; round++)
        {
            using var cancel = new CancellationTokenSource();
            producer.BeginTransaction();
            for (int i = 0; i < 1000; i++) _ = producer.ProduceAsync(topic, new Message<string, byte[]> { Value = new byte[1000] }, cancel.Token);
            var both = new[] { Task.Run(producer.AbortTransaction), Task.Run(cancel.Cancel) };
            Assert.That(Task.WaitAll(both, TimeSpan.FromMinutes(2)));
        }
    }
}
