"""Compiles Compiler.cs once, with Roslyn hosted in Python: it comes as libraries only, and this is the first program that calls them.

    python3 bootstrap.py RUNTIME COMPILER_FOLDER Compiler.cs
"""

import glob
import os
import sys

from clr_loader import get_coreclr
from pythonnet import set_runtime

runtime, compiler, source = sys.argv[1:]
set_runtime(get_coreclr(runtime_config=os.path.join(compiler, "Compiler.runtimeconfig.json"), dotnet_root=runtime))
import clr  # noqa: E402  (needs the runtime)
from System.IO import File, MemoryStream  # noqa: E402
from System.Runtime.Loader import AssemblyLoadContext  # noqa: E402

# Roslyn wants newer libraries than the runtime has: they are loaded in a context of their own.
own = AssemblyLoadContext("roslyn", False)


def resolve(context, name):
    file = os.path.join(compiler, name.Name + ".dll")
    return context.LoadFromAssemblyPath(file) if os.path.exists(file) else None


own.Resolving += resolve
newer = ["System.Runtime.CompilerServices.Unsafe", "System.Collections.Immutable", "System.Reflection.Metadata"]
roslyn = ["Microsoft.CodeAnalysis", "Microsoft.CodeAnalysis.CSharp"]
for name in newer + roslyn:
    own.LoadFromAssemblyPath(os.path.join(compiler, name + ".dll"))
for name in roslyn:
    clr.AddReference(name)
from Microsoft.CodeAnalysis import MetadataReference, OutputKind, SyntaxTree  # noqa: E402
from Microsoft.CodeAnalysis.CSharp import CSharpCompilation, CSharpCompilationOptions, CSharpSyntaxTree  # noqa: E402
from System.Collections.Generic import List  # noqa: E402

assemblies = [os.path.join(compiler, name + ".dll") for name in roslyn + newer]
there = {os.path.basename(file) for file in assemblies}
for file in glob.glob(os.path.join(runtime, "shared/Microsoft.NETCore.App/*/*.dll")):
    name = os.path.basename(file)
    if name not in there and name.startswith(("System.", "netstandard", "Microsoft.Win32")):
        assemblies.append(file)
references = List[MetadataReference]()
for file in assemblies:
    references.Add(MetadataReference.CreateFromFile(file))
trees = List[SyntaxTree]()
trees.Add(CSharpSyntaxTree.ParseText(File.ReadAllText(source)))
made = CSharpCompilation.Create("Compiler", trees, references, CSharpCompilationOptions(OutputKind.ConsoleApplication))
out = MemoryStream()
result = made.Emit(out)
if not result.Success:
    sys.exit("\n".join(str(one) for one in result.Diagnostics))
File.WriteAllBytes(os.path.join(compiler, "Compiler.dll"), out.ToArray())
