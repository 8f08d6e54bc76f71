// Runs the NUnit tests of an assembly: X.dll [REGEX on a test's full name]. One line per test, "ok NAME" or "not ok NAME" and why, and at
// the end how many there were of each. Exit code 0: at least one has run, and none has failed.
using System;
using System.Collections.Generic;
using System.IO;
using System.Reflection;
using System.Security;
using NUnit.Framework.Api;
using NUnit.Framework.Interfaces;
using NUnit.Framework.Internal;

static class Runner
{
    static int Main(string[] args)
    {
        var runner = new NUnitTestAssemblyRunner(new DefaultTestAssemblyBuilder());
        var settings = new Dictionary<string, object> { ["WorkDirectory"] = Directory.GetCurrentDirectory() };
        runner.Load(Assembly.LoadFrom(Path.GetFullPath(args[0])), settings);
        var filter = args.Length < 2 ? TestFilter.Empty : TestFilter.FromXml("<filter><test re=\"1\">" + SecurityElement.Escape(args[1]) + "</test></filter>");
        var result = runner.Run(new Lines(Console.Out), filter);
        Console.WriteLine(result.PassCount + " passed, " + result.FailCount + " failed, " + result.SkipCount + " skipped");
        return result.PassCount > 0 && result.ResultState.Status != TestStatus.Failed ? 0 : 1;
    }

    /// <summary>Has the console from before the run: NUnit takes it over.</summary>
    sealed class Lines : ITestListener
    {
        readonly TextWriter console;
        public Lines(TextWriter console) => this.console = TextWriter.Synchronized(console);
        public void TestStarted(ITest test) { }
        public void TestOutput(TestOutput output) => console.Write(output.Text);
        public void SendMessage(TestMessage message) { }

        public void TestFinished(ITestResult result)
        {
            bool failed = result.ResultState.Status == TestStatus.Failed;
            if (result.Test.IsSuite && !(failed && result.ResultState.Site != FailureSite.Child)) return;
            string took = " (" + Math.Round(result.Duration * 1000) + " ms)";
            console.WriteLine((failed ? "not ok " : result.ResultState.Status == TestStatus.Passed ? "ok " : "skipped ") + result.Name + took);
            if (failed) console.WriteLine(result.Message + "\n" + result.StackTrace);
            if (failed) console.Write(result.Output);
        }
    }
}
