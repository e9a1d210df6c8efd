import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { useState } from "preact/hooks";
import { call, may, useApi } from "../api.js";
import { money, percent } from "../format.js";
import { setQuery } from "../route.js";
import { Ago, Button, Dialog, Empty, Input, Meter, Page, Panel, Select, Shown, Table, Tag } from "../ui.js";
function Budgets({ at }) {
  const budgets = useApi("budgets", 5e3);
  const keys = useApi("keys");
  const scope = at.query.get("new");
  const [edit, setEdit] = useState(scope ? { scope, subject: at.query.get("subject") ?? "" } : void 0);
  const [drop, setDrop] = useState();
  const write = may("budgets.write");
  const names = new Map(keys.data?.keys.map((k) => [k.id, k.name || k.id]));
  const close = () => {
    setEdit(void 0);
    setQuery({ new: "", subject: "" });
  };
  return /* @__PURE__ */ jsxs(
    Page,
    {
      title: "Budgets",
      lead: "What a key, a team or a tag may spend. A budget is a hard stop that no number of requests at once can overrun.",
      actions: write && /* @__PURE__ */ jsx(Button, { kind: "main", onClick: () => setEdit({}), children: "New budget" }),
      children: [
        /* @__PURE__ */ jsx(Panel, { flush: true, title: "All budgets", children: /* @__PURE__ */ jsx(Shown, { from: budgets, height: 240, children: ({ budgets: rows }) => rows.length ? /* @__PURE__ */ jsx(Table, { label: "Budgets", rows, id: (b) => b.id, columns: [
          { name: "For", cell: (b) => /* @__PURE__ */ jsxs("span", { class: "row", style: { flexWrap: "nowrap", gap: "6px" }, children: [
            /* @__PURE__ */ jsx(Tag, { children: b.scope }),
            /* @__PURE__ */ jsx("span", { class: "nowrap", children: b.scope === "key" ? names.get(b.subject) ?? b.subject : b.subject })
          ] }), by: (b) => b.scope + b.subject },
          { name: "Window", low: true, cell: (b) => b.window },
          { name: "Used", class: "used", cell: (b) => /* @__PURE__ */ jsx(Used, { b }) },
          { name: "Spent", num: true, low: true, cell: (b) => money(b.spent_nanodollars), by: (b) => b.spent_nanodollars },
          { name: "Limit", num: true, cell: (b) => money(b.limit_nanodollars), by: (b) => b.limit_nanodollars },
          { name: "Left", num: true, cell: (b) => /* @__PURE__ */ jsx("span", { class: toneOf(b), children: money(b.left_nanodollars) }), by: (b) => b.left_nanodollars },
          { name: "Starts anew", low: true, cell: (b) => b.resets ? /* @__PURE__ */ jsx(Ago, { at: b.resets }) : /* @__PURE__ */ jsx("span", { class: "muted", children: "never" }) },
          { name: /* @__PURE__ */ jsx("span", { class: "sr", children: "What to do" }), num: true, cell: (b) => b.declared ? /* @__PURE__ */ jsx("span", { class: "muted small", children: "in the configuration" }) : write && /* @__PURE__ */ jsxs("span", { class: "row", style: { justifyContent: "flex-end", flexWrap: "nowrap" }, children: [
            /* @__PURE__ */ jsx(Button, { slim: true, onClick: () => setEdit(b), label: "Change " + b.id, children: "Change" }),
            /* @__PURE__ */ jsx(Button, { slim: true, kind: "danger", onClick: () => setDrop(b), label: "Remove " + b.id, children: "Remove" })
          ] }) }
        ] }) : /* @__PURE__ */ jsx(Empty, { title: "There is no budget yet", actions: write && /* @__PURE__ */ jsx(Button, { kind: "main", onClick: () => setEdit({}), children: "Set a budget" }), children: "Nothing bounds what is spent. Start with one for a team, by the month, and alerts at 80 and 100 percent." }) }) }),
        budgets.data?.budgets.some((b) => b.lost_nanodollars > 0) && /* @__PURE__ */ jsxs("div", { class: "note warn", children: [
          "Runs that were killed had money in memory that no row accounts for. It counts as spent until it is settled.",
          write && budgets.data.budgets.filter((b) => b.lost_nanodollars > 0).map((b) => /* @__PURE__ */ jsxs(Fragment, { children: [
            " ",
            /* @__PURE__ */ jsxs(Button, { slim: true, onClick: async () => {
              await call("POST", "budgets/settle", { id: b.id });
              budgets.reload();
            }, children: [
              "Settle ",
              b.subject,
              ": ",
              money(b.lost_nanodollars)
            ] })
          ] }))
        ] }),
        edit && /* @__PURE__ */ jsx(Edit, { was: edit, keys: [...names], close, done: () => {
          close();
          budgets.reload();
        } }),
        drop && /* @__PURE__ */ jsx(Dialog, { title: "Remove the budget", close: () => setDrop(void 0), danger: true, action: "Remove", submit: async () => {
          await call("DELETE", "budgets/" + drop.id.split("/").map(encodeURIComponent).join("/"));
          setDrop(void 0);
          budgets.reload();
        }, children: /* @__PURE__ */ jsxs("p", { children: [
          "Nothing bounds ",
          drop.scope,
          " ",
          names.get(drop.subject) ?? drop.subject,
          " by the ",
          drop.window,
          " any more. What was spent is kept."
        ] }) })
      ]
    }
  );
}
function toneOf(b) {
  if (b.left_nanodollars <= 0) return "bad";
  return b.reached > 0 ? "warn" : "";
}
function Used({ b }) {
  const limit = Math.max(1, b.limit_nanodollars), spent = b.spent_nanodollars + b.lost_nanodollars;
  const share = spent / limit;
  return /* @__PURE__ */ jsxs("div", { class: "row", style: { flexWrap: "nowrap", minWidth: "120px" }, children: [
    /* @__PURE__ */ jsx("span", { class: "grow", children: /* @__PURE__ */ jsx(Meter, { tone: toneOf(b), parts: [{ share }, { share: b.reserved_nanodollars / limit, reserved: true }], label: percent(share) + " spent, " + money(b.reserved_nanodollars) + " reserved by requests that run" }) }),
    /* @__PURE__ */ jsx("span", { class: "small muted num", style: { width: "46px" }, children: b.limit_nanodollars ? percent(share, 0) : "–" })
  ] });
}
function Edit(p) {
  const fixed = p.was.id !== void 0;
  const [scope, setScope] = useState(p.was.scope ?? "key"), [subject, setSubject] = useState(p.was.subject ?? ""), [window, setWindow] = useState(p.was.window ?? "monthly");
  const [limit, setLimit] = useState(p.was.limit_nanodollars !== void 0 ? String(p.was.limit_nanodollars / 1e9) : ""), [alerts, setAlerts] = useState(p.was.alerts?.join(", ") ?? "80, 100");
  return /* @__PURE__ */ jsxs(Dialog, { title: fixed ? "Change the budget" : "New budget", close: p.close, action: "Set the budget", submit: async () => {
    await call("POST", "budgets", { scope, subject: subject || (scope === "key" ? p.keys[0]?.[0] : ""), window, limit_nanodollars: Math.round(Number(limit) * 1e9), alerts: alerts.split(/[\s,%]+/).filter(Boolean).map(Number) });
    p.done();
  }, children: [
    !fixed && /* @__PURE__ */ jsxs("div", { class: "pair", children: [
      /* @__PURE__ */ jsx(Select, { label: "For", value: scope, set: (s) => {
        setScope(s);
        setSubject("");
      }, options: [["key", "a key"], ["team", "a team"], ["tag", "a tag"]] }),
      scope === "key" ? /* @__PURE__ */ jsx(Select, { label: "Key", value: subject || (p.keys[0]?.[0] ?? ""), set: setSubject, options: p.keys.map(([id, name]) => [id, name]) }) : /* @__PURE__ */ jsx(Input, { label: scope === "team" ? "Team" : "Tag", value: subject, set: setSubject, required: true, maxLength: 128 }),
      /* @__PURE__ */ jsx(Select, { label: "Window", value: window, set: setWindow, options: ["daily", "weekly", "monthly", "total"] })
    ] }),
    /* @__PURE__ */ jsxs("div", { class: "pair", children: [
      /* @__PURE__ */ jsx(Input, { label: "Limit in US dollars", type: "number", min: 0, step: "any", required: true, value: limit, set: setLimit, hint: "The hard stop; 0 lets nothing through." }),
      /* @__PURE__ */ jsx(Input, { label: "Alerts at percent", value: alerts, set: setAlerts, hint: "Rising, separated by commas." })
    ] })
  ] });
}
export {
  Budgets as default
};
