"""Pydantic AI, an agent framework, through each of its models whose API is one of ours."""
import asyncio, re, time
from pydantic_ai import Agent, BinaryContent, NativeOutput, ToolOutput
from pydantic_ai.exceptions import ModelHTTPError
from pydantic_ai.messages import ThinkingPart
from pydantic_ai.models.anthropic import AnthropicModel
from pydantic_ai.models.google import GoogleModel
from pydantic_ai.models.openai import OpenAIChatModel, OpenAIResponsesModel
from pydantic_ai.providers.anthropic import AnthropicProvider
from pydantic_ai.providers.google import GoogleProvider
from pydantic_ai.providers.openai import OpenAIProvider
import anthropic, openai
from google import genai
from google.genai import types
from harness import *


def openai_client(a, key):
    return OpenAIProvider(openai_client=openai.AsyncOpenAI(base_url=BASE + "/v1", api_key=key, default_headers=a.headers, max_retries=0))


MODELS = {
    "openai": lambda a, key: OpenAIChatModel(a.model, provider=openai_client(a, key)),
    "responses": lambda a, key: OpenAIResponsesModel(a.model, provider=openai_client(a, key)),
    "anthropic": lambda a, key: AnthropicModel(a.model, provider=AnthropicProvider(anthropic_client=anthropic.AsyncAnthropic(base_url=BASE, api_key=key, default_headers=a.headers, max_retries=0))),
    "google": lambda a, key: GoogleModel(a.model, provider=GoogleProvider(client=genai.Client(api_key=key, http_options=types.HttpOptions(base_url=BASE, headers=a.headers)))),
}
SETTINGS = {
    "openai": {"openai_reasoning_effort": "low"}, "responses": {"openai_reasoning_effort": "low", "openai_reasoning_summary": "auto"},
    "anthropic": {"anthropic_thinking": {"type": "enabled", "budget_tokens": 1024}, "max_tokens": 4000}, "google": {"google_thinking_config": {"include_thoughts": True}},
}


def agent(d, a, key=KEY, **more):
    return Agent(MODELS[d](a, key), **more)


def text(d, b):
    a = Ask("echo", b)
    r = agent(d, a, instructions=SYSTEM).run_sync(a.prompt)
    echoed(a, r.output)
    u = r.usage
    expect(u.input_tokens > 0 and u.output_tokens > 0, f"usage {u}")


def streaming(d, b):
    a = Ask("echo", b)

    async def go():
        async with agent(d, a, instructions=SYSTEM).run_stream(a.prompt) as r:
            return [k async for k in r.stream_text(delta=True, debounce_by=None)]
    pieces = asyncio.run(go())
    echoed(a, "".join(pieces))
    expect(len(pieces) >= 2, "the text came in one piece")


def tools(d, b, streamed):
    a = Ask("parallel", b)
    asked = []
    my = agent(d, a)

    @my.tool_plain
    def get_weather(city: str, unit: str = "celsius") -> str:
        """The weather in a city."""
        asked.append((city, unit))
        return "result 0"

    @my.tool_plain
    def get_time(zone: str) -> str:
        """The time in a zone."""
        asked.append(zone)
        return "result 1"
    if streamed:
        async def go():
            async with my.run_stream(a.prompt) as r:
                return await r.get_output()
        out = asyncio.run(go())
    else:
        out = my.run_sync(a.prompt).output
    want(len(asked), 2, "calls")
    if a.rehearsal:
        expect(out, "no text after the results")
    else:
        want(sorted(asked, key=str), [("Zürich", "celsius"), "Europe/Zurich"], "arguments")  # they run at the same time
        if d == "google":  # it wraps what a tool returns in an object
            out = re.sub(r'\{"return_value": ?"(.*?)"\}', r"\1", out)
        want(out, "results: result 0 | result 1", "text after the results")


def structured(d, b):
    a = Ask("structured", b)
    river = agent(d, a, output_type=NativeOutput(River)).run_sync(a.prompt).output
    expect(isinstance(river, River), f"output {river!r}")
    if not a.rehearsal:
        want(river, AARE, "output")


def structured_by_tool(d, b):
    a = Ask("structured", b)
    river = agent(d, a, output_type=ToolOutput(River)).run_sync(a.prompt).output
    expect(isinstance(river, River), f"output {river!r}")


def image(d, b):
    a = Ask("picture", b)
    out = agent(d, a).run_sync([a.prompt, BinaryContent(base64.b64decode(PNG), media_type="image/png")]).output
    if a.rehearsal:
        expect(out, "no text")
    else:
        want(out, PNG_SUM, "the image as the provider saw it")


def thinking(d, b):
    a = Ask("think", b)
    r = agent(d, a, model_settings=SETTINGS[d]).run_sync(a.prompt)
    thought = "".join(p.content for m in r.all_messages() for p in m.parts if isinstance(p, ThinkingPart))
    expect(thought and r.output, f"messages {r.all_messages()}")
    if not a.rehearsal:
        want((thought, r.output), ("Is the gate open? It is.", "The gate is open."), "thought and text")


def failed(d, b, case, status):
    a = Ask(case, b)
    begin = time.monotonic()
    e = raises(ModelHTTPError, lambda: agent(d, a).run_sync(a.prompt))
    expect(e.status_code in status, f"status {e.status_code}: {e}")
    expect(time.monotonic() - begin < 10, "somebody waits")
    return f"status {e.status_code}"


def error_late(d, b):
    a, got = Ask("error-late", b), []

    async def go():
        async with agent(d, a).run_stream(a.prompt) as r:
            async for k in r.stream_text(delta=True, debounce_by=None):
                got.append(k)
        return "a clean end: " + "".join(got)
    e = raises(Exception, lambda: asyncio.run(go()))
    return f"{len(got)} pieces, then {type(e).__name__}"  # it reads ahead, so there may be none


def bad_key(d):
    e = raises(ModelHTTPError, lambda: agent(d, Ask("echo", "rehearsal"), key="hr-this-is-not-a-key-0123456789abcdef").run_sync("hello"))
    expect(e.status_code == 401, f"status {e.status_code}")


for d in MODELS:
    c = Client("pydantic-ai-" + d)
    for b in BACKENDS:
        for name, fn in (("text", text), ("streaming", streaming), ("parallel tools", lambda d, b: tools(d, b, False)), ("parallel tools, streamed", lambda d, b: tools(d, b, True)),
                         ("image", image), ("thinking", thinking), ("429", lambda d, b: failed(d, b, "429", (429,))),
                         ("529", lambda d, b: failed(d, b, "529", (503, 529))), ("error in the stream", error_late)):
            c.check(name, b, lambda: fn(d, b))
        if d != "anthropic":  # where it offers this for models that it knows alone
            c.check("structured output", b, lambda: structured(d, b))
        if b != "ollama":  # which cannot be made to call a tool
            c.check("structured output by a tool", b, lambda: structured_by_tool(d, b))
    if "direct" not in BACKENDS:
        c.check("401", "-", lambda: bad_key(d))
    c.done()
