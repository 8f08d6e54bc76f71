package io.dohle;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertTrue;

import java.io.File;
import java.lang.ref.WeakReference;
import java.net.URL;
import java.net.URLClassLoader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.time.Duration;
import java.util.List;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import org.junit.jupiter.api.Test;

class LifetimeTest extends Fixture {
    /** A program that ends with everything open, a thread in a poll and records under way. */
    static final class LeavesAllOpen {
        private LeavesAllOpen() {}

        /** What the test starts. */
        public static void main(String[] arguments) {
            start();
            KafkaProducer<String, String> producer = producer();
            KafkaConsumer<String, String> consumer = reader("t");
            Thread poll = new Thread(() -> consumer.poll(Duration.ofHours(1)));
            poll.setDaemon(true);
            poll.start();
            producer.send(new ProducerRecord<>("t", 0, "k", "v")).join();
            for (int i = 0; i < 1000; i++) {
                producer.send(new ProducerRecord<>("t", 0, "k", "v"));
            }
            System.out.println("ends");
        }
    }

    private static String run(List<String> options, Class<?> main) throws Exception {
        List<String> command = new java.util.ArrayList<>(List.of(System.getProperty("java.home") + "/bin/java", "-cp"));
        command.add(System.getProperty("java.class.path"));
        command.addAll(options);
        command.add(main.getName());
        File out = File.createTempFile("dohle", ".out");
        Process process = new ProcessBuilder(command).redirectErrorStream(true).redirectOutput(out).start();
        int status = process.waitFor();
        return status + " " + Files.readString(out.toPath()).strip();
    }

    @Test
    void aJvmEndsWithEverythingOpen() throws Exception {
        String said = run(List.of(), LeavesAllOpen.class);
        assertTrue(said.startsWith("0 ") && said.endsWith("ends"), said);
    }

    @Test
    void aMissingNativePartIsAClearError() throws Exception {
        String said = run(List.of("-Dos.name=Plan 9"), LeavesAllOpen.class);
        assertTrue(said.contains("this jar of dohle has no native part for plan-9-x64"), said);
        said = run(List.of("-Dio.dohle.library=/nowhere.so"), LeavesAllOpen.class);
        assertTrue(said.contains("cannot be loaded from /nowhere.so"), said);
    }

    @Test
    void anotherClassLoaderHasAnEngineOfItsOwn() throws Exception {
        List<URL> urls = new java.util.ArrayList<>();
        for (String entry : System.getProperty("java.class.path").split(File.pathSeparator)) {
            urls.add(Path.of(entry).toUri().toURL());
        }
        EmbeddedBroker.start().close();
        try (URLClassLoader other = new URLClassLoader(urls.toArray(URL[]::new), ClassLoader.getPlatformClassLoader())) {
            Class<?> type = other.loadClass("io.dohle.EmbeddedBroker");
            try (AutoCloseable running = (AutoCloseable) type.getMethod("start").invoke(null)) {
                assertTrue(type.getMethod("address").invoke(running).toString().startsWith("127.0.0.1:"));
            }
        }
    }

    @Test
    void whatItsProgramHasLostIsClosedAfterItHasSentWhatItHas() throws Exception {
        String topic = name();
        CompletableFuture<RecordMetadata> sent = lost(topic);
        assertEquals(0, sent.get().offset());
        WeakReference<?>[] lost = {new WeakReference<>(producer()), new WeakReference<>(reader(topic))};
        for (WeakReference<?> each : lost) {
            while (each.get() != null) {
                System.gc();
                TimeUnit.MILLISECONDS.sleep(5);
            }
        }
    }

    private static CompletableFuture<RecordMetadata> lost(String topic) {
        return producer("linger.ms", 300).send(new ProducerRecord<>(topic, 0, "k", "v"));
    }

    @Test
    void manyAreOpenedAndClosedAndNothingIsLeft() throws Exception {
        churn(50);
        long before = sockets();
        int threads = Thread.activeCount();
        churn(300);
        // Those that the broker's side has not closed yet go by and by.
        while (sockets() > before) {
            TimeUnit.MILLISECONDS.sleep(20);
        }
        assertEquals(threads, Thread.activeCount());
    }

    private static void churn(int count) {
        for (int i = 0; i < count; i++) {
            producer().close();
            consumer().close(Duration.ZERO);
        }
    }

    private static long sockets() throws Exception {
        long count = 0;
        try (var list = Files.list(Path.of("/proc/self/fd"))) {
            for (Path each : list.toList()) {
                try {
                    count += Files.readSymbolicLink(each).toString().startsWith("socket:") ? 1 : 0;
                } catch (java.nio.file.NoSuchFileException gone) {
                    // Closed meanwhile.
                }
            }
        }
        return count;
    }
}
