import java.lang.reflect.Field;
import java.util.HashMap;
import java.util.Map;

/** Prints the constants of kafka-clients that name an option of Dohle's and are not in Dohle's class of that name. */
public final class Names {
    private Names() {}

    /** Has no arguments. */
    public static void main(String[] arguments) throws Exception {
        compare("org.apache.kafka.clients.producer.ProducerConfig", "io.dohle.ProducerConfig");
        compare("org.apache.kafka.clients.consumer.ConsumerConfig", "io.dohle.ConsumerConfig");
        compare("org.apache.kafka.clients.admin.AdminClientConfig", "io.dohle.AdminClientConfig");
        compare("org.apache.kafka.common.config.SaslConfigs", "io.dohle.CommonClientConfigs");
        compare("org.apache.kafka.common.config.SslConfigs", "io.dohle.CommonClientConfigs");
    }

    private static void compare(String kafkas, String ours) throws Exception {
        Map<String, String> own = constants(ours);
        int same = 0;
        for (Map.Entry<String, String> each : constants(kafkas).entrySet()) {
            if (each.getValue().equals(own.get(each.getKey()))) {
                same++;
            } else if (own.containsValue(each.getValue()) && !each.getKey().startsWith("DEFAULT_")) {
                System.out.println(kafkas + "." + each.getKey());
            }
        }
        if (same == 0) {
            System.out.println("nothing is the same in " + kafkas);
        }
    }

    private static Map<String, String> constants(String name) throws Exception {
        Map<String, String> constants = new HashMap<>();
        for (Field field : Class.forName(name).getFields()) {
            if (field.getType() == String.class && field.get(null) instanceof String value) {
                constants.put(field.getName(), value);
            }
        }
        return constants;
    }
}
