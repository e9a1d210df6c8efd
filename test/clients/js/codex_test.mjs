// The Codex CLI from npm, as it is: one turn with a tool call over Responses,
// nothing changed but base URL, key and model: its search and its sub-agents,
// which are tools in a namespace, are offered too.
import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Ask, Client, backends, base, expect, key, want } from './harness.mjs';

const c = new Client('codex');
const program = process.argv[2];

// turn runs `codex exec` in an empty home and folder and gives the events that
// it prints.
function turn(model, prompt) {
  const home = mkdtempSync(join(tmpdir(), 'headrace-codex-'));
  writeFileSync(join(home, 'config.toml'), `
model = ${JSON.stringify(model)}
model_provider = "headrace"
check_for_update_on_startup = false
[analytics]
enabled = false
[model_providers.headrace]
name = "Headrace"
base_url = ${JSON.stringify(base + '/v1')}
env_key = "HEADRACE_KEY"
wire_api = "responses"
request_max_retries = 0
stream_max_retries = 0
`);
  const child = spawn(program, ['exec', '--json', '--skip-git-repo-check', '--dangerously-bypass-approvals-and-sandbox', prompt], {
    cwd: home,
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: 55_000,
    env: { PATH: process.env.PATH, HOME: home, CODEX_HOME: home, HEADRACE_KEY: key },
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
      if (code !== 0) reject(new Error(`exit ${code}: ${err.slice(-300)} ${JSON.stringify(events.slice(-2))?.slice(0, 500)}`));
      else resolve(events);
    });
  });
}

async function toolTurn(b) {
  const a = new Ask('codex', b);
  const events = await turn(a.model, a.prompt);
  if (process.env.CLIENT_SHOW) console.error(JSON.stringify(events, null, 1));
  const done = events.filter(e => e.type === 'item.completed').map(e => e.item);
  const runs = done.filter(i => i.type === 'command_execution');
  want(runs.length, 1, `commands that were run in ${JSON.stringify(done)}`);
  want([runs[0].status, runs[0].exit_code], ['completed', 0], 'how the command ended');
  const said = done.filter(i => i.type === 'agent_message').at(-1)?.text;
  expect(said, `nothing said at the end: ${JSON.stringify(done)}`);
  expect(events.at(-1).type === 'turn.completed' && events.at(-1).usage.input_tokens > 0, `the end: ${JSON.stringify(events.at(-1))}`);
  if (!a.rehearsal) expect(said.includes('replayed-42'), `text at the end: ${said}`);
  return `ran ${runs[0].command}`;
}

for (const b of backends) await c.check('one turn with a tool call', b, () => toolTurn(b));
if (backends.includes('rehearsal')) {
  await c.check('a call of a tool in a namespace', 'rehearsal', async () => {
    // The name under which a target without namespaces knows it. Codex answers
    // that there is no such agent, and not that there is no such tool.
    const name = 'multi_agent_v1_close_agent_' + createHash('sha256').update('multi_agent_v1::close_agent').digest('hex').slice(0, 12);
    const events = await turn('rehearsal/quick', `Call ${name} once.`);
    const said = events.filter(e => e.item?.type === 'agent_message').at(-1)?.item.text;
    expect(said?.includes('invalid agent id'), `said at the end: ${said}`);
    return said;
  });
}
await c.check('an error is told', '-', async () => {
  if (backends.includes('direct')) return 'not a gateway';
  const e = await outcomeOf(() => turn('rehearsal/nobody', 'hello'));
  expect(/nobody|not found/i.test(e), `it says ${e}`);
});
async function outcomeOf(fn) {
  try {
    return JSON.stringify(await fn());
  } catch (e) {
    return e.message;
  }
}
c.done();
