package io.dohle.internal;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;

import java.util.Arrays;
import java.util.List;
import java.util.Map;
import org.junit.jupiter.api.Test;

class JsonTest {
    @Test
    void whatIsWrittenIsReadBack() {
        Map<String, Object> map = Json.map("a", 1L, "b", List.of(true, "x\"\\\n\u0001é😀", 2.5), "none", null, "c", Map.of());
        assertEquals("{\"a\":1,\"b\":[true,\"x\\\"\\\\\\u000a\\u0001é😀\",2.5],\"c\":{}}", Json.write(map));
        assertEquals(map, Json.read(Json.write(map)));
        assertEquals(Arrays.asList(1L, null), Json.read(" [ 1 , null ] "));
        assertEquals("é/\t", Json.read("\"\\u00e9\\/\\t\""));
    }

    @Test
    void whatIsNoTextInUtf8IsReplaced() {
        assertEquals("\"a\uFFFDb\"", Json.write("a\uD83Db"));
        assertEquals("\"\uFFFD\"", Json.write("\uDE00"));
        assertEquals("\"NaN\"", Json.write(Double.NaN));
    }

    @Test
    void whatIsNoJsonIsRefused() {
        for (String text : List.of("", "{", "[1", "{\"a\"}", "tru", "1 2", "\"", "\"\\x\"", "{a:1}", "--1", "[".repeat(500))) {
            assertThrows(IllegalArgumentException.class, () -> Json.read(text), text);
        }
    }
}
