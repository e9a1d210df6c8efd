"""The official Python SDK for Claude, with nothing changed but base URL and key."""
import time
import anthropic, pydantic
from harness import *

client = anthropic.Anthropic(base_url=BASE, api_key=KEY)
c = Client("python-anthropic")
TOOLS = [{"name": n, "description": d, "input_schema": s} for n, d, s in
         (("get_weather", "The weather in a city", WEATHER), ("get_time", "The time in a zone", CLOCK))]


def params(ask, **more):
    return {"model": ask.model, "max_tokens": 1024, "messages": [{"role": "user", "content": ask.prompt}], "extra_headers": ask.headers} | more


def call(ask, api=client, **more):
    return api.messages.create(**params(ask, **more))


def final(ask, **more):
    with client.messages.stream(**params(ask, **more)) as s:
        pieces = list(s.text_stream)
        return s.get_final_message(), pieces


def text_of(m):
    return "".join(x.text for x in m.content if x.type == "text")


def uses(m):
    return [x for x in m.content if x.type == "tool_use"]


def echoed(ask, got):
    if ask.rehearsal:
        expect(got and len(got) > 3, f"no text: {got!r}")
    else:
        want(got, f"system: {SYSTEM}\nuser: {ask.prompt}", "text")


def usage_of(ask, u):
    expect(u.input_tokens > 0 and u.output_tokens > 0, f"usage {u}")
    if not ask.rehearsal:
        want((u.input_tokens, u.cache_read_input_tokens, u.output_tokens), (31, 0, 17) if ask.backend == "ollama" else (23, 8, 17), "usage")  # Ollama tells nothing of its cache


def text(b):
    a = Ask("echo", b)
    m = call(a, system=SYSTEM)
    echoed(a, text_of(m))
    want((m.type, m.role, m.stop_reason), ("message", "assistant", "end_turn"), "frame")
    usage_of(a, m.usage)


def beta(b):
    a = Ask("echo", b)
    m = client.beta.messages.create(**params(a, system=SYSTEM))  # ?beta=true
    echoed(a, text_of(m))


def streaming(b):
    a = Ask("echo", b)
    m, pieces = final(a, system=SYSTEM)
    echoed(a, "".join(pieces))
    want(text_of(m), "".join(pieces), "final text")
    expect(len(pieces) >= 2, "the text came in one piece")
    want(m.stop_reason, "end_turn", "stop")
    usage_of(a, m.usage)


def streaming_events(b):
    a = Ask("echo", b)
    names = [e.type for e in call(a, stream=True, system=SYSTEM)]
    names = [n for i, n in enumerate(names) if n != "ping" and (i == 0 or n != names[i - 1])]
    want(names, ["message_start", "content_block_start", "content_block_delta", "content_block_stop", "message_delta", "message_stop"], "events")


def tools(b):
    a = Ask("tools", b)
    m = call(a, tools=TOOLS)
    want(m.stop_reason, "tool_use", "stop")
    want([u.name for u in uses(m)], ["get_weather"], "calls")
    got = uses(m)[0].input
    expect(isinstance(got["city"], str) and set(got) <= {"city", "unit"}, f"input {got}")
    if not a.rehearsal:
        want(got, {"city": "Zürich", "unit": "celsius"}, "input")
        if b in ("anthropic", "direct"):
            want(uses(m)[0].id, "toolu_Replay1", "id")
    m = call(a, tools=TOOLS, messages=[{"role": "user", "content": a.prompt}, {"role": "assistant", "content": m.content},
             {"role": "user", "content": [{"type": "tool_result", "tool_use_id": uses(m)[0].id, "content": "12 °C, rain"}]}])
    want(m.stop_reason, "end_turn", "stop after the result")
    if a.rehearsal:
        expect(text_of(m), "no text after the result")
    else:
        want(text_of(m), "results: 12 °C, rain", "text after the result")


def forced(b):
    a = Ask("tools", b)
    if b == "ollama":  # it cannot be made to call a tool, and the gateway says so
        e = raises(anthropic.BadRequestError, lambda: call(a, tools=TOOLS, tool_choice={"type": "any"}))
        return expect("tool_choice" in str(e), f"{e}")
    m = call(a, tools=TOOLS, tool_choice={"type": "tool", "name": "get_weather"})
    want([u.name for u in uses(m)], ["get_weather"], "calls")
    if b == "openai":
        want(a.upstream()[0]["body"]["tool_choice"], {"type": "function", "function": {"name": "get_weather"}}, "tool_choice at the provider")


def parallel(b, stream):
    a = Ask("parallel", b)
    m = final(a, tools=TOOLS)[0] if stream else call(a, tools=TOOLS)
    want([u.name for u in uses(m)], ["get_weather", "get_time"], "calls")
    want(len({u.id for u in uses(m)}), 2, "different ids")
    want(m.stop_reason, "tool_use", "stop")
    if not a.rehearsal:
        want([u.input for u in uses(m)], [{"city": "Zürich", "unit": "celsius"}, {"zone": "Europe/Zurich"}], "inputs")
    m = call(a, tools=TOOLS, messages=[{"role": "user", "content": a.prompt}, {"role": "assistant", "content": m.content},
             {"role": "user", "content": [{"type": "tool_result", "tool_use_id": uses(m)[0].id, "content": [{"type": "text", "text": "first: 12 °C"}]},
                                          {"type": "tool_result", "tool_use_id": uses(m)[1].id, "content": "second: noon"}]}])
    if a.rehearsal:
        expect(text_of(m), "no text after the results")
    else:
        want(text_of(m), "results: first: 12 °C | second: noon", "text after the results")


class River(pydantic.BaseModel):
    name: str
    length_km: int
    tributaries: list[str]


def structured(b, stream):
    a = Ask("structured", b)
    if stream:
        with client.messages.stream(**params(a, output_format=River)) as s:
            m = s.get_final_message()
    else:
        m = client.messages.parse(**params(a, output_format=River))
    river = m.parsed_output
    expect(isinstance(river, River), f"parsed {river!r} of {text_of(m)!r}")
    if not a.rehearsal:
        want(river, River(name="Aare", length_km=288, tributaries=["Emme", "Reuss"]), "parsed")


def image(b):
    a = Ask("picture", b)
    m = call(a, messages=[{"role": "user", "content": [{"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": PNG}}, {"type": "text", "text": a.prompt}]}])
    if a.rehearsal:
        expect(text_of(m), "no text")
    else:
        want(text_of(m), PNG_SUM, "the image as the provider saw it")


def thinking(b):
    a = Ask("think", b)
    more = {"max_tokens": 4096, "thinking": {"type": "enabled", "budget_tokens": 1024}}
    m = call(a, **more)
    streamed, _ = final(a, **more)
    want([x.type for x in m.content], ["thinking", "text"], "blocks")
    want([x.type for x in streamed.content], ["thinking", "text"], "streamed blocks")
    if not a.rehearsal:
        for x in (m, streamed):
            want(x.content[0].thinking, "Is the gate open? It is.", "thinking")
            if b in ("anthropic", "direct"):
                want(x.content[0].signature, "c2lnbmF0dXJlLW9mLXRoZS1yZXBsYXk=", "signature")
    want(text_of(streamed), text_of(m), "streamed text")
    # The turn goes back with its thinking, as clients must send it.
    again = call(a, **more, messages=[{"role": "user", "content": a.prompt}, {"role": "assistant", "content": m.content}, {"role": "user", "content": "And now?"}])
    expect(text_of(again), "no text when thinking is sent back")
    if b == "anthropic":
        want(a.upstream()[-1]["body"]["messages"][1]["content"][0], {"type": "thinking", "thinking": "Is the gate open? It is.", "signature": "c2lnbmF0dXJlLW9mLXRoZS1yZXBsYXk="}, "thinking at the provider")


def count(b):
    n = client.messages.count_tokens(model=Ask("echo", b).model, messages=[{"role": "user", "content": "How many tokens are these?"}], tools=TOOLS).input_tokens
    expect(n > 0, f"{n} tokens")
    return f"{n} tokens"


def bad_key(b):
    api = anthropic.Anthropic(base_url=BASE, api_key="hr-this-is-not-a-key-0123456789abcdef")
    begin = time.monotonic()
    e = raises(anthropic.AuthenticationError, lambda: api.messages.create(model="rehearsal/quick", max_tokens=10, messages=[{"role": "user", "content": "hello"}]))
    want((e.status_code, e.body["type"], e.body["error"]["type"]), (401, "error", "authentication_error"), "error")
    expect(e.request_id, "no request-id header")
    expect("this-is-not-a-key" not in str(e), "the key stands in the message")
    expect(time.monotonic() - begin < 3, "it took longer than 3 s")


def bearer(b):
    api = anthropic.Anthropic(base_url=BASE, auth_token=KEY)
    expect(text_of(api.messages.create(model="rehearsal/quick", max_tokens=100, messages=[{"role": "user", "content": "hello"}])), "no text")


def rate_limited(b):
    a = Ask("429", b)
    begin = time.monotonic()
    e = raises(anthropic.RateLimitError, lambda: call(a, client.with_options(max_retries=0) if b == "direct" else client))
    took = time.monotonic() - begin
    want((e.status_code, e.response.headers.get("retry-after"), e.body["error"]["type"]), (429, "600", "rate_limit_error"), "error")
    if b != "direct":
        want(e.response.headers.get("x-should-retry"), "false", "x-should-retry")
        expect(took < 10, f"it took {took:.1f} s: somebody waits")
    if not a.rehearsal:
        expect("slow down" in e.body["error"]["message"], f"the provider's message is lost: {e.body}")
        return f"provider asked {len(a.upstream())} times"


def overloaded(b):
    a = Ask("529", b)
    e = raises(anthropic.InternalServerError, lambda: call(a, client.with_options(max_retries=0) if b == "direct" else client))
    want((e.status_code, e.body["error"]["type"]), (529, "overloaded_error"), "error")
    if b != "direct":
        want(e.response.headers.get("x-should-retry"), "false", "x-should-retry")
    if not a.rehearsal:
        return f"provider asked {len(a.upstream())} times"


def refused(b):
    a = Ask("400", b)
    e = raises(anthropic.BadRequestError, lambda: call(a))
    want(e.body["error"]["type"], "invalid_request_error", "type")
    if not a.rehearsal:
        expect("this cannot be done" in e.body["error"]["message"], f"the provider's message is lost: {e.body}")
        want(len(a.upstream()), 1, "times that the provider was asked")


def error_late(b):
    a = Ask("error-late", b)
    got = []

    def read():
        with client.messages.stream(**params(a)) as s:
            for t in s.text_stream:
                got.append(t)
        return "".join(got)
    e = raises(anthropic.APIStatusError, read)
    expect(got, "no text before the error")
    want(e.body["error"]["type"], "overloaded_error", "type")
    if not a.rehearsal:
        expect("in the middle" in str(e), f"message {e}")
        want(len(a.upstream()), 1, "times that the provider was asked after text had been sent")
    return f"{len(got)} pieces, then {type(e).__name__}"


def error_early(b):
    a = Ask("error-early", b)
    if b == "direct":
        raises(anthropic.APIStatusError, lambda: list(call(a, stream=True)))
        return
    e = raises(anthropic.APIStatusError, lambda: call(a, stream=True))
    expect(e.status_code >= 500, f"status {e.status_code}")
    return f"status {e.status_code}"


def cut(b):
    a = Ask("cut", b)
    got = []

    def read():
        for e in call(a, stream=True):
            got.append(e)
        return f"a clean end after {len(got)} events, the last {got[-1].type}"
    if b == "direct":
        e = raises(Exception, read)
    else:
        e = raises((Exception), read)
    expect(got and not any(x.type == "message_stop" for x in got), "message_stop was forged")
    return type(e).__name__


def cancel_stream(b):
    a = Ask("drip", b)
    with client.messages.with_streaming_response.create(**params(a, stream=True)) as raw:
        request_id = raw.headers.get("x-headrace-request-id")
        lines = raw.iter_lines()
        for _ in range(9):
            next(lines)
        left = time.time()
    expect(b == "direct" or request_id, "no x-headrace-request-id")
    return seen_gone(a, left, request_id)


def cancel_whole(b):
    a = Ask("stall", b)
    api = client.with_options(max_retries=0, timeout=0.7)
    raises(anthropic.APITimeoutError, lambda: call(a, api))
    return seen_gone(a, time.time(), None)


def models(b):
    ids = {m.id for m in client.models.list(limit=1000)}
    expect({"rehearsal/quick", "rehearsal/steady", "rehearsal/thinker"} <= ids, f"models {sorted(ids)[:20]}")
    want(client.models.retrieve("rehearsal/quick").id, "rehearsal/quick", "retrieve")


def unknown_model(b):
    e = raises(anthropic.NotFoundError, lambda: client.messages.create(model="rehearsal/nobody", max_tokens=10, messages=[{"role": "user", "content": "hello"}]))
    want(e.body["error"]["type"], "not_found_error", "type")


for b in BACKENDS:
    for name, fn in (("text", text), ("text, ?beta=true", beta), ("streaming", streaming), ("streaming, order of events", streaming_events), ("tools, two turns", tools), ("tool forced", forced),
                     ("parallel tools", lambda b: parallel(b, False)), ("parallel tools, streamed", lambda b: parallel(b, True)),
                     ("structured output", lambda b: structured(b, False)), ("structured output, streamed", lambda b: structured(b, True)),
                     ("image", image), ("thinking, two turns", thinking), ("count tokens", count), ("429 with retry-after", rate_limited), ("529", overloaded), ("400", refused),
                     ("error in the stream", error_late), ("error before the first word", error_early), ("stream cut off", cut), ("cancel a stream", cancel_stream), ("cancel a whole answer", cancel_whole)):
        c.check(name, b, lambda: fn(b))
if "direct" not in BACKENDS:
    for name, fn in (("401", bad_key), ("bearer token", bearer), ("models", models), ("404", unknown_model)):
        c.check(name, "-", lambda: fn("-"))
c.done()
