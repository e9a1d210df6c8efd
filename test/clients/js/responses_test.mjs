// The official JavaScript SDK for OpenAI with Responses, and OpenAI's Agents
// SDK on top of it and of Chat Completions.
import { Agent, OpenAIChatCompletionsModel, OpenAIResponsesModel, Runner, setTracingDisabled, tool } from '@openai/agents';
import OpenAI from 'openai';
import { zodTextFormat } from 'openai/helpers/zod';
import { z } from 'zod';
import { Ask, Client, backends, base, embeds, expect, key, outcome, png, pngSum, raises, recorded, replay, seenGone, system, want } from './harness.mjs';

setTracingDisabled(true); // it would send traces to OpenAI
const client = new OpenAI({ baseURL: base + '/v1', apiKey: key });
const call = (ask, more = {}, options = {}) => client.responses.create({ model: ask.model, input: ask.prompt, ...more }, { headers: ask.headers, ...options });
const River = z.object({ name: z.string(), length_km: z.number().int(), tributaries: z.array(z.string()) });

function echoed(ask, text) {
  if (ask.rehearsal) expect(text?.length > 3, `no text: ${text}`);
  else want(text, `system: ${system}\nuser: ${ask.prompt}`, 'text');
}

const checks = {
  async text(b) {
    const a = new Ask('echo', b);
    const r = await call(a, { instructions: system });
    echoed(a, r.output_text);
    want(r.status, 'completed', 'status');
    expect(r.usage.input_tokens > 0 && r.usage.output_tokens > 0, 'usage');
  },
  async streaming(b) {
    const a = new Ask('echo', b);
    const events = [];
    for await (const e of await call(a, { instructions: system, stream: true })) events.push(e);
    echoed(a, events.filter(e => e.type === 'response.output_text.delta').map(e => e.delta).join(''));
    want(events.map(e => e.sequence_number), events.map((_, i) => i), 'sequence numbers');
    want([events[0].type, events.at(-1).type], ['response.created', 'response.completed'], 'first and last event');
  },
  async 'structured output'(b) {
    const a = new Ask('structured', b);
    const r = await client.responses.parse({ model: a.model, input: a.prompt, text: { format: zodTextFormat(River, 'river') } }, { headers: a.headers });
    const river = River.parse(r.output_parsed);
    if (!a.rehearsal) want(river, { name: 'Aare', length_km: 288, tributaries: ['Emme', 'Reuss'] }, 'parsed');
  },
  async image(b) {
    const a = new Ask('picture', b);
    const r = await call(a, { input: [{ role: 'user', content: [{ type: 'input_text', text: a.prompt }, { type: 'input_image', image_url: 'data:image/png;base64,' + png, detail: 'auto' }] }] });
    if (a.rehearsal) expect(r.output_text, 'no text');
    else want(r.output_text, pngSum, 'the image as the provider saw it');
  },
  async '429 with retry-after'(b) {
    const begin = Date.now();
    const e = await raises(OpenAI.RateLimitError, () => call(new Ask('429', b), {}, b === 'direct' ? { maxRetries: 0 } : {}));
    want([e.status, e.headers.get('retry-after')], [429, '600'], 'status and retry-after');
    expect(Date.now() - begin < 10_000, 'somebody waits');
  },
  async '529'(b) {
    const e = await raises(OpenAI.InternalServerError, () => call(new Ask('529', b), {}, { maxRetries: 0 }));
    expect([503, 529].includes(e.status), `status ${e.status}`);
  },
  async 'error in the stream'(b) {
    const kinds = [];
    await outcome(async () => {
      for await (const e of await call(new Ask('error-late', b), { stream: true })) kinds.push(e.type);
    });
    expect(kinds.includes('response.output_text.delta'), `no text before the error: ${kinds}`);
    want(kinds.at(-1), 'response.failed', 'the last event');
  },
  async 'cancel a stream'(b) {
    const a = new Ask('drip', b);
    const { data, response } = await call(a, { stream: true }).withResponse();
    let n = 0;
    for await (const e of data) if (e.type === 'response.output_text.delta' && ++n === 3) break; // leaving the loop aborts the request
    return seenGone(a, Date.now(), response.headers.get('x-headrace-request-id'));
  },
};

const c = new Client('js-responses');
for (const b of backends) {
  for (const [name, check] of Object.entries(checks)) await c.check(name, b, () => check(b));
  if (embeds.includes(b)) {
    await c.check('embeddings, base64 and float', b, async () => {
      const model = new Ask('echo', b).model.replace('echo', 'embed');
      const r = await client.embeddings.create({ model, input: ['one', 'two'] }); // the SDK asks for base64
      want(r.data.map(e => e.embedding), [[0.25, -0.5, Math.fround(0.1)], [1.25, -0.5, Math.fround(0.1)]], 'vectors by base64');
      want((await client.embeddings.create({ model, input: 'one', encoding_format: 'float' })).data[0].embedding, [0.25, -0.5, 0.1], 'vector in figures');
    });
  }
}
const direct = new OpenAI({ baseURL: replay + '/v1', apiKey: 'sk-replay', maxRetries: 0 });
await recorded(c, 'openai-responses', async rec => {
  const read = (api, model) => outcome(async () => {
    const r = await api.responses.create({ model, input: 'What is the weather like?', stream: rec.stream, store: false }, { maxRetries: 0 });
    if (!rec.stream) return r;
    const events = [];
    for await (const e of r) events.push(e);
    return events;
  });
  const one = await read(direct, 'recorded-' + rec.id);
  if (!one.failed) want(await read(client, 'openai/recorded-' + rec.id), one, rec.source);
});
c.report();

// The Agents SDK runs a whole tool loop by itself.
const kinds = { responses: OpenAIResponsesModel, chat: OpenAIChatCompletionsModel };
for (const [kind, Model] of Object.entries(kinds)) {
  const c = new Client('js-agents-' + kind);
  const agent = (ask, more = {}) => new Agent({ name: 'check', instructions: system, model: new Model(new OpenAI({ baseURL: base + '/v1', apiKey: key, defaultHeaders: ask.headers, maxRetries: 0 }), ask.model), ...more });
  const loop = async (b, stream) => {
    const a = new Ask('parallel', b);
    const asked = [];
    const tools = [
      tool({ name: 'get_weather', description: 'The weather in a city', parameters: z.object({ city: z.string(), unit: z.enum(['celsius', 'fahrenheit']) }), execute: x => (asked.push(x), 'result 0') }),
      tool({ name: 'get_time', description: 'The time in a zone', parameters: z.object({ zone: z.string() }), execute: x => (asked.push(x), 'result 1') }),
    ];
    const r = await new Runner().run(agent(a, { tools }), a.prompt, { stream });
    if (stream) {
      for await (const _ of r.toTextStream());
      await r.completed;
    }
    want(asked.length, 2, 'calls');
    if (a.rehearsal) expect(r.finalOutput, 'no text at the end');
    else {
      want(asked, [{ city: 'Zürich', unit: 'celsius' }, { zone: 'Europe/Zurich' }], 'arguments');
      want(r.finalOutput, 'results: result 0 | result 1', 'text at the end');
    }
  };
  const agentChecks = {
    async text(b) {
      const a = new Ask('echo', b);
      echoed(a, (await new Runner().run(agent(a), a.prompt)).finalOutput);
    },
    'a loop of parallel tools': b => loop(b, false),
    'a loop of parallel tools, streamed': b => loop(b, true),
    async 'structured output'(b) {
      const a = new Ask('structured', b);
      const river = (await new Runner().run(agent(a, { outputType: River }), a.prompt)).finalOutput;
      River.parse(river);
      if (!a.rehearsal) want(river, { name: 'Aare', length_km: 288, tributaries: ['Emme', 'Reuss'] }, 'output');
    },
    async '429'(b) {
      const a = new Ask('429', b);
      const e = await raises(Error, () => new Runner().run(agent(a), a.prompt));
      want(e.status, 429, `status of ${e.name} ${e.message}`);
    },
  };
  for (const b of backends) for (const [name, check] of Object.entries(agentChecks)) await c.check(name, b, () => check(b));
  c.report();
}
process.exit(0); // connections that a check left open must not hold the process
