using System;
using System.Collections.Generic;
using NUnit.Framework;

namespace Dohle.Tests;

public class JsonTests
{
    [TestCase("null")]
    [TestCase("[]")]
    [TestCase("{}")]
    [TestCase("[1,-2,0.5,1E+30,true,false,null,\"\"]")]
    [TestCase("{\"a\":{\"b\":[{\"c\":\"d\"}]},\"e\":\"\\\"\\\\\\u0001 ü 𝄞\"}")]
    public void What_is_written_is_what_was_read(string json) => Assert.That(Json.Write(Json.Read(json)), Is.EqualTo(json));

    [Test]
    public void Escapes_and_spaces_are_read() => Assert.That(Json.Read(" { \"a\" : [ \"\\u00fc\\ud834\\udd1e\\n\\/\\t\" , 9223372036854775807 ] } "),
        Is.EqualTo(new Dictionary<string, object?> { ["a"] = new List<object?> { "ü𝄞\n/\t", long.MaxValue } }));

    [Test]
    public void Half_a_pair_of_surrogates_does_not_cross() => Assert.That(Json.Write("a\ud834b"), Is.EqualTo("\"a\uFFFDb\""));

    [TestCase(double.NaN, "\"NaN\"")]
    [TestCase(double.NegativeInfinity, "\"-Infinity\"")]
    [TestCase(0.1, "0.1")]
    public void Doubles_outside_of_json_are_text(double value, string json)
    {
        Assert.That(Json.Write(value), Is.EqualTo(json));
        Assert.That(Json.Double(Json.Read(json)), Is.EqualTo(value));
    }

    [TestCase("")]
    [TestCase("{")]
    [TestCase("[1 2]")]
    [TestCase("\"a")]
    [TestCase("nul")]
    [TestCase("{} {}")]
    public void What_is_no_json_is_refused(string text) => Assert.Throws<FormatException>(() => Json.Read(text));
}
