"""Batches through the official Python SDKs of OpenAI and Claude: create, poll, results, cancel, for models of every provider."""
import io, time
import anthropic, openai
from harness import *

gpt = openai.OpenAI(base_url=BASE + "/v1", api_key=KEY)
claude = anthropic.Anthropic(base_url=BASE, api_key=KEY)
SLOW = "[[rehearse: delay=300s]] Say something."  # its batch takes as long


def until(look, over):
    end = time.time() + 45
    while not over(got := look()):
        expect(time.time() < end, f"no end after 45 s: {got}")
        time.sleep(0.25)
    return got


def asks():
    """One request for each provider, by its custom id."""
    return {"ask-" + b: Ask("echo", b) for b in BACKENDS}


def lines(requests):
    return "".join(json.dumps({"custom_id": i, "method": "POST", "url": "/v1/chat/completions", "body": body}) + "\n" for i, body in requests.items()).encode()


def openai_batch(requests, **more):
    file = gpt.files.create(file=("in.jsonl", io.BytesIO(lines(requests))), purpose="batch")
    want((file.purpose, file.bytes), ("batch", len(lines(requests))), "file")
    want(gpt.files.content(file.id).read(), lines(requests), "content of the file")
    return gpt.batches.create(input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h", **more)


def content(file_id):
    return {r["custom_id"]: r for r in map(json.loads, gpt.files.content(file_id).text.splitlines())}


def openai_results():
    a = asks()
    requests = {i: {"model": x.model, "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": x.prompt}]} for i, x in a.items()}
    requests["bad"] = {"model": "rehearsal/quick", "messages": "none"}
    made = openai_batch(requests, metadata={"k": "v"})
    want((made.object, made.endpoint, made.metadata, made.request_counts.total), ("batch", "/v1/chat/completions", {"k": "v"}, len(requests)), "created")
    done = until(lambda: gpt.batches.retrieve(made.id), lambda x: x.status not in ("validating", "in_progress", "finalizing"))
    want((done.status, done.request_counts.completed, done.request_counts.failed), ("completed", len(a), 1), "ended")
    expect(done.usage and done.usage.output_tokens > 0 and done.usage.total_tokens == done.usage.input_tokens + done.usage.output_tokens, f"usage {done.usage}")
    out = content(done.output_file_id)
    want(set(out), set(a), "answered")
    for i, x in a.items():
        answer = openai.types.chat.ChatCompletion.model_validate(out[i]["response"]["body"])
        echoed(x, answer.choices[0].message.content)
        want((out[i]["response"]["status_code"], out[i]["error"]), (200, None), "status")
    want(content(done.error_file_id)["bad"]["response"]["status_code"], 400, "status of what is bad")
    expect(done.id in [b.id for b in gpt.batches.list(limit=100)], "it is not listed")


def openai_cancel():
    made = openai_batch({"slow": {"model": "rehearsal/quick", "messages": [{"role": "user", "content": SLOW}]}})
    want(gpt.batches.cancel(made.id).status in ("cancelling", "cancelled"), True, "canceled")
    done = until(lambda: gpt.batches.retrieve(made.id), lambda x: x.status == "cancelled")
    want(content(done.error_file_id)["slow"]["error"]["code"], "batch_cancelled", "error")


def openai_errors():
    raises(openai.NotFoundError, lambda: gpt.batches.retrieve("batch_nothing"))
    raises(openai.BadRequestError, lambda: openai_batch({"x": {"model": "nobody/at-all", "messages": []}}))


def claude_request(i, x):
    return {"custom_id": i, "params": {"model": x.model, "max_tokens": 1024, "system": SYSTEM, "messages": [{"role": "user", "content": x.prompt}]}}


def claude_results():
    a = asks()
    made = claude.messages.batches.create(requests=[claude_request(i, x) for i, x in a.items()] + [{"custom_id": "bad", "params": {"model": "rehearsal/nobody", "max_tokens": 9, "messages": []}}])
    want((made.type, made.processing_status, made.request_counts.processing), ("message_batch", "in_progress", len(a) + 1), "created")
    done = until(lambda: claude.messages.batches.retrieve(made.id), lambda x: x.processing_status == "ended")
    want((done.request_counts.succeeded, done.request_counts.errored), (len(a), 1), "counts")
    out = {r.custom_id: r.result for r in claude.messages.batches.results(made.id)}
    want(set(out), set(a) | {"bad"}, "results")
    for i, x in a.items():
        want(out[i].type, "succeeded", i)
        echoed(x, "".join(b.text for b in out[i].message.content if b.type == "text"))
    want((out["bad"].type, out["bad"].error.error.type), ("errored", "not_found_error"), "what is bad")
    expect(made.id in [b.id for b in claude.messages.batches.list(limit=100)], "it is not listed")
    want(claude.messages.batches.delete(made.id).type, "message_batch_deleted", "deleted")
    raises(anthropic.NotFoundError, lambda: claude.messages.batches.retrieve(made.id))


def claude_cancel():
    made = claude.messages.batches.create(requests=[{"custom_id": "slow", "params": {"model": "rehearsal/quick", "max_tokens": 99, "messages": [{"role": "user", "content": SLOW}]}}])
    want(claude.messages.batches.cancel(made.id).processing_status in ("canceling", "ended"), True, "canceled")
    until(lambda: claude.messages.batches.retrieve(made.id), lambda x: x.processing_status == "ended")
    want([r.result.type for r in claude.messages.batches.results(made.id)], ["canceled"], "results")


if "direct" not in BACKENDS:
    for name, checks in (("python-openai-batch", (("create, poll, results", openai_results), ("cancel", openai_cancel), ("404, 400", openai_errors))),
                         ("python-anthropic-batch", (("create, poll, results, delete", claude_results), ("cancel", claude_cancel)))):
        c = Client(name)
        for what, fn in checks:
            c.check(what, "all", fn)
        c.done()
