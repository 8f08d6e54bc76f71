import com.fasterxml.jackson.databind.node.ArrayNode;
import com.fasterxml.jackson.databind.node.ObjectNode;
import org.apache.kafka.common.errors.ApiException;
import org.apache.kafka.common.errors.ApplicationRecoverableException;
import org.apache.kafka.common.errors.InvalidConfigurationException;
import org.apache.kafka.common.errors.RefreshRetriableException;
import org.apache.kafka.common.errors.RetriableException;
import org.apache.kafka.common.errors.TransactionAbortableException;
import org.apache.kafka.common.message.ApiMessageType;
import org.apache.kafka.common.protocol.Errors;

/** What Kafka's own tables say: APIs with their versions and header versions, error codes with their classes. */
final class Facts {
    static ObjectNode all() {
        ObjectNode facts = Oracle.JSON.createObjectNode();
        ArrayNode apis = facts.putArray("apis");
        for (ApiMessageType type : ApiMessageType.values()) {
            ObjectNode api = apis.addObject();
            api.put("key", type.apiKey()).put("name", type.name);
            api.put("lowest", type.lowestSupportedVersion()).put("highest", type.highestSupportedVersion(true));
            api.put("unstable", type.latestVersionUnstable());
            ArrayNode requests = api.putArray("requestHeaders");
            ArrayNode responses = api.putArray("responseHeaders");
            for (short version = type.lowestSupportedVersion(); version <= type.highestSupportedVersion(true); version++) {
                requests.add(type.requestHeaderVersion(version));
                responses.add(type.responseHeaderVersion(version));
            }
        }
        ArrayNode errors = facts.putArray("errors");
        for (Errors error : Errors.values()) {
            ApiException exception = error.exception();
            ObjectNode row = errors.addObject();
            row.put("code", error.code()).put("name", error.name()).put("class", group(error, exception));
            row.put("retriable", exception instanceof RetriableException);
        }
        return facts;
    }

    private static String group(Errors error, ApiException exception) {
        if (error == Errors.NONE) return "None";
        if (exception instanceof RefreshRetriableException) return "RefreshRetriable";
        if (exception instanceof RetriableException) return "Retriable";
        if (exception instanceof TransactionAbortableException) return "TransactionAbortable";
        if (exception instanceof ApplicationRecoverableException) return "ApplicationRecoverable";
        if (exception instanceof InvalidConfigurationException) return "InvalidConfiguration";
        return "Other";
    }
}
