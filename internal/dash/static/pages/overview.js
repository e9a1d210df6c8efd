import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { useEffect, useState } from "preact/hooks";
import { query, useApi, useEvents } from "../api.js";
import { compact, count, money, percent, plural, span, words } from "../format.js";
import { setQuery, url } from "../route.js";
import { Chart } from "../chart.js";
import { Bars, Choice, Empty, Figures, Meter, Page, Panel, Problem, Shown, Tag } from "../ui.js";
import { Rows } from "./requests.js";
const kept = 120;
function Overview({ at }) {
  const overview = useApi("overview", 5e3);
  const first = useApi("requests?limit=8");
  const keys = useApi("keys");
  const names = new Map(keys.data?.keys.map((k) => [k.id, k.name || k.id]));
  const [rows, setRows] = useState([]);
  const [pulses, setPulses] = useState([]);
  const on = useEvents({
    counts: (p) => setPulses((all) => [...all.slice(1 - kept), p]),
    request: (r) => setRows((all) => [r, ...all.filter((x) => x.id !== r.id)].slice(0, 8))
  });
  useEffect(() => {
    if (first.data) setRows((all) => [...all, ...first.data.requests.filter((r) => !all.some((x) => x.id === r.id))].slice(0, 8));
  }, [first.data]);
  const o = overview.data?.overview;
  const live = pulses.at(-1) ?? o?.live;
  const lately = pulses.slice(-10);
  const saved = o?.savings.reduce((n, s) => n + s.saved_nanodollars, 0) ?? 0;
  const view = at.query.get("view") ?? "day";
  return /* @__PURE__ */ jsxs(Page, { title: "Overview", actions: /* @__PURE__ */ jsxs("span", { class: "live" + (on ? "" : " off"), children: [
    /* @__PURE__ */ jsx("span", { class: "dot" }),
    on ? "live" : "connecting"
  ] }), children: [
    overview.error && /* @__PURE__ */ jsx(Problem, { error: overview.error }),
    /* @__PURE__ */ jsx(Figures, { items: [
      { name: "Running now", value: count(live?.running ?? 0), note: `${count(live?.waiting ?? 0)} waiting, ${(lately.reduce((n, p) => n + p.requests, 0) / Math.max(1, lately.length)).toFixed(1)} a second` },
      { name: "Requests today", value: o ? compact(o.today.requests) : "–", note: o ? plural(o.today.failed, "request") + " failed" : "" },
      { name: "Spent today", value: o ? money(o.today.cost_nanodollars) : "–", note: o ? money(o.month.cost_nanodollars) + " this month" : "", title: o && (o.month.unpriced ? `without ${count(o.month.unpriced)} attempts of this month that have no known price` : void 0) },
      { name: "Saved this month", value: o ? money(saved) : "–", tone: saved > 0 ? "ok" : "", note: "batch, cache, routing" },
      { name: "Success", value: o?.recent.success_rate === void 0 ? "–" : percent(o.recent.success_rate), tone: o?.recent.success_rate !== void 0 && o.recent.success_rate < 0.95 ? "bad" : "", note: o ? "of the last " + compact(o.recent.requests) + (o.recent.capped ? "+" : "") : "" },
      { name: "First byte, p50", value: o?.recent.first_byte_ms.count ? span(o.recent.first_byte_ms.p50) : "–", note: o?.recent.first_byte_ms.count ? "p95 " + span(o.recent.first_byte_ms.p95) : "no stream lately" }
    ] }),
    /* @__PURE__ */ jsxs("div", { class: "wide-left", children: [
      /* @__PURE__ */ jsx(Panel, { title: "Traffic and spend", actions: /* @__PURE__ */ jsx(Choice, { label: "Over what time", value: view, set: (v) => setQuery({ view: v === "day" ? "" : v }), options: [["live", "Live"], ["day", "24 h"], ["month", "30 days"]] }), children: /* @__PURE__ */ jsx("div", { style: { minHeight: "340px" }, children: view === "live" ? /* @__PURE__ */ jsx(Live, { pulses }) : /* @__PURE__ */ jsx(Past, { view }) }) }),
      /* @__PURE__ */ jsxs("div", { class: "stack", style: { gridTemplateRows: "auto 1fr" }, children: [
        /* @__PURE__ */ jsx(Panel, { title: "Providers", actions: /* @__PURE__ */ jsx("a", { href: url("providers"), children: "All" }), children: /* @__PURE__ */ jsx(Shown, { from: overview, height: 84, children: ({ overview: o2 }) => /* @__PURE__ */ jsx(Health, { rows: o2.providers }) }) }),
        /* @__PURE__ */ jsx(Panel, { title: "Errors lately", actions: /* @__PURE__ */ jsx("a", { href: url("requests") + "?errors=true", children: "All" }), children: /* @__PURE__ */ jsx(Shown, { from: overview, height: 90, children: ({ overview: o2 }) => o2.recent.errors.length ? /* @__PURE__ */ jsx(Bars, { label: "Errors by class", items: o2.recent.errors.slice(0, 6).map((e) => ({ name: /* @__PURE__ */ jsx("a", { href: url("requests") + "?class=" + e.class, children: words(e.class) }), value: e.count, shown: count(e.count), color: "var(--bad)" })) }) : /* @__PURE__ */ jsxs(Empty, { title: "No error lately", children: [
          plural(o2.recent.requests, "request"),
          " went well."
        ] }) }) })
      ] })
    ] }),
    /* @__PURE__ */ jsxs("div", { class: "two", children: [
      /* @__PURE__ */ jsx(Panel, { title: "Saved this month", children: /* @__PURE__ */ jsx(Shown, { from: overview, height: 150, children: ({ overview: o2 }) => /* @__PURE__ */ jsx(Savings, { rows: o2.savings }) }) }),
      /* @__PURE__ */ jsx(Panel, { title: "Budgets nearest to their limits", actions: /* @__PURE__ */ jsx("a", { href: url("budgets"), children: "All" }), children: /* @__PURE__ */ jsx(Shown, { from: overview, height: 150, children: ({ overview: o2 }) => o2.budgets.length ? /* @__PURE__ */ jsx("div", { class: "stack", style: { gap: "10px" }, children: o2.budgets.slice(0, 5).map((b) => {
        const share = b.spent_nanodollars / Math.max(1, b.limit_nanodollars);
        return /* @__PURE__ */ jsxs("div", { class: "tight", style: { gap: "4px" }, children: [
          /* @__PURE__ */ jsxs("span", { class: "between", children: [
            /* @__PURE__ */ jsxs("span", { class: "wrap", children: [
              b.scope === "key" ? "key " + (names.get(b.subject) ?? b.subject) : b.scope + " " + b.subject,
              " ",
              /* @__PURE__ */ jsx("span", { class: "muted", children: b.window })
            ] }),
            /* @__PURE__ */ jsxs("span", { class: "nowrap", children: [
              money(b.spent_nanodollars),
              " ",
              /* @__PURE__ */ jsxs("span", { class: "muted", children: [
                "of ",
                money(b.limit_nanodollars)
              ] })
            ] })
          ] }),
          /* @__PURE__ */ jsx(Meter, { tone: b.left_nanodollars <= 0 ? "bad" : b.reached ? "warn" : "", parts: [{ share }], label: percent(share) + " spent" })
        ] });
      }) }) : /* @__PURE__ */ jsx(Empty, { title: "Nothing bounds what is spent", actions: /* @__PURE__ */ jsx("a", { class: "btn", href: url("budgets") + "?new=team", children: "Set a budget" }), children: "A budget is a hard stop, for a key, a team or a tag." }) }) })
    ] }),
    /* @__PURE__ */ jsx(Panel, { title: "The last requests", flush: true, actions: /* @__PURE__ */ jsx("a", { href: url("requests"), children: "All" }), children: /* @__PURE__ */ jsx(Shown, { from: first, height: 300, children: () => rows.length ? /* @__PURE__ */ jsx(Rows, { rows, short: true }) : /* @__PURE__ */ jsx(Empty, { title: "No request yet", actions: /* @__PURE__ */ jsxs(Fragment, { children: [
      /* @__PURE__ */ jsx("a", { class: "btn main", href: url("playground"), children: "Ask something" }),
      /* @__PURE__ */ jsx("a", { class: "btn", href: url("connect"), children: "Connect a client" })
    ] }), children: "The rehearsal provider answers without a key of any vendor." }) }) })
  ] });
}
function Live({ pulses }) {
  const end = Math.floor(Date.now() / 1e3);
  const by = new Map(pulses.map((p) => [Math.floor(new Date(p.at).getTime() / 1e3), p]));
  const times = Array.from({ length: kept }, (_, i) => end - kept + 1 + i);
  const of = (pick) => times.map((t) => by.has(t) ? pick(by.get(t)) : null);
  const n = pulses.reduce((n2, p) => n2 + p.requests, 0);
  return /* @__PURE__ */ jsx(
    Chart,
    {
      summary: `The last two minutes: ${plural(n, "request")}, ${count(pulses.reduce((n2, p) => n2 + p.failed, 0))} failed`,
      times,
      height: 270,
      most: 4,
      series: [{ name: "running", values: of((p) => p.running), color: "--c1" }, { name: "ended, a second", values: of((p) => p.requests), color: "--c3" }, { name: "failed", values: of((p) => p.failed), color: "--bad" }],
      show: (v) => Number.isInteger(v) ? count(v) : ""
    }
  );
}
function Past({ view }) {
  const [bucket, n, seconds] = view === "month" ? ["day", 30, 86400] : ["hour", 24, 3600];
  const usage = useApi(query("usage", { by: bucket, since: view === "month" ? "30d" : "24h" }), 15e3);
  return /* @__PURE__ */ jsx(Shown, { from: usage, height: 340, children: (u) => {
    const by = new Map(u.rows.map((r) => [parse(r.name), r]));
    const end = Math.floor(Date.now() / 1e3 / seconds) * seconds;
    const times = Array.from({ length: n }, (_, i) => end - (n - 1 - i) * seconds);
    const cost = times.map((t) => (by.get(t)?.cost_nanodollars ?? 0) / 1e9);
    const requests = times.map((t) => by.get(t)?.requests ?? 0), failed = times.map((t) => by.get(t)?.failed ?? 0);
    const total = cost.reduce((a, b) => a + b, 0), all = requests.reduce((a, b) => a + b, 0);
    const name = (t) => view === "month" ? new Date(t * 1e3).toISOString().slice(0, 10) : new Date(t * 1e3).toISOString().slice(11, 16) + " UTC";
    return /* @__PURE__ */ jsxs("div", { class: "stack", style: { gap: "4px" }, children: [
      /* @__PURE__ */ jsx(Chart, { summary: `Spend by ${bucket}: ${money(total * 1e9)} in all`, times, time: name, height: 130, series: [{ name: "US dollars", values: cost, kind: "bars", color: "--c1" }], show: (v) => v === 0 ? "$0" : money(v * 1e9), note: /* @__PURE__ */ jsxs("b", { children: [
        money(total * 1e9),
        " in all"
      ] }) }),
      /* @__PURE__ */ jsx(Chart, { summary: `Requests by ${bucket}: ${plural(all, "request")}, ${count(failed.reduce((a, b) => a + b, 0))} failed`, times, time: name, height: 100, series: [{ name: "requests", values: requests, kind: "bars", color: "--c3" }, { name: "failed", values: failed, kind: "bars", color: "--bad" }], show: (v) => Number.isInteger(v) ? compact(v) : "", note: /* @__PURE__ */ jsx("b", { children: plural(all, "request") }) })
    ] });
  } });
}
const parse = (name) => Math.floor(new Date(name).getTime() / 1e3);
const states = { ok: "ok", degraded: "warn", down: "bad", idle: "" };
function Health({ rows }) {
  if (!rows.length) return /* @__PURE__ */ jsx(Empty, { title: "No provider is in use", children: "Set a vendor's usual variable and start again." });
  return /* @__PURE__ */ jsx("ul", { class: "tight", style: { listStyle: "none", gap: "9px" }, children: rows.slice(0, 9).map((p) => /* @__PURE__ */ jsxs("li", { class: "between", style: { flexWrap: "nowrap" }, children: [
    /* @__PURE__ */ jsx("span", { class: "cut", children: p.name || p.id }),
    /* @__PURE__ */ jsxs("span", { class: "row", style: { flexWrap: "nowrap" }, children: [
      /* @__PURE__ */ jsx("span", { class: "small muted nowrap", children: p.attempts ? `${count(p.attempts)} · ${p.success_rate === void 0 ? "–" : percent(p.success_rate, 0)}${p.first_byte_p50 ? " · " + span(p.first_byte_p50 * 1e3) : ""}` : "" }),
      /* @__PURE__ */ jsx(Tag, { dot: true, tone: states[p.state], title: p.aside.length ? "set aside: " + p.aside.join(", ") : void 0, children: p.state })
    ] })
  ] })) });
}
function Savings({ rows }) {
  return /* @__PURE__ */ jsx("div", { class: "tight", style: { gap: "8px" }, children: rows.map((s) => /* @__PURE__ */ jsxs("details", { class: "saving", children: [
    /* @__PURE__ */ jsxs("summary", { class: "between", children: [
      /* @__PURE__ */ jsx("span", { children: s.kind }),
      /* @__PURE__ */ jsxs("span", { children: [
        /* @__PURE__ */ jsx("b", { class: s.saved_nanodollars > 0 ? "ok" : s.saved_nanodollars < 0 ? "bad" : "muted", children: money(s.saved_nanodollars) }),
        s.against_nanodollars > 0 && /* @__PURE__ */ jsxs("span", { class: "muted small", children: [
          " of ",
          money(s.against_nanodollars)
        ] })
      ] })
    ] }),
    /* @__PURE__ */ jsxs("p", { class: "small muted", children: [
      s.how,
      s.unknown ? ` ${plural(s.unknown, "attempt")} could not be compared for want of a price.` : ""
    ] })
  ] })) });
}
export {
  Overview as default
};
