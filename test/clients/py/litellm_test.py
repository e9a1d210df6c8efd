"""LiteLLM as a client of the OpenAI and of the Anthropic door."""
import os
os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"  # it would fetch one
import time
import litellm
from harness import *

litellm.suppress_debug_info = True
TOOLS = [{"type": "function", "function": {"name": n, "description": d, "parameters": s}} for n, d, s in
         (("get_weather", "The weather in a city", WEATHER), ("get_time", "The time in a zone", CLOCK))]
DOORS = {"openai": BASE + "/v1", "anthropic": BASE}


def call(door, ask, messages=None, **more):
    more.setdefault("max_retries", 0)
    return litellm.completion(model=f"{door}/{ask.model}", api_base=DOORS[door], api_key=KEY, extra_headers=ask.headers,
                              messages=messages or [{"role": "system", "content": SYSTEM}, {"role": "user", "content": ask.prompt}], **more)


def text(d, b):
    a = Ask("echo", b)
    r = call(d, a)
    echoed(a, r.choices[0].message.content)
    expect(r.usage.prompt_tokens > 0 and r.usage.completion_tokens > 0, f"usage {r.usage}")


def streaming(d, b):
    a = Ask("echo", b)
    chunks = list(call(d, a, stream=True, stream_options={"include_usage": True}))
    echoed(a, "".join(k.choices[0].delta.content or "" for k in chunks if k.choices))
    want([k.choices[0].finish_reason for k in chunks if k.choices and k.choices[0].finish_reason], ["stop"], "finish")
    expect(any(getattr(k, "usage", None) for k in chunks), "no usage")


def parallel(d, b, streamed):
    a = Ask("parallel", b)
    messages = [{"role": "user", "content": a.prompt}]
    r = call(d, a, messages, tools=TOOLS, stream=streamed)
    if streamed:
        r = litellm.stream_chunk_builder(list(r), messages=messages)
    calls = r.choices[0].message.tool_calls or []
    want([k.function.name for k in calls], ["get_weather", "get_time"], "calls")
    want(r.choices[0].finish_reason, "tool_calls", "finish")
    if not a.rehearsal:
        want([json.loads(k.function.arguments) for k in calls], [{"city": "Zürich", "unit": "celsius"}, {"zone": "Europe/Zurich"}], "arguments")
    messages.append(r.choices[0].message.model_dump())
    messages += [{"role": "tool", "tool_call_id": k.id, "content": f"result {i}"} for i, k in enumerate(calls)]
    last = call(d, a, messages, tools=TOOLS).choices[0].message.content
    if a.rehearsal:
        expect(last, "no text after the results")
    else:
        want(last, "results: result 0 | result 1", "text after the results")


def structured(d, b):
    a = Ask("structured", b)
    r = call(d, a, [{"role": "user", "content": a.prompt}], response_format=River)
    river = River.model_validate_json(r.choices[0].message.content)
    if not a.rehearsal:
        want(river, AARE, "parsed")


def image(d, b):
    a = Ask("picture", b)
    r = call(d, a, [{"role": "user", "content": [{"type": "text", "text": a.prompt}, {"type": "image_url", "image_url": {"url": "data:image/png;base64," + PNG}}]}])
    if a.rehearsal:
        expect(r.choices[0].message.content, "no text")
    else:
        want(r.choices[0].message.content, PNG_SUM, "the image as the provider saw it")


def thinking(d, b):
    a = Ask("think", b)
    r = call(d, a)
    expect(r.choices[0].message.reasoning_content, f"no reasoning_content in {r.choices[0].message}")
    if not a.rehearsal:
        want((r.choices[0].message.reasoning_content, r.choices[0].message.content), ("Is the gate open? It is.", "The gate is open."), "thought and text")


def rate_limited(d, b):
    a = Ask("429", b)
    begin = time.monotonic()
    e = raises(litellm.RateLimitError, lambda: call(d, a))
    expect(time.monotonic() - begin < 10, "somebody waits")
    if not a.rehearsal:
        expect("slow down" in str(e), f"the provider's message is lost: {e}")
    after = e.response.headers.get("retry-after") if getattr(e, "response", None) is not None else None
    return f"retry-after as LiteLLM tells it: {after}"


def overloaded(d, b):
    # LiteLLM has no name for a bare 529 of OpenAI's; the gateway makes it one that it knows.
    e = raises((litellm.InternalServerError, litellm.ServiceUnavailableError) + ((litellm.APIError,) if b == "direct" else ()), lambda: call(d, Ask("529", b)))
    return f"{type(e).__name__} {e.status_code}"


def error_late(d, b):
    got = []

    def read():
        for k in call(d, Ask("error-late", b), stream=True):
            got.append(k.choices[0].delta.content if k.choices else None)
        return "a clean end: " + "".join(x or "" for x in got)
    e = raises(Exception, read)
    expect(any(got), "no text before the error")
    return type(e).__name__




def bad_key(d):
    raises(litellm.AuthenticationError, lambda: litellm.completion(model=f"{d}/rehearsal/quick", api_base=DOORS[d], api_key="hr-this-is-not-a-key-0123456789abcdef", messages=[{"role": "user", "content": "hello"}]))


def embeddings(d, b):
    r = litellm.embedding(model=f"{d}/" + Ask("echo", b).model.replace("echo", "embed"), input=["one", "two"], api_base=DOORS[d], api_key=KEY, encoding_format="float")
    want([e["embedding"] for e in r.data], [[0.25, -0.5, 0.1], [1.25, -0.5, 0.1]], "vectors")


for d in ("openai", "anthropic"):
    c = Client("litellm-" + d)
    for b in BACKENDS:
        for name, fn in (("text", text), ("streaming", streaming), ("parallel tools", lambda d, b: parallel(d, b, False)), ("parallel tools, streamed", lambda d, b: parallel(d, b, True)),
                         ("image", image), ("thinking", thinking), ("429 with retry-after", rate_limited), ("529", overloaded),
                         ("error in the stream", error_late)):
            c.check(name, b, lambda: fn(d, b))
        if (d, b) != ("anthropic", "ollama"):  # LiteLLM asks by a tool that must be called, which Ollama cannot be made to
            c.check("structured output", b, lambda: structured(d, b))
        if d == "openai" and b in EMBEDS:
            c.check("embeddings", b, lambda: embeddings(d, b))
    if "direct" not in BACKENDS:
        c.check("401", "-", lambda: bad_key(d))
    c.done()
