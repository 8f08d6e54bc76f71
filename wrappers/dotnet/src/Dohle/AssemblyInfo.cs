using System.Runtime.CompilerServices;

[assembly: InternalsVisibleTo("Dohle.Tests")]
