// Google's own JavaScript SDK for Gemini, with nothing changed but base URL
// and key.
import { ApiError, GoogleGenAI } from '@google/genai';
import { Ask, Client, backends, base, clock, embeds, expect, key, outcome, png, pngSum, raises, recorded, replay, seenGone, system, want, weather } from './harness.mjs';

const api = (ask, more = {}) => new GoogleGenAI({ apiKey: key, httpOptions: { baseUrl: base, headers: ask?.headers ?? {}, ...more } });
const c = new Client('js-google');
const tools = [{ functionDeclarations: [{ name: 'get_weather', description: 'The weather in a city', parametersJsonSchema: weather }, { name: 'get_time', description: 'The time in a zone', parametersJsonSchema: clock }] }];
const call = (ask, config = {}, contents = ask.prompt) => api(ask).models.generateContent({ model: ask.model, contents, config });
const stream = (ask, config = {}, contents = ask.prompt) => api(ask).models.generateContentStream({ model: ask.model, contents, config });
const parts = chunks => chunks.flatMap(k => k.candidates ?? []).flatMap(x => x.content?.parts ?? []);
const said = (list, thought = false) => list.filter(p => !!p.thought === thought).map(p => p.text ?? '').join('');

async function all(answer) {
  const chunks = [];
  for await (const k of await answer) chunks.push(k);
  return chunks;
}

function echoed(ask, text) {
  if (ask.rehearsal) expect(text?.length > 3, `no text: ${text}`);
  else want(text, `system: ${system}\nuser: ${ask.prompt}`, 'text');
}

async function both(b, streamed) {
  const a = new Ask('parallel', b);
  const user = { role: 'user', parts: [{ text: a.prompt }] };
  const got = parts(streamed ? await all(stream(a, { tools }, [user])) : [await call(a, { tools }, [user])]);
  const calls = got.filter(p => p.functionCall).map(p => p.functionCall);
  want(calls.map(k => k.name), ['get_weather', 'get_time'], 'calls');
  if (!a.rehearsal) want(calls.map(k => k.args), [{ city: 'Zürich', unit: 'celsius' }, { zone: 'Europe/Zurich' }], 'arguments');
  const results = calls.map((k, i) => ({ functionResponse: { id: k.id, name: k.name, response: { output: `result ${i}` } } }));
  const last = (await call(a, { tools }, [user, { role: 'model', parts: got }, { role: 'user', parts: results }])).text;
  if (a.rehearsal) expect(last, 'no text after the results');
  else want(last, 'results: result 0 | result 1', 'text after the results');
}

const checks = {
  async text(b) {
    const a = new Ask('echo', b);
    const r = await call(a, { systemInstruction: system });
    echoed(a, r.text);
    want(r.candidates[0].finishReason, 'STOP', 'finish');
    expect(r.usageMetadata.promptTokenCount > 0 && r.usageMetadata.candidatesTokenCount > 0, 'usage');
  },
  async streaming(b) {
    const a = new Ask('echo', b);
    const chunks = await all(stream(a, { systemInstruction: system }));
    echoed(a, said(parts(chunks)));
    expect(parts(chunks).filter(p => p.text).length >= 2, 'the text came in one piece');
    want(chunks.flatMap(k => k.candidates ?? []).map(x => x.finishReason).filter(Boolean), ['STOP'], 'finish');
  },
  'parallel tools': b => both(b, false),
  'parallel tools, streamed': b => both(b, true),
  async 'structured output'(b) {
    const a = new Ask('structured', b);
    const schema = { type: 'object', properties: { name: { type: 'string' }, length_km: { type: 'integer' }, tributaries: { type: 'array', items: { type: 'string' } } }, required: ['name', 'length_km', 'tributaries'] };
    const river = JSON.parse((await call(a, { responseMimeType: 'application/json', responseJsonSchema: schema })).text);
    want(Object.keys(river).sort(), ['length_km', 'name', 'tributaries'], 'members');
    if (!a.rehearsal) want(river, { name: 'Aare', length_km: 288, tributaries: ['Emme', 'Reuss'] }, 'parsed');
  },
  async image(b) {
    const a = new Ask('picture', b);
    const text = (await call(a, {}, [{ inlineData: { mimeType: 'image/png', data: png } }, a.prompt])).text;
    if (a.rehearsal) expect(text, 'no text');
    else want(text, pngSum, 'the image as the provider saw it');
  },
  async thinking(b) {
    const a = new Ask('think', b);
    for (const got of [parts([await call(a, { thinkingConfig: { includeThoughts: true } })]), parts(await all(stream(a, { thinkingConfig: { includeThoughts: true } })))]) {
      expect(said(got, true) && said(got), `parts ${JSON.stringify(got)}`);
      if (!a.rehearsal) want([said(got, true), said(got)], ['Is the gate open? It is.', 'The gate is open.'], 'thought and text');
    }
  },
  async '429'(b) {
    const begin = Date.now();
    const e = await raises(ApiError, () => call(new Ask('429', b)));
    want(e.status, 429, 'status');
    expect(e.message.includes('RESOURCE_EXHAUSTED') && e.message.includes('600s'), `message ${e.message}`);
    expect(Date.now() - begin < 10_000, 'somebody waits');
  },
  async '529'(b) {
    want((await raises(ApiError, () => call(new Ask('529', b)))).status, 503, 'status');
  },
  async '400'(b) {
    want((await raises(ApiError, () => call(new Ask('400', b)))).status, 400, 'status');
  },
  async 'error in the stream'(b) {
    let n = 0;
    const e = await raises(Error, async () => {
      for await (const k of await stream(new Ask('error-late', b))) n += parts([k]).some(p => p.text) ? 1 : 0;
    });
    expect(n > 0, 'no text before the error');
    return `${n} pieces, then ${e.name}`;
  },
  async 'cancel a stream'(b) {
    const a = new Ask('drip', b);
    const stop = new AbortController();
    let n = 0, id;
    await raises(Error, async () => {
      for await (const k of await stream(a, { abortSignal: stop.signal })) {
        id = k.sdkHttpResponse?.headers?.['x-headrace-request-id'];
        if (++n === 3) stop.abort();
      }
    });
    return seenGone(a, Date.now(), id);
  },
  async 'count tokens'(b) {
    const a = new Ask('echo', b);
    expect((await api().models.countTokens({ model: a.model, contents: a.prompt })).totalTokens > 3, 'too few');
  },
};

for (const b of backends) {
  for (const [name, check] of Object.entries(checks)) await c.check(name, b, () => check(b));
  if (embeds.includes(b)) {
    await c.check('embeddings', b, async () => {
      const r = await api().models.embedContent({ model: new Ask('echo', b).model.replace('echo', 'embed'), contents: ['one', 'two'] });
      want(r.embeddings.map(e => e.values), [[0.25, -0.5, 0.1], [1.25, -0.5, 0.1]], 'vectors');
    });
  }
}
if (!backends.includes('direct')) {
  await c.check('401', '-', async () => {
    const e = await raises(ApiError, () => new GoogleGenAI({ apiKey: 'hr-this-is-not-a-key-0123456789abcdef', httpOptions: { baseUrl: base } }).models.generateContent({ model: 'rehearsal/quick', contents: 'hello' }));
    expect([400, 401].includes(e.status), `status ${e.status}`);
  });
  await c.check('models', '-', async () => {
    const names = [];
    for await (const m of await api().models.list()) names.push(m.name);
    expect(names.includes('models/rehearsal/quick'), `models ${names.slice(0, 20)}`);
  });
}
const direct = new GoogleGenAI({ apiKey: 'sk-replay', httpOptions: { baseUrl: replay } });
await recorded(c, 'gemini', async rec => {
  const read = (client, model) => outcome(async () => {
    const args = { model, contents: 'What is the weather like?' };
    const chunks = rec.stream ? await all(client.models.generateContentStream(args)) : [await client.models.generateContent(args)];
    return [parts(chunks), chunks.flatMap(k => k.candidates ?? []).map(x => x.finishReason).filter(Boolean)];
  });
  const one = await read(direct, 'recorded-' + rec.id);
  if (!one.failed) want(await read(api(), 'gemini/recorded-' + rec.id), one, rec.source);
});
c.done();
