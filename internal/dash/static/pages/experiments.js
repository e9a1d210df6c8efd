import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { useState } from "preact/hooks";
import { call, may, useApi } from "../api.js";
import { brief, compact, count, dollars, money, percent, plural, span } from "../format.js";
import { url } from "../route.js";
import { Chart } from "../chart.js";
import { Button, Dialog, Empty, Page, Panel, Select, Shown, Table, Tag } from "../ui.js";
function Experiments({ at }) {
  return at.path[1] ? /* @__PURE__ */ jsx(One, { name: at.path[1] }) : /* @__PURE__ */ jsx(List, {});
}
const phases = { waiting: "", running: "accent", stopped: "warn", decided: "ok" };
const metrics = { success: "success", cost_per_success: "cost of a success", latency: "latency" };
function shown(metric, v, signed = false) {
  const sign = signed && v > 0 ? "+" : v < 0 ? "−" : "";
  const a = Math.abs(v);
  return sign + (metric === "success" ? percent(a) : metric === "latency" ? span(a * 1e3) : dollars(a));
}
function List() {
  const all = useApi("experiments", 1e4);
  return /* @__PURE__ */ jsx(Page, { title: "Experiments", lead: "Two or more ways to answer the same requests, shared out by a stable hash. The intervals hold at any time you look.", children: /* @__PURE__ */ jsx(Panel, { flush: true, title: "Experiments", children: /* @__PURE__ */ jsx(Shown, { from: all, height: 260, children: ({ experiments: rows }) => rows.length ? /* @__PURE__ */ jsx(Table, { label: "Experiments", rows, id: (e) => e.name, columns: [
    { name: "Name", cell: (e) => /* @__PURE__ */ jsxs("span", { class: "tight", style: { gap: 0 }, children: [
      /* @__PURE__ */ jsx("a", { href: url("experiments", e.name), children: e.name }),
      /* @__PURE__ */ jsxs("span", { class: "small muted", children: [
        "on ",
        e.on,
        ", by ",
        e.unit
      ] })
    ] }) },
    { name: "Phase", cell: (e) => /* @__PURE__ */ jsx(Tag, { dot: true, tone: phases[e.phase], children: e.phase }) },
    { name: "Measures", cell: (e) => metrics[e.metric] },
    { name: "Arms", low: true, cell: (e) => e.arms.map((a) => a.name).join(", ") },
    { name: "Units", num: true, cell: (e) => compact(e.arms.reduce((n, a) => n + a.units, 0)) },
    { name: "Shares", low: true, cell: (e) => /* @__PURE__ */ jsx(Ratio, { e }) },
    { name: "Where it stands", cell: (e) => e.decision }
  ] }) : /* @__PURE__ */ jsxs(Empty, { title: "There is no experiment yet", actions: /* @__PURE__ */ jsx("a", { class: "btn", href: url("settings"), children: "To the configuration" }), children: [
    "Under ",
    /* @__PURE__ */ jsx("code", { children: "experiments" }),
    " in the configuration: name a route or model, two or more arms, and what is measured."
  ] }) }) }) });
}
function Ratio({ e }) {
  return e.sample_ratio.broken ? /* @__PURE__ */ jsx(Tag, { tone: "bad", dot: true, title: `evidence ${e.sample_ratio.evidence.toPrecision(3)}, alarm at ${e.sample_ratio.alarm}`, children: "not as planned" }) : /* @__PURE__ */ jsx(Tag, { tone: "ok", dot: true, children: "as planned" });
}
function One({ name }) {
  const path = "experiments/" + encodeURIComponent(name);
  const loaded = useApi(path, 1e4);
  const [asking, ask] = useState();
  const [arm, setArm] = useState("");
  const e = loaded.data?.experiment;
  return /* @__PURE__ */ jsxs(Page, { title: "Experiment " + name, lead: /* @__PURE__ */ jsx("a", { href: url("experiments"), children: "All experiments" }), actions: may("experiments.write") && e && /* @__PURE__ */ jsxs(Fragment, { children: [
    (e.phase === "waiting" || e.phase === "stopped") && /* @__PURE__ */ jsx(Button, { kind: "main", onClick: () => ask("start"), children: e.phase === "waiting" ? "Start" : "Go on" }),
    e.phase === "running" && /* @__PURE__ */ jsx(Button, { onClick: () => ask("stop"), children: "Stop" }),
    e.phase !== "decided" && /* @__PURE__ */ jsx(Button, { onClick: () => ask("decide"), children: "Decide" })
  ] }), children: [
    /* @__PURE__ */ jsx(Shown, { from: loaded, height: 500, children: ({ experiment: e2 }) => /* @__PURE__ */ jsx(Detail, { e: e2 }) }),
    asking && e && /* @__PURE__ */ jsxs(Dialog, { title: asking === "start" ? "Start" : asking === "stop" ? "Stop" : "Decide", close: () => ask(void 0), action: asking === "start" ? "Start" : asking === "stop" ? "Stop" : "Decide", submit: async () => {
      await call("POST", path + "/" + asking, asking === "decide" ? { arm: arm || void 0 } : void 0);
      ask(void 0);
      setTimeout(loaded.reload, 1200);
    }, children: [
      /* @__PURE__ */ jsx("p", { children: asking === "start" ? "Requests are shared out among the arms from now on." : asking === "stop" ? "Everybody gets what they ask for again. What was measured stays." : "Everybody new gets one arm. Conversations that run keep theirs." }),
      asking === "decide" && /* @__PURE__ */ jsx(Select, { label: "For", value: arm, set: setArm, options: [["", e.winner ? "the winner, " + e.winner : "the winner"], ...e.arms.map((a) => [a.name, a.name])] })
    ] })
  ] });
}
function Detail({ e }) {
  const names = e.arms.slice(1);
  const history = e.history ?? [];
  return /* @__PURE__ */ jsxs(Fragment, { children: [
    /* @__PURE__ */ jsxs("div", { class: "note " + (e.sample_ratio.broken ? "bad" : e.phase === "decided" ? "ok" : ""), children: [
      /* @__PURE__ */ jsxs("div", { class: "row", children: [
        /* @__PURE__ */ jsx(Tag, { dot: true, tone: phases[e.phase], children: e.phase }),
        /* @__PURE__ */ jsx(Ratio, { e }),
        e.winner && /* @__PURE__ */ jsxs(Tag, { tone: "ok", children: [
          e.phase === "decided" ? "winner" : "ahead",
          ": ",
          e.winner
        ] })
      ] }),
      /* @__PURE__ */ jsx("p", { style: { marginTop: "6px" }, children: e.decision }),
      /* @__PURE__ */ jsxs("p", { class: "small muted", children: [
        "On ",
        e.on,
        ", by ",
        e.unit,
        ", ",
        e.allocation === "bandit" ? "shares move to the arms that do better" : "fixed shares",
        e.began ? ", since " + brief(e.began) : "",
        e.strays ? `; ${plural(e.strays, "request")} of units that had another arm before ${e.strays === 1 ? "is" : "are"} left out` : "",
        "."
      ] })
    ] }),
    /* @__PURE__ */ jsx(Panel, { flush: true, title: "Arms, by " + metrics[e.metric], children: /* @__PURE__ */ jsx(Table, { label: "Arms", rows: e.arms.map((a, i) => ({ ...a, i })), id: (a) => a.name, columns: [
      { name: "Arm", cell: (a) => /* @__PURE__ */ jsxs("span", { class: "tight", style: { gap: 0 }, children: [
        /* @__PURE__ */ jsxs("span", { class: "row", children: [
          /* @__PURE__ */ jsx("b", { children: a.name }),
          a.i === 0 && /* @__PURE__ */ jsx(Tag, { children: "control" }),
          a.stopped && /* @__PURE__ */ jsxs(Tag, { tone: "bad", children: [
            "stopped by ",
            a.stopped
          ] })
        ] }),
        /* @__PURE__ */ jsx("span", { class: "small muted mono", children: [a.model, a.thinking && "thinks " + a.thinking, ...(a.set ?? []).map((s) => s.name + "=" + s.value)].filter(Boolean).join(", ") || "as asked" })
      ] }) },
      { name: "Share", num: true, cell: (a) => /* @__PURE__ */ jsx("span", { title: "planned " + percent(a.planned_share), children: percent(a.share, 0) }) },
      { name: "Units", num: true, cell: (a) => compact(a.units) },
      { name: "Value", num: true, cell: (a) => a.value ? shown(e.metric, a.value.value) : /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) },
      { name: "Against the control", cell: (a) => a.i === 0 ? /* @__PURE__ */ jsx("span", { class: "muted", children: "it is the control" }) : /* @__PURE__ */ jsx(Interval, { b: a.difference, all: names, metric: e.metric }) },
      { name: "A request", num: true, low: true, cell: (a) => a.requests ? money(a.cost_nanodollars / a.requests) : "–" },
      { name: "Guardrails", low: true, cell: (a) => a.guardrails.length ? /* @__PURE__ */ jsx("span", { class: "row", style: { gap: "4px" }, children: a.guardrails.map((g) => /* @__PURE__ */ jsxs(Tag, { tone: g.verdict === "harmful" ? "bad" : g.verdict === "harmless" ? "ok" : "", title: `${g.value.toPrecision(3)} against ${g.control.toPrecision(3)}; ${g.margin} worse is borne`, children: [
        g.name,
        ": ",
        g.verdict
      ] })) }) : /* @__PURE__ */ jsx("span", { class: "muted", children: "none" }) }
    ] }) }),
    /* @__PURE__ */ jsx(Panel, { title: "The difference to the control over time", children: history.length > 1 ? /* @__PURE__ */ jsx("div", { class: "cols", children: names.map((a, k) => {
      const at = (pick) => history.map((h) => {
        const p = h.arms[k + 1];
        return p ? pick(p, h.arms[0]?.value ?? 0) ?? null : null;
      });
      return /* @__PURE__ */ jsxs("div", { class: "tight", children: [
        /* @__PURE__ */ jsx("h3", { children: a.name }),
        /* @__PURE__ */ jsx(
          Chart,
          {
            summary: `${a.name} against ${e.arms[0].name}: the difference in ${metrics[e.metric]} with its always-valid interval`,
            times: history.map((h) => Math.floor(new Date(h.at).getTime() / 1e3)),
            height: 200,
            series: [{ name: "high", values: at((p) => p.high), kind: "band" }, { name: "low", values: at((p) => p.low), kind: "band" }, { name: "difference", values: at((p, c) => p.value - c) }, { name: "none", values: history.map(() => 0), color: "--c6", dash: true }],
            show: (v) => shown(e.metric, v, true),
            note: "The band is the interval: it holds at any time you look."
          }
        )
      ] });
    }) }) : /* @__PURE__ */ jsx(Empty, { title: "Nothing to draw yet", children: "A point is kept now and again while it runs." }) }),
    e.shadow && /* @__PURE__ */ jsx(Panel, { flush: true, title: "Copies", foot: `${percent(e.shadow.share, 0)} of the requests, ${count(e.shadow.copies)} so far, for ${money(e.shadow.spent_nanodollars)} of ${money(e.shadow.budget_nanodollars)}. Nobody waits for them.`, children: /* @__PURE__ */ jsx(Table, { label: "Copies", rows: e.shadow.pairs, id: (p) => p.a + p.b, columns: [
      { name: "Pair", cell: (p) => p.b + " against " + p.a },
      { name: "Requests", num: true, cell: (p) => count(p.n) },
      { name: "Success", num: true, cell: (p) => p.success ? `${shown("success", p.success.value, true)} (${shown("success", p.success.low, true)} to ${shown("success", p.success.high, true)})` : "–" },
      { name: "Cost a request", num: true, cell: (p) => p.cost ? `${shown("cost", p.cost.value, true)} (${shown("cost", p.cost.low, true)} to ${shown("cost", p.cost.high, true)})` : "–" }
    ] }) })
  ] });
}
function Interval({ b, all, metric }) {
  if (!b) return /* @__PURE__ */ jsx("span", { class: "muted", children: "nothing can be said yet" });
  const known = all.map((a) => a.difference).filter((d) => d !== void 0);
  const low = Math.min(0, ...known.map((d) => d.low)), high = Math.max(0, ...known.map((d) => d.high)), wide = Math.max(1e-12, high - low);
  const x = (v) => 100 * (v - low) / wide;
  const sure = b.low > 0 || b.high < 0;
  const text = `${shown(metric, b.value, true)}, between ${shown(metric, b.low, true)} and ${shown(metric, b.high, true)}`;
  return /* @__PURE__ */ jsxs("span", { class: "tight", style: { gap: "2px", minWidth: "170px" }, children: [
    /* @__PURE__ */ jsxs("span", { class: "interval", role: "img", "aria-label": text, children: [
      /* @__PURE__ */ jsx("i", { class: "zero", style: { "--x": x(0) } }),
      /* @__PURE__ */ jsx("i", { class: sure ? "sure" : "", style: { "--x": x(b.low), "--w": 100 * (b.high - b.low) / wide } }),
      /* @__PURE__ */ jsx("i", { class: "point", style: { "--x": x(b.value) } })
    ] }),
    /* @__PURE__ */ jsx("span", { class: "small muted nowrap", children: text })
  ] });
}
export {
  Experiments as default
};
