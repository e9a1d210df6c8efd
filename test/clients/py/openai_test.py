"""The official Python SDK for OpenAI, with nothing changed but base URL and key."""
import time, warnings
import openai, pydantic
from harness import *

client = openai.OpenAI(base_url=BASE + "/v1", api_key=KEY)
c = Client("python-openai")
TOOLS = [{"type": "function", "function": {"name": n, "description": d, "parameters": s}} for n, d, s in
         (("get_weather", "The weather in a city", WEATHER), ("get_time", "The time in a zone", CLOCK))]


def call(ask, **more):
    messages = more.pop("messages", None) or [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ask.prompt}]
    api = more.pop("client", client)
    return api.chat.completions.create(model=ask.model, messages=messages, extra_headers=ask.headers, **more)


def echoed(ask, text):
    if ask.rehearsal:
        expect(text and len(text) > 3, f"no text: {text!r}")
    else:
        want(text, f"system: {SYSTEM}\nuser: {ask.prompt}", "text")


def text(b):
    a = Ask("echo", b)
    r = call(a)
    echoed(a, r.choices[0].message.content)
    want(r.choices[0].finish_reason, "stop", "finish")
    expect(r.usage.prompt_tokens > 0 and r.usage.completion_tokens > 0, f"usage {r.usage}")
    want(r.usage.total_tokens, r.usage.prompt_tokens + r.usage.completion_tokens, "total tokens")
    if not a.rehearsal:
        want((r.usage.prompt_tokens, r.usage.completion_tokens, r.usage.prompt_tokens_details.cached_tokens), (31, 17, 0 if b == "ollama" else 8), "usage")  # Ollama tells nothing of its cache


def streaming(b):
    a = Ask("echo", b)
    chunks = list(call(a, stream=True, stream_options={"include_usage": True}))
    echoed(a, "".join(k.choices[0].delta.content or "" for k in chunks if k.choices))
    expect(sum(1 for k in chunks if k.choices and k.choices[0].delta.content) >= 2, "the text came in one piece")
    want(len({k.id for k in chunks}), 1, "ids in one stream")
    want([k.choices[0].finish_reason for k in chunks if k.choices and k.choices[0].finish_reason], ["stop"], "finish")
    usages = [k for k in chunks if k.usage]
    want(len(usages), 1, "chunks with usage")
    expect(usages[0] is chunks[-1] and not usages[0].choices and usages[0].usage.completion_tokens > 0, f"usage chunk {usages[0]}")


def streaming_plain(b):
    a = Ask("echo", b)
    chunks = list(call(a, stream=True))
    echoed(a, "".join(k.choices[0].delta.content or "" for k in chunks if k.choices))
    if b != "direct":
        expect(all(k.choices and not k.usage for k in chunks), "usage that was not asked for")


def tools(b):
    a = Ask("tools", b)
    messages = [{"role": "user", "content": a.prompt}]
    r = call(a, messages=messages, tools=TOOLS)
    want(r.choices[0].finish_reason, "tool_calls", "finish")
    calls = r.choices[0].message.tool_calls
    want([k.function.name for k in calls], ["get_weather"], "calls")
    args = json.loads(calls[0].function.arguments)
    expect(isinstance(args["city"], str) and set(args) <= {"city", "unit"}, f"arguments {args}")
    if not a.rehearsal:
        want(args, {"city": "Zürich", "unit": "celsius"}, "arguments")
        if b in ("openai", "direct"):
            want((calls[0].id, calls[0].function.arguments), ("call_Replay1", '{"city":"Zürich","unit":"celsius"}'), "id and raw arguments")
    messages += [r.choices[0].message, {"role": "tool", "tool_call_id": calls[0].id, "content": "12 °C, rain"}]
    r = call(a, messages=messages, tools=TOOLS)
    want(r.choices[0].finish_reason, "stop", "finish after the result")
    final = r.choices[0].message.content
    if a.rehearsal:
        expect(final, "no text after the result")
    else:
        want(final, "results: 12 °C, rain", "text after the result")


def forced(b):
    a = Ask("tools", b)
    if b == "ollama":  # it cannot be made to call a tool, and the gateway says so
        e = raises(openai.BadRequestError, lambda: call(a, tools=TOOLS, tool_choice="required"))
        return expect("tool_choice" in str(e), f"{e}")
    r = call(a, tools=TOOLS, tool_choice={"type": "function", "function": {"name": "get_weather"}})
    want([k.function.name for k in r.choices[0].message.tool_calls], ["get_weather"], "calls")
    if b == "anthropic":
        want(json.loads(json.dumps(a.upstream()[0]["body"]["tool_choice"]))["name"], "get_weather", "tool_choice at the provider")


def parallel(b, stream):
    a = Ask("parallel", b)
    messages = [{"role": "user", "content": a.prompt}]
    if stream:
        with client.chat.completions.stream(model=a.model, messages=messages, tools=TOOLS, extra_headers=a.headers) as s:
            r = s.get_final_completion()
    else:
        r = call(a, messages=messages, tools=TOOLS)
    calls = r.choices[0].message.tool_calls or []
    want([k.function.name for k in calls], ["get_weather", "get_time"], "calls")
    want(len({k.id for k in calls}), 2, "different ids")
    want(r.choices[0].finish_reason, "tool_calls", "finish")
    args = [json.loads(k.function.arguments) for k in calls]
    if not a.rehearsal:
        want(args, [{"city": "Zürich", "unit": "celsius"}, {"zone": "Europe/Zurich"}], "arguments")
    messages += [{"role": "assistant", "content": None, "tool_calls": [{"id": k.id, "type": "function", "function": {"name": k.function.name, "arguments": k.function.arguments}} for k in calls]},
                 {"role": "tool", "tool_call_id": calls[0].id, "content": "first: 12 °C"}, {"role": "tool", "tool_call_id": calls[1].id, "content": "second: noon"}]
    final = call(a, messages=messages, tools=TOOLS).choices[0].message.content
    if a.rehearsal:
        expect(final, "no text after the results")
    else:
        want(final, "results: first: 12 °C | second: noon", "text after the results")


class River(pydantic.BaseModel):
    name: str
    length_km: int
    tributaries: list[str]


def structured(b, stream):
    a = Ask("structured", b)
    messages = [{"role": "user", "content": a.prompt}]
    if stream:
        with client.chat.completions.stream(model=a.model, messages=messages, response_format=River, extra_headers=a.headers) as s:
            r = s.get_final_completion()
    else:
        r = client.chat.completions.parse(model=a.model, messages=messages, response_format=River, extra_headers=a.headers)
    river = r.choices[0].message.parsed
    expect(isinstance(river, River), f"parsed {river!r} of {r.choices[0].message.content!r}")
    if not a.rehearsal:
        want(river, River(name="Aare", length_km=288, tributaries=["Emme", "Reuss"]), "parsed")


def image(b):
    a = Ask("picture", b)
    r = call(a, messages=[{"role": "user", "content": [{"type": "text", "text": a.prompt}, {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}}]}])
    got = r.choices[0].message.content
    if a.rehearsal:
        expect(got, "no text")
    else:
        want(got, PNG_SUM, "the image as the provider saw it")


def thinking(b):
    a = Ask("think", b)
    # Clients ask for effort; what is thought comes in a field that is not OpenAI's own.
    r = call(a, reasoning_effort="low")
    thought = getattr(r.choices[0].message, "reasoning_content", None)
    expect(thought, f"no reasoning_content in {r.choices[0].message}")
    chunks = list(call(a, reasoning_effort="low", stream=True))
    streamed = "".join(getattr(k.choices[0].delta, "reasoning_content", None) or "" for k in chunks if k.choices)
    if not a.rehearsal:
        want(thought, "Is the gate open? It is.", "reasoning_content")
    want(streamed, thought, "streamed reasoning_content")
    want("".join(k.choices[0].delta.content or "" for k in chunks if k.choices), r.choices[0].message.content, "streamed text")


def bad_key(b):
    api = openai.OpenAI(base_url=BASE + "/v1", api_key="hr-this-is-not-a-key-0123456789abcdef")
    begin = time.monotonic()
    e = raises(openai.AuthenticationError, lambda: api.chat.completions.create(model="rehearsal/quick", messages=[{"role": "user", "content": "hello"}]))
    want(e.status_code, 401, "status")
    expect(e.body and e.body.get("message"), f"body {e.body}")
    expect("this-is-not-a-key" not in str(e), "the key stands in the message")
    expect(time.monotonic() - begin < 3, "it took longer than 3 s")


def rate_limited(b):
    a = Ask("429", b)
    begin = time.monotonic()
    e = raises(openai.RateLimitError, lambda: call(a))  # with the SDK's own retries on
    took = time.monotonic() - begin
    want((e.status_code, e.response.headers.get("retry-after")), (429, "600"), "status and retry-after")
    expect(e.body and e.body.get("message"), f"body {e.body}")
    if b != "direct":
        want(e.response.headers.get("x-should-retry"), "false", "x-should-retry")
        expect(took < 10, f"it took {took:.1f} s: somebody waits")
    if not a.rehearsal:
        expect("slow down" in e.message, f"the provider's message is lost: {e.message}")
        return f"provider asked {len(a.upstream())} times"


def overloaded(b):
    a = Ask("529", b)
    api = client.with_options(max_retries=0) if b == "direct" else client
    e = raises(openai.InternalServerError, lambda: call(a, client=api))
    expect(e.status_code in (503, 529), f"status {e.status_code}")
    expect(e.body and e.body.get("message"), f"body {e.body}")
    if b != "direct":
        want(e.response.headers.get("x-should-retry"), "false", "x-should-retry")
    return f"status {e.status_code}" + ("" if a.rehearsal else f", provider asked {len(a.upstream())} times")


def refused(b):
    a = Ask("400", b)
    e = raises(openai.BadRequestError, lambda: call(a))
    if not a.rehearsal:
        expect("this cannot be done" in e.message, f"the provider's message is lost: {e.message}")
        want(len(a.upstream()), 1, "times that the provider was asked")


def error_late(b):
    a = Ask("error-late", b)
    got = []

    def read():
        for k in call(a, stream=True):
            got.append(k.choices[0].delta.content if k.choices else None)
        return "".join(x or "" for x in got)
    e = raises(openai.APIError, read)
    expect(any(got), "no text before the error")
    if not a.rehearsal:
        expect("in the middle" in str(e), f"message {e}")
        want(len(a.upstream()), 1, "times that the provider was asked after text had been sent")
    return f"{len(got)} chunks, then {type(e).__name__}"


def error_early(b):
    a = Ask("error-early", b)
    if b == "direct":
        raises(openai.APIError, lambda: list(call(a, stream=True)))
        return
    e = raises(openai.APIStatusError, lambda: call(a, stream=True))
    expect(e.status_code >= 500, f"status {e.status_code}")
    return f"status {e.status_code}"


def cut(b):
    a = Ask("cut", b)
    got = []

    def read():
        for k in call(a, stream=True):
            got.append(k)
        return f"a clean end after {len(got)} chunks"
    e = raises(Exception, read)
    expect(got, "nothing before the cut")
    return type(e).__name__


def cancel_stream(b):
    a = Ask("drip", b)
    with client.chat.completions.with_streaming_response.create(model=a.model, messages=[{"role": "user", "content": a.prompt}], stream=True, extra_headers=a.headers) as raw:
        request_id = raw.headers.get("x-headrace-request-id")
        lines = raw.iter_lines()
        for _ in range(6):
            next(lines)
        left = time.time()
    expect(b == "direct" or request_id, "no x-headrace-request-id")
    return seen_gone(a, left, request_id)


def cancel_whole(b):
    a = Ask("stall", b)
    api = client.with_options(max_retries=0, timeout=0.7)
    raises(openai.APITimeoutError, lambda: call(a, client=api))
    return seen_gone(a, time.time(), None)


def models(b):
    ids = {m.id for m in client.models.list()}
    expect({"rehearsal/quick", "rehearsal/steady", "rehearsal/thinker"} <= ids, f"models {sorted(ids)[:20]}")
    want(client.models.retrieve("rehearsal/quick").id, "rehearsal/quick", "retrieve")


def unknown_model(b):
    e = raises(openai.NotFoundError, lambda: client.chat.completions.create(model="rehearsal/nobody", messages=[{"role": "user", "content": "hello"}]))
    expect(e.body and e.body.get("message"), f"body {e.body}")


for b in BACKENDS:
    for name, fn in (("text", text), ("streaming", streaming), ("streaming, usage not asked", streaming_plain), ("tools, two turns", tools), ("tool forced", forced),
                     ("parallel tools", lambda b: parallel(b, False)), ("parallel tools, streamed", lambda b: parallel(b, True)),
                     ("structured output", lambda b: structured(b, False)), ("structured output, streamed", lambda b: structured(b, True)),
                     ("image", image), ("thinking", thinking), ("429 with retry-after", rate_limited), ("529", overloaded), ("400", refused), ("error in the stream", error_late),
                     ("error before the first word", error_early), ("stream cut off", cut), ("cancel a stream", cancel_stream), ("cancel a whole answer", cancel_whole)):
        c.check(name, b, lambda: fn(b))
if "direct" not in BACKENDS:
    for name, fn in (("401", bad_key), ("models", models), ("404", unknown_model)):
        c.check(name, "-", lambda: fn("-"))
c.done()
