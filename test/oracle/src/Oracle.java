import com.fasterxml.jackson.databind.ObjectMapper;
import java.io.BufferedInputStream;
import java.io.BufferedOutputStream;
import java.io.ByteArrayInputStream;
import java.io.ByteArrayOutputStream;
import java.io.DataInputStream;
import java.io.DataOutputStream;
import java.io.EOFException;
import java.io.IOException;
import java.io.PrintStream;
import java.io.PrintWriter;
import java.io.StringWriter;

/**
 * Answers questions about Kafka's wire format with Kafka's own classes, one after the other, over standard input and
 * output. A question is a frame (int32 length): a byte that names it and its arguments; an answer is a frame: a byte,
 * 0 for an answer and 1 for an error's text, and the answer. Strings are DataOutput's, bytes have an int32 length.
 */
public final class Oracle {
    static final ObjectMapper JSON = new ObjectMapper();

    public static void main(String[] args) throws IOException {
        DataInputStream in = new DataInputStream(new BufferedInputStream(System.in, 1 << 16));
        DataOutputStream out = new DataOutputStream(new BufferedOutputStream(System.out, 1 << 16));
        // Whatever prints must not disturb the answers.
        System.setOut(new PrintStream(System.err));
        while (true) {
            byte[] question;
            try {
                question = in.readNBytes(in.readInt());
            } catch (EOFException end) {
                return;
            }
            byte[] answer = answer(question);
            out.writeInt(answer.length);
            out.write(answer);
            out.flush();
        }
    }

    private static byte[] answer(byte[] question) throws IOException {
        ByteArrayOutputStream bytes = new ByteArrayOutputStream();
        DataOutputStream out = new DataOutputStream(bytes);
        try {
            DataInputStream in = new DataInputStream(new ByteArrayInputStream(question));
            out.writeByte(0);
            switch (in.readByte()) {
                case 'f' -> write(out, JSON.writeValueAsBytes(Facts.all()));
                case 'm' -> Messages.read(in.readUTF(), in.readShort(), bytes(in), out);
                case 'r' -> Messages.random(in.readUTF(), in.readShort(), in.readLong(), out);
                case 'b' -> write(out, Batches.write(JSON.readTree(bytes(in))));
                case 'B' -> write(out, JSON.writeValueAsBytes(Batches.read(bytes(in))));
                default -> throw new IllegalArgumentException("unknown question");
            }
        } catch (Throwable error) {
            StringWriter text = new StringWriter();
            error.printStackTrace(new PrintWriter(text));
            bytes.reset();
            out.writeByte(1);
            write(out, text.toString().getBytes("UTF-8"));
        }
        return bytes.toByteArray();
    }

    static byte[] bytes(DataInputStream in) throws IOException {
        return in.readNBytes(in.readInt());
    }

    static void write(DataOutputStream out, byte[] bytes) throws IOException {
        out.writeInt(bytes.length);
        out.write(bytes);
    }
}
