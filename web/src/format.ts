// Figures as people read them. One place, so that the same figure looks the same everywhere.

const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });

export const count = (n: number) => whole.format(n);
export const compact = (n: number) => (Math.abs(n) < 10000 ? whole.format(n) : short.format(n));

/** money writes nanodollars; small sums keep two digits that count. */
export function money(nano: number): string {
  return dollars(nano / 1e9);
}

export function dollars(d: number): string {
  const a = Math.abs(d);
  if (a === 0) return "$0.00";
  if (a >= 100000) return "$" + short.format(d);
  if (a >= 0.995) return "$" + d.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  if (a < 0.0000001) return "< $0.0000001";
  const digits = Math.min(9, Math.max(2, 1 - Math.floor(Math.log10(a))));
  return "$" + d.toFixed(digits).replace(/(\.\d\d\d*?)0+$/, "$1");
}

/** rate writes a price in dollars per million tokens. */
export const rate = (d: number | undefined) => (d === undefined ? "–" : d === 0 ? "free" : "$" + (d >= 100 ? whole.format(d) : String(+d.toPrecision(3))));

export function percent(share: number, digits = 1): string {
  if (!isFinite(share)) return "–";
  const p = share * 100;
  // What is not all of it is not 100 %.
  if (p < 100 && p > 99.95) return "> 99.9 %";
  return p.toFixed(p === 0 || p === 100 ? 0 : digits) + " %";
}

/** span writes a length of time given in milliseconds. */
export function span(ms: number): string {
  if (ms < 1) return ms <= 0 ? "0 ms" : ms.toFixed(2) + " ms";
  if (ms < 1000) return Math.round(ms) + " ms";
  if (ms < 10000) return (ms / 1000).toFixed(2) + " s";
  if (ms < 60000) return (ms / 1000).toFixed(1) + " s";
  const s = Math.round(ms / 1000);
  if (s < 3600) return Math.floor(s / 60) + " min" + (s % 60 ? " " + (s % 60) + " s" : "");
  const h = Math.floor(s / 3600);
  if (h < 48) return h + " h" + (s % 3600 >= 60 ? " " + Math.floor((s % 3600) / 60) + " min" : "");
  return Math.floor(h / 24) + " days";
}

/** ago writes a time as its distance from now. */
export function ago(t: string | number | Date, now = Date.now()): string {
  const ms = now - new Date(t).getTime();
  if (ms < 0) return "in " + coarse(-ms);
  return ms < 1500 ? "now" : coarse(ms) + " ago";
}

function coarse(ms: number): string {
  const s = ms / 1000;
  if (s < 90) return Math.round(s) + " s";
  if (s < 5400) return Math.round(s / 60) + " min";
  if (s < 129600) return Math.round(s / 3600) + " h";
  return Math.round(s / 86400) + " d";
}

const two = (n: number) => String(n).padStart(2, "0");

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/** brief writes a time for a table: seconds only of today. */
export function brief(t: string | number | Date): string {
  const d = new Date(t), now = new Date();
  if (d.toDateString() === now.toDateString()) return two(d.getHours()) + ":" + two(d.getMinutes()) + ":" + two(d.getSeconds());
  return d.getDate() + " " + months[d.getMonth()] + (d.getFullYear() === now.getFullYear() ? " " + two(d.getHours()) + ":" + two(d.getMinutes()) : " " + d.getFullYear());
}

/** moment writes a time of day, with the day when it is not today. */
export function moment(t: string | number | Date): string {
  const d = new Date(t), today = new Date();
  const time = two(d.getHours()) + ":" + two(d.getMinutes()) + ":" + two(d.getSeconds());
  return d.toDateString() === today.toDateString() ? time : day(d) + " " + time;
}

export function day(t: string | number | Date): string {
  const d = new Date(t);
  return d.getFullYear() + "-" + two(d.getMonth() + 1) + "-" + two(d.getDate());
}

export function bytes(n: number): string {
  if (n < 1024) return n + " B";
  if (n < 1 << 20) return (n / 1024).toFixed(1) + " KB";
  return (n / (1 << 20)).toFixed(1) + " MB";
}

/** words makes a name of the API's into words: rate_limited, rate limited. */
export const words = (s: string) => s.replaceAll("_", " ");

export const plural = (n: number, one: string, many = one + "s") => count(n) + " " + (n === 1 ? one : many);
