#!/usr/bin/env python3
"""The protocol's Python client, durable-streams, on three streams: what client.mjs does with the JavaScript client, with the same
commands and answers.
    client.py URL PREFIX

What is added to the client, which repeats nothing by itself: a request of the producer that got no answer, or 503, is sent again as it
is; a reader whose session ended before the stream did begins another one at its last offset. Both are counted. Every other failure is
kept, and ends what it happened to."""
import asyncio
import json
import os
import sys
import threading
import time

import httpx
from durable_streams import DurableStream, IdempotentProducer, stream

URL, PREFIX = sys.argv[1:]
KINDS = {"text": ("text/plain", "{} é\n"), "json": ("application/json", '{{"n":{}}}'), "bytes": ("application/octet-stream", "{}\n")}
LIVE = {"sse": "sse", "long-poll": "long-poll", "catch-up": False}
UNACKNOWLEDGED = 20     # requests and messages; a producer that has more waits


class Checker:
    """Whether numbers come once and in order."""

    def __init__(self):
        self.next, self.missing, self.repeated, self.reordered = 0, set(), 0, 0

    def saw(self, number):
        if number >= self.next:
            self.missing.update(range(self.next, number))
            self.next = number + 1
        elif number in self.missing:
            self.missing.remove(number)
            self.reordered += 1
        else:
            self.repeated += 1


def numbers(text, end):
    """The numbers of these messages, which must be whole."""
    *found, rest = text.split(end)
    if rest:
        raise ValueError(f"no whole messages: {text}")
    return [int(number) for number in found]


def count(counts, what):
    counts[what] = counts.get(what, 0) + 1


class Again(httpx.AsyncHTTPTransport):
    def __init__(self, answers, busy):
        super().__init__()
        self.answers, self.busy = answers, busy

    async def handle_async_request(self, request):
        while True:
            since = time.monotonic()
            try:
                response = await super().handle_async_request(request)
                count(self.answers, response.status_code)
                if response.status_code != 503:
                    return response
                self.busy.append(f"{(await response.aread()).decode()} ({1000 * (time.monotonic() - since):.0f} ms)")
            except httpx.TransportError:
                count(self.answers, "none")
            await asyncio.sleep(0.02)


class Producer:
    def __init__(self, kind):
        self.type, self.message = KINDS[kind]
        self.sent, self.answers, self.busy, self.failures, self.running = 0, {}, [], [], True     # busy: what 503 said
        self.producer = IdempotentProducer(f"{URL}/v1/stream/{PREFIX}{kind}", "producer", linger_ms=1, content_type=self.type,
                                           client=httpx.AsyncClient(transport=Again(self.answers, self.busy), timeout=60),
                                           on_error=lambda error: self.failures.append(repr(error)))
        self.done = asyncio.get_running_loop().create_task(self.run())

    async def run(self):
        while self.running:
            if self.waiting() < UNACKNOWLEDGED:
                self.producer.append(self.message.format(self.sent))
                self.sent += 1
            await asyncio.sleep(0.004)
        await self.producer.flush()

    def waiting(self):
        return self.producer.in_flight_count + self.producer.pending_count

    async def stop(self):
        self.running = False
        await self.done

    def stats(self):
        return {"sent": self.sent, "waiting": self.waiting(), "answers": self.answers, "busy": self.busy, "failures": self.failures}


class Ended(Exception):
    pass


class Reader:
    def __init__(self, kind, mode):
        self.kind, self.mode, self.offset, self.checker = kind, mode, None, Checker()
        self.requests, self.sessions, self.got, self.ended, self.told, self.failures = {}, 0, 0, False, None, []
        self.client = httpx.Client(timeout=60, event_hooks={"response": [self.answered]})
        self.thread = threading.Thread(target=self.run, daemon=True)
        self.thread.start()

    def answered(self, response):
        count(self.requests, f"{response.request.url.params.get('live', 'catch-up')} {response.status_code}")
        # The client asks on forever after the long-poll that says that the stream has ended.
        if response.status_code == 204 and response.headers.get("Stream-Closed") == "true":
            raise Ended

    def run(self):
        while not self.ended and self.told is None:
            self.sessions += 1
            try:
                self.session()
            except Ended:
                self.ended = True
            except Exception as error:
                status = getattr(error, "status", None)
                if status is not None and status < 500:
                    self.told = status
                else:
                    self.failures.append(repr(error))
            time.sleep(0.02)

    def session(self):
        with stream(f"{URL}/v1/stream/{PREFIX}{self.kind}", offset=self.offset, live=LIVE[self.mode], client=self.client) as response:
            for event in response.iter_events(mode="json" if self.kind == "json" else "text"):
                if event.data:
                    got = [item["n"] for item in event.data] if self.kind == "json" else numbers(event.data, KINDS[self.kind][1][2:])
                    self.got += len(got)
                    for number in got:
                        self.checker.saw(number)
                self.offset = event.next_offset
                if response.stream_closed:
                    break
            self.offset = response.offset
            self.ended = response.stream_closed

    def stats(self):
        return {"got": self.got, "next": self.checker.next, "lost": len(self.checker.missing), "repeated": self.checker.repeated,
                "reordered": self.checker.reordered, "ended": self.ended, "told": self.told, "sessions": self.sessions,
                "requests": self.requests, "failures": self.failures}


async def main():
    producers, readers = {}, {}
    for kind, (content_type, _) in KINDS.items():
        DurableStream.create(f"{URL}/v1/stream/{PREFIX}{kind}", content_type=content_type)
        producers[kind] = Producer(kind)
        for mode in LIVE:
            readers[f"{kind} {mode}"] = Reader(kind, mode)
    loop = asyncio.get_running_loop()
    print("running", flush=True)
    while command := (await loop.run_in_executor(None, sys.stdin.readline)).strip():
        if command in ("stop", "end"):
            for producer in producers.values():
                await producer.stop()
        if command == "end":
            for producer in producers.values():
                await producer.producer.close_stream()
        print(json.dumps({"producers": {name: producer.stats() for name, producer in producers.items()},
                          "readers": {name: reader.stats() for name, reader in readers.items()}}), flush=True)
    os._exit(0)     # a reader may be in a request


asyncio.run(main())
