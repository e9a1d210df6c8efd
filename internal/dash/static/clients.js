const word = (key) => key || "$HEADRACE_KEY";
const literal = (key) => key || "YOUR_HEADRACE_KEY";
const run = "run against this gateway by its own tests";
const clients = [
  {
    id: "curl",
    name: "curl",
    tested: run,
    how: "Any of the five dialects; this is Chat Completions.",
    blocks: ({ base, key, model }) => [{ name: "Shell", text: `curl -sS ${base}/v1/chat/completions \\
  -H "Authorization: Bearer ${word(key)}" \\
  -H 'Content-Type: application/json' \\
  -d '{"model":"${model}","messages":[{"role":"user","content":"Hello"}]}'` }]
  },
  {
    id: "claude-code",
    name: "Claude Code",
    tested: run,
    how: "Two variables. Claude Code then asks this gateway for Claude models; name another one to have it answered by any provider.",
    blocks: ({ base, key, model }) => [
      { name: "Shell", text: `export ANTHROPIC_BASE_URL=${base}
export ANTHROPIC_AUTH_TOKEN=${word(key)}
claude` },
      { name: "With a model of any provider", text: `export ANTHROPIC_BASE_URL=${base}
export ANTHROPIC_AUTH_TOKEN=${word(key)}
export ANTHROPIC_DEFAULT_HAIKU_MODEL=${model}
claude --model ${model}` }
    ]
  },
  {
    id: "codex",
    name: "Codex",
    tested: run,
    how: "A provider in its configuration; Codex speaks Responses.",
    blocks: ({ base, key, model }) => [
      { name: "~/.codex/config.toml", text: `model = "${model}"
model_provider = "headrace"

[model_providers.headrace]
name = "Headrace"
base_url = "${base}/v1"
env_key = "HEADRACE_KEY"
wire_api = "responses"` },
      { name: "Shell", text: `export HEADRACE_KEY=${key || "hr-..."}
codex` }
    ]
  },
  {
    id: "cursor",
    name: "Cursor",
    tested: "the same API as the OpenAI SDK's; Cursor itself is not run by the tests",
    how: "Settings, Models, API keys: override the OpenAI base URL, and add the model by its name. Cursor calls from its own servers, so this gateway must be reachable from the internet under a name with TLS.",
    blocks: ({ base, key, model }) => [
      { name: "Override OpenAI Base URL", text: `${base}/v1` },
      { name: "OpenAI API Key", text: literal(key) },
      { name: "Model", text: model }
    ]
  },
  {
    id: "openai",
    name: "OpenAI SDK",
    tested: run,
    how: "The environment is enough; every SDK of OpenAI's reads it.",
    blocks: ({ base, key, model }) => [
      { name: "Shell", text: `export OPENAI_BASE_URL=${base}/v1
export OPENAI_API_KEY=${word(key)}` },
      { name: "Python", text: `from openai import OpenAI

client = OpenAI(base_url="${base}/v1", api_key="${literal(key)}")
answer = client.chat.completions.create(
    model="${model}", messages=[{"role": "user", "content": "Hello"}]
)
print(answer.choices[0].message.content)` },
      { name: "TypeScript", text: `import OpenAI from "openai";

const client = new OpenAI({ baseURL: "${base}/v1", apiKey: "${literal(key)}" });
const answer = await client.chat.completions.create({
  model: "${model}", messages: [{ role: "user", content: "Hello" }],
});
console.log(answer.choices[0].message.content);` }
    ]
  },
  {
    id: "anthropic",
    name: "Anthropic SDK",
    tested: run,
    how: "The base URL has no /v1: the SDK adds it.",
    blocks: ({ base, key, model }) => [
      { name: "Shell", text: `export ANTHROPIC_BASE_URL=${base}
export ANTHROPIC_API_KEY=${word(key)}` },
      { name: "Python", text: `import anthropic

client = anthropic.Anthropic(base_url="${base}", api_key="${literal(key)}")
answer = client.messages.create(
    model="${model}", max_tokens=1024, messages=[{"role": "user", "content": "Hello"}]
)
print(answer.content[0].text)` },
      { name: "TypeScript", text: `import Anthropic from "@anthropic-ai/sdk";

const client = new Anthropic({ baseURL: "${base}", apiKey: "${literal(key)}" });
const answer = await client.messages.create({
  model: "${model}", max_tokens: 1024, messages: [{ role: "user", content: "Hello" }],
});
console.log(answer.content);` }
    ]
  },
  {
    id: "gemini",
    name: "Gemini SDK",
    tested: run,
    how: "The environment is enough for Google's SDKs of Python, JavaScript and Go.",
    blocks: ({ base, key, model }) => [
      { name: "Shell", text: `export GOOGLE_GEMINI_BASE_URL=${base}
export GEMINI_API_KEY=${word(key)}` },
      { name: "Python", text: `from google import genai
from google.genai import types

client = genai.Client(api_key="${literal(key)}", http_options=types.HttpOptions(base_url="${base}"))
answer = client.models.generate_content(model="${model}", contents="Hello")
print(answer.text)` }
    ]
  },
  {
    id: "open-webui",
    name: "Open WebUI",
    tested: "the same API as the OpenAI SDK's and Ollama's library; Open WebUI itself is not run by the tests",
    how: "As an OpenAI connection. Open WebUI in a container reaches this machine under host.docker.internal.",
    blocks: ({ base, key }) => [
      { name: "Environment", text: `OPENAI_API_BASE_URL=${base}/v1
OPENAI_API_KEY=${literal(key)}` }
    ]
  },
  {
    id: "langchain",
    name: "LangChain",
    tested: run,
    how: "With the package of the dialect that you want to speak.",
    blocks: ({ base, key, model }) => [
      { name: "langchain-openai", text: `from langchain_openai import ChatOpenAI

llm = ChatOpenAI(model="${model}", base_url="${base}/v1", api_key="${literal(key)}")
print(llm.invoke("Hello").content)` },
      { name: "langchain-anthropic", text: `from langchain_anthropic import ChatAnthropic

llm = ChatAnthropic(model="${model}", base_url="${base}", api_key="${literal(key)}", max_tokens=1024)
print(llm.invoke("Hello").content)` }
    ]
  },
  {
    id: "ollama",
    name: "Ollama clients",
    tested: run,
    how: "Any client of Ollama that has a place for a key or a header.",
    blocks: ({ base, key, model }) => [
      { name: "Shell, for Ollama's Python library", text: `export OLLAMA_HOST=${base}
export OLLAMA_API_KEY=${word(key)}` },
      { name: "Python", text: `from ollama import Client

client = Client(host="${base}", headers={"Authorization": "Bearer ${literal(key)}"})
print(client.chat(model="${model}", messages=[{"role": "user", "content": "Hello"}]).message.content)` }
    ]
  }
];
export {
  clients
};
