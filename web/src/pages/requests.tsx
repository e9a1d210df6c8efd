import { useEffect, useRef, useState } from "preact/hooks";
import { get, query, useApi } from "../api.js";
import { brief, count, moment, money, percent, plural, span, words } from "../format.js";
import { setQuery, url } from "../route.js";
import type { PageProps } from "../app.js";
import type { Attempt, Explanation, KeyList, Request, RequestAnswer, RequestList, Tokens } from "../schema.js";
import { Ago, Button, Choice, Copy, Empty, Figures, Input, Page, Panel, Problem, Select, Shown, Table, Tag } from "../ui.js";

export default function Requests({ at }: PageProps) {
  return at.path[1] ? <One id={at.path[1]} /> : <List at={at} />;
}

const times: [string, string][] = [["1h", "1 h"], ["24h", "24 h"], ["7d", "7 days"], ["30d", "30 days"], ["all", "All"]];

/** The filters in words; all of them are the API's, so that they are applied there. */
const texts: [string, string, string][] = [["model", "Model", "provider/model"], ["asked", "Asked for", "route or model"], ["team", "Team", ""], ["route", "Route", ""], ["task", "Task", ""], ["tag", "Tag", ""], ["session", "Conversation", ""], ["provider", "Provider", ""], ["status", "Status", "429"]];
const all = ["key", "class", "id", ...texts.map(([name]) => name)];

function List({ at }: PageProps) {
  const q = at.query;
  const since = q.get("since") ?? "24h", errors = q.get("errors") ?? "";
  const given = Object.fromEntries(all.map((name) => [name, q.get(name) ?? ""]));
  const path = query("requests", { since: since === "all" ? "" : since, errors, ...given });
  const set = all.filter((name) => given[name]);
  const first = useApi<RequestList>(path, 4000);
  const keys = useApi<KeyList>("keys");
  const [older, setOlder] = useState<{ path: string; rows: Request[]; next?: string }>({ path, rows: [] });
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const [more, setMore] = useState(set.some((name) => !["key", "class", "model"].includes(name)));
  const mine = older.path === path ? older : { path, rows: [], next: undefined };
  // While rows come in at the top, the pages below stay as they were read.
  const known = new Set(first.data?.requests.map((r) => r.id));
  const rows = [...(first.data?.requests ?? []), ...mine.rows.filter((r) => !known.has(r.id))];
  const next = mine.rows.length ? mine.next : first.data?.next;
  const on = async () => {
    setBusy(true);
    setError(undefined);
    try {
      const page = await get<RequestList>(path + (path.includes("?") ? "&" : "?") + "cursor=" + encodeURIComponent(next!));
      setOlder({ path, rows: [...mine.rows.length ? mine.rows : first.data!.requests, ...page.requests], next: page.next });
    } catch (e) {
      setError(e);
    }
    setBusy(false);
  };
  return (
    <Page title="Requests" lead="Every request is a row, also those that were refused. Filters stand in the address, so that a view can be sent to somebody.">
      <Panel flush title={<>Requests {set.length > 0 && <Tag tone="accent">{set.length === 1 ? "1 filter" : set.length + " filters"}</Tag>}</>} actions={<>
        <Choice label="How they ended" value={errors} set={(v) => setQuery({ errors: v })} options={[["", "All"], ["true", "Failed"]]} />
        <Choice label="Since" value={since} set={(v) => setQuery({ since: v === "24h" ? "" : v })} options={times} />
      </>}>
        <div class="in" style={{ borderBottom: "1px solid var(--line)" }}>
          <div class="filters">
            <Select label="Key" value={given["key"]!} set={(v) => setQuery({ key: v })} options={[["", "all"], ...(keys.data?.keys.filter((k) => !k.admin).map((k): [string, string] => [k.id, (k.name || k.id) + (k.state === "active" ? "" : ", " + k.state)]) ?? (given["key"] ? [[given["key"], given["key"]] as [string, string]] : []))]} />
            <Select label="Error" value={given["class"]!} set={(v) => setQuery({ class: v })} options={[["", "any or none"], ...classes.map((c): [string, string] => [c, words(c)])]} />
            <Late label="Model" name="model" value={given["model"]!} placeholder="provider/model" wide />
            <Late label="Id begins with" name="id" value={given["id"]!} placeholder="req_" />
            <Button kind="quiet" onClick={() => setMore(!more)}>{more ? "Fewer filters" : "More filters"}</Button>
            {set.length > 0 && <Button kind="quiet" onClick={() => setQuery(Object.fromEntries(all.map((name) => [name, ""])))}>Clear</Button>}
          </div>
          {more && <div class="filters" style={{ marginTop: "10px" }}>{texts.slice(1).map(([name, label, hint]) => <Late label={label} name={name} value={given[name]!} placeholder={hint} />)}</div>}
        </div>
        <Shown from={first} height={560}>
          {() => (
            <>
              {rows.length ? <Rows rows={rows} loading={first.loading} /> : next ? (
                <Empty title="Nothing found so far">The search went back for as long as one look may take.</Empty>
              ) : (
                <Empty title={set.length || errors ? "No request fits" : "No request in this time"} actions={set.length ? <Button onClick={() => setQuery(Object.fromEntries(all.map((name) => [name, ""])))}>Clear the filters</Button> : <><a class="btn main" href={url("playground")}>Ask something</a><a class="btn" href={url("connect")}>Connect a client</a></>}>{set.length ? "Take a filter away, or look further back." : "Requests stand here a moment after they have ended."}</Empty>
              )}
              {error !== undefined && <div class="in"><Problem error={error} /></div>}
              {next && <div class="in"><Button onClick={() => void on()} disabled={busy}>{busy ? "Looking" : rows.length ? "Older ones" : "Search further back"}</Button> <span class="small muted">{plural(rows.length, "row")} shown</span></div>}
            </>
          )}
        </Shown>
      </Panel>
    </Page>
  );
}

const classes = ["rate_limited", "quota_exhausted", "overloaded", "server_error", "timeout", "slow_start", "slow_stream", "content_refused", "context_overflow", "invalid_request", "auth", "model_not_found", "client_gone", "malformed_upstream", "unauthenticated", "forbidden", "not_found", "too_large", "unsupported", "unavailable"];

/** Late is a text that is looked for a moment after the last letter. */
function Late(p: { label: string; name: string; value: string; placeholder?: string; wide?: boolean }) {
  const [text, set] = useState(p.value);
  const timer = useRef(0);
  useEffect(() => set(p.value), [p.value]);
  useEffect(() => () => clearTimeout(timer.current), []);
  return <Input label={p.label} type="search" value={text} wide={p.wide} placeholder={p.placeholder} spellcheck={false} autocomplete="off" set={(v) => {
    set(v);
    clearTimeout(timer.current);
    timer.current = window.setTimeout(() => setQuery({ [p.name]: v.trim() }), 350);
  }} />;
}

export function Rows(p: { rows: Request[]; loading?: boolean; short?: boolean }) {
  return (
    <Table label="Requests" rows={p.rows} id={(r) => r.id} loading={p.loading} columns={[
      { name: "Time", cell: (r) => <a class="nowrap" href={url("requests", r.id)}>{brief(r.start)}</a> },
      { name: "Ended", cell: (r) => <Outcome r={r} /> },
      { name: "Asked for → answered by", cell: (r) => <span class="mono nowrap">{r.asked || <span class="muted">{words(r.op)}</span>}{r.provider && r.provider + "/" + r.model !== r.asked && <span class="muted"> → {r.provider}/{r.model}</span>}</span> },
      ...(p.short ? [] : [{ name: "Key", low: true, cell: (r: Request) => r.key_name || <span class="muted">–</span> }]),
      { name: "Tokens", num: true, low: true, cell: (r) => (r.usage.source ? <span class="nowrap" title="in → out">{count(inputOf(r.usage))} → {count(r.usage.output)}</span> : <span class="muted">–</span>) },
      { name: "Cost", num: true, cell: (r) => <Price c={r.cost} used={Boolean(r.usage.source)} /> },
      { name: "First byte", num: true, low: true, cell: (r) => (r.first_byte_ms ? span(r.first_byte_ms) : <span class="muted">–</span>) },
      { name: "All", num: true, cell: (r) => span(r.total_ms) },
    ]} />
  );
}

const inputOf = (u: Tokens) => u.input + u.cache_read + u.cache_write_5m + u.cache_write_1h;

function Price(p: { c: { nanodollars: number; priced: boolean }; used: boolean }) {
  if (p.c.priced) return <>{money(p.c.nanodollars)}</>;
  return p.used ? <span class="warn" title="There is no known price; it is not free">unpriced</span> : <span class="muted">–</span>;
}

function Outcome({ r }: { r: Request }) {
  if (!r.class) return <Tag tone="ok" dot>{r.status}</Tag>;
  return <Tag tone={r.class === "client_gone" ? "warn" : "bad"} dot title={words(r.class)}>{r.status ? r.status + " " : ""}{words(r.class)}</Tag>;
}

function One({ id }: { id: string }) {
  const loaded = useApi<RequestAnswer>("requests/" + encodeURIComponent(id));
  return (
    <Page title={"Request " + id} name={<>Request <span class="mono" style={{ fontSize: "17px" }}>{id}</span></>} lead={<a href={url("requests")}>All requests</a>} actions={<Copy text={id} label="id" quiet={false} />}>
      <Shown from={loaded} height={500}>{({ request: r }) => <Detail r={r} />}</Shown>
    </Page>
  );
}

function Detail({ r }: { r: Request }) {
  const attempts = r.attempts ?? [];
  return (
    <>
      <Figures items={[
        { name: "Ended", value: r.class ? words(r.class) : "well", tone: r.class ? "bad" : "ok", note: "status " + (r.status || "none") + (r.stream ? ", streamed" : "") },
        { name: "Cost", value: r.cost.priced ? money(r.cost.nanodollars) : r.usage.source ? "unpriced" : "–", note: r.usage.source === "estimated" ? "of an estimate" : r.usage.source ? "as the provider counts" : "nothing was used" },
        { name: "Tokens", value: r.usage.source ? count(inputOf(r.usage)) + " → " + count(r.usage.output) : "–", note: [r.usage.cache_read && count(r.usage.cache_read) + " from a cache", r.usage.reasoning && count(r.usage.reasoning) + " thought"].filter(Boolean).join(", ") || "in and out" },
        { name: "First byte", value: r.first_byte_ms ? span(r.first_byte_ms) : "–", note: "of the answer" },
        { name: "All of it", value: span(r.total_ms), note: attempts.length === 1 ? "1 attempt" : attempts.length + " attempts" },
      ]} />
      <Panel title="Attempts">
        {attempts.length ? <Waterfall r={r} attempts={attempts} /> : <p class="muted">No provider was asked.</p>}
      </Panel>
      <Why id={r.id} />
      {r.warnings.length > 0 && <Panel title="Warnings"><ul class="tight" style={{ paddingLeft: "18px" }}>{r.warnings.map((w) => <li class="wrap">{w}</li>)}</ul></Panel>}
      <div class="two">
        <Panel title="What was asked">
          <dl class="kv">
            <dt>Began</dt><dd>{moment(r.start)} (<Ago at={r.start} />)</dd>
            <dt>Model</dt><dd class="mono">{r.asked || "–"}</dd>
            <dt>Answered by</dt><dd class="mono">{r.provider ? r.provider + "/" + r.model : "nobody"}</dd>
            <dt>Door</dt><dd>{r.dialect}, {words(r.op)}{r.stream ? ", streamed" : ""}</dd>
            <dt>Key</dt><dd><a href={url("requests") + "?key=" + encodeURIComponent(r.key)}>{r.key_name || r.key || "none"}</a>{r.team && <> of team <a href={url("requests") + "?team=" + encodeURIComponent(r.team)}>{r.team}</a></>}</dd>
            {r.route && <><dt>Route</dt><dd><a href={url("routes", r.route)}>{r.route}</a></dd></>}
            {r.experiment && <><dt>Experiment</dt><dd><a href={url("experiments", r.experiment)}>{r.experiment}</a>, arm {r.arm}{r.copy_of && <>, a copy of <a class="mono" href={url("requests", r.copy_of)}>{r.copy_of}</a></>}</dd></>}
            {r.task && <><dt>Task</dt><dd><a href={url("requests") + "?task=" + encodeURIComponent(r.task)}>{r.task}</a></dd></>}
            {r.tags && r.tags.length > 0 && <><dt>Tags</dt><dd>{r.tags.map((t) => <a class="tag" href={url("requests") + "?tag=" + encodeURIComponent(t)}>{t}</a>)}</dd></>}
            {r.session && <><dt>Conversation</dt><dd><a class="mono" href={url("requests") + "?since=all&session=" + encodeURIComponent(r.session)}>{r.session}</a></dd></>}
          </dl>
        </Panel>
        <Panel title="Usage and cost" flush><Usage r={r} attempts={attempts} /></Panel>
      </div>
      <Curl r={r} />
    </>
  );
}

function Waterfall({ r, attempts }: { r: Request; attempts: Attempt[] }) {
  const begun = new Date(r.start).getTime();
  const end = Math.max(r.total_ms, ...attempts.map((a) => new Date(a.start).getTime() - begun + a.total_ms), 1);
  return (
    <div class="fall" role="list" aria-label="Attempts in time">
      {attempts.map((a) => {
        const at = Math.max(0, new Date(a.start).getTime() - begun);
        const wait = a.class ? a.total_ms : Math.min(a.first_byte_ms || a.total_ms, a.total_ms);
        return (
          <div class="lane" role="listitem">
            <div class="tight" style={{ gap: "1px" }}>
              <span class="mono nowrap">{a.provider}/{a.model}</span>
              <span class="small muted">{words(a.why)}{a.status ? ", status " + a.status : ""}</span>
              {a.class && <span class="small bad wrap">{words(a.class)}{a.message ? ": " + a.message : ""}</span>}
            </div>
            <div class="track" role="img" aria-label={`Attempt ${a.n}: began after ${span(at)}, first byte after ${span(a.first_byte_ms)}, took ${span(a.total_ms)}`}>
              <i class={a.class ? "failed" : "wait"} style={{ "--x": (100 * at) / end, "--w": (100 * wait) / end }} />
              {!a.class && a.total_ms > wait && <i style={{ "--x": (100 * (at + wait)) / end, "--w": (100 * (a.total_ms - wait)) / end }} />}
            </div>
            <span class="num">{span(a.total_ms)}</span>
          </div>
        );
      })}
      <div class="between small muted"><span>Outlined until the first byte, then filled while the answer came.</span><span>0 to {span(end)}</span></div>
    </div>
  );
}

function Usage({ r, attempts }: { r: Request; attempts: Attempt[] }) {
  const rows: { name: string; u: Tokens; c: { nanodollars: number; priced: boolean } }[] = attempts.map((a) => ({ name: a.n + ". " + a.provider, u: a.usage, c: a.cost }));
  if (rows.length !== 1) rows.push({ name: "All", u: r.usage, c: r.cost });
  return (
    <Table label="Usage of each attempt" rows={rows} id={(x) => x.name} columns={[
      { name: "Attempt", cell: (x) => x.name },
      { name: "Fresh", num: true, cell: (x) => count(x.u.input) },
      { name: "Cached", num: true, cell: (x) => count(x.u.cache_read) },
      { name: "Written", num: true, low: true, cell: (x) => count(x.u.cache_write_5m + x.u.cache_write_1h) },
      { name: "Out", num: true, cell: (x) => count(x.u.output) },
      { name: "Cost", num: true, cell: (x) => <Price c={x.c} used={Boolean(x.u.source)} /> },
    ]} />
  );
}

/** Why is what could have been asked, and what was expected of it; nothing for a request that went the one way there was. */
function Why({ id }: { id: string }) {
  const loaded = useApi<Explanation>("requests/" + encodeURIComponent(id) + "/explain");
  const e = loaded.data;
  if (!e || (!e.candidates.length && !e.feedback.length && !e.why)) return null;
  return (
    <Panel flush title={<>Why it went there {e.route && <a class="tag accent" href={url("routes", e.route)}>{e.route}</a>}</>} actions={e.task ? <span class="small muted">task {e.task}</span> : undefined}
      foot={e.candidates.length > 0 ? `Chosen by ${words(e.rule)}; this rests on ${+e.labels.toPrecision(3)} pieces of feedback${e.delta >= 0 ? `, and up to ${percent(e.delta)} of success may be given up for the price` : ""}.` : undefined}>
      {e.why && <div class="in">{e.why}{e.fault && <span class="bad"> What was wrong with the answer: {e.fault}.</span>}</div>}
      {e.candidates.length > 0 && <Table label="What could have been asked" rows={e.candidates} id={(c) => c.rung + c.target + c.thinking} dim={(c) => Boolean(c.left)} columns={[
        { name: "Target", cell: (c) => <span class="row" style={{ flexWrap: "nowrap" }}>{c.rung > 0 && <span class="step" aria-hidden="true">{c.rung}</span>}<span class="mono nowrap">{c.target}</span>{c.thinking && <Tag>thinks {c.thinking}</Tag>}{c.first ? <Tag tone="accent">asked first</Tag> : c.asked ? <Tag tone="accent">asked</Tag> : null}{c.collapsed && <Tag tone="bad">collapsed</Tag>}</span> },
        { name: "Expected success", num: true, cell: (c) => (c.left ? <span class="muted">–</span> : percent(c.expected_success)) },
        { name: "Expected cost", num: true, cell: (c) => (c.expected_cost_nanodollars === undefined ? <span class="muted">–</span> : money(c.expected_cost_nanodollars)) },
        { name: "First token, p95", num: true, low: true, cell: (c) => (c.expected_first_token_p95_ms ? span(c.expected_first_token_p95_ms) : <span class="muted">–</span>) },
        { name: "Chance", num: true, low: true, cell: (c) => (c.left ? <span class="muted">–</span> : percent(c.chance)) },
        { name: "Left out because", cell: (c) => c.left ?? "" },
      ]} />}
      {e.feedback.length > 0 && <Table label="What came to be known of it" rows={e.feedback} id={(f) => f.at + f.signal} columns={[
        { name: "Feedback", cell: (f) => (f.explicit ? <Tag tone="accent">said</Tag> : <Tag>{words(f.signal)}</Tag>) },
        { name: "Score", num: true, cell: (f) => +f.score.toPrecision(3) },
        { name: "Worth", num: true, cell: (f) => (f.value_nanodollars === undefined ? <span class="muted">–</span> : money(f.value_nanodollars)) },
        { name: "When", num: true, cell: (f) => <Ago at={f.at} /> },
      ]} />}
    </Panel>
  );
}

/** The paths at which a dialect is asked, for the curl line. */
const doors: Record<string, Record<string, string>> = {
  openai: { chat: "/v1/chat/completions", embed: "/v1/embeddings", moderate: "/v1/moderations" },
  responses: { chat: "/v1/responses" },
  anthropic: { chat: "/v1/messages", count_tokens: "/v1/messages/count_tokens" },
  ollama: { chat: "/api/chat", embed: "/api/embed" },
};

/** curl writes a request like this one; its words are not kept, so they are for the reader to fill in. */
export function curl(r: Request): string {
  const path = r.dialect === "gemini" ? `/v1beta/models/${r.asked}:${r.stream ? "streamGenerateContent?alt=sse" : "generateContent"}` : doors[r.dialect]?.[r.op];
  if (!path || !r.asked) return "";
  const body = r.dialect === "gemini" ? { contents: [{ role: "user", parts: [{ text: "..." }] }] }
    : r.op === "embed" ? { model: r.asked, input: "..." }
    : r.dialect === "responses" ? { model: r.asked, stream: r.stream || undefined, input: "..." }
    : { model: r.asked, stream: r.dialect === "ollama" ? r.stream : r.stream || undefined, max_tokens: r.dialect === "anthropic" ? 1024 : undefined, messages: [{ role: "user", content: "..." }] };
  const quote = (s: string) => "'" + s.replaceAll("'", `'\\''`) + "'";
  return [`curl -sS${r.stream ? "N" : ""} ${quote(location.origin + path)}`, `-H "Authorization: Bearer $HEADRACE_KEY"`, ...(r.dialect === "anthropic" ? ["-H 'anthropic-version: 2023-06-01'"] : []), "-H 'Content-Type: application/json'", "-d " + quote(JSON.stringify(body))].join(" \\\n  ");
}

function Curl({ r }: { r: Request }) {
  const text = curl(r);
  if (!text) return null;
  return (
    <Panel title="The same as curl" actions={<Copy text={text} label="as curl" quiet={false} />}>
      <div class="code"><pre tabIndex={0} role="group" aria-label="curl line">{text}</pre></div>
      <p class="small muted" style={{ marginTop: "8px" }}>What was said is not kept, so put your own words in place of the dots.</p>
    </Panel>
  );
}
