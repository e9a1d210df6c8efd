// Batches through the official JavaScript SDKs of OpenAI and Claude: create,
// poll, results, cancel, for models of every provider.
import Anthropic from '@anthropic-ai/sdk';
import OpenAI, { toFile } from 'openai';
import { Ask, Client, backends, base, expect, key, raises, sleep, system, want } from './harness.mjs';

const gpt = new OpenAI({ baseURL: base + '/v1', apiKey: key });
const claude = new Anthropic({ baseURL: base, apiKey: key });
const slow = '[[rehearse: delay=300s]] Say something.'; // its batch takes as long

async function until(look, over) {
  for (const end = Date.now() + 45_000; ; await sleep(250)) {
    const got = await look();
    if (over(got)) return got;
    expect(Date.now() < end, `no end after 45 s: ${JSON.stringify(got)}`);
  }
}

function echoed(ask, text) {
  if (ask.rehearsal) expect(text?.length > 3, `no text: ${text}`);
  else want(text, `system: ${system}\nuser: ${ask.prompt}`, 'text');
}

const asks = () => backends.map(b => new Ask('echo', b));

async function upload(requests) {
  const text = requests.map(([id, body]) => JSON.stringify({ custom_id: id, method: 'POST', url: '/v1/chat/completions', body }) + '\n').join('');
  const file = await gpt.files.create({ file: await toFile(Buffer.from(text), 'in.jsonl'), purpose: 'batch' });
  return gpt.batches.create({ input_file_id: file.id, endpoint: '/v1/chat/completions', completion_window: '24h' });
}

async function content(id) {
  const text = await (await gpt.files.content(id)).text();
  return new Map(text.trim().split('\n').map(l => JSON.parse(l)).map(r => [r.custom_id, r]));
}

const openai = {
  async 'create, poll, results'() {
    const all = asks();
    const made = await upload(all.map(a => [a.backend, { model: a.model, messages: [{ role: 'system', content: system }, { role: 'user', content: a.prompt }] }]));
    const done = await until(() => gpt.batches.retrieve(made.id), b => !['validating', 'in_progress', 'finalizing'].includes(b.status));
    want([done.status, done.request_counts.completed, done.request_counts.failed], ['completed', all.length, 0], 'ended');
    const out = await content(done.output_file_id);
    for (const a of all) echoed(a, out.get(a.backend).response.body.choices[0].message.content);
    const listed = [];
    for await (const b of gpt.batches.list({ limit: 100 })) listed.push(b.id);
    expect(listed.includes(made.id), 'it is not listed');
  },
  async cancel() {
    const made = await upload([['slow', { model: 'rehearsal/quick', messages: [{ role: 'user', content: slow }] }]]);
    await gpt.batches.cancel(made.id);
    const done = await until(() => gpt.batches.retrieve(made.id), b => b.status === 'cancelled');
    want((await content(done.error_file_id)).get('slow').error.code, 'batch_cancelled', 'error');
  },
  async '404'() {
    await raises(OpenAI.NotFoundError, () => gpt.batches.retrieve('batch_nothing'));
  },
};

const anthropic = {
  async 'create, poll, results'() {
    const all = asks();
    const made = await claude.messages.batches.create({ requests: all.map(a => ({ custom_id: a.backend, params: { model: a.model, max_tokens: 1024, system, messages: [{ role: 'user', content: a.prompt }] } })) });
    want(made.processing_status, 'in_progress', 'created');
    const done = await until(() => claude.messages.batches.retrieve(made.id), b => b.processing_status === 'ended');
    want(done.request_counts.succeeded, all.length, 'succeeded');
    const out = new Map();
    for await (const r of await claude.messages.batches.results(made.id)) out.set(r.custom_id, r.result);
    for (const a of all) echoed(a, out.get(a.backend).message.content.filter(b => b.type === 'text').map(b => b.text).join(''));
  },
  async cancel() {
    const made = await claude.messages.batches.create({ requests: [{ custom_id: 'slow', params: { model: 'rehearsal/quick', max_tokens: 99, messages: [{ role: 'user', content: slow }] } }] });
    await claude.messages.batches.cancel(made.id);
    await until(() => claude.messages.batches.retrieve(made.id), b => b.processing_status === 'ended');
    const types = [];
    for await (const r of await claude.messages.batches.results(made.id)) types.push(r.result.type);
    want(types, ['canceled'], 'results');
  },
};

if (!backends.includes('direct')) {
  for (const [name, checks] of [['js-openai-batch', openai], ['js-anthropic-batch', anthropic]]) {
    const c = new Client(name);
    for (const [what, fn] of Object.entries(checks)) await c.check(what, 'all', fn);
    c.report();
  }
}
process.exit(0); // connections that a check left open must not hold the process
