using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;
using Dohle.Testing;

namespace Dohle
{
    /// <summary>
    /// A Kafka-compatible broker of one node, in this process and in memory, for tests. Not for production: what it holds is gone when it stops.
    /// </summary>
    public sealed class EmbeddedBroker : IDisposable, IAsyncDisposable
    {
        private readonly ResourceHandle handle;

        private EmbeddedBroker(IDictionary<string, object?> running)
        {
            handle = new ResourceHandle((uint)(long)running["handle"]!, "broker.stop");
            Address = (string)running["address"]!;
        }

        /// <summary>Host and port that it listens on.</summary>
        public string Address { get; }
        /// <summary>The same, as <c>bootstrap.servers</c> takes it.</summary>
        public string BootstrapServers => Address;

        /// <summary>Starts one, on a free port of 127.0.0.1.</summary>
        /// <param name="partitions">Partitions of a topic that is created without a number of them, as by its first use.</param>
        /// <param name="cancellationToken">A broker that has started by then is stopped again.</param>
        public static Task<EmbeddedBroker> StartAsync(int partitions = 1, CancellationToken cancellationToken = default) =>
            StartAsync(new EmbeddedBrokerOptions { Partitions = partitions }, cancellationToken);

        /// <summary>Starts one.</summary>
        /// <param name="options">What it is to be like.</param>
        /// <param name="cancellationToken">A broker that has started by then is stopped again.</param>
        /// <exception cref="KafkaException">With <see cref="ErrorCode.CannotListen"/> when the port is taken.</exception>
        public static async Task<EmbeddedBroker> StartAsync(EmbeddedBrokerOptions options, CancellationToken cancellationToken = default)
        {
            cancellationToken.ThrowIfCancellationRequested();
            object? running = await Engine.Start(0, "environment.startBroker", options.ToJson()).ConfigureAwait(false);
            var broker = new EmbeddedBroker((IDictionary<string, object?>)running!);
            if (!cancellationToken.IsCancellationRequested) return broker;
            await broker.DisposeAsync().ConfigureAwait(false);
            throw new OperationCanceledException(cancellationToken);
        }

        /// <summary>Lets it do something wrong on purpose: an error, a delay, a closed connection. Returns the fault's id.</summary>
        public long AddFault(FaultRule fault) => Json.Long(Engine.Invoke(handle.Value, "broker.addFault", fault.ToJson()))!.Value;

        /// <summary>Ends a fault; false: there is none of this id.</summary>
        public bool RemoveFault(long id) => (bool)Engine.Invoke(handle.Value, "broker.removeFault", Json.Object(("id", Json.Decimal(id))))!;

        /// <summary>Ends all faults.</summary>
        public void ClearFaults() => Engine.Invoke(handle.Value, "broker.clearFaults");

        /// <summary>How often a fault has acted.</summary>
        public FaultHits FaultHits(long id) => Testing.FaultHits.From(Engine.Invoke(handle.Value, "broker.faultHits", Json.Object(("id", Json.Decimal(id)))));

        /// <summary>Stops it: closes all connections.</summary>
        public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

        /// <summary>Stops it: closes all connections.</summary>
        public async ValueTask DisposeAsync()
        {
            if (!handle.Begin()) return;
            await Engine.Start(handle.Value, "broker.stop").ConfigureAwait(false);
            handle.Done();
        }
    }
}
