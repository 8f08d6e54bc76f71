import com.fasterxml.jackson.core.json.JsonReadFeature;
import com.fasterxml.jackson.databind.JsonNode;
import com.fasterxml.jackson.databind.json.JsonMapper;
import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.BinaryNode;
import com.fasterxml.jackson.databind.node.BooleanNode;
import com.fasterxml.jackson.databind.node.DoubleNode;
import com.fasterxml.jackson.databind.node.IntNode;
import com.fasterxml.jackson.databind.node.JsonNodeFactory;
import com.fasterxml.jackson.databind.node.LongNode;
import com.fasterxml.jackson.databind.node.NullNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import com.fasterxml.jackson.databind.node.ShortNode;
import com.fasterxml.jackson.databind.node.TextNode;
import java.io.IOException;
import java.io.InputStream;
import java.util.HashMap;
import java.util.Map;
import java.util.Random;
import org.apache.kafka.common.Uuid;

/** A random message as JSON, made from the schema inside Kafka's jar (not from ours). */
final class RandomMessage {
    private static final JsonMapper MAPPER = JsonMapper.builder().enable(JsonReadFeature.ALLOW_JAVA_COMMENTS).build();
    private static final Map<String, JsonNode> SCHEMAS = new HashMap<>();
    private static final String[] LETTERS = {"a", "Z", "0", "-", ".", "_", " ", "\"", "\\", "é", "語", "🦀"};

    private final JsonNode schema;
    private final short version;
    private final boolean flexible;
    private final Random random;
    private final Map<String, JsonNode> structs = new HashMap<>();

    RandomMessage(String name, short version, long seed) throws IOException {
        this.schema = schema(name);
        this.version = version;
        this.flexible = within(schema.path("flexibleVersions").asText("none"));
        this.random = new Random(seed);
        schema.path("commonStructs").forEach(s -> structs.put(s.get("name").asText(), s.get("fields")));
    }

    ObjectNode fields() {
        return object(schema.get("fields"));
    }

    private static JsonNode schema(String name) throws IOException {
        JsonNode known = SCHEMAS.get(name);
        if (known == null) {
            for (String folder : new String[] {"/common/message/", "/common/metadata/", "/message/"}) {
                try (InputStream in = RandomMessage.class.getResourceAsStream(folder + name + ".json")) {
                    if (in != null) known = MAPPER.readTree(in);
                }
            }
            SCHEMAS.put(name, known);
        }
        return known;
    }

    private ObjectNode object(JsonNode fields) {
        ObjectNode object = JsonNodeFactory.instance.objectNode();
        for (JsonNode field : fields) {
            String tagged = field.path("taggedVersions").asText("none");
            if (!within(field.path("versions").asText(tagged))) continue;
            if (flexible && within(tagged) && random.nextInt(3) == 0) continue;
            String name = field.get("name").asText();
            object.set(Character.toLowerCase(name.charAt(0)) + name.substring(1), value(field));
        }
        return object;
    }

    private JsonNode value(JsonNode field) {
        if (within(field.path("nullableVersions").asText("none")) && random.nextInt(3) == 0) return NullNode.instance;
        String type = field.get("type").asText();
        if (field.has("fields")) structs.put(type.replace("[]", ""), field.get("fields"));
        if (!type.startsWith("[]")) return plain(type);
        ArrayNode array = JsonNodeFactory.instance.arrayNode();
        for (int count = random.nextInt(4); count > 0; count--) array.add(plain(type.substring(2)));
        return array;
    }

    private JsonNode plain(String type) {
        return switch (type) {
            case "bool" -> BooleanNode.valueOf(random.nextBoolean());
            case "int8" -> new IntNode((byte) integer());
            case "int16" -> new ShortNode((short) integer());
            case "uint16" -> new IntNode((int) integer() & 0xffff);
            case "int32" -> new IntNode((int) integer());
            case "uint32" -> new LongNode(integer() & 0xffff_ffffL);
            case "int64" -> new LongNode(integer());
            case "float64" -> new DoubleNode(random.nextInt() / 8.0);
            case "string" -> new TextNode(text());
            case "bytes", "records" -> new BinaryNode(bytes());
            case "uuid" -> new TextNode((random.nextBoolean() ? Uuid.ZERO_UUID : Uuid.randomUuid()).toString());
            default -> object(structs.get(type));
        };
    }

    private long integer() {
        return switch (random.nextInt(8)) {
            case 0 -> 0;
            case 1 -> -1;
            case 2 -> Long.MAX_VALUE;
            case 3 -> Long.MIN_VALUE;
            case 4 -> 1L << random.nextInt(63);
            case 5 -> random.nextInt(300);
            default -> random.nextLong();
        };
    }

    private String text() {
        StringBuilder text = new StringBuilder();
        for (int length = size(); length > 0; length--) text.append(LETTERS[random.nextInt(LETTERS.length)]);
        return text.toString();
    }

    private byte[] bytes() {
        byte[] bytes = new byte[size()];
        random.nextBytes(bytes);
        return bytes;
    }

    private int size() {
        int kind = random.nextInt(20);
        return kind < 4 ? 0 : kind == 4 ? 120 + random.nextInt(20) : random.nextInt(12);
    }

    private boolean within(String versions) {
        if (versions.equals("none")) return false;
        if (versions.endsWith("+")) return version >= Integer.parseInt(versions.substring(0, versions.length() - 1));
        String[] ends = versions.split("-");
        return version >= Integer.parseInt(ends[0]) && version <= Integer.parseInt(ends[ends.length - 1]);
    }
}
