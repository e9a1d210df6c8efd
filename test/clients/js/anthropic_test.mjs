// The official JavaScript SDK for Claude, with nothing changed but base URL
// and key.
import Anthropic from '@anthropic-ai/sdk';
import { zodOutputFormat } from '@anthropic-ai/sdk/helpers/zod';
import { z } from 'zod';
import { Ask, Client, backends, base, clock, expect, key, outcome, png, pngSum, raises, recorded, replay, seenGone, system, want, weather } from './harness.mjs';

const client = new Anthropic({ baseURL: base, apiKey: key });
const c = new Client('js-anthropic');
const tools = [
  { name: 'get_weather', description: 'The weather in a city', input_schema: weather },
  { name: 'get_time', description: 'The time in a zone', input_schema: clock },
];
const params = (ask, more = {}) => ({ model: ask.model, max_tokens: 1024, messages: [{ role: 'user', content: ask.prompt }], ...more });
const call = (ask, more, options = {}) => client.messages.create(params(ask, more), { headers: ask.headers, ...options });
const stream = (ask, more) => client.messages.stream(params(ask, more), { headers: ask.headers });
const noRetry = b => (b === 'direct' ? { maxRetries: 0 } : {});
const textOf = m => m.content.filter(x => x.type === 'text').map(x => x.text).join('');
const usesOf = m => m.content.filter(x => x.type === 'tool_use');

function echoed(ask, text) {
  if (ask.rehearsal) expect(text?.length > 3, `no text: ${text}`);
  else want(text, `system: ${system}\nuser: ${ask.prompt}`, 'text');
}

const River = z.object({ name: z.string(), length_km: z.number().int(), tributaries: z.array(z.string()) });

const checks = {
  async text(b) {
    const a = new Ask('echo', b);
    const m = await call(a, { system });
    echoed(a, textOf(m));
    want(m.stop_reason, 'end_turn', 'stop');
    expect(m.usage.input_tokens > 0 && m.usage.output_tokens > 0, 'usage');
  },
  async streaming(b) {
    const a = new Ask('echo', b);
    const pieces = [];
    const m = await stream(a, { system }).on('text', t => pieces.push(t)).finalMessage();
    echoed(a, pieces.join(''));
    want(textOf(m), pieces.join(''), 'final text');
    expect(pieces.length >= 2, 'the text came in one piece');
    want(m.stop_reason, 'end_turn', 'stop');
    if (!a.rehearsal) want([m.usage.input_tokens, m.usage.cache_read_input_tokens, m.usage.output_tokens], b === 'ollama' ? [31, 0, 17] : [23, 8, 17], 'usage'); // Ollama tells nothing of its cache
  },
  async 'tools, two turns'(b) {
    const a = new Ask('tools', b);
    const m = await call(a, { tools });
    want([m.stop_reason, ...usesOf(m).map(u => u.name)], ['tool_use', 'get_weather'], 'stop and calls');
    if (!a.rehearsal) want(usesOf(m)[0].input, { city: 'Zürich', unit: 'celsius' }, 'input');
    const last = await call(a, { tools, messages: [{ role: 'user', content: a.prompt }, { role: 'assistant', content: m.content }, { role: 'user', content: [{ type: 'tool_result', tool_use_id: usesOf(m)[0].id, content: '12 °C, rain' }] }] });
    if (a.rehearsal) expect(textOf(last), 'no text after the result');
    else want(textOf(last), 'results: 12 °C, rain', 'text after the result');
  },
  async 'parallel tools'(b) {
    const a = new Ask('parallel', b);
    await bothCalls(a, await call(a, { tools }));
  },
  async 'parallel tools, streamed'(b) {
    const a = new Ask('parallel', b);
    await bothCalls(a, await stream(a, { tools }).finalMessage());
  },
  async 'structured output'(b) {
    const a = new Ask('structured', b);
    const m = await client.messages.parse(params(a, { output_config: { format: zodOutputFormat(River) } }), { headers: a.headers });
    const river = River.parse(m.parsed_output);
    if (!a.rehearsal) want(river, { name: 'Aare', length_km: 288, tributaries: ['Emme', 'Reuss'] }, 'parsed');
  },
  async image(b) {
    const a = new Ask('picture', b);
    const m = await call(a, { messages: [{ role: 'user', content: [{ type: 'image', source: { type: 'base64', media_type: 'image/png', data: png } }, { type: 'text', text: a.prompt }] }] });
    if (a.rehearsal) expect(textOf(m), 'no text');
    else want(textOf(m), pngSum, 'the image as the provider saw it');
  },
  async thinking(b) {
    const a = new Ask('think', b);
    const more = { max_tokens: 4096, thinking: { type: 'enabled', budget_tokens: 1024 } };
    const m = await stream(a, more).finalMessage();
    want(m.content.map(x => x.type), ['thinking', 'text'], 'blocks');
    if (b === 'anthropic') want(m.content[0].signature, 'c2lnbmF0dXJlLW9mLXRoZS1yZXBsYXk=', 'signature');
  },
  async 'count tokens'(b) {
    const n = (await client.messages.countTokens({ model: new Ask('echo', b).model, messages: [{ role: 'user', content: 'How many tokens are these?' }] })).input_tokens;
    expect(n > 0, `${n} tokens`);
    return `${n} tokens`;
  },
  async '429 with retry-after'(b) {
    const a = new Ask('429', b);
    const begin = Date.now();
    const e = await raises(Anthropic.RateLimitError, () => call(a, {}, noRetry(b)));
    want([e.status, e.headers.get('retry-after'), e.error.error.type], [429, '600', 'rate_limit_error'], 'error');
    if (b !== 'direct') want(e.headers.get('x-should-retry'), 'false', 'x-should-retry');
    expect(Date.now() - begin < 10_000, 'somebody waits');
  },
  async '529'(b) {
    const e = await raises(Anthropic.InternalServerError, () => call(new Ask('529', b), {}, noRetry(b)));
    want([e.status, e.error.error.type], [529, 'overloaded_error'], 'error');
  },
  async '400'(b) {
    const e = await raises(Anthropic.BadRequestError, () => call(new Ask('400', b)));
    want(e.error.error.type, 'invalid_request_error', 'type');
  },
  async 'error in the stream'(b) {
    let n = 0;
    await raises(Anthropic.APIError, () => stream(new Ask('error-late', b)).on('text', () => n++).finalMessage());
    expect(n > 0, 'no text before the error');
  },
  async 'stream cut off'(b) {
    let n = 0;
    await raises(Error, () => stream(new Ask('cut', b)).on('streamEvent', () => n++).finalMessage());
    expect(n > 0, 'nothing before the cut');
  },
  async 'cancel a stream'(b) {
    const a = new Ask('drip', b);
    const { data, response } = await call(a, { stream: true }).withResponse();
    let n = 0;
    for await (const e of data) if (++n === 4) break; // leaving the loop aborts the request
    return seenGone(a, Date.now(), response.headers.get('x-headrace-request-id'));
  },
  async 'cancel a whole answer'(b) {
    const a = new Ask('stall', b);
    const stop = new AbortController();
    const answer = call(a, {}, { signal: stop.signal, maxRetries: 0 });
    setTimeout(() => stop.abort(), 500);
    await raises(Anthropic.APIUserAbortError, () => answer);
    return seenGone(a, Date.now(), null);
  },
};

async function bothCalls(a, m) {
  want([m.stop_reason, ...usesOf(m).map(u => u.name)], ['tool_use', 'get_weather', 'get_time'], 'stop and calls');
  if (!a.rehearsal) want(usesOf(m).map(u => u.input), [{ city: 'Zürich', unit: 'celsius' }, { zone: 'Europe/Zurich' }], 'inputs');
  const results = usesOf(m).map((u, i) => ({ type: 'tool_result', tool_use_id: u.id, content: `result ${i}` }));
  const last = await call(a, { tools, messages: [{ role: 'user', content: a.prompt }, { role: 'assistant', content: m.content }, { role: 'user', content: results }] });
  if (a.rehearsal) expect(textOf(last), 'no text after the results');
  else want(textOf(last), 'results: result 0 | result 1', 'text after the results');
}

for (const b of backends) for (const [name, check] of Object.entries(checks)) await c.check(name, b, () => check(b));
if (!backends.includes('direct')) {
  await c.check('401', '-', async () => {
    const e = await raises(Anthropic.AuthenticationError, () => new Anthropic({ baseURL: base, apiKey: 'hr-this-is-not-a-key-0123456789abcdef' }).messages.create({ model: 'rehearsal/quick', max_tokens: 10, messages: [{ role: 'user', content: 'hello' }] }));
    want([e.status, e.error.error.type], [401, 'authentication_error'], 'error');
  });
  await c.check('models', '-', async () => {
    const ids = [];
    for await (const m of client.models.list({ limit: 1000 })) ids.push(m.id);
    expect(ids.includes('rehearsal/quick'), `models ${ids.slice(0, 20)}`);
    want((await client.models.retrieve('rehearsal/quick')).id, 'rehearsal/quick', 'retrieve');
  });
}

// Recordings: what the SDK makes of an answer is the same with the gateway.
const direct = new Anthropic({ baseURL: replay, apiKey: 'sk-replay', maxRetries: 0 });
await recorded(c, 'anthropic', async rec => {
  const read = (api, model) => outcome(async () => {
    const asked = { model, max_tokens: 4096, messages: [{ role: 'user', content: 'Answer from the recording.' }] };
    return rec.stream ? api.messages.stream(asked).finalMessage() : api.messages.create(asked);
  });
  const through = new Anthropic({ baseURL: base, apiKey: key, maxRetries: 0 });
  const [one, two] = [await read(direct, 'recorded-' + rec.id), await read(through, 'anthropic/recorded-' + rec.id)];
  if (one.failed && two.failed) return; // an error inside a 200 becomes the real status
  want(two, one, rec.source);
});
c.done();
