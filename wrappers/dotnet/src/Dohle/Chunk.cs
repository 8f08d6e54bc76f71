// Records of one partition, as the engine handed them over: copied once, so that what is sliced from it is never freed memory.
using System;
using System.Runtime.InteropServices;
using System.Text;
using System.Threading;

namespace Dohle
{
    internal sealed unsafe class Chunk
    {
        private const int Words = 10; // of the index, per record
        private readonly byte[] bytes;
        private readonly int[] index;
        private readonly long baseOffset;
        private readonly Progress progress;
        private int finished;

        /// <summary>Copies a chunk and frees the engine's memory.</summary>
        public Chunk(ref NativeChunk from, string? topic)
        {
            fixed (NativeChunk* native = &from)
            {
                progress = new Progress(from.Progress);
                Topic = topic != null && IsSame(topic, from) ? topic : Encoding.UTF8.GetString(from.Topic, (int)from.TopicLength);
                bytes = new byte[(int)from.BytesLength];
                index = new int[(int)from.IndexLength];
                Marshal.Copy((IntPtr)from.Bytes, bytes, 0, bytes.Length);
                Marshal.Copy((IntPtr)from.Index, index, 0, index.Length);
                (Partition, Count, baseOffset, LeaderEpoch) = (from.Partition, (int)from.Count, from.BaseOffset, from.LeaderEpoch);
                Native.dohle_chunk_free(native);
            }
        }

        public readonly string Topic;
        public readonly int Partition;
        public readonly int Count;
        public readonly int LeaderEpoch;

        /// <summary>Place of the next record that is given to the application.</summary>
        public int Next;

        /// <summary>Most chunks are of the topic of the one before.</summary>
        private static bool IsSame(string topic, in NativeChunk from)
        {
            if (topic.Length != from.TopicLength) return false;
            for (int i = 0; i < topic.Length; i++) if (topic[i] != from.Topic[i]) return false;
            return true;
        }

        /// <summary>Whether nothing more of it is to be given: the partition was taken away, paused or sought.</summary>
        public bool IsRevoked => progress.IsRevoked;

        /// <summary>The records before <paramref name="place"/> are done: a commit covers them.</summary>
        public void Finish(int place)
        {
            finished = Math.Max(finished, place);
            progress.Finish((uint)place);
        }

        /// <summary>As <see cref="Finish"/>, from a thread that need not be the one that consumes, which may close it meanwhile.</summary>
        public void Said(int place)
        {
            finished = Math.Max(finished, place);
            progress.Said((uint)place);
        }

        /// <summary>The record before <paramref name="place"/> is given to the application.</summary>
        public void Step(int place) => progress.Step((uint)place);

        /// <summary>Whether all of its records are done.</summary>
        public bool IsFinished => finished == Count;

        /// <summary>What it told last counts.</summary>
        public void Close() => progress.Dispose();

        /// <summary>As <see cref="Close"/>, and true.</summary>
        public bool Closed()
        {
            Close();
            return true;
        }

        /// <summary>Place of the first record at or behind an offset; the count of records: there is none.</summary>
        public int PlaceOf(long offset)
        {
            int low = 0, high = Count;
            while (low < high)
            {
                int middle = (low + high) / 2;
                if (Offset(middle) < offset) low = middle + 1;
                else high = middle;
            }
            return low;
        }

        public long Offset(int place) => baseOffset + index[place * Words];

        public long Timestamp(int place) => (long)index[place * Words + 2] << 32 | (uint)index[place * Words + 1];

        public ReadOnlySpan<byte> Key(int place, out bool isNull) => Part(place * Words + 3, out isNull);

        public ReadOnlySpan<byte> Value(int place, out bool isNull) => Part(place * Words + 5, out isNull);

        private ReadOnlySpan<byte> Part(int at, out bool isNull)
        {
            int length = index[at + 1];
            isNull = length < 0;
            return isNull ? default : new ReadOnlySpan<byte>(bytes, index[at], length);
        }

        /// <summary>Headers as they were sent: name and value, each behind its length as a zigzag varint.</summary>
        public Headers Headers(int place)
        {
            var headers = new Headers();
            int at = index[place * Words + 7];
            for (int left = index[place * Words + 9]; left > 0; left--)
            {
                int length = Varint(ref at);
                string name = Encoding.UTF8.GetString(bytes, at, length);
                at += length;
                length = Varint(ref at);
                byte[]? value = length < 0 ? null : new byte[length];
                if (value != null)
                {
                    Buffer.BlockCopy(bytes, at, value, 0, length);
                    at += length;
                }
                headers.Add(name, value);
            }
            return headers;
        }

        private int Varint(ref int at)
        {
            uint number = 0;
            for (int shift = 0; ; shift += 7)
            {
                byte next = bytes[at++];
                number |= (uint)(next & 0x7F) << shift;
                if (next < 0x80) return (int)(number >> 1) ^ -(int)(number & 1);
            }
        }

        /// <summary>The three words that are shared with the engine: finished, stepped (both written here), revoked (read here).</summary>
        private sealed class Progress : SafeHandle
        {
            private readonly uint* words;

            public Progress(IntPtr progress) : base(IntPtr.Zero, ownsHandle: true)
            {
                SetHandle(progress);
                words = Native.dohle_progress_words(progress);
            }

            public override bool IsInvalid => handle == IntPtr.Zero;
            public bool IsRevoked => IsClosed || Volatile.Read(ref words[2]) != 0;

            public void Finish(uint count)
            {
                if (!IsClosed && count > words[0]) Volatile.Write(ref words[0], count);
            }

            public void Step(uint count)
            {
                if (!IsClosed && count > words[1]) Volatile.Write(ref words[1], count);
            }

            public void Said(uint count)
            {
                bool held = false;
                try
                {
                    DangerousAddRef(ref held);
                    Native.dohle_progress_set(handle, count, 0);
                }
                catch (ObjectDisposedException)
                {
                    // It is told already.
                }
                finally
                {
                    if (held) DangerousRelease();
                }
            }

            protected override bool ReleaseHandle()
            {
                Native.dohle_progress_free(handle);
                return true;
            }
        }
    }
}
