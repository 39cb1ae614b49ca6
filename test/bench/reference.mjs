// The protocol's reference server with its file store: reference.mjs DIRECTORY prints its address. The file store has one
// setting of durability: an append is answered after fdatasync of the stream's file (doc/performance.md).
import { createRequire } from "node:module"

const [directory, modules] = process.argv.slice(2)
const { DurableStreamTestServer } = createRequire(modules + "/")("@durable-streams/server")
const server = new DurableStreamTestServer({ port: 0, dataDir: directory })
console.log(`listening on ${await server.start()}`)
process.stdin.resume().on("end", () => process.exit(0))
