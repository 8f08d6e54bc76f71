// A compiler program for C# 10, on the Roslyn libraries that npm packages carry:
//   SOURCE... -out:X.dll [-exe] [-doc:X.xml] [-r:Y.dll]... [-refs:FOLDER]... [-define:A;B]
// Without -refs the assemblies of the runtime that it runs on are referenced. Everything is compiled as the project file says: optimized,
// nullable, unsafe code allowed, and each warning is an error, that of a public member without documentation too (with -doc).
using System;
using System.Collections.Generic;
using System.IO;
using System.Linq;
using System.Text;
using Microsoft.CodeAnalysis;
using Microsoft.CodeAnalysis.CSharp;
using Microsoft.CodeAnalysis.Emit;
using Microsoft.CodeAnalysis.Text;

static class Compiler
{
    static int Main(string[] args)
    {
        var given = args.Where(arg => arg[0] == '-' && arg.Contains(':')).ToLookup(arg => arg.Substring(1, arg.IndexOf(':') - 1), arg => arg.Substring(arg.IndexOf(':') + 1));
        var sources = args.Where(arg => arg[0] != '-').ToList();
        string output = given["out"].Single(), docs = given["doc"].SingleOrDefault();
        bool program = args.Contains("-exe");

        var references = given["r"].ToList();
        var names = new HashSet<string>(references.Select(Path.GetFileName));
        references.AddRange((given["refs"].Any() ? given["refs"].SelectMany(folder => Directory.GetFiles(folder, "*.dll")) : Framework()).Where(file => names.Add(Path.GetFileName(file))));

        var parse = new CSharpParseOptions(LanguageVersion.CSharp10, docs == null ? DocumentationMode.Parse : DocumentationMode.Diagnose,
            preprocessorSymbols: given["define"].SelectMany(names => names.Split(';')));
        var trees = sources.Select(file => CSharpSyntaxTree.ParseText(SourceText.From(File.ReadAllText(file), Encoding.UTF8), parse, Path.GetFullPath(file)));
        var options = new CSharpCompilationOptions(program ? OutputKind.ConsoleApplication : OutputKind.DynamicallyLinkedLibrary, allowUnsafe: true,
            optimizationLevel: OptimizationLevel.Release, deterministic: true, nullableContextOptions: NullableContextOptions.Enable,
            generalDiagnosticOption: ReportDiagnostic.Error,
            // Assemblies of different versions are unified, as the SDK does without a word.
            specificDiagnosticOptions: new Dictionary<string, ReportDiagnostic> { ["CS1701"] = ReportDiagnostic.Suppress, ["CS1702"] = ReportDiagnostic.Suppress });
        var compilation = CSharpCompilation.Create(Path.GetFileNameWithoutExtension(output), trees, references.Select(file => MetadataReference.CreateFromFile(file)), options);

        Directory.CreateDirectory(Path.GetDirectoryName(Path.GetFullPath(output)));
        using var assembly = new MemoryStream();
        using var documentation = new MemoryStream();
        var result = compilation.Emit(assembly, xmlDocumentationStream: docs == null ? null : documentation,
            options: new EmitOptions(debugInformationFormat: DebugInformationFormat.Embedded));
        foreach (var diagnostic in result.Diagnostics.Where(one => one.Severity >= DiagnosticSeverity.Warning && !one.IsSuppressed)) Console.Error.WriteLine(diagnostic);
        if (!result.Success) return 1;
        File.WriteAllBytes(output, assembly.ToArray());
        if (docs != null) File.WriteAllBytes(docs, documentation.ToArray());
        if (program) File.WriteAllText(Path.ChangeExtension(output, ".runtimeconfig.json"), "{\"runtimeOptions\":{\"tfm\":\"netcoreapp3.1\",\"framework\":{\"name\":\"Microsoft.NETCore.App\",\"version\":\"3.1.0\"}}}\n");
        return 0;
    }

    /// <summary>The runtime's assemblies, but not those that this program brought along.</summary>
    static IEnumerable<string> Framework() =>
        ((string)AppContext.GetData("TRUSTED_PLATFORM_ASSEMBLIES")).Split(':').Where(file => file.Contains("/Microsoft.NETCore.App/"));
}
