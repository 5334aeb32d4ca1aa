"""A headless Chromium, spoken to over its DevTools protocol, for tests of pages.

    with Browser() as browser:
        page = browser.open()
        page.size(390, 800)
        page.go("http://127.0.0.1:8080/#overview")
        page.wait("document.querySelector('canvas')")
        print(page.errors, page.requests, page.audit())

Python's standard library is all that it takes: requests and answers go through a pair of pipes.
"""
import base64
import json
import os
import select
import shutil
import subprocess
import tempfile
import time

PATIENCE_S = 30

# What a page must be: everything that can be used has a name, every text stands out from what is below it
# (WCAG 2.1, 1.4.3: 4.5, or 3 for large letters), and nothing is wider than the window. Returns complaints.
AUDIT = r"""
(() => {
  const found = [];
  const seen = (node) => node.checkVisibility({checkOpacity: true, checkVisibilityCSS: true}) && node.getClientRects().length > 0;
  const where = (node) => node.tagName.toLowerCase() + (node.className && typeof node.className === 'string' ? '.' + node.className : '');
  const named = (node) => (node.getAttribute('aria-label') || node.innerText || '').trim() ||
    [...(node.labels || [])].some((label) => label.innerText.trim()) || node.getAttribute('title');
  for (const node of document.querySelectorAll('a, button, input, select, textarea, summary, canvas, nav, [role=img], [role=region], [tabindex="0"]'))
    if (seen(node) && !named(node)) found.push('no name: ' + where(node));
  const colour = (text) => {
    const parts = (text.match(/[\d.]+/g) || []).map(Number);
    return {rgb: parts.slice(0, 3), a: parts.length > 3 ? parts[3] : 1};
  };
  const over = (top, below) => top.rgb.map((c, i) => c * top.a + below[i] * (1 - top.a));
  const luminance = (rgb) => {
    const [r, g, b] = rgb.map((c) => c / 255).map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  const ground = (node) => {
    const above = [];
    for (let at = node; at; at = at.parentElement) above.push(colour(getComputedStyle(at).backgroundColor));
    return above.reverse().reduce((below, top) => over(top, below), [255, 255, 255]);
  };
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  let checked = 0;
  for (let text; (text = texts.nextNode());) {
    const node = text.parentElement;
    if (!text.data.trim() || !node || !seen(node) || ['SCRIPT', 'STYLE', 'NOSCRIPT', 'OPTION'].includes(node.tagName)) continue;
    const style = getComputedStyle(node), below = ground(node);
    const [one, two] = [luminance(over(colour(style.color), below)), luminance(below)].sort((a, b) => b - a);
    const ratio = (one + 0.05) / (two + 0.05), size = parseFloat(style.fontSize);
    const large = size >= 24 || (size >= 18.66 && Number(style.fontWeight) >= 700);
    checked++;
    if (ratio < (large ? 3 : 4.5)) found.push(`contrast ${ratio.toFixed(2)}: ${where(node)} '${text.data.trim().slice(0, 30)}'`);
  }
  if (!checked) found.push('there is no text');
  if (document.documentElement.scrollWidth > innerWidth) found.push(`${document.documentElement.scrollWidth} pixels wide, of ${innerWidth}`);
  if (document.querySelectorAll('h1').length !== 1) found.push('not one h1');
  if (!document.documentElement.lang || !document.title) found.push('no language or no title');
  const ids = [...document.querySelectorAll('[id]')].map((node) => node.id);
  if (new Set(ids).size !== ids.length) found.push('an id stands twice');
  return found;
})()
"""


def binary():
    """The browser's program, or None."""
    return next((found for name in ("chromium", "chromium-browser", "google-chrome") if (found := shutil.which(name))), None)


class Browser:
    def __init__(self):
        self.folder = tempfile.mkdtemp(prefix="quintet-browser-")
        to, self.out = os.pipe()
        self.come, back = os.pipe()

        def pipes():
            # It reads at 3 and writes at 4, whatever numbers ours have.
            one, two = os.dup(to), os.dup(back)
            os.dup2(one, 3)
            os.dup2(two, 4)

        self.process = subprocess.Popen(
            [binary(), "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run",
             "--disable-background-networking", "--disable-component-update", "--user-data-dir=" + self.folder,
             "--remote-debugging-pipe", "about:blank"],
            preexec_fn=pipes, close_fds=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        os.close(to)
        os.close(back)
        self.number, self.text, self.pages, self.answers = 0, b"", {}, {}

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def hear(self, seconds):
        """Takes what comes within so long: at least one message, unless nothing does."""
        if not select.select([self.come], [], [], seconds)[0]:
            return
        data = os.read(self.come, 1 << 20)
        if not data:
            raise RuntimeError("the browser has ended")
        *whole, self.text = (self.text + data).split(b"\0")
        for line in whole:
            message = json.loads(line)
            if "id" in message:
                self.answers[message["id"]] = message
            elif message.get("sessionId") in self.pages:
                self.pages[message["sessionId"]].note(message["method"], message["params"])

    def call(self, method, session=None, **params):
        self.number += 1
        message = {"id": self.number, "method": method, "params": params}
        if session:
            message["sessionId"] = session
        os.write(self.out, json.dumps(message).encode() + b"\0")
        until = time.monotonic() + PATIENCE_S
        while self.number not in self.answers:
            if time.monotonic() > until:
                raise RuntimeError(f"{method}: no answer in {PATIENCE_S} s")
            self.hear(1)
        answer = self.answers.pop(self.number)
        if "error" in answer:
            raise RuntimeError(f"{method}: {answer['error']}")
        return answer["result"]

    def open(self):
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        self.pages[session] = page = Page(self, session)
        for domain in ("Page", "Runtime", "Log", "Network"):
            page.call(domain + ".enable")
        return page


class Page:
    """errors: what the console complained of; requests: every address that was asked for."""

    def __init__(self, browser, session):
        self.browser, self.session, self.errors, self.requests = browser, session, [], []

    def call(self, method, **params):
        return self.browser.call(method, self.session, **params)

    def note(self, method, params):
        if method == "Runtime.exceptionThrown":
            details = params["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description") or details["text"])
        elif method == "Runtime.consoleAPICalled" and params["type"] in ("error", "warning", "assert"):
            self.errors.append(" ".join(str(a.get("value", a.get("description"))) for a in params["args"]))
        elif method == "Log.entryAdded" and params["entry"]["level"] in ("error", "warning"):
            self.errors.append(params["entry"]["text"] + " " + params["entry"].get("url", ""))
        elif method == "Network.requestWillBeSent":
            self.requests.append(params["request"]["url"])

    def size(self, width, height):
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 600)

    def dark(self, dark):
        self.call("Emulation.setEmulatedMedia",
                  features=[{"name": "prefers-color-scheme", "value": "dark" if dark else "light"}])

    def go(self, url):
        self.call("Page.navigate", url=url)

    def run(self, expression):
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in answer:
            raise RuntimeError(f"{expression[:80]}: {answer['exceptionDetails']['text']}")
        return answer["result"].get("value")

    def wait(self, expression):
        """Until it is true; fails with what the page says by then."""
        until = time.monotonic() + PATIENCE_S
        while not self.run(f"Boolean({expression})"):
            if time.monotonic() > until:
                raise RuntimeError(f"never true: {expression}; {self.errors}; the page: {self.run('document.body.innerText')[:500]}")
            self.browser.hear(0.05)

    def key(self, key):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, windowsVirtualKeyCode={"Tab": 9, "Enter": 13}[key],
                      **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}))

    def audit(self):
        return self.run(AUDIT)

    def shoot(self, path):
        data = self.call("Page.captureScreenshot", format="png", captureBeyondViewport=True)["data"]
        with open(path, "wb") as file:
            file.write(base64.b64decode(data))
