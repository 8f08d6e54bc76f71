using System;
using System.Runtime.ConstrainedExecution;
using System.Runtime.InteropServices;

namespace Dohle
{
    /// <summary>Memory that stays where it is.</summary>
    internal sealed unsafe class Memory : CriticalFinalizerObject, IDisposable
    {
        public Memory(int length)
        {
            Start = (byte*)Marshal.AllocHGlobal(length);
            Length = length;
        }

        public byte* Start { get; private set; }
        public int Length { get; private set; }

        /// <summary>Twice as much; what is in it stays.</summary>
        public void Grow()
        {
            if (Length > int.MaxValue / 2) throw KafkaException.Of(new Error(ErrorCode.MessageTooLarge, "the record has more than a gigabyte", ErrorClass.InvalidConfiguration));
            int more = Length * 2;
            Start = (byte*)Marshal.ReAllocHGlobal((IntPtr)Start, (IntPtr)more);
            Length = more;
        }

        public void Dispose()
        {
            Marshal.FreeHGlobal((IntPtr)Start);
            Start = null;
            GC.SuppressFinalize(this);
        }

        ~Memory() => Marshal.FreeHGlobal((IntPtr)Start);
    }
}
