"""Ladders as the official SDKs for OpenAI and Anthropic see them: a rung up, a conversation that keeps its rung, why."""
import os, time
import anthropic, openai
from harness import *

ADMIN = os.environ["CLIENT_ADMIN"]
gpt = openai.OpenAI(base_url=BASE + "/v1", api_key=KEY)
claude = anthropic.Anthropic(base_url=BASE, api_key=KEY)
c = Client("python-ladders")
SEA = [{"role": "user", "content": "Tell me of the sea"}]
WEATHER_GPT = [{"type": "function", "function": {"name": "get_weather", "description": "The weather in a city", "parameters": WEATHER}}]
WEATHER_CLAUDE = [{"name": "get_weather", "description": "The weather in a city", "input_schema": WEATHER}]
PROMPT = [{"role": "user", "content": "Call get_weather for Zürich."}]


def explain(request_id, ready=lambda x: True):
    until = time.time() + 5
    while True:
        x = get_json(f"{BASE}/admin/v1/requests/{request_id}/explain", {"authorization": "Bearer " + ADMIN})
        if ready(x) or time.time() > until:
            return x
        time.sleep(0.05)


def climbs(raw, text):
    """A cut answer is kept from the client, and both attempts are its own."""
    want(raw.headers["x-headrace-model"], "rehearsal/quick", "who answered")
    want(raw.headers["x-headrace-attempts"], "2", "attempts")
    expect("route: rehearsal/steady: it was cut" in raw.headers["x-headrace-warnings"], raw.headers["x-headrace-warnings"])
    expect(len(text) > 3, f"text {text!r}")
    x = explain(raw.headers["x-headrace-request-id"])
    want([k["target"] for k in x["candidates"]], ["rehearsal/steady", "rehearsal/quick"], "candidates")
    want([k["asked"] for k in x["candidates"]], [True, True], "who was asked")
    expect("not passed on" in x["request"]["attempts"][0]["message"], x["request"]["attempts"])
    want((x["rule"], x["chance"], x["success"]), ("first", 1, 1), "rule, chance, success")


def climb_gpt():
    raw = gpt.chat.completions.with_raw_response.create(model="climb", messages=SEA, max_tokens=30)
    r = raw.parse()
    want(r.choices[0].finish_reason, "stop", "finish")
    climbs(raw, r.choices[0].message.content)


def climb_claude():
    raw = claude.messages.with_raw_response.create(model="climb", messages=SEA, max_tokens=30)
    r = raw.parse()
    want(r.stop_reason, "end_turn", "stop reason")
    climbs(raw, r.content[0].text)


def loops(first, then):
    """Forty conversations, wherever they begin, end where they began."""
    began = set()
    for i in range(40):
        headers = {"x-headrace-session": f"{c.name}-{c.n}-{i}"}
        raw, messages = first(headers)
        began.add(raw.headers["x-headrace-model"])
        again = then(messages, headers)
        want(again.headers["x-headrace-model"], raw.headers["x-headrace-model"], "the rung of the tool's result")
        x = explain(again.headers["x-headrace-request-id"])
        want((x["rule"], x["chance"]), ("session", 1), "rule and chance: " + x["why"])
        expect("tool" in x["why"], x["why"])
    want(began, {"rehearsal/quick", "rehearsal/thinker"}, "rungs that conversations began at")


def loop_gpt():
    def first(headers):
        raw = gpt.chat.completions.with_raw_response.create(model="drawn", messages=PROMPT, tools=WEATHER_GPT, extra_headers=headers)
        m = raw.parse().choices[0].message
        return raw, PROMPT + [m, {"role": "tool", "tool_call_id": m.tool_calls[0].id, "content": "12 °C, rain"}]
    loops(first, lambda messages, headers: gpt.chat.completions.with_raw_response.create(model="drawn", messages=messages, tools=WEATHER_GPT, extra_headers=headers))


def loop_claude():
    def first(headers):
        raw = claude.messages.with_raw_response.create(model="drawn", max_tokens=500, messages=PROMPT, tools=WEATHER_CLAUDE, extra_headers=headers)
        m = raw.parse()
        call = next(b for b in m.content if b.type == "tool_use")
        return raw, PROMPT + [{"role": "assistant", "content": m.content}, {"role": "user", "content": [{"type": "tool_result", "tool_use_id": call.id, "content": "12 °C, rain"}]}]
    loops(first, lambda messages, headers: claude.messages.with_raw_response.create(model="drawn", max_tokens=500, messages=messages, tools=WEATHER_CLAUDE, extra_headers=headers))


def feedback():
    """The SDK's own way to call what it does not know, and the header of the next call."""
    session = {"x-headrace-session": "feedback"}
    one = gpt.chat.completions.with_raw_response.create(model="drawn", messages=SEA, extra_headers=session)
    gpt.chat.completions.create(model="drawn", messages=SEA + [{"role": "assistant", "content": "Water."}, {"role": "user", "content": "More"}],
                                extra_headers={**session, "x-headrace-feedback": "failure"})
    two = gpt.chat.completions.with_raw_response.create(model="drawn", messages=SEA)
    got = gpt.post("/feedback", cast_to=object, body={"request_id": two.headers["x-headrace-request-id"], "score": 0.75, "value": 0.1})
    want((got["object"], got["score"]), ("feedback", 0.75), "the answer")
    for raw, score in ((one, 0), (two, 0.75)):
        x = explain(raw.headers["x-headrace-request-id"], lambda x: x["feedback"])
        want([(f["explicit"], f["score"]) for f in x["feedback"]], [(True, score)], "feedback")
    unknown = raises(openai.NotFoundError, lambda: gpt.post("/feedback", cast_to=object, body={"request_id": "req_38g88rv00vheg", "success": True}))
    expect("no request" in str(unknown), str(unknown))


def named():
    """A model that is named is never replaced, and that is explained too."""
    raw = gpt.chat.completions.with_raw_response.create(model="rehearsal/steady", messages=SEA, max_tokens=30)
    want((raw.headers["x-headrace-model"], raw.parse().choices[0].finish_reason), ("rehearsal/steady", "length"), "who answered, and how")
    x = explain(raw.headers["x-headrace-request-id"])
    want((x["rule"], x["why"], x["success"]), ("", "named by the client", 0), "rule, why, success")


c.check("a rung up, openai", "rehearsal", climb_gpt)
c.check("a rung up, anthropic", "rehearsal", climb_claude)
c.check("a tool loop keeps its rung, openai", "rehearsal", loop_gpt)
c.check("a tool loop keeps its rung, anthropic", "rehearsal", loop_claude)
c.check("feedback", "rehearsal", feedback)
c.check("a named model is not replaced", "rehearsal", named)
c.done()
