// A service in Java that is started as a jar, and looks before it creates.
import com.sun.net.httpserver.HttpExchange;
import com.sun.net.httpserver.HttpServer;
import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.net.InetSocketAddress;
import java.net.Socket;
import java.util.concurrent.Executors;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

public class Service {
    private static final Pattern POD = Pattern.compile("\"pod\"\\s*:\\s*\"([^\"]*)\"");
    private static final int STORE = Integer.parseInt(System.getenv("REDIS_PORT"));

    // Run one command on a connection of its own; give the first line of its reply.
    private static String command(String words) throws IOException {
        try (Socket socket = new Socket("127.0.0.1", STORE)) {
            socket.getOutputStream().write((words + "\r\n").getBytes());
            return new BufferedReader(new InputStreamReader(socket.getInputStream())).readLine();
        }
    }

    private static boolean creates(String pod) throws IOException {
        String known = command("GET rec:" + pod);
        return known.equals("$-1") && command("SET rec:" + pod + " 1").equals("+OK");
    }

    private static void receive(HttpExchange exchange) throws IOException {
        Matcher found = POD.matcher(new String(exchange.getRequestBody().readAllBytes()));
        String pod = found.find() ? found.group(1) : "";
        int status = pod.isEmpty() ? 200 : creates(pod) ? 201 : 202;
        byte[] told = ("{\"fingerprint\": \"" + pod + "\", \"remediationRequestName\": \"rr-" + pod + "\"}").getBytes();
        exchange.sendResponseHeaders(status, told.length);
        exchange.getResponseBody().write(told);
        exchange.close();
    }

    public static void main(String[] arguments) throws IOException {
        InetSocketAddress here = new InetSocketAddress("127.0.0.1", Integer.parseInt(System.getenv("PORT")));
        HttpServer server = HttpServer.create(here, 0);
        server.createContext("/", Service::receive);
        server.setExecutor(Executors.newFixedThreadPool(4));
        server.start();
    }
}
