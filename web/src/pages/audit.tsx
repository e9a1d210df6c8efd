import { useEffect, useState } from "preact/hooks";
import { call, query, useApi } from "../api.js";
import { brief, count, plural } from "../format.js";
import { setQuery } from "../route.js";
import type { PageProps } from "../app.js";
import type { AuditList, AuditRow, AuditVerdict, KeyList, MemberList } from "../schema.js";
import { Button, Copy, Empty, Page, Panel, Problem, Select, Shown, Table, Tag } from "../ui.js";

const actions = ["keys.create", "keys.change", "keys.rotate", "keys.revoke", "budgets.set", "budgets.drop", "budgets.settle", "members.create", "members.change", "members.end", "providers.add_credential", "providers.drop_credential", "providers.test", "config.apply", "config.rollback", "models.refresh", "session.begin"];

export default function Audit({ at }: PageProps) {
  const actor = at.query.get("actor") ?? "", action = at.query.get("action") ?? "";
  const path = query("audit", { actor, action });
  const members = useApi<MemberList>("members"), keys = useApi<KeyList>("keys");
  // Names first: an id that becomes one would move what stands beside it.
  const named = (members.data ?? members.error) && (keys.data ?? keys.error);
  const first = useApi<AuditList>(named ? path : null, 10000);
  const [older, setOlder] = useState<AuditList>();
  const [verdict, setVerdict] = useState<AuditVerdict>();
  const [error, setError] = useState<unknown>();
  useEffect(() => setOlder(undefined), [path]);
  const names = new Map([...(members.data?.members.map((m) => [m.id, m.name] as const) ?? []), ...(keys.data?.keys.filter((k) => k.admin).map((k) => [k.id, k.name || k.id] as const) ?? [])]);
  const verify = async () => {
    setError(undefined);
    try {
      setVerdict(await call<AuditVerdict>("GET", "audit/verify"));
    } catch (e) {
      setError(e);
    }
  };
  return (
    <Page title="Audit" lead="Who changed what. Each row holds the hash of the one before, so that a row that is changed, taken out or put in shows." actions={<Button onClick={() => void verify()}>Verify the chain</Button>}>
      {error !== undefined && <Problem error={error} />}
      {verdict && (
        <div class={"note " + (verdict.ok ? "ok" : "bad")} role="status">
          {verdict.ok ? <><b>The chain is whole:</b> {plural(verdict.rows, "row")}. Note its head elsewhere; then it shows when the end is cut off.</> : <><b>The chain is broken</b> at row {verdict.broken}: {verdict.why}</>}
          {verdict.head && <div class="row small"><span class="mono wrap">{verdict.head}</span><Copy text={verdict.head} label="head" /></div>}
        </div>
      )}
      <Panel flush title="Changes" actions={<div class="filters">
        <Select label="Who" value={actor} set={(v) => setQuery({ actor: v })} options={[["", "everybody"], ...names]} />
        <Select label="What" value={action} set={(v) => setQuery({ action: v })} options={[["", "everything"], ...actions.map((a): [string, string] => [a, a])]} />
      </div>}>
        <Shown from={first} height={420}>
          {(f) => {
            const rows: AuditRow[] = [...f.rows, ...(older?.rows ?? []).filter((r) => !f.rows.some((x) => x.n === r.n))];
            const next = older ? older.next : f.next;
            return rows.length ? (
              <>
                <Table label="Changes" rows={rows} id={(r) => r.n} columns={[
                  { name: "Row", cell: (r) => <span class="muted">{count(r.n)}</span> },
                  { name: "Time", cell: (r) => <span class="nowrap">{brief(r.at)}</span> },
                  { name: "Who", cell: (r) => <span title={r.actor}>{names.get(r.actor) ?? <span class="mono">{r.actor}</span>}</span> },
                  { name: "What", cell: (r) => <Tag tone={/revoke|end|drop|refus/.test(r.action) ? "bad" : ""}>{r.action}</Tag> },
                  { name: "To what", cell: (r) => <span class="mono wrap">{r.subject}</span> },
                  { name: "Hash", low: true, cell: (r) => <span class="mono muted" title={r.hash}>{r.hash.slice(0, 10)}</span> },
                ]} />
                {next && <div class="in"><Button onClick={async () => { const page = await call<AuditList>("GET", query("audit", { actor, action, cursor: next })); setOlder({ rows: [...(older?.rows ?? []), ...page.rows], next: page.next }); }}>Older ones</Button></div>}
              </>
            ) : (
              <Empty title="Nothing was changed yet" actions={actor || action ? <Button onClick={() => setQuery({ actor: "", action: "" })}>Clear the filters</Button> : undefined}>Each change of a key, a budget, a member, a credential or the configuration stands here.</Empty>
            );
          }}
        </Shown>
      </Panel>
    </Page>
  );
}
