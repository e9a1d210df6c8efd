"""What all Python checks share: where the gateway is, what to ask it, and one line of output for each check."""
import base64, hashlib, json, os, pathlib, sys, time, traceback, urllib.request, uuid
import pydantic

BASE = os.environ["CLIENT_BASE"]
KEY = os.environ["CLIENT_KEY"]
REPLAY = os.environ["CLIENT_REPLAY"]
BACKENDS = os.environ["CLIENT_BACKENDS"].split()
RECORDINGS = int(os.environ.get("CLIENT_RECORDINGS", "0"))  # of each dialect; 0: there are none
CASES = json.loads((pathlib.Path(os.environ["CLIENT_CASES"])).read_text())
# A red pixel.
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg=="
PNG_SUM = "image/png " + hashlib.sha256(base64.b64decode(PNG)).hexdigest()[:12]
SYSTEM = "You are brief."
WEATHER = {"type": "object", "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]}}, "required": ["city"], "additionalProperties": False}
CLOCK = {"type": "object", "properties": {"zone": {"type": "string"}}, "required": ["zone"], "additionalProperties": False}
GONE_MS = 1000  # 100 ms is promised; the rest is for a busy machine


class Ask:
    """One case on one backend: model, prompt with a tag of its own, headers."""

    def __init__(self, case, backend):
        self.case, self.backend, self.tag = case, backend, uuid.uuid4().hex[:12]
        self.rehearsal = backend == "rehearsal"
        if self.rehearsal:
            self.model = "rehearsal/thinker" if case == "think" else "rehearsal/quick"
        else:
            # A name of its own for each, so that the failures of one check do not set the next one's model aside.
            name = "replay-" + ("drip" if case == "stall" else case) + "." + self.tag
            self.model = name if backend == "direct" else backend + "/" + name
        self.prompt = CASES[case]["prompt"] + ("" if self.rehearsal else " tag-" + self.tag)
        directive = CASES[case]["rehearse"]
        self.headers = {"x-headrace-rehearse": directive} if self.rehearsal and directive else {}

    def upstream(self):
        """The requests with this tag as the provider saw them."""
        return get_json(f"{REPLAY}/control/requests?tag={self.tag}")


class Client:
    def __init__(self, name):
        self.name, self.n = name, 0

    def check(self, name, backend, fn):
        """Runs one check and prints its line. fn raises when something is wrong; what it returns is a remark."""
        self.n += 1
        begin = time.monotonic()
        try:
            remark = fn() or ""
            status = "ok"
        except Exception as e:  # every way to fail is a line, none ends the run
            where = next((f"line {f.lineno}" for f in reversed(traceback.extract_tb(e.__traceback__)) if f.filename.endswith("_test.py")), "")
            status, remark = "FAIL", f"{where} {type(e).__name__}: {e}"[:max(600, int(os.environ.get("CLIENT_WIDTH", "0")) * 20)].replace("\n", " ")
        print("\t".join([status, self.name, name, backend, f"{(time.monotonic() - begin) * 1000:.0f}", remark]), flush=True)

    def done(self):
        print(f"done\t{self.name}\t{self.n}", flush=True)


def get_json(url, headers={}):
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers), timeout=10) as r:
        return json.loads(r.read())


def want(got, expected, what=""):
    if got != expected:
        raise AssertionError(f"{what}: got {got!r}, want {expected!r}")


def expect(ok, what):
    if not ok:
        raise AssertionError(what)


def raises(kind, fn):
    """Gives the error of that kind that fn raises."""
    try:
        got = fn()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__}, but an answer: {got!r}"[:300])


def seen_gone(ask, left_at, request_id):
    """Waits until the provider has seen the client leave, and the ledger says so."""
    until = time.time() + 5
    remark = ""
    if not ask.rehearsal:
        while True:
            seen = ask.upstream()
            expect(len(seen) == 1, f"the provider saw {len(seen)} requests")
            if seen[0]["ended"]:
                break
            expect(time.time() < until, "5 s after the client left the provider is still sending")
            time.sleep(0.01)
        want(seen[0]["ended"], "client_gone", "how it ended at the provider")
        ms = seen[0]["gone_at"] - left_at * 1000
        expect(ms <= GONE_MS, f"the provider saw the client leave only after {ms:.0f} ms")
        remark = f"provider saw it after {max(ms, 0):.0f} ms"
    if ask.backend != "direct" and request_id:
        while True:
            try:
                row = get_json(f"{BASE}/v1/requests/{request_id}", {"authorization": "Bearer " + KEY})
                if "client_gone" in json.dumps(row):
                    break
                remark_row = json.dumps(row)
            except urllib.error.HTTPError as e:
                remark_row = f"status {e.code}"
            expect(time.time() < until, f"5 s after the client left GET /v1/requests/{request_id} does not say client_gone: {remark_row}"[:500])
            time.sleep(0.02)
        remark += "; row says client_gone"
    return remark


# Providers that have embeddings.
EMBEDS = ("openai", "gemini", "ollama", "direct")
TOOLS_ASKED = "What is the weather like? Use the tools you have."


def echoed(ask, text):
    """The text of the case echo."""
    if ask.rehearsal:
        expect(text and len(text) > 3, f"no text: {text!r}")
    else:
        want(text, f"system: {SYSTEM}\nuser: {ask.prompt}", "text")


def attempt(fn):
    try:
        return fn(), None
    except Exception as e:  # compared, not swallowed
        return None, e


def recorded(c, dialect, provider, direct, gateway, read):
    """What an SDK reads of recorded answers is the same with the gateway and without. read takes the SDK's client, the
    recording and the model's name."""
    if "direct" in BACKENDS:
        return
    if not RECORDINGS:
        print(f"skip\t{c.name}\trecordings\t-\t0\tno recorded traffic here (HEADRACE_CORPUS, or ../shared/corpus beside the repository)")
        return
    recs = get_json(f"{REPLAY}/control/recordings?dialect={dialect}&n={RECORDINGS}")
    def run():
        bad = []
        for rec in recs:
            one, e1 = attempt(lambda: read(direct, rec, "recorded-" + rec["id"]))
            two, e2 = attempt(lambda: read(gateway, rec, provider + "/recorded-" + rec["id"]))
            if e1 is None and (e2 is not None or one != two):
                bad.append(f"{rec['id']} {rec['source']}: {e2!r}" if e2 is not None else f"{rec['id']} {rec['source']}: got {two!r}, want {one!r}")
        expect(not bad, f"{len(bad)} of {len(recs)}: " + " ;; ".join(x[:260] for x in bad[:2]))
        return f"{len(recs)} recordings"
    c.check("recorded, read by the SDK as without the gateway", provider, run)



class River(pydantic.BaseModel):
    """The structured answer, for SDKs that take a class."""
    name: str
    length_km: int
    tributaries: list[str]


AARE = River(name="Aare", length_km=288, tributaries=["Emme", "Reuss"])
