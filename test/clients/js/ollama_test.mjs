// Ollama's own JavaScript client, with nothing changed but host and key.
import { Ollama } from 'ollama';
import { Ask, Client, backends, base, clock, embeds, expect, key, outcome, png, pngSum, raises, recorded, replay, seenGone, system, want, weather } from './harness.mjs';

const api = ask => new Ollama({ host: base, headers: { authorization: 'Bearer ' + key, ...ask?.headers } });
const c = new Client('js-ollama');
const fn = (name, description, parameters) => ({ type: 'function', function: { name, description, parameters } });
const tools = [fn('get_weather', 'The weather in a city', weather), fn('get_time', 'The time in a zone', clock)];
const call = (ask, more = {}) => api(ask).chat({ model: ask.model, messages: [{ role: 'system', content: system }, { role: 'user', content: ask.prompt }], ...more });

async function all(answer) {
  const lines = [];
  for await (const k of await answer) lines.push(k);
  return lines;
}

function echoed(ask, text) {
  if (ask.rehearsal) expect(text?.length > 3, `no text: ${text}`);
  else want(text, `system: ${system}\nuser: ${ask.prompt}`, 'text');
}

async function both(b, streamed) {
  const a = new Ask('parallel', b);
  const messages = [{ role: 'user', content: a.prompt }];
  const lines = streamed ? await all(call(a, { messages, tools, stream: true })) : [await call(a, { messages, tools })];
  const calls = lines.flatMap(k => k.message.tool_calls ?? []);
  want(calls.map(k => k.function.name), ['get_weather', 'get_time'], 'calls');
  if (!a.rehearsal) want(calls.map(k => k.function.arguments), [{ city: 'Zürich', unit: 'celsius' }, { zone: 'Europe/Zurich' }], 'arguments');
  messages.push({ role: 'assistant', content: '', tool_calls: calls }, ...calls.map((k, i) => ({ role: 'tool', tool_name: k.function.name, content: `result ${i}` })));
  const last = (await call(a, { messages, tools })).message.content;
  if (a.rehearsal) expect(last, 'no text after the results');
  else want(last, 'results: result 0 | result 1', 'text after the results');
}

const failing = (name, status) => async b => {
  const e = await raises(Error, () => call(new Ask(name, b)));
  expect(status.includes(e.status_code), `status ${e.status_code}: ${e.message}`);
  return e.message;
};

const checks = {
  async text(b) {
    const a = new Ask('echo', b);
    const r = await call(a);
    echoed(a, r.message.content);
    want([r.done, r.done_reason], [true, 'stop'], 'end');
    expect(r.prompt_eval_count > 0 && r.eval_count > 0, 'usage');
  },
  async streaming(b) {
    const a = new Ask('echo', b);
    const lines = await all(call(a, { stream: true }));
    echoed(a, lines.map(k => k.message.content).join(''));
    want(lines.filter(k => k.done).length, 1, 'lines that are done');
    expect(lines.at(-1).done && lines.at(-1).eval_count > 0, 'the last line');
  },
  async generate(b) {
    const a = new Ask('echo', b);
    echoed(a, (await api(a).generate({ model: a.model, prompt: a.prompt, system })).response);
  },
  'parallel tools': b => both(b, false),
  'parallel tools, streamed': b => both(b, true),
  async 'structured output'(b) {
    const a = new Ask('structured', b);
    const format = { type: 'object', properties: { name: { type: 'string' }, length_km: { type: 'integer' }, tributaries: { type: 'array', items: { type: 'string' } } }, required: ['name', 'length_km', 'tributaries'] };
    const river = JSON.parse((await call(a, { messages: [{ role: 'user', content: a.prompt }], format })).message.content);
    want(Object.keys(river).sort(), ['length_km', 'name', 'tributaries'], 'members');
  },
  async image(b) {
    const a = new Ask('picture', b);
    const text = (await call(a, { messages: [{ role: 'user', content: a.prompt, images: [png] }] })).message.content;
    if (a.rehearsal) expect(text, 'no text');
    else want(text, pngSum, 'the image as the provider saw it');
  },
  async thinking(b) {
    const a = new Ask('think', b);
    const { message } = await call(a, { messages: [{ role: 'user', content: a.prompt }], think: true });
    expect(message.thinking && message.content, `message ${JSON.stringify(message)}`);
    if (!a.rehearsal) want([message.thinking, message.content], ['Is the gate open? It is.', 'The gate is open.'], 'thought and text');
  },
  '429': failing('429', [429]),
  '529': failing('529', [503, 529]),
  '400': failing('400', [400]),
  async 'error in the stream'(b) {
    let n = 0;
    const e = await raises(Error, async () => {
      for await (const k of await call(new Ask('error-late', b), { stream: true })) n += k.message.content ? 1 : 0;
    });
    expect(n > 0, 'no text before the error');
    return e.message;
  },
  async 'cancel a stream'(b) {
    const a = new Ask('drip', b);
    const s = await call(a, { stream: true });
    let n = 0;
    await raises(Error, async () => {
      for await (const k of s) if (++n === 3) s.abort();
    });
    return seenGone(a, Date.now(), null);
  },
};

for (const b of backends) {
  for (const [name, check] of Object.entries(checks)) await c.check(name, b, () => check(b));
  if (embeds.includes(b)) {
    await c.check('embeddings', b, async () => {
      want((await api().embed({ model: new Ask('echo', b).model.replace('echo', 'embed'), input: ['one', 'two'] })).embeddings, [[0.25, -0.5, 0.1], [1.25, -0.5, 0.1]], 'vectors');
    });
  }
}
if (!backends.includes('direct')) {
  await c.check('401', '-', async () => {
    const e = await raises(Error, () => new Ollama({ host: base, headers: { authorization: 'Bearer hr-this-is-not-a-key-0123456789abcdef' } }).chat({ model: 'rehearsal/quick', messages: [{ role: 'user', content: 'hello' }] }));
    want(e.status_code, 401, 'status');
  });
  await c.check('models and show', '-', async () => {
    const names = (await api().list()).models.map(m => m.model);
    expect(names.includes('rehearsal/quick:latest'), `models ${names.slice(0, 20)}`);
    const s = await api().show({ model: 'rehearsal/thinker' });
    expect(s.capabilities.includes('tools') && s.capabilities.includes('thinking'), `capabilities ${s.capabilities}`);
  });
}
const direct = new Ollama({ host: replay, headers: { authorization: 'Bearer sk-replay' } });
await recorded(c, 'ollama', async rec => {
  const read = (client, model) => outcome(async () => {
    const args = { model, messages: [{ role: 'user', content: 'What is the weather like?' }], stream: rec.stream };
    return (rec.stream ? await all(client.chat(args)) : [await client.chat(args)]).map(k => [k.message, k.done, k.done_reason, k.eval_count]);
  });
  const one = await read(direct, 'recorded-' + rec.id);
  if (!one.failed) want(await read(api(), 'ollama/recorded-' + rec.id), one, rec.source);
});
c.done();
