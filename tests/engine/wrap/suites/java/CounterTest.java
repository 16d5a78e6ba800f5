import static org.junit.jupiter.api.Assertions.assertEquals;

import java.io.BufferedReader;
import java.io.IOException;
import java.io.InputStreamReader;
import java.io.UncheckedIOException;
import java.net.Socket;
import java.nio.charset.StandardCharsets;
import org.junit.jupiter.api.Test;

/** A test of a user: two threads count, each on a connection of its own. */
class CounterTest {
  static class Client {
    private final Socket socket;
    private final BufferedReader reader;

    Client() {
      try {
        socket = new Socket(System.getenv("REDIS_HOST"), Integer.parseInt(System.getenv("REDIS_PORT")));
        socket.setTcpNoDelay(true);
        reader = new BufferedReader(new InputStreamReader(socket.getInputStream(), StandardCharsets.UTF_8));
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }

    /** Sends a command and gives its reply; what is not there is "0". */
    String ask(String... words) {
      StringBuilder text = new StringBuilder("*" + words.length + "\r\n");
      for (String word : words) {
        text.append("$").append(word.length()).append("\r\n").append(word).append("\r\n");
      }
      try {
        socket.getOutputStream().write(text.toString().getBytes(StandardCharsets.UTF_8));
        String line = reader.readLine();
        if (line.equals("$-1")) {
          return "0";
        }
        return line.startsWith("$") ? reader.readLine() : line.substring(1);
      } catch (IOException error) {
        throw new UncheckedIOException(error);
      }
    }
  }

  interface Add {
    void run(Client client);
  }

  String counted(Add add) throws InterruptedException {
    Client first = new Client();
    Client second = new Client();
    Thread early = new Thread(() -> add.run(first));
    Thread late =
        new Thread(
            () -> { // it reads its configuration first
              for (int number = 0; number < 3; number++) {
                second.ask("GET", "config:" + number);
              }
              add.run(second);
            });
    early.start();
    late.start();
    early.join();
    late.join();
    return first.ask("GET", "counter");
  }

  @Test
  void racy() throws InterruptedException {
    assertEquals(
        "2",
        counted(
            client -> {
              int value = Integer.parseInt(client.ask("GET", "counter"));
              client.ask("SET", "counter", String.valueOf(value + 1));
            }));
  }

  @Test
  void fixed() throws InterruptedException {
    assertEquals("2", counted(client -> client.ask("INCR", "counter")));
  }
}
