import { Fragment, jsx, jsxs } from "preact/jsx-runtime";
import { useState } from "preact/hooks";
import { call, change, may, session, useApi } from "../api.js";
import { Ago, Button, Code, Dialog, Empty, Input, Page, Panel, Select, Shown, Table, Tag } from "../ui.js";
const roles = [["viewer", "viewer: looks"], ["billing", "billing: looks at money, sets budgets"], ["admin", "admin: runs it"], ["owner", "owner: all, and lets people in"]];
function Members(_) {
  const members = useApi("members");
  const rights = useApi("rights");
  const [edit, setEdit] = useState();
  const [end, setEnd] = useState();
  const [made, setMade] = useState();
  const write = may("members.write");
  return /* @__PURE__ */ jsxs(Page, { title: "People", lead: "Who runs the gateway, and what each role may do. Nobody here can call a model: that is what keys are for.", actions: write && /* @__PURE__ */ jsx(Button, { kind: "main", onClick: () => setEdit({}), children: "Let somebody in" }), children: [
    /* @__PURE__ */ jsx(Panel, { flush: true, title: "Members", children: /* @__PURE__ */ jsx(Shown, { from: members, height: 200, children: ({ members: rows }) => rows.length ? /* @__PURE__ */ jsx(Table, { label: "Members", rows, id: (m) => m.id, dim: (m) => Boolean(m.ended), columns: [
      { name: "Name", cell: (m) => /* @__PURE__ */ jsxs("span", { class: "row", children: [
        m.name,
        m.id === session()?.id && /* @__PURE__ */ jsx(Tag, { tone: "accent", children: "you" })
      ] }), by: (m) => m.name },
      { name: "E-mail", cell: (m) => m.email || /* @__PURE__ */ jsx("span", { class: "muted", children: "–" }) },
      { name: "Role", cell: (m) => /* @__PURE__ */ jsx(Tag, { children: m.role }) },
      { name: "Signs in with", low: true, cell: (m) => m.issuer ? m.issuer : m.prefix ? /* @__PURE__ */ jsxs("span", { class: "mono", children: [
        m.prefix,
        "…"
      ] }) : /* @__PURE__ */ jsx("span", { class: "muted", children: "nothing" }) },
      { name: "Since", low: true, cell: (m) => m.ended ? /* @__PURE__ */ jsxs(Fragment, { children: [
        "left ",
        /* @__PURE__ */ jsx(Ago, { at: m.ended })
      ] }) : /* @__PURE__ */ jsx(Ago, { at: m.created }) },
      { name: /* @__PURE__ */ jsx("span", { class: "sr", children: "What to do" }), num: true, cell: (m) => write && !m.ended && /* @__PURE__ */ jsxs("span", { class: "row", style: { justifyContent: "flex-end", flexWrap: "nowrap" }, children: [
        /* @__PURE__ */ jsx(Button, { slim: true, onClick: () => setEdit(m), label: "Change " + m.name, children: "Change" }),
        /* @__PURE__ */ jsx(Button, { slim: true, label: "New token for " + m.name, onClick: async () => setMade(await call("POST", `members/${encodeURIComponent(m.id)}/token`, {})), children: "New token" }),
        /* @__PURE__ */ jsx(Button, { slim: true, kind: "danger", onClick: () => setEnd(m), label: "End " + m.name, children: "End" })
      ] }) }
    ] }) : /* @__PURE__ */ jsx(Empty, { title: "Only admin keys so far", actions: write && /* @__PURE__ */ jsx(Button, { kind: "main", onClick: () => setEdit({}), children: "Let somebody in" }), children: "Give each person a token and a role of their own, so that the audit log says who it was." }) }) }),
    members.data && /* @__PURE__ */ jsx(Panel, { flush: true, title: "What a role may do", children: /* @__PURE__ */ jsx(Shown, { from: rights, height: 300, children: ({ rights: rows }) => /* @__PURE__ */ jsx(Table, { label: "Rights", rows, id: (r) => r.do, columns: [
      { name: "Right", cell: (r) => /* @__PURE__ */ jsxs("span", { children: [
        r.means,
        " ",
        /* @__PURE__ */ jsx("span", { class: "mono small muted lo", children: r.do })
      ] }) },
      ...["viewer", "billing", "admin", "owner"].map((role) => ({ name: role, cell: (r) => r.may.includes(role) ? /* @__PURE__ */ jsx("span", { class: "ok", "aria-label": "yes", children: "●" }) : /* @__PURE__ */ jsx("span", { class: "muted", "aria-label": "no", children: "–" }) }))
    ] }) }) }),
    edit && /* @__PURE__ */ jsx(Edit, { was: edit, close: () => setEdit(void 0), done: (m) => {
      setEdit(void 0);
      setMade(m);
      members.reload();
    } }),
    made && /* @__PURE__ */ jsxs(Dialog, { title: "The token of " + made.member.name, close: () => setMade(void 0), children: [
      /* @__PURE__ */ jsx("p", { children: "Copy it now: it is kept only as a hash and can never be shown again." }),
      /* @__PURE__ */ jsx(Code, { text: made.token, label: "token", fold: true })
    ] }),
    end && /* @__PURE__ */ jsx(Dialog, { title: "End " + end.name, close: () => setEnd(void 0), danger: true, action: "End", submit: async () => {
      await change("DELETE", "members/" + encodeURIComponent(end.id));
      setEnd(void 0);
      members.reload();
    }, children: /* @__PURE__ */ jsx("p", { children: "The token and all sessions end at once, for ever." }) })
  ] });
}
function Edit(p) {
  const [name, setName] = useState(p.was.name ?? ""), [email, setEmail] = useState(p.was.email ?? ""), [role, setRole] = useState(p.was.role ?? "viewer");
  return /* @__PURE__ */ jsxs(Dialog, { title: p.was.id ? "Change " + p.was.name : "Let somebody in", close: p.close, action: p.was.id ? "Change" : "Let in", submit: async () => {
    if (p.was.id) {
      await change("PUT", "members/" + encodeURIComponent(p.was.id), { name, email, role });
      p.done();
    } else p.done(await call("POST", "members", { name, email, role }));
  }, children: [
    /* @__PURE__ */ jsx(Input, { label: "Name", value: name, set: setName, required: true, maxLength: 128, autofocus: true }),
    /* @__PURE__ */ jsx(Input, { label: "E-mail", type: "email", value: email, set: setEmail, maxLength: 128, hint: "Single sign-on finds a member by it." }),
    /* @__PURE__ */ jsx(Select, { label: "Role", value: role, set: setRole, options: roles })
  ] });
}
export {
  Members as default
};
