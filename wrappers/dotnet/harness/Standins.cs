// What the packages System.Memory, System.Threading.Tasks.Extensions and Microsoft.Bcl.AsyncInterfaces add to netstandard2.0, as declarations:
// the surface that the sources use, so that they can be compiled against .NET Framework's reference assemblies where NuGet is not at hand.
// Not run, and no part of the library.
#pragma warning disable CS1591, CS0067
using System.Runtime.CompilerServices;
using System.Threading;
using System.Threading.Tasks;

namespace System
{
    public readonly ref struct ReadOnlySpan<T>
    {
        public ReadOnlySpan(T[]? array, int start, int length) => throw null!;
        public int Length => throw null!;
        public ref readonly T this[int index] => throw null!;
        public ref readonly T GetPinnableReference() => throw null!;
        public T[] ToArray() => throw null!;
        public static implicit operator ReadOnlySpan<T>(T[]? array) => throw null!;
    }

    public interface IAsyncDisposable
    {
        ValueTask DisposeAsync();
    }
}

namespace System.Collections.Generic
{
    public interface IAsyncEnumerable<out T>
    {
        IAsyncEnumerator<T> GetAsyncEnumerator(CancellationToken cancellationToken = default);
    }

    public interface IAsyncEnumerator<out T> : IAsyncDisposable
    {
        T Current { get; }
        ValueTask<bool> MoveNextAsync();
    }
}

namespace System.Threading.Tasks
{
    [AsyncMethodBuilder(typeof(AsyncValueTaskMethodBuilder))]
    public readonly struct ValueTask
    {
        public ValueTask(Task task) => throw null!;
        public ValueTask(Sources.IValueTaskSource source, short token) => throw null!;
        public Task AsTask() => throw null!;
        public ValueTaskAwaiter GetAwaiter() => throw null!;
        public ConfiguredValueTaskAwaitable ConfigureAwait(bool continueOnCapturedContext) => throw null!;
    }

    public readonly struct ValueTask<T>
    {
        public ValueTask(T result) => throw null!;
        public ValueTask(Sources.IValueTaskSource<T> source, short token) => throw null!;
        public ValueTaskAwaiter<T> GetAwaiter() => throw null!;
    }
}

namespace System.Threading.Tasks.Sources
{
    [Flags]
    public enum ValueTaskSourceOnCompletedFlags
    {
        None = 0,
    }

    public enum ValueTaskSourceStatus
    {
        Pending = 0,
    }

    public interface IValueTaskSource
    {
        ValueTaskSourceStatus GetStatus(short token);
        void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags);
        void GetResult(short token);
    }

    public interface IValueTaskSource<out T>
    {
        ValueTaskSourceStatus GetStatus(short token);
        void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags);
        T GetResult(short token);
    }

    public struct ManualResetValueTaskSourceCore<T>
    {
        public short Version => throw null!;
        public void Reset() => throw null!;
        public void SetResult(T result) => throw null!;
        public void SetException(Exception error) => throw null!;
        public T GetResult(short token) => throw null!;
        public ValueTaskSourceStatus GetStatus(short token) => throw null!;
        public void OnCompleted(Action<object?> continuation, object? state, short token, ValueTaskSourceOnCompletedFlags flags) => throw null!;
    }
}

namespace System.Runtime.CompilerServices
{
    public readonly struct ValueTaskAwaiter : ICriticalNotifyCompletion
    {
        public bool IsCompleted => throw null!;
        public void GetResult() => throw null!;
        public void OnCompleted(Action continuation) => throw null!;
        public void UnsafeOnCompleted(Action continuation) => throw null!;
    }

    public readonly struct ValueTaskAwaiter<T> : ICriticalNotifyCompletion
    {
        public bool IsCompleted => throw null!;
        public T GetResult() => throw null!;
        public void OnCompleted(Action continuation) => throw null!;
        public void UnsafeOnCompleted(Action continuation) => throw null!;
    }

    public readonly struct ConfiguredValueTaskAwaitable
    {
        public ValueTaskAwaiter GetAwaiter() => throw null!;
    }

    public struct AsyncValueTaskMethodBuilder
    {
        public static AsyncValueTaskMethodBuilder Create() => throw null!;
        public ValueTask Task => throw null!;
        public void Start<T>(ref T stateMachine) where T : IAsyncStateMachine => throw null!;
        public void SetStateMachine(IAsyncStateMachine stateMachine) => throw null!;
        public void SetResult() => throw null!;
        public void SetException(Exception exception) => throw null!;
        public void AwaitOnCompleted<TAwaiter, T>(ref TAwaiter awaiter, ref T stateMachine) where TAwaiter : INotifyCompletion where T : IAsyncStateMachine => throw null!;
        public void AwaitUnsafeOnCompleted<TAwaiter, T>(ref TAwaiter awaiter, ref T stateMachine) where TAwaiter : ICriticalNotifyCompletion where T : IAsyncStateMachine => throw null!;
    }

    public struct AsyncIteratorMethodBuilder
    {
        public static AsyncIteratorMethodBuilder Create() => throw null!;
        public void MoveNext<T>(ref T stateMachine) where T : IAsyncStateMachine => throw null!;
        public void Complete() => throw null!;
        public void AwaitOnCompleted<TAwaiter, T>(ref TAwaiter awaiter, ref T stateMachine) where TAwaiter : INotifyCompletion where T : IAsyncStateMachine => throw null!;
        public void AwaitUnsafeOnCompleted<TAwaiter, T>(ref TAwaiter awaiter, ref T stateMachine) where TAwaiter : ICriticalNotifyCompletion where T : IAsyncStateMachine => throw null!;
    }

    [AttributeUsage(AttributeTargets.Parameter)]
    public sealed class EnumeratorCancellationAttribute : Attribute { }

    [AttributeUsage(AttributeTargets.Method)]
    public sealed class AsyncIteratorStateMachineAttribute : StateMachineAttribute
    {
        public AsyncIteratorStateMachineAttribute(Type stateMachineType) : base(stateMachineType) { }
    }

    [AttributeUsage(AttributeTargets.Struct)]
    public sealed class AsyncMethodBuilderAttribute : Attribute
    {
        public AsyncMethodBuilderAttribute(Type builderType) => throw null!;
    }
}
