using System;
using System.Text;

namespace Dohle
{
    /// <summary>Which part of a record is meant.</summary>
    public enum MessageComponentType
    {
        /// <summary>The key.</summary>
        Key = 1,
        /// <summary>The value.</summary>
        Value = 2,
    }

    /// <summary>What a serializer is told beside the data.</summary>
    public readonly struct SerializationContext
    {
        /// <summary>A context of an application's own making, for tests of its serializers.</summary>
        public SerializationContext(MessageComponentType component, string topic, Headers? headers = null)
        {
            Component = component;
            Topic = topic;
            Headers = headers;
        }

        /// <summary>Whether it is a key or a value.</summary>
        public MessageComponentType Component { get; }
        /// <summary>The topic's name.</summary>
        public string Topic { get; }
        /// <summary>The record's headers. A serializer may add some where the record has any; of a record that is read this is null.</summary>
        public Headers? Headers { get; }
    }

    /// <summary>Makes bytes of keys or values. It is called from the threads that produce.</summary>
    /// <typeparam name="T">Type of the data.</typeparam>
    public interface ISerializer<T>
    {
        /// <summary>The bytes; null is a null key, or a tombstone.</summary>
        byte[]? Serialize(T data, SerializationContext context);
    }

    /// <summary>Makes keys or values of bytes.</summary>
    /// <typeparam name="T">Type of the data.</typeparam>
    public interface IDeserializer<T>
    {
        /// <summary>The data. The bytes are lent for the call.</summary>
        T Deserialize(ReadOnlySpan<byte> data, bool isNull, SerializationContext context);
    }

    /// <summary>What a key or a value may be when it has nothing to say: its bytes are null.</summary>
    public sealed class Null
    {
        private Null() { }
    }

    /// <summary>A key or a value that is not looked at.</summary>
    public sealed class Ignore
    {
        private Ignore() { }
    }

    /// <summary>The serializers that are there.</summary>
    public static class Serializers
    {
        /// <summary>Text in UTF-8.</summary>
        public static readonly ISerializer<string?> Utf8 = new Utf8Serializer();
        /// <summary>Bytes as they are. They are not copied before <c>Produce</c> has returned.</summary>
        public static readonly ISerializer<byte[]?> ByteArray = new Made<byte[]?>(data => data);
        /// <summary>Nothing: null.</summary>
        public static readonly ISerializer<Null?> Null = new Made<Null?>(_ => null);
        /// <summary>A 32-bit integer, big-endian.</summary>
        public static readonly ISerializer<int> Int32 = new Made<int>(data => BigEndian((uint)data, 4));
        /// <summary>A 64-bit integer, big-endian.</summary>
        public static readonly ISerializer<long> Int64 = new Made<long>(data => BigEndian((ulong)data, 8));
        /// <summary>A 32-bit floating-point number, big-endian.</summary>
        public static readonly ISerializer<float> Single = new Made<float>(data => BigEndian((uint)BitConverter.ToInt32(BitConverter.GetBytes(data), 0), 4));
        /// <summary>A 64-bit floating-point number, big-endian.</summary>
        public static readonly ISerializer<double> Double = new Made<double>(data => BigEndian((ulong)BitConverter.DoubleToInt64Bits(data), 8));

        private sealed class Made<T> : ISerializer<T>
        {
            private readonly Func<T, byte[]?> make;
            public Made(Func<T, byte[]?> make) => this.make = make;
            public byte[]? Serialize(T data, SerializationContext context) => make(data);
        }

        private static byte[] BigEndian(ulong number, int bytes)
        {
            var made = new byte[bytes];
            for (int i = bytes - 1; i >= 0; i--, number >>= 8) made[i] = (byte)number;
            return made;
        }

        internal static ISerializer<T> Default<T>() =>
            Of<T>(Utf8) ?? Of<T>(ByteArray) ?? Of<T>(Null) ?? Of<T>(Int32) ?? Of<T>(Int64) ?? Of<T>(Single) ?? Of<T>(Double)
            ?? throw new InvalidOperationException("there is no serializer for " + typeof(T) + ": set one");

        private static ISerializer<T>? Of<T>(object one) => one as ISerializer<T>;
    }

    /// <summary>Known to the producer, which writes text without an array in between.</summary>
    internal sealed class Utf8Serializer : ISerializer<string?>
    {
        public byte[]? Serialize(string? data, SerializationContext context) => data == null ? null : Encoding.UTF8.GetBytes(data);
    }

    /// <summary>The deserializers that are there.</summary>
    public static class Deserializers
    {
        /// <summary>Text in UTF-8; null where the bytes are null.</summary>
        public static readonly IDeserializer<string> Utf8 = new Made<string>((data, isNull) => isNull ? null! : Text(data));
        /// <summary>Bytes as they are, copied; null where they are null.</summary>
        public static readonly IDeserializer<byte[]> ByteArray = new Made<byte[]>((data, isNull) => isNull ? null! : data.ToArray());
        /// <summary>Null, of bytes that must be null.</summary>
        public static readonly IDeserializer<Null> Null = new Made<Null>((_, isNull) => isNull ? null! : throw new ArgumentException("the data is not null"));
        /// <summary>Null, whatever the bytes are.</summary>
        public static readonly IDeserializer<Ignore> Ignore = new Made<Ignore>((_, _) => null!);
        /// <summary>A 32-bit integer, big-endian.</summary>
        public static readonly IDeserializer<int> Int32 = new Made<int>((data, isNull) => (int)BigEndian(data, isNull, 4));
        /// <summary>A 64-bit integer, big-endian.</summary>
        public static readonly IDeserializer<long> Int64 = new Made<long>((data, isNull) => (long)BigEndian(data, isNull, 8));
        /// <summary>A 32-bit floating-point number, big-endian.</summary>
        public static readonly IDeserializer<float> Single = new Made<float>((data, isNull) => BitConverter.ToSingle(BitConverter.GetBytes((int)BigEndian(data, isNull, 4)), 0));
        /// <summary>A 64-bit floating-point number, big-endian.</summary>
        public static readonly IDeserializer<double> Double = new Made<double>((data, isNull) => BitConverter.Int64BitsToDouble((long)BigEndian(data, isNull, 8)));

        private delegate T Read<T>(ReadOnlySpan<byte> data, bool isNull);

        private sealed class Made<T> : IDeserializer<T>
        {
            private readonly Read<T> read;
            public Made(Read<T> read) => this.read = read;
            public T Deserialize(ReadOnlySpan<byte> data, bool isNull, SerializationContext context) => read(data, isNull);
        }

        private static unsafe string Text(ReadOnlySpan<byte> data)
        {
            if (data.Length == 0) return "";
            fixed (byte* bytes = data) return Encoding.UTF8.GetString(bytes, data.Length);
        }

        private static ulong BigEndian(ReadOnlySpan<byte> data, bool isNull, int bytes)
        {
            if (isNull || data.Length != bytes) throw new ArgumentException("the data is " + (isNull ? "null" : data.Length + " bytes long") + ", not " + bytes + " bytes");
            ulong number = 0;
            for (int i = 0; i < bytes; i++) number = number << 8 | data[i];
            return number;
        }

        internal static IDeserializer<T> Default<T>() =>
            Of<T>(Utf8) ?? Of<T>(ByteArray) ?? Of<T>(Null) ?? Of<T>(Ignore) ?? Of<T>(Int32) ?? Of<T>(Int64) ?? Of<T>(Single) ?? Of<T>(Double)
            ?? throw new InvalidOperationException("there is no deserializer for " + typeof(T) + ": set one");

        private static IDeserializer<T>? Of<T>(object one) => one as IDeserializer<T>;
    }
}
