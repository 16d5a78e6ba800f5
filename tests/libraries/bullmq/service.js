// A queue of BullMQ with its worker in this process. `claims`: SET NX decides who queues; `looks`: GET, then SET.
'use strict'
const { Queue, Worker } = require('bullmq')
const Redis = require('ioredis')
const { serve, store } = require('../node_service')

const redis = new Redis(store)
const queue = new Queue('alerts', { connection: store })
new Worker('alerts', async (job) => {
  await redis.rpush(`done:${job.data.pod}`, `rr-${job.data.pod}`)
}, { connection: store })

serve(async (pod) => {
  let first
  if (process.argv[2] === 'claims') {
    first = (await redis.set(`seen:${pod}`, '1', 'NX')) === 'OK'
  } else {
    first = (await redis.get(`seen:${pod}`)) === null
    if (first) await redis.set(`seen:${pod}`, '1')
  }
  if (first) await queue.add('done', { pod })
  return first ? [201, null] : [202, null]
})
