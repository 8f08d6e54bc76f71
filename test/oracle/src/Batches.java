import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import java.io.IOException;
import java.nio.ByteBuffer;
import org.apache.kafka.common.compress.Compression;
import org.apache.kafka.common.header.Header;
import org.apache.kafka.common.header.internals.RecordHeader;
import org.apache.kafka.common.record.TimestampType;
import org.apache.kafka.common.record.internal.ControlRecordType;
import org.apache.kafka.common.record.internal.EndTransactionMarker;
import org.apache.kafka.common.record.internal.MemoryRecords;
import org.apache.kafka.common.record.internal.MemoryRecordsBuilder;
import org.apache.kafka.common.record.internal.MutableRecordBatch;
import org.apache.kafka.common.record.internal.Record;
import org.apache.kafka.common.utils.internals.ByteBufferOutputStream;

/** Record batches through Kafka's MemoryRecords, which still writes magic 0 and 1. Bytes in JSON are base64. */
final class Batches {
    /** Writes the batch that the JSON describes. */
    static byte[] write(JsonNode batch) throws IOException {
        if (batch.hasNonNull("marker")) return bytes(marker(batch));
        boolean appendTime = batch.hasNonNull("logAppendTime");
        ByteBufferOutputStream out = new ByteBufferOutputStream(1 << 16);
        MemoryRecordsBuilder builder = new MemoryRecordsBuilder(
            out,
            (byte) batch.get("magic").asInt(),
            Compression.of(batch.get("codec").asText()).build(),
            appendTime ? TimestampType.LOG_APPEND_TIME : TimestampType.CREATE_TIME,
            batch.get("baseOffset").asLong(),
            batch.path("logAppendTime").asLong(-1),
            batch.path("producerId").asLong(-1),
            (short) batch.path("producerEpoch").asInt(-1),
            batch.path("baseSequence").asInt(-1),
            batch.path("transactional").asBoolean(false),
            false,
            batch.path("leaderEpoch").asInt(-1),
            1 << 24,
            batch.path("deleteHorizon").asLong(-1));
        for (JsonNode record : batch.get("records")) {
            builder.appendWithOffset(
                record.get("offset").asLong(),
                record.get("timestamp").asLong(),
                binary(record.get("key")),
                binary(record.get("value")),
                headers(record.path("headers")));
        }
        return bytes(builder.build());
    }

    /** Reads a record set: every batch, and the records of each. */
    static ArrayNode read(byte[] bytes) {
        ArrayNode answer = Oracle.JSON.createArrayNode();
        for (MutableRecordBatch batch : MemoryRecords.readableRecords(ByteBuffer.wrap(bytes)).batches()) {
            ObjectNode node = answer.addObject();
            node.put("magic", batch.magic()).put("codec", batch.compressionType().name);
            node.put("baseOffset", batch.baseOffset()).put("lastOffset", batch.lastOffset());
            node.put("valid", batch.isValid()).put("timestampType", batch.timestampType().name);
            node.put("maxTimestamp", batch.maxTimestamp()).put("leaderEpoch", batch.partitionLeaderEpoch());
            node.put("producerId", batch.producerId()).put("producerEpoch", batch.producerEpoch());
            node.put("baseSequence", batch.baseSequence()).put("transactional", batch.isTransactional());
            node.put("control", batch.isControlBatch());
            ArrayNode records = node.putArray("records");
            for (Record record : batch) read(record, records.addObject());
        }
        return answer;
    }

    private static void read(Record record, ObjectNode node) {
        record.ensureValid();
        node.put("offset", record.offset()).put("timestamp", record.timestamp());
        node.put("key", bytes(record.key())).put("value", bytes(record.value()));
        ArrayNode headers = node.putArray("headers");
        for (Header header : record.headers()) headers.addArray().add(header.key()).add(header.value());
    }

    private static MemoryRecords marker(JsonNode batch) {
        ControlRecordType type = ControlRecordType.valueOf(batch.get("marker").asText());
        return MemoryRecords.withEndTransactionMarker(
            batch.get("baseOffset").asLong(),
            batch.get("timestamp").asLong(),
            batch.get("leaderEpoch").asInt(),
            batch.get("producerId").asLong(),
            (short) batch.get("producerEpoch").asInt(),
            new EndTransactionMarker(type, batch.get("coordinatorEpoch").asInt()));
    }

    private static Header[] headers(JsonNode headers) throws IOException {
        Header[] all = new Header[headers.size()];
        for (int i = 0; i < all.length; i++) {
            all[i] = new RecordHeader(headers.get(i).get(0).asText(), binary(headers.get(i).get(1)));
        }
        return all;
    }

    private static byte[] binary(JsonNode node) throws IOException {
        return node.isNull() ? null : node.binaryValue();
    }

    private static byte[] bytes(MemoryRecords records) {
        return bytes(records.buffer());
    }

    private static byte[] bytes(ByteBuffer buffer) {
        if (buffer == null) return null;
        byte[] bytes = new byte[buffer.remaining()];
        buffer.duplicate().get(bytes);
        return bytes;
    }
}
