// s3_server.mjs - an S3 server of another hand, npm's @20minutes/s3rver, which checks signatures, for one test. It prints its port, and writes
// a line "METHOD PATH STATUS" to the file log for each request that it answered. While a file "silent" is in the folder it takes
// requests and does not answer. usage: node s3_server.mjs path/to/folder-with-node_modules FOLDER PORT
import fs from 'node:fs'
import http from 'node:http'
import { createRequire } from 'node:module'
import path from 'node:path'

const require = createRequire(path.join(path.resolve(process.argv[2]), 'package.json'))
const S3rver = require('@20minutes/s3rver')
const folder = path.resolve(process.argv[3])
const store = new S3rver({
    directory: path.join(folder, 'objects'),
    silent: true,
    configureBuckets: [{ name: 'firmware' }],
})
await store.configureBuckets()
const answer = store.callback()
const server = http.createServer((request, response) => {
    if (fs.existsSync(path.join(folder, 'silent'))) {
        fs.appendFileSync(path.join(folder, 'log'), `${request.method} ${request.url.split('?')[0]} silent\n`)
        return
    }
    const end = response.end
    response.end = (...rest) => { // before who asked knows that it was answered
        const line = `${request.method} ${request.url.split('?')[0]} ${response.statusCode}\n`
        fs.appendFileSync(path.join(folder, 'log'), line)
        return end.apply(response, rest)
    }
    answer(request, response)
})
server.listen(Number(process.argv[4]), '127.0.0.1', () => console.log(server.address().port))
