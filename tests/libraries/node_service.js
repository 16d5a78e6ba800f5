// What the services in node have in common: HTTP in, the pod of an alert to a function, its answer as JSON.
'use strict'
const http = require('node:http')

exports.store = { host: '127.0.0.1', port: Number(process.env.REDIS_PORT) }

exports.serve = function serve(handle) {
  http.createServer((request, response) => {
    const parts = []
    request.on('data', (part) => parts.push(part))
    request.on('end', async () => {
      let status = 200, body = {}
      if (request.method === 'POST') {
        try {
          const pod = JSON.parse(Buffer.concat(parts)).alerts[0].labels.pod
          const [code, count] = await handle(pod)
          status = code
          body = { remediationRequestName: `rr-${pod}`, metadata: { count } }
        } catch (error) {
          status = error.status || 500
          body = { error: String(error) }
        }
      }
      response.writeHead(status, { 'Content-Type': 'application/json' })
      response.end(JSON.stringify(body))
    })
  }).listen(Number(process.env.PORT), '127.0.0.1')
}
