// What producers, consumers and admin clients share: the connections of one of them, and the handlers of its events.
using System;
using System.Collections.Generic;
using System.Linq;
using System.Threading.Tasks;

namespace Dohle
{
    /// <summary>How much a line of the log matters, by syslog's numbers.</summary>
    public enum SyslogLevel
    {
        /// <summary>Something failed.</summary>
        Error = 3,
        /// <summary>Something is wrong.</summary>
        Warning = 4,
        /// <summary>Something happened.</summary>
        Info = 6,
        /// <summary>Every detail.</summary>
        Debug = 7,
    }

    /// <summary>A line of the log. <c>log.level</c> says how much is told.</summary>
    public sealed class LogMessage
    {
        internal LogMessage(IDictionary<string, object?> from)
        {
            Level = from["level"] switch { "error" => SyslogLevel.Error, "warn" => SyslogLevel.Warning, "info" => SyslogLevel.Info, _ => SyslogLevel.Debug };
            Facility = (string)from["target"]!;
            Message = (string)from["message"]!;
            Fields = (IReadOnlyDictionary<string, object?>)from["fields"]!;
        }

        /// <summary>How much it matters.</summary>
        public SyslogLevel Level { get; }
        /// <summary>The part of the engine that says it.</summary>
        public string Facility { get; }
        /// <summary>What it says.</summary>
        public string Message { get; }
        /// <summary>Facts that belong to it, such as the broker.</summary>
        public IReadOnlyDictionary<string, object?> Fields { get; }
        /// <summary>Message and facts.</summary>
        public override string ToString() => Facility + ": " + Message + string.Concat(Fields.Select(field => " " + field.Key + "=" + field.Value));
    }

    internal sealed class Client : Receiver
    {
        private readonly Serial serial = new Serial();
        private readonly ResourceHandle handle;

        public Client(IDictionary<string, object?> options) => handle = Engine.Open("client", 0, options, this);

        public uint Handle => handle.Value;
        public bool IsClosed => handle.IsClosing;
        public Action<Error>? OnError;
        public Action<LogMessage>? OnLog;
        public Action<string>? OnStatistics;

        /// <summary>Opens a producer or a consumer of it; when that fails, the client is closed.</summary>
        public ResourceHandle Open(string kind, IDictionary<string, object?> options, Receiver receiver)
        {
            try
            {
                return Engine.Open(kind, handle.Value, options, receiver);
            }
            catch
            {
                _ = CloseAsync();
                throw;
            }
        }

        public async Task CloseAsync()
        {
            if (!handle.Begin()) return;
            await Engine.Start(handle.Value, "client.close").ConfigureAwait(false);
            handle.Done();
        }

        /// <summary>Also those of its producer or consumer.</summary>
        public override void Event(IDictionary<string, object?> what)
        {
            string name = (string)what["name"]!;
            if (name == "log" && OnLog is Action<LogMessage> log) serial.Add(() => log(new LogMessage(what)));
            else if (name == "statistics" && OnStatistics is Action<string> statistics) serial.Add(() => statistics(Json.Write(what["statistics"])));
            else if (what.TryGetValue("error", out object? error) && error != null) Failed(Error.From((IDictionary<string, object?>)error));
        }

        public override void Poisoned(Error error) => Failed(error);

        /// <summary>Tells the application's handler.</summary>
        public void Failed(Error error)
        {
            if (OnError is Action<Error> handler) serial.Add(() => handler(error));
        }
    }
}
