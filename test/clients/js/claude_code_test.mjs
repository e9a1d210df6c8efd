// Claude Code from npm, as it is: one turn with a tool call, nothing changed
// but base URL, key and model.
import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ask, Client, backends, base, expect, getJSON, key, replay, want } from './harness.mjs';

const c = new Client('claude-code');
const program = process.argv[2];

// turn runs `claude -p` in an empty home and folder and gives the events that
// it prints.
function turn(model, prompt) {
  const home = mkdtempSync(join(tmpdir(), 'headrace-claude-code-'));
  const child = spawn(program, ['-p', prompt, '--model', model, '--allowedTools', 'Bash', '--output-format', 'stream-json', '--verbose'], {
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 55_000,
    env: {
      PATH: process.env.PATH, HOME: home,
      ANTHROPIC_BASE_URL: base, ANTHROPIC_AUTH_TOKEN: key,
      ANTHROPIC_DEFAULT_HAIKU_MODEL: model, // what it asks on the side
      CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC: '1', DISABLE_AUTOUPDATER: '1',
      IS_SANDBOX: '1', // it refuses some modes to root otherwise
    },
  });
  let out = '', err = '';
  child.stdout.on('data', d => (out += d));
  child.stderr.on('data', d => (err += d));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', code => {
      rmSync(home, { recursive: true, force: true });
      const events = [];
      for (const line of out.split('\n')) if (line.startsWith('{')) events.push(JSON.parse(line));
      if (code !== 0) reject(new Error(`exit ${code}: ${err.slice(-300)} ${JSON.stringify(events.at(-1))?.slice(0, 500)}`));
      else resolve(events);
    });
  });
}

const blocks = (events, role, type) => events.filter(e => e.type === role).flatMap(e => e.message.content).filter(x => x.type === type);

async function toolTurn(b) {
  const rehearsal = b === 'rehearsal';
  const model = rehearsal ? 'rehearsal/steady' : b === 'direct' ? 'replay-claude-code' : `${b}/replay-claude-code`;
  const a = rehearsal ? null : new Ask('echo', b);
  const events = await turn(model, `Call the Bash tool once, then say what it printed.${a ? ' tag-' + a.tag : ''}`);
  const uses = blocks(events, 'assistant', 'tool_use');
  const results = blocks(events, 'user', 'tool_result');
  expect(uses.length >= 1 && uses.every(u => u.name === 'Bash'), `tools called: ${uses.map(u => u.name)}`);
  want(results.map(r => r.tool_use_id), uses.map(u => u.id), 'results of the calls');
  expect(results.every(r => !r.is_error), `a tool failed: ${JSON.stringify(results)}`);
  const result = events.find(e => e.type === 'result');
  want([result?.subtype, result?.is_error], ['success', false], 'the end');
  if (rehearsal) expect(result.result.length > 3, `no text at the end: ${result.result}`);
  else {
    want(result.result, 'The shell printed: replayed-42', 'text at the end');
    const seen = (await a.upstream()).filter(e => e.path.endsWith('/messages'));
    if (b === 'anthropic') {
      expect(seen.length >= 2, `the provider saw ${seen.length} requests`);
      for (const e of seen) {
        expect(e.headers['Anthropic-Beta']?.join().includes('claude-code-20250219'), `anthropic-beta did not arrive: ${e.headers['Anthropic-Beta']}`);
        expect(e.body.context_management && e.body.output_config, `fields did not arrive: ${Object.keys(e.body)}`);
      }
    }
  }
  return `${uses.length} call, input ${JSON.stringify(uses[0].input)}`;
}

for (const b of backends) await c.check('one turn with a tool call', b, () => toolTurn(b));
await c.check('HEAD /api/hello', '-', async () => {
  if (base === replay) return 'not a gateway';
  want((await fetch(base + '/api/hello', { method: 'HEAD' })).status, 200, 'status');
});
await c.check('model discovery', '-', async () => {
  if (base === replay) return 'not a gateway';
  const list = await getJSON(base + '/v1/models?limit=1000', { authorization: 'Bearer ' + key, 'anthropic-version': '2023-06-01' });
  expect(list.data.every(m => m.id && m.display_name && m.type === 'model'), `not Anthropic's form: ${JSON.stringify(list).slice(0, 300)}`);
  expect(list.data.some(m => m.id.includes('claude')), 'no Claude model in the list');
});
c.done();
