import com.fasterxml.jackson.databind.JsonNode;
import java.io.DataOutputStream;
import java.lang.reflect.Constructor;
import java.lang.reflect.Method;
import java.nio.ByteBuffer;
import java.util.HashMap;
import java.util.Map;
import org.apache.kafka.common.protocol.ByteBufferAccessor;
import org.apache.kafka.common.protocol.Message;
import org.apache.kafka.common.protocol.MessageUtil;
import org.apache.kafka.common.protocol.Readable;

/** Messages through Kafka's generated classes. Both answers: the encoded message, then its JSON. */
final class Messages {
    private static final String[] PACKAGES = {
        "org.apache.kafka.common.message",
        "org.apache.kafka.coordinator.group.generated",
        "org.apache.kafka.coordinator.transaction.generated",
        "org.apache.kafka.common.metadata",
        "org.apache.kafka.server.log.remote.metadata.storage.generated",
    };

    private record Codec(Constructor<?> read, Method toJson, Method fromJson) {}

    private static final Map<String, Codec> CODECS = new HashMap<>();

    /** Decodes; encodes again and writes as JSON. */
    static void read(String name, short version, byte[] bytes, DataOutputStream out) throws Exception {
        ByteBuffer buffer = ByteBuffer.wrap(bytes);
        Message message = (Message) codec(name).read.newInstance(new ByteBufferAccessor(buffer), version);
        if (buffer.hasRemaining()) throw new IllegalArgumentException(buffer.remaining() + " bytes are left over");
        answer(name, version, message, out);
    }

    /** Makes up a message of this version, from Kafka's own schema. */
    static void random(String name, short version, long seed, DataOutputStream out) throws Exception {
        JsonNode json = new RandomMessage(name, version, seed).fields();
        answer(name, version, (Message) codec(name).fromJson.invoke(null, json, version), out);
    }

    private static void answer(String name, short version, Message message, DataOutputStream out) throws Exception {
        ByteBuffer buffer = MessageUtil.toByteBufferAccessor(message, version).buffer();
        byte[] bytes = new byte[buffer.remaining()];
        buffer.get(bytes);
        Oracle.write(out, bytes);
        Oracle.write(out, Oracle.JSON.writeValueAsBytes(codec(name).toJson.invoke(null, message, version, false)));
    }

    private static Codec codec(String name) throws Exception {
        Codec known = CODECS.get(name);
        if (known == null) {
            Class<?> type = find(name);
            Class<?> json = Class.forName(type.getName() + "JsonConverter");
            known = new Codec(
                type.getConstructor(Readable.class, short.class),
                json.getMethod("write", type, short.class, boolean.class),
                json.getMethod("read", JsonNode.class, short.class));
            CODECS.put(name, known);
        }
        return known;
    }

    private static Class<?> find(String name) throws ClassNotFoundException {
        for (String folder : PACKAGES) {
            for (String suffix : new String[] {"Data", ""}) {
                try {
                    return Class.forName(folder + "." + name + suffix);
                } catch (ClassNotFoundException next) {
                    // the next one
                }
            }
        }
        throw new ClassNotFoundException(name);
    }
}
