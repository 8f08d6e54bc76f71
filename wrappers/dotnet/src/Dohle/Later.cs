using System.Collections.Generic;
using System.Runtime.InteropServices;
using System.Threading;

namespace Dohle
{
    /// <summary>The thread that gives the engine what a producer has left in its arena.</summary>
    internal static class Later
    {
        private static readonly List<Outbox> due = new List<Outbox>();
        private static bool running;

        public static void Add(Outbox outbox)
        {
            lock (due)
            {
                due.Add(outbox);
                if (!running) new Thread(Run) { IsBackground = true, Name = "dohle outbox" }.Start();
                running = true;
                Monitor.Pulse(due);
            }
        }

        private static void Run()
        {
            // There a sleep takes as long as sixteen times that.
            bool sleeps = !RuntimeInformation.IsOSPlatform(OSPlatform.Windows);
            for (;;)
            {
                Outbox[] all;
                lock (due) while (due.Count == 0) Monitor.Wait(due);
                if (sleeps) Thread.Sleep(1);
                lock (due)
                {
                    all = due.ToArray();
                    due.Clear();
                }
                foreach (Outbox outbox in all) outbox.Push();
            }
        }
    }
}
