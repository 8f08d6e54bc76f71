// Dohle for .NET: one process is one round; the flags are those that all clients take, the result is one line of JSON on stdout.
// Settings: those of dohle.mjs. `produce` and `enqueue` are Produce without a handler, `single` is ProduceAsync with a window of tasks under way,
// `consume` is Consume, record by record, with the value as bytes.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Globalization;
using System.IO;
using System.Linq;
using System.Text;
using System.Threading;
using System.Threading.Tasks;
using Dohle;

var flags = Enumerable.Range(0, args.Length / 2).ToDictionary(i => args[2 * i].Substring(2), i => args[2 * i + 1]);
await new Bench(flags).Run();

sealed class Bench
{
    private readonly Dictionary<string, string> flags;
    private readonly byte[][] values, keys;
    private readonly string topic;
    private readonly long records, warmup;

    public Bench(Dictionary<string, string> flags)
    {
        this.flags = flags;
        topic = flags["topic"];
        (records, warmup) = (Number("records", 0), Number("warmup", 0));
        int bytes = (int)Number("bytes", 100);
        byte[] data = File.ReadAllBytes(flags["data"]);
        values = Enumerable.Range(0, data.Length / bytes).Select(i => data.AsSpan(i * bytes, bytes).ToArray()).ToArray();
        keys = Enumerable.Range(0, flags.GetValueOrDefault("keyed") == "1" ? 10_000 : 0).Select(i => Encoding.ASCII.GetBytes((i * 7919 % 10_000 + 10_000_000).ToString())).ToArray();
    }

    private long Number(string name, long otherwise) => flags.TryGetValue(name, out string? value) ? long.Parse(value) : otherwise;

    private Message<byte[]?, byte[]> Record(long i) => new Message<byte[]?, byte[]> { Key = keys.Length == 0 ? null : keys[i % keys.Length], Value = values[i % values.Length] };

    public Task Run()
    {
        switch (flags["mode"])
        {
            case "produce":
            case "enqueue": return Produce();
            case "single": return Single();
            case "sequential": return Sequential();
            case "consume":
                if (warmup > 0) Consume(warmup, null);
                Consume(records, new Watch());
                return Task.CompletedTask;
            default: throw new ArgumentException("no mode " + flags["mode"]);
        }
    }

    private IProducer<byte[]?, byte[]> Producer(int lingerMs)
    {
        var config = new ProducerConfig { BootstrapServers = flags["brokers"], LingerMs = lingerMs };
        config.Set("acks", flags.GetValueOrDefault("acks") == "0" ? "0" : "all");
        if (flags.GetValueOrDefault("acks") == "0") config.EnableIdempotence = false;
        config.Set("compression.type", flags.GetValueOrDefault("codec", "none"));
        return new ProducerBuilder<byte[]?, byte[]>(config).Build();
    }

    private async Task Produce()
    {
        await using var producer = Producer(5);
        Watch? watch = null;
        for (long i = 0; i < warmup + records; i++)
        {
            if (i == warmup)
            {
                producer.Flush();
                watch = new Watch();
            }
            var record = Record(i);
            while (true)
            {
                try
                {
                    producer.Produce(topic, record);
                    break;
                }
                catch (ProduceException<byte[]?, byte[]> full) when (full.Code == ErrorCode.QueueFull)
                {
                    Thread.Sleep(1);
                }
            }
        }
        producer.Flush();
        watch!.End(records, warmup + records);
    }

    private async Task Single()
    {
        await using var producer = Producer(0);
        using var slots = new SemaphoreSlim((int)Number("window", 1000));
        Watch? watch = null;
        async Task Send(long i)
        {
            await producer.ProduceAsync(topic, Record(i)).ConfigureAwait(false);
            slots.Release();
        }
        Task last = Task.CompletedTask;
        for (long i = 0; i < warmup + records; i++)
        {
            if (i == warmup)
            {
                producer.Flush();
                watch = new Watch();
            }
            await slots.WaitAsync().ConfigureAwait(false);
            last = Send(i);
        }
        for (int i = 0; i < Number("window", 1000); i++) await slots.WaitAsync().ConfigureAwait(false);
        await last;
        watch!.End(records, warmup + records);
    }

    private async Task Sequential()
    {
        await using var producer = Producer(0);
        var micros = new double[records];
        Watch? watch = null;
        for (long i = 0; i < warmup + records; i++)
        {
            if (i == warmup) watch = new Watch();
            long begun = Stopwatch.GetTimestamp();
            await producer.ProduceAsync(topic, Record(i)).ConfigureAwait(false);
            if (i >= warmup) micros[i - warmup] = (Stopwatch.GetTimestamp() - begun) * 1e6 / Stopwatch.Frequency;
        }
        producer.Flush();
        watch!.End(records, warmup + records, micros);
    }

    private void Consume(long count, Watch? watch)
    {
        using var consumer = new ConsumerBuilder<Ignore, byte[]>(new ConsumerConfig { BootstrapServers = flags["brokers"] }).Build();
        consumer.Assign(Enumerable.Range(0, (int)Number("partitions", 6)).Select(partition => new TopicPartitionOffset(topic, partition, Offset.Beginning)));
        long touched = 0;
        for (long got = 0; got < count; got++)
        {
            byte[] value = consumer.Consume().Message.Value;
            if (got == 0) watch?.Arrived();
            touched += value.Length + value[0];
        }
        if (touched == 0) throw new InvalidOperationException("nothing was read");
        watch?.End(count, 0);
    }
}

/// <summary>The measured window: wall and CPU time of the process.</summary>
sealed class Watch
{
    private long wall = Stopwatch.GetTimestamp();
    private readonly TimeSpan cpu = Process.GetCurrentProcess().TotalProcessorTime;

    /// <summary>Starts the wall clock again, not that of the CPU: the first record of a consumer has come.</summary>
    public void Arrived() => wall = Stopwatch.GetTimestamp();

    public void End(long records, long written, double[]? micros = null)
    {
        double seconds = (Stopwatch.GetTimestamp() - wall) / (double)Stopwatch.Frequency;
        double used = (Process.GetCurrentProcess().TotalProcessorTime - cpu).TotalSeconds;
        string version = typeof(ProducerConfig).Assembly.GetName().Version!.ToString(3);
        FormattableString line = $"{{\"version\":\"{version}\",\"records\":{records},\"written\":{written},\"seconds\":{seconds:F6},\"cpuSeconds\":{used:F6},\"peakRssKb\":{Status("VmHWM")},\"threads\":{Status("Threads")}";
        string told = line.ToString(CultureInfo.InvariantCulture);
        if (micros != null)
        {
            Array.Sort(micros);
            FormattableString more = $",\"p50\":{micros[micros.Length / 2]:F1},\"p99\":{micros[(int)(micros.Length * 0.99)]:F1},\"p999\":{micros[(int)(micros.Length * 0.999)]:F1}";
            told += more.ToString(CultureInfo.InvariantCulture);
        }
        Console.WriteLine(told + "}");
    }

    private static string Status(string field) => File.ReadAllLines("/proc/self/status").First(line => line.StartsWith(field + ":")).Substring(field.Length).Trim(':', ' ', '\t').Split(' ')[0];
}
