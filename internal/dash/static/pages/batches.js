import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { useState } from "preact/hooks";
import { call, may, query, useApi } from "../api.js";
import { brief, compact, count, money, percent, plural, words } from "../format.js";
import { setQuery, url } from "../route.js";
import { Ago, Button, Dialog, Empty, Figures, Page, Panel, say, Select, Shown, Table, Tag } from "../ui.js";
function Batches({ at }) {
  return at.path[1] ? /* @__PURE__ */ jsx(One, { id: at.path[1], at }) : /* @__PURE__ */ jsx(List, {});
}
const tones = { succeeded: "ok", failed: "bad", expired: "bad", canceled: "warn", submitted: "accent", running: "accent", realtime: "accent" };
const colors = { succeeded: "var(--ok)", failed: "var(--bad)", expired: "var(--bad)", canceled: "var(--warn)", queued: "var(--edge)", coalescing: "var(--edge)", submitted: "var(--c1)", running: "var(--c1)", ended: "var(--c1)", retrying: "var(--c2)", realtime: "var(--c3)" };
function List() {
  const jobs = useApi("batches", 4e3);
  const [older, setOlder] = useState();
  const more = async (next) => {
    const page = await call("GET", query("batches", { cursor: next }));
    setOlder({ jobs: [...older?.jobs ?? [], ...page.jobs], next: page.next });
  };
  return /* @__PURE__ */ jsx(Page, { title: "Batches", lead: "Requests with a deadline: they wait in the providers' cheaper batches while there is time, and are asked in real time when there is none.", children: /* @__PURE__ */ jsx(Panel, { flush: true, title: "Jobs", children: /* @__PURE__ */ jsx(Shown, { from: jobs, height: 300, children: (first) => {
    const rows = [...first.jobs, ...(older?.jobs ?? []).filter((j) => !first.jobs.some((x) => x.id === j.id))];
    const next = older ? older.next : first.next;
    return rows.length ? /* @__PURE__ */ jsxs(Fragment, { children: [
      /* @__PURE__ */ jsx(Table, { label: "Jobs", rows, id: (j) => j.id, columns: [
        { name: "Job", cell: (j) => /* @__PURE__ */ jsxs("span", { class: "tight", style: { gap: 0 }, children: [
          /* @__PURE__ */ jsx("a", { href: url("batches", j.id), children: j.name || /* @__PURE__ */ jsx("span", { class: "mono", children: j.id }) }),
          /* @__PURE__ */ jsxs("span", { class: "small muted", children: [
            words(j.form),
            ", ",
            brief(j.created)
          ] })
        ] }) },
        { name: "State", cell: (j) => /* @__PURE__ */ jsx(State, { j }) },
        { name: "Progress", cell: (j) => /* @__PURE__ */ jsx(Progress, { j }) },
        { name: "Deadline", cell: (j) => /* @__PURE__ */ jsx(Deadline, { j }) },
        { name: "Items", num: true, low: true, cell: (j) => count(j.items) },
        { name: "Spent", num: true, cell: (j) => money(j.spent_nanodollars) },
        { name: "Saved", num: true, cell: (j) => /* @__PURE__ */ jsx(Saved, { j }) }
      ] }),
      next && /* @__PURE__ */ jsx("div", { class: "in", children: /* @__PURE__ */ jsx(Button, { onClick: () => void more(next), children: "Older ones" }) })
    ] }) : /* @__PURE__ */ jsxs(Empty, { title: "There is no job yet", actions: /* @__PURE__ */ jsx("a", { class: "btn", href: url("connect"), children: "Connect a client" }), children: [
      "Send one to ",
      /* @__PURE__ */ jsx("code", { children: "/v1/batches" }),
      " or ",
      /* @__PURE__ */ jsx("code", { children: "/v1/messages/batches" }),
      ", or add ",
      /* @__PURE__ */ jsx("code", { children: "Prefer: respond-async" }),
      " and ",
      /* @__PURE__ */ jsx("code", { children: "x-headrace-deadline" }),
      " to any request."
    ] });
  } }) }) });
}
function State({ j }) {
  if (j.canceled) return /* @__PURE__ */ jsx(Tag, { tone: "warn", dot: true, children: "canceled" });
  const bad = j.counts.filter((c) => c.name === "failed" || c.name === "expired").reduce((n, c) => n + c.count, 0);
  if (j.ended) return bad ? /* @__PURE__ */ jsxs(Tag, { tone: "bad", dot: true, children: [
    "ended, ",
    count(bad),
    " failed"
  ] }) : /* @__PURE__ */ jsx(Tag, { tone: "ok", dot: true, children: "ended" });
  return /* @__PURE__ */ jsxs(Tag, { tone: "accent", dot: true, children: [
    count(j.left),
    " to go"
  ] });
}
function Progress({ j }) {
  const text = j.counts.filter((c) => c.count).map((c) => count(c.count) + " " + c.name).join(", ");
  return /* @__PURE__ */ jsxs("span", { class: "tight", style: { gap: "3px", minWidth: "150px" }, children: [
    /* @__PURE__ */ jsx("span", { class: "meter", role: "img", "aria-label": text || "nothing yet", children: j.counts.filter((c) => c.count).map((c) => /* @__PURE__ */ jsx("i", { style: { "--w": 100 * c.count / Math.max(1, j.items), background: colors[c.name] } })) }),
    /* @__PURE__ */ jsxs("span", { class: "small muted", children: [
      j.items ? percent((j.items - j.left) / j.items, 0) : "–",
      text && /* @__PURE__ */ jsxs("span", { class: "lo", children: [
        " · ",
        text
      ] })
    ] })
  ] });
}
function Deadline({ j }) {
  const from = new Date(j.created).getTime(), to = new Date(j.deadline).getTime(), end = j.ended ? new Date(j.ended).getTime() : Date.now();
  const share = Math.min(1, (end - from) / Math.max(1, to - from));
  const late = end > to;
  return /* @__PURE__ */ jsxs("span", { class: "tight", style: { gap: "3px", minWidth: "110px" }, children: [
    /* @__PURE__ */ jsx("span", { class: "meter " + (late ? "bad" : !j.ended && share > 0.8 ? "warn" : ""), role: "img", "aria-label": percent(share, 0) + " of the time to the deadline has gone", children: /* @__PURE__ */ jsx("i", { style: { "--w": share * 100 } }) }),
    /* @__PURE__ */ jsx("span", { class: "small muted nowrap", children: j.ended ? late ? "late" : "ended in " + percent(share, 0) + " of its time" : /* @__PURE__ */ jsx(Ago, { at: j.deadline }) })
  ] });
}
function Saved({ j }) {
  const saved = j.real_time_nanodollars - j.spent_nanodollars - j.double_nanodollars;
  if (!j.real_time_nanodollars) return /* @__PURE__ */ jsx("span", { class: "muted", children: "–" });
  return /* @__PURE__ */ jsx("span", { class: saved > 0 ? "ok" : saved < 0 ? "bad" : "", title: "in real time " + money(j.real_time_nanodollars), children: money(saved) });
}
const states = ["queued", "coalescing", "submitted", "running", "ended", "retrying", "realtime", "succeeded", "failed", "canceled", "expired"];
function One({ id, at }) {
  const state = at.query.get("state") ?? "", cursor = at.query.get("cursor") ?? "";
  const path = "batches/" + encodeURIComponent(id);
  const loaded = useApi(query(path, { state, cursor }), 4e3);
  const [ending, end] = useState(false);
  const j = loaded.data?.job;
  const failed = j?.counts.filter((c) => ["failed", "expired", "canceled"].includes(c.name)).reduce((n, c) => n + c.count, 0) ?? 0;
  const retry = async () => {
    try {
      const r = await call("POST", path + "/retry", { deadline: "24h" });
      say(plural(r.items, "item") + " queued again");
      loaded.reload();
    } catch (e) {
      say(e.message);
    }
  };
  return /* @__PURE__ */ jsxs(Page, { title: "Job " + (j?.name || id), lead: /* @__PURE__ */ jsx("a", { href: url("batches"), children: "All jobs" }), actions: may("batches.write") && j && /* @__PURE__ */ jsxs(Fragment, { children: [
    failed > 0 && Boolean(j.ended) && /* @__PURE__ */ jsxs(Button, { kind: "main", onClick: () => void retry(), children: [
      "Retry ",
      plural(failed, "item")
    ] }),
    !j.ended && !j.canceled && /* @__PURE__ */ jsx(Button, { kind: "danger", onClick: () => end(true), children: "Cancel" })
  ] }), children: [
    /* @__PURE__ */ jsx(Shown, { from: loaded, height: 420, children: ({ job: j2, steps, next }) => /* @__PURE__ */ jsxs(Fragment, { children: [
      /* @__PURE__ */ jsx(Figures, { items: [
        { name: "State", value: j2.canceled ? "canceled" : j2.ended ? "ended" : "runs", note: count(j2.items - j2.left) + " of " + count(j2.items) + " answered" },
        { name: "Deadline", value: /* @__PURE__ */ jsx(Ago, { at: j2.deadline }), note: "made " + brief(j2.created) },
        { name: "Spent", value: money(j2.spent_nanodollars), note: j2.double_nanodollars ? money(j2.double_nanodollars) + " for answers that came twice" : "so far" },
        { name: "In real time", value: j2.real_time_nanodollars ? money(j2.real_time_nanodollars) : "–", note: "the same answers" },
        { name: "Saved so far", value: /* @__PURE__ */ jsx(Saved, { j: j2 }), note: j2.real_time_nanodollars ? percent(1 - (j2.spent_nanodollars + j2.double_nanodollars) / j2.real_time_nanodollars, 0) : "" }
      ] }),
      /* @__PURE__ */ jsx(Panel, { title: "Progress", children: /* @__PURE__ */ jsxs("div", { class: "cols", children: [
        /* @__PURE__ */ jsx(Progress, { j: j2 }),
        /* @__PURE__ */ jsx(Deadline, { j: j2 })
      ] }) }),
      /* @__PURE__ */ jsxs(Panel, { flush: true, title: "Items", actions: /* @__PURE__ */ jsx(Select, { label: "In state", value: state, set: (v) => setQuery({ state: v, cursor: "" }), options: [["", "any"], ...states.map((s) => [s, s])] }), children: [
        steps.length ? /* @__PURE__ */ jsx(Table, { label: "Items", rows: steps, id: (s) => s.index, loading: loaded.loading, columns: [
          { name: "Item", cell: (s) => /* @__PURE__ */ jsx("span", { class: "mono nowrap", children: s.custom_id || s.index }) },
          { name: "State", cell: (s) => /* @__PURE__ */ jsx(Tag, { dot: true, tone: tones[s.state] ?? "", children: s.state }) },
          { name: "Path", cell: (s) => /* @__PURE__ */ jsxs("span", { class: "tight", style: { gap: 0 }, children: [
            /* @__PURE__ */ jsx("span", { children: s.path === "realtime" ? "real time" : s.path || /* @__PURE__ */ jsx("span", { class: "muted", children: "not chosen yet" }) }),
            s.why && /* @__PURE__ */ jsx("span", { class: "small muted", children: s.why })
          ] }) },
          { name: "Model", low: true, cell: (s) => /* @__PURE__ */ jsxs("span", { class: "mono nowrap", children: [
            s.model,
            s.target && s.provider + "/" + s.target !== s.model && /* @__PURE__ */ jsxs("span", { class: "muted", children: [
              " → ",
              s.provider,
              "/",
              s.target
            ] })
          ] }) },
          { name: "Tries", num: true, low: true, cell: (s) => count(s.tries) },
          { name: "Cost", num: true, cell: (s) => s.cost_nanodollars ? money(s.cost_nanodollars) : /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) },
          { name: "Changed", num: true, low: true, cell: (s) => /* @__PURE__ */ jsx(Ago, { at: s.changed }) }
        ] }) : /* @__PURE__ */ jsxs(Empty, { title: "No item is in this state", children: [
          compact(j2.items),
          " in all."
        ] }),
        (next || cursor) && /* @__PURE__ */ jsxs("div", { class: "in row", children: [
          cursor && /* @__PURE__ */ jsx(Button, { onClick: () => setQuery({ cursor: "" }), children: "To the first" }),
          next && /* @__PURE__ */ jsx(Button, { onClick: () => setQuery({ cursor: next }), children: "Next ones" })
        ] })
      ] })
    ] }) }),
    ending && /* @__PURE__ */ jsx(Dialog, { title: "Cancel this job", close: () => end(false), danger: true, action: "Cancel the job", submit: async () => {
      await call("POST", path + "/cancel", {});
      end(false);
      loaded.reload();
    }, children: /* @__PURE__ */ jsx("p", { children: "Items that wait are not asked any more. What has its answer keeps it." }) })
  ] });
}
export {
  Batches as default
};
