// A Gateway in node that knows nothing of the harness: node:http, and ioredis as its manual shows it, with one
// connection that all requests share. Usage: node server.js racy | atomic | lock | together | shared.
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { Redis } from "ioredis";

const MODE = process.argv[2];
const TTL_SECONDS = 300;
const SCRIPT = `
local count = redis.call('HINCRBY', KEYS[1], 'count', 1)
if count == 1 then redis.call('HSET', KEYS[1], 'record', ARGV[1]) end
redis.call('EXPIRE', KEYS[1], ARGV[2])
return count
`;

const redis = new Redis(Number(process.env.REDIS_PORT), "127.0.0.1");
redis.defineCommand("createOrCount", { numberOfKeys: 1, lua: SCRIPT });

// Racy: whoever reads the count before another has written it back loses a hit.
async function readModifyWrite(key, record) {
  if (!(await redis.exists(key))) {
    await redis.hset(key, "record", record, "count", 1);
    return 1;
  }
  const count = Number(await redis.hget(key, "count")) + 1;
  await redis.hset(key, "count", count);
  return count;
}

// Correct: one script creates the record or counts the hit.
const atomic = (key, record) => redis.createOrCount(key, record, TTL_SECONDS);

// Correct in one process: the racy code, one request after another.
let last = Promise.resolve();
function locked(key, record) {
  const mine = last.then(() => readModifyWrite(key, record));
  last = mine.catch(() => {});
  return mine;
}

// Correct, and several requests go on in one turn: who comes while a first one is at work waits until it is done.
const leaders = new Map();
async function together(key, record) {
  await leaders.get(key);
  const mine = atomic(key, record);
  if (!leaders.has(key)) leaders.set(key, mine.finally(() => leaders.delete(key)));
  return mine;
}

// Correct, but what one request asked serves all who wait for it, so that they go on from different places at once.
const reads = new Map();
async function shared(key, record) {
  if (!reads.has(key)) reads.set(key, redis.exists(key).finally(() => reads.delete(key)));
  await reads.get(key);
  return atomic(key, record);
}

const deduplicate = { racy: readModifyWrite, atomic, lock: locked, together, shared }[MODE];

async function prometheus(body) {
  const { alertname, namespace, pod } = JSON.parse(body).alerts[0].labels;
  const fingerprint = createHash("sha256").update(`${alertname}:${namespace}:Pod:${pod}`).digest("hex");
  const record = `rr-${fingerprint.slice(0, 16)}`;
  const count = await deduplicate(`gw:dedup:${fingerprint}`, record);
  const duplicate = count > 1;
  const answer = { status: duplicate ? "duplicate" : "created", fingerprint, duplicate, remediationRequestName: record };
  return [duplicate ? 202 : 201, duplicate ? { ...answer, metadata: { count } } : answer];
}

createServer(async (request, response) => {
  let status = 200;
  let answer = { status: "ready" };
  if (request.method === "POST") {
    try {
      const chunks = [];
      for await (const chunk of request) chunks.push(chunk);
      [status, answer] = await prometheus(Buffer.concat(chunks));
    } catch (error) {
      [status, answer] = [500, { type: "https://kubernaut.ai/problems/internal-error", detail: String(error) }];
    }
  }
  const text = JSON.stringify(answer);
  response.writeHead(status, { "Content-Type": "application/json", "Content-Length": Buffer.byteLength(text) });
  response.end(text);
}).listen(Number(process.env.PORT), "127.0.0.1");
