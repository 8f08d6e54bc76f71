import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.List;
import java.util.Map;
import org.apache.kafka.common.metrics.KafkaMetric;
import org.apache.kafka.common.metrics.MetricsReporter;
import org.apache.kafka.server.authorizer.AuthorizableRequestContext;
import org.apache.kafka.server.telemetry.ClientTelemetry;
import org.apache.kafka.server.telemetry.ClientTelemetryPayload;
import org.apache.kafka.server.telemetry.ClientTelemetryReceiver;
import org.apache.kafka.shaded.io.opentelemetry.proto.common.v1.KeyValue;
import org.apache.kafka.shaded.io.opentelemetry.proto.metrics.v1.Metric;
import org.apache.kafka.shaded.io.opentelemetry.proto.metrics.v1.MetricsData;
import org.apache.kafka.shaded.io.opentelemetry.proto.metrics.v1.NumberDataPoint;
import org.apache.kafka.shaded.io.opentelemetry.proto.metrics.v1.ResourceMetrics;
import org.apache.kafka.shaded.io.opentelemetry.proto.metrics.v1.ScopeMetrics;

/** Writes what clients push, as lines of JSON, into the file that the environment variable DOHLE_TELEMETRY names. */
public class Reporter implements MetricsReporter, ClientTelemetry, ClientTelemetryReceiver {
    @Override
    public ClientTelemetryReceiver clientReceiver() {
        return this;
    }

    @Override
    public void exportMetrics(AuthorizableRequestContext context, ClientTelemetryPayload payload) {
        StringBuilder line = new StringBuilder("{");
        try {
            MetricsData data = MetricsData.parseFrom(payload.data());
            text(line, "instance", payload.clientInstanceId().toString()).append(',');
            text(line, "type", payload.contentType()).append(',');
            text(line, "clientId", context.clientId()).append(",\"terminating\":").append(payload.isTerminating());
            for (ResourceMetrics resource : data.getResourceMetricsList()) {
                line.append(",\"resource\":");
                attributes(line, resource.getResource().getAttributesList());
                line.append(",\"metrics\":[");
                for (ScopeMetrics scope : resource.getScopeMetricsList())
                    for (Metric metric : scope.getMetricsList()) one(line, metric);
                if (line.charAt(line.length() - 1) == ',') line.setLength(line.length() - 1);
                line.append(']');
            }
        } catch (Exception error) {
            line.setLength(1);
            text(line, "error", error.toString());
        }
        write(line.append("}\n").toString());
    }

    private static void one(StringBuilder line, Metric metric) {
        boolean sum = metric.hasSum();
        List<NumberDataPoint> points = sum ? metric.getSum().getDataPointsList() : metric.getGauge().getDataPointsList();
        for (NumberDataPoint point : points) {
            text(line.append('{'), "name", metric.getName()).append(",\"value\":").append(point.getAsDouble());
            line.append(",\"from\":").append(point.getStartTimeUnixNano()).append(",\"to\":").append(point.getTimeUnixNano());
            if (sum) text(line.append(','), "temporality", metric.getSum().getAggregationTemporality().toString());
            line.append(",\"monotonic\":").append(sum && metric.getSum().getIsMonotonic()).append(",\"attributes\":");
            attributes(line, point.getAttributesList());
            line.append("},");
        }
    }

    private static void attributes(StringBuilder line, List<KeyValue> all) {
        line.append('{');
        String comma = "";
        for (KeyValue one : all) {
            text(line.append(comma), one.getKey(), one.getValue().getStringValue());
            comma = ",";
        }
        line.append('}');
    }

    private static StringBuilder text(StringBuilder line, String name, String value) {
        String escaped = value.replace("\\", "\\\\").replace("\"", "\\\"").replace("\n", "\\n");
        return line.append('"').append(name).append("\":\"").append(escaped).append('"');
    }

    private static synchronized void write(String line) {
        try {
            Path file = Path.of(System.getenv("DOHLE_TELEMETRY"));
            Files.writeString(file, line, StandardOpenOption.CREATE, StandardOpenOption.APPEND);
        } catch (Exception error) {
            throw new RuntimeException(error);
        }
    }

    @Override
    public void init(List<KafkaMetric> metrics) {}

    @Override
    public void metricChange(KafkaMetric metric) {}

    @Override
    public void metricRemoval(KafkaMetric metric) {}

    @Override
    public void close() {}

    @Override
    public void configure(Map<String, ?> configs) {}
}
