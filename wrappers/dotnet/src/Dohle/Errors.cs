using System;
using System.Collections.Generic;
using System.Linq;

namespace Dohle
{
    /// <summary>The groups of errors of KIP-1050, which say what to do; each has an exception class of its own.</summary>
    public enum ErrorClass
    {
        /// <summary>Outside of the groups: a plain <see cref="KafkaException"/>.</summary>
        Other,
        /// <summary>The same call may succeed when it is made again: <see cref="RetriableException"/>.</summary>
        Retriable,
        /// <summary>So it may, after the engine has asked for the cluster's metadata anew: <see cref="RefreshRetriableException"/>.</summary>
        RefreshRetriable,
        /// <summary>The transaction must be aborted; the producer stays usable: <see cref="AbortableException"/>.</summary>
        Abortable,
        /// <summary>The application must act, for example make a new producer or seek: <see cref="ApplicationRecoverableException"/>.</summary>
        ApplicationRecoverable,
        /// <summary>An option or an argument is wrong: <see cref="InvalidConfigurationException"/>.</summary>
        InvalidConfiguration,
    }

    /// <summary>Whether a record is in the log, as far as can be known.</summary>
    public enum PersistenceStatus
    {
        /// <summary>It is not, and may be sent again without making a duplicate.</summary>
        NotPersisted,
        /// <summary>It left the client, and no answer told its fate.</summary>
        PossiblyPersisted,
        /// <summary>It is acknowledged.</summary>
        Persisted,
    }

    /// <summary>What went wrong, as data.</summary>
    public sealed class Error
    {
        internal Error(string code, string reason, ErrorClass group = ErrorClass.Other, bool retriable = false)
        {
            Code = code;
            Reason = reason;
            Class = group;
            IsRetriable = retriable;
        }

        /// <summary>Kafka's name of it, such as <c>UNKNOWN_TOPIC_OR_PARTITION</c>, or one of Dohle's, such as <c>CLOSED</c>: see <see cref="ErrorCode"/>. <c>NO_ERROR</c>: none.</summary>
        public string Code { get; }
        /// <summary>What went wrong and what to do, for people.</summary>
        public string Reason { get; }
        /// <summary>Its group.</summary>
        public ErrorClass Class { get; }
        /// <summary>Whether the same call may succeed when it is made again.</summary>
        public bool IsRetriable { get; private set; }
        /// <summary>Whether the producer or consumer that gave it is of no more use.</summary>
        public bool IsFatal { get; private set; }
        /// <summary>Whether it ended a transaction, which is aborted or must be.</summary>
        public bool IsAbortable { get; private set; }
        /// <summary>Of a record that was not acknowledged: whether it is in the log all the same. Null for other errors.</summary>
        public PersistenceStatus? Persistence { get; internal set; }
        /// <summary>What it came from, nearest first.</summary>
        public IReadOnlyList<string> Causes { get; private set; } = Array.Empty<string>();
        /// <summary>Of an admin call about several things: those that failed, in the order of the call. Those not named were done.</summary>
        public IReadOnlyList<FailedItem> Items { get; private set; } = Array.Empty<FailedItem>();

        /// <summary>Whether it is an error: false for the one of a report of success.</summary>
        public bool IsError => Code != ErrorCode.NoError;

        /// <summary>Code and reason.</summary>
        public override string ToString() => IsError ? Code + ": " + Reason : Code;

        internal static readonly Error None = new Error(ErrorCode.NoError, "");

        /// <summary>The same, of a transaction that is to be aborted for it.</summary>
        internal Error Aborting() => new Error(Code, Reason, ErrorClass.Abortable) { IsAbortable = true, Persistence = Persistence };

        internal static Error Closed(string what) => new Error(ErrorCode.Closed, "the " + what + " is closed");

        internal static Error Argument(string path, string problem) =>
            new Error(ErrorCode.InvalidArgument, path + ": " + problem, ErrorClass.InvalidConfiguration);

        internal static Error FromJson(string json) => From((IDictionary<string, object?>)Json.Read(json)!);

        internal static Error From(IDictionary<string, object?> from)
        {
            object? Member(string name) => from.TryGetValue(name, out object? value) ? value : null;
            Enum.TryParse((string?)Member("class"), ignoreCase: true, out ErrorClass group);
            var made = new Error((string)Member("code")!, (string?)Member("message") ?? "", group, Member("retriable") is true)
            {
                IsFatal = Member("fatal") is true,
                IsAbortable = Member("abortable") is true,
                Persistence = PersistenceOf((string?)Member("persistence")),
            };
            if (Member("causes") is List<object?> causes) made.Causes = causes.Cast<string>().ToArray();
            if (Member("items") is List<object?> items) made.Items = items.Select(item => new FailedItem((IDictionary<string, object?>)item!)).ToArray();
            return made;
        }

        private static PersistenceStatus? PersistenceOf(string? name) => name switch
        {
            "not-persisted" => PersistenceStatus.NotPersisted,
            "possibly-persisted" => PersistenceStatus.PossiblyPersisted,
            "persisted" => PersistenceStatus.Persisted,
            _ => null,
        };
    }

    /// <summary>One of the things that a call was about, and why it failed.</summary>
    public sealed class FailedItem
    {
        internal FailedItem(IDictionary<string, object?> from)
        {
            Name = (string)from["name"]!;
            Error = Error.From((IDictionary<string, object?>)from["error"]!);
        }

        /// <summary>Its name, such as that of a topic; <c>orders-3</c> is a partition.</summary>
        public string Name { get; }
        /// <summary>Why.</summary>
        public Error Error { get; }
    }

    /// <summary>
    /// Every failure of Dohle. Its subclasses are the five groups of KIP-1050, which say what to do; what is outside of them is a
    /// plain <see cref="KafkaException"/>. What a cancellation token ends is an <see cref="OperationCanceledException"/>, and the use of
    /// something that was disposed of is an <see cref="ObjectDisposedException"/>.
    /// </summary>
    public class KafkaException : Exception
    {
        /// <summary>An exception of the application's own making, for tests of its error handling.</summary>
        public KafkaException(Error error, Exception? inner = null) : base(error.Code + ": " + error.Reason, inner ?? CauseOf(error)) => Error = error;

        /// <summary>What went wrong.</summary>
        public Error Error { get; }
        /// <summary>Kafka's name of the error, or one of Dohle's: see <see cref="ErrorCode"/>.</summary>
        public string Code => Error.Code;
        /// <summary>Whether the same call may succeed when it is made again.</summary>
        public bool IsRetriable => Error.IsRetriable;
        /// <summary>Whether the producer or consumer that gave it is of no more use.</summary>
        public bool IsFatal => Error.IsFatal;
        /// <summary>Whether it ended a transaction, which is aborted or must be.</summary>
        public bool IsAbortable => Error.IsAbortable;
        /// <summary>Of a record that was not acknowledged: whether it is in the log all the same.</summary>
        public PersistenceStatus? Persistence => Error.Persistence;
        /// <summary>Of an admin call about several things: those that failed, in the order of the call.</summary>
        public IReadOnlyList<FailedItem> Items => Error.Items;

        internal static KafkaException Of(Error error) => error.Class switch
        {
            ErrorClass.Retriable => new RetriableException(error),
            ErrorClass.RefreshRetriable => new RefreshRetriableException(error),
            ErrorClass.Abortable => new AbortableException(error),
            ErrorClass.ApplicationRecoverable => new ApplicationRecoverableException(error),
            ErrorClass.InvalidConfiguration => new InvalidConfigurationException(error),
            _ => new KafkaException(error),
        };

        private static Exception? CauseOf(Error error) =>
            error.Causes.Reverse().Aggregate((Exception?)null, (inner, message) => new Exception(message, inner));
    }

    /// <summary>May succeed when the same call is made again.</summary>
    public class RetriableException : KafkaException
    {
        internal RetriableException(Error error) : base(error) { }
    }

    /// <summary>May succeed when the same call is made again, after the engine has asked for the cluster's metadata anew.</summary>
    public sealed class RefreshRetriableException : RetriableException
    {
        internal RefreshRetriableException(Error error) : base(error) { }
    }

    /// <summary>The transaction must be aborted; the producer stays usable.</summary>
    public sealed class AbortableException : KafkaException
    {
        internal AbortableException(Error error) : base(error) { }
    }

    /// <summary>The application must act, for example make a new producer, join anew or seek.</summary>
    public sealed class ApplicationRecoverableException : KafkaException
    {
        internal ApplicationRecoverableException(Error error) : base(error) { }
    }

    /// <summary>An option or an argument is wrong; the message names it, its value and what is allowed.</summary>
    public sealed class InvalidConfigurationException : KafkaException
    {
        internal InvalidConfigurationException(Error error, Exception? inner = null) : base(error, inner) { }
    }

    /// <summary>A record could not be given to the producer, or was not acknowledged.</summary>
    /// <typeparam name="TKey">Type of the key.</typeparam>
    /// <typeparam name="TValue">Type of the value.</typeparam>
    public class ProduceException<TKey, TValue> : KafkaException
    {
        internal ProduceException(Error error, DeliveryResult<TKey, TValue> result, Exception? inner = null) : base(error, inner ?? Of(error))
        {
            DeliveryResult = result;
            error.Persistence ??= result.Status;
        }

        /// <summary>The record, and whether it is in the log all the same.</summary>
        public DeliveryResult<TKey, TValue> DeliveryResult { get; }
    }

    /// <summary>A record was read whose key or value its deserializer does not understand. <see cref="IConsumer{TKey, TValue}.Consume(System.Threading.CancellationToken)"/> goes on behind it.</summary>
    public class ConsumeException : KafkaException
    {
        internal ConsumeException(Error error, ConsumeResult<byte[]?, byte[]?> record, Exception inner) : base(error, inner) => ConsumerRecord = record;

        /// <summary>The record as bytes.</summary>
        public ConsumeResult<byte[]?, byte[]?> ConsumerRecord { get; }
    }
}
