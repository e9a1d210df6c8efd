// The official JavaScript SDK for OpenAI, with nothing changed but base URL
// and key.
import OpenAI from 'openai';
import { zodResponseFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { Ask, Client, backends, base, clock, expect, key, outcome, png, pngSum, raises, recorded, replay, seenGone, system, want, weather } from './harness.mjs';

const client = new OpenAI({ baseURL: base + '/v1', apiKey: key });
const c = new Client('js-openai');
const fn = (name, description, parameters) => ({ type: 'function', function: { name, description, parameters } });
const tools = [fn('get_weather', 'The weather in a city', weather), fn('get_time', 'The time in a zone', clock)];
const call = (ask, more = {}, options = {}) =>
  client.chat.completions.create({ model: ask.model, messages: [{ role: 'system', content: system }, { role: 'user', content: ask.prompt }], ...more }, { headers: ask.headers, ...options });
const noRetry = b => (b === 'direct' ? { maxRetries: 0 } : {});

function echoed(ask, text) {
  if (ask.rehearsal) expect(text?.length > 3, `no text: ${text}`);
  else want(text, `system: ${system}\nuser: ${ask.prompt}`, 'text');
}

const River = z.object({ name: z.string(), length_km: z.number().int(), tributaries: z.array(z.string()) });

const checks = {
  async text(b) {
    const a = new Ask('echo', b);
    const r = await call(a);
    echoed(a, r.choices[0].message.content);
    want(r.choices[0].finish_reason, 'stop', 'finish');
    expect(r.usage.prompt_tokens > 0 && r.usage.completion_tokens > 0, 'usage');
  },
  async streaming(b) {
    const a = new Ask('echo', b);
    const chunks = [];
    for await (const k of await call(a, { stream: true, stream_options: { include_usage: true } })) chunks.push(k);
    const pieces = chunks.map(k => k.choices[0]?.delta.content).filter(Boolean);
    echoed(a, pieces.join(''));
    expect(pieces.length >= 2, 'the text came in one piece');
    want(chunks.filter(k => k.usage).length, 1, 'chunks with usage');
    want(chunks.at(-1).choices, [], 'choices of the usage chunk');
  },
  async 'streaming, usage not asked'(b) {
    const a = new Ask('echo', b);
    const s = client.chat.completions.stream({ model: a.model, messages: [{ role: 'system', content: system }, { role: 'user', content: a.prompt }] }, { headers: a.headers });
    let usage = 0;
    for await (const k of s) usage += k.usage ? 1 : 0;
    echoed(a, (await s.finalChatCompletion()).choices[0].message.content);
    if (b !== 'direct') want(usage, 0, 'chunks with usage');
  },
  async 'tools, run by the SDK'(b) {
    const a = new Ask('tools', b);
    const asked = [];
    const runner = client.chat.completions.runTools({
      model: a.model, messages: [{ role: 'user', content: a.prompt }],
      tools: [{ type: 'function', function: { name: 'get_weather', description: 'The weather in a city', parameters: weather, parse: JSON.parse, function: args => { asked.push(args); return '12 °C, rain'; } } }],
    }, { headers: a.headers });
    const text = await runner.finalContent();
    want(asked.length, 1, 'calls');
    if (a.rehearsal) expect(text, 'no text after the result');
    else {
      want(asked[0], { city: 'Zürich', unit: 'celsius' }, 'arguments');
      want(text, 'results: 12 °C, rain', 'text after the result');
    }
  },
  async 'parallel tools'(b) {
    const a = new Ask('parallel', b);
    await bothCalls(a, await call(a, { messages: [{ role: 'user', content: a.prompt }], tools }));
  },
  async 'parallel tools, streamed'(b) {
    const a = new Ask('parallel', b);
    await bothCalls(a, await client.chat.completions.stream({ model: a.model, messages: [{ role: 'user', content: a.prompt }], tools }, { headers: a.headers }).finalChatCompletion());
  },
  async 'structured output'(b) {
    const a = new Ask('structured', b);
    const r = await client.chat.completions.parse({ model: a.model, messages: [{ role: 'user', content: a.prompt }], response_format: zodResponseFormat(River, 'river') }, { headers: a.headers });
    const river = River.parse(r.choices[0].message.parsed);
    if (!a.rehearsal) want(river, { name: 'Aare', length_km: 288, tributaries: ['Emme', 'Reuss'] }, 'parsed');
  },
  async image(b) {
    const a = new Ask('picture', b);
    const r = await call(a, { messages: [{ role: 'user', content: [{ type: 'text', text: a.prompt }, { type: 'image_url', image_url: { url: 'data:image/png;base64,' + png } }] }] });
    if (a.rehearsal) expect(r.choices[0].message.content, 'no text');
    else want(r.choices[0].message.content, pngSum, 'the image as the provider saw it');
  },
  async '429 with retry-after'(b) {
    const a = new Ask('429', b);
    const begin = Date.now();
    const e = await raises(OpenAI.RateLimitError, () => call(a, {}, noRetry(b)));
    want([e.status, e.headers.get('retry-after')], [429, '600'], 'status and retry-after');
    if (b !== 'direct') want(e.headers.get('x-should-retry'), 'false', 'x-should-retry');
    expect(Date.now() - begin < 10_000, 'somebody waits');
  },
  async '529'(b) {
    const e = await raises(OpenAI.InternalServerError, () => call(new Ask('529', b), {}, noRetry(b)));
    expect([503, 529].includes(e.status), `status ${e.status}`);
    return `status ${e.status}`;
  },
  async '400'(b) {
    await raises(OpenAI.BadRequestError, () => call(new Ask('400', b)));
  },
  async 'error in the stream'(b) {
    let n = 0;
    await raises(OpenAI.APIError, async () => {
      for await (const k of await call(new Ask('error-late', b), { stream: true })) n += k.choices[0]?.delta.content ? 1 : 0;
    });
    expect(n > 0, 'no text before the error');
  },
  async 'stream cut off'(b) {
    let n = 0;
    await raises(Error, async () => {
      for await (const k of await call(new Ask('cut', b), { stream: true })) n++;
    });
    expect(n > 0, 'nothing before the cut');
  },
  async 'cancel a stream'(b) {
    const a = new Ask('drip', b);
    const { data, response } = await call(a, { stream: true }).withResponse();
    let n = 0;
    for await (const k of data) if (++n === 3) break; // leaving the loop aborts the request
    return seenGone(a, Date.now(), response.headers.get('x-headrace-request-id'));
  },
  async 'cancel a whole answer'(b) {
    const a = new Ask('stall', b);
    const stop = new AbortController();
    const answer = call(a, {}, { signal: stop.signal, maxRetries: 0 });
    setTimeout(() => stop.abort(), 500);
    await raises(OpenAI.APIUserAbortError, () => answer);
    return seenGone(a, Date.now(), null);
  },
};

async function bothCalls(a, r) {
  const calls = r.choices[0].message.tool_calls ?? [];
  want(calls.map(k => k.function.name), ['get_weather', 'get_time'], 'calls');
  want(r.choices[0].finish_reason, 'tool_calls', 'finish');
  const args = calls.map(k => JSON.parse(k.function.arguments));
  if (!a.rehearsal) want(args, [{ city: 'Zürich', unit: 'celsius' }, { zone: 'Europe/Zurich' }], 'arguments');
  const { role, content, tool_calls } = r.choices[0].message;
  const messages = [{ role: 'user', content: a.prompt }, { role, content, tool_calls }, ...calls.map((k, i) => ({ role: 'tool', tool_call_id: k.id, content: `result ${i}` }))];
  const last = (await call(a, { messages, tools })).choices[0].message.content;
  if (a.rehearsal) expect(last, 'no text after the results');
  else want(last, 'results: result 0 | result 1', 'text after the results');
}

for (const b of backends) for (const [name, check] of Object.entries(checks)) await c.check(name, b, () => check(b));
if (!backends.includes('direct')) {
  await c.check('401', '-', async () => {
    const e = await raises(OpenAI.AuthenticationError, () => new OpenAI({ baseURL: base + '/v1', apiKey: 'hr-this-is-not-a-key-0123456789abcdef' }).chat.completions.create({ model: 'rehearsal/quick', messages: [{ role: 'user', content: 'hello' }] }));
    want(e.status, 401, 'status');
  });
  await c.check('models', '-', async () => {
    const ids = [];
    for await (const m of client.models.list()) ids.push(m.id);
    expect(ids.includes('rehearsal/quick'), `models ${ids.slice(0, 20)}`);
    want((await client.models.retrieve('rehearsal/quick')).id, 'rehearsal/quick', 'retrieve');
  });
}

// Recordings: what the SDK makes of an answer is the same with the gateway.
const direct = new OpenAI({ baseURL: replay + '/v1', apiKey: 'sk-replay', maxRetries: 0 });
await recorded(c, 'openai-chat', async rec => {
  const read = (api, model) => outcome(async () => {
    const messages = [{ role: 'user', content: 'Answer from the recording.' }];
    if (!rec.stream) return api.chat.completions.create({ model, messages });
    const chunks = [];
    for await (const k of await api.chat.completions.create({ model, messages, stream: true, stream_options: { include_usage: true } })) chunks.push(k);
    return chunks;
  });
  const through = new OpenAI({ baseURL: base + '/v1', apiKey: key, maxRetries: 0 });
  const [one, two] = [await read(direct, 'recorded-' + rec.id), await read(through, 'openai/recorded-' + rec.id)];
  if (one.failed && two.failed) return; // an error inside a 200 becomes the real status
  want(two, one, rec.source);
});
c.done();
