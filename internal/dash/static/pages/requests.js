import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { useEffect, useRef, useState } from "preact/hooks";
import { get, query, useApi } from "../api.js";
import { brief, count, moment, money, percent, plural, span, words } from "../format.js";
import { setQuery, url } from "../route.js";
import { Ago, Button, Choice, Copy, Empty, Figures, Input, Page, Panel, Problem, Select, Shown, Table, Tag } from "../ui.js";
function Requests({ at }) {
  return at.path[1] ? /* @__PURE__ */ jsx(One, { id: at.path[1] }) : /* @__PURE__ */ jsx(List, { at });
}
const times = [["1h", "1 h"], ["24h", "24 h"], ["7d", "7 days"], ["30d", "30 days"], ["all", "All"]];
const texts = [["model", "Model", "provider/model"], ["asked", "Asked for", "route or model"], ["team", "Team", ""], ["route", "Route", ""], ["task", "Task", ""], ["tag", "Tag", ""], ["session", "Conversation", ""], ["provider", "Provider", ""], ["status", "Status", "429"]];
const all = ["key", "class", "id", ...texts.map(([name]) => name)];
function List({ at }) {
  const q = at.query;
  const since = q.get("since") ?? "24h", errors = q.get("errors") ?? "";
  const given = Object.fromEntries(all.map((name) => [name, q.get(name) ?? ""]));
  const path = query("requests", { since: since === "all" ? "" : since, errors, ...given });
  const set = all.filter((name) => given[name]);
  const first = useApi(path, 4e3);
  const keys = useApi("keys");
  const [older, setOlder] = useState({ path, rows: [] });
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState();
  const [more, setMore] = useState(set.some((name) => !["key", "class", "model"].includes(name)));
  const mine = older.path === path ? older : { path, rows: [], next: void 0 };
  const known = new Set(first.data?.requests.map((r) => r.id));
  const rows = [...first.data?.requests ?? [], ...mine.rows.filter((r) => !known.has(r.id))];
  const next = mine.rows.length ? mine.next : first.data?.next;
  const on = async () => {
    setBusy(true);
    setError(void 0);
    try {
      const page = await get(path + (path.includes("?") ? "&" : "?") + "cursor=" + encodeURIComponent(next));
      setOlder({ path, rows: [...mine.rows.length ? mine.rows : first.data.requests, ...page.requests], next: page.next });
    } catch (e) {
      setError(e);
    }
    setBusy(false);
  };
  return /* @__PURE__ */ jsx(Page, { title: "Requests", lead: "Every request is a row, also those that were refused. Filters stand in the address, so that a view can be sent to somebody.", children: /* @__PURE__ */ jsxs(Panel, { flush: true, title: /* @__PURE__ */ jsxs(Fragment, { children: [
    "Requests ",
    set.length > 0 && /* @__PURE__ */ jsx(Tag, { tone: "accent", children: set.length === 1 ? "1 filter" : set.length + " filters" })
  ] }), actions: /* @__PURE__ */ jsxs(Fragment, { children: [
    /* @__PURE__ */ jsx(Choice, { label: "How they ended", value: errors, set: (v) => setQuery({ errors: v }), options: [["", "All"], ["true", "Failed"]] }),
    /* @__PURE__ */ jsx(Choice, { label: "Since", value: since, set: (v) => setQuery({ since: v === "24h" ? "" : v }), options: times })
  ] }), children: [
    /* @__PURE__ */ jsxs("div", { class: "in", style: { borderBottom: "1px solid var(--line)" }, children: [
      /* @__PURE__ */ jsxs("div", { class: "filters", children: [
        /* @__PURE__ */ jsx(Select, { label: "Key", value: given["key"], set: (v) => setQuery({ key: v }), options: [["", "all"], ...keys.data?.keys.filter((k) => !k.admin).map((k) => [k.id, (k.name || k.id) + (k.state === "active" ? "" : ", " + k.state)]) ?? (given["key"] ? [[given["key"], given["key"]]] : [])] }),
        /* @__PURE__ */ jsx(Select, { label: "Error", value: given["class"], set: (v) => setQuery({ class: v }), options: [["", "any or none"], ...classes.map((c) => [c, words(c)])] }),
        /* @__PURE__ */ jsx(Late, { label: "Model", name: "model", value: given["model"], placeholder: "provider/model", wide: true }),
        /* @__PURE__ */ jsx(Late, { label: "Id begins with", name: "id", value: given["id"], placeholder: "req_" }),
        /* @__PURE__ */ jsx(Button, { kind: "quiet", onClick: () => setMore(!more), children: more ? "Fewer filters" : "More filters" }),
        set.length > 0 && /* @__PURE__ */ jsx(Button, { kind: "quiet", onClick: () => setQuery(Object.fromEntries(all.map((name) => [name, ""]))), children: "Clear" })
      ] }),
      more && /* @__PURE__ */ jsx("div", { class: "filters", style: { marginTop: "10px" }, children: texts.slice(1).map(([name, label, hint]) => /* @__PURE__ */ jsx(Late, { label, name, value: given[name], placeholder: hint })) })
    ] }),
    /* @__PURE__ */ jsx(Shown, { from: first, height: 560, children: () => /* @__PURE__ */ jsxs(Fragment, { children: [
      rows.length ? /* @__PURE__ */ jsx(Rows, { rows, loading: first.loading }) : next ? /* @__PURE__ */ jsx(Empty, { title: "Nothing found so far", children: "The search went back for as long as one look may take." }) : /* @__PURE__ */ jsx(Empty, { title: set.length || errors ? "No request fits" : "No request in this time", actions: set.length ? /* @__PURE__ */ jsx(Button, { onClick: () => setQuery(Object.fromEntries(all.map((name) => [name, ""]))), children: "Clear the filters" }) : /* @__PURE__ */ jsxs(Fragment, { children: [
        /* @__PURE__ */ jsx("a", { class: "btn main", href: url("playground"), children: "Ask something" }),
        /* @__PURE__ */ jsx("a", { class: "btn", href: url("connect"), children: "Connect a client" })
      ] }), children: set.length ? "Take a filter away, or look further back." : "Requests stand here a moment after they have ended." }),
      error !== void 0 && /* @__PURE__ */ jsx("div", { class: "in", children: /* @__PURE__ */ jsx(Problem, { error }) }),
      next && /* @__PURE__ */ jsxs("div", { class: "in", children: [
        /* @__PURE__ */ jsx(Button, { onClick: () => void on(), disabled: busy, children: busy ? "Looking" : rows.length ? "Older ones" : "Search further back" }),
        " ",
        /* @__PURE__ */ jsxs("span", { class: "small muted", children: [
          plural(rows.length, "row"),
          " shown"
        ] })
      ] })
    ] }) })
  ] }) });
}
const classes = ["rate_limited", "quota_exhausted", "overloaded", "server_error", "timeout", "slow_start", "slow_stream", "content_refused", "context_overflow", "invalid_request", "auth", "model_not_found", "client_gone", "malformed_upstream", "unauthenticated", "forbidden", "not_found", "too_large", "unsupported", "unavailable"];
function Late(p) {
  const [text, set] = useState(p.value);
  const timer = useRef(0);
  useEffect(() => set(p.value), [p.value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return /* @__PURE__ */ jsx(Input, { label: p.label, type: "search", value: text, wide: p.wide, placeholder: p.placeholder, spellcheck: false, autocomplete: "off", set: (v) => {
    set(v);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setQuery({ [p.name]: v.trim() }), 350);
  } });
}
function Rows(p) {
  return /* @__PURE__ */ jsx(Table, { label: "Requests", rows: p.rows, id: (r) => r.id, loading: p.loading, columns: [
    { name: "Time", cell: (r) => /* @__PURE__ */ jsx("a", { class: "nowrap", href: url("requests", r.id), children: brief(r.start) }) },
    { name: "Ended", cell: (r) => /* @__PURE__ */ jsx(Outcome, { r }) },
    { name: "Asked for → answered by", cell: (r) => /* @__PURE__ */ jsxs("span", { class: "mono nowrap", children: [
      r.asked || /* @__PURE__ */ jsx("span", { class: "muted", children: words(r.op) }),
      r.provider && r.provider + "/" + r.model !== r.asked && /* @__PURE__ */ jsxs("span", { class: "muted", children: [
        " → ",
        r.provider,
        "/",
        r.model
      ] })
    ] }) },
    ...p.short ? [] : [{ name: "Key", low: true, cell: (r) => r.key_name || /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) }],
    { name: "Tokens", num: true, low: true, cell: (r) => r.usage.source ? /* @__PURE__ */ jsxs("span", { class: "nowrap", title: "in → out", children: [
      count(inputOf(r.usage)),
      " → ",
      count(r.usage.output)
    ] }) : /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) },
    { name: "Cost", num: true, cell: (r) => /* @__PURE__ */ jsx(Price, { c: r.cost, used: Boolean(r.usage.source) }) },
    { name: "First byte", num: true, low: true, cell: (r) => r.first_byte_ms ? span(r.first_byte_ms) : /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) },
    { name: "All", num: true, cell: (r) => span(r.total_ms) }
  ] });
}
const inputOf = (u) => u.input + u.cache_read + u.cache_write_5m + u.cache_write_1h;
function Price(p) {
  if (p.c.priced) return /* @__PURE__ */ jsx(Fragment, { children: money(p.c.nanodollars) });
  return p.used ? /* @__PURE__ */ jsx("span", { class: "warn", title: "There is no known price; it is not free", children: "unpriced" }) : /* @__PURE__ */ jsx("span", { class: "muted", children: "–" });
}
function Outcome({ r }) {
  if (!r.class) return /* @__PURE__ */ jsx(Tag, { tone: "ok", dot: true, children: r.status });
  return /* @__PURE__ */ jsxs(Tag, { tone: r.class === "client_gone" ? "warn" : "bad", dot: true, title: words(r.class), children: [
    r.status ? r.status + " " : "",
    words(r.class)
  ] });
}
function One({ id }) {
  const loaded = useApi("requests/" + encodeURIComponent(id));
  return /* @__PURE__ */ jsx(Page, { title: "Request " + id, name: /* @__PURE__ */ jsxs(Fragment, { children: [
    "Request ",
    /* @__PURE__ */ jsx("span", { class: "mono", style: { fontSize: "17px" }, children: id })
  ] }), lead: /* @__PURE__ */ jsx("a", { href: url("requests"), children: "All requests" }), actions: /* @__PURE__ */ jsx(Copy, { text: id, label: "id", quiet: false }), children: /* @__PURE__ */ jsx(Shown, { from: loaded, height: 500, children: ({ request: r }) => /* @__PURE__ */ jsx(Detail, { r }) }) });
}
function Detail({ r }) {
  const attempts = r.attempts ?? [];
  return /* @__PURE__ */ jsxs(Fragment, { children: [
    /* @__PURE__ */ jsx(Figures, { items: [
      { name: "Ended", value: r.class ? words(r.class) : "well", tone: r.class ? "bad" : "ok", note: "status " + (r.status || "none") + (r.stream ? ", streamed" : "") },
      { name: "Cost", value: r.cost.priced ? money(r.cost.nanodollars) : r.usage.source ? "unpriced" : "–", note: r.usage.source === "estimated" ? "of an estimate" : r.usage.source ? "as the provider counts" : "nothing was used" },
      { name: "Tokens", value: r.usage.source ? count(inputOf(r.usage)) + " → " + count(r.usage.output) : "–", note: [r.usage.cache_read && count(r.usage.cache_read) + " from a cache", r.usage.reasoning && count(r.usage.reasoning) + " thought"].filter(Boolean).join(", ") || "in and out" },
      { name: "First byte", value: r.first_byte_ms ? span(r.first_byte_ms) : "–", note: "of the answer" },
      { name: "All of it", value: span(r.total_ms), note: attempts.length === 1 ? "1 attempt" : attempts.length + " attempts" }
    ] }),
    /* @__PURE__ */ jsx(Panel, { title: "Attempts", children: attempts.length ? /* @__PURE__ */ jsx(Waterfall, { r, attempts }) : /* @__PURE__ */ jsx("p", { class: "muted", children: "No provider was asked." }) }),
    /* @__PURE__ */ jsx(Why, { id: r.id }),
    r.warnings.length > 0 && /* @__PURE__ */ jsx(Panel, { title: "Warnings", children: /* @__PURE__ */ jsx("ul", { class: "tight", style: { paddingLeft: "18px" }, children: r.warnings.map((w) => /* @__PURE__ */ jsx("li", { class: "wrap", children: w })) }) }),
    /* @__PURE__ */ jsxs("div", { class: "two", children: [
      /* @__PURE__ */ jsx(Panel, { title: "What was asked", children: /* @__PURE__ */ jsxs("dl", { class: "kv", children: [
        /* @__PURE__ */ jsx("dt", { children: "Began" }),
        /* @__PURE__ */ jsxs("dd", { children: [
          moment(r.start),
          " (",
          /* @__PURE__ */ jsx(Ago, { at: r.start }),
          ")"
        ] }),
        /* @__PURE__ */ jsx("dt", { children: "Model" }),
        /* @__PURE__ */ jsx("dd", { class: "mono", children: r.asked || "–" }),
        /* @__PURE__ */ jsx("dt", { children: "Answered by" }),
        /* @__PURE__ */ jsx("dd", { class: "mono", children: r.provider ? r.provider + "/" + r.model : "nobody" }),
        /* @__PURE__ */ jsx("dt", { children: "Door" }),
        /* @__PURE__ */ jsxs("dd", { children: [
          r.dialect,
          ", ",
          words(r.op),
          r.stream ? ", streamed" : ""
        ] }),
        /* @__PURE__ */ jsx("dt", { children: "Key" }),
        /* @__PURE__ */ jsxs("dd", { children: [
          /* @__PURE__ */ jsx("a", { href: url("requests") + "?key=" + encodeURIComponent(r.key), children: r.key_name || r.key || "none" }),
          r.team && /* @__PURE__ */ jsxs(Fragment, { children: [
            " of team ",
            /* @__PURE__ */ jsx("a", { href: url("requests") + "?team=" + encodeURIComponent(r.team), children: r.team })
          ] })
        ] }),
        r.route && /* @__PURE__ */ jsxs(Fragment, { children: [
          /* @__PURE__ */ jsx("dt", { children: "Route" }),
          /* @__PURE__ */ jsx("dd", { children: /* @__PURE__ */ jsx("a", { href: url("routes", r.route), children: r.route }) })
        ] }),
        r.experiment && /* @__PURE__ */ jsxs(Fragment, { children: [
          /* @__PURE__ */ jsx("dt", { children: "Experiment" }),
          /* @__PURE__ */ jsxs("dd", { children: [
            /* @__PURE__ */ jsx("a", { href: url("experiments", r.experiment), children: r.experiment }),
            ", arm ",
            r.arm,
            r.copy_of && /* @__PURE__ */ jsxs(Fragment, { children: [
              ", a copy of ",
              /* @__PURE__ */ jsx("a", { class: "mono", href: url("requests", r.copy_of), children: r.copy_of })
            ] })
          ] })
        ] }),
        r.task && /* @__PURE__ */ jsxs(Fragment, { children: [
          /* @__PURE__ */ jsx("dt", { children: "Task" }),
          /* @__PURE__ */ jsx("dd", { children: /* @__PURE__ */ jsx("a", { href: url("requests") + "?task=" + encodeURIComponent(r.task), children: r.task }) })
        ] }),
        r.tags && r.tags.length > 0 && /* @__PURE__ */ jsxs(Fragment, { children: [
          /* @__PURE__ */ jsx("dt", { children: "Tags" }),
          /* @__PURE__ */ jsx("dd", { children: r.tags.map((t) => /* @__PURE__ */ jsx("a", { class: "tag", href: url("requests") + "?tag=" + encodeURIComponent(t), children: t })) })
        ] }),
        r.session && /* @__PURE__ */ jsxs(Fragment, { children: [
          /* @__PURE__ */ jsx("dt", { children: "Conversation" }),
          /* @__PURE__ */ jsx("dd", { children: /* @__PURE__ */ jsx("a", { class: "mono", href: url("requests") + "?since=all&session=" + encodeURIComponent(r.session), children: r.session }) })
        ] })
      ] }) }),
      /* @__PURE__ */ jsx(Panel, { title: "Usage and cost", flush: true, children: /* @__PURE__ */ jsx(Usage, { r, attempts }) })
    ] }),
    /* @__PURE__ */ jsx(Curl, { r })
  ] });
}
function Waterfall({ r, attempts }) {
  const begun = new Date(r.start).getTime();
  const end = Math.max(r.total_ms, ...attempts.map((a) => new Date(a.start).getTime() - begun + a.total_ms), 1);
  return /* @__PURE__ */ jsxs("div", { class: "fall", role: "list", "aria-label": "Attempts in time", children: [
    attempts.map((a) => {
      const at = Math.max(0, new Date(a.start).getTime() - begun);
      const wait = a.class ? a.total_ms : Math.min(a.first_byte_ms || a.total_ms, a.total_ms);
      return /* @__PURE__ */ jsxs("div", { class: "lane", role: "listitem", children: [
        /* @__PURE__ */ jsxs("div", { class: "tight", style: { gap: "1px" }, children: [
          /* @__PURE__ */ jsxs("span", { class: "mono nowrap", children: [
            a.provider,
            "/",
            a.model
          ] }),
          /* @__PURE__ */ jsxs("span", { class: "small muted", children: [
            words(a.why),
            a.status ? ", status " + a.status : ""
          ] }),
          a.class && /* @__PURE__ */ jsxs("span", { class: "small bad wrap", children: [
            words(a.class),
            a.message ? ": " + a.message : ""
          ] })
        ] }),
        /* @__PURE__ */ jsxs("div", { class: "track", role: "img", "aria-label": `Attempt ${a.n}: began after ${span(at)}, first byte after ${span(a.first_byte_ms)}, took ${span(a.total_ms)}`, children: [
          /* @__PURE__ */ jsx("i", { class: a.class ? "failed" : "wait", style: { "--x": 100 * at / end, "--w": 100 * wait / end } }),
          !a.class && a.total_ms > wait && /* @__PURE__ */ jsx("i", { style: { "--x": 100 * (at + wait) / end, "--w": 100 * (a.total_ms - wait) / end } })
        ] }),
        /* @__PURE__ */ jsx("span", { class: "num", children: span(a.total_ms) })
      ] });
    }),
    /* @__PURE__ */ jsxs("div", { class: "between small muted", children: [
      /* @__PURE__ */ jsx("span", { children: "Outlined until the first byte, then filled while the answer came." }),
      /* @__PURE__ */ jsxs("span", { children: [
        "0 to ",
        span(end)
      ] })
    ] })
  ] });
}
function Usage({ r, attempts }) {
  const rows = attempts.map((a) => ({ name: a.n + ". " + a.provider, u: a.usage, c: a.cost }));
  if (rows.length !== 1) rows.push({ name: "All", u: r.usage, c: r.cost });
  return /* @__PURE__ */ jsx(Table, { label: "Usage of each attempt", rows, id: (x) => x.name, columns: [
    { name: "Attempt", cell: (x) => x.name },
    { name: "Fresh", num: true, cell: (x) => count(x.u.input) },
    { name: "Cached", num: true, cell: (x) => count(x.u.cache_read) },
    { name: "Written", num: true, low: true, cell: (x) => count(x.u.cache_write_5m + x.u.cache_write_1h) },
    { name: "Out", num: true, cell: (x) => count(x.u.output) },
    { name: "Cost", num: true, cell: (x) => /* @__PURE__ */ jsx(Price, { c: x.c, used: Boolean(x.u.source) }) }
  ] });
}
function Why({ id }) {
  const loaded = useApi("requests/" + encodeURIComponent(id) + "/explain");
  const e = loaded.data;
  if (!e || !e.candidates.length && !e.feedback.length && !e.why) return null;
  return /* @__PURE__ */ jsxs(
    Panel,
    {
      flush: true,
      title: /* @__PURE__ */ jsxs(Fragment, { children: [
        "Why it went there ",
        e.route && /* @__PURE__ */ jsx("a", { class: "tag accent", href: url("routes", e.route), children: e.route })
      ] }),
      actions: e.task ? /* @__PURE__ */ jsxs("span", { class: "small muted", children: [
        "task ",
        e.task
      ] }) : void 0,
      foot: e.candidates.length > 0 ? `Chosen by ${words(e.rule)}; this rests on ${+e.labels.toPrecision(3)} pieces of feedback${e.delta >= 0 ? `, and up to ${percent(e.delta)} of success may be given up for the price` : ""}.` : void 0,
      children: [
        e.why && /* @__PURE__ */ jsxs("div", { class: "in", children: [
          e.why,
          e.fault && /* @__PURE__ */ jsxs("span", { class: "bad", children: [
            " What was wrong with the answer: ",
            e.fault,
            "."
          ] })
        ] }),
        e.candidates.length > 0 && /* @__PURE__ */ jsx(Table, { label: "What could have been asked", rows: e.candidates, id: (c) => c.rung + c.target + c.thinking, dim: (c) => Boolean(c.left), columns: [
          { name: "Target", cell: (c) => /* @__PURE__ */ jsxs("span", { class: "row", style: { flexWrap: "nowrap" }, children: [
            c.rung > 0 && /* @__PURE__ */ jsx("span", { class: "step", "aria-hidden": "true", children: c.rung }),
            /* @__PURE__ */ jsx("span", { class: "mono nowrap", children: c.target }),
            c.thinking && /* @__PURE__ */ jsxs(Tag, { children: [
              "thinks ",
              c.thinking
            ] }),
            c.first ? /* @__PURE__ */ jsx(Tag, { tone: "accent", children: "asked first" }) : c.asked ? /* @__PURE__ */ jsx(Tag, { tone: "accent", children: "asked" }) : null,
            c.collapsed && /* @__PURE__ */ jsx(Tag, { tone: "bad", children: "collapsed" })
          ] }) },
          { name: "Expected success", num: true, cell: (c) => c.left ? /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) : percent(c.expected_success) },
          { name: "Expected cost", num: true, cell: (c) => c.expected_cost_nanodollars === void 0 ? /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) : money(c.expected_cost_nanodollars) },
          { name: "First token, p95", num: true, low: true, cell: (c) => c.expected_first_token_p95_ms ? span(c.expected_first_token_p95_ms) : /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) },
          { name: "Chance", num: true, low: true, cell: (c) => c.left ? /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) : percent(c.chance) },
          { name: "Left out because", cell: (c) => c.left ?? "" }
        ] }),
        e.feedback.length > 0 && /* @__PURE__ */ jsx(Table, { label: "What came to be known of it", rows: e.feedback, id: (f) => f.at + f.signal, columns: [
          { name: "Feedback", cell: (f) => f.explicit ? /* @__PURE__ */ jsx(Tag, { tone: "accent", children: "said" }) : /* @__PURE__ */ jsx(Tag, { children: words(f.signal) }) },
          { name: "Score", num: true, cell: (f) => +f.score.toPrecision(3) },
          { name: "Worth", num: true, cell: (f) => f.value_nanodollars === void 0 ? /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) : money(f.value_nanodollars) },
          { name: "When", num: true, cell: (f) => /* @__PURE__ */ jsx(Ago, { at: f.at }) }
        ] })
      ]
    }
  );
}
const doors = {
  openai: { chat: "/v1/chat/completions", embed: "/v1/embeddings", moderate: "/v1/moderations" },
  responses: { chat: "/v1/responses" },
  anthropic: { chat: "/v1/messages", count_tokens: "/v1/messages/count_tokens" },
  ollama: { chat: "/api/chat", embed: "/api/embed" }
};
function curl(r) {
  const path = r.dialect === "gemini" ? `/v1beta/models/${r.asked}:${r.stream ? "streamGenerateContent?alt=sse" : "generateContent"}` : doors[r.dialect]?.[r.op];
  if (!path || !r.asked) return "";
  const body = r.dialect === "gemini" ? { contents: [{ role: "user", parts: [{ text: "..." }] }] } : r.op === "embed" ? { model: r.asked, input: "..." } : r.dialect === "responses" ? { model: r.asked, stream: r.stream || void 0, input: "..." } : { model: r.asked, stream: r.dialect === "ollama" ? r.stream : r.stream || void 0, max_tokens: r.dialect === "anthropic" ? 1024 : void 0, messages: [{ role: "user", content: "..." }] };
  const quote = (s) => "'" + s.replaceAll("'", `'\\''`) + "'";
  return [`curl -sS${r.stream ? "N" : ""} ${quote(location.origin + path)}`, `-H "Authorization: Bearer $HEADRACE_KEY"`, ...r.dialect === "anthropic" ? ["-H 'anthropic-version: 2023-06-01'"] : [], "-H 'Content-Type: application/json'", "-d " + quote(JSON.stringify(body))].join(" \\\n  ");
}
function Curl({ r }) {
  const text = curl(r);
  if (!text) return null;
  return /* @__PURE__ */ jsxs(Panel, { title: "The same as curl", actions: /* @__PURE__ */ jsx(Copy, { text, label: "as curl", quiet: false }), children: [
    /* @__PURE__ */ jsx("div", { class: "code", children: /* @__PURE__ */ jsx("pre", { tabIndex: 0, role: "group", "aria-label": "curl line", children: text }) }),
    /* @__PURE__ */ jsx("p", { class: "small muted", style: { marginTop: "8px" }, children: "What was said is not kept, so put your own words in place of the dots." })
  ] });
}
export {
  Rows,
  curl,
  Requests as default
};
