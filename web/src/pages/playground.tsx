import { useEffect, useRef, useState } from "preact/hooks";
import { call, get, may, useApi } from "../api.js";
import { count, money, span } from "../format.js";
import { url } from "../route.js";
import type { PageProps } from "../app.js";
import type { Issued, ModelList, Request, RequestAnswer } from "../schema.js";
import { Button, Copy, Field, Input, Page, Panel, Problem, say, Select, Tag } from "../ui.js";

/** Setup is what a share link holds. It stands behind the #, which is sent to no server. */
interface Setup {
  m: string[];
  p: string;
  s?: string;
  t?: string;
  x?: number;
}

interface Answer {
  model: string;
  text: string;
  thought: string;
  running: boolean;
  /** Milliseconds until the first word and the end. */
  first?: number;
  total?: number;
  error?: string;
  id?: string;
  record?: Request;
}

const most = 4;
const store = "headrace.playground";

function encode(s: Setup): string {
  const bytes = new TextEncoder().encode(JSON.stringify(s));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}

function decode(text: string): Setup | undefined {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    const s = JSON.parse(new TextDecoder().decode(bytes)) as Partial<Setup>;
    if (!Array.isArray(s.m) || typeof s.p !== "string") return undefined;
    return { m: s.m.filter((m) => typeof m === "string").slice(0, most), p: s.p, s: typeof s.s === "string" ? s.s : "", t: typeof s.t === "string" ? s.t : "", x: typeof s.x === "number" ? s.x : undefined };
  } catch {
    return undefined;
  }
}

export default function Playground(_: PageProps) {
  const shared = useRef(decode(location.hash.slice(1)));
  const models = useApi<ModelList>("models");
  const [key, setKey] = useState(() => sessionStorage.getItem(store) ?? "");
  const [routes, setRoutes] = useState<string[]>([]);
  const [names, setNames] = useState<string[]>(shared.current?.m.length ? shared.current.m : ["rehearsal/quick", "rehearsal/thinker"]);
  const [prompt, setPrompt] = useState(shared.current?.p ?? "");
  const [system, setSystem] = useState(shared.current?.s ?? "");
  const [thinking, setThinking] = useState(shared.current?.t ?? "");
  const [cap, setCap] = useState(String(shared.current?.x ?? 1024));
  const [answers, setAnswers] = useState<Answer[]>([]);
  const [error, setError] = useState<unknown>();
  const stop = useRef<AbortController | undefined>(undefined);
  useEffect(() => () => stop.current?.abort(), []);
  useEffect(() => {
    if (!key) return;
    const gone = new AbortController();
    fetch("/v1/models", { headers: { Authorization: "Bearer " + key }, signal: gone.signal }).then((r) => (r.ok ? r.json() : undefined)).then((list?: { data?: { id: string }[] }) => setRoutes(list?.data?.map((m) => m.id) ?? []), () => undefined);
    return () => gone.abort();
  }, [key]);
  const known = [...new Set([...routes, ...(models.data?.models.filter((m) => m.usable).map((m) => m.id) ?? [])])];
  const keep = (k: string) => {
    setKey(k);
    sessionStorage.setItem(store, k);
  };
  const make = async () => {
    try {
      keep((await call<Issued>("POST", "keys", { name: "playground", team: "", admin: false, models: [], expires_in: "24h", limits: { requests_per_minute: 0, tokens_per_minute: 0, parallel: 0 } })).token);
    } catch (e) {
      setError(e);
    }
  };
  const change = (i: number, a: Partial<Answer>) => setAnswers((all) => all.map((x, n) => (n === i ? { ...x, ...a } : x)));
  const send = (e: Event) => {
    e.preventDefault();
    setError(undefined);
    if (!key) return setError("A key is needed: paste one, or make one for a day.");
    stop.current?.abort();
    stop.current = new AbortController();
    const signal = stop.current.signal;
    const asked = names.filter(Boolean);
    setAnswers(asked.map((model) => ({ model, text: "", thought: "", running: true })));
    asked.forEach((model, i) => void ask({ model, prompt, system, thinking, cap: Number(cap) || undefined, key, signal }, (a) => change(i, a)));
  };
  const running = answers.some((a) => a.running);
  const share = () => {
    const link = location.origin + "/ui/playground#" + encode({ m: names, p: prompt, s: system || undefined, t: thinking || undefined, x: Number(cap) || undefined });
    history.replaceState(null, "", link);
    return link;
  };
  return (
    <Page title="Playground" lead="One prompt to up to four models or routes, side by side. It calls the gateway like any client, with a key, and its requests are in the ledger.">
      <Panel label="Prompt">
        <form class="form" onSubmit={send}>
          <div class="filters">
            {names.map((n, i) => <Field label={"Model " + (i + 1)} wide>{(id) => <span class="row" style={{ flexWrap: "nowrap", gap: "4px" }}>
              <input {...id} value={n} list="known" autocomplete="off" onInput={(e) => setNames(names.map((x, k) => (k === i ? e.currentTarget.value : x)))} />
              {names.length > 1 && <Button kind="quiet" label={"Without model " + (i + 1)} onClick={() => setNames(names.filter((_, k) => k !== i))}>×</Button>}
            </span>}</Field>)}
            {names.length < most && <Button onClick={() => setNames([...names, ""])}>Add a model</Button>}
            <datalist id="known">{known.slice(0, 500).map((k) => <option value={k} />)}</datalist>
          </div>
          <Field label="Prompt">{(id) => <textarea {...id} rows={4} required value={prompt} onInput={(e) => setPrompt(e.currentTarget.value)} placeholder="Ask something. Ctrl+Enter sends it." onKeyDown={(e) => { if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) send(e); }} />}</Field>
          <details class="twin" open={Boolean(system || thinking)}>
            <summary>System prompt, thinking, length</summary>
            <div class="form">
              <Field label="System prompt">{(id) => <textarea {...id} rows={2} value={system} onInput={(e) => setSystem(e.currentTarget.value)} />}</Field>
              <div class="filters">
                <Select label="Thinking" value={thinking} set={setThinking} options={[["", "as the model does"], ["none", "none"], "low", "medium", "high"]} />
                <Input label="Tokens at most" type="number" min={1} value={cap} set={setCap} />
              </div>
            </div>
          </details>
          <div class="between">
            <div class="filters">
              <Input wide label="Key" type="password" value={key} set={keep} placeholder="hr-..." autocomplete="off" spellcheck={false} />
              {!key && may("keys.write") && <Button onClick={() => void make()}>Make one for a day</Button>}
            </div>
            <div class="row">
              <Button onClick={() => { const link = share(); void navigator.clipboard?.writeText(link).then(() => say("The link is on the clipboard"), () => say("The link is in the address bar")); }}>Share link</Button>
              {running ? <Button kind="danger" onClick={() => stop.current?.abort()}>Stop</Button> : null}
              <Button type="submit" kind="main">{running ? "Ask again" : "Ask"}</Button>
            </div>
          </div>
          {error !== undefined && <Problem error={error} />}
        </form>
      </Panel>
      {answers.length > 0 && <div class="arena" style={{ "--n": answers.length }}>{answers.map((a) => <Shown1 a={a} />)}</div>}
    </Page>
  );
}

function Shown1({ a }: { a: Answer }) {
  const r = a.record;
  return (
    <section class="panel answer" aria-label={"Answer of " + a.model} aria-busy={a.running}>
      <header><h2 class="mono wrap">{a.model}</h2>{a.running ? <Tag tone="accent" dot>{a.text || a.thought ? "answers" : "waits"}</Tag> : a.error ? <Tag tone="bad" dot>failed</Tag> : <Copy text={a.text} label="answer" />}</header>
      {a.thought && <details class="thought" open={!a.text}><summary>Thoughts, {count(a.thought.length)} characters</summary><pre>{a.thought}</pre></details>}
      <div class="text" tabIndex={0} role="group" aria-label={"Text of " + a.model}>{a.text}{a.error && <span class="bad">{a.text ? "\n\n" : ""}{a.error}</span>}</div>
      <footer>
        <span title="Until the first word">{a.first !== undefined ? "first word " + span(a.first) : "–"}</span>
        {a.total !== undefined && <span>all {span(a.total)}</span>}
        {r && <span>{count(r.usage.input + r.usage.cache_read + r.usage.cache_write_5m + r.usage.cache_write_1h)} in, {count(r.usage.output)} out{r.usage.reasoning ? " (" + count(r.usage.reasoning) + " thought)" : ""}</span>}
        {r && <b>{r.cost.priced ? money(r.cost.nanodollars) : "no known price"}</b>}
        {r && r.provider && r.provider + "/" + r.model !== a.model && <span>by {r.provider}/{r.model}</span>}
        {a.id && <a href={url("requests", a.id)}>the request</a>}
      </footer>
    </section>
  );
}

interface Question {
  model: string;
  prompt: string;
  system: string;
  thinking: string;
  cap?: number;
  key: string;
  signal: AbortSignal;
}

/** ask streams one answer and tells each change of it. */
async function ask(q: Question, tell: (a: Partial<Answer>) => void): Promise<void> {
  const begun = performance.now();
  let text = "", thought = "", first: number | undefined, id = "";
  const finish = async (error?: string) => {
    tell({ running: false, error, total: performance.now() - begun, text, thought });
    if (!id) return;
    // The row is written when the request has ended; from memory it can be read at once.
    for (let i = 0; i < 5; i++) {
      try {
        tell({ record: (await get<RequestAnswer>("requests/" + encodeURIComponent(id))).request });
        return;
      } catch {
        await new Promise((done) => setTimeout(done, 150));
      }
    }
  };
  try {
    const response = await fetch("/v1/chat/completions", {
      method: "POST", signal: q.signal, headers: { "Content-Type": "application/json", Authorization: "Bearer " + q.key, "x-headrace-tags": "playground" },
      body: JSON.stringify({ model: q.model, stream: true, stream_options: { include_usage: true }, max_completion_tokens: q.cap, reasoning_effort: q.thinking || undefined, messages: [...(q.system ? [{ role: "system", content: q.system }] : []), { role: "user", content: q.prompt }] }),
    });
    id = response.headers.get("x-headrace-request-id") ?? "";
    tell({ id });
    if (!response.ok || !response.body) {
      let message = response.status + " " + response.statusText;
      try {
        message = ((await response.json()) as { error: { message: string } }).error.message;
      } catch {
        // It is no JSON; the status says enough.
      }
      return await finish(message);
    }
    let rest = "", drawn = 0;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (;;) {
      const { done, value } = await reader.read();
      if (done) break;
      rest += value;
      const lines = rest.split(/\r?\n/);
      rest = lines.pop()!;
      for (const line of lines) {
        if (!line.startsWith("data:")) continue;
        const data = line.slice(5).trim();
        if (data === "[DONE]") continue;
        const chunk = JSON.parse(data) as { error?: { message: string }; choices?: { delta?: { content?: string; reasoning_content?: string; refusal?: string } }[] };
        if (chunk.error) return await finish(chunk.error.message);
        const delta = chunk.choices?.[0]?.delta;
        const more = (delta?.content ?? "") + (delta?.refusal ?? ""), thinks = delta?.reasoning_content ?? "";
        if ((more || thinks) && first === undefined) tell({ first: (first = performance.now() - begun) });
        text += more;
        thought += thinks;
      }
      // At most one drawing for each frame of the screen.
      if (performance.now() - drawn > 16) {
        drawn = performance.now();
        tell({ text, thought });
      }
    }
    await finish(first === undefined ? "The answer was empty." : undefined);
  } catch (e) {
    await finish(q.signal.aborted ? "Stopped." : "The connection broke: " + String((e as Error).message));
  }
}
