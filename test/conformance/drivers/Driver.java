import io.dohle.AdminClient;
import io.dohle.EmbeddedBroker;
import io.dohle.internal.Json;
import java.io.BufferedReader;
import java.io.FileDescriptor;
import java.io.FileOutputStream;
import java.io.InputStreamReader;
import java.io.PrintStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.ArrayList;
import java.util.Comparator;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.concurrent.ConcurrentHashMap;

/** The driver of the conformance table for Java: does one step at a time, and tells what it saw. See ../README.md. */
public final class Driver {
    private final Map<String, Object> objects = new ConcurrentHashMap<>();
    private final Set<String> closed = ConcurrentHashMap.newKeySet();
    private final Map<Long, DriverConsumer> waiting = new ConcurrentHashMap<>();
    private final PrintStream out = new PrintStream(new FileOutputStream(FileDescriptor.out), false, StandardCharsets.UTF_8);

    public static void main(String[] arguments) throws Exception {
        Driver driver = new Driver();
        BufferedReader in = new BufferedReader(new InputStreamReader(System.in, StandardCharsets.UTF_8));
        for (String line = in.readLine(); line != null; line = in.readLine()) {
            DriverKit.Request request = new DriverKit.Request(Json.object(line));
            // A thread of its own: what waits must hold up nobody.
            Thread thread = new Thread(() -> driver.answer(request));
            thread.setDaemon(true);
            thread.start();
        }
        driver.reset();
    }

    private void answer(DriverKit.Request request) {
        Map<String, Object> answer = DriverKit.told("id", request.number("id"));
        try {
            Object result = act(request.text("do"), request);
            answer.put("result", result == null ? Map.of() : result);
        } catch (Throwable thrown) {
            answer.put("error", DriverKit.error(thrown));
        }
        String line = Json.write(answer);
        synchronized (out) {
            out.print(line + "\n");
            out.flush();
        }
    }

    private Object act(String name, DriverKit.Request of) throws Exception {
        switch (name) {
            case "broker" -> {
                EmbeddedBroker broker = EmbeddedBroker.start(Map.of("partitions", of.number("partitions")));
                objects.put(of.text("name"), broker);
                return Map.of("address", broker.address());
            }
            case "producer" -> objects.put(of.text("name"), new DriverProducer(of.options()));
            case "consumer" -> objects.put(of.text("name"), new DriverConsumer(of.options()));
            case "admin" -> objects.put(of.text("name"), AdminClient.create(of.map("client")));
            case "close" -> {
                close(objects.get(of.text("of")), of.number("ms"));
                closed.add(of.text("of"));
            }
            case "cancel" -> {
                DriverConsumer consumer = waiting.get(of.number("request"));
                if (consumer != null) {
                    consumer.cancel();
                }
            }
            case "churn" -> churn(of);
            case "reset" -> {
                return Map.of("open", reset());
            }
            case "usage" -> {
                return usage();
            }
            default -> {
                return actWith(objects.get(of.text("of")), name, of);
            }
        }
        return null;
    }

    private Object actWith(Object object, String name, DriverKit.Request of) throws Exception {
        if (object instanceof DriverProducer producer) {
            return producer.act(name, of, (DriverConsumer) objects.get(String.valueOf(of.text("consumer"))));
        } else if (object instanceof DriverConsumer consumer && name.equals("consume")) {
            waiting.put(of.number("id"), consumer);
            try {
                return consumer.consume(of);
            } finally {
                waiting.remove(of.number("id"));
            }
        } else if (object instanceof DriverConsumer consumer) {
            return consumer.act(name, of);
        }
        return DriverAdmin.act((AdminClient) object, name, of);
    }

    private static void close(Object object, Long ms) {
        Duration limit = ms == null ? null : Duration.ofMillis(ms);
        if (object instanceof EmbeddedBroker broker) {
            broker.close();
        } else if (object instanceof DriverProducer producer) {
            producer.close(limit);
        } else if (object instanceof DriverConsumer consumer) {
            consumer.close(limit);
        } else if (limit == null) {
            ((AdminClient) object).close();
        } else {
            ((AdminClient) object).close(limit);
        }
    }

    private static void churn(DriverKit.Request of) {
        for (int i = 0; i < of.whole("count"); i++) {
            Map<String, Object> client = new LinkedHashMap<>(of.map("client"));
            Object made =
                    switch (i % 3) {
                        case 0 -> new DriverProducer(client);
                        case 1 -> new DriverConsumer(client);
                        default -> AdminClient.create(client);
                    };
            close(made, null);
        }
    }

    /** Closes what is open, the brokers last. */
    private int reset() {
        objects.keySet().removeAll(closed);
        closed.clear();
        List<Object> open = new ArrayList<>(objects.values());
        objects.clear();
        open.sort(Comparator.comparing(object -> object instanceof EmbeddedBroker));
        for (Object object : open) {
            try {
                close(object, 0L);
            } catch (RuntimeException late) {
                // It had no time.
            }
        }
        return open.size();
    }

    private static Object usage() throws Exception {
        System.gc();
        long rss = Long.parseLong(Files.readString(Path.of("/proc/self/statm")).split(" ")[1]) * 4096;
        return Map.of("rss", rss, "threads", count("/proc/self/task"), "files", count("/proc/self/fd"));
    }

    private static long count(String folder) throws Exception {
        try (var list = Files.list(Path.of(folder))) {
            return list.count();
        }
    }
}
