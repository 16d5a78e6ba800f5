// A service in node that is started from what a build puts into dist/, and looks before it creates.
const http = require("node:http");
const net = require("node:net");

// Run one command on a connection of its own; give the first line of its reply.
function command(words) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(process.env.REDIS_PORT, "127.0.0.1", () => socket.write(words + "\r\n"));
    socket.on("data", (data) => {
      socket.end();
      resolve(data.toString().split("\r\n")[0]);
    });
    socket.on("error", reject);
  });
}

async function creates(pod) {
  const known = await command(`GET rec:${pod}`);
  return known === "$-1" && (await command(`SET rec:${pod} 1`)) === "+OK";
}

http
  .createServer((request, response) => {
    let text = "";
    request.on("data", (part) => (text += part));
    request.on("end", async () => {
      if (request.method !== "POST") return response.end("{}");
      const pod = JSON.parse(text).alerts[0].labels.pod;
      response.statusCode = (await creates(pod)) ? 201 : 202;
      response.end(JSON.stringify({ fingerprint: pod, remediationRequestName: `rr-${pod}` }));
    });
  })
  .listen(process.env.PORT, "127.0.0.1");
