// Records on their way out. They are written into an arena, and the arena goes to the engine in one call: at once while few are
// produced, else when it is full or after a millisecond. What finds no room in the producer's memory waits here, in order.
using System;
using System.Collections.Generic;
using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;
using System.Threading.Tasks;

namespace Dohle
{
    internal sealed unsafe class Outbox : Receiver
    {
        private const int ArenaBytes = 64 * 1024;
        private const int MostRecords = 4096;
        /// <summary>Records per millisecond that go to the engine one by one.</summary>
        private const int OneByOne = 16;
        private const uint Refused = 0xFFFFFFFF;
        private static readonly long Millisecond = Stopwatch.Frequency / 1000;

        private readonly object gate = new object();
        private readonly Serial handlers;
        private readonly Client client;
        private readonly Deliveries deliveries = new Deliveries();
        private readonly Dictionary<string, uint> topics = new Dictionary<string, uint>();
        private readonly IWaiter?[] waiters = new IWaiter?[MostRecords];
        private readonly Queue<Outgoing> waiting = new Queue<Outgoing>();
        private readonly Memory arena = new Memory(ArenaBytes), answers = new Memory(MostRecords * 8), scratch = new Memory(4096);
        private uint handle;
        private string? lastTopic;
        private uint lastTopicId;
        private UIntPtr end;
        private ulong start;
        private int records, direct;
        private long window;
        private bool full, scheduled;
        private Error? broken;
        private int runs;
        private TaskCompletionSource<object?>? crossing;

        public Outbox(Serial handlers, Client client)
        {
            this.handlers = handlers;
            this.client = client;
        }

        /// <summary>What has failed that nobody was told of, since it was asked for last.</summary>
        public Error? Untold;

        public void Opened(uint opened) => handle = opened;

        /// <summary>Records that are not settled, and reports that have not run yet.</summary>
        public int Pending
        {
            get
            {
                lock (gate) return records + waiting.Count + deliveries.Open + runs;
            }
        }

        /// <summary>Takes a record. False: the producer's memory is full, and <paramref name="wait"/> was not asked for.</summary>
        public bool Add(in Outgoing record, bool wait)
        {
            lock (gate)
            {
                Usable();
                Skip();
                if (full || waiting.Count > 0)
                {
                    if (wait) waiting.Enqueue(record);
                    return wait;
                }
                Write(record);
                long now = Stopwatch.GetTimestamp();
                if (now - window > Millisecond)
                {
                    window = now;
                    direct = 0;
                }
                if (direct < OneByOne)
                {
                    direct++;
                    Append();
                }
                else if (!scheduled)
                {
                    scheduled = true;
                    Later.Add(this);
                }
                return true;
            }
        }

        /// <summary>Gives the engine what is in the arena.</summary>
        public void Push()
        {
            lock (gate)
            {
                scheduled = false;
                if (records > 0 && !full && broken == null) Append();
            }
        }

        /// <summary>Completes when the engine has every record that was taken before.</summary>
        public Task Crossed()
        {
            lock (gate)
            {
                if (records > 0 && !full && broken == null) Append();
                if (!full && waiting.Count == 0) return Task.CompletedTask;
                crossing ??= new TaskCompletionSource<object?>(TaskCreationOptions.RunContinuationsAsynchronously);
                return crossing.Task;
            }
        }

        public override void Space()
        {
            lock (gate)
            {
                full = false;
                if (broken != null) return;
                if (records > 0) Append();
                for (Skip(); !full && waiting.Count > 0; Skip())
                {
                    Outgoing next = waiting.Dequeue();
                    try
                    {
                        Write(next);
                    }
                    catch (Exception refused) // an application's header may throw what it likes
                    {
                        Tell(next.Waiter, (refused as KafkaException)?.Error ?? Error.Argument("headers", refused.Message));
                    }
                }
                if (records > 0 && !full) Append();
                if (full) return;
                crossing?.TrySetResult(null);
                crossing = null;
            }
        }

        /// <summary>Takes out what was cancelled while it waited.</summary>
        private void Skip()
        {
            while (waiting.Count > 0 && waiting.Peek().Waiter!.IsSettled) waiting.Dequeue();
        }

        public override void Delivered(in NativeEntry entry, Error? error)
        {
            Waiters? told;
            bool run;
            lock (gate)
            {
                told = deliveries.Settle(entry.Id, entry.Index, (int)entry.Count, out run);
                if (told is null) return;
                if (run) runs++;
            }
            var status = (PersistenceStatus)entry.Persistence;
            if (error != null) error.Persistence = status;
            var (list, first, partition, offset, time) = (told.Value, entry.Index, entry.Partition, entry.BaseOffset, entry.AppendTime);
            if (run) handlers.Add(() => Tell(list, partition, offset, time, status, error, ran: true));
            else Tell(list, partition, offset, time, status, error, ran: false);
        }

        public override void Event(IDictionary<string, object?> what) => client.Event(what);

        public override void Poisoned(Error error) => Break(error);

        /// <summary>What the engine has not got yet fails.</summary>
        public void Drop(Error error)
        {
            lock (gate)
            {
                while (waiting.Count > 0) Tell(waiting.Dequeue().Waiter, error);
                for (int i = 0; i < records; i++) Tell(waiters[i], error);
                Array.Clear(waiters, 0, records);
                (records, start, end) = (0, 0, UIntPtr.Zero);
                crossing?.TrySetResult(null);
                crossing = null;
            }
        }

        /// <summary>Nothing more is taken, and what is not settled fails.</summary>
        public void Break(Error error)
        {
            var left = new List<IWaiter>();
            lock (gate)
            {
                if (broken != null) return;
                broken = error;
                for (int i = 0; i < records; i++) if (waiters[i] is IWaiter waiter) left.Add(waiter);
                foreach (Outgoing record in waiting) if (record.Waiter is IWaiter waiter) left.Add(waiter);
                int unsent = left.Count;
                left.AddRange(deliveries.TakeAll());
                records = 0;
                waiting.Clear();
                crossing?.TrySetResult(null);
                crossing = null;
                for (int i = 0; i < left.Count; i++) Tell(left[i], With(error, i < unsent ? PersistenceStatus.NotPersisted : PersistenceStatus.PossiblyPersisted));
                arena.Dispose();
                answers.Dispose();
                scratch.Dispose();
            }
        }

        private static Error With(Error error, PersistenceStatus status) =>
            new Error(error.Code, error.Reason, error.Class, error.IsRetriable) { Persistence = status };

        private void Usable()
        {
            if (broken == null) return;
            throw broken.Code == ErrorCode.Closed ? new ObjectDisposedException("producer") : (Exception)KafkaException.Of(broken);
        }

        private void Tell(Waiters list, int partition, long offset, long time, PersistenceStatus status, Error? error, bool ran)
        {
            for (int i = 0; i < list.Count; i++)
            {
                IWaiter? waiter = list.List[list.Start + i];
                try
                {
                    waiter?.Told(partition, offset < 0 ? -1 : offset + i, time, status, error);
                }
                catch (Exception thrown) when (ran)
                {
                    handlers.Failed(thrown);
                }
            }
            if (!ran) return;
            handlers.Report(list.Count);
            lock (gate) runs--;
        }

        /// <summary>A record was not given to the engine.</summary>
        private void Tell(IWaiter? waiter, Error error)
        {
            error.Persistence ??= PersistenceStatus.NotPersisted;
            if (waiter == null) Untold ??= error;
            else if (!waiter.IsHandler) waiter.Told(-1, -1, -1, error.Persistence.Value, error);
            else
            {
                runs++;
                var one = new Waiters(new[] { waiter }, 0, 1);
                handlers.Add(() => Tell(one, -1, -1, -1, error.Persistence.Value, error, ran: true));
            }
        }

        /// <summary>Writes a record into the arena. Where that has no room it is appended first, or (memory is full) grows.</summary>
        private void Write(in Outgoing record)
        {
            var native = new NativeRecord { Size = (uint)sizeof(NativeRecord), Topic = TopicId(record.Topic), Partition = record.Partition, Timestamp = record.Timestamp };
            Pack(record, ref native);
            fixed (byte* key = record.Key as byte[], value = record.Value as byte[])
            {
                if (record.Key is byte[] keyBytes) (native.Key, native.KeyLength) = Some(key, keyBytes);
                if (record.Value is byte[] valueBytes) (native.Value, native.ValueLength) = Some(value, valueBytes);
                bool written = Written(&native);
                if (!written && records > 0) Append();
                while (!written && !Written(&native)) arena.Grow();
            }
            waiters[records++] = record.Waiter;
            if (records == MostRecords) Append();
        }

        /// <summary>Of no bytes the pointer is null, which means something else.</summary>
        private Place Some(byte* pinned, byte[] bytes) => new Place(bytes.Length == 0 ? scratch.Start : pinned, (UIntPtr)bytes.Length);

        private bool Written(NativeRecord* record)
        {
            UIntPtr position = end;
            IntPtr error;
            if (Engine.Check(Native.dohle_arena_write(arena.Start, (UIntPtr)arena.Length, &position, record, &error), error) == 0) return false;
            end = position;
            return true;
        }

        private uint TopicId(string topic)
        {
            if ((object)topic == lastTopic) return lastTopicId;
            if (!topics.TryGetValue(topic, out uint id))
            {
                if (topic.Length == 0 || topic.IndexOf('\0') >= 0) throw KafkaException.Of(Error.Argument("topic", "is not a topic's name"));
                fixed (byte* name = Engine.Text(topic))
                {
                    IntPtr error;
                    Engine.Check(Native.dohle_topic(Engine.Environment, handle, name, &id, &error), error);
                }
                topics[topic] = id;
            }
            (lastTopic, lastTopicId) = (topic, id);
            return id;
        }

        /// <summary>Writes what is no array into the scratch memory: key and value that are text, names and values of headers.</summary>
        private void Pack(in Outgoing record, ref NativeRecord native)
        {
            string? key = record.Key as string, value = record.Value as string;
            Headers? headers = record.Headers;
            int count = headers?.Count ?? 0, needed = sizeof(NativeHeader) * count;
            if (key != null) needed += Encoding.UTF8.GetMaxByteCount(key.Length);
            if (value != null) needed = checked(needed + Encoding.UTF8.GetMaxByteCount(value.Length));
            for (int i = 0; i < count; i++) needed = checked(needed + Encoding.UTF8.GetMaxByteCount(headers![i].Key.Length) + (headers[i].GetValueBytes()?.Length ?? 0));
            while (scratch.Length < needed) scratch.Grow();
            byte* at = scratch.Start + sizeof(NativeHeader) * count;
            byte* stop = scratch.Start + scratch.Length;
            if (key != null) (native.Key, native.KeyLength) = Put(key, ref at, stop);
            if (value != null) (native.Value, native.ValueLength) = Put(value, ref at, stop);
            if (count == 0) return;
            native.Headers = (NativeHeader*)scratch.Start;
            native.HeaderCount = (uint)count;
            for (int i = 0; i < count; i++) native.Headers[i] = Put(headers![i], ref at, stop);
        }

        private static Place Put(string text, ref byte* at, byte* stop)
        {
            byte* start = at;
            fixed (char* chars = text) at += text.Length == 0 ? 0 : Encoding.UTF8.GetBytes(chars, text.Length, at, (int)Math.Min(int.MaxValue, stop - at));
            return new Place(start, (UIntPtr)(at - start));
        }

        private static NativeHeader Put(IHeader header, ref byte* at, byte* stop)
        {
            Place name = Put(header.Key, ref at, stop);
            var packed = new NativeHeader { Name = name.Start, NameLength = name.Length };
            byte[]? value = header.GetValueBytes();
            if (value == null) return packed;
            if (value.Length > stop - at) throw new InvalidOperationException("the value of the header " + header.Key + " has grown while it was read");
            packed.Value = at;
            packed.ValueLength = (UIntPtr)value.Length;
            Marshal.Copy(value, 0, (IntPtr)at, value.Length);
            at += value.Length;
            return packed;
        }

        private readonly struct Place
        {
            public readonly byte* Start;
            public readonly UIntPtr Length;

            public Place(byte* start, UIntPtr length)
            {
                Start = start;
                Length = length;
            }

            public void Deconstruct(out byte* start, out UIntPtr length)
            {
                start = Start;
                length = Length;
            }
        }

        /// <summary>Gives the arena to the engine. What that has no memory for stays, and <see cref="Space"/> goes on with it.</summary>
        private void Append()
        {
            var appended = new NativeAppended { Size = (uint)sizeof(NativeAppended) };
            uint* answer = (uint*)answers.Start;
            IntPtr error = IntPtr.Zero;
            if (Native.dohle_append(Engine.Environment, handle, arena.Start, (UIntPtr)start, end, answer, (UIntPtr)records, &appended, &error) < 0)
            {
                Error refused = Engine.Taken(error);
                for (int i = 0; i < records; i++) Tell(waiters[i], With(refused, PersistenceStatus.NotPersisted));
                appended.Count = (uint)records;
            }
            else
            {
                for (int i = 0; i < appended.Count; i++, answer += 2)
                {
                    if (answer[0] != Refused) deliveries.Add(answer[0], answer[1], waiters[i]);
                    else Tell(waiters[i], Engine.Lent(Native.dohle_error_at(error, answer[1])));
                }
                Native.dohle_error_free(error);
            }
            int taken = (int)appended.Count;
            records -= taken;
            Array.Copy(waiters, taken, waiters, 0, records);
            Array.Clear(waiters, records, taken);
            full = records > 0;
            start = full ? appended.Position : 0;
            if (!full) end = UIntPtr.Zero;
        }
    }
}
