// The driver of the conformance table for C#: does one step at a time, and tells what it saw. See ../README.md.
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Diagnostics;
using System.IO;
using System.Linq;
using System.Reflection;
using System.Security.Cryptography;
using System.Text;
using System.Text.Json;
using System.Threading;
using System.Threading.Tasks;
using Dohle;
using Dohle.Admin;

using Map = System.Collections.Generic.Dictionary<string, object?>;

var driver = new Driver();
for (string? line; (line = Console.ReadLine()) != null;)
{
    var request = new Request(JsonDocument.Parse(line).RootElement);
    // A thread of its own: what waits must hold up nobody.
    new Thread(() => driver.Answer(request), 512 * 1024) { IsBackground = true }.Start();
}
driver.Reset();

/// <summary>A request, or a part of one.</summary>
readonly struct Request
{
    private readonly JsonElement json;

    public Request(JsonElement json) => this.json = json;

    public JsonElement? Member(string name) => json.TryGetProperty(name, out JsonElement value) && value.ValueKind != JsonValueKind.Null ? value : (JsonElement?)null;
    public string? Text(string name) => Member(name)?.ToString();
    public int Int(string name) => json.GetProperty(name).GetInt32();
    public int? IntOrNull(string name) => Member(name)?.GetInt32();
    public long Long(string name) => long.Parse(Text(name)!);
    public bool Yes(string name) => Member(name)?.GetBoolean() == true;
    public List<Request> List(string name) => Member(name)?.EnumerateArray().Select(one => new Request(one)).ToList() ?? new List<Request>();
    public List<string> Texts(string name) => Member(name)?.EnumerateArray().Select(one => one.ToString()).ToList() ?? new List<string>();
    public TopicPartition Partition => new TopicPartition(Text("topic")!, Int("partition"));

    /// <summary>A partition and a place in it, which may have a name.</summary>
    public TopicPartitionOffset Place => new TopicPartitionOffset(Partition,
        Text("offset") switch { "earliest" => Offset.Beginning, "latest" => Offset.End, var number => long.Parse(number!) }, null, Text("metadata"));

    /// <summary>Options by Kafka's names, as text.</summary>
    public IEnumerable<KeyValuePair<string, string>> Options(string name) => Member(name) is JsonElement options
        ? options.EnumerateObject().Select(option => KeyValuePair.Create(option.Name, option.Value.ValueKind switch
        {
            JsonValueKind.Array => string.Join(",", option.Value.EnumerateArray()),
            JsonValueKind.True => "true",
            JsonValueKind.False => "false",
            _ => option.Value.ToString(),
        }))
        : Enumerable.Empty<KeyValuePair<string, string>>();

    public byte[]? Bytes(string name) => Member(name) is JsonElement value ? BytesOf(value) : null;

    public static byte[]? BytesOf(JsonElement value)
    {
        if (value.ValueKind == JsonValueKind.Null) return null;
        if (value.ValueKind == JsonValueKind.String) return Encoding.UTF8.GetBytes(value.GetString());
        var of = new Request(value);
        if (of.Text("base64") is string base64) return Convert.FromBase64String(base64);
        if (of.Text("repeat") is string part) return Encoding.UTF8.GetBytes(string.Concat(Enumerable.Repeat(part, of.Int("times"))));
        var noise = new byte[of.Int("bytes")];
        uint x = value.GetProperty("noise").GetUInt32();
        for (int i = 0; i < noise.Length; i++)
        {
            x ^= x << 13;
            x ^= x >> 17;
            x ^= x << 5;
            noise[i] = (byte)x;
        }
        return noise;
    }
}

/// <summary>What the usual API does not have.</summary>
sealed class NotOffered : Exception { }

/// <summary>A consumer, and what its handlers were told.</summary>
sealed class Reading : IDisposable
{
    public IConsumer<byte[]?, byte[]?> Consumer = null!;
    public readonly ConcurrentQueue<Map> Events = new ConcurrentQueue<Map>();
    /// <summary>What is committed when partitions are revoked.</summary>
    public List<TopicPartitionOffset> Last = new List<TopicPartitionOffset>();
    public void Dispose() => Consumer.Dispose();
    public void Told(string what, IEnumerable<TopicPartition> partitions) => Events.Enqueue(new Map { ["event"] = what, ["partitions"] = Driver.Named(partitions) });
}

sealed class Driver
{
    private readonly ConcurrentDictionary<string, IDisposable> objects = new ConcurrentDictionary<string, IDisposable>();
    private readonly ConcurrentDictionary<string, bool> closed = new ConcurrentDictionary<string, bool>();
    private readonly ConcurrentDictionary<long, CancellationTokenSource> waiting = new ConcurrentDictionary<long, CancellationTokenSource>();

    public void Answer(Request request)
    {
        var answer = new Map { ["id"] = request.Long("id") };
        try
        {
            answer["result"] = Do(request, request.Text("do")!);
        }
        catch (Exception exception)
        {
            answer["error"] = Told(exception);
        }
        string line = JsonSerializer.Serialize(answer);
        lock (objects)
        {
            Console.Out.WriteLine(line);
            Console.Out.Flush();
        }
    }

    private static Map Told(Exception exception) => exception switch
    {
        NotOffered _ => new Map { ["code"] = "NOT_OFFERED" },
        OperationCanceledException _ => new Map { ["code"] = "ABORTED" },
        ObjectDisposedException _ => new Map { ["code"] = "CLOSED" },
        // The class of the group is that of the cause: a record's failure is a ProduceException, which says more than the group.
        KafkaException failed => Told(failed.Error, (failed is ProduceException<byte[]?, byte[]?> ? failed.InnerException! : failed).GetType().Name),
        _ => new Map { ["code"] = "DRIVER", ["message"] = exception.ToString() },
    };

    private static Map Told(Error error, string group)
    {
        var told = new Map
        {
            ["code"] = error.Code, ["class"] = group, ["retriable"] = error.IsRetriable, ["fatal"] = error.IsFatal, ["abortable"] = error.IsAbortable, ["message"] = error.Reason,
        };
        if (error.Persistence is PersistenceStatus status) told["persistence"] = status switch { PersistenceStatus.NotPersisted => "not-persisted", PersistenceStatus.Persisted => "persisted", _ => "possibly-persisted" };
        if (error.Items.Count > 0) told["items"] = error.Items.Select(item => new Map { ["name"] = item.Name, ["error"] = Told(item.Error, item.Error.Class == ErrorClass.Other ? nameof(KafkaException) : item.Error.Class + "Exception") }).ToList();
        return told;
    }

    /// <summary>Consumers before producers before brokers; what was closed is forgotten only.</summary>
    public int Reset()
    {
        int open = objects.Keys.Count(name => !closed.ContainsKey(name));
        foreach (var one in objects.ToArray().OrderBy(one => one.Value is Reading ? 0 : one.Value is EmbeddedBroker ? 2 : 1))
            if (objects.TryRemove(one.Key, out _)) one.Value.Dispose();
        return open;
    }

    private T Of<T>(Request request, string name = "of") where T : class => (T)objects[request.Text(name)!];
    private IConsumer<byte[]?, byte[]?> Consumer(Request request) => Of<Reading>(request).Consumer;

    private static readonly Map Nothing = new Map();
    private static readonly TimeSpan Long = TimeSpan.FromSeconds(60);

    private object Do(Request request, string what)
    {
        switch (what)
        {
            case "broker":
                var broker = EmbeddedBroker.StartAsync(request.IntOrNull("partitions") ?? 1).GetAwaiter().GetResult();
                objects[request.Text("name")!] = broker;
                return new Map { ["address"] = broker.Address };
            case "producer": return Made(request, Producer(request));
            case "consumer": return Made(request, NewConsumer(request));
            case "admin": return Made(request, Admin(request));
            case "close":
                Close(request);
                return Nothing;
            case "cancel":
                if (waiting.TryGetValue(request.Long("request"), out CancellationTokenSource? cancel)) cancel.Cancel();
                return Nothing;
            case "churn":
                for (int i = 0; i < request.Int("count"); i++)
                    using (i % 3 == 0 ? Producer(request) : i % 3 == 1 ? NewConsumer(request) : (IDisposable)Admin(request)) { }
                return Nothing;
            case "reset": return new Map { ["open"] = Reset() };
            case "usage":
                for (int i = 0; i < 2; i++)
                {
                    GC.Collect();
                    GC.WaitForPendingFinalizers();
                }
                return new Map
                {
                    ["rss"] = long.Parse(File.ReadAllText("/proc/self/statm").Split(' ')[1]) * Environment.SystemPageSize,
                    ["threads"] = Directory.GetDirectories("/proc/self/task").Length,
                    ["files"] = Directory.GetFileSystemEntries("/proc/self/fd").Length,
                };
            default: return DoWithProducer(request, what) ?? DoWithConsumer(request, what) ?? DoWithAdmin(request, what) ?? throw new NotOffered();
        }
    }

    private Map Made(Request request, IDisposable one)
    {
        objects[request.Text("name")!] = one;
        return Nothing;
    }

    private static IProducer<byte[]?, byte[]?> Producer(Request request) => new ProducerBuilder<byte[]?, byte[]?>(Both(request)).Build();
    private static IAdminClient Admin(Request request) => new AdminClientBuilder(request.Options("client")).Build();

    private static Reading NewConsumer(Request request)
    {
        var reading = new Reading();
        reading.Consumer = new ConsumerBuilder<byte[]?, byte[]?>(Both(request))
            .SetPartitionsAssignedHandler((_, partitions) => reading.Told("assigned", partitions))
            .SetPartitionsRevokedHandler((consumer, places) =>
            {
                reading.Told("revoked", places.Select(place => place.TopicPartition));
                if (reading.Last.Count > 0) consumer.Commit(reading.Last);
            })
            .SetPartitionsLostHandler((_, places) => reading.Told("lost", places.Select(place => place.TopicPartition)))
            .Build();
        return reading;
    }

    private static IEnumerable<KeyValuePair<string, string>> Both(Request request) => request.Options("client").Concat(request.Options("options"));

    /// <summary>A producer sends what it has in the time given; the usual ways to close have no other limit.</summary>
    private void Close(Request request)
    {
        // Closed for a second time it is asked all the same: that must do nothing.
        IDisposable of = objects[request.Text("of")!];
        closed[request.Text("of")!] = true;
        int? ms = request.IntOrNull("ms");
        switch (of)
        {
            case Reading reading when ms == null: reading.Consumer.Close(); break;
            case IAsyncDisposable one when ms == null: one.DisposeAsync().AsTask().GetAwaiter().GetResult(); break;
            default: of.Dispose(); break;
        }
    }

    public static List<Map> Named(IEnumerable<TopicPartition> partitions) => partitions.Select(one => new Map { ["topic"] = one.Topic, ["partition"] = one.Partition.Value }).ToList();

    private static object? BytesTold(byte[]? bytes)
    {
        if (bytes == null) return null;
        if (bytes.Length <= 4096) return new Map { ["base64"] = Convert.ToBase64String(bytes) };
        using var sha = SHA256.Create();
        return new Map { ["sha256"] = BitConverter.ToString(sha.ComputeHash(bytes)).Replace("-", "").ToLowerInvariant(), ["length"] = bytes.Length };
    }

    private static object? Known(Offset offset) => offset == Offset.Unset || offset == Offset.End ? (object?)null : offset.Value;

    private object? DoWithProducer(Request request, string what)
    {
        switch (what)
        {
            case "produce": return Produce(request);
            case "flush": Of<IProducer<byte[]?, byte[]?>>(request).Flush(); return Nothing;
            case "begin":
                var producer = Of<IProducer<byte[]?, byte[]?>>(request);
                if (initialized.TryAdd(producer, true)) producer.InitTransactions(Long);
                producer.BeginTransaction();
                return Nothing;
            case "sendOffsets":
                var consumer = Of<Reading>(request, "consumer").Consumer;
                Of<IProducer<byte[]?, byte[]?>>(request).SendOffsetsToTransaction(request.List("offsets").Select(one => one.Place), consumer.ConsumerGroupMetadata, Long);
                return Nothing;
            case "commitTransaction": Of<IProducer<byte[]?, byte[]?>>(request).CommitTransaction(); return Nothing;
            case "abortTransaction": Of<IProducer<byte[]?, byte[]?>>(request).AbortTransaction(); return Nothing;
            default: return null;
        }
    }

    private readonly ConcurrentDictionary<object, bool> initialized = new ConcurrentDictionary<object, bool>();

    private object Produce(Request request)
    {
        var producer = Of<IProducer<byte[]?, byte[]?>>(request);
        int? times = request.IntOrNull("times");
        var records = request.List("records").Select(record => (
            new TopicPartition(record.Text("topic")!, record.IntOrNull("partition") ?? Partition.Any),
            new Message<byte[]?, byte[]?>
            {
                Key = record.Bytes("key"), Value = record.Bytes("value"), Headers = HeadersOf(record), Timestamp = new Timestamp(record.Member("timestamp") is JsonElement time ? time.GetInt64() : -1),
            })).ToList();
        var sent = Enumerable.Range(0, times ?? 1).SelectMany(_ => records).Select(record => producer.ProduceAsync(record.Item1, record.Item2)).ToList();
        var results = sent.Select(Settled).ToList();
        if (times == null) return new Map { ["results"] = results };
        return new Map { ["count"] = results.Count(one => !one.ContainsKey("error")), ["errors"] = results.Where(one => one.ContainsKey("error")).Take(3).Select(one => one["error"]).ToList() };
    }

    private static Map Settled(Task<DeliveryResult<byte[]?, byte[]?>> sent)
    {
        try
        {
            var result = sent.GetAwaiter().GetResult();
            return new Map { ["partition"] = result.Partition.Value, ["offset"] = result.Offset == Offset.Unset ? -1 : result.Offset.Value };
        }
        catch (Exception exception)
        {
            return new Map { ["error"] = Told(exception) };
        }
    }

    private static Headers? HeadersOf(Request record)
    {
        if (!(record.Member("headers") is JsonElement list)) return null;
        var headers = new Headers();
        foreach (var header in list.EnumerateArray()) headers.Add(header[0].GetString(), Request.BytesOf(header[1]));
        return headers;
    }

    private object? DoWithConsumer(Request request, string what)
    {
        switch (what)
        {
            case "subscribe":
                if (request.Member("offsets") != null) ((Reading)objects[request.Text("of")!]).Last = request.List("offsets").Select(one => one.Place).ToList();
                if (request.Text("pattern") is string pattern) Consumer(request).Subscribe(pattern);
                else Consumer(request).Subscribe(request.Texts("topics"));
                return Nothing;
            case "assign": Consumer(request).Assign(request.List("partitions").Select(one => one.Place)); return Nothing;
            case "unsubscribe": Consumer(request).Unsubscribe(); return Nothing;
            case "consume": return Consume(request);
            case "seek": Consumer(request).Seek(request.Place); return Nothing;
            case "pause": Consumer(request).Pause(request.List("partitions").Select(one => one.Partition)); return Nothing;
            case "resume": Consumer(request).Resume(request.List("partitions").Select(one => one.Partition)); return Nothing;
            case "assignment": return new Map { ["partitions"] = Named(Consumer(request).Assignment) };
            case "position": return new Map { ["offset"] = Known(Consumer(request).Position(request.Partition)) };
            case "commit":
                if (request.Member("offsets") == null) Consumer(request).Commit();
                else Consumer(request).Commit(request.List("offsets").Select(one => one.Place));
                return Nothing;
            case "committed":
                var committed = Consumer(request).Committed(request.List("partitions").Select(one => one.Partition), Long);
                return new Map { ["offsets"] = committed.Select(one => new Map { ["topic"] = one.Topic, ["partition"] = one.Partition.Value, ["offset"] = Known(one.Offset), ["metadata"] = one.Metadata }).ToList() };
            case "offsetAt":
                var time = new TopicPartitionTimestamp(request.Partition, new Timestamp(request.Long("timestamp")));
                return new Map { ["offset"] = Known(Consumer(request).OffsetsForTimes(new[] { time }, Long)[0].Offset) };
            case "ends":
                var ends = Consumer(request).QueryWatermarkOffsets(request.Partition, Long);
                return new Map { ["low"] = ends.Low.Value, ["high"] = ends.High.Value };
            case "events":
                var events = new List<Map>();
                while (Of<Reading>(request).Events.TryDequeue(out Map? one)) events.Add(one);
                return new Map { ["events"] = events };
            default: return null;
        }
    }

    private object Consume(Request request)
    {
        using var cancel = new CancellationTokenSource();
        using var over = new CancellationTokenSource(request.Int("ms"));
        using var either = CancellationTokenSource.CreateLinkedTokenSource(cancel.Token, over.Token);
        waiting[request.Long("id")] = cancel;
        bool wasClosed = closed.ContainsKey(request.Text("of")!);
        var (records, count, quiet) = (new List<Map>(), 0, request.Yes("quiet"));
        ConsumeResult<byte[]?, byte[]?>? read = null;
        try
        {
            for (; count < request.Int("count"); count++)
            {
                read = Consumer(request).Consume(either.Token);
                if (quiet) continue;
                records.Add(new Map
                {
                    ["topic"] = read.Topic, ["partition"] = read.Partition.Value, ["offset"] = read.Offset.Value, ["timestamp"] = read.Message.Timestamp.UnixTimestampMs,
                    ["key"] = BytesTold(read.Message.Key), ["value"] = BytesTold(read.Message.Value),
                    ["headers"] = read.Message.Headers!.Select(header => new[] { header.Key, BytesTold(header.GetValueBytes()) }).ToList(),
                });
            }
        }
        catch (OperationCanceledException) when (!cancel.IsCancellationRequested) { }
        catch (ObjectDisposedException) when (!wasClosed) { }
        finally
        {
            waiting.TryRemove(request.Long("id"), out _);
        }
        // The next call would say the same of the last record, but the table has none.
        if (read != null && !closed.ContainsKey(request.Text("of")!)) Consumer(request).StoreOffset(read);
        return quiet ? new Map { ["count"] = count } : new Map { ["records"] = records };
    }

    private object? DoWithAdmin(Request request, string what)
    {
        if (!objects.TryGetValue(request.Text("of") ?? "", out IDisposable? of) || !(of is IAdminClient admin)) return null;
        return DoWithAdmin(admin, request, what).GetAwaiter().GetResult();
    }

    private static async Task<object?> DoWithAdmin(IAdminClient admin, Request request, string what)
    {
        switch (what)
        {
            case "createTopics":
                var topics = request.List("topics").Select(one => new NewTopic(one.Text("topic")!)
                {
                    Partitions = one.IntOrNull("partitions"), ReplicationFactor = one.IntOrNull("replicationFactor"), Configs = one.Options("configs").ToDictionary(config => config.Key, config => config.Value),
                });
                await admin.CreateTopicsAsync(topics.ToList(), new CreateTopicsOptions { ValidateOnly = request.Yes("validateOnly") });
                return Nothing;
            case "deleteTopics": await admin.DeleteTopicsAsync(request.Texts("topics")); return Nothing;
            case "createPartitions": await admin.CreatePartitionsAsync(new[] { new NewPartitions(request.Text("topic")!, request.Int("count")) }); return Nothing;
            case "listTopics": return new Map { ["topics"] = (await admin.ListTopicsAsync()).Select(one => one.Topic).ToList() };
            case "describeTopics":
                var described = await admin.DescribeTopicsAsync(request.Texts("topics"));
                return new Map { ["topics"] = described.Select(one => new Map { ["topic"] = one.Topic, ["partitions"] = one.Partitions.Count }).ToList() };
            case "describeConfigs":
                var resource = (await admin.DescribeConfigsAsync(new[] { new ConfigsOf(new ConfigKind(request.Text("type")!), request.Text("name")!) })).Single();
                return new Map { ["configs"] = resource.Configs.ToDictionary(one => one.Name, one => new Map { ["value"] = one.Value, ["source"] = one.Source?.Name }) };
            case "alterConfigs":
                var changes = request.List("changes").Select(one => new ConfigChange(one.Text("name")!) { Operation = new AlterConfigOp(one.Text("operation")!), Value = one.Text("value") });
                await admin.IncrementalAlterConfigsAsync(new[] { new ConfigChanges(new ConfigKind(request.Text("type")!), request.Text("name")!, changes.ToList()) });
                return Nothing;
            case "describeCluster":
                var cluster = await admin.DescribeClusterAsync();
                return new Map { ["clusterId"] = cluster.ClusterId, ["controller"] = cluster.Controller, ["brokers"] = cluster.Brokers.Select(one => one.Id).ToList() };
            case "describeGroup":
                var group = (await admin.DescribeGroupsAsync(new[] { request.Text("group")! })).Single();
                if (group.Error != null) throw new KafkaException(group.Error);
                return new Map { ["state"] = group.State, ["members"] = group.Members.Count };
            case "listGroups": return new Map { ["groups"] = (await admin.ListGroupsAsync()).Select(one => one.GroupId).ToList() };
            case "deleteGroups": await admin.DeleteGroupsAsync(request.Texts("groups")); return Nothing;
            case "groupOffsets":
                var found = (await admin.ListConsumerGroupOffsetsAsync(new[] { new OffsetsOf(request.Text("group")!) })).Single();
                if (found.Error != null) throw new KafkaException(found.Error);
                return new Map { ["offsets"] = found.Offsets.Select(one => new Map { ["topic"] = one.Topic, ["partition"] = one.Partition, ["offset"] = one.Offset?.ToString(), ["metadata"] = one.Metadata }).ToList() };
            case "alterGroupOffsets":
                await admin.AlterConsumerGroupOffsetsAsync(request.Text("group")!, request.List("offsets").Select(one =>
                    new PartitionOffset(one.Text("topic")!, one.Int("partition"), one.Long("offset")) { Metadata = one.Text("metadata") }).ToList());
                return Nothing;
            case "deleteRecords":
                var deleted = await admin.DeleteRecordsAsync(new[] { new RecordsBefore(request.Text("topic")!, request.Int("partition")) { BeforeOffset = request.Long("offset") } });
                return new Map { ["low"] = deleted.Single().LowWatermark };
            case "createAcls": await admin.CreateAclsAsync(request.List("acls").Select(AclOf).ToList()); return Nothing;
            case "describeAcls": return new Map { ["acls"] = (await admin.DescribeAclsAsync(FilterOf(request))).Select(AclTold).ToList() };
            case "deleteAcls": return new Map { ["acls"] = (await admin.DeleteAclsAsync(new[] { FilterOf(request) })).Select(AclTold).ToList() };
            case "alterQuota":
                var change = new QuotaChanges(Entity(request).Select(one => new QuotaEntity(one.Key) { Name = one.Value }).ToList());
                if (request.Text("value") is string value) change.Set = new Dictionary<string, double> { [request.Text("name")!] = double.Parse(value, System.Globalization.CultureInfo.InvariantCulture) };
                else change.Remove = new[] { request.Text("name")! };
                await admin.AlterClientQuotasAsync(new[] { change });
                return Nothing;
            case "describeQuota":
                var quotas = await admin.DescribeClientQuotasAsync(Entity(request).Select(one => new QuotaFilter(one.Key) { Name = one.Value }).ToList(), new DescribeClientQuotasOptions { Strict = true });
                return new Map { ["values"] = quotas.SelectMany(one => one.Values).ToDictionary(one => one.Name, one => DoubleTold(one.Value)) };
            case "alterScram":
                await admin.AlterUserScramCredentialsAsync(new[] { new ScramChange(request.Text("user")!, new ScramMechanism(request.Text("mechanism")!))
                {
                    Iterations = request.IntOrNull("iterations"), Password = request.Text("password"), Salt = request.Text("salt") is string salt ? Convert.FromBase64String(salt) : null,
                } });
                return Nothing;
            case "describeScram":
                var user = (await admin.DescribeUserScramCredentialsAsync(new DescribeUserScramCredentialsOptions { Users = new[] { request.Text("user")! } })).Single();
                if (user.Error != null) throw new KafkaException(user.Error);
                return new Map { ["credentials"] = user.Credentials.Select(one => new Map { ["mechanism"] = one.Mechanism.Name, ["iterations"] = one.Iterations }).ToList() };
            default: return null;
        }
    }

    private static Dictionary<string, string> Entity(Request request) => request.Options("entity").ToDictionary(one => one.Key, one => one.Value);

    private static object DoubleTold(double value) => double.IsNaN(value) ? "NaN" : double.IsPositiveInfinity(value) ? "Infinity" : double.IsNegativeInfinity(value) ? "-Infinity" : (object)value;

    private static Acl AclOf(Request from) => new Acl(new AclResourceType(from.Text("resourceType")!), from.Text("resourceName")!, new AclPatternType(from.Text("patternType")!),
        from.Text("principal")!, from.Text("host")!, new AclOperation(from.Text("operation")!), new AclPermission(from.Text("permission")!));

    private static AclFilter FilterOf(Request request)
    {
        var from = request.Member("filter") is JsonElement filter ? new Request(filter) : request;
        return new AclFilter
        {
            ResourceType = from.Text("resourceType") is string type ? new AclResourceType(type) : (AclResourceType?)null,
            ResourceName = from.Text("resourceName"),
            PatternType = from.Text("patternType") is string pattern ? new AclPatternType(pattern) : (AclPatternType?)null,
            Principal = from.Text("principal"),
            Host = from.Text("host"),
            Operation = from.Text("operation") is string operation ? new AclOperation(operation) : (AclOperation?)null,
            Permission = from.Text("permission") is string permission ? new AclPermission(permission) : (AclPermission?)null,
        };
    }

    private static Map AclTold(Acl acl) => new Map
    {
        ["resourceType"] = acl.ResourceType.Name, ["resourceName"] = acl.ResourceName, ["patternType"] = acl.PatternType.Name, ["principal"] = acl.Principal, ["host"] = acl.Host,
        ["operation"] = acl.Operation.Name, ["permission"] = acl.Permission.Name,
    };
}
