// A member of a streams group (KIP-1071), of which Kafka's client library has the protocol: one subtopology that reads a
// topic. Joins and stays until its standard input ends; then it leaves.
//   StreamsMember.java HOST:PORT TOPIC GROUP
// Prints "active N" whenever it has another number of active tasks.

import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.PrintStream;
import java.net.Socket;
import java.nio.ByteBuffer;
import java.util.List;
import org.apache.kafka.common.Uuid;
import org.apache.kafka.common.message.StreamsGroupHeartbeatRequestData;
import org.apache.kafka.common.message.StreamsGroupHeartbeatRequestData.Subtopology;
import org.apache.kafka.common.message.StreamsGroupHeartbeatRequestData.TaskIds;
import org.apache.kafka.common.message.StreamsGroupHeartbeatRequestData.Topology;
import org.apache.kafka.common.message.StreamsGroupHeartbeatResponseData;
import org.apache.kafka.common.protocol.ApiKeys;
import org.apache.kafka.common.protocol.Errors;
import org.apache.kafka.common.requests.AbstractResponse;
import org.apache.kafka.common.requests.RequestHeader;
import org.apache.kafka.common.requests.StreamsGroupHeartbeatRequest;
import org.apache.kafka.common.requests.StreamsGroupHeartbeatResponse;

public class StreamsMember {
    private static final short VERSION = 0;
    private static final int JOINS = 0;
    private static final int LEAVES = -1;

    private final Socket socket;
    private final String group;
    private final String member = Uuid.randomUuid().toString();
    private int sent = 0;

    private StreamsMember(String address, String group) throws Exception {
        int colon = address.lastIndexOf(':');
        this.socket = new Socket(address.substring(0, colon), Integer.parseInt(address.substring(colon + 1)));
        this.group = group;
    }

    public static void main(String[] args) throws Exception {
        var out = new PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true);
        var streams = new StreamsMember(args[0], args[2]);
        var subtopology = new Subtopology().setSubtopologyId("reader").setSourceTopics(List.of(args[1]));
        var answer = streams.beat(streams.request(JOINS)
            .setRebalanceTimeoutMs(60_000)
            .setProcessId("process")
            .setClientTags(List.of())
            .setActiveTasks(List.of()).setStandbyTasks(List.of()).setWarmupTasks(List.of())
            .setTopology(new Topology().setEpoch(0).setSubtopologies(List.of(subtopology))));
        int active = 0;
        while (System.in.available() == 0) {
            var tasks = answer.activeTasks();
            var next = streams.request(answer.memberEpoch());
            if (tasks != null) {
                // What is given is taken at once, and said.
                next.setActiveTasks(tasks.stream().map(of -> new TaskIds().setSubtopologyId(of.subtopologyId()).setPartitions(of.partitions())).toList());
                next.setStandbyTasks(List.of()).setWarmupTasks(List.of());
                int now = tasks.stream().mapToInt(of -> of.partitions().size()).sum();
                if (now != active) out.println("active " + now);
                active = now;
            }
            answer = streams.beat(next);
            Thread.sleep(100);
        }
        streams.beat(streams.request(LEAVES));
    }

    private StreamsGroupHeartbeatRequestData request(int epoch) {
        return new StreamsGroupHeartbeatRequestData().setGroupId(group).setMemberId(member).setMemberEpoch(epoch);
    }

    private StreamsGroupHeartbeatResponseData beat(StreamsGroupHeartbeatRequestData data) throws Exception {
        for (;;) {
            var answer = ask(data);
            switch (Errors.forCode(answer.errorCode())) {
                case NONE:
                    return answer;
                case COORDINATOR_LOAD_IN_PROGRESS, COORDINATOR_NOT_AVAILABLE, NOT_COORDINATOR:
                    // The only broker there is becomes it in a moment.
                    Thread.sleep(100);
                    break;
                default:
                    throw new IllegalStateException("error " + answer.errorCode() + ": " + answer.errorMessage());
            }
        }
    }

    private StreamsGroupHeartbeatResponseData ask(StreamsGroupHeartbeatRequestData data) throws Exception {
        var header = new RequestHeader(ApiKeys.STREAMS_GROUP_HEARTBEAT, VERSION, "streams-member", ++sent);
        ByteBuffer bytes = new StreamsGroupHeartbeatRequest.Builder(data).build(VERSION).serializeWithHeader(header);
        var out = new DataOutputStream(socket.getOutputStream());
        out.writeInt(bytes.remaining());
        out.write(bytes.array(), bytes.arrayOffset() + bytes.position(), bytes.remaining());
        out.flush();
        var in = new DataInputStream(socket.getInputStream());
        byte[] frame = new byte[in.readInt()];
        in.readFully(frame);
        return ((StreamsGroupHeartbeatResponse) AbstractResponse.parseResponse(ByteBuffer.wrap(frame), header)).data();
    }
}
