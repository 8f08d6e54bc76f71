using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Linq;
using System.Text.RegularExpressions;
using System.Threading;
using System.Threading.Tasks;

namespace Dohle
{
    /// <summary>What the engine tells of a consumer beside its records. Knows nothing of the consumer, which can be forgotten without being closed.</summary>
    internal sealed class Events : Receiver
    {
        private readonly Client client;
        private readonly ConcurrentQueue<List<TopicPartition>> lost = new ConcurrentQueue<List<TopicPartition>>();

        public Events(Client client) => this.client = client;

        /// <summary>The consumer whose poll ends when something was lost.</summary>
        public uint Wake;
        /// <summary>The topics that are subscribed.</summary>
        public Regex? Pattern;

        /// <summary>Takes partitions that were lost.</summary>
        public bool Lost(out List<TopicPartition>? partitions) => lost.TryDequeue(out partitions);

        public override unsafe void Event(IDictionary<string, object?> what)
        {
            if ((string)what["name"]! != "lost")
            {
                client.Event(what);
                return;
            }
            lost.Enqueue(((List<object?>)what["partitions"]!).Select(TopicPartition.From).ToList());
            IntPtr error;
            if (Native.dohle_wake(Engine.Environment, Wake, &error) < 0) Native.dohle_error_free(error);
        }

        public override object? Asked(string name, IDictionary<string, object?> request)
        {
            if (name != "match" || !(Pattern is Regex pattern)) return base.Asked(name, request);
            return ((List<object?>)request["topics"]!).Cast<string>().Where(topic => pattern.IsMatch(topic)).ToList();
        }
    }

    /// <summary>The thread that waits for those who wait without one. It ends when it has had nothing to do for some seconds.</summary>
    internal sealed class Poller<T>
    {
        private const int IdleMs = 5_000;
        private readonly Func<CancellationToken, T> next;
        private TaskCompletionSource<T>? asked;
        private CancellationToken cancel;
        private bool running;

        public Poller(Func<CancellationToken, T> next) => this.next = next;

        public Task<T> Next(CancellationToken cancellation)
        {
            var asks = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
            lock (this)
            {
                (asked, cancel) = (asks, cancellation);
                if (!running) new Thread(Run) { IsBackground = true, Name = "dohle consumer" }.Start();
                running = true;
                Monitor.Pulse(this);
            }
            return asks.Task;
        }

        private void Run()
        {
            while (Taken() is TaskCompletionSource<T> asks)
            {
                try
                {
                    asks.TrySetResult(next(cancel));
                }
                catch (OperationCanceledException)
                {
                    asks.TrySetCanceled(cancel);
                }
                catch (Exception exception)
                {
                    asks.TrySetException(exception);
                }
            }
        }

        private TaskCompletionSource<T>? Taken()
        {
            lock (this)
            {
                if (asked == null) Monitor.Wait(this, IdleMs);
                TaskCompletionSource<T>? taken = asked;
                asked = null;
                running = taken != null;
                return taken;
            }
        }
    }
}
