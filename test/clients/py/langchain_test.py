"""LangChain's models for OpenAI (Chat Completions and Responses) and Anthropic."""
import os
os.environ["LANGSMITH_TRACING"] = "false"
import time
import anthropic, openai
from langchain_anthropic import ChatAnthropic
from langchain_core.messages import HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI, OpenAIEmbeddings
from harness import *


@tool
def get_weather(city: str, unit: str = "celsius") -> str:
    """The weather in a city."""
    return f"12 °C in {city}"


@tool
def get_time(zone: str) -> str:
    """The time in a zone."""
    return f"noon in {zone}"


def chat(ask, **more):
    return ChatOpenAI(model=ask.model, base_url=BASE + "/v1", api_key=KEY, default_headers=ask.headers, max_retries=0, stream_usage=True, **more)


def answers(ask, **more):
    return chat(ask, use_responses_api=True, **more)


def messages(ask, **more):
    return ChatAnthropic(model=ask.model, base_url=BASE, api_key=KEY, default_headers=ask.headers, max_retries=0, max_tokens=2000, **more)


def plain(message):
    return message.text if isinstance(message.text, str) else message.text()


def text(make, b):
    a = Ask("echo", b)
    r = make(a).invoke([SystemMessage(SYSTEM), HumanMessage(a.prompt)])
    echoed(a, plain(r))
    expect(r.usage_metadata["input_tokens"] > 0 and r.usage_metadata["output_tokens"] > 0, f"usage {r.usage_metadata}")


def streaming(make, b):
    a = Ask("echo", b)
    chunks = list(make(a).stream([SystemMessage(SYSTEM), HumanMessage(a.prompt)]))
    echoed(a, "".join(plain(k) for k in chunks))
    expect(sum(1 for k in chunks if plain(k)) >= 2, "the text came in one piece")
    whole = chunks[0]
    for k in chunks[1:]:
        whole += k
    expect(whole.usage_metadata and whole.usage_metadata["output_tokens"] > 0, f"usage {whole.usage_metadata}")


def parallel(make, b, streamed):
    a = Ask("parallel", b)
    model = make(a).bind_tools([get_weather, get_time])
    history = [HumanMessage(a.prompt)]
    if streamed:
        chunks = list(model.stream(history))
        r = chunks[0]
        for k in chunks[1:]:
            r += k
    else:
        r = model.invoke(history)
    want([k["name"] for k in r.tool_calls], ["get_weather", "get_time"], "calls")
    if not a.rehearsal:
        want([k["args"] for k in r.tool_calls], [{"city": "Zürich", "unit": "celsius"}, {"zone": "Europe/Zurich"}], "arguments")
    history += [r] + [ToolMessage(f"result {i}", tool_call_id=k["id"]) for i, k in enumerate(r.tool_calls)]
    last = plain(model.invoke(history))
    if a.rehearsal:
        expect(last, "no text after the results")
    else:
        want(last, "results: result 0 | result 1", "text after the results")


def structured(make, b):
    a = Ask("structured", b)
    more = {} if make is messages else {"method": "json_schema"}
    if make is messages and b == "ollama":
        more = {"method": "json_schema"}  # Ollama cannot be made to call a tool
    river = make(a).with_structured_output(River, **more).invoke(a.prompt)
    expect(isinstance(river, River), f"parsed {river!r}")
    if not a.rehearsal:
        want(river, AARE, "parsed")


def image(make, b):
    a = Ask("picture", b)
    r = make(a).invoke([HumanMessage([{"type": "text", "text": a.prompt}, {"type": "image", "base64": PNG, "mime_type": "image/png"}])])
    if a.rehearsal:
        expect(plain(r), "no text")
    else:
        want(plain(r), PNG_SUM, "the image as the provider saw it")


def thinking(make, b):
    a = Ask("think", b)
    more = {"thinking": {"type": "enabled", "budget_tokens": 1024}} if make is messages else {"reasoning": {"effort": "low", "summary": "auto"}}
    r = make(a, **more).invoke(a.prompt)
    thought = "".join(x.get("reasoning", "") for x in r.content_blocks if x["type"] == "reasoning")
    expect(thought and plain(r), f"content {r.content}")
    if not a.rehearsal:
        want((thought, plain(r)), ("Is the gate open? It is.", "The gate is open."), "thought and text")


def rate_limited(make, b):
    a = Ask("429", b)
    begin = time.monotonic()
    e = raises((openai.RateLimitError, anthropic.RateLimitError), lambda: make(a).invoke(a.prompt))
    want((e.status_code, e.response.headers.get("retry-after")), (429, "600"), "status and retry-after")
    expect(time.monotonic() - begin < 10, "somebody waits")


def overloaded(make, b):
    e = raises((openai.APIStatusError, anthropic.APIStatusError), lambda: make(Ask("529", b)).invoke("hello"))
    expect(e.status_code in (503, 529), f"status {e.status_code}")
    return f"status {e.status_code}"


def error_late(make, b):
    got, a = [], Ask("error-late", b)

    def read():
        for k in make(a).stream(a.prompt):
            got.append(plain(k))
        return "a clean end: " + "".join(got)
    e = raises(Exception, read)
    expect(any(got), "no text before the error")
    return type(e).__name__


def cancel_stream(make, b):
    a = Ask("drip", b)
    s = make(a).stream(a.prompt)
    n = 0
    for k in s:
        n += bool(plain(k))
        if n == 3:
            break
    s.close()
    return seen_gone(a, time.time(), None)


def embeddings(b):
    model = Ask("echo", b).model.replace("echo", "embed")
    e = OpenAIEmbeddings(model=model, base_url=BASE + "/v1", api_key=KEY, check_embedding_ctx_length=False)
    got = e.embed_documents(["one", "two"])
    want([[round(x, 6) for x in v] for v in got], [[0.25, -0.5, 0.1], [1.25, -0.5, 0.1]], "vectors")


for name, make in (("langchain-openai", chat), ("langchain-responses", answers), ("langchain-anthropic", messages)):
    c = Client(name)
    for b in BACKENDS:
        for what, fn in (("text", text), ("streaming", streaming), ("parallel tools", lambda m, b: parallel(m, b, False)), ("parallel tools, streamed", lambda m, b: parallel(m, b, True)),
                         ("structured output", structured), ("image", image), ("429 with retry-after", rate_limited), ("529", overloaded), ("error in the stream", error_late), ("cancel a stream", cancel_stream)):
            c.check(what, b, lambda: fn(make, b))
        if make is not chat:  # which has no place for thoughts
            c.check("thinking", b, lambda: thinking(make, b))
        if make is chat and b in EMBEDS:
            c.check("embeddings", b, lambda: embeddings(b))
    c.done()
