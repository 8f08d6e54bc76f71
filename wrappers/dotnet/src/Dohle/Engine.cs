// What this process has of the engine: one environment, its queue, the calls under way, and the one thread that drains the queue.
// No code of the application runs on that thread: tasks continue elsewhere, and handlers run on the thread pool (Serial.cs).
using System;
using System.Collections.Concurrent;
using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Dohle
{
    /// <summary>Whoever the engine talks to: a producer, a consumer, a client.</summary>
    internal abstract class Receiver
    {
        /// <summary>Its client's handle.</summary>
        public uint Client;
        /// <summary>Records were delivered, or (<paramref name="error"/>) failed.</summary>
        public virtual void Delivered(in NativeEntry entry, Error? error) { }
        /// <summary>There is room in memory again.</summary>
        public virtual void Space() { }
        /// <summary>Something happened.</summary>
        public virtual void Event(IDictionary<string, object?> what) { }
        /// <summary>The engine asks, and what this returns or throws is the answer. Called on a thread of the pool.</summary>
        public virtual object? Asked(string name, IDictionary<string, object?> request) => throw new NotSupportedException("nobody is there to answer");
        /// <summary>The engine's part of the client has panicked: nothing more will come.</summary>
        public virtual void Poisoned(Error error) { }
    }

    internal static unsafe class Engine
    {
        private const int Entries = 128; // as many as one call of dohle_drain gives
        private const int DeliveryKind = 1, SpaceKind = 2, CompletionKind = 4, QuestionKind = 5, EventKind = 6, PoisonKind = 7;

        private sealed class Call : TaskCompletionSource<object?>
        {
            public Call() : base(TaskCreationOptions.RunContinuationsAsynchronously) { }
            public uint Handle;
            public CancellationTokenRegistration Cancellation;
        }

        /// <summary>Freed when the process or application domain ends, once no thread is in it any more.</summary>
        private sealed class EnvironmentHandle : SafeHandle
        {
            public EnvironmentHandle(IntPtr environment) : base(IntPtr.Zero, ownsHandle: true) => SetHandle(environment);
            public override bool IsInvalid => handle == IntPtr.Zero;

            protected override bool ReleaseHandle()
            {
                Native.dohle_environment_free(handle);
                return true;
            }
        }

        private static readonly EnvironmentHandle handle;
        private static readonly ConcurrentDictionary<uint, Receiver> receivers = new ConcurrentDictionary<uint, Receiver>();
        private static readonly ConcurrentDictionary<uint, Call> calls = new ConcurrentDictionary<uint, Call>();
        private static int lastCall;

        /// <summary>The environment. It lives as long as the process.</summary>
        public static readonly IntPtr Environment;

        static Engine()
        {
            uint version = Native.dohle_abi_version();
            if (version != Native.AbiVersion)
                throw new DllNotFoundException("the native library of dohle has version " + version + " of its interface, and this assembly needs " + Native.AbiVersion);
            IntPtr environment, error;
            Check(Native.dohle_environment_new(&environment, &error), error);
            Environment = environment;
            handle = new EnvironmentHandle(environment);
            AppDomain.CurrentDomain.DomainUnload += (_, _) => Native.dohle_environment_close(Environment);
            new Thread(Pump) { IsBackground = true, Name = "dohle" }.Start();
        }

        /// <summary>What dohle.h calls "text".</summary>
        public static byte[] Text(string text)
        {
            var bytes = new byte[Encoding.UTF8.GetMaxByteCount(text.Length) + 1];
            Encoding.UTF8.GetBytes(text, 0, text.Length, bytes, 0);
            return bytes;
        }

        /// <summary>Text that was handed over: read, and freed.</summary>
        public static string? Taken(byte* text)
        {
            if (text == null) return null;
            string taken = Borrowed(text);
            Native.dohle_text_free(text);
            return taken;
        }

        private static string Borrowed(byte* text)
        {
            int length = 0;
            while (text[length] != 0) length++;
            return Encoding.UTF8.GetString(text, length);
        }

        /// <summary>Throws when a call has failed.</summary>
        public static int Check(int status, IntPtr error) => status >= 0 ? status : throw KafkaException.Of(Taken(error));

        /// <summary>An error that was handed over: read, and freed.</summary>
        public static Error Taken(IntPtr error)
        {
            Error taken = Lent(error);
            Native.dohle_error_free(error);
            return taken;
        }

        /// <summary>An error that belongs to another one.</summary>
        public static Error Lent(IntPtr error) => Error.FromJson(Borrowed(Native.dohle_error_json(error)));

        /// <summary>Opens a client, a producer or a consumer. Configuration errors are thrown here.</summary>
        public static ResourceHandle Open(string kind, uint parent, IDictionary<string, object?> options, Receiver receiver)
        {
            fixed (byte* name = Text(kind), json = Text(Json.Write(options)))
            {
                uint opened;
                IntPtr error;
                Check(Native.dohle_open(Environment, name, parent, json, &opened, &error), error);
                receiver.Client = parent == 0 ? opened : parent;
                receivers[opened] = receiver;
                return new ResourceHandle(opened, kind.Substring(kind.LastIndexOf(' ') + 1) + ".close");
            }
        }

        /// <summary>Nothing is told to the receiver of <paramref name="of"/> any more.</summary>
        public static void Forget(uint of) => receivers.TryRemove(of, out _);

        /// <summary>Runs an operation that never waits.</summary>
        public static object? Invoke(uint of, string operation, object? request = null)
        {
            fixed (byte* name = Text(operation), json = Text(Json.Write(request ?? Nothing)))
            {
                byte* response;
                IntPtr error;
                Check(Native.dohle_invoke(Environment, of, name, json, &response, &error), error);
                return Json.Read(Taken(response)!);
            }
        }

        private static readonly Dictionary<string, object?> Nothing = new Dictionary<string, object?>();

        /// <summary>Starts an operation. Cancelled, it stops; what it has done stays done.</summary>
        public static Task<object?> Start(uint of, string operation, object? request = null, CancellationToken cancel = default)
        {
            if (cancel.IsCancellationRequested) return Task.FromCanceled<object?>(cancel);
            string json = Json.Write(request ?? Nothing);
            uint id = (uint)Interlocked.Increment(ref lastCall);
            var call = new Call { Handle = of };
            calls[id] = call;
            Begin(id, of, operation, json);
            if (cancel.CanBeCanceled)
            {
                call.Cancellation = cancel.Register(() => Cancel(id, cancel));
                if (call.Task.IsCompleted) call.Cancellation.Dispose();
            }
            return call.Task;
        }

        /// <summary>As <see cref="Start"/>, for those who do not wait for it.</summary>
        public static void Begin(uint of, string operation) => Begin((uint)Interlocked.Increment(ref lastCall), of, operation, "{}");

        private static void Begin(uint id, uint of, string operation, string request)
        {
            fixed (byte* name = Text(operation), json = Text(request))
            {
                IntPtr error;
                Check(Native.dohle_call(Environment, id, of, name, json, null, UIntPtr.Zero, &error), error);
            }
        }

        private static void Cancel(uint id, CancellationToken cancel)
        {
            if (!calls.TryRemove(id, out Call? call)) return;
            IntPtr error;
            Native.dohle_cancel(Environment, id, &error);
            call.TrySetCanceled(cancel);
        }

        /// <summary>Waits for an operation on the caller's thread. When <paramref name="timeout"/> is over it is stopped: REQUEST_TIMED_OUT.</summary>
        public static object? Run(uint of, string operation, object? request = null, TimeSpan? timeout = null)
        {
            using var cancel = new CancellationTokenSource();
            var task = Start(of, operation, request, cancel.Token);
            if (timeout is TimeSpan limit && !Wait(task, limit))
            {
                cancel.Cancel();
                if (task.IsCanceled)
                    throw KafkaException.Of(new Error(ErrorCode.RequestTimedOut, operation + " was not done within " + limit.TotalMilliseconds + " ms", ErrorClass.Retriable, retriable: true));
            }
            return task.GetAwaiter().GetResult();
        }

        /// <summary>Whether a task has ended in time, in whatever way.</summary>
        public static bool Wait(Task task, TimeSpan limit) =>
            task.IsCompleted || ((IAsyncResult)task).AsyncWaitHandle.WaitOne(Bounded(limit));

        /// <summary>A time limit as the runtime takes it: below 0 is for ever, and so, nearly, is what is longer than it can wait.</summary>
        public static int Bounded(TimeSpan limit) => limit < TimeSpan.Zero ? Timeout.Infinite : (int)Math.Min(int.MaxValue, Math.Ceiling(limit.TotalMilliseconds));

        private static void Pump()
        {
            bool added = false;
            handle.DangerousAddRef(ref added); // never freed under this thread
            NativeEntry* entries = stackalloc NativeEntry[Entries];
            IntPtr error;
            while (Native.dohle_wait(Environment, -1, &error) != 2)
            {
                int count = Native.dohle_drain(Environment, entries, (UIntPtr)Entries, (UIntPtr)sizeof(NativeEntry), &error);
                for (int i = 0; i < count; i++) Told(entries[i]);
            }
            handle.DangerousRelease();
        }

        private static void Told(in NativeEntry entry)
        {
            string? text = Taken(entry.Text);
            receivers.TryGetValue(entry.Handle, out Receiver? receiver);
            switch (entry.Kind)
            {
                case DeliveryKind:
                    receiver?.Delivered(entry, text == null ? null : Error.FromJson(text));
                    break;
                case SpaceKind:
                    receiver?.Space();
                    break;
                case CompletionKind:
                    for (uint i = 0; i < entry.Count; i++) DropChunk(entry.Id);
                    if (calls.TryRemove(entry.Id, out Call? call)) Complete(call, entry.Index == 0, text!);
                    break;
                case QuestionKind:
                    if (receiver != null) Task.Run(() => Answer(receiver, (IDictionary<string, object?>)Json.Read(text!)!));
                    break;
                case EventKind:
                    receiver?.Event((IDictionary<string, object?>)Json.Read(text!)!);
                    break;
                case PoisonKind:
                    Poison(entry.Handle, Error.FromJson(text!));
                    break;
            }
        }

        private static void Answer(Receiver receiver, IDictionary<string, object?> question)
        {
            string? answer = null, failure = null;
            try
            {
                answer = Json.Write(receiver.Asked((string)question["name"]!, (IDictionary<string, object?>)question["request"]!));
            }
            catch (Exception exception)
            {
                failure = exception.Message;
            }
            Invoke(0, "environment.answer", Json.Object(("id", question["id"]), ("answer", answer), ("error", failure)));
        }

        private static void Complete(Call call, bool done, string text)
        {
            call.Cancellation.Dispose();
            if (done) call.TrySetResult(Json.Read(text));
            else call.TrySetException(KafkaException.Of(Error.FromJson(text)));
        }

        /// <summary>No operation that is used here has chunks; one that comes all the same must not stay.</summary>
        private static void DropChunk(uint id)
        {
            var chunk = new NativeChunk { Size = (uint)sizeof(NativeChunk) };
            IntPtr error;
            if (Native.dohle_take_chunk(Environment, id, &chunk, &error) != 1) return;
            Native.dohle_progress_free(chunk.Progress);
            Native.dohle_chunk_free(&chunk);
        }

        private static void Poison(uint client, Error error)
        {
            var own = new HashSet<uint>();
            foreach (var one in receivers) if (one.Value.Client == client) own.Add(one.Key);
            foreach (var one in calls)
                if (own.Contains(one.Value.Handle) && calls.TryRemove(one.Key, out Call? call)) call.TrySetException(KafkaException.Of(error));
            foreach (uint of in own) if (receivers.TryGetValue(of, out Receiver? receiver)) receiver.Poisoned(error);
        }
    }

    /// <summary>A handle of the engine's. Forgotten without having been closed it is closed by the garbage collector, without waiting.</summary>
    internal sealed class ResourceHandle : SafeHandle
    {
        private readonly string close;
        private int closing;

        public ResourceHandle(uint value, string close) : base(IntPtr.Zero, ownsHandle: true)
        {
            this.close = close;
            Value = value;
            SetHandle((IntPtr)(int)value);
        }

        public readonly uint Value;
        public override bool IsInvalid => handle == IntPtr.Zero;

        /// <summary>Whether this is the first who closes it.</summary>
        public bool Begin() => Interlocked.Exchange(ref closing, 1) == 0;

        public bool IsClosing => Volatile.Read(ref closing) != 0;

        /// <summary>It was closed with its operation: there is nothing more to be done.</summary>
        public void Done()
        {
            Engine.Forget(Value);
            SetHandleAsInvalid();
        }

        protected override bool ReleaseHandle()
        {
            try
            {
                Engine.Begin(Value, close);
                Engine.Forget(Value);
            }
            catch (Exception)
            {
                return false; // the engine is gone already
            }
            return true;
        }
    }
}
