import { jsx, jsxs } from "preact/jsx-runtime";
import { useEffect, useRef, useState } from "preact/hooks";
import { call, get, may, useApi } from "../api.js";
import { count, money, span } from "../format.js";
import { url } from "../route.js";
import { Button, Copy, Field, Input, Page, Panel, Problem, say, Select, Tag } from "../ui.js";
const most = 4;
const store = "headrace.playground";
function encode(s) {
  const bytes = new TextEncoder().encode(JSON.stringify(s));
  return btoa(String.fromCharCode(...bytes)).replaceAll("+", "-").replaceAll("/", "_").replace(/=+$/, "");
}
function decode(text) {
  try {
    const bytes = Uint8Array.from(atob(text.replaceAll("-", "+").replaceAll("_", "/")), (c) => c.charCodeAt(0));
    const s = JSON.parse(new TextDecoder().decode(bytes));
    if (!Array.isArray(s.m) || typeof s.p !== "string") return void 0;
    return { m: s.m.filter((m) => typeof m === "string").slice(0, most), p: s.p, s: typeof s.s === "string" ? s.s : "", t: typeof s.t === "string" ? s.t : "", x: typeof s.x === "number" ? s.x : void 0 };
  } catch {
    return void 0;
  }
}
function Playground(_) {
  const shared = useRef(decode(location.hash.slice(1)));
  const models = useApi("models");
  const [key, setKey] = useState(() => sessionStorage.getItem(store) ?? "");
  const [routes, setRoutes] = useState([]);
  const [names, setNames] = useState(shared.current?.m.length ? shared.current.m : ["rehearsal/quick", "rehearsal/thinker"]);
  const [prompt, setPrompt] = useState(shared.current?.p ?? "");
  const [system, setSystem] = useState(shared.current?.s ?? "");
  const [thinking, setThinking] = useState(shared.current?.t ?? "");
  const [cap, setCap] = useState(String(shared.current?.x ?? 1024));
  const [answers, setAnswers] = useState([]);
  const [error, setError] = useState();
  const stop = useRef(void 0);
  useEffect(() => () => stop.current?.abort(), []);
  useEffect(() => {
    if (!key) return;
    const gone = new AbortController();
    fetch("/v1/models", { headers: { Authorization: "Bearer " + key }, signal: gone.signal }).then((r) => r.ok ? r.json() : void 0).then((list) => setRoutes(list?.data?.map((m) => m.id) ?? []), () => void 0);
    return () => gone.abort();
  }, [key]);
  const known = [.../* @__PURE__ */ new Set([...routes, ...models.data?.models.filter((m) => m.usable).map((m) => m.id) ?? []])];
  const keep = (k) => {
    setKey(k);
    sessionStorage.setItem(store, k);
  };
  const make = async () => {
    try {
      keep((await call("POST", "keys", { name: "playground", team: "", admin: false, models: [], expires_in: "24h", limits: { requests_per_minute: 0, tokens_per_minute: 0, parallel: 0 } })).token);
    } catch (e) {
      setError(e);
    }
  };
  const change = (i, a) => setAnswers((all) => all.map((x, n) => n === i ? { ...x, ...a } : x));
  const send = (e) => {
    e.preventDefault();
    setError(void 0);
    if (!key) return setError("A key is needed: paste one, or make one for a day.");
    stop.current?.abort();
    stop.current = new AbortController();
    const signal = stop.current.signal;
    const asked = names.filter(Boolean);
    setAnswers(asked.map((model) => ({ model, text: "", thought: "", running: true })));
    asked.forEach((model, i) => void ask({ model, prompt, system, thinking, cap: Number(cap) || void 0, key, signal }, (a) => change(i, a)));
  };
  const running = answers.some((a) => a.running);
  const share = () => {
    const link = location.origin + "/ui/playground#" + encode({ m: names, p: prompt, s: system || void 0, t: thinking || void 0, x: Number(cap) || void 0 });
    history.replaceState(null, "", link);
    return link;
  };
  return /* @__PURE__ */ jsxs(Page, { title: "Playground", lead: "One prompt to up to four models or routes, side by side. It calls the gateway like any client, with a key, and its requests are in the ledger.", children: [
    /* @__PURE__ */ jsx(Panel, { label: "Prompt", children: /* @__PURE__ */ jsxs("form", { class: "form", onSubmit: send, children: [
      /* @__PURE__ */ jsxs("div", { class: "filters", children: [
        names.map((n, i) => /* @__PURE__ */ jsx(Field, { label: "Model " + (i + 1), wide: true, children: (id) => /* @__PURE__ */ jsxs("span", { class: "row", style: { flexWrap: "nowrap", gap: "4px" }, children: [
          /* @__PURE__ */ jsx("input", { ...id, value: n, list: "known", autocomplete: "off", onInput: (e) => setNames(names.map((x, k) => k === i ? e.currentTarget.value : x)) }),
          names.length > 1 && /* @__PURE__ */ jsx(Button, { kind: "quiet", label: "Without model " + (i + 1), onClick: () => setNames(names.filter((_2, k) => k !== i)), children: "×" })
        ] }) })),
        names.length < most && /* @__PURE__ */ jsx(Button, { onClick: () => setNames([...names, ""]), children: "Add a model" }),
        /* @__PURE__ */ jsx("datalist", { id: "known", children: known.slice(0, 500).map((k) => /* @__PURE__ */ jsx("option", { value: k })) })
      ] }),
      /* @__PURE__ */ jsx(Field, { label: "Prompt", children: (id) => /* @__PURE__ */ jsx("textarea", { ...id, rows: 4, required: true, value: prompt, onInput: (e) => setPrompt(e.currentTarget.value), placeholder: "Ask something. Ctrl+Enter sends it.", onKeyDown: (e) => {
        if (e.key === "Enter" && (e.ctrlKey || e.metaKey)) send(e);
      } }) }),
      /* @__PURE__ */ jsxs("details", { class: "twin", open: Boolean(system || thinking), children: [
        /* @__PURE__ */ jsx("summary", { children: "System prompt, thinking, length" }),
        /* @__PURE__ */ jsxs("div", { class: "form", children: [
          /* @__PURE__ */ jsx(Field, { label: "System prompt", children: (id) => /* @__PURE__ */ jsx("textarea", { ...id, rows: 2, value: system, onInput: (e) => setSystem(e.currentTarget.value) }) }),
          /* @__PURE__ */ jsxs("div", { class: "filters", children: [
            /* @__PURE__ */ jsx(Select, { label: "Thinking", value: thinking, set: setThinking, options: [["", "as the model does"], ["none", "none"], "low", "medium", "high"] }),
            /* @__PURE__ */ jsx(Input, { label: "Tokens at most", type: "number", min: 1, value: cap, set: setCap })
          ] })
        ] })
      ] }),
      /* @__PURE__ */ jsxs("div", { class: "between", children: [
        /* @__PURE__ */ jsxs("div", { class: "filters", children: [
          /* @__PURE__ */ jsx(Input, { wide: true, label: "Key", type: "password", value: key, set: keep, placeholder: "hr-...", autocomplete: "off", spellcheck: false }),
          !key && may("keys.write") && /* @__PURE__ */ jsx(Button, { onClick: () => void make(), children: "Make one for a day" })
        ] }),
        /* @__PURE__ */ jsxs("div", { class: "row", children: [
          /* @__PURE__ */ jsx(Button, { onClick: () => {
            const link = share();
            void navigator.clipboard?.writeText(link).then(() => say("The link is on the clipboard"), () => say("The link is in the address bar"));
          }, children: "Share link" }),
          running ? /* @__PURE__ */ jsx(Button, { kind: "danger", onClick: () => stop.current?.abort(), children: "Stop" }) : null,
          /* @__PURE__ */ jsx(Button, { type: "submit", kind: "main", children: running ? "Ask again" : "Ask" })
        ] })
      ] }),
      error !== void 0 && /* @__PURE__ */ jsx(Problem, { error })
    ] }) }),
    answers.length > 0 && /* @__PURE__ */ jsx("div", { class: "arena", style: { "--n": answers.length }, children: answers.map((a) => /* @__PURE__ */ jsx(Shown1, { a })) })
  ] });
}
function Shown1({ a }) {
  const r = a.record;
  return /* @__PURE__ */ jsxs("section", { class: "panel answer", "aria-label": "Answer of " + a.model, "aria-busy": a.running, children: [
    /* @__PURE__ */ jsxs("header", { children: [
      /* @__PURE__ */ jsx("h2", { class: "mono wrap", children: a.model }),
      a.running ? /* @__PURE__ */ jsx(Tag, { tone: "accent", dot: true, children: a.text || a.thought ? "answers" : "waits" }) : a.error ? /* @__PURE__ */ jsx(Tag, { tone: "bad", dot: true, children: "failed" }) : /* @__PURE__ */ jsx(Copy, { text: a.text, label: "answer" })
    ] }),
    a.thought && /* @__PURE__ */ jsxs("details", { class: "thought", open: !a.text, children: [
      /* @__PURE__ */ jsxs("summary", { children: [
        "Thoughts, ",
        count(a.thought.length),
        " characters"
      ] }),
      /* @__PURE__ */ jsx("pre", { children: a.thought })
    ] }),
    /* @__PURE__ */ jsxs("div", { class: "text", tabIndex: 0, role: "group", "aria-label": "Text of " + a.model, children: [
      a.text,
      a.error && /* @__PURE__ */ jsxs("span", { class: "bad", children: [
        a.text ? "\n\n" : "",
        a.error
      ] })
    ] }),
    /* @__PURE__ */ jsxs("footer", { children: [
      /* @__PURE__ */ jsx("span", { title: "Until the first word", children: a.first !== void 0 ? "first word " + span(a.first) : "–" }),
      a.total !== void 0 && /* @__PURE__ */ jsxs("span", { children: [
        "all ",
        span(a.total)
      ] }),
      r && /* @__PURE__ */ jsxs("span", { children: [
        count(r.usage.input + r.usage.cache_read + r.usage.cache_write_5m + r.usage.cache_write_1h),
        " in, ",
        count(r.usage.output),
        " out",
        r.usage.reasoning ? " (" + count(r.usage.reasoning) + " thought)" : ""
      ] }),
      r && /* @__PURE__ */ jsx("b", { children: r.cost.priced ? money(r.cost.nanodollars) : "no known price" }),
      r && r.provider && r.provider + "/" + r.model !== a.model && /* @__PURE__ */ jsxs("span", { children: [
        "by ",
        r.provider,
        "/",
        r.model
      ] }),
      a.id && /* @__PURE__ */ jsx("a", { href: url("requests", a.id), children: "the request" })
    ] })
  ] });
}
async function ask(q, tell) {
  const begun = performance.now();
  let text = "", thought = "", first, id = "";
  const finish = async (error) => {
    tell({ running: false, error, total: performance.now() - begun, text, thought });
    if (!id) return;
    for (let i = 0; i < 5; i++) {
      try {
        tell({ record: (await get("requests/" + encodeURIComponent(id))).request });
        return;
      } catch {
        await new Promise((done) => setTimeout(done, 150));
      }
    }
  };
  try {
    const response = await fetch("/v1/chat/completions", {
      method: "POST",
      signal: q.signal,
      headers: { "Content-Type": "application/json", Authorization: "Bearer " + q.key, "x-headrace-tags": "playground" },
      body: JSON.stringify({ model: q.model, stream: true, stream_options: { include_usage: true }, max_completion_tokens: q.cap, reasoning_effort: q.thinking || void 0, messages: [...q.system ? [{ role: "system", content: q.system }] : [], { role: "user", content: q.prompt }] })
    });
    id = response.headers.get("x-headrace-request-id") ?? "";
    tell({ id });
    if (!response.ok || !response.body) {
      let message = response.status + " " + response.statusText;
      try {
        message = (await response.json()).error.message;
      } catch {
      }
      return await finish(message);
    }
    let rest = "", drawn = 0;
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
    for (; ; ) {
      const { done, value } = await reader.read();
      if (done) break;
      rest += value;
      const lines = rest.split(/\r?\n/);
      rest = lines.pop();
      for (const line of lines) {
        if (!line.startsWith("data:")) continue;
        const data = line.slice(5).trim();
        if (data === "[DONE]") continue;
        const chunk = JSON.parse(data);
        if (chunk.error) return await finish(chunk.error.message);
        const delta = chunk.choices?.[0]?.delta;
        const more = (delta?.content ?? "") + (delta?.refusal ?? ""), thinks = delta?.reasoning_content ?? "";
        if ((more || thinks) && first === void 0) tell({ first: first = performance.now() - begun });
        text += more;
        thought += thinks;
      }
      if (performance.now() - drawn > 16) {
        drawn = performance.now();
        tell({ text, thought });
      }
    }
    await finish(first === void 0 ? "The answer was empty." : void 0);
  } catch (e) {
    await finish(q.signal.aborted ? "Stopped." : "The connection broke: " + String(e.message));
  }
}
export {
  Playground as default
};
