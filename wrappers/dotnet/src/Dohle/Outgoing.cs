namespace Dohle
{
    /// <summary>A record before it is in the arena. Key and value are null, bytes or text.</summary>
    internal readonly struct Outgoing
    {
        public readonly string Topic;
        public readonly int Partition;
        public readonly long Timestamp;
        public readonly object? Key;
        public readonly object? Value;
        public readonly Headers? Headers;
        public readonly IWaiter? Waiter;

        public Outgoing(string topic, int partition, long timestamp, object? key, object? value, Headers? headers, IWaiter? waiter)
        {
            Topic = topic;
            Partition = partition;
            Timestamp = timestamp;
            Key = key;
            Value = value;
            Headers = headers;
            Waiter = waiter;
        }
    }
}
