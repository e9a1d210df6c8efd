// The pieces that pages are made of. Text from outside is only ever given to them as children.
import type { ComponentChildren } from "preact";
import { useEffect, useId, useRef, useState } from "preact/hooks";
import { ApiError, type Loaded } from "./api.js";
import { ago, moment } from "./format.js";
import { wentOn } from "./route.js";

type Kids = { children?: ComponentChildren };

/** Page is a page with its heading, which takes the focus when one comes to it. */
export function Page(p: { title: string; lead?: ComponentChildren; actions?: ComponentChildren; name?: ComponentChildren } & Kids) {
  const heading = useRef<HTMLHeadingElement>(null);
  useEffect(() => {
    document.title = p.title + " · Headrace";
  }, [p.title]);
  useEffect(() => {
    if (wentOn() && (document.activeElement === document.body || document.activeElement?.closest("nav, a"))) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <div class="page">
      <header>
        <div class="grow">
          <h1 ref={heading} tabIndex={-1}>{p.name ?? p.title}</h1>
          {p.lead && <p>{p.lead}</p>}
        </div>
        {p.actions && <div class="row">{p.actions}</div>}
      </header>
      {p.children}
    </div>
  );
}

export function Panel(p: { title?: ComponentChildren; actions?: ComponentChildren; foot?: ComponentChildren; flush?: boolean; class?: string; label?: string } & Kids) {
  const id = useId();
  return (
    <section class={"panel " + (p.class ?? "")} aria-labelledby={p.title ? id : undefined} aria-label={p.title ? undefined : p.label}>
      {(p.title || p.actions) && (
        <header>
          <h2 id={id}>{p.title}</h2>
          {p.actions && <div class="row">{p.actions}</div>}
        </header>
      )}
      {p.flush ? p.children : <div class="in">{p.children}</div>}
      {p.foot && <footer class="small">{p.foot}</footer>}
    </section>
  );
}

/** Figures are the few numbers that matter most, side by side. */
export function Figures(p: { items: { name: string; value: ComponentChildren; note?: ComponentChildren; tone?: Tone; title?: string }[] }) {
  return (
    <dl class="figures">
      {p.items.map((i) => (
        <div class="figure" key={i.name} title={i.title}>
          <dt>{i.name}</dt>
          <dd class={"v " + (i.tone ?? "")}>{i.value}</dd>
          {i.note !== undefined && <dd class="n">{i.note}</dd>}
        </div>
      ))}
    </dl>
  );
}

export type Tone = "" | "ok" | "warn" | "bad" | "accent";

export function Tag(p: { tone?: Tone; dot?: boolean; title?: string } & Kids) {
  return (
    <span class={"tag " + (p.tone ?? "")} title={p.title}>
      {p.dot && <span class="dot" />}
      {p.children}
    </span>
  );
}

export function Button(p: { onClick?: (e: MouseEvent) => void; kind?: "main" | "quiet" | "danger" | "main danger"; slim?: boolean; type?: "submit" | "button"; disabled?: boolean; title?: string; label?: string } & Kids) {
  return (
    <button type={p.type ?? "button"} class={"btn " + (p.kind ?? "") + (p.slim ? " slim" : "")} onClick={p.onClick} disabled={p.disabled} title={p.title} aria-label={p.label}>
      {p.children}
    </button>
  );
}

/** Column is one column of a table. */
export interface Column<T> {
  name: ComponentChildren;
  cell: (row: T) => ComponentChildren;
  num?: boolean;
  /** low columns go first where there is little room. */
  low?: boolean;
  /** by makes the column one to sort by. */
  by?: (row: T) => number | string;
  class?: string;
}

/**
 * Table shows rows. The first column heads its row. It can be scrolled sideways with the keyboard where it is too wide.
 */
export function Table<T>(p: { label: string; rows: T[]; columns: Column<T>[]; id: (row: T) => string | number; dim?: (row: T) => boolean; sort?: [number, 1 | -1]; loading?: boolean; foot?: ComponentChildren }) {
  const [sort, setSort] = useState<[number, 1 | -1] | undefined>(p.sort);
  const by = sort && p.columns[sort[0]]?.by;
  const rows = by ? [...p.rows].sort((a, b) => order(by(a), by(b)) * sort[1]) : p.rows;
  return (
    <div class={"scroll" + (p.loading ? " loading" : "")} role="group" aria-label={p.label} tabIndex={0}>
      <table>
        <caption class="sr">{p.label}</caption>
        <thead>
          <tr>
            {p.columns.map((c, i) => (
              <th scope="col" class={classes(c)} aria-sort={sort && sort[0] === i ? (sort[1] === 1 ? "ascending" : "descending") : undefined}>
                {c.by ? (
                  <button type="button" class="sort" onClick={() => setSort([i, sort && sort[0] === i ? (-sort[1] as 1 | -1) : c.num ? -1 : 1])}>
                    {c.name} {sort && sort[0] === i ? <span aria-hidden="true">{sort[1] === 1 ? "↑" : "↓"}</span> : null}
                  </button>
                ) : (
                  c.name
                )}
              </th>
            ))}
          </tr>
        </thead>
        <tbody>
          {rows.map((row) => (
            <tr key={p.id(row)} class={p.dim?.(row) ? "dim" : undefined}>
              {p.columns.map((c, i) => (i === 0 ? <th scope="row" class={classes(c)}>{c.cell(row)}</th> : <td class={classes(c)}>{c.cell(row)}</td>))}
            </tr>
          ))}
        </tbody>
        {p.foot}
      </table>
    </div>
  );
}

const classes = (c: Column<never>) => [c.num ? "num" : "", c.low ? "lo" : "", c.class ?? ""].join(" ").trim() || undefined;

function order(a: number | string, b: number | string): number {
  return typeof a === "string" ? a.localeCompare(String(b), "en", { numeric: true }) : a - Number(b);
}

/** Empty says that there is nothing yet, and what to do about it. */
export function Empty(p: { title: string; actions?: ComponentChildren } & Kids) {
  return (
    <div class="empty">
      <h3>{p.title}</h3>
      <p>{p.children}</p>
      {p.actions && <div class="row">{p.actions}</div>}
    </div>
  );
}

/** Shown shows what was loaded, the error that came instead, or room for it. */
export function Shown<T>(p: { from: Loaded<T>; height?: number; children: (data: T) => ComponentChildren }) {
  const { data, error, reload } = p.from;
  return (
    <>
      {error && <Problem error={error} retry={reload} />}
      {data !== undefined ? p.children(data) : !error && <div class="skeleton" style={{ minHeight: (p.height ?? 160) + "px" }} aria-busy="true"><span class="sr">Loading</span></div>}
    </>
  );
}

export function Problem(p: { error: unknown; retry?: () => void }) {
  const e = p.error;
  return (
    <div class="note bad between" role="alert">
      <span class="wrap">{e instanceof ApiError || e instanceof Error ? e.message : String(e)}</span>
      {p.retry && <Button slim onClick={p.retry}>Try again</Button>}
    </div>
  );
}

export function Field(p: { label: string; hint?: ComponentChildren; wide?: boolean; children: (id: { id: string; "aria-describedby"?: string }) => ComponentChildren }) {
  const id = useId();
  return (
    <div class={"field" + (p.wide ? " wide" : "")}>
      <label for={id}>{p.label}</label>
      {p.children({ id, "aria-describedby": p.hint ? id + "-hint" : undefined })}
      {p.hint && <span class="hint" id={id + "-hint"}>{p.hint}</span>}
    </div>
  );
}

export interface InputProps {
  label: string;
  value: string;
  set: (v: string) => void;
  hint?: ComponentChildren;
  wide?: boolean;
  type?: "text" | "search" | "password" | "number" | "email";
  name?: string;
  placeholder?: string;
  list?: string;
  autocomplete?: string;
  required?: boolean;
  autofocus?: boolean;
  spellcheck?: boolean;
  maxLength?: number;
  min?: number;
  step?: string;
}

export function Input(p: InputProps) {
  const { label, value, set, hint, wide, ...rest } = p;
  return (
    <Field label={label} hint={hint} wide={wide}>
      {(id) => <input {...(rest as object)} {...id} value={value} onInput={(e) => set(e.currentTarget.value)} />}
    </Field>
  );
}

export function Select(p: { label: string; value: string; set: (v: string) => void; options: (string | [string, string])[]; hint?: ComponentChildren; wide?: boolean }) {
  return (
    <Field label={p.label} hint={p.hint} wide={p.wide}>
      {(id) => (
        <select {...id} value={p.value} onChange={(e) => p.set(e.currentTarget.value)}>
          {p.options.map((o) => {
            const [value, name] = typeof o === "string" ? [o, o] : o;
            return <option value={value} selected={value === p.value}>{name}</option>;
          })}
        </select>
      )}
    </Field>
  );
}

export function Check(p: { label: ComponentChildren; value: boolean; set: (v: boolean) => void }) {
  const id = useId();
  return (
    <div class="check">
      <input id={id} type="checkbox" checked={p.value} onChange={(e) => p.set(e.currentTarget.checked)} />
      <label for={id}>{p.label}</label>
    </div>
  );
}

/** Choice is one of a few, all of them in sight. */
export function Choice(p: { label: string; value: string; set: (v: string) => void; options: [string, string][] }) {
  return (
    <div class="seg" role="group" aria-label={p.label}>
      {p.options.map(([value, name]) => (
        <button type="button" aria-pressed={value === p.value} onClick={() => p.set(value)}>{name}</button>
      ))}
    </div>
  );
}

/** Dialog is a form over the page. It closes with Escape, and gives the focus back. */
export function Dialog(p: { title: string; close: () => void; submit?: () => Promise<void> | void; action?: string; danger?: boolean; wide?: boolean; done?: boolean } & Kids) {
  const ref = useRef<HTMLDialogElement>(null);
  const id = useId();
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  useEffect(() => {
    const d = ref.current!;
    const before = document.activeElement as HTMLElement | null;
    d.showModal();
    return () => {
      d.close();
      before?.focus?.();
    };
  }, []);
  const send = async (e: Event) => {
    e.preventDefault();
    if (!p.submit || busy) return;
    setBusy(true);
    setError(undefined);
    try {
      await p.submit();
    } catch (e) {
      setError(e);
    }
    setBusy(false);
  };
  return (
    <dialog ref={ref} class={p.wide ? "wide" : undefined} aria-labelledby={id} onCancel={(e) => { e.preventDefault(); p.close(); }}>
      <form method="dialog" onSubmit={send}>
        <header><h2 id={id}>{p.title}</h2></header>
        <div class="body form">
          {p.children}
          {error !== undefined && <Problem error={error} />}
        </div>
        <footer>
          <Button onClick={p.close}>{p.submit && !p.done ? "Cancel" : "Done"}</Button>
          {p.submit && !p.done && <Button type="submit" kind={p.danger ? "main danger" : "main"} disabled={busy}>{p.action ?? "Save"}</Button>}
        </footer>
      </form>
    </dialog>
  );
}

/** copy puts text on the clipboard, also where a page without TLS has none. */
async function copy(text: string): Promise<void> {
  try {
    await navigator.clipboard.writeText(text);
  } catch {
    const area = document.createElement("textarea");
    area.value = text;
    (document.querySelector("dialog[open]") ?? document.body).append(area);
    area.select();
    document.execCommand("copy");
    area.remove();
  }
  say("Copied");
}

export function Copy(p: { text: string; label?: string; quiet?: boolean; class?: string }) {
  return (
    <button type="button" class={"btn slim " + (p.quiet === false ? "" : "quiet ") + (p.class ?? "")} onClick={() => void copy(p.text)} aria-label={p.label ? "Copy " + p.label : "Copy"}>
      {p.quiet === false && p.label ? "Copy " + p.label : "Copy"}
    </button>
  );
}

export function Code(p: { text: string; label: string; fold?: boolean }) {
  return (
    <div class="code">
      <pre class={p.fold ? "fold" : undefined} tabIndex={0} aria-label={p.label} role="group">{p.text}</pre>
      <Copy text={p.text} label={p.label} class="copy" />
    </div>
  );
}

/** Ago is a time that is said as its distance from now, with the whole of it on hover. */
export function Ago(p: { at: string }) {
  return <time dateTime={p.at} title={moment(p.at)} class="nowrap">{ago(p.at)}</time>;
}

export function Meter(p: { parts: { share: number; reserved?: boolean }[]; tone?: Tone; label: string }) {
  return (
    <div class={"meter " + (p.tone ?? "")} role="img" aria-label={p.label}>
      {p.parts.map((x) => <i class={x.reserved ? "res" : undefined} style={{ "--w": Math.max(0, Math.min(100, x.share * 100)) }} />)}
    </div>
  );
}

/** Bars compares a few sums. */
export function Bars(p: { label: string; items: { name: ComponentChildren; value: number; shown: ComponentChildren; color?: string }[] }) {
  const most = Math.max(...p.items.map((i) => i.value), 1e-12);
  return (
    <ul class="bars" aria-label={p.label}>
      {p.items.map((i) => (
        <li>
          <span class="wrap">{i.name}</span>
          <span aria-hidden="true"><span class="bar" style={{ display: "block", "--w": (100 * i.value) / most, "--c": i.color ?? "var(--c1)" }} /></span>
          <span class="num">{i.shown}</span>
        </li>
      ))}
    </ul>
  );
}

let saying: ((text: string) => void) | undefined;

/** say tells something in passing. */
export const say = (text: string) => saying?.(text);

export function Toast() {
  const [text, set] = useState("");
  useEffect(() => {
    let timer = 0;
    saying = (t) => {
      set(t);
      clearTimeout(timer);
      timer = window.setTimeout(() => set(""), 2400);
    };
    return () => clearTimeout(timer);
  }, []);
  return <div class="toast" role="status">{text}</div>;
}
