"""A headless Chromium for tests, driven by its DevTools protocol over a pipe: no port is opened and no package needed but
chromium itself.

It has a profile of its own in a temporary directory and ends with close(), or with this process. Its sandbox stays on
where the system lets an ordinary user have one.
"""
import base64
import fcntl
import itertools
import json
import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time

KEYS = {"Tab": 9, "Enter": 13, " ": 32, "End": 35, "Home": 36, "ArrowUp": 38, "ArrowDown": 40}


def find():
    """The program; None when there is none."""
    return shutil.which("chromium")


class Lost(Exception):
    """The browser has ended."""


class Browser:
    def __init__(self, deadline=30):
        self.deadline = deadline
        try:
            self.start()
        except Lost:    # some systems have no sandbox for ordinary users, and root has none at all
            self.start("--no-sandbox")

    def start(self, *options):
        self.directory = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
        commands, answers = os.pipe(), os.pipe()
        # Above 9, so that the shell's redirections to 3 and 4 do not close what they copy.
        theirs = [fcntl.fcntl(fd, fcntl.F_DUPFD, 10) for fd in (commands[0], answers[1])]
        os.close(commands[0])
        os.close(answers[1])
        self.process = subprocess.Popen(
            ["bash", "-c", f'exec "$@" 3<&{theirs[0]} 4>&{theirs[1]} {theirs[0]}<&- {theirs[1]}>&-', "bash", find(), "--headless=new", "--remote-debugging-pipe",
             f"--user-data-dir={self.directory.name}", "--no-first-run", "--disable-gpu", "--disable-dev-shm-usage", "--disable-extensions",
             "--disable-background-networking", "--disable-component-update", "--disable-sync", "--no-proxy-server",
             "--force-prefers-reduced-motion", "--window-size=1000,640", *options],
            pass_fds=theirs, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            env={**os.environ, "HOME": self.directory.name})
        for fd in theirs:
            os.close(fd)
        self.commands, self.answers = os.fdopen(commands[1], "wb"), os.fdopen(answers[0], "rb")
        self.numbers, self.waiting, self.listeners = itertools.count(1), {}, []
        threading.Thread(target=self.receive, daemon=True).start()
        self.call("Browser.getVersion")

    def receive(self):
        rest = b""
        while part := self.answers.read1(1 << 16):
            *messages, rest = (rest + part).split(b"\0")
            for message in map(json.loads, messages):
                if "id" in message:
                    self.waiting.pop(message["id"]).put(message)
                else:
                    for listener in list(self.listeners):
                        listener(message)
        for pending in list(self.waiting.values()):
            pending.put({"lost": True})

    def send(self, method, session=None, **parameters):
        """Sends a command; what will have its answer."""
        number, pending = next(self.numbers), queue.Queue()
        self.waiting[number] = pending
        message = {"id": number, "method": method, "params": parameters, **({"sessionId": session} if session else {})}
        try:
            self.commands.write(json.dumps(message).encode() + b"\0")
            self.commands.flush()
        except OSError:
            raise Lost() from None
        return pending

    def call(self, method, session=None, **parameters):
        try:
            answer = self.send(method, session, **parameters).get(timeout=self.deadline)
        except queue.Empty:
            raise TimeoutError(f"the browser has not answered {method}") from None
        if "lost" in answer:
            raise Lost()
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def close(self):
        try:
            self.call("Browser.close")
        except (Lost, TimeoutError):
            pass
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.directory.cleanup()


class Tab:
    """One page. `requests` are the addresses that it has asked for, `complaints` the script's uncaught errors and what
    the Content-Security-Policy has refused."""

    def __init__(self, browser, address):
        self.browser = browser
        target = browser.call("Target.createTarget", url="about:blank")["targetId"]
        self.target = target
        self.session = browser.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.requests, self.complaints, self.loads = [], [], 0
        self.refuse = None      # status, headers, body for requests of events; see refuse_events()
        browser.listeners.append(self.hear)
        for domain in ("Page", "Network", "Runtime", "Log"):
            self.call(domain + ".enable")
        self.go(address)

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def hear(self, message):
        if message.get("sessionId") != self.session:
            return
        method, parameters = message["method"], message["params"]
        if method == "Network.requestWillBeSent":
            self.requests.append((time.monotonic(), parameters["request"]["url"]))
        elif method == "Page.loadEventFired":
            self.loads += 1
        elif method == "Runtime.exceptionThrown":
            self.complaints.append(parameters["exceptionDetails"].get("exception", {}).get("description") or parameters["exceptionDetails"]["text"])
        elif method == "Log.entryAdded" and parameters["entry"]["source"] in ("security", "violation"):
            self.complaints.append(parameters["entry"]["text"])
        elif method == "Fetch.requestPaused":
            # From the thread that receives: so without waiting for the answer.
            request = {"requestId": parameters["requestId"]}
            if self.refuse is None:
                self.browser.send("Fetch.continueRequest", self.session, **request)
            else:
                status, headers, body = self.refuse
                self.browser.send("Fetch.fulfillRequest", self.session, **request, responseCode=status,
                                  responseHeaders=[{"name": name, "value": value} for name, value in headers.items()],
                                  body=base64.b64encode(body.encode()).decode())

    def refuse_events(self, status, headers, body):
        """From now on this is the answer to the page's requests of events, until stop_refusing()."""
        self.refuse = status, headers, body
        self.call("Fetch.enable", patterns=[{"urlPattern": "*live=sse*"}])

    def stop_refusing(self):
        self.refuse = None
        self.call("Fetch.disable")

    def loaded(self, before):
        end = time.monotonic() + self.browser.deadline
        while self.loads == before:
            if time.monotonic() > end:
                raise TimeoutError("the page was not loaded")
            time.sleep(0.01)

    def go(self, address):
        before = self.loads
        answer = self.call("Page.navigate", url=address)
        if "errorText" in answer:
            raise RuntimeError(f"{address}: {answer['errorText']}")
        self.loaded(before)

    def reload(self):
        before = self.loads
        self.call("Page.reload")
        self.loaded(before)

    def eval(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(answer["exceptionDetails"].get("exception", {}).get("description", expression))
        return answer["result"].get("value")

    def type(self, text):
        self.call("Input.insertText", text=text)

    def press(self, key, times=1, modifiers=0):
        """A key by its name, or a letter. modifiers: 8 is Shift."""
        code = KEYS.get(key) or ord(key.upper())
        text = {"Enter": "\r"}.get(key, key if len(key) == 1 else None)
        for _ in range(times):
            key_event = {"key": key, "code": {" ": "Space"}.get(key, key if len(key) > 1 else "Key" + key.upper()), "windowsVirtualKeyCode": code, "modifiers": modifiers}
            self.call("Input.dispatchKeyEvent", type="keyDown" if text else "rawKeyDown", **key_event, **({"text": text} if text else {}))
            self.call("Input.dispatchKeyEvent", type="keyUp", **key_event)

    def screenshot(self, path):
        with open(path, "wb") as file:
            file.write(base64.b64decode(self.call("Page.captureScreenshot", format="png", optimizeForSpeed=False)["data"]))

    def close(self):
        self.browser.listeners.remove(self.hear)
        self.browser.call("Target.closeTarget", targetId=self.target)
