// What all JavaScript checks share: where the gateway is, what to ask it, and
// one line of output for each check.
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { isDeepStrictEqual, inspect } from 'node:util';

export const base = process.env.CLIENT_BASE;
export const key = process.env.CLIENT_KEY;
export const replay = process.env.CLIENT_REPLAY;
export const backends = process.env.CLIENT_BACKENDS.split(' ');
export const recordings = Number(process.env.CLIENT_RECORDINGS ?? 0); // of each dialect; 0: there are none
const cases = JSON.parse(readFileSync(process.env.CLIENT_CASES, 'utf8'));

export const png = 'iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8DwHwAFBQIAX8jx0gAAAABJRU5ErkJggg==';
export const pngSum = 'image/png ' + createHash('sha256').update(Buffer.from(png, 'base64')).digest('hex').slice(0, 12);
export const system = 'You are brief.';
export const weather = { type: 'object', properties: { city: { type: 'string' }, unit: { type: 'string', enum: ['celsius', 'fahrenheit'] } }, required: ['city'], additionalProperties: false };
export const clock = { type: 'object', properties: { zone: { type: 'string' } }, required: ['zone'], additionalProperties: false };
export const embeds = ['openai', 'gemini', 'ollama', 'direct']; // providers that have embeddings
const goneMs = 1000; // 100 ms is promised; the rest is for a busy machine

// Ask is one case on one backend: model, prompt with a tag of its own, headers.
export class Ask {
  constructor(name, backend) {
    this.backend = backend;
    this.rehearsal = backend === 'rehearsal';
    this.tag = randomBytes(6).toString('hex');
    // A name of its own for each, so that the failures of one check do not set the next one's model aside.
    const replayed = `replay-${name === 'stall' ? 'drip' : name}.${this.tag}`;
    if (this.rehearsal) this.model = name === 'think' ? 'rehearsal/thinker' : 'rehearsal/quick';
    else this.model = backend === 'direct' ? replayed : `${backend}/${replayed}`;
    this.prompt = cases[name].prompt + (this.rehearsal ? '' : ' tag-' + this.tag);
    this.headers = this.rehearsal && cases[name].rehearse ? { 'x-headrace-rehearse': cases[name].rehearse } : {};
  }
  // upstream gives the requests with this tag as the provider saw them.
  upstream() {
    return getJSON(`${replay}/control/requests?tag=${this.tag}`);
  }
}

export async function getJSON(url, headers = {}) {
  const r = await fetch(url, { headers });
  if (!r.ok) throw new Error(`${url}: status ${r.status}`);
  return r.json();
}

export class Client {
  n = 0;
  constructor(name) {
    this.name = name;
  }
  // check runs one check and prints its line. fn throws when something is
  // wrong; what it returns is a remark.
  async check(name, backend, fn) {
    this.n++;
    const begin = performance.now();
    let status = 'ok', remark;
    let timer;
    try {
      const late = new Promise((_, no) => { timer = setTimeout(() => no(new Error('no end after 60 s')), 60_000); });
      remark = (await Promise.race([fn(), late])) ?? '';
    } catch (e) {
      status = 'FAIL';
      const line = /_test\.mjs:(\d+)/.exec(e?.stack ?? '')?.[1] ?? '';
      remark = `line ${line} ${e?.name}: ${e?.message ?? inspect(e)}`.replaceAll(/[\n\t]/g, ' ').slice(0, 600);
    } finally {
      clearTimeout(timer);
    }
    console.log([status, this.name, name, backend, Math.round(performance.now() - begin), remark].join('\t'));
  }
  // report says how many lines there were, so that a missing one is seen.
  report() {
    console.log(`done\t${this.name}\t${this.n}`);
  }
  done() {
    this.report();
    process.exit(0); // connections that a check left open must not hold the process
  }
}

export function want(got, expected, what) {
  if (!isDeepStrictEqual(got, expected)) throw new Error(`${what}: got ${inspect(got, { depth: 6 })}, want ${inspect(expected, { depth: 6 })}`);
}

export function expect(ok, what) {
  if (!ok) throw new Error(what);
}

// raises gives the error that fn throws, which must be one of the class.
export async function raises(kind, fn) {
  let got;
  try {
    got = await fn();
  } catch (e) {
    if (e instanceof kind) return e;
    throw new Error(`${e?.name} (${e?.message}) is no ${kind.name}`, { cause: e });
  }
  throw new Error(`no ${kind.name}, but an answer: ${inspect(got).slice(0, 300)}`);
}

export const sleep = ms => new Promise(done => setTimeout(done, ms));

// seenGone waits until the provider has seen the client leave, and the ledger
// says so.
export async function seenGone(ask, leftAt, requestId) {
  const until = Date.now() + 5000;
  let remark = '';
  if (!ask.rehearsal) {
    let seen;
    for (;;) {
      seen = await ask.upstream();
      want(seen.length, 1, 'requests that the provider saw');
      if (seen[0].ended) break;
      expect(Date.now() < until, '5 s after the client left the provider is still sending');
      await sleep(10);
    }
    want(seen[0].ended, 'client_gone', 'how it ended at the provider');
    const ms = seen[0].gone_at - leftAt;
    expect(ms <= goneMs, `the provider saw the client leave only after ${ms} ms`);
    remark = `provider saw it after ${Math.max(ms, 0)} ms`;
  }
  if (ask.backend !== 'direct' && requestId) {
    for (let row = ''; ; ) {
      try {
        row = JSON.stringify(await getJSON(`${base}/v1/requests/${requestId}`, { authorization: 'Bearer ' + key }));
        if (row.includes('client_gone')) break;
      } catch (e) {
        row = e.message;
      }
      expect(Date.now() < until, `5 s after the client left GET /v1/requests/${requestId} does not say client_gone: ${row}`);
      await sleep(20);
    }
    remark += '; row says client_gone';
  }
  return remark;
}

const providers = { anthropic: 'anthropic', 'openai-chat': 'openai', 'openai-responses': 'openai', gemini: 'gemini', ollama: 'ollama' };

// recorded runs fn for recordings of a dialect and names those for which it
// throws.
export async function recorded(client, dialect, fn) {
  if (backends.includes('direct')) return; // there is nothing to compare with
  if (!recordings) {
    console.log(`skip\t${client.name}\trecordings\t-\t0\tno recorded traffic here (HEADRACE_CORPUS, or ../shared/corpus beside the repository)`);
    return;
  }
  const list = await getJSON(`${replay}/control/recordings?dialect=${dialect}&n=${recordings}`);
  await client.check('recorded, read by the SDK as without the gateway', providers[dialect], async () => {
    const bad = [];
    for (const rec of list) {
      try {
        await fn(rec);
      } catch (e) {
        bad.push(`${rec.id} ${e.message}`.slice(0, 260));
      }
    }
    expect(bad.length === 0, `${bad.length} of ${list.length}: ${bad.slice(0, 2).join(' ;; ')}`);
    return `${list.length} recordings`;
  });
}

// outcome gives what fn gives or how it fails, for comparing.
export async function outcome(fn) {
  try {
    return { value: await fn() };
  } catch (e) {
    return { failed: e.constructor.name };
  }
}
