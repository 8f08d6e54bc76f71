using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading;
using System.Threading.Tasks;
using Dohle.Admin;
using NUnit.Framework;
using static Dohle.Tests.Setup;

namespace Dohle.Tests;

public class AdminTests
{
    private IAdminClient admin = null!;

    [SetUp]
    public void Open() => admin = new AdminClientBuilder(new AdminClientConfig { BootstrapServers = Broker.BootstrapServers }).Build();

    [TearDown]
    public void Close() => admin.Dispose();

    [Test]
    public async Task Topics_are_made_described_and_deleted()
    {
        string topic = Fresh();
        var configs = new Dictionary<string, string> { ["cleanup.policy"] = "compact" };
        var created = await admin.CreateTopicsAsync(new[] { new NewTopic(topic) { Partitions = 4, Configs = configs } });
        Assert.That(created.Single().Topic, Is.EqualTo(topic));
        var described = (await admin.DescribeTopicsAsync(new[] { topic })).Single();
        Assert.That(described.Partitions.Select(partition => partition.Partition), Is.EqualTo(new[] { 0, 1, 2, 3 }));
        var resource = (await admin.DescribeConfigsAsync(new[] { new ConfigsOf(ConfigKind.Topic, topic) })).Single();
        Assert.That(resource.Configs.Single(config => config.Name == "cleanup.policy").Value, Is.EqualTo("compact"));
        Assert.That((await admin.ListTopicsAsync()).Select(listed => listed.Topic), Does.Contain(topic));
        await admin.DeleteTopicsAsync(new[] { topic });
        Assert.That((await admin.ListTopicsAsync()).Select(listed => listed.Topic), Does.Not.Contain(topic));
    }

    [Test]
    public async Task Of_several_things_those_that_failed_are_named()
    {
        string there = Fresh(), fresh = Fresh();
        await admin.CreateTopicsAsync(new[] { new NewTopic(there) });
        var thrown = Assert.CatchAsync<KafkaException>(() => admin.CreateTopicsAsync(new[] { new NewTopic(there), new NewTopic(fresh) }));
        var item = thrown!.Items.Single();
        Assert.That((item.Name, item.Error.Code), Is.EqualTo((there, ErrorCode.TopicAlreadyExists)));
        Assert.That((await admin.ListTopicsAsync()).Select(listed => listed.Topic), Does.Contain(fresh));
    }

    [Test]
    public async Task Offsets_are_64_bits_wide()
    {
        string topic = Fresh(), group = Fresh("group");
        await admin.CreateTopicsAsync(new[] { new NewTopic(topic) });
        const long far = 9_007_199_254_740_993;
        await admin.AlterConsumerGroupOffsetsAsync(group, new[] { new PartitionOffset(topic, 0, far) { Metadata = "mine" } });
        var offsets = await admin.ListConsumerGroupOffsetsAsync(new[] { new OffsetsOf(group) });
        var found = offsets.Single().Offsets.Single();
        Assert.That((found.Offset, found.Metadata), Is.EqualTo((far, "mine")));
    }

    [Test]
    public async Task A_token_ends_the_waiting()
    {
        long fault = Broker.AddFault(new Testing.FaultRule(new Testing.FaultAction.Delay(10_000, Testing.FaultWhen.Before)) { Api = Testing.FaultApi.DescribeCluster, Count = 1 });
        using var cancel = new CancellationTokenSource(50);
        Assert.CatchAsync<OperationCanceledException>(() => admin.DescribeClusterAsync(cancellationToken: cancel.Token));
        Broker.RemoveFault(fault);
        Assert.That((await admin.DescribeClusterAsync()).Brokers, Is.Not.Empty);
    }

    [Test]
    public void Options_of_others_are_refused()
    {
        var config = new AdminClientConfig { BootstrapServers = "a:1" };
        config.Set("linger.ms", "5");
        var thrown = Assert.Throws<InvalidConfigurationException>(() => new AdminClientBuilder(config).Build());
        Assert.That(thrown!.Message, Does.Contain("linger.ms"));
    }

    [Test]
    public void After_dispose_it_says_so()
    {
        admin.Dispose();
        Assert.ThrowsAsync<ObjectDisposedException>(() => admin.ListTopicsAsync());
    }
}
