using System;
using System.Collections.Generic;
using System.Threading;
using System.Threading.Tasks;

namespace Dohle
{
    internal sealed partial class AdminClient
    {
        private readonly Client client;

        public AdminClient(Client client, string name)
        {
            this.client = client;
            Name = name;
        }

        public string Name { get; }

        private Task<object?> Operate(string operation, object request, CancellationToken cancel)
        {
            if (client.IsClosed) throw new ObjectDisposedException("admin client");
            return Engine.Start(client.Handle, operation, request, cancel);
        }

        public void Dispose() => client.CloseAsync().GetAwaiter().GetResult();

        public ValueTask DisposeAsync() => new ValueTask(client.CloseAsync());
    }

    /// <summary>Makes an admin client. Its options are those of docs/configuration.md, by Kafka's names; <see cref="AdminClientConfig"/> has them as properties.</summary>
    public sealed class AdminClientBuilder : ClientBuilder<AdminClientBuilder, IAdminClient>
    {
        /// <summary>Options by Kafka's names: an <see cref="AdminClientConfig"/>, a dictionary, …</summary>
        public AdminClientBuilder(IEnumerable<KeyValuePair<string, string>> config) : base(config) { }

        /// <summary>Makes the admin client. Nothing is connected before it is needed.</summary>
        /// <exception cref="InvalidConfigurationException">The message names the option, its value and what is allowed.</exception>
        public IAdminClient Build() => Build((client, options, name) =>
        {
            foreach (string option in options.Keys) throw KafkaException.Of(Error.Argument(option, "is no option of an admin client"));
            return new AdminClient(client, name);
        });
    }
}
