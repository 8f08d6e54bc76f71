import io.dohle.InterruptException;
import io.dohle.KafkaException;
import io.dohle.TopicPartition;
import io.dohle.WakeupException;
import io.dohle.internal.Json;
import java.io.PrintWriter;
import java.io.StringWriter;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.security.NoSuchAlgorithmException;
import java.util.ArrayList;
import java.util.Base64;
import java.util.HexFormat;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CancellationException;
import java.util.concurrent.CompletionException;
import java.util.concurrent.ExecutionException;

/** What all parts of the driver need: requests, byte strings, errors. */
final class DriverKit {
    private DriverKit() {}

    /** What the API does not have. */
    static final class NotOffered extends RuntimeException {
        private static final long serialVersionUID = 1L;
    }

    /** A request, or a part of one. */
    record Request(Map<String, Object> members) {
        Object member(String name) {
            return members.get(name);
        }

        String text(String name) {
            return (String) members.get(name);
        }

        /** Null where there is none. */
        Long number(String name) {
            return (Long) members.get(name);
        }

        /** Null where there is none. */
        Integer whole(String name) {
            return number(name) == null ? null : Math.toIntExact(number(name));
        }

        boolean yes(String name) {
            return Boolean.TRUE.equals(members.get(name));
        }

        @SuppressWarnings("unchecked")
        List<String> texts(String name) {
            return (List<String>) members.get(name);
        }

        /** The objects of a list; none where there is no list. */
        @SuppressWarnings("unchecked")
        List<Request> all(String name) {
            List<Map<String, Object>> list = (List<Map<String, Object>>) members.getOrDefault(name, List.of());
            return list.stream().map(Request::new).toList();
        }

        /** An empty one where there is none. */
        @SuppressWarnings("unchecked")
        Map<String, Object> map(String name) {
            Object map = members.get(name);
            return map == null ? Map.of() : (Map<String, Object>) map;
        }

        /** Those of the client and of the object. */
        Map<String, Object> options() {
            Map<String, Object> options = new LinkedHashMap<>(map("client"));
            options.putAll(map("options"));
            return options;
        }

        TopicPartition partition() {
            return new TopicPartition(text("topic"), whole("partition"));
        }

        List<TopicPartition> partitions() {
            return all("partitions").stream().map(Request::partition).toList();
        }
    }

    /** As {@link Map#of}, with nulls, in this order. */
    static Map<String, Object> told(Object... pairs) {
        Map<String, Object> map = new LinkedHashMap<>();
        for (int i = 0; i < pairs.length; i += 2) {
            map.put((String) pairs[i], pairs[i + 1]);
        }
        return map;
    }

    /** The bytes that a request means. */
    @SuppressWarnings("unchecked")
    static byte[] bytes(Object of) {
        if (of == null) {
            return null;
        } else if (of instanceof String text) {
            return text.getBytes(StandardCharsets.UTF_8);
        }
        Request form = new Request((Map<String, Object>) of);
        if (form.text("base64") != null) {
            return Base64.getDecoder().decode(form.text("base64"));
        } else if (form.text("repeat") != null) {
            return form.text("repeat").repeat(form.whole("times")).getBytes(StandardCharsets.UTF_8);
        }
        byte[] noise = new byte[form.whole("bytes")];
        int x = form.number("noise").intValue();
        for (int i = 0; i < noise.length; i++) {
            x ^= x << 13;
            x ^= x >>> 17;
            x ^= x << 5;
            noise[i] = (byte) x;
        }
        return noise;
    }

    /** Bytes as answers have them. */
    static Object shown(byte[] bytes) {
        if (bytes == null) {
            return null;
        } else if (bytes.length <= 4096) {
            return Map.of("base64", Base64.getEncoder().encodeToString(bytes));
        }
        try {
            byte[] sum = MessageDigest.getInstance("SHA-256").digest(bytes);
            return Map.of("sha256", HexFormat.of().formatHex(sum), "length", bytes.length);
        } catch (NoSuchAlgorithmException impossible) {
            throw new IllegalStateException(impossible);
        }
    }

    /** An exception as answers have it. */
    static Map<String, Object> error(Throwable thrown) {
        if (thrown instanceof ExecutionException || thrown instanceof CompletionException) {
            return error(thrown.getCause());
        } else if (thrown instanceof WakeupException
                || thrown instanceof InterruptException
                || thrown instanceof CancellationException) {
            return told("code", "ABORTED");
        } else if (thrown instanceof NotOffered) {
            return told("code", "NOT_OFFERED");
        } else if (thrown instanceof KafkaException of) {
            List<Object> items = new ArrayList<>();
            of.items().forEach(item -> items.add(told("name", item.name(), "error", error(item.error()))));
            return Json.map(
                    "code", of.code(),
                    "class", of.getClass().getSimpleName(),
                    "retriable", of.isRetriable(),
                    "fatal", of.isFatal(),
                    "abortable", of.isAbortable(),
                    "persistence", of.persistence() == null ? null : of.persistence().word(),
                    "message", of.getMessage(),
                    "items", items.isEmpty() ? null : items);
        }
        StringWriter stack = new StringWriter();
        thrown.printStackTrace(new PrintWriter(stack));
        return told("code", "DRIVER", "message", stack.toString());
    }
}
