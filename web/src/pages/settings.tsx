import { useState } from "preact/hooks";
import { call, change, may, useApi } from "../api.js";
import { brief, count, dollars, money, percent, span } from "../format.js";
import { setQuery, url } from "../route.js";
import type { PageProps } from "../app.js";
import type { Bounded, ConfigAnswer, ConfigCheck, ConfigHistory, ConfigPast, ConfigVersion, Replay, Status } from "../schema.js";
import { Ago, Button, Code, Dialog, Empty, Field, Figures, Input, Page, Panel, Problem, say, Shown, Table, Tag } from "../ui.js";

const tabs: [string, string][] = [["", "Configuration"], ["effective", "In force"], ["history", "History"], ["about", "This gateway"]];

export default function Settings({ at }: PageProps) {
  const view = at.query.get("view") ?? "";
  const config = useApi<ConfigAnswer>(view === "about" ? null : "config");
  return (
    <Page title="Settings" lead="The configuration is a file. What is changed here is checked, shown as a difference, written to the file and in force at once, or nothing happens.">
      <div class="tabs" role="navigation" aria-label="Settings">
        {tabs.map(([id, name]) => <a href={url("settings") + (id ? "?view=" + id : "")} aria-current={view === id ? "page" : undefined} onClick={(e) => { e.preventDefault(); setQuery({ view: id }); }}>{name}</a>)}
      </div>
      {view === "about" ? <About /> : view === "history" ? <History done={config.reload} /> : view === "effective" ? (
        <Panel title="Everything that is in force"><Shown from={config} height={420}>{({ config: c }) => <Code text={c.effective} label="the configuration in force" />}</Shown></Panel>
      ) : (
        <Shown from={config} height={520}>{({ config: c }) => c.file ? <Edit key={c.text} text={c.text} file={c.file} why={c.writable ? "" : c.read_only ?? "The file cannot be written."} done={config.reload} /> : (
          <Panel label="Configuration"><Empty title="There is no configuration file">Everything is as it comes, and providers are found in the environment. Write a file with <code>headrace init</code> and start with <code>headrace serve --config headrace.yaml</code>; then it can be changed here.</Empty></Panel>
        )}</Shown>
      )}
    </Page>
  );
}

function Edit(p: { text: string; file: string; why: string; done: () => void }) {
  const [text, setText] = useState(p.text), [note, setNote] = useState("");
  const [check, setCheck] = useState<ConfigCheck>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const write = may("config.write") && !p.why;
  const run = async (what: () => Promise<void>) => {
    setBusy(true);
    setError(undefined);
    try {
      await what();
    } catch (e) {
      setError(e);
    }
    setBusy(false);
  };
  const validate = () => run(async () => setCheck(await call<ConfigCheck>("POST", "config/validate", { text, note })));
  const apply = () => run(async () => {
    const done = await change<ConfigCheck>("PUT", "config", { text, note });
    setCheck(done);
    if (!done.ok) return;
    say("In force");
    setCheck(undefined);
    p.done();
  });
  const edit = (v: string) => {
    setText(v);
    setCheck(undefined); // what was checked is another text
  };
  return (
    <>
      <Panel title={<span class="mono">{p.file}</span>} actions={text !== p.text && <Button kind="quiet" onClick={() => edit(p.text)}>Undo all</Button>}>
        <div class="form">
          {p.why && <div class="note warn">{p.why}</div>}
          <Field label="Configuration, YAML" hint={<>Secrets are shown as <code>(kept …)</code>; what still says so stays as it was. <code>{"${NAME}"}</code> takes a variable of the environment.</>}>
            {(id) => <textarea {...id} class="mono editor" spellcheck={false} rows={Math.min(30, Math.max(12, text.split("\n").length + 1))} value={text} readOnly={!write} onInput={(e) => edit(e.currentTarget.value)} />}
          </Field>
          <div class="between">
            {write ? <Input wide label="Note for the history" value={note} set={setNote} maxLength={200} placeholder="why" /> : <span />}
            <div class="row">
              <Button onClick={() => void validate()} disabled={busy}>Check</Button>
              {write && <Button kind="main" onClick={() => void apply()} disabled={busy || !check?.ok || !check.diff}>Apply</Button>}
            </div>
          </div>
          {write && !check && text !== p.text && <p class="small muted">Check it first: then you see what would change.</p>}
          {error !== undefined && <Problem error={error} />}
        </div>
      </Panel>
      {check && <Checked c={check} />}
      {check?.ok && check.diff && may("requests.read") && <Again text={text} />}
    </>
  );
}

function Checked({ c }: { c: ConfigCheck }) {
  return (
    <Panel title={c.ok ? (c.diff ? "What would change" : "Nothing would change") : "It would not be taken"} actions={<Tag dot tone={c.ok ? "ok" : "bad"}>{c.ok ? "valid" : c.problems.length + " wrong"}</Tag>}>
      <div class="stack" role="status">
        {c.problems.length > 0 && <ul class="tight" style={{ listStyle: "none" }}>{c.problems.map((x) => (
          <li class="note bad"><b>{x.line ? `Line ${x.line}${x.column ? ", column " + x.column : ""}` : x.path || "The file"}</b>{x.line && x.path ? <span class="mono muted"> {x.path}</span> : null}<div class="wrap">{x.message}</div>{x.source && <pre class="small muted wrap">{x.source}</pre>}</li>
        ))}</ul>}
        {c.diff && <Diff text={c.diff} />}
        {c.later.length > 0 && <div class="note warn">At the next start only: {c.later.join(", ")}</div>}
        {c.notes.map((n) => <div class="note">{n}</div>)}
        {c.ok && !c.diff && <p class="muted">The text says what is in force already.</p>}
      </div>
    </Panel>
  );
}

/** Again says what the requests of the last week would have come to under another configuration. */
function Again({ text }: { text: string }) {
  const [done, setDone] = useState<Replay>();
  const [error, setError] = useState<unknown>();
  const [busy, setBusy] = useState(false);
  const run = async () => {
    setBusy(true);
    setError(undefined);
    try {
      setDone(await call<Replay>("POST", "replay?since=7d", { config: text }));
    } catch (e) {
      setError(e);
    }
    setBusy(false);
  };
  const pair = (was: Bounded | undefined, is: Bounded | undefined, show: (v: number) => string) => (is ? <>{show(is.value)}<span class="small muted"> was {was ? show(was.value) : "–"}</span></> : "–");
  const within = (b: Bounded | undefined, show: (v: number) => string) => (b ? `between ${show(b.low)} and ${show(b.high)}` : "nothing is known");
  return (
    <Panel title="What the last 7 days would have come to" actions={<Button onClick={() => void run()} disabled={busy}>{busy ? "Working it out" : "Work it out"}</Button>}>
      {error !== undefined && <Problem error={error} />}
      {!done ? <p class="muted">Every request of the last week, decided again under this configuration; nobody is asked.</p> : (
        <div class="stack" role="status">
          <Figures items={[
            { name: "Requests", value: count(done.requests), note: `${count(done.changed)} would go elsewhere, ${count(done.refused)} nowhere` },
            { name: "Success", value: pair(done.success_was, done.success, (v) => percent(v)), note: within(done.success, (v) => percent(v)) },
            { name: "A request costs", value: pair(done.cost_was, done.cost, dollars), note: within(done.cost, dollars) },
            { name: "Latency", value: pair(done.latency_was, done.latency, (v) => span(v * 1000)), note: within(done.latency, (v) => span(v * 1000)) },
          ]} />
          {done.changes.length > 0 && <Table label="Requests that would go elsewhere" rows={done.changes.slice(0, 20)} id={(c) => c.id} columns={[
            { name: "Time", cell: (c) => <a class="nowrap" href={url("requests", c.id)}>{brief(c.start)}</a> },
            { name: "Asked for", low: true, cell: (c) => <span class="mono nowrap">{c.asked}</span> },
            { name: "From → to", cell: (c) => <span class="mono nowrap">{c.from} → {c.to || <span class="bad">nowhere</span>}</span> },
            { name: "Cost", num: true, cell: (c) => <span class="nowrap">{c.cost_was_nanodollars === undefined ? "–" : money(c.cost_was_nanodollars)} → {c.cost_nanodollars === undefined ? "–" : money(c.cost_nanodollars)}</span> },
            { name: "Why", low: true, cell: (c) => c.why },
          ]} />}
          {done.notes.map((n) => <p class="small muted">{n}</p>)}
        </div>
      )}
    </Panel>
  );
}

function Diff({ text }: { text: string }) {
  return <div class="diff code" tabIndex={0} role="group" aria-label="Difference">{text.replace(/\n$/, "").split("\n").map((l) => <div class={/^\+(?!\+\+)/.test(l) ? "add" : /^-(?!--)/.test(l) ? "del" : /^(@@|\+\+\+|---)/.test(l) ? "muted" : undefined}>{l || " "}</div>)}</div>;
}

function History(p: { done: () => void }) {
  const list = useApi<ConfigHistory>("config/history");
  const [shown, show] = useState<ConfigVersion>();
  return (
    <Panel flush title="Configurations that were in force">
      <Shown from={list} height={260}>
        {({ versions: rows }) => rows.length ? (
          <Table label="History" rows={rows} id={(v) => v.id} columns={[
            { name: "Since", cell: (v) => <span class="nowrap">{brief(v.at)}</span> },
            { name: "By", cell: (v) => v.by },
            { name: "Why", cell: (v) => <span class="wrap">{v.why || "–"}</span> },
            { name: "SHA-256", low: true, cell: (v) => <span class="mono muted">{v.sum.slice(0, 12)}</span> },
            { name: <span class="sr">What to do</span>, num: true, cell: (v) => (v.current ? <Tag tone="ok" dot>in force</Tag> : <Button slim onClick={() => show(v)} label={"Look at number " + v.id}>Look</Button>) },
          ]} />
        ) : <Empty title="There is no history yet">Each configuration that comes into force is kept here, so that one can go back to it.</Empty>}
      </Shown>
      {shown && <Past v={shown} close={() => show(undefined)} done={() => { show(undefined); list.reload(); p.done(); }} />}
    </Panel>
  );
}

function Past(p: { v: ConfigVersion; close: () => void; done: () => void }) {
  const past = useApi<ConfigPast>("config/history/" + p.v.id);
  return (
    <Dialog title={"In force since " + brief(p.v.at)} wide close={p.close} action="Go back to it" danger submit={may("config.write") ? async () => {
      const read = await fetch("/admin/v1/config", { credentials: "same-origin" });
      const done = await call<ConfigCheck>("POST", "config/rollback", { id: p.v.id }, { headers: { "If-Match": read.headers.get("ETag") ?? "" } });
      if (!done.ok) throw new Error(done.problems.map((x) => x.message).join("; "));
      say("In force");
      p.done();
    } : undefined}>
      <Shown from={past} height={240}>{(c) => c.diff ? <><p>Going back would change:</p><Diff text={c.diff} /></> : <p>It says the same as what is in force.</p>}</Shown>
    </Dialog>
  );
}

function About() {
  const status = useApi<Status>("status", 3000);
  return (
    <Shown from={status} height={300}>
      {(s) => (
        <>
          <Panel title="This gateway">
            <dl class="kv">
              <dt>Version</dt><dd>{s.version}</dd>
              <dt>Listens on</dt><dd class="mono">{s.listen}</dd>
              <dt>State</dt><dd class="mono">{s.data}</dd>
              <dt>Configuration</dt><dd class="mono">{s.config || "none"}</dd>
              <dt>Started</dt><dd>{brief(s.started)} (<Ago at={s.started} />), {span(Date.now() - new Date(s.started).getTime())} ago</dd>
              <dt>Ready</dt><dd>{s.ready ? <Tag tone="ok" dot>yes</Tag> : <Tag tone="warn" dot>no</Tag>}</dd>
              <dt>Running</dt><dd>{s.load.running}{s.load.limit ? " of " + s.load.limit : ""}, {s.load.waiting} waiting, {s.streams} streams</dd>
              <dt>Ledger</dt><dd>{s.ledger_waiting} rows wait to be written, {s.ledger_dropped} lost</dd>
            </dl>
          </Panel>
          {s.notes.length > 0 && <Panel title="To know"><ul class="tight" style={{ paddingLeft: "18px" }}>{s.notes.map((n) => <li class="wrap">{n}</li>)}</ul></Panel>}
        </>
      )}
    </Shown>
  );
}
