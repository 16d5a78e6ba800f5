// The rate limit of node-ratelimiter: 2.1.3 writes what it has read before less one, 2.2.0 lets the store count.
'use strict'
const Limiter = require('ratelimiter')
const Redis = require('ioredis')
const { serve, store } = require('../node_service')

const db = new Redis(store)
const MAX = 100

serve((pod) => new Promise((resolve, reject) => {
  new Limiter({ id: pod, db, max: MAX, duration: 60000 }).get((error, limit) => {
    if (error) return reject(error)
    const count = MAX - limit.remaining + 1
    resolve(limit.remaining === MAX ? [201, count] : [202, count])
  })
}))
