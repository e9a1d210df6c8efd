import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { useEffect, useState } from "preact/hooks";
import { call, query, useApi } from "../api.js";
import { brief, count, plural } from "../format.js";
import { setQuery } from "../route.js";
import { Button, Copy, Empty, Page, Panel, Problem, Select, Shown, Table, Tag } from "../ui.js";
const actions = ["keys.create", "keys.change", "keys.rotate", "keys.revoke", "budgets.set", "budgets.drop", "budgets.settle", "members.create", "members.change", "members.end", "providers.add_credential", "providers.drop_credential", "providers.test", "config.apply", "config.rollback", "models.refresh", "session.begin"];
function Audit({ at }) {
  const actor = at.query.get("actor") ?? "", action = at.query.get("action") ?? "";
  const path = query("audit", { actor, action });
  const members = useApi("members"), keys = useApi("keys");
  const named = (members.data ?? members.error) && (keys.data ?? keys.error);
  const first = useApi(named ? path : null, 1e4);
  const [older, setOlder] = useState();
  const [verdict, setVerdict] = useState();
  const [error, setError] = useState();
  useEffect(() => setOlder(void 0), [path]);
  const names = new Map([...members.data?.members.map((m) => [m.id, m.name]) ?? [], ...keys.data?.keys.filter((k) => k.admin).map((k) => [k.id, k.name || k.id]) ?? []]);
  const verify = async () => {
    setError(void 0);
    try {
      setVerdict(await call("GET", "audit/verify"));
    } catch (e) {
      setError(e);
    }
  };
  return /* @__PURE__ */ jsxs(Page, { title: "Audit", lead: "Who changed what. Each row holds the hash of the one before, so that a row that is changed, taken out or put in shows.", actions: /* @__PURE__ */ jsx(Button, { onClick: () => void verify(), children: "Verify the chain" }), children: [
    error !== void 0 && /* @__PURE__ */ jsx(Problem, { error }),
    verdict && /* @__PURE__ */ jsxs("div", { class: "note " + (verdict.ok ? "ok" : "bad"), role: "status", children: [
      verdict.ok ? /* @__PURE__ */ jsxs(Fragment, { children: [
        /* @__PURE__ */ jsx("b", { children: "The chain is whole:" }),
        " ",
        plural(verdict.rows, "row"),
        ". Note its head elsewhere; then it shows when the end is cut off."
      ] }) : /* @__PURE__ */ jsxs(Fragment, { children: [
        /* @__PURE__ */ jsx("b", { children: "The chain is broken" }),
        " at row ",
        verdict.broken,
        ": ",
        verdict.why
      ] }),
      verdict.head && /* @__PURE__ */ jsxs("div", { class: "row small", children: [
        /* @__PURE__ */ jsx("span", { class: "mono wrap", children: verdict.head }),
        /* @__PURE__ */ jsx(Copy, { text: verdict.head, label: "head" })
      ] })
    ] }),
    /* @__PURE__ */ jsx(Panel, { flush: true, title: "Changes", actions: /* @__PURE__ */ jsxs("div", { class: "filters", children: [
      /* @__PURE__ */ jsx(Select, { label: "Who", value: actor, set: (v) => setQuery({ actor: v }), options: [["", "everybody"], ...names] }),
      /* @__PURE__ */ jsx(Select, { label: "What", value: action, set: (v) => setQuery({ action: v }), options: [["", "everything"], ...actions.map((a) => [a, a])] })
    ] }), children: /* @__PURE__ */ jsx(Shown, { from: first, height: 420, children: (f) => {
      const rows = [...f.rows, ...(older?.rows ?? []).filter((r) => !f.rows.some((x) => x.n === r.n))];
      const next = older ? older.next : f.next;
      return rows.length ? /* @__PURE__ */ jsxs(Fragment, { children: [
        /* @__PURE__ */ jsx(Table, { label: "Changes", rows, id: (r) => r.n, columns: [
          { name: "Row", cell: (r) => /* @__PURE__ */ jsx("span", { class: "muted", children: count(r.n) }) },
          { name: "Time", cell: (r) => /* @__PURE__ */ jsx("span", { class: "nowrap", children: brief(r.at) }) },
          { name: "Who", cell: (r) => /* @__PURE__ */ jsx("span", { title: r.actor, children: names.get(r.actor) ?? /* @__PURE__ */ jsx("span", { class: "mono", children: r.actor }) }) },
          { name: "What", cell: (r) => /* @__PURE__ */ jsx(Tag, { tone: /revoke|end|drop|refus/.test(r.action) ? "bad" : "", children: r.action }) },
          { name: "To what", cell: (r) => /* @__PURE__ */ jsx("span", { class: "mono wrap", children: r.subject }) },
          { name: "Hash", low: true, cell: (r) => /* @__PURE__ */ jsx("span", { class: "mono muted", title: r.hash, children: r.hash.slice(0, 10) }) }
        ] }),
        next && /* @__PURE__ */ jsx("div", { class: "in", children: /* @__PURE__ */ jsx(Button, { onClick: async () => {
          const page = await call("GET", query("audit", { actor, action, cursor: next }));
          setOlder({ rows: [...older?.rows ?? [], ...page.rows], next: page.next });
        }, children: "Older ones" }) })
      ] }) : /* @__PURE__ */ jsx(Empty, { title: "Nothing was changed yet", actions: actor || action ? /* @__PURE__ */ jsx(Button, { onClick: () => setQuery({ actor: "", action: "" }), children: "Clear the filters" }) : void 0, children: "Each change of a key, a budget, a member, a credential or the configuration stands here." });
    } }) })
  ] });
}
export {
  Audit as default
};
