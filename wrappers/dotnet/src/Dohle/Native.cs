// Every function of dohle.h that is used, and the structs they fill: blittable signatures only, so that a call costs a jump.
// What they mean is said in native/ffi/include/dohle.h; nothing is decided here. All strings are UTF-8 that ends with a NUL.
using System;
using System.Runtime.InteropServices;

namespace Dohle
{
    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct NativeChunk
    {
        public uint Size;
        public int Partition;
        public long BaseOffset;
        public long HighWatermark;
        public int LeaderEpoch;
        public uint Epoch;
        public uint Count;
        public uint TopicLength;
        public byte* Topic;
        public byte* Bytes;
        public UIntPtr BytesLength;
        public int* Index;
        public UIntPtr IndexLength;
        public IntPtr Progress;
        public IntPtr Memory;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct NativeEntry
    {
        public int Kind;
        public uint Handle;
        public uint Id;
        public uint Index;
        public uint Count;
        public int Partition;
        public int Persistence;
        public int HasText;
        public long BaseOffset;
        public long AppendTime;
        public byte* Text;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct NativeHeader
    {
        public byte* Name;
        public UIntPtr NameLength;
        public byte* Value;
        public UIntPtr ValueLength;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal unsafe struct NativeRecord
    {
        public uint Size;
        public uint Topic;
        public int Partition;
        public uint HeaderCount;
        public long Timestamp;
        public byte* Key;
        public UIntPtr KeyLength;
        public byte* Value;
        public UIntPtr ValueLength;
        public NativeHeader* Headers;
    }

    [StructLayout(LayoutKind.Sequential)]
    internal struct NativeAppended
    {
        public uint Size;
        public uint Count;
        public ulong Position;
        public uint Refused;
        public uint Full;
    }

    internal static unsafe class Native
    {
        /// <summary>The version of dohle.h that these signatures are of.</summary>
        public const uint AbiVersion = 1;

        static Native() => NativeResolver.Install();

        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern uint dohle_abi_version();
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern byte* dohle_version();
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_environment_new(IntPtr* environment, IntPtr* error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern void dohle_environment_close(IntPtr environment);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern void dohle_environment_free(IntPtr environment);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_wait(IntPtr environment, long timeoutMs, IntPtr* error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_drain(IntPtr environment, NativeEntry* entries, UIntPtr capacity, UIntPtr entrySize, IntPtr* error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_open(IntPtr environment, byte* kind, uint parent, byte* options, uint* handle, IntPtr* error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_invoke(IntPtr environment, uint handle, byte* operation, byte* request, byte** response, IntPtr* error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_call(IntPtr environment, uint id, uint handle, byte* operation, byte* request, byte* arena, UIntPtr arenaLength, IntPtr* error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_cancel(IntPtr environment, uint id, IntPtr* error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_take_chunk(IntPtr environment, uint id, NativeChunk* chunk, IntPtr* error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_poll(IntPtr environment, uint consumer, long timeoutMs, NativeChunk* chunk, byte** question, IntPtr* error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_question(IntPtr environment, uint consumer, long timeoutMs, byte** question, IntPtr* error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_wake(IntPtr environment, uint consumer, IntPtr* error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern void dohle_chunk_free(NativeChunk* chunk);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_progress_set(IntPtr progress, uint finished, uint stepped);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern uint* dohle_progress_words(IntPtr progress);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern void dohle_progress_free(IntPtr progress);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_topic(IntPtr environment, uint producer, byte* name, uint* topic, IntPtr* error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_arena_write(byte* arena, UIntPtr capacity, UIntPtr* position, NativeRecord* record, IntPtr* error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern int dohle_append(IntPtr environment, uint producer, byte* arena, UIntPtr start, UIntPtr end, uint* answers, UIntPtr capacity, NativeAppended* appended, IntPtr* error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern byte* dohle_error_json(IntPtr error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern IntPtr dohle_error_at(IntPtr error, uint place);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern void dohle_error_free(IntPtr error);
        [DllImport(NativeResolver.Name, CallingConvention = CallingConvention.Cdecl)]
        public static extern void dohle_text_free(byte* text);
    }
}
