"""Recorded answers of real providers, read by the official SDKs once straight from the replay and once through the gateway.

In their own dialect the bytes must be the same; in the other dialect the text and the tool calls must be.
"""
import itertools
import anthropic, openai
from harness import *

c = Client("python-recorded")
GATEWAY = {"openai-chat": openai.OpenAI(base_url=BASE + "/v1", api_key=KEY, max_retries=0, timeout=30), "anthropic": anthropic.Anthropic(base_url=BASE, api_key=KEY, max_retries=0, timeout=30)}
DIRECT = {"openai-chat": openai.OpenAI(base_url=REPLAY + "/v1", api_key="sk-replay", max_retries=0, timeout=30), "anthropic": anthropic.Anthropic(base_url=REPLAY, api_key="sk-replay", max_retries=0, timeout=30)}
SHOW, WIDTH = int(os.environ.get("CLIENT_SHOW", "2")), int(os.environ.get("CLIENT_WIDTH", "260"))  # to see more of what fails
PROVIDER = {"openai-chat": "openai", "anthropic": "anthropic"}
TOOLS_ASKED = "Answer from the recording."
# What is not the same, and why. Whoever mends one takes its line out: one that is listed and passes fails the check.
EXCEPT = {
    ("same", "5c4a3f1ec334004a"): "OpenRouter sends a chunk with usage after the chunk with its error; the gateway ends the stream at the error",
    ("other", "09abc59f52c79c12"): "GPUStack writes its error as a line `error: {...}`, which is no SSE field: the SDK overlooks it and takes the answer for whole, the gateway tells of it",
}


def arguments(dialect, model, stream):
    out = {"model": model, "messages": [{"role": "user", "content": TOOLS_ASKED}]}
    if dialect == "anthropic":
        out["max_tokens"] = 4096
    elif stream:
        out["stream_options"] = {"include_usage": True}
    return out


def resource(api):
    return api.chat.completions if isinstance(api, openai.OpenAI) else api.messages


def raw_bytes(api, dialect, model, stream):
    """The body of the answer as the SDK's transport received it."""
    with resource(api).with_streaming_response.create(**arguments(dialect, model, stream), **({"stream": True} if stream else {})) as r:
        return b"".join(r.iter_bytes())


def read(api, dialect, model, stream):
    """What the SDK makes of the answer: its text and its tool calls with parsed arguments."""
    text, calls = "", []
    r = resource(api).create(**arguments(dialect, model, stream), stream=stream)
    if dialect == "openai-chat":
        parts = {}
        for k in r if stream else [r]:
            for choice in itertools.islice(k.choices or [], 1):
                if choice.index:
                    continue
                d = choice.delta if stream else choice.message
                if d is None:
                    continue
                if getattr(d, "function_call", None):  # the form before tool calls
                    p = parts.setdefault("function_call", {"name": "", "arguments": ""})
                    p["name"] += d.function_call.name or ""
                    p["arguments"] += d.function_call.arguments or ""
                text += (d.content or "") + (getattr(d, "refusal", None) or "")  # a refusal is text to those who know no refusals
                for i, call in enumerate(d.tool_calls or []):
                    p = parts.setdefault(call.index if stream and call.index is not None else i, {"name": "", "arguments": ""})
                    p["name"] += (call.function.name or "") if call.function else ""
                    p["arguments"] += (call.function.arguments or "") if call.function else ""
        calls = [(p["name"], p["arguments"]) for _, p in sorted(parts.items(), key=lambda kv: str(kv[0])) if p["name"] or p["arguments"]]  # Snowflake sends an empty one
    elif stream:
        for e in r:
            if e.type == "content_block_start" and e.content_block.type == "tool_use":
                calls.append([e.content_block.name, "" if not e.content_block.input else json.dumps(e.content_block.input)])
            elif e.type == "content_block_start" and e.content_block.type == "text":
                text += e.content_block.text
            elif e.type == "content_block_delta" and e.delta.type == "text_delta":
                text += e.delta.text
            elif e.type == "content_block_delta" and e.delta.type == "input_json_delta" and calls:
                calls[-1][1] += e.delta.partial_json
    else:
        text = "".join(x.text for x in r.content if x.type == "text")
        calls = [(x.name, json.dumps(x.input)) for x in r.content if x.type == "tool_use"]
    return text, [(n, json.loads(a or "{}")) for n, a in calls]


def attempt(fn):
    try:
        return fn(), None
    except Exception as e:  # compared, not swallowed
        return None, e


def same(rec):
    d, stream = rec["dialect"], rec["stream"]
    one, e1 = attempt(lambda: raw_bytes(DIRECT[d], d, "recorded-" + rec["id"], stream))
    two, e2 = attempt(lambda: raw_bytes(GATEWAY[d], d, PROVIDER[d] + "/recorded-" + rec["id"], stream))
    expect(e1 is None, f"the replay itself failed: {e1!r}")
    if e2 is not None:
        # An error inside a 200 becomes the real status: then the SDK must see one in the recording too.
        _, inside = attempt(lambda: read(DIRECT[d], d, "recorded-" + rec["id"], stream))
        expect(inside is not None or b'"error"' in one[:2000], f"{rec['source']}: {e2!r}")
        return
    if one != two:
        at = next((i for i, (x, y) in enumerate(zip(one, two)) if x != y), min(len(one), len(two)))
        raise AssertionError(f"{rec['source']}: byte {at} of {len(one)} and {len(two)} differs: {one[max(0, at - 60):at + 60]!r} became {two[max(0, at - 60):at + 60]!r}")


def other(rec):
    d, stream = rec["dialect"], rec["stream"]
    o = "anthropic" if d == "openai-chat" else "openai-chat"
    one, e1 = attempt(lambda: read(DIRECT[d], d, "recorded-" + rec["id"], stream))
    two, e2 = attempt(lambda: read(GATEWAY[o], o, PROVIDER[d] + "/recorded-" + rec["id"], stream))
    if e1 is not None:
        return  # the official SDK cannot read the original: nothing to compare with
    expect(e2 is None, f"{rec['source']}: {e2!r}")
    want(two, one, rec["source"])


def many(name, fn, d, recs):
    def run():
        bad, excepted = [], 0
        for rec in recs:
            _, e = attempt(lambda: fn(rec))
            if (fn.__name__, rec["id"]) in EXCEPT:
                excepted += 1
                e = None if e is not None else AssertionError("passes, and is listed as an exception")
            if e is not None:
                bad.append(f"{rec['id']} {e}")
        expect(not bad, f"{len(bad)} of {len(recs)}: " + " ;; ".join(x[:WIDTH] for x in bad[:SHOW]))
        return f"{len(recs)} recordings" + (f", {excepted} excepted" if excepted else "")
    c.check(name, PROVIDER[d], run)


if RECORDINGS:
    for d in ("openai-chat", "anthropic"):
        recs = get_json(f"{REPLAY}/control/recordings?dialect={d}&n={RECORDINGS}")
        for stream in (False, True):
            some = [r for r in recs if r["stream"] == stream]
            kind = "streamed" if stream else "whole"
            many(f"recorded, {kind}, same dialect: same bytes", same, d, some)
            many(f"recorded, {kind}, other dialect: same text and calls", other, d, some)
else:
    print(f"skip\t{c.name}\trecordings\t-\t0\tno recorded traffic here (HEADRACE_CORPUS, or ../shared/corpus beside the repository)")
c.done()
