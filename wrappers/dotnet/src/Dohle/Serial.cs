using System;
using System.Collections.Generic;
using System.Runtime.ExceptionServices;
using System.Threading;
using System.Threading.Tasks;

namespace Dohle
{
    /// <summary>Runs handlers of the application on the thread pool, one after the other, so that a slow one holds up nobody else's.</summary>
    internal sealed class Serial
    {
        [ThreadStatic]
        private static Serial? current;
        private readonly Queue<Action> actions = new Queue<Action>();
        private bool running;
        private int reported;
        private ExceptionDispatchInfo? thrown;

        /// <summary>Whether the caller is one of its handlers.</summary>
        public bool IsCurrent => current == this;

        public void Add(Action action)
        {
            lock (actions)
            {
                actions.Enqueue(action);
                if (running) return;
                running = true;
            }
            ThreadPool.UnsafeQueueUserWorkItem(state => ((Serial)state!).Run(), this);
        }

        /// <summary>Throws what a handler threw, once.</summary>
        public void Rethrow() => Interlocked.Exchange(ref thrown, null)?.Throw();

        /// <summary>A handler has thrown.</summary>
        public void Failed(Exception exception) => Interlocked.CompareExchange(ref thrown, ExceptionDispatchInfo.Capture(exception), null);

        /// <summary>Completes when what was added before has run.</summary>
        public Task Drained()
        {
            var drained = new TaskCompletionSource<object?>(TaskCreationOptions.RunContinuationsAsynchronously);
            Add(() => drained.TrySetResult(null));
            return drained.Task;
        }

        /// <summary>Reports that have run since this was asked for last; waits for the first of them.</summary>
        public int Reported(TimeSpan timeout)
        {
            lock (actions)
            {
                if (reported == 0 && !IsCurrent) Monitor.Wait(actions, Engine.Bounded(timeout));
                int taken = reported;
                reported = 0;
                return taken;
            }
        }

        /// <summary>So many reports have run.</summary>
        public void Report(int count)
        {
            lock (actions)
            {
                reported += count;
                Monitor.PulseAll(actions);
            }
        }

        private void Run()
        {
            current = this;
            while (Next() is Action action)
            {
                try
                {
                    action();
                }
                catch (Exception exception)
                {
                    Failed(exception);
                }
            }
            current = null;
        }

        private Action? Next()
        {
            lock (actions)
            {
                if (actions.Count > 0) return actions.Dequeue();
                running = false;
                return null;
            }
        }
    }
}
