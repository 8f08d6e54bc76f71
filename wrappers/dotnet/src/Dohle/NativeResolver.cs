// Where the native library is. In an application that was restored from the NuGet package the runtime finds it by itself; this
// is for the other ways: an environment variable, a folder beside the assembly, .NET Framework, which knows no runtimes/.
using System;
using System.IO;
using System.Reflection;
using System.Runtime.InteropServices;

namespace Dohle
{
    internal static class NativeResolver
    {
        /// <summary>The library's name in every signature.</summary>
        public const string Name = "dohle";
        /// <summary>Names a file to be loaded instead of what is found otherwise.</summary>
        private const string Override = "DOHLE_LIBRARY";

        private static bool IsWindows => RuntimeInformation.IsOSPlatform(OSPlatform.Windows);
        private static bool IsMac => RuntimeInformation.IsOSPlatform(OSPlatform.OSX);

        private static string FileName => IsWindows ? "dohle.dll" : IsMac ? "libdohle.dylib" : "libdohle.so";

        /// <summary>The runtime identifier of this process, as NuGet's folders have it.</summary>
        private static string Rid
        {
            get
            {
                string system = IsWindows ? "win" : IsMac ? "osx" : File.Exists("/etc/alpine-release") ? "linux-musl" : "linux";
                return system + "-" + RuntimeInformation.ProcessArchitecture.ToString().ToLowerInvariant();
            }
        }

        private static string? Found()
        {
            string? chosen = Environment.GetEnvironmentVariable(Override);
            if (!string.IsNullOrEmpty(chosen)) return chosen;
            string? folder = Path.GetDirectoryName(typeof(NativeResolver).Assembly.Location);
            if (string.IsNullOrEmpty(folder)) folder = AppContext.BaseDirectory;
            foreach (string place in new[] { "", Path.Combine("runtimes", Rid, "native") })
            {
                string file = Path.Combine(folder!, place, FileName);
                if (File.Exists(file)) return file;
            }
            return null;
        }

#if NETCOREAPP3_0_OR_GREATER
        /// <summary>To be called before the first function is.</summary>
        public static void Install() => NativeLibrary.SetDllImportResolver(typeof(NativeResolver).Assembly, Resolve);

        private static IntPtr Resolve(string name, Assembly assembly, DllImportSearchPath? path)
        {
            if (name != Name) return IntPtr.Zero;
            string? file = Found();
            return file == null ? IntPtr.Zero : NativeLibrary.Load(file); // zero: the runtime looks where it always does
        }
#else
        /// <summary>To be called before the first function is. A library of that name that is loaded already is the one that is used.</summary>
        public static void Install()
        {
            string? file = IsWindows ? Found() : null;
            if (file != null && LoadLibraryW(file) == IntPtr.Zero)
                throw new DllNotFoundException(file + " cannot be loaded: error " + Marshal.GetLastWin32Error());
        }

        [DllImport("kernel32", CharSet = CharSet.Unicode, SetLastError = true)]
        private static extern IntPtr LoadLibraryW(string file);
#endif
    }
}
