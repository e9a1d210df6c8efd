"""Ollama's own Python client, with nothing changed but host and key."""
import asyncio, time
import httpx, ollama
from harness import *

client = ollama.Client(host=BASE, headers={"Authorization": "Bearer " + KEY})
c = Client("python-ollama")
TOOLS = [{"type": "function", "function": {"name": n, "description": d, "parameters": s}} for n, d, s in
         (("get_weather", "The weather in a city", WEATHER), ("get_time", "The time in a zone", CLOCK))]


def api(ask, kind=ollama.Client, **more):
    return kind(host=BASE, headers={"Authorization": "Bearer " + KEY, **ask.headers}, **more)


def call(ask, messages=None, **more):
    return api(ask).chat(model=ask.model, messages=messages or [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ask.prompt}], **more)


def text(b):
    a = Ask("echo", b)
    r = call(a)
    echoed(a, r.message.content)
    want((r.done, r.done_reason), (True, "stop"), "end")
    expect(r.prompt_eval_count > 0 and r.eval_count > 0, f"usage {r.prompt_eval_count} {r.eval_count}")
    if not a.rehearsal:
        want((r.prompt_eval_count, r.eval_count), (31, 17), "usage")


def streaming(b):
    a = Ask("echo", b)
    chunks = list(call(a, stream=True))
    echoed(a, "".join(k.message.content or "" for k in chunks))
    expect(sum(1 for k in chunks if k.message.content) >= 2, "the text came in one piece")
    want([k.done for k in chunks].count(True), 1, "lines that are done")
    expect(chunks[-1].done and chunks[-1].eval_count > 0, f"last line {chunks[-1]}")


def generate(b):
    a = Ask("echo", b)
    r = api(a).generate(model=a.model, prompt=a.prompt, system=SYSTEM)
    echoed(a, r.response)
    expect(r.done and r.eval_count > 0, f"end {r}")
    chunks = list(api(a).generate(model=a.model, prompt=a.prompt, system=SYSTEM, stream=True))
    echoed(a, "".join(k.response or "" for k in chunks))
    expect(chunks[-1].done and len(chunks) > 2, f"{len(chunks)} lines")


def tools(b, names, streamed, case):
    a = Ask(case, b)
    messages = [{"role": "user", "content": a.prompt}]
    if streamed:
        got = list(call(a, messages, tools=TOOLS, stream=True))
        calls = [x for k in got for x in k.message.tool_calls or []]
    else:
        calls = call(a, messages, tools=TOOLS).message.tool_calls or []
    want([k.function.name for k in calls], names, "calls")
    if not a.rehearsal:
        want([dict(k.function.arguments) for k in calls], [{"city": "Zürich", "unit": "celsius"}, {"zone": "Europe/Zurich"}][:len(names)], "arguments")
    messages += [ollama.Message(role="assistant", content="", tool_calls=calls)]
    messages += [{"role": "tool", "tool_name": k.function.name, "content": f"result {i}"} for i, k in enumerate(calls)]
    r = call(a, messages, tools=TOOLS)
    if a.rehearsal:
        expect(r.message.content, "no text after the results")
    else:
        want(r.message.content, "results: " + " | ".join(f"result {i}" for i in range(len(names))), "text after the results")


def structured(b):
    a = Ask("structured", b)
    r = call(a, [{"role": "user", "content": a.prompt}], format=River.model_json_schema())
    river = River.model_validate_json(r.message.content)
    if not a.rehearsal:
        want(river, AARE, "parsed")


def image(b):
    a = Ask("picture", b)
    r = call(a, [{"role": "user", "content": a.prompt, "images": [base64.b64decode(PNG)]}])
    if a.rehearsal:
        expect(r.message.content, "no text")
    else:
        want(r.message.content, PNG_SUM, "the image as the provider saw it")


def thinking(b):
    a = Ask("think", b)
    messages = [{"role": "user", "content": a.prompt}]
    r = call(a, messages, think=True)
    expect(r.message.thinking and r.message.content, f"message {r.message}")
    chunks = list(call(a, messages, think=True, stream=True))
    want("".join(k.message.thinking or "" for k in chunks), r.message.thinking, "streamed thinking")
    want("".join(k.message.content or "" for k in chunks), r.message.content, "streamed text")
    if not a.rehearsal:
        want(r.message.thinking, "Is the gate open? It is.", "thinking")


def failed(b, case, status):
    a = Ask(case, b)
    e = raises(ollama.ResponseError, lambda: call(a))
    expect(e.status_code in status, f"status {e.status_code}")
    expect(e.error and "{" not in e.error, f"error {e.error!r}")
    return f"status {e.status_code}: {e.error}"


def rate_limited(b):
    a = Ask("429", b)
    begin = time.monotonic()
    r = httpx.post(BASE + "/api/chat", json={"model": a.model, "messages": [{"role": "user", "content": a.prompt}]}, headers={"Authorization": "Bearer " + KEY, **a.headers})
    want((r.status_code, r.headers.get("retry-after")), (429, "600"), "status and retry-after")
    expect(isinstance(r.json()["error"], str), f"body {r.text}")
    expect(time.monotonic() - begin < 10, "somebody waits")
    return failed(b, "429", (429,))


def error_late(b):
    got = []

    def read():
        for k in call(Ask("error-late", b), stream=True):
            got.append(k)
        return f"a clean end after {len(got)} lines"
    e = raises(ollama.ResponseError, read)
    expect(any(k.message.content for k in got), "no text before the error")
    return f"{len(got)} lines, then {e.error}"


def error_early(b):
    e = raises(ollama.ResponseError, lambda: list(call(Ask("error-early", b), stream=True)))
    expect(e.status_code >= 500 or b == "direct", f"status {e.status_code}")


def cut(b):
    got = []

    def read():
        for k in call(Ask("cut", b), stream=True):
            got.append(k)
        if got and not got[-1].done:
            raise EOFError("it ended without done")  # which is how this client shows it
        return f"a clean end after {len(got)} lines"
    e = raises(Exception, read)
    expect(got, "nothing before the cut")
    return type(e).__name__


def cancel_stream(b):
    a = Ask("drip", b)
    ids = []

    async def leave():
        async def note(response):
            ids.append(response.headers.get("x-headrace-request-id"))
        my = api(a, ollama.AsyncClient, event_hooks={"response": [note]})
        n = 0
        s = await my.chat(model=a.model, messages=[{"role": "user", "content": a.prompt}], stream=True)
        async for k in s:
            n += 1
            if n == 3:
                break
        await s.aclose()
        return time.time()
    left = asyncio.run(leave())
    return seen_gone(a, left, ids[0])


def cancel_whole(b):
    a = Ask("stall", b)
    raises(httpx.TimeoutException, lambda: api(a, timeout=0.7).chat(model=a.model, messages=[{"role": "user", "content": a.prompt}]))
    return seen_gone(a, time.time(), None)


def embeddings(b):
    model = Ask("echo", b).model.replace("echo", "embed")
    r = client.embed(model=model, input=["one", "two"])
    want([list(v) for v in r.embeddings], [[0.25, -0.5, 0.1], [1.25, -0.5, 0.1]], "vectors")
    want(list(client.embeddings(model=model, prompt="one").embedding), [0.25, -0.5, 0.1], "the old form")


def bad_key(b):
    e = raises(ollama.ResponseError, lambda: ollama.Client(host=BASE, headers={"Authorization": "Bearer hr-this-is-not-a-key-0123456789abcdef"}).chat(model="rehearsal/quick", messages=[{"role": "user", "content": "hello"}]))
    want(e.status_code, 401, "status")
    expect("this-is-not-a-key" not in str(e), "the key stands in the message")


def models(b):
    names = {m.model for m in client.list().models}
    expect({"rehearsal/quick:latest", "rehearsal/thinker:latest"} <= names, f"models {sorted(names)[:20]}")
    s = client.show("rehearsal/thinker")
    expect({"completion", "tools", "thinking"} <= set(s.capabilities or []), f"capabilities {s.capabilities}")
    expect(any(k.endswith(".context_length") and v > 0 for k, v in (s.modelinfo or {}).items()), f"model_info {s.modelinfo}")
    client.ps()


def unknown_model(b):
    e = raises(ollama.ResponseError, lambda: client.chat(model="rehearsal/nobody", messages=[{"role": "user", "content": "hello"}]))
    want(e.status_code, 404, "status")


def pull(b):
    e = raises(ollama.ResponseError, lambda: client.pull("llama3"))
    expect(e.status_code >= 400 and e.error, f"{e.status_code} {e.error}")
    return f"status {e.status_code}: {e.error}"


def alive(b):
    r = httpx.get(BASE + "/")
    want((r.status_code, r.text), (200, "Ollama is running"), "GET /")
    want(httpx.head(BASE + "/").status_code, 200, "HEAD /")
    expect(httpx.get(BASE + "/api/version").json()["version"], "no version")


for b in BACKENDS:
    for name, fn in (("text", text), ("streaming", streaming), ("tools, two turns", lambda b: tools(b, ["get_weather"], False, "tools")),
                     ("parallel tools", lambda b: tools(b, ["get_weather", "get_time"], False, "parallel")),
                     ("parallel tools, streamed", lambda b: tools(b, ["get_weather", "get_time"], True, "parallel")),
                     ("structured output", structured), ("image", image), ("thinking", thinking), ("529", lambda b: failed(b, "529", (503, 529))),
                     ("400", lambda b: failed(b, "400", (400,))), ("429 with retry-after", rate_limited), ("error in the stream", error_late),
                     ("error before the first word", error_early), ("stream cut off", cut), ("cancel a stream", cancel_stream), ("cancel a whole answer", cancel_whole)):
        c.check(name, b, lambda: fn(b))
    if b != "direct":
        c.check("generate", b, lambda: generate(b))
        if b in EMBEDS:
            c.check("embeddings, both forms", b, lambda: embeddings(b))
if "direct" not in BACKENDS:
    for name, fn in (("401", bad_key), ("models, show, ps", models), ("404", unknown_model), ("pull is refused", pull), ("is running", alive)):
        c.check(name, "-", lambda: fn("-"))


def read(my, rec, model):
    """What the client makes of a recorded answer."""
    r = my.chat(model=model, messages=[{"role": "user", "content": TOOLS_ASKED}], stream=rec["stream"])
    lines = list(r) if rec["stream"] else [r]
    calls = [(x.function.name, dict(x.function.arguments)) for k in lines for x in k.message.tool_calls or []]
    return "".join(k.message.content or "" for k in lines), "".join(k.message.thinking or "" for k in lines), calls, lines[-1].done_reason, lines[-1].eval_count


recorded(c, "ollama", "ollama", ollama.Client(host=REPLAY, headers={"Authorization": "Bearer sk-replay"}), client, read)
c.done()
