// kafka-clients as a driver of the cases: Driver BOOTSTRAP. See ../../session.ts and ../../table.ts.

import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.Callable;
import java.util.concurrent.ExecutionException;
import java.util.function.Supplier;
import org.apache.kafka.common.KafkaFuture;
import org.apache.kafka.common.protocol.Errors;

public class Driver {
    /** For what never comes, not for what is slow. */
    static final long PATIENCE = 120_000;
    static final long T0 = 1_700_000_000_000L;
    static final ObjectMapper JSON = new ObjectMapper();
    /** What the errors of a case say: the same words from both brokers. */
    static final List<String> said = new ArrayList<>();
    static String bootstrap;

    interface Case {
        Map<String, Object> run(String name) throws Exception;
    }

    public static void main(String[] args) throws Exception {
        bootstrap = args[0];
        Map<String, Case> cases = new HashMap<>();
        Records.cases(cases);
        Groups.cases(cases);
        Administration.cases(cases);
        Refusals.cases(cases);
        var lines = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = lines.readLine(); line != null; line = lines.readLine()) {
            JsonNode asked = JSON.readTree(line);
            Map<String, Object> answer;
            try {
                said.clear();
                var result = new HashMap<>(cases.get(asked.get("case").asText()).run(asked.get("name").asText()));
                List<Object> details = new ArrayList<>();
                if (result.get("details") instanceof List<?> own) details.addAll(own);
                else if (result.containsKey("details")) details.add(result.get("details"));
                details.addAll(said);
                result.put("details", details);
                answer = Map.of("result", result);
            } catch (Throwable error) {
                var trace = new StringWriter();
                error.printStackTrace(new PrintWriter(trace));
                answer = Map.of("error", trace.toString());
            }
            System.out.println(JSON.writeValueAsString(answer));
        }
        System.exit(0);
    }

    /** Settings of a client, in pairs. */
    static Map<String, Object> settings(Object... pairs) {
        Map<String, Object> settings = object(pairs);
        settings.put("bootstrap.servers", bootstrap);
        return settings;
    }

    /** An object of a result, in pairs; nulls are kept. */
    static Map<String, Object> object(Object... pairs) {
        Map<String, Object> map = new HashMap<>();
        for (int i = 0; i < pairs.length; i += 2) map.put((String) pairs[i], pairs[i + 1]);
        return map;
    }

    /** Calls `value` until it is something. */
    static <T> T until(String what, Supplier<T> value) throws InterruptedException {
        for (long end = System.currentTimeMillis() + PATIENCE; ; Thread.sleep(20)) {
            T found = value.get();
            if (found != null && !found.equals(false)) return found;
            if (System.currentTimeMillis() > end) throw new IllegalStateException("never: " + what);
        }
    }

    /** Kafka's number of the error that a call ends with; 0 for none. */
    static int code(Callable<?> call) throws Exception {
        try {
            Object made = call.call();
            if (made instanceof KafkaFuture<?> future) future.get();
            return 0;
        } catch (ExecutionException error) {
            said.add(error.getCause().getMessage());
            return Errors.forException(error.getCause()).code();
        }
    }

    /** Bytes as the table writes them. */
    static String text(byte[] bytes) {
        if (bytes == null) return null;
        String value = new String(bytes, StandardCharsets.UTF_8);
        return value.length() > 100 && value.chars().distinct().count() == 1 ? value.charAt(0) + "*" + value.length() : value;
    }

    static byte[] bytes(String text) {
        return text == null ? null : text.getBytes(StandardCharsets.UTF_8);
    }
}
