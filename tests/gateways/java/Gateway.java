// A Gateway in Java that knows nothing of the harness: the server of the JDK with a pool of threads, and Lettuce as its
// manual shows it, with one connection that all threads share. Usage: java Gateway racy | atomic | lock.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import io.lettuce.core.RedisClient;
import io.lettuce.core.ScriptOutputType;
import io.lettuce.core.api.sync.RedisCommands;
import java.io.IOException;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.security.MessageDigest;
import java.util.HexFormat;
import java.util.Map;
import java.util.concurrent.Executors;
import java.util.concurrent.locks.ReentrantLock;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public final class Gateway {
    interface Protocol {
        long count(String key, String record);
    }

    static final String SCRIPT = """
            local count = redis.call('HINCRBY', KEYS[1], 'count', 1)
            if count == 1 then redis.call('HSET', KEYS[1], 'record', ARGV[1]) end
            redis.call('EXPIRE', KEYS[1], 300)
            return count
            """;

    static final RedisCommands<String, String> redis =
            RedisClient.create("redis://127.0.0.1:" + System.getenv("REDIS_PORT")).connect().sync();
    static final ReentrantLock lock = new ReentrantLock();

    // Racy: whoever reads the count before another has written it back loses a hit.
    static long readModifyWrite(String key, String record) {
        if (redis.exists(key) == 0) {
            redis.hset(key, Map.of("record", record, "count", "1"));
            return 1;
        }
        long count = Long.parseLong(redis.hget(key, "count")) + 1;
        redis.hset(key, "count", Long.toString(count));
        return count;
    }

    // Correct: one script creates the record or counts the hit.
    static long atomic(String key, String record) {
        return redis.<Long>eval(SCRIPT, ScriptOutputType.INTEGER, new String[] {key}, record);
    }

    // Correct in one process: the racy code, one request after another.
    static long locked(String key, String record) {
        lock.lock();
        try {
            return readModifyWrite(key, record);
        } finally {
            lock.unlock();
        }
    }

    static String label(String body, String name) {
        Matcher found = Pattern.compile("\"" + name + "\": *\"([^\"]*)\"").matcher(body);
        return found.find() ? found.group(1) : "";
    }

    static void prometheus(HttpExchange exchange, Protocol protocol) throws Exception {
        String body = new String(exchange.getRequestBody().readAllBytes(), StandardCharsets.UTF_8);
        String signal = label(body, "alertname") + ":" + label(body, "namespace") + ":Pod:" + label(body, "pod");
        byte[] sum = MessageDigest.getInstance("SHA-256").digest(signal.getBytes(StandardCharsets.UTF_8));
        String fingerprint = HexFormat.of().formatHex(sum);
        String record = "rr-" + fingerprint.substring(0, 16);
        long count = protocol.count("gw:dedup:" + fingerprint, record);
        String metadata = count > 1 ? ",\"duplicate\":true,\"metadata\":{\"count\":" + count + "}" : "";
        answer(exchange, count > 1 ? 202 : 201, "{\"status\":\"" + (count > 1 ? "duplicate" : "created")
                + "\",\"fingerprint\":\"" + fingerprint + "\",\"remediationRequestName\":\"" + record + "\""
                + metadata + "}");
    }

    static void answer(HttpExchange exchange, int status, String text) throws IOException {
        byte[] bytes = text.getBytes(StandardCharsets.UTF_8);
        exchange.getResponseHeaders().set("Content-Type", "application/json");
        exchange.sendResponseHeaders(status, bytes.length);
        exchange.getResponseBody().write(bytes);
        exchange.close();
    }

    public static void main(String[] arguments) throws IOException {
        Map<String, Protocol> modes =
                Map.of("racy", Gateway::readModifyWrite, "atomic", Gateway::atomic, "lock", Gateway::locked);
        Protocol protocol = modes.get(arguments[0]);
        HttpServer server = HttpServer.create(
                new InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("PORT"))), 0);
        server.setExecutor(Executors.newFixedThreadPool(8));
        server.createContext("/ready", exchange -> answer(exchange, 200, "{\"status\":\"ready\"}"));
        server.createContext("/api/v1/signals/prometheus", exchange -> {
            try {
                prometheus(exchange, protocol);
            } catch (Exception error) {
                answer(exchange, 500, "{\"type\":\"https://kubernaut.ai/problems/internal-error\"}");
            }
        });
        server.start();
    }
}
