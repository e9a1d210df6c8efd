"""The official Python SDK for OpenAI: Responses, embeddings and moderations."""
import time
import openai
from harness import *

client = openai.OpenAI(base_url=BASE + "/v1", api_key=KEY)
c = Client("python-responses")
TOOLS = [{"type": "function", "name": n, "description": d, "parameters": s, "strict": False} for n, d, s in
         (("get_weather", "The weather in a city", WEATHER), ("get_time", "The time in a zone", CLOCK))]


def call(ask, **more):
    more.setdefault("input", ask.prompt)
    return more.pop("client", client).responses.create(model=ask.model, extra_headers=ask.headers, **more)


def text(b):
    a = Ask("echo", b)
    r = call(a, instructions=SYSTEM)
    echoed(a, r.output_text)
    want((r.object, r.status, r.error, r.incomplete_details), ("response", "completed", None, None), "object, status")
    expect(r.usage.input_tokens > 0 and r.usage.output_tokens > 0, f"usage {r.usage}")
    want(r.usage.total_tokens, r.usage.input_tokens + r.usage.output_tokens, "total tokens")
    if not a.rehearsal:
        want((r.usage.input_tokens, r.usage.output_tokens), (31, 17), "usage")


ONCE = ("response.created", "response.in_progress", "response.completed")


def streaming(b):
    a = Ask("echo", b)
    events = list(call(a, instructions=SYSTEM, stream=True))
    kinds = [e.type for e in events]
    echoed(a, "".join(e.delta for e in events if e.type == "response.output_text.delta"))
    want([kinds[0], kinds[1], kinds[-1]], list(ONCE), "the first two and the last event")
    want([kinds.count(k) for k in ONCE], [1, 1, 1], "how often they come")
    want([e.sequence_number for e in events], list(range(len(events))), "sequence numbers")
    order = [k for k in kinds if k.startswith("response.output_item") or k.startswith("response.content_part") or k == "response.output_text.done"]
    want(order[-5:], ["response.output_item.added", "response.content_part.added", "response.output_text.done", "response.content_part.done", "response.output_item.done"], "the events around the text")
    echoed(a, events[-1].response.output_text)
    expect(events[-1].response.usage.output_tokens > 0, "no usage at the end")
    want(len({e.response.id for e in events if hasattr(e, "response")}), 1, "ids in one stream")


def tools(b, names, streamed, case):
    a = Ask(case, b)
    messages = [{"role": "user", "content": a.prompt}]
    if streamed:
        with client.responses.stream(model=a.model, input=messages, tools=TOOLS, extra_headers=a.headers) as s:
            for _ in s:
                pass
            r = s.get_final_response()
    else:
        r = call(a, input=messages, tools=TOOLS)
    calls = [x for x in r.output if x.type == "function_call"]
    want([k.name for k in calls], names, "calls")
    want(len({k.call_id for k in calls}), len(names), "different ids")
    if not a.rehearsal:
        want([json.loads(k.arguments) for k in calls], [{"city": "Zürich", "unit": "celsius"}, {"zone": "Europe/Zurich"}][:len(names)], "arguments")
    messages += [{k: v for k, v in x.model_dump(exclude_none=True).items() if k not in ("parsed", "parsed_arguments")} for x in r.output if x.type != "message"]
    messages += [{"type": "function_call_output", "call_id": k.call_id, "output": f"result {i}"} for i, k in enumerate(calls)]
    last = call(a, input=messages, tools=TOOLS).output_text
    if a.rehearsal:
        expect(last, "no text after the results")
    else:
        want(last, "results: " + " | ".join(f"result {i}" for i in range(len(names))), "text after the results")


def forced(b):
    a = Ask("tools", b)
    r = call(a, tools=TOOLS, tool_choice={"type": "function", "name": "get_weather"})
    want([x.name for x in r.output if x.type == "function_call"], ["get_weather"], "calls")


def structured(b, streamed):
    a = Ask("structured", b)
    if streamed:
        with client.responses.stream(model=a.model, input=a.prompt, text_format=River, extra_headers=a.headers) as s:
            for _ in s:
                pass
            r = s.get_final_response()
    else:
        r = client.responses.parse(model=a.model, input=a.prompt, text_format=River, extra_headers=a.headers)
    expect(isinstance(r.output_parsed, River), f"parsed {r.output_parsed!r} of {r.output_text!r}")
    if not a.rehearsal:
        want(r.output_parsed, AARE, "parsed")


def image(b):
    a = Ask("picture", b)
    r = call(a, input=[{"role": "user", "content": [{"type": "input_text", "text": a.prompt}, {"type": "input_image", "image_url": "data:image/png;base64," + PNG, "detail": "auto"}]}])
    if a.rehearsal:
        expect(r.output_text, "no text")
    else:
        want(r.output_text, PNG_SUM, "the image as the provider saw it")


def thinking(b):
    a = Ask("think", b)
    r = call(a, reasoning={"effort": "low", "summary": "auto"})
    thought = "".join(x.text for k in r.output if k.type == "reasoning" for x in k.summary or k.content or [])
    expect(thought, f"no reasoning in {r.output}")
    events = list(call(a, reasoning={"effort": "low", "summary": "auto"}, stream=True))
    streamed = "".join(e.delta for e in events if e.type in ("response.reasoning_summary_text.delta", "response.reasoning_text.delta"))
    want(streamed, thought, "streamed thought")
    if not a.rehearsal:
        want((thought, r.output_text), ("Is the gate open? It is.", "The gate is open."), "thought and text")


def stored(b):
    """A response that is kept: asked on, fetched, its input listed, deleted."""
    a = Ask("echo", b)
    r = call(a, instructions=SYSTEM, store=True)
    again = call(a, input="And what did I say first?", previous_response_id=r.id)
    want(again.previous_response_id, r.id, "previous_response_id")
    got = client.responses.retrieve(r.id)
    want((got.id, got.output_text), (r.id, r.output_text), "the response as it is fetched")
    items = list(client.responses.input_items.list(again.id))
    said = [p.text for x in items for p in getattr(x, "content", None) or []]
    expect({a.prompt, "And what did I say first?"} <= set(said), f"input items say {said}")
    client.responses.delete(r.id)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(r.id))
    raises(openai.APIStatusError, lambda: call(a, input="hello", previous_response_id=r.id))


def tools_stored(b):
    """The second turn of a tool loop that sends the result alone."""
    a = Ask("tools", b)
    r = call(a, tools=TOOLS, store=True)
    k = next(x for x in r.output if x.type == "function_call")
    last = call(a, input=[{"type": "function_call_output", "call_id": k.call_id, "output": "12 °C, rain"}], tools=TOOLS, previous_response_id=r.id).output_text
    if a.rehearsal:
        expect(last, "no text after the result")
    else:
        want(last, "results: 12 °C, rain", "text after the result")


def not_stored(b):
    r = call(Ask("echo", b), store=False)
    raises(openai.NotFoundError, lambda: client.responses.retrieve(r.id))


def input_tokens(b):
    n = client.responses.input_tokens.count(model=Ask("echo", b).model, input="How many tokens may this be?").input_tokens
    expect(n > 2, f"{n} tokens")
    return f"{n} tokens"


def rate_limited(b):
    a = Ask("429", b)
    begin = time.monotonic()
    e = raises(openai.RateLimitError, lambda: call(a))
    want((e.status_code, e.response.headers.get("retry-after")), (429, "600"), "status and retry-after")
    expect(e.body and e.body.get("message"), f"body {e.body}")
    if b != "direct":
        want(e.response.headers.get("x-should-retry"), "false", "x-should-retry")
        expect(time.monotonic() - begin < 10, "somebody waits")


def overloaded(b):
    e = raises(openai.InternalServerError, lambda: call(Ask("529", b), client=client.with_options(max_retries=0)))
    expect(e.status_code in (503, 529), f"status {e.status_code}")


def refused(b):
    raises(openai.BadRequestError, lambda: call(Ask("400", b)))


def error_late(b):
    """Codex and others overlook an `error` event: a broken response says so by response.failed."""
    events = []

    def read():
        for e in call(Ask("error-late", b), stream=True):
            events.append(e)
    _, failed = attempt(read)
    kinds = [e.type for e in events]
    expect("response.output_text.delta" in kinds, f"no text before the error: {kinds}")
    expect("response.completed" not in kinds, "a forged clean end")
    want(kinds[-1], "response.failed", f"the last event (then {failed!r})")
    expect(events[-1].response.error.code and events[-1].response.status == "failed", f"{events[-1].response}")
    return events[-1].response.error.code


def error_early(b):
    if b == "direct":  # without the gateway the status is 200, and an event tells of the error
        return want([e.type for e in call(Ask("error-early", b), stream=True)], ["response.failed"], "events")
    e = raises(openai.APIStatusError, lambda: list(call(Ask("error-early", b), stream=True)))
    expect(e.status_code >= 500, f"status {e.status_code}")
    return f"status {e.status_code}"


def cut(b):
    events = []

    def read():
        for e in call(Ask("cut", b), stream=True):
            events.append(e)
    _, failed = attempt(read)
    kinds = [e.type for e in events]
    expect(kinds and "response.completed" not in kinds, f"events {kinds}")
    expect(failed is not None or kinds[-1] == "response.failed" or b == "direct", f"no word of the cut: {kinds}")
    return kinds[-1] if failed is None else type(failed).__name__


def cancel_stream(b):
    a = Ask("drip", b)
    with client.responses.with_streaming_response.create(model=a.model, input=a.prompt, stream=True, extra_headers=a.headers) as raw:
        request_id = raw.headers.get("x-headrace-request-id")
        lines = raw.iter_lines()
        for _ in range(20):
            next(lines)
        left = time.time()
    return seen_gone(a, left, request_id)


def cancel_whole(b):
    a = Ask("stall", b)
    raises(openai.APITimeoutError, lambda: call(a, client=client.with_options(max_retries=0, timeout=0.7)))
    return seen_gone(a, time.time(), None)


def zstd(b):
    """Codex compresses its requests."""
    import httpx, zstandard
    a = Ask("echo", b)
    body = json.dumps({"model": a.model, "instructions": SYSTEM, "input": a.prompt}).encode()
    r = httpx.post(BASE + "/v1/responses", content=zstandard.compress(body), headers={"authorization": "Bearer " + KEY, "content-type": "application/json", "content-encoding": "zstd", **a.headers})
    want(r.status_code, 200, r.text[:200])
    echoed(a, next(x for x in r.json()["output"] if x["type"] == "message")["content"][0]["text"])
    bomb = zstandard.compress(b'{"model":"x","input":"' + b"a" * (300 << 20) + b'"}')
    r = httpx.post(BASE + "/v1/responses", content=bomb, headers={"authorization": "Bearer " + KEY, "content-type": "application/json", "content-encoding": "zstd"})
    want(r.status_code, 413, "the status of 300 MB in a few")


def embeddings(b):
    model = Ask("echo", b).model.replace("echo", "embed")
    r = client.embeddings.create(model=model, input=["one", "two"])  # the SDK asks for base64
    short = [[0.25, -0.5, 0.10000000149011612], [1.25, -0.5, 0.10000000149011612]]
    want([[round(x, 17) for x in e.embedding] for e in r.data], short, "vectors by base64")
    if b != "gemini":  # which does not say
        expect(r.usage.prompt_tokens > 0, f"usage {r.usage}")
    r = client.embeddings.create(model=model, input="one", encoding_format="float")
    want([e.embedding for e in r.data], [[0.25, -0.5, 0.1]], "vectors in figures")


def moderations(b):
    """No provider here has them: the error is OpenAI's."""
    e = raises(openai.APIStatusError, lambda: client.moderations.create(model="rehearsal/quick", input="hello"))
    expect(400 <= e.status_code < 500 and e.body and e.body.get("message"), f"{e.status_code} {e.body}")
    return f"{e.status_code}: {e.body['message']}"


def bad_key(b):
    e = raises(openai.AuthenticationError, lambda: openai.OpenAI(base_url=BASE + "/v1", api_key="hr-this-is-not-a-key-0123456789abcdef").responses.create(model="rehearsal/quick", input="hello"))
    expect(e.body and e.body.get("message") and "this-is-not-a-key" not in str(e), f"body {e.body}")


for b in BACKENDS:
    for name, fn in (("text", text), ("streaming", streaming), ("tools, two turns", lambda b: tools(b, ["get_weather"], False, "tools")),
                     ("parallel tools", lambda b: tools(b, ["get_weather", "get_time"], False, "parallel")),
                     ("parallel tools, streamed", lambda b: tools(b, ["get_weather", "get_time"], True, "parallel")),
                     ("structured output", lambda b: structured(b, False)), ("structured output, streamed", lambda b: structured(b, True)),
                     ("image", image), ("thinking", thinking), ("429 with retry-after", rate_limited), ("529", overloaded), ("400", refused), ("error in the stream", error_late),
                     ("error before the first word", error_early), ("stream cut off", cut), ("cancel a stream", cancel_stream), ("cancel a whole answer", cancel_whole)):
        c.check(name, b, lambda: fn(b))
    if b != "ollama":  # which cannot be made to call a tool
        c.check("tool forced", b, lambda: forced(b))
    if b in EMBEDS:
        c.check("embeddings, base64 and float", b, lambda: embeddings(b))
    if b != "direct":  # the replay keeps nothing
        for name, fn in (("tool loop over previous_response_id", tools_stored), ("input tokens", input_tokens), ("zstd", zstd)):
            c.check(name, b, lambda: fn(b))
        for name, fn in (("stored: asked on, fetched, deleted", stored), ("not stored", not_stored)):
            if b == "openai":  # the provider itself is to keep it
                print(f"skip\t{c.name}\t{name}\t{b}\t0\tthe replay keeps no responses", flush=True)
            else:
                c.check(name, b, lambda: fn(b))
if "direct" not in BACKENDS:
    for name, fn in (("401", bad_key), ("moderations", moderations)):
        c.check(name, "-", lambda: fn("-"))


def read(api, rec, model):
    """What the SDK makes of a recorded answer."""
    r = api.with_options(max_retries=0).responses.create(model=model, input=TOOLS_ASKED, stream=rec["stream"], store=False)
    return [e.model_dump(mode="json") for e in r] if rec["stream"] else r.model_dump(mode="json")


recorded(c, "openai-responses", "openai", openai.OpenAI(base_url=REPLAY + "/v1", api_key="sk-replay"), client, read)
c.done()
