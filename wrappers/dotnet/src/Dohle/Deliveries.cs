// Who waits for which records: for each group of the engine's an array of waiters, by their index in the group. Nothing is allocated per
// record. Used under the outbox's lock.
using System;
using System.Collections.Generic;

namespace Dohle
{
    /// <summary>Waits for one record, and is told once.</summary>
    internal interface IWaiter
    {
        /// <summary>Whether being told runs code of the application.</summary>
        bool IsHandler { get; }
        /// <summary>Whether it waits no more: it was cancelled.</summary>
        bool IsSettled { get; }
        /// <summary>The record is in the log (error null), or was not acknowledged. Offset and time are −1 when they are not known.</summary>
        void Told(int partition, long offset, long appendTime, PersistenceStatus status, Error? error);
    }

    /// <summary>Waiters of records that share a fate.</summary>
    internal readonly struct Waiters
    {
        public readonly IWaiter?[] List;
        public readonly int Start;
        public readonly int Count;

        public Waiters(IWaiter?[] list, int start, int count)
        {
            List = list;
            Start = start;
            Count = count;
        }
    }

    internal sealed class Deliveries
    {
        private sealed class Group
        {
            public IWaiter?[] Waiters = new IWaiter?[64];
            public uint First;
            public int Count;
            public int Open;
            public bool Waiting;
            public bool Handlers;
        }

        private const int MostSpare = 16;
        private readonly Dictionary<uint, Group> groups = new Dictionary<uint, Group>();
        private readonly Stack<Group> spare = new Stack<Group>();
        private uint lastId;
        private Group? last;

        /// <summary>Records without an answer yet.</summary>
        public int Open { get; private set; }

        /// <summary>The record at <paramref name="index"/> of a group was taken. Indices of a group only grow.</summary>
        public void Add(uint id, uint index, IWaiter? waiter)
        {
            Group? group = last;
            if (group == null || lastId != id)
            {
                if (!groups.TryGetValue(id, out group))
                {
                    group = spare.Count > 0 ? spare.Pop() : new Group();
                    group.First = index;
                    groups[id] = group;
                }
                lastId = id;
                last = group;
            }
            int at = (int)(index - group.First);
            if (at >= group.Waiters.Length) Array.Resize(ref group.Waiters, Math.Max(at + 1, 2 * group.Waiters.Length));
            group.Waiters[at] = waiter;
            group.Count = at + 1;
            group.Open++;
            if (waiter != null)
            {
                group.Waiting = true;
                group.Handlers |= waiter.IsHandler;
            }
            Open++;
        }

        /// <summary>A run of records is settled. Who waits for them; null: nobody. <paramref name="handlers"/>: some of them are the application's.</summary>
        public Waiters? Settle(uint id, uint first, int count, out bool handlers)
        {
            handlers = false;
            if (!groups.TryGetValue(id, out Group? group)) return null;
            int start = (int)(first - group.First);
            if (start < 0)
            {
                count += start;
                start = 0;
            }
            count = Math.Min(count, group.Count - start);
            if (count <= 0) return null;
            handlers = group.Handlers;
            group.Open -= count;
            Open -= count;
            if (group.Open > 0)
            {
                var part = new IWaiter?[count];
                Array.Copy(group.Waiters, start, part, 0, count);
                Array.Clear(group.Waiters, start, count);
                return new Waiters(part, 0, count);
            }
            groups.Remove(id);
            if (last == group) last = null;
            Waiters? all = null;
            if (group.Waiting)
            {
                all = new Waiters(group.Waiters, start, count);
                group.Waiters = new IWaiter?[Math.Min(group.Waiters.Length, 4096)];
            }
            (group.Count, group.Open, group.Waiting, group.Handlers) = (0, 0, false, false);
            if (spare.Count < MostSpare) spare.Push(group);
            return all;
        }

        /// <summary>All who wait, and nobody waits any more.</summary>
        public List<IWaiter> TakeAll()
        {
            var all = new List<IWaiter>();
            foreach (Group group in groups.Values)
                foreach (IWaiter? waiter in group.Waiters) if (waiter != null) all.Add(waiter);
            groups.Clear();
            last = null;
            Open = 0;
            return all;
        }
    }
}
