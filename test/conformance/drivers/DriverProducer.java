import io.dohle.Headers;
import io.dohle.KafkaException;
import io.dohle.KafkaProducer;
import io.dohle.ProducerRecord;
import io.dohle.RecordMetadata;
import io.dohle.serialization.ByteArraySerializer;
import java.time.Duration;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ExecutionException;

/** A producer of the driver. */
final class DriverProducer {
    private final KafkaProducer<byte[], byte[]> producer;
    private boolean ready;

    DriverProducer(Map<String, Object> options) {
        producer = new KafkaProducer<>(options, new ByteArraySerializer(), new ByteArraySerializer());
    }

    Object act(String name, DriverKit.Request of, DriverConsumer consumer) throws Exception {
        switch (name) {
            case "produce" -> {
                return produce(of);
            }
            case "flush" -> producer.flush();
            case "begin" -> {
                if (!ready) {
                    producer.initTransactions();
                    ready = true;
                }
                producer.beginTransaction();
            }
            case "sendOffsets" -> producer.sendOffsetsToTransaction(DriverConsumer.offsets(of), consumer.group());
            case "commitTransaction" -> producer.commitTransaction();
            case "abortTransaction" -> producer.abortTransaction();
            default -> throw new DriverKit.NotOffered();
        }
        return null;
    }

    private Object produce(DriverKit.Request of) throws Exception {
        List<ProducerRecord<byte[], byte[]>> records = of.all("records").stream().map(DriverProducer::record).toList();
        Integer times = of.whole("times");
        List<CompletableFuture<RecordMetadata>> sent = new ArrayList<>();
        for (int i = 0; i < (times == null ? 1 : times); i++) {
            for (ProducerRecord<byte[], byte[]> record : records) {
                sent.add(send(record));
            }
        }
        List<Object> results = new ArrayList<>();
        List<Object> errors = new ArrayList<>();
        for (CompletableFuture<RecordMetadata> each : sent) {
            try {
                RecordMetadata at = each.get();
                results.add(Map.of("partition", at.partition(), "offset", at.offset()));
            } catch (ExecutionException failed) {
                Object error = DriverKit.error(failed);
                results.add(Map.of("error", error));
                errors.add(error);
            }
        }
        if (times == null) {
            return Map.of("results", results);
        }
        return Map.of("count", sent.size() - errors.size(), "errors", errors.subList(0, Math.min(3, errors.size())));
    }

    /** What is not taken has failed as what is not acknowledged. */
    private CompletableFuture<RecordMetadata> send(ProducerRecord<byte[], byte[]> record) {
        try {
            return producer.send(record);
        } catch (KafkaException refused) {
            return CompletableFuture.failedFuture(refused);
        }
    }

    private static ProducerRecord<byte[], byte[]> record(DriverKit.Request of) {
        Headers headers = new Headers();
        if (of.member("headers") instanceof List<?> list) {
            for (Object each : list) {
                List<?> pair = (List<?>) each;
                headers.add((String) pair.get(0), DriverKit.bytes(pair.get(1)));
            }
        }
        byte[] key = DriverKit.bytes(of.member("key"));
        byte[] value = DriverKit.bytes(of.member("value"));
        return new ProducerRecord<>(of.text("topic"), of.whole("partition"), of.number("timestamp"), key, value, headers);
    }

    void close(Duration limit) {
        if (limit == null) {
            producer.close();
        } else {
            producer.close(limit);
        }
    }
}
