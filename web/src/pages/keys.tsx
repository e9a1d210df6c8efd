import { useState } from "preact/hooks";
import { call, change as rewrite, may, useApi } from "../api.js";
import { ago, compact, count, money, plural } from "../format.js";
import { setQuery, url } from "../route.js";
import type { PageProps } from "../app.js";
import type { Issued, Key, KeyList, TeamList, UsageAnswer } from "../schema.js";
import { Ago, Button, Check, Choice, Code, Dialog, Empty, Input, Page, Panel, Select, Shown, Table, Tag } from "../ui.js";

export default function Keys({ at }: PageProps) {
  const keys = useApi<KeyList>("keys");
  const usage = useApi<UsageAnswer>("usage?by=key&since=30d");
  const [making, make] = useState(false);
  const [changing, change] = useState<Key>();
  const [ending, end] = useState<Key>();
  const [turning, turn] = useState<Key>();
  const view = at.query.get("view") ?? "active", team = at.query.get("team") ?? "";
  const write = may("keys.write");
  const used = new Map(usage.data?.rows.map((r) => [r.name, r]));
  return (
    <Page title="Keys and teams" lead="Clients call with a key. A key belongs to a team, and may have models, limits, a priority and an end of its own."
      actions={write && <Button kind="main" onClick={() => make(true)}>New key</Button>}>
      <Panel flush title="Keys" actions={<>
        <Choice label="Which keys" value={view} set={(v) => setQuery({ view: v === "active" ? "" : v })} options={[["active", "Active"], ["ended", "Ended"], ["all", "All"]]} />
      </>}>
        <Shown from={keys} height={300}>
          {({ keys: all }) => {
            const rows = all.filter((k) => (view === "all" || (k.state === "active") === (view === "active")) && (!team || k.team === team)).reverse();
            if (!rows.length) {
              return (
                <Empty title={view === "ended" ? "No key has ended" : "There is no key yet"} actions={write && view !== "ended" && <Button kind="main" onClick={() => make(true)}>Make a key</Button>}>
                  {view === "ended" ? "Keys that expired or were revoked stand here, with what they used." : "A client needs one to ask for anything. Make one and point a client at this gateway."}
                </Empty>
              );
            }
            return (
              <Table label="Keys" rows={rows} id={(k) => k.id} dim={(k) => k.state !== "active"} columns={[
                { name: "Name", by: (k) => k.name, cell: (k) => <span class="tight"><span>{k.name || <span class="muted">no name</span>} {k.admin && <Tag tone="accent">admin</Tag>}</span><span class="mono muted small">{k.prefix}…</span></span> },
                { name: "Team", by: (k) => k.team, cell: (k) => k.team || <span class="muted">–</span> },
                { name: "State", cell: (k) => <State k={k} /> },
                { name: "May ask for", low: true, cell: (k) => (k.admin ? "the admin API" : k.models.length ? <span class="mono wrap">{k.models.join(", ")}</span> : "every model") },
                { name: "Limits", low: true, cell: (k) => <Limits l={k.limits} priority={k.priority} /> },
                { name: "Requests, 30 d", num: true, low: true, by: (k) => used.get(k.id)?.requests ?? 0, cell: (k) => <a href={url("requests") + "?key=" + encodeURIComponent(k.id)}>{count(used.get(k.id)?.requests ?? 0)}</a> },
                { name: "Spent, 30 d", num: true, by: (k) => used.get(k.id)?.cost_nanodollars ?? 0, cell: (k) => money(used.get(k.id)?.cost_nanodollars ?? 0) },
                { name: <span class="sr">What to do</span>, num: true, cell: (k) => write && k.state === "active" && <span class="row" style={{ justifyContent: "flex-end", flexWrap: "nowrap" }}>
                  {!k.admin && <Button slim onClick={() => change(k)} label={"Change " + (k.name || k.id)}>Change</Button>}
                  <Button slim onClick={() => turn(k)} label={"Rotate " + (k.name || k.id)}>Rotate</Button>
                  <Button slim kind="danger" onClick={() => end(k)} label={"Revoke " + (k.name || k.id)}>Revoke</Button>
                </span> },
              ]} />
            );
          }}
        </Shown>
      </Panel>
      {keys.data && <Teams />}
      {changing && <Make was={changing} close={() => { change(undefined); keys.reload(); }} teams={teamsOf(keys.data?.keys ?? [])} />}
      {making && <Make close={() => { make(false); keys.reload(); }} teams={teamsOf(keys.data?.keys ?? [])} />}
      {ending && <Dialog title={"Revoke " + (ending.name || ending.id)} close={() => end(undefined)} danger action="Revoke" submit={async () => {
        await call("DELETE", "keys/" + encodeURIComponent(ending.id));
        end(undefined);
        keys.reload();
      }}><p>It stops working within a second, for ever. Requests that run are answered to their end.</p></Dialog>}
      {turning && <Rotate k={turning} close={() => { turn(undefined); keys.reload(); }} />}
    </Page>
  );
}

const teamsOf = (keys: Key[]) => [...new Set(keys.map((k) => k.team).filter(Boolean))].sort();

function State({ k }: { k: Key }) {
  if (k.state === "revoked") return <Tag tone="bad" dot>revoked {k.revoked && ago(k.revoked)}</Tag>;
  if (k.state === "expired") return <Tag tone="warn" dot>expired {k.expires && ago(k.expires)}</Tag>;
  return <span class="row"><Tag tone="ok" dot>active</Tag>{k.expires && <span class="muted small">ends <Ago at={k.expires} /></span>}</span>;
}

function Limits({ l, priority }: { l: Key["limits"]; priority?: string }) {
  const parts = [l.requests_per_minute && count(l.requests_per_minute) + " requests/min", l.tokens_per_minute && compact(l.tokens_per_minute) + " tokens/min", l.parallel && count(l.parallel) + " at once", priority && "priority " + priority].filter(Boolean);
  return parts.length ? <span>{parts.join(", ")}</span> : <span class="muted">none</span>;
}

function Teams() {
  const teams = useApi<TeamList>("teams");
  return (
    <Panel title="Teams" flush foot="Limits, priority and weight of a team are in the configuration, under teams.">
      <Shown from={teams} height={120}>
        {({ teams: rows }) => rows.length ? (
          <Table label="Teams" rows={rows} id={(t) => t.name} columns={[
            { name: "Team", cell: (t) => <a href={url("keys") + "?view=all&team=" + encodeURIComponent(t.name)}>{t.name}</a>, by: (t) => t.name },
            { name: "Active keys", num: true, cell: (t) => count(t.keys), by: (t) => t.keys },
            { name: "Limits", low: true, cell: (t) => <Limits l={t.limits} priority={t.priority} /> },
            { name: "Budgets", cell: (t) => (t.budgets.length ? t.budgets.map((b) => money(b.spent_nanodollars) + " of " + money(b.limit_nanodollars) + " " + b.window).join(", ") : <a href={url("budgets") + "?new=team&subject=" + encodeURIComponent(t.name)}>set one</a>) },
            { name: "Requests this month", num: true, low: true, cell: (t) => <a href={url("requests") + "?since=30d&team=" + encodeURIComponent(t.name)}>{count(t.month.requests)}</a>, by: (t) => t.month.requests },
            { name: "Spent this month", num: true, cell: (t) => money(t.month.cost_nanodollars), by: (t) => t.month.cost_nanodollars },
          ]} />
        ) : (
          <Empty title="There is no team yet">Give a key a team when you make it. Teams share limits and budgets, and get a fair share when too much is asked for.</Empty>
        )}
      </Shown>
    </Panel>
  );
}

function Make(p: { was?: Key; close: () => void; teams: string[] }) {
  const w = p.was;
  const figure = (n?: number) => (n ? String(n) : "");
  const [name, setName] = useState(w?.name ?? ""), [team, setTeam] = useState(w?.team ?? ""), [models, setModels] = useState(w?.models.join(", ") ?? ""), [ends, setEnds] = useState("");
  const [rpm, setRpm] = useState(figure(w?.limits.requests_per_minute)), [tpm, setTpm] = useState(figure(w?.limits.tokens_per_minute)), [par, setPar] = useState(figure(w?.limits.parallel));
  const [priority, setPriority] = useState<string>(w?.priority ?? ""), [admin, setAdmin] = useState(false);
  const [made, setMade] = useState<Issued>();
  if (made) return <Fresh made={made} close={p.close} />;
  return (
    <Dialog title={w ? "Change " + (w.name || w.id) : "New key"} close={p.close} action={w ? "Change" : "Make the key"} submit={async () => {
      const spec = {
        name, team, admin, models: models.split(/[\s,]+/).filter(Boolean), priority: priority || undefined,
        limits: { requests_per_minute: Number(rpm) || 0, tokens_per_minute: Number(tpm) || 0, parallel: Number(par) || 0 },
      };
      if (!w) return setMade(await call<Issued>("POST", "keys", { ...spec, expires_in: ends || undefined }));
      await rewrite("PUT", "keys/" + encodeURIComponent(w.id), { ...spec, may_raise: w.may_raise, expires: ends ? undefined : w.expires, expires_in: ends || undefined });
      p.close();
    }}>
      <div class="pair">
        <Input label="Name" value={name} set={setName} maxLength={128} placeholder="alice, or ci" autofocus required />
        <Field2 label="Team" value={team} set={setTeam} options={p.teams} />
      </div>
      <Input label="Models it may ask for" value={models} set={setModels} placeholder="every model" hint={<>Names or patterns, separated by commas: <code>smart, anthropic/*</code></>} />
      <div class="pair">
        <Input label="Requests a minute" type="number" min={0} value={rpm} set={setRpm} placeholder="no limit" />
        <Input label="Tokens a minute" type="number" min={0} value={tpm} set={setTpm} placeholder="no limit" />
        <Input label="At once" type="number" min={0} value={par} set={setPar} placeholder="no limit" />
      </div>
      <div class="pair">
        <Select label="Ends" value={ends} set={setEnds} options={[["", w?.expires ? "as it is" : "never"], ["24h", "in a day"], ["168h", "in a week"], ["720h", "in 30 days"], ["8760h", "in a year"]]} />
        <Select label="Priority" value={priority} set={setPriority} options={[["", "its team's"], "interactive", "standard", "batch"]} />
      </div>
      {!w && <Check label="An admin key: it opens the admin API and this dashboard, and calls no model" value={admin} set={setAdmin} />}
    </Dialog>
  );
}

function Field2(p: { label: string; value: string; set: (v: string) => void; options: string[] }) {
  return (
    <>
      <Input label={p.label} value={p.value} set={p.set} maxLength={128} placeholder="none" list="teams" />
      <datalist id="teams">{p.options.map((o) => <option value={o} />)}</datalist>
    </>
  );
}

function Rotate(p: { k: Key; close: () => void }) {
  const [overlap, set] = useState("24h");
  const [made, setMade] = useState<Issued>();
  if (made) return <Fresh made={made} close={p.close} />;
  return (
    <Dialog title={"Rotate " + (p.k.name || p.k.id)} close={p.close} action="Rotate" submit={async () => setMade(await call<Issued>("POST", "keys/" + encodeURIComponent(p.k.id) + "/rotate", { overlap }))}>
      <p>A new key with the same rights takes its place. The old one works on for a while, so that clients can be moved.</p>
      <Select label="The old key ends" value={overlap} set={set} options={[["", "now"], ["1h", "in an hour"], ["24h", "in a day"], ["168h", "in a week"]]} />
    </Dialog>
  );
}

function Fresh(p: { made: Issued; close: () => void }) {
  const k = p.made.key;
  return (
    <Dialog title={"The key of " + (k.name || k.id)} close={p.close}>
      <p>Copy it now: it is kept only as a hash and can never be shown again.</p>
      <Code text={p.made.token} label="key" fold />
      {!k.admin && <p class="small muted">How a client uses it stands under <a href={url("connect")}>Connect</a>. {k.models.length ? "It may ask for " + plural(k.models.length, "pattern") + " of models." : ""}</p>}
    </Dialog>
  );
}
