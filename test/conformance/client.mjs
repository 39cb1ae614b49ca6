// The protocol's JavaScript client, @durable-streams/client, on three streams: a producer and three readers on each. clients.py
// makes the faults and judges the numbers; client.py is the same for the Python client.
//   node client.mjs URL PREFIX; commands on standard input, one answer in JSON on standard output for each (see `commands`).
// Messages are numbered from 0, so every reader can tell what is lost, repeated, or out of order.
//
// What is added to the client, as its documentation asks for: a request of the producer that got no answer, or 503, is sent again
// as it is; a reader whose session ended before the stream did begins another one at its last offset. Both are counted. Every
// other failure is kept, and ends what it happened to.
import { createInterface } from "node:readline"
import { setTimeout as pause } from "node:timers/promises"
import { DurableStream, FetchError, IdempotentProducer, stream } from "@durable-streams/client"

const [url, prefix] = process.argv.slice(2)
const KINDS = { text: "text/plain", json: "application/json", bytes: "application/octet-stream" }
const LIVE = { sse: "sse", "long-poll": "long-poll", "catch-up": false }
const UNACKNOWLEDGED = 20 // requests; a producer that has more waits

/** Whether numbers come once and in order. After a failover the numbers go on elsewhere: `jump`. */
class Checker {
    next = 0
    missing = new Set()
    lost = 0
    repeated = 0
    reordered = 0
    jump = null

    saw(number) {
        if (number === this.next) {
            this.next = this.jump?.at === number + 1 ? this.jump.to : number + 1
        } else if (number > this.next) {
            for (let n = this.next; n < number; ++n) this.missing.add(n)
            this.next = number + 1
        } else if (this.missing.delete(number)) {
            ++this.reordered
        } else {
            ++this.repeated
        }
        this.lost = this.missing.size
    }

    copy() {
        return Object.assign(new Checker(), this, { missing: new Set(this.missing) })
    }
}

/** The numbers of these messages, which must be whole. */
function numbers(text, end) {
    const found = text.split(end)
    if (found.pop() !== "" || !found.every((number) => /^\d+$/.test(number))) throw new Error(`no whole messages: ${text}`)
    return found.map(Number)
}

function count(counts, what) {
    counts[what] = (counts[what] ?? 0) + 1
}

class Producer {
    sent = 0
    failures = []
    answers = {}
    busy = [] // what 503 said
    running = true

    constructor(name, type, id, first = 0) {
        this.type = type
        this.number = first
        const handle = new DurableStream({ url: `${url}/v1/stream/${name}`, contentType: type })
        this.producer = new IdempotentProducer(handle, id, {
            lingerMs: 1,
            fetch: (...request) => this.fetch(...request),
            onError: (error) => this.failures.push(String(error)),
        })
        this.done = this.run()
    }

    async fetch(...request) {
        for (;;) {
            const since = performance.now()
            try {
                const response = await fetch(...request)
                count(this.answers, response.status)
                if (response.status !== 503) return response
                this.busy.push(`${await response.text()} (${Math.round(performance.now() - since)} ms)`)
            } catch {
                count(this.answers, "none")
            }
            await pause(20)
        }
    }

    send() {
        const body = { "text/plain": `${this.number} é\n`, "application/json": `{"n":${this.number}}` }
        this.producer.append(body[this.type] ?? `${this.number}\n`)
        ++this.number
        ++this.sent
    }

    async run() {
        while (this.running) {
            if (this.producer.inFlightCount < UNACKNOWLEDGED) this.send()
            await pause(4)
        }
        await this.producer.flush()
    }

    async stop() {
        this.running = false
        await this.done
    }

    stats() {
        return { sent: this.sent, waiting: this.producer.inFlightCount, answers: this.answers, busy: this.busy, failures: this.failures }
    }
}

class Reader {
    requests = {}
    sessions = 0
    held = false // begins no session
    idle = false
    got = 0
    ended = false
    told = null // the status that ended it
    failures = [] // what a session ended with

    constructor(name, mode, offset = "-1", checker = new Checker()) {
        Object.assign(this, { name, mode, offset, checker })
        this.done = this.run()
    }

    async run() {
        while (!this.ended && this.told === null) {
            this.idle = this.held
            try {
                if (!this.held) await this.session()
            } catch (error) {
                if (error instanceof FetchError && error.status < 500) this.told = error.status
                else this.failures.push(`${error} ${error.cause ?? ""}`)
            }
            await pause(20)
        }
    }

    async session() {
        ++this.sessions
        const response = await stream({
            url: `${url}/v1/stream/${this.name}`,
            offset: this.offset,
            live: LIVE[this.mode],
            warnOnHttp: false,
            sseResilience: { logWarnings: false },
            backoffOptions: { initialDelay: 20, maxDelay: 500, multiplier: 1.3 },
            fetch: (...request) => this.fetch(...request),
        })
        const take = (batch, numbers) => {
            this.got += numbers.length
            for (const number of numbers) this.checker.saw(number)
            this.offset = batch.offset
            this.ended ||= batch.streamClosed
        }
        if (response.contentType.startsWith("application/json"))
            response.subscribeJson((batch) => take(batch, batch.items.map((item) => item.n)))
        else if (response.contentType.startsWith("text/"))
            response.subscribeText((batch) => take(batch, numbers(batch.text, " é\n")))
        else response.subscribeBytes((batch) => take(batch, numbers(new TextDecoder().decode(batch.data), "\n")))
        await response.closed
    }

    async fetch(address, ...rest) {
        const live = new URL(address).searchParams.get("live") ?? "catch-up"
        try {
            const response = await fetch(address, ...rest)
            count(this.requests, `${live} ${response.status}`)
            return response
        } catch (error) {
            count(this.requests, `${live} none`)
            throw error
        }
    }

    stats() {
        const { lost, repeated, reordered, next } = this.checker
        const { got, ended, told, sessions, requests, failures } = this
        return { got, next, lost, repeated, reordered, ended, told, sessions, requests, failures }
    }
}

const producers = {}
const readers = {}
const marks = {}

const commands = {
    stats: () => ({
        producers: Object.fromEntries(Object.entries(producers).map(([name, producer]) => [name, producer.stats()])),
        readers: Object.fromEntries(Object.entries(readers).map(([name, reader]) => [name, reader.stats()])),
    }),

    /** No message is on its way any more. */
    async stop() {
        await Promise.all(Object.values(producers).map((producer) => producer.stop()))
        return commands.stats()
    },

    /** The streams are closed by their producers. */
    async end() {
        await commands.stop()
        await Promise.all(Object.values(producers).map((producer) => producer.producer.close()))
        return commands.stats()
    },

    /** Notes where the readers that catch up are. */
    mark() {
        for (const kind of Object.keys(KINDS)) {
            const { offset, checker } = readers[`${kind} catch-up`]
            marks[kind] = { offset, checker: checker.copy() }
        }
        return { marked: Object.fromEntries(Object.entries(marks).map(([kind, mark]) => [kind, mark.checker.next])) }
    },

    /** Readers that go on from the marks, on streams whose numbers go on with `to` after `at`; and producers of those numbers. */
    resume({ at, to }) {
        for (const [kind, type] of Object.entries(KINDS)) {
            const { offset, checker } = marks[kind]
            checker.jump = { at: at[kind], to }
            if (checker.next === at[kind]) checker.next = to
            readers[`${kind} resumed`] = new Reader(prefix + kind, kind === "json" ? "long-poll" : "sse", offset, checker)
            producers[`${kind} resumed`] = new Producer(prefix + kind, type, "resumed", to)
        }
        return commands.stats()
    },

    /** The readers that catch up read nothing until `release`. */
    async hold() {
        for (const kind of Object.keys(KINDS)) readers[`${kind} catch-up`].held = true
        while (!Object.keys(KINDS).every((kind) => readers[`${kind} catch-up`].idle)) await pause(5)
        return {}
    },

    release() {
        for (const kind of Object.keys(KINDS)) readers[`${kind} catch-up`].held = false
        return {}
    },

    /** The old producers send one message each, which is not waited for. */
    again() {
        for (const kind of Object.keys(KINDS)) producers[kind].send()
        return {}
    },
}

for (const [kind, type] of Object.entries(KINDS)) {
    await DurableStream.create({ url: `${url}/v1/stream/${prefix}${kind}`, contentType: type, warnOnHttp: false })
    producers[kind] = new Producer(prefix + kind, type, "producer")
    for (const mode of Object.keys(LIVE)) readers[`${kind} ${mode}`] = new Reader(prefix + kind, mode)
}
console.log("running")
for await (const line of createInterface({ input: process.stdin })) {
    const [command, argument] = line.split(/ (.*)/)
    console.log(JSON.stringify(await commands[command](argument && JSON.parse(argument))))
}
process.exit(0)
