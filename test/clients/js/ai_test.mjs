// Vercel's AI SDK with its three providers that speak our dialects, with
// nothing changed but base URL and key.
import { APICallError, Output, RetryError, generateText, stepCountIs, streamText, tool } from 'ai';
import { createAnthropic } from '@ai-sdk/anthropic';
import { createOpenAI } from '@ai-sdk/openai';
import { createOpenAICompatible } from '@ai-sdk/openai-compatible';
import { z } from 'zod';
import { Ask, Client, backends, base, expect, key, png, pngSum, raises, seenGone, sleep, system, want } from './harness.mjs';

globalThis.AI_SDK_LOG_WARNINGS = false; // they would stand between the lines

const providers = {
  'ai-openai': apiKey => { const p = createOpenAI({ baseURL: base + '/v1', apiKey }); return model => p.chat(model); },
  'ai-anthropic': apiKey => createAnthropic({ baseURL: base + '/v1', apiKey }),
  'ai-openai-compatible': apiKey => createOpenAICompatible({ name: 'headrace', baseURL: base + '/v1', apiKey, includeUsage: true, supportsStructuredOutputs: true }),
};

const River = z.object({ name: z.string(), length_km: z.number().int(), tributaries: z.array(z.string()) });

function echoed(ask, text) {
  if (ask.rehearsal) expect(text?.length > 3, `no text: ${text}`);
  else want(text, `system: ${system}\nuser: ${ask.prompt}`, 'text');
}

// toolset gives the two tools and notes what they are called with.
function toolset(asked) {
  const execute = name => async input => { asked.push([name, input]); return `${name} says so`; };
  return {
    get_weather: tool({ description: 'The weather in a city', inputSchema: z.object({ city: z.string(), unit: z.enum(['celsius', 'fahrenheit']).optional() }), execute: execute('get_weather') }),
    get_time: tool({ description: 'The time in a zone', inputSchema: z.object({ zone: z.string() }), execute: execute('get_time') }),
  };
}

function afterTools(a, text, names) {
  if (a.rehearsal) expect(text, 'no text after the results');
  else want(text, 'results: ' + names.map(n => `${n} says so`).join(' | '), 'text after the results');
}

function checksOf(model) {
  const ask = (a, more = {}) => ({ model: model(a.model), instructions: system, prompt: a.prompt, headers: a.headers, maxRetries: 0, ...more });
  // drain reads a stream to its end and gives its parts; errors stand in it as parts.
  const drain = async s => { const parts = []; for await (const p of s.fullStream) parts.push(p); return parts; };
  return {
    async text(b) {
      const a = new Ask('echo', b);
      const r = await generateText(ask(a));
      echoed(a, r.text);
      want(r.finishReason, 'stop', 'finish');
      expect(r.usage.inputTokens > 0 && r.usage.outputTokens > 0, 'usage');
      if (!a.rehearsal) want([r.usage.inputTokens, r.usage.outputTokens], [31, 17], 'usage');
    },
    async streaming(b) {
      const a = new Ask('echo', b);
      const s = streamText(ask(a));
      const pieces = [];
      for await (const t of s.textStream) pieces.push(t);
      echoed(a, pieces.join(''));
      expect(pieces.length >= 2, 'the text came in one piece');
      want(await s.finishReason, 'stop', 'finish');
      expect((await s.usage).outputTokens > 0, 'usage');
    },
    async 'tools, two turns'(b) {
      const a = new Ask('tools', b), asked = [];
      const r = await generateText(ask(a, { tools: toolset(asked), stopWhen: stepCountIs(3) }));
      want(asked.map(x => x[0]), ['get_weather'], 'calls');
      if (!a.rehearsal) want(asked[0][1], { city: 'Zürich', unit: 'celsius' }, 'input');
      afterTools(a, r.text, ['get_weather']);
    },
    async 'parallel tools, streamed'(b) {
      const a = new Ask('parallel', b), asked = [];
      const s = streamText(ask(a, { tools: toolset(asked), stopWhen: stepCountIs(3) }));
      const parts = await drain(s);
      const failed = parts.find(p => p.type === 'error');
      if (failed) throw failed.error;
      want(asked.map(x => x[0]).sort(), ['get_time', 'get_weather'], 'calls');
      afterTools(a, (await s.steps).at(-1).text, ['get_weather', 'get_time']);
    },
    async 'structured output'(b) {
      const a = new Ask('structured', b);
      const { output } = await generateText(ask(a, { output: Output.object({ schema: River, name: 'river' }) }));
      River.parse(output);
      if (!a.rehearsal) want(output, { name: 'Aare', length_km: 288, tributaries: ['Emme', 'Reuss'] }, 'output');
    },
    async 'structured output, streamed'(b) {
      const a = new Ask('structured', b);
      const s = streamText(ask(a, { output: Output.object({ schema: River, name: 'river' }) }));
      await drain(s);
      River.parse(await s.output);
    },
    async image(b) {
      const a = new Ask('picture', b);
      const { text } = await generateText(ask(a, { prompt: undefined, messages: [{ role: 'user', content: [{ type: 'text', text: a.prompt }, { type: 'file', mediaType: 'image/png', data: Buffer.from(png, 'base64') }] }] }));
      if (a.rehearsal) expect(text, 'no text');
      else want(text, pngSum, 'the image as the provider saw it');
    },
    async '429 with retry-after'(b) {
      const a = new Ask('429', b);
      const e = await raises(APICallError, () => generateText(ask(a)));
      want([e.statusCode, e.responseHeaders['retry-after']], [429, '600'], 'status and retry-after');
    },
    async '529'(b) {
      const e = await raises(APICallError, () => generateText(ask(new Ask('529', b))));
      expect([503, 529].includes(e.statusCode), `status ${e.statusCode}`);
      return `status ${e.statusCode}`;
    },
    async 'error in the stream'(b) {
      const parts = await drain(streamText(ask(new Ask('error-late', b), { onError() {} })));
      expect(parts.some(p => p.type === 'text-delta'), 'no text before the error');
      expect(parts.some(p => p.type === 'error'), `no error part among ${parts.map(p => p.type)}`);
    },
    async 'cancel a stream'(b) {
      const a = new Ask('drip', b), stop = new AbortController();
      const s = streamText(ask(a, { abortSignal: stop.signal, onError() {} }));
      let n = 0, left = 0;
      try {
        for await (const p of s.fullStream) {
          if (p.type === 'text-delta' && ++n === 3) { left = Date.now(); stop.abort(); }
          if (p.type === 'abort') break;
        }
      } catch (e) {
        if (e.name !== 'AbortError') throw e;
      }
      expect(left, 'no text came');
      return seenGone(a, left, null);
    },
  };
}

for (const [name, make] of Object.entries(providers)) {
  const c = new Client(name);
  for (const b of backends) for (const [what, check] of Object.entries(checksOf(make(key)))) {
    // It asks Claude for an object by a tool that must be called, which Ollama cannot be made to.
    if (name === 'ai-anthropic' && b === 'ollama' && what.startsWith('structured')) continue;
    await c.check(what, b, () => check(b));
  }
  if (!backends.includes('direct')) {
    await c.check('401', '-', async () => {
      const e = await raises(APICallError, () => generateText({ model: make('hr-this-is-not-a-key-0123456789abcdef')('rehearsal/quick'), prompt: 'hello', maxRetries: 0 }));
      want(e.statusCode, 401, 'status');
    });
  }
  console.log(`done\t${c.name}\t${c.n}`);
}
process.exit(0);
