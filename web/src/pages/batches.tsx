import { useState } from "preact/hooks";
import { call, may, query, useApi } from "../api.js";
import { brief, compact, count, money, percent, plural, words } from "../format.js";
import { setQuery, url } from "../route.js";
import type { PageProps } from "../app.js";
import type { Job, JobAnswer, JobList, JobRetried } from "../schema.js";
import { Ago, Button, Dialog, Empty, Figures, Page, Panel, say, Select, Shown, Table, Tag, type Tone } from "../ui.js";

export default function Batches({ at }: PageProps) {
  return at.path[1] ? <One id={at.path[1]} at={at} /> : <List />;
}

const tones: Record<string, Tone> = { succeeded: "ok", failed: "bad", expired: "bad", canceled: "warn", submitted: "accent", running: "accent", realtime: "accent" };
const colors: Record<string, string> = { succeeded: "var(--ok)", failed: "var(--bad)", expired: "var(--bad)", canceled: "var(--warn)", queued: "var(--edge)", coalescing: "var(--edge)", submitted: "var(--c1)", running: "var(--c1)", ended: "var(--c1)", retrying: "var(--c2)", realtime: "var(--c3)" };

function List() {
  const jobs = useApi<JobList>("batches", 4000);
  const [older, setOlder] = useState<{ jobs: Job[]; next?: string }>();
  const more = async (next: string) => {
    const page = await call<JobList>("GET", query("batches", { cursor: next }));
    setOlder({ jobs: [...(older?.jobs ?? []), ...page.jobs], next: page.next });
  };
  return (
    <Page title="Batches" lead="Requests with a deadline: they wait in the providers' cheaper batches while there is time, and are asked in real time when there is none.">
      <Panel flush title="Jobs">
        <Shown from={jobs} height={300}>
          {(first) => {
            const rows = [...first.jobs, ...(older?.jobs ?? []).filter((j) => !first.jobs.some((x) => x.id === j.id))];
            const next = older ? older.next : first.next;
            return rows.length ? (
              <>
                <Table label="Jobs" rows={rows} id={(j) => j.id} columns={[
                  { name: "Job", cell: (j) => <span class="tight" style={{ gap: 0 }}><a href={url("batches", j.id)}>{j.name || <span class="mono">{j.id}</span>}</a><span class="small muted">{words(j.form)}, {brief(j.created)}</span></span> },
                  { name: "State", cell: (j) => <State j={j} /> },
                  { name: "Progress", cell: (j) => <Progress j={j} /> },
                  { name: "Deadline", cell: (j) => <Deadline j={j} /> },
                  { name: "Items", num: true, low: true, cell: (j) => count(j.items) },
                  { name: "Spent", num: true, cell: (j) => money(j.spent_nanodollars) },
                  { name: "Saved", num: true, cell: (j) => <Saved j={j} /> },
                ]} />
                {next && <div class="in"><Button onClick={() => void more(next)}>Older ones</Button></div>}
              </>
            ) : (
              <Empty title="There is no job yet" actions={<a class="btn" href={url("connect")}>Connect a client</a>}>Send one to <code>/v1/batches</code> or <code>/v1/messages/batches</code>, or add <code>Prefer: respond-async</code> and <code>x-headrace-deadline</code> to any request.</Empty>
            );
          }}
        </Shown>
      </Panel>
    </Page>
  );
}

function State({ j }: { j: Job }) {
  if (j.canceled) return <Tag tone="warn" dot>canceled</Tag>;
  const bad = j.counts.filter((c) => c.name === "failed" || c.name === "expired").reduce((n, c) => n + c.count, 0);
  if (j.ended) return bad ? <Tag tone="bad" dot>ended, {count(bad)} failed</Tag> : <Tag tone="ok" dot>ended</Tag>;
  return <Tag tone="accent" dot>{count(j.left)} to go</Tag>;
}

function Progress({ j }: { j: Job }) {
  const text = j.counts.filter((c) => c.count).map((c) => count(c.count) + " " + c.name).join(", ");
  return (
    <span class="tight" style={{ gap: "3px", minWidth: "150px" }}>
      <span class="meter" role="img" aria-label={text || "nothing yet"}>{j.counts.filter((c) => c.count).map((c) => <i style={{ "--w": (100 * c.count) / Math.max(1, j.items), background: colors[c.name] }} />)}</span>
      <span class="small muted">{j.items ? percent((j.items - j.left) / j.items, 0) : "–"}{text && <span class="lo"> · {text}</span>}</span>
    </span>
  );
}

/** Deadline is a line from the beginning to the deadline, and how far the time is. */
function Deadline({ j }: { j: Job }) {
  const from = new Date(j.created).getTime(), to = new Date(j.deadline).getTime(), end = j.ended ? new Date(j.ended).getTime() : Date.now();
  const share = Math.min(1, (end - from) / Math.max(1, to - from));
  const late = end > to;
  return (
    <span class="tight" style={{ gap: "3px", minWidth: "110px" }}>
      <span class={"meter " + (late ? "bad" : !j.ended && share > 0.8 ? "warn" : "")} role="img" aria-label={percent(share, 0) + " of the time to the deadline has gone"}><i style={{ "--w": share * 100 }} /></span>
      <span class="small muted nowrap">{j.ended ? (late ? "late" : "ended in " + percent(share, 0) + " of its time") : <Ago at={j.deadline} />}</span>
    </span>
  );
}

function Saved({ j }: { j: Job }) {
  const saved = j.real_time_nanodollars - j.spent_nanodollars - j.double_nanodollars;
  if (!j.real_time_nanodollars) return <span class="muted">–</span>;
  return <span class={saved > 0 ? "ok" : saved < 0 ? "bad" : ""} title={"in real time " + money(j.real_time_nanodollars)}>{money(saved)}</span>;
}

const states = ["queued", "coalescing", "submitted", "running", "ended", "retrying", "realtime", "succeeded", "failed", "canceled", "expired"];

function One({ id, at }: { id: string; at: PageProps["at"] }) {
  const state = at.query.get("state") ?? "", cursor = at.query.get("cursor") ?? "";
  const path = "batches/" + encodeURIComponent(id);
  const loaded = useApi<JobAnswer>(query(path, { state, cursor }), 4000);
  const [ending, end] = useState(false);
  const j = loaded.data?.job;
  const failed = j?.counts.filter((c) => ["failed", "expired", "canceled"].includes(c.name)).reduce((n, c) => n + c.count, 0) ?? 0;
  const retry = async () => {
    try {
      const r = await call<JobRetried>("POST", path + "/retry", { deadline: "24h" });
      say(plural(r.items, "item") + " queued again");
      loaded.reload();
    } catch (e) {
      say((e as Error).message);
    }
  };
  return (
    <Page title={"Job " + (j?.name || id)} lead={<a href={url("batches")}>All jobs</a>} actions={may("batches.write") && j && <>
      {failed > 0 && Boolean(j.ended) && <Button kind="main" onClick={() => void retry()}>Retry {plural(failed, "item")}</Button>}
      {!j.ended && !j.canceled && <Button kind="danger" onClick={() => end(true)}>Cancel</Button>}
    </>}>
      <Shown from={loaded} height={420}>
        {({ job: j, steps, next }) => (
          <>
            <Figures items={[
              { name: "State", value: j.canceled ? "canceled" : j.ended ? "ended" : "runs", note: count(j.items - j.left) + " of " + count(j.items) + " answered" },
              { name: "Deadline", value: <Ago at={j.deadline} />, note: "made " + brief(j.created) },
              { name: "Spent", value: money(j.spent_nanodollars), note: j.double_nanodollars ? money(j.double_nanodollars) + " for answers that came twice" : "so far" },
              { name: "In real time", value: j.real_time_nanodollars ? money(j.real_time_nanodollars) : "–", note: "the same answers" },
              { name: "Saved so far", value: <Saved j={j} />, note: j.real_time_nanodollars ? percent(1 - (j.spent_nanodollars + j.double_nanodollars) / j.real_time_nanodollars, 0) : "" },
            ]} />
            <Panel title="Progress"><div class="cols"><Progress j={j} /><Deadline j={j} /></div></Panel>
            <Panel flush title="Items" actions={<Select label="In state" value={state} set={(v) => setQuery({ state: v, cursor: "" })} options={[["", "any"], ...states.map((s): [string, string] => [s, s])]} />}>
              {steps.length ? <Table label="Items" rows={steps} id={(s) => s.index} loading={loaded.loading} columns={[
                { name: "Item", cell: (s) => <span class="mono nowrap">{s.custom_id || s.index}</span> },
                { name: "State", cell: (s) => <Tag dot tone={tones[s.state] ?? ""}>{s.state}</Tag> },
                { name: "Path", cell: (s) => <span class="tight" style={{ gap: 0 }}><span>{s.path === "realtime" ? "real time" : s.path || <span class="muted">not chosen yet</span>}</span>{s.why && <span class="small muted">{s.why}</span>}</span> },
                { name: "Model", low: true, cell: (s) => <span class="mono nowrap">{s.model}{s.target && s.provider + "/" + s.target !== s.model && <span class="muted"> → {s.provider}/{s.target}</span>}</span> },
                { name: "Tries", num: true, low: true, cell: (s) => count(s.tries) },
                { name: "Cost", num: true, cell: (s) => (s.cost_nanodollars ? money(s.cost_nanodollars) : <span class="muted">–</span>) },
                { name: "Changed", num: true, low: true, cell: (s) => <Ago at={s.changed} /> },
              ]} /> : <Empty title="No item is in this state">{compact(j.items)} in all.</Empty>}
              {(next || cursor) && <div class="in row">{cursor && <Button onClick={() => setQuery({ cursor: "" })}>To the first</Button>}{next && <Button onClick={() => setQuery({ cursor: next })}>Next ones</Button>}</div>}
            </Panel>
          </>
        )}
      </Shown>
      {ending && <Dialog title="Cancel this job" close={() => end(false)} danger action="Cancel the job" submit={async () => {
        await call("POST", path + "/cancel", {});
        end(false);
        loaded.reload();
      }}><p>Items that wait are not asked any more. What has its answer keeps it.</p></Dialog>}
    </Page>
  );
}
