// A service in node, with no package, that looks before it books a seat: it says in a header what it did.
const http = require("node:http");
const net = require("node:net");
const { randomUUID } = require("node:crypto");

const [host, port] = (process.env.VALKEY_ADDRESS || "localhost:6379").split(":");

// Run one command on a connection of its own; give its reply, null for none.
function command(...words) {
  return new Promise((resolve, reject) => {
    const text = words.map((word) => `$${word.length}\r\n${word}\r\n`).join("");
    const socket = net.connect(port, host, () => socket.write(`*${words.length}\r\n${text}`));
    socket.on("data", (data) => {
      socket.end();
      const [head, body] = data.toString().split("\r\n");
      resolve(head === "$-1" ? null : head[0] === "$" ? body : head.slice(1));
    });
    socket.on("error", reject);
  });
}

async function book(seat) {
  const key = `seat:${seat}`;
  const known = await command("GET", key);
  if (known) return { booking: known };
  const booking = randomUUID();
  if (!(await command("SET", key, booking))) return { booking: await command("GET", key) };
  await command("RPUSH", "bookings", booking);
  return { booking, made: true };
}

http
  .createServer(async (request, response) => {
    const { booking, made } = await book(new URL(request.url, "http://h").searchParams.get("seat"));
    response.setHeader("X-Booked", made ? "now" : "before");
    response.end(booking);
  })
  .listen(process.env.PORT, "127.0.0.1");
