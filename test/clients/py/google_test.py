"""Google's own Python SDK for Gemini, with nothing changed but base URL and key."""
import asyncio, time
import httpx
from google import genai
from google.genai import errors, types
from harness import *

client = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=BASE))
c = Client("python-google")
PIXEL = types.Part.from_bytes(data=base64.b64decode(PNG), mime_type="image/png")


def tool(name, description, schema):
    return types.FunctionDeclaration(name=name, description=description, parameters_json_schema=schema)


TOOLS = [types.Tool(function_declarations=[tool("get_weather", "The weather in a city", WEATHER), tool("get_time", "The time in a zone", CLOCK)])]


def config(ask, **more):
    return types.GenerateContentConfig(http_options=types.HttpOptions(headers=ask.headers), automatic_function_calling=types.AutomaticFunctionCallingConfig(disable=True), **more)


def call(ask, contents=None, **more):
    return client.models.generate_content(model=ask.model, contents=contents or ask.prompt, config=config(ask, **more))


def stream(ask, contents=None, **more):
    return client.models.generate_content_stream(model=ask.model, contents=contents or ask.prompt, config=config(ask, **more))


def parts(chunks):
    return [p for k in chunks for x in (k.candidates or []) for p in ((x.content and x.content.parts) or [])]


def text(b):
    a = Ask("echo", b)
    r = call(a, system_instruction=SYSTEM)
    echoed(a, r.text)
    want(r.candidates[0].finish_reason, types.FinishReason.STOP, "finish")
    u = r.usage_metadata
    expect(u.prompt_token_count > 0 and u.candidates_token_count > 0, f"usage {u}")
    if not a.rehearsal:
        want((u.prompt_token_count, u.candidates_token_count, u.total_token_count), (31, 17, 48), "usage")


def streaming(b):
    a = Ask("echo", b)
    chunks = list(stream(a, system_instruction=SYSTEM))
    echoed(a, "".join(p.text or "" for p in parts(chunks)))
    expect(sum(1 for p in parts(chunks) if p.text) >= 2, "the text came in one piece")
    want([x.finish_reason for k in chunks for x in k.candidates or [] if x.finish_reason], [types.FinishReason.STOP], "finish")
    expect(chunks[-1].usage_metadata and chunks[-1].usage_metadata.candidates_token_count > 0, f"usage of the last chunk {chunks[-1].usage_metadata}")


def tools(b, names, streamed, case):
    a = Ask(case, b)
    user = types.Content(role="user", parts=[types.Part(text=a.prompt)])
    got = parts(stream(a, [user], tools=TOOLS)) if streamed else call(a, [user], tools=TOOLS).candidates[0].content.parts
    calls = [p.function_call for p in got if p.function_call]
    want([k.name for k in calls], names, "calls")
    if not a.rehearsal:
        want([k.args for k in calls], [{"city": "Zürich", "unit": "celsius"}, {"zone": "Europe/Zurich"}][:len(names)], "arguments")
    results = [types.Part(function_response=types.FunctionResponse(id=k.id, name=k.name, response={"output": f"result {i}"})) for i, k in enumerate(calls)]
    r = call(a, [user, types.Content(role="model", parts=got), types.Content(role="user", parts=results)], tools=TOOLS)
    if a.rehearsal:
        expect(r.text, "no text after the results")
    else:
        want(r.text, "results: " + " | ".join(f"result {i}" for i in range(len(names))), "text after the results")


def automatic(b):
    a = Ask("tools", b)
    asked = []

    def get_weather(city: str, unit: str = "celsius") -> str:
        """The weather in a city."""
        asked.append((city, unit))
        return "12 °C, rain"
    r = client.models.generate_content(model=a.model, contents=a.prompt, config=types.GenerateContentConfig(tools=[get_weather], http_options=types.HttpOptions(headers=a.headers)))
    want(len(asked), 1, "calls")
    if a.rehearsal:
        expect(r.text, "no text after the result")
    else:
        want(asked[0], ("Zürich", "celsius"), "arguments")
        # The SDK wraps what a function returns in an object, which is the result for a provider of any dialect.
        want(json.loads(r.text.removeprefix("results: ")), {"result": "12 °C, rain"}, "text after the result")


def structured(b):
    a = Ask("structured", b)
    r = call(a, response_mime_type="application/json", response_schema=River)
    expect(isinstance(r.parsed, River), f"parsed {r.parsed!r} of {r.text!r}")
    if not a.rehearsal:
        want(r.parsed, AARE, "parsed")


def image(b):
    a = Ask("picture", b)
    r = call(a, [PIXEL, a.prompt])
    if a.rehearsal:
        expect(r.text, "no text")
    else:
        want(r.text, PNG_SUM, "the image as the provider saw it")


def thinking(b):
    a = Ask("think", b)
    more = {"thinking_config": types.ThinkingConfig(include_thoughts=True)}
    whole = call(a, **more).candidates[0].content.parts
    streamed = parts(stream(a, **more))
    for got in (whole, streamed):
        thought = "".join(p.text or "" for p in got if p.thought)
        said = "".join(p.text or "" for p in got if not p.thought)
        expect(thought and said, f"thought {thought!r}, text {said!r}")
        if not a.rehearsal:
            want((thought, said), ("Is the gate open? It is.", "The gate is open."), "thought and text")


def rate_limited(b):
    a = Ask("429", b)
    begin = time.monotonic()
    e = raises(errors.ClientError, lambda: call(a))
    want((e.code, e.status), (429, "RESOURCE_EXHAUSTED"), "code and status")
    expect(time.monotonic() - begin < 10, "somebody waits")
    if b not in ("rehearsal",):
        expect("slow down" in e.message, f"the provider's message is lost: {e.message}")
    if b != "direct":
        want(e.response.headers.get("retry-after"), "600", "retry-after")
    expect("600s" in json.dumps(e.details), f"no RetryInfo: {e.details}")


def overloaded(b):
    e = raises(errors.ServerError, lambda: call(Ask("529", b)))
    want((e.code, e.status), (503, "UNAVAILABLE"), "code and status")


def refused(b):
    e = raises(errors.ClientError, lambda: call(Ask("400", b)))
    want((e.code, e.status), (400, "INVALID_ARGUMENT"), "code and status")


def error_late(b):
    got = []

    def read():
        for k in stream(Ask("error-late", b)):
            got.append(k)
        return f"a clean end after {len(got)} chunks"
    e = raises(errors.APIError, read)
    expect(any(p.text for p in parts(got)), "no text before the error")
    return f"{len(got)} chunks, then {type(e).__name__} {e.code}"


def error_early(b):
    e = raises(errors.APIError, lambda: list(stream(Ask("error-early", b))))
    expect(e.code >= 500, f"code {e.code}")


def cut(b):
    got = []

    def read():
        for k in stream(Ask("cut", b)):
            got.append(k)
        if got and not any(x.finish_reason for k in got for x in k.candidates or []):
            raise EOFError("it ended without a reason")  # which is how this SDK shows it
        return f"a clean end after {len(got)} chunks"
    e = raises(Exception, read)
    expect(got, "nothing before the cut")
    return type(e).__name__


def cancel_stream(b):
    a = Ask("drip", b)

    async def leave():
        api = genai.Client(api_key=KEY, http_options=types.HttpOptions(base_url=BASE, headers=a.headers))
        n, request_id = 0, None
        s = await api.aio.models.generate_content_stream(model=a.model, contents=a.prompt)
        async for k in s:
            request_id = (k.sdk_http_response and k.sdk_http_response.headers or {}).get("x-headrace-request-id")
            n += 1
            if n == 3:
                break
        await s.aclose()
        await api.aio.aclose()
        return time.time(), request_id
    left, request_id = asyncio.run(leave())
    return seen_gone(a, left, request_id)


def cancel_whole(b):
    a = Ask("stall", b)
    raises(Exception, lambda: client.models.generate_content(model=a.model, contents=a.prompt, config=types.GenerateContentConfig(http_options=types.HttpOptions(headers=a.headers, timeout=700))))
    return seen_gone(a, time.time(), None)


def count(b):
    a = Ask("echo", b)
    n = client.models.count_tokens(model=a.model, contents=a.prompt).total_tokens
    expect(n > 3, f"{n} tokens")
    return f"{n} tokens"


def embeddings(b):
    a = Ask("echo", b)
    model = a.model.replace("echo", "embed")
    want([e.values for e in client.models.embed_content(model=model, contents="one").embeddings], [[0.25, -0.5, 0.1]], "one vector")
    want([e.values for e in client.models.embed_content(model=model, contents=["one", "two"]).embeddings], [[0.25, -0.5, 0.1], [1.25, -0.5, 0.1]], "two vectors")


def key_in_query(b):
    url = f"{BASE}/v1beta/models/{Ask('echo', b).model}:generateContent?key={KEY}"
    r = httpx.post(url, json={"contents": [{"parts": [{"text": "hello"}]}]})
    want(r.status_code, 200, "status")
    expect(r.json()["candidates"][0]["content"]["parts"][0]["text"], f"no text: {r.text}")


def array(b):
    """Without alt=sse a stream is a JSON array; keys may be in snake_case."""
    a = Ask("echo", b)
    url = f"{BASE}/v1beta/models/{a.model}:streamGenerateContent"
    r = httpx.post(url, json={"contents": [{"role": "user", "parts": [{"text": a.prompt}]}], "system_instruction": {"parts": [{"text": SYSTEM}]}, "generation_config": {"max_output_tokens": 500}},
                   headers={"x-goog-api-key": KEY, **a.headers})
    want((r.status_code, r.headers["content-type"].split(";")[0]), (200, "application/json"), "status and type")
    echoed(a, "".join(p.get("text", "") for k in r.json() for x in k["candidates"] for p in x.get("content", {}).get("parts", [])))


def bad_key(b):
    api = genai.Client(api_key="hr-this-is-not-a-key-0123456789abcdef", http_options=types.HttpOptions(base_url=BASE))
    e = raises(errors.ClientError, lambda: api.models.generate_content(model="rehearsal/quick", contents="hello"))
    expect(e.code in (400, 401) and e.status, f"{e.code} {e.status}")
    expect("this-is-not-a-key" not in str(e), "the key stands in the message")


def models(b):
    names = {m.name for m in client.models.list()}
    expect({"models/rehearsal/quick", "models/rehearsal/thinker"} <= names, f"models {sorted(names)[:20]}")
    m = client.models.get(model="rehearsal/quick")
    want(m.name, "models/rehearsal/quick", "get")
    expect("generateContent" in (m.supported_actions or []), f"actions {m.supported_actions}")


def unknown_model(b):
    e = raises(errors.ClientError, lambda: client.models.generate_content(model="rehearsal/nobody", contents="hello"))
    want((e.code, e.status), (404, "NOT_FOUND"), "code and status")


for b in BACKENDS:
    for name, fn in (("text", text), ("streaming", streaming), ("streaming as an array", array),
                     ("tools, two turns", lambda b: tools(b, ["get_weather"], False, "tools")), ("tools, run by the SDK", automatic),
                     ("parallel tools", lambda b: tools(b, ["get_weather", "get_time"], False, "parallel")),
                     ("parallel tools, streamed", lambda b: tools(b, ["get_weather", "get_time"], True, "parallel")),
                     ("structured output", structured), ("image", image), ("thinking", thinking), ("count tokens", count),
                     ("429 with retry-after", rate_limited), ("529", overloaded), ("400", refused), ("error in the stream", error_late),
                     ("error before the first word", error_early), ("stream cut off", cut), ("cancel a stream", cancel_stream), ("cancel a whole answer", cancel_whole)):
        c.check(name, b, lambda: fn(b))
    if b in EMBEDS:
        c.check("embeddings", b, lambda: embeddings(b))
if "direct" not in BACKENDS:
    for name, fn in (("401", bad_key), ("models", models), ("404", unknown_model)):
        c.check(name, "-", lambda: fn("-"))
    c.check("key in the query", "rehearsal", lambda: key_in_query("rehearsal"))


def read(api, rec, model):
    """What the SDK makes of a recorded answer."""
    args = {"model": model, "contents": TOOLS_ASKED}
    chunks = list(api.models.generate_content_stream(**args)) if rec["stream"] else [api.models.generate_content(**args)]
    out = []
    for p in parts(chunks):
        d = p.model_dump(exclude_none=True)
        if set(d) - {"thought_signature"} == {"text"} and out and set(out[-1]) == {"text"}:
            out[-1]["text"] += d["text"]
        else:
            out.append(d)
    return out, [x.finish_reason for k in chunks for x in k.candidates or [] if x.finish_reason], chunks[-1].usage_metadata and chunks[-1].usage_metadata.model_dump(exclude_none=True)


recorded(c, "gemini", "gemini", genai.Client(api_key="sk-replay", http_options=types.HttpOptions(base_url=REPLAY)), client, read)
c.done()
