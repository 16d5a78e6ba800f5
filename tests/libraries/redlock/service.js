// The lock of node's redlock around a counter: `locked` counts inside of it, `beside` after it was released.
'use strict'
const { default: Redlock } = require('redlock')
const Redis = require('ioredis')
const { serve, store } = require('../node_service')

const redis = new Redis(store) // the counter's; who shares a connection has no race on it
const locks = new Redis(store)
const redlock = new Redlock([locks], { retryCount: -1 })

async function count(pod) {
  const hits = Number(await redis.get(`hits:${pod}`)) + 1
  await redis.set(`hits:${pod}`, hits)
  return hits
}

serve(async (pod) => {
  let hits = 0, created = false
  const lock = await redlock.acquire([`lock:${pod}`], 30000)
  try {
    created = (await locks.get(`record:${pod}`)) === null
    if (created) await locks.set(`record:${pod}`, `rr-${pod}`)
    if (created || process.argv[2] === 'locked') hits = await count(pod)
  } finally {
    await lock.release()
  }
  return created ? [201, hits] : [202, hits || (await count(pod))]
})
