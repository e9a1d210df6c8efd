import { useState } from "preact/hooks";
import { call, may, useApi } from "../api.js";
import { money, percent } from "../format.js";
import { setQuery } from "../route.js";
import type { PageProps } from "../app.js";
import type { Budget, BudgetList, KeyList } from "../schema.js";
import { Ago, Button, Dialog, Empty, Input, Meter, Page, Panel, Select, Shown, Table, Tag, type Tone } from "../ui.js";

export default function Budgets({ at }: PageProps) {
  const budgets = useApi<BudgetList>("budgets", 5000);
  const keys = useApi<KeyList>("keys");
  const scope = at.query.get("new");
  const [edit, setEdit] = useState<Partial<Budget> | undefined>(scope ? { scope: scope as Budget["scope"], subject: at.query.get("subject") ?? "" } : undefined);
  const [drop, setDrop] = useState<Budget>();
  const write = may("budgets.write");
  const names = new Map(keys.data?.keys.map((k) => [k.id, k.name || k.id]));
  const close = () => {
    setEdit(undefined);
    setQuery({ new: "", subject: "" });
  };
  return (
    <Page title="Budgets" lead="What a key, a team or a tag may spend. A budget is a hard stop that no number of requests at once can overrun."
      actions={write && <Button kind="main" onClick={() => setEdit({})}>New budget</Button>}>
      <Panel flush title="All budgets">
        <Shown from={budgets} height={240}>
          {({ budgets: rows }) => rows.length ? (
            <Table label="Budgets" rows={rows} id={(b) => b.id} columns={[
              { name: "For", cell: (b) => <span class="row" style={{ flexWrap: "nowrap", gap: "6px" }}><Tag>{b.scope}</Tag><span class="nowrap">{b.scope === "key" ? names.get(b.subject) ?? b.subject : b.subject}</span></span>, by: (b) => b.scope + b.subject },
              { name: "Window", low: true, cell: (b) => b.window },
              { name: "Used", class: "used", cell: (b) => <Used b={b} /> },
              { name: "Spent", num: true, low: true, cell: (b) => money(b.spent_nanodollars), by: (b) => b.spent_nanodollars },
              { name: "Limit", num: true, cell: (b) => money(b.limit_nanodollars), by: (b) => b.limit_nanodollars },
              { name: "Left", num: true, cell: (b) => <span class={toneOf(b)}>{money(b.left_nanodollars)}</span>, by: (b) => b.left_nanodollars },
              { name: "Starts anew", low: true, cell: (b) => (b.resets ? <Ago at={b.resets} /> : <span class="muted">never</span>) },
              { name: <span class="sr">What to do</span>, num: true, cell: (b) => b.declared ? <span class="muted small">in the configuration</span> : write && <span class="row" style={{ justifyContent: "flex-end", flexWrap: "nowrap" }}>
                <Button slim onClick={() => setEdit(b)} label={"Change " + b.id}>Change</Button>
                <Button slim kind="danger" onClick={() => setDrop(b)} label={"Remove " + b.id}>Remove</Button>
              </span> },
            ]} />
          ) : (
            <Empty title="There is no budget yet" actions={write && <Button kind="main" onClick={() => setEdit({})}>Set a budget</Button>}>
              Nothing bounds what is spent. Start with one for a team, by the month, and alerts at 80 and 100 percent.
            </Empty>
          )}
        </Shown>
      </Panel>
      {budgets.data?.budgets.some((b) => b.lost_nanodollars > 0) && <div class="note warn">
        Runs that were killed had money in memory that no row accounts for. It counts as spent until it is settled.
        {write && budgets.data.budgets.filter((b) => b.lost_nanodollars > 0).map((b) => <> <Button slim onClick={async () => { await call("POST", "budgets/settle", { id: b.id }); budgets.reload(); }}>Settle {b.subject}: {money(b.lost_nanodollars)}</Button></>)}
      </div>}
      {edit && <Edit was={edit} keys={[...names]} close={close} done={() => { close(); budgets.reload(); }} />}
      {drop && <Dialog title="Remove the budget" close={() => setDrop(undefined)} danger action="Remove" submit={async () => {
        await call("DELETE", "budgets/" + drop.id.split("/").map(encodeURIComponent).join("/"));
        setDrop(undefined);
        budgets.reload();
      }}><p>Nothing bounds {drop.scope} {names.get(drop.subject) ?? drop.subject} by the {drop.window} any more. What was spent is kept.</p></Dialog>}
    </Page>
  );
}

function toneOf(b: Budget): Tone {
  if (b.left_nanodollars <= 0) return "bad";
  return b.reached > 0 ? "warn" : "";
}

function Used({ b }: { b: Budget }) {
  const limit = Math.max(1, b.limit_nanodollars), spent = b.spent_nanodollars + b.lost_nanodollars;
  const share = spent / limit;
  return (
    <div class="row" style={{ flexWrap: "nowrap", minWidth: "120px" }}>
      <span class="grow"><Meter tone={toneOf(b)} parts={[{ share }, { share: b.reserved_nanodollars / limit, reserved: true }]} label={percent(share) + " spent, " + money(b.reserved_nanodollars) + " reserved by requests that run"} /></span>
      <span class="small muted num" style={{ width: "46px" }}>{b.limit_nanodollars ? percent(share, 0) : "–"}</span>
    </div>
  );
}

function Edit(p: { was: Partial<Budget>; keys: [string, string][]; close: () => void; done: () => void }) {
  const fixed = p.was.id !== undefined;
  const [scope, setScope] = useState<string>(p.was.scope ?? "key"), [subject, setSubject] = useState(p.was.subject ?? ""), [window, setWindow] = useState<string>(p.was.window ?? "monthly");
  const [limit, setLimit] = useState(p.was.limit_nanodollars !== undefined ? String(p.was.limit_nanodollars / 1e9) : ""), [alerts, setAlerts] = useState(p.was.alerts?.join(", ") ?? "80, 100");
  return (
    <Dialog title={fixed ? "Change the budget" : "New budget"} close={p.close} action="Set the budget" submit={async () => {
      await call("POST", "budgets", { scope, subject: subject || (scope === "key" ? p.keys[0]?.[0] : ""), window, limit_nanodollars: Math.round(Number(limit) * 1e9), alerts: alerts.split(/[\s,%]+/).filter(Boolean).map(Number) });
      p.done();
    }}>
      {!fixed && <div class="pair">
        <Select label="For" value={scope} set={(s) => { setScope(s); setSubject(""); }} options={[["key", "a key"], ["team", "a team"], ["tag", "a tag"]]} />
        {scope === "key" ? <Select label="Key" value={subject || (p.keys[0]?.[0] ?? "")} set={setSubject} options={p.keys.map(([id, name]) => [id, name])} /> : <Input label={scope === "team" ? "Team" : "Tag"} value={subject} set={setSubject} required maxLength={128} />}
        <Select label="Window" value={window} set={setWindow} options={["daily", "weekly", "monthly", "total"]} />
      </div>}
      <div class="pair">
        <Input label="Limit in US dollars" type="number" min={0} step="any" required value={limit} set={setLimit} hint="The hard stop; 0 lets nothing through." />
        <Input label="Alerts at percent" value={alerts} set={setAlerts} hint="Rising, separated by commas." />
      </div>
    </Dialog>
  );
}
