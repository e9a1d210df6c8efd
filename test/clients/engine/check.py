"""llama.cpp's own server behind Headrace: through every client dialect its words, its tokens and its vectors are those
that it gives when it is asked itself. Prints a line for each check, and a table."""
import base64, json, os, struct, sys, time, urllib.request

BASE, KEY, CHAT, EMBED = (os.environ[n] for n in ("ENGINE_BASE", "ENGINE_KEY", "ENGINE_CHAT", "ENGINE_EMBED"))
WORDS, MAX, TEXTS = "We hear the water under the mill.", 12, ["the water", "a gate"]
results = []


def post(base, path, body, stream=False):
    """The JSON of an answer, or the list of the JSON values of a stream."""
    headers = {"content-type": "application/json", "authorization": "Bearer " + KEY, "x-goog-api-key": KEY, "anthropic-version": "2023-06-01"}
    with urllib.request.urlopen(urllib.request.Request(base + path, json.dumps(body).encode(), headers), timeout=60) as r:
        raw = r.read().decode()
    if not stream:
        return json.loads(raw)
    lines = [line.removeprefix("data:").strip() for line in raw.splitlines() if line[:1] in "d{"]
    return [json.loads(line) for line in lines if line.startswith("{")]


def check(name, door, fn):
    begin = time.monotonic()
    try:
        remark, status = fn() or "", "ok"
    except Exception as e:  # every way to fail is a line
        body = e.read().decode()[:300] if hasattr(e, "read") else ""
        remark, status = f"{type(e).__name__}: {e} {body}".replace("\n", " ")[:600], "FAIL"
    results.append((status, door))
    print(f"{status:4} {'llama.cpp':12} {door:12} {name:28} {(time.monotonic() - begin) * 1000:6.0f} ms  {remark}", flush=True)


def want(got, expected, what):
    if got != expected:
        raise AssertionError(f"{what}: got {got!r}, want {expected!r}")


asked = post(CHAT, "/v1/chat/completions", {"model": "tiny", "messages": [{"role": "user", "content": WORDS}], "max_tokens": MAX, "temperature": 0})
TEXT, PROMPT = asked["choices"][0]["message"]["content"], asked["usage"]["prompt_tokens"]
VECTORS = [e["embedding"] for e in post(EMBED, "/v1/embeddings", {"model": "tiny", "input": TEXTS})["data"]]
if not TEXT.strip() or asked["usage"]["completion_tokens"] != MAX:
    sys.exit(f"the engine itself says {asked}")

MESSAGES = [{"role": "user", "content": WORDS}]
CONTENTS = [{"role": "user", "parts": [{"text": WORDS}]}]
GEMINI = {"contents": CONTENTS, "generationConfig": {"maxOutputTokens": MAX, "temperature": 0}}
RESPONSES = {"model": "engine/tiny", "input": WORDS, "max_output_tokens": MAX, "temperature": 0, "store": False}
CLAUDE = {"model": "engine/tiny", "messages": MESSAGES, "max_tokens": MAX, "temperature": 0}
OLLAMA = {"model": "engine/tiny", "options": {"num_predict": MAX, "temperature": 0}}


def gemini_text(values):
    return "".join(p.get("text", "") for v in values for x in v.get("candidates", []) for p in x.get("content", {}).get("parts", []))


def gemini_end(v):
    u = v["usageMetadata"]
    return v["candidates"][0]["finishReason"], u["promptTokenCount"], u["candidatesTokenCount"]


def claude_stream(values):
    start, end = values[0]["message"]["usage"], next(v for v in values if v["type"] == "message_delta")
    u = {**start, **{k: v for k, v in end["usage"].items() if v is not None}}
    text = "".join(v["delta"].get("text", "") for v in values if v["type"] == "content_block_delta")
    return text, end["delta"]["stop_reason"], u["input_tokens"] + (u.get("cache_read_input_tokens") or 0), u["output_tokens"]


def responses_end(r):
    return r["incomplete_details"]["reason"], r["usage"]["input_tokens"], r["usage"]["output_tokens"]


# For each door: path, body, how the whole answer is read and how the stream is: text, reason, prompt and output tokens.
DOORS = {
    "openai": ("/v1/chat/completions", {"model": "engine/tiny", "messages": MESSAGES, "max_tokens": MAX, "temperature": 0}, {"stream": True, "stream_options": {"include_usage": True}}, "length",
               lambda r: (r["choices"][0]["message"]["content"], r["choices"][0]["finish_reason"], r["usage"]["prompt_tokens"], r["usage"]["completion_tokens"]),
               lambda v: ("".join(k["choices"][0]["delta"].get("content") or "" for k in v if k["choices"]), next(k["choices"][0]["finish_reason"] for k in v if k["choices"] and k["choices"][0]["finish_reason"]),
                          v[-1]["usage"]["prompt_tokens"], v[-1]["usage"]["completion_tokens"])),
    "responses": ("/v1/responses", RESPONSES, {"stream": True}, "max_output_tokens",
                  lambda r: ("".join(p["text"] for x in r["output"] if x["type"] == "message" for p in x["content"]), *responses_end(r)),
                  lambda v: ("".join(e["delta"] for e in v if e["type"] == "response.output_text.delta"), *responses_end(v[-1]["response"]))),
    "anthropic": ("/v1/messages", CLAUDE, {"stream": True}, "max_tokens",
                  lambda r: ("".join(x["text"] for x in r["content"]), r["stop_reason"], r["usage"]["input_tokens"] + (r["usage"].get("cache_read_input_tokens") or 0), r["usage"]["output_tokens"]),
                  claude_stream),
    "gemini": ("/v1beta/models/engine/tiny:generateContent", GEMINI, None, "MAX_TOKENS", lambda r: (gemini_text([r]), *gemini_end(r)), lambda v: (gemini_text(v), *gemini_end(v[-1]))),
    "ollama": ("/api/chat", {**OLLAMA, "messages": MESSAGES, "stream": False}, {"stream": True}, "length",
               lambda r: (r["message"]["content"], r["done_reason"], r["prompt_eval_count"], r["eval_count"]),
               lambda v: ("".join(k["message"]["content"] for k in v), v[-1]["done_reason"], v[-1]["prompt_eval_count"], v[-1]["eval_count"])),
    "generate": ("/api/generate", {**OLLAMA, "prompt": WORDS, "stream": False}, {"stream": True}, "length",
                 lambda r: (r["response"], r["done_reason"], r["prompt_eval_count"], r["eval_count"]),
                 lambda v: ("".join(k["response"] for k in v), v[-1]["done_reason"], v[-1]["prompt_eval_count"], v[-1]["eval_count"])),
}
for door, (path, body, streamed, reason, whole, pieces) in DOORS.items():
    expected = (TEXT, reason, PROMPT, MAX)
    check("chat, its words and tokens", door, lambda: want(whole(post(BASE, path, body)), expected, "text, reason, tokens"))

    def stream():
        values = post(BASE, path.replace(":generate", ":streamGenerate") + "?alt=sse", body, True) if streamed is None else post(BASE, path, {**body, **streamed}, True)
        want(pieces(values), expected, "text, reason, tokens")
        if len(values) < MAX:
            raise AssertionError(f"{MAX} tokens came in {len(values)} pieces")
        return f"{len(values)} pieces"
    check("stream, its words and tokens", door, stream)


def close(got):
    want([len(v) for v in got], [len(v) for v in VECTORS], "sizes")
    off = max(abs(a - b) for x, y in zip(got, VECTORS) for a, b in zip(x, y))
    if off > 1e-6:
        raise AssertionError(f"the vectors are off by {off}")
    return f"off by at most {off:.1e}"


def floats(b):
    raw = base64.b64decode(b)
    return list(struct.unpack(f"<{len(raw) // 4}f", raw))


for door, fn in (
    ("openai", lambda: close([e["embedding"] for e in post(BASE, "/v1/embeddings", {"model": "vectors/tiny", "input": TEXTS})["data"]])),
    ("openai base64", lambda: close([floats(e["embedding"]) for e in post(BASE, "/v1/embeddings", {"model": "vectors/tiny", "input": TEXTS, "encoding_format": "base64"})["data"]])),
    ("gemini", lambda: close([e["values"] for e in post(BASE, "/v1beta/models/vectors/tiny:batchEmbedContents", {"requests": [{"model": "models/vectors/tiny", "content": {"parts": [{"text": t}]}} for t in TEXTS]})["embeddings"]])),
    ("ollama", lambda: close(post(BASE, "/api/embed", {"model": "vectors/tiny", "input": TEXTS})["embeddings"])),
):
    check("embeddings, its vectors", door, fn)

print()
print(f"{'door':14} {'ok':>4} {'failed':>7}")
for door in dict.fromkeys(d for _, d in results):
    print(f"{door:14} {results.count(('ok', door)):4} {results.count(('FAIL', door)):7}")
ok = sum(1 for s, _ in results if s == "ok")
print(f"{'all':14} {ok:4} {len(results) - ok:7}")
sys.exit(0 if ok == len(results) else 1)
