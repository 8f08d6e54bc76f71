// JSON for what is not hot: requests, responses, options, failures. A value is null, a bool, a long, a double, a string, a
// List<object?> or a Dictionary<string, object?>. Of its own, because System.Text.Json is no part of netstandard2.0, and the package
// brings eight others along; what is read here was written by the engine.
using System;
using System.Collections;
using System.Collections.Generic;
using System.Globalization;
using System.Linq;
using System.Text;

namespace Dohle
{
    internal static class Json
    {
        public static string Write(object? value)
        {
            var text = new StringBuilder();
            Write(text, value);
            return text.ToString();
        }

        /// <summary>An object with these members; what is null is left out.</summary>
        public static Dictionary<string, object?> Object(params (string Name, object? Value)[] members)
        {
            var made = new Dictionary<string, object?>();
            foreach (var (name, value) in members) if (value != null) made[name] = value;
            return made;
        }

        /// <summary>A 64-bit integer is a decimal string, so that no language rounds it.</summary>
        public static string Decimal(long value) => value.ToString(CultureInfo.InvariantCulture);

        /// <summary>The same, read; null where there is none.</summary>
        public static long? Long(object? value) => value is string text ? long.Parse(text, CultureInfo.InvariantCulture) : value is long number ? number : (long?)null;

        /// <summary>A double, which is a string where JSON has no number for it.</summary>
        public static double Double(object? value) => value switch
        {
            long whole => whole,
            double real => real,
            "NaN" => double.NaN,
            "Infinity" => double.PositiveInfinity,
            "-Infinity" => double.NegativeInfinity,
            _ => throw new FormatException("not a double"),
        };

        /// <summary>A member that may be absent.</summary>
        public static object? Get(IDictionary<string, object?> from, string name) => from.TryGetValue(name, out object? value) ? value : null;

        public static List<object?> List<T>(IReadOnlyList<T> values, Func<T, object?> convert) => values.Select(convert).ToList();

        public static Dictionary<string, object?> Map<T>(IReadOnlyDictionary<string, T> values, Func<T, object?> convert) => values.ToDictionary(one => one.Key, one => convert(one.Value));

        public static IReadOnlyList<T> ListOf<T>(object? json, Func<object?, T> convert) => ((List<object?>)json!).Select(convert).ToList();

        public static IReadOnlyDictionary<string, T> MapOf<T>(object? json, Func<object?, T> convert) => ((Dictionary<string, object?>)json!).ToDictionary(one => one.Key, one => convert(one.Value));

        private static void Write(StringBuilder text, object? value)
        {
            switch (value)
            {
                case null: text.Append("null"); break;
                case bool yes: text.Append(yes ? "true" : "false"); break;
                case string word: WriteText(text, word); break;
                case double number when double.IsNaN(number) || double.IsInfinity(number):
                    WriteText(text, double.IsNaN(number) ? "NaN" : number > 0 ? "Infinity" : "-Infinity");
                    break;
                case double number: text.Append(number.ToString("R", CultureInfo.InvariantCulture)); break;
                case byte[] bytes: WriteText(text, Convert.ToBase64String(bytes)); break;
                case IDictionary<string, object?> members:
                    string before = "{";
                    foreach (var member in members)
                    {
                        text.Append(before);
                        WriteText(text, member.Key);
                        text.Append(':');
                        Write(text, member.Value);
                        before = ",";
                    }
                    text.Append(before == "{" ? "{}" : "}");
                    break;
                case IEnumerable list:
                    string between = "[";
                    foreach (object? element in list)
                    {
                        text.Append(between);
                        Write(text, element);
                        between = ",";
                    }
                    text.Append(between == "[" ? "[]" : "]");
                    break;
                case IFormattable number: text.Append(number.ToString(null, CultureInfo.InvariantCulture)); break;
                default: throw new ArgumentException("has no form in JSON: " + value.GetType());
            }
        }

        private static void WriteText(StringBuilder text, string word)
        {
            text.Append('"');
            for (int i = 0; i < word.Length; i++)
            {
                char c = word[i];
                bool pair = char.IsHighSurrogate(c) && i + 1 < word.Length && char.IsLowSurrogate(word[i + 1]);
                if (c == '"' || c == '\\') text.Append('\\').Append(c);
                else if (c < ' ') text.Append("\\u").Append(((int)c).ToString("x4", CultureInfo.InvariantCulture));
                else if (pair) text.Append(c).Append(word[++i]);
                else text.Append(char.IsSurrogate(c) ? '\uFFFD' : c); // half a pair has no form in UTF-8
            }
            text.Append('"');
        }

        public static object? Read(string text)
        {
            int at = 0;
            object? value = Value(text, ref at);
            Skip(text, ref at);
            return at == text.Length ? value : throw Wrong(at);
        }

        private static object? Value(string text, ref int at)
        {
            Skip(text, ref at);
            if (at == text.Length) throw Wrong(at);
            switch (text[at])
            {
                case '{': return Members(text, ref at);
                case '[': return Elements(text, ref at);
                case '"': return Text(text, ref at);
                case 't': return Word(text, ref at, "true", true);
                case 'f': return Word(text, ref at, "false", false);
                case 'n': return Word(text, ref at, "null", null);
                default: return Number(text, ref at);
            }
        }

        private static Dictionary<string, object?> Members(string text, ref int at)
        {
            var members = new Dictionary<string, object?>();
            at++;
            if (Is(text, ref at, '}')) return members;
            do
            {
                Skip(text, ref at);
                string name = Text(text, ref at);
                if (!Is(text, ref at, ':')) throw Wrong(at);
                members[name] = Value(text, ref at);
            } while (Is(text, ref at, ','));
            return Is(text, ref at, '}') ? members : throw Wrong(at);
        }

        private static List<object?> Elements(string text, ref int at)
        {
            var elements = new List<object?>();
            at++;
            if (Is(text, ref at, ']')) return elements;
            do elements.Add(Value(text, ref at)); while (Is(text, ref at, ','));
            return Is(text, ref at, ']') ? elements : throw Wrong(at);
        }

        private static object? Word(string text, ref int at, string word, object? value)
        {
            if (string.CompareOrdinal(text, at, word, 0, word.Length) != 0) throw Wrong(at);
            at += word.Length;
            return value;
        }

        private static object Number(string text, ref int at)
        {
            int start = at;
            while (at < text.Length && "+-.0123456789eE".IndexOf(text[at]) >= 0) at++;
            string number = text.Substring(start, at - start);
            if (long.TryParse(number, NumberStyles.AllowLeadingSign, CultureInfo.InvariantCulture, out long whole)) return whole;
            return double.TryParse(number, NumberStyles.Float, CultureInfo.InvariantCulture, out double real) ? real : throw Wrong(start);
        }

        private static string Text(string text, ref int at)
        {
            if (at >= text.Length || text[at] != '"') throw Wrong(at);
            int start = ++at;
            while (at < text.Length && text[at] != '"' && text[at] != '\\') at++;
            if (at < text.Length && text[at] == '"') return text.Substring(start, at++ - start);
            var made = new StringBuilder(text, start, at - start, 2 * (at - start) + 16);
            for (; at < text.Length; at++)
            {
                if (text[at] == '"')
                {
                    at++;
                    return made.ToString();
                }
                made.Append(text[at] == '\\' ? Escaped(text, ref at) : text[at]);
            }
            throw Wrong(at);
        }

        private static char Escaped(string text, ref int at)
        {
            if (++at == text.Length) throw Wrong(at);
            switch (text[at])
            {
                case 'b': return '\b';
                case 'f': return '\f';
                case 'n': return '\n';
                case 'r': return '\r';
                case 't': return '\t';
                case 'u' when at + 4 < text.Length:
                    at += 4;
                    return (char)ushort.Parse(text.Substring(at - 3, 4), NumberStyles.AllowHexSpecifier, CultureInfo.InvariantCulture);
                default: return text[at];
            }
        }

        private static bool Is(string text, ref int at, char c)
        {
            Skip(text, ref at);
            if (at == text.Length || text[at] != c) return false;
            at++;
            return true;
        }

        private static void Skip(string text, ref int at)
        {
            while (at < text.Length && text[at] <= ' ') at++;
        }

        private static FormatException Wrong(int at) => new FormatException("not JSON, at character " + at);
    }
}
