// Kafka's shell tools in one process: Tools BOOTSTRAP answers {"case": class, "name": arguments and input as JSON} with what the tool
// printed and how it ended. `@broker` stands for the address.

import com.fasterxml.jackson.databind.JsonNode;
import java.io.BufferedReader;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.InputStreamReader;
import java.io.OutputStream;
import java.io.PrintStream;
import java.lang.reflect.InvocationTargetException;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.utils.Exit;

public class Tools {
    /** Thrown where a tool ends its process. Some tools catch it, print it, and end once more: the first end is the one. */
    static class Ended extends Error {}

    static Integer status;

    public static void main(String[] args) throws Exception {
        Exit.Procedure end = (status, message) -> {
            if (Tools.status == null) Tools.status = status;
            System.setOut(new PrintStream(OutputStream.nullOutputStream()));
            System.setErr(System.out);
            throw new Ended();
        };
        Exit.setExitProcedure(end);
        Exit.setHaltProcedure(end);
        Exit.setShutdownHookAdder((name, hook) -> {}); // there is no shutdown to wait for
        PrintStream out = System.out;
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode asked = Driver.JSON.readTree(line);
            out.println(Driver.JSON.writeValueAsString(Map.of("result", run(args[0], asked))));
        }
        Runtime.getRuntime().halt(0);
    }

    static Map<String, Object> run(String bootstrap, JsonNode asked) throws Exception {
        JsonNode call = Driver.JSON.readTree(asked.get("name").asText());
        List<String> arguments = new ArrayList<>();
        for (JsonNode each : call.get("args")) arguments.add(each.asText().replace("@broker", bootstrap));
        var printed = new ByteArrayOutputStream();
        PrintStream out = System.out;
        PrintStream err = System.err;
        status = null;
        try (var into = new PrintStream(printed, true, StandardCharsets.UTF_8)) {
            System.setOut(into);
            System.setErr(into);
            System.setIn(new ByteArrayInputStream(call.get("input").asText().getBytes(StandardCharsets.UTF_8)));
            var main = Class.forName(asked.get("case").asText()).getMethod("main", String[].class);
            main.invoke(null, (Object) arguments.toArray(new String[0]));
        } catch (InvocationTargetException error) {
            if (!(error.getCause() instanceof Ended)) throw error;
        } finally {
            System.setOut(out);
            System.setErr(err);
        }
        return Map.of("status", status == null ? 0 : status, "text", printed.toString(StandardCharsets.UTF_8));
    }
}
