const whole = new Intl.NumberFormat("en-US", { maximumFractionDigits: 0 });
const short = new Intl.NumberFormat("en-US", { notation: "compact", maximumFractionDigits: 1 });
const count = (n) => whole.format(n);
const compact = (n) => Math.abs(n) < 1e4 ? whole.format(n) : short.format(n);
function money(nano) {
  return dollars(nano / 1e9);
}
function dollars(d) {
  const a = Math.abs(d);
  if (a === 0) return "$0.00";
  if (a >= 1e5) return "$" + short.format(d);
  if (a >= 0.995) return "$" + d.toLocaleString("en-US", { minimumFractionDigits: 2, maximumFractionDigits: 2 });
  if (a < 1e-7) return "< $0.0000001";
  const digits = Math.min(9, Math.max(2, 1 - Math.floor(Math.log10(a))));
  return "$" + d.toFixed(digits).replace(/(\.\d\d\d*?)0+$/, "$1");
}
const rate = (d) => d === void 0 ? "–" : d === 0 ? "free" : "$" + (d >= 100 ? whole.format(d) : String(+d.toPrecision(3)));
function percent(share, digits = 1) {
  if (!isFinite(share)) return "–";
  const p = share * 100;
  if (p < 100 && p > 99.95) return "> 99.9 %";
  return p.toFixed(p === 0 || p === 100 ? 0 : digits) + " %";
}
function span(ms) {
  if (ms < 1) return ms <= 0 ? "0 ms" : ms.toFixed(2) + " ms";
  if (ms < 1e3) return Math.round(ms) + " ms";
  if (ms < 1e4) return (ms / 1e3).toFixed(2) + " s";
  if (ms < 6e4) return (ms / 1e3).toFixed(1) + " s";
  const s = Math.round(ms / 1e3);
  if (s < 3600) return Math.floor(s / 60) + " min" + (s % 60 ? " " + s % 60 + " s" : "");
  const h = Math.floor(s / 3600);
  if (h < 48) return h + " h" + (s % 3600 >= 60 ? " " + Math.floor(s % 3600 / 60) + " min" : "");
  return Math.floor(h / 24) + " days";
}
function ago(t, now = Date.now()) {
  const ms = now - new Date(t).getTime();
  if (ms < 0) return "in " + coarse(-ms);
  return ms < 1500 ? "now" : coarse(ms) + " ago";
}
function coarse(ms) {
  const s = ms / 1e3;
  if (s < 90) return Math.round(s) + " s";
  if (s < 5400) return Math.round(s / 60) + " min";
  if (s < 129600) return Math.round(s / 3600) + " h";
  return Math.round(s / 86400) + " d";
}
const two = (n) => String(n).padStart(2, "0");
const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
function brief(t) {
  const d = new Date(t), now = /* @__PURE__ */ new Date();
  if (d.toDateString() === now.toDateString()) return two(d.getHours()) + ":" + two(d.getMinutes()) + ":" + two(d.getSeconds());
  return d.getDate() + " " + months[d.getMonth()] + (d.getFullYear() === now.getFullYear() ? " " + two(d.getHours()) + ":" + two(d.getMinutes()) : " " + d.getFullYear());
}
function moment(t) {
  const d = new Date(t), today = /* @__PURE__ */ new Date();
  const time = two(d.getHours()) + ":" + two(d.getMinutes()) + ":" + two(d.getSeconds());
  return d.toDateString() === today.toDateString() ? time : day(d) + " " + time;
}
function day(t) {
  const d = new Date(t);
  return d.getFullYear() + "-" + two(d.getMonth() + 1) + "-" + two(d.getDate());
}
function bytes(n) {
  if (n < 1024) return n + " B";
  if (n < 1 << 20) return (n / 1024).toFixed(1) + " KB";
  return (n / (1 << 20)).toFixed(1) + " MB";
}
const words = (s) => s.replaceAll("_", " ");
const plural = (n, one, many = one + "s") => count(n) + " " + (n === 1 ? one : many);
export {
  ago,
  brief,
  bytes,
  compact,
  count,
  day,
  dollars,
  moment,
  money,
  percent,
  plural,
  rate,
  span,
  words
};
