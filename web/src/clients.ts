// The settings of the usual clients: data, so that a test can take each of them as it stands.

export interface Client {
  id: string;
  name: string;
  how: string;
  /** What stands behind these settings. */
  tested: string;
  blocks: (s: { base: string; key: string; model: string }) => { name: string; text: string }[];
}

const word = (key: string) => key || "$HEADRACE_KEY";
/** literal is a key where no shell would fill in a variable. */
const literal = (key: string) => key || "YOUR_HEADRACE_KEY";
const run = "run against this gateway by its own tests";

export const clients: Client[] = [
  {
    id: "curl", name: "curl", tested: run, how: "Any of the five dialects; this is Chat Completions.",
    blocks: ({ base, key, model }) => [{ name: "Shell", text: `curl -sS ${base}/v1/chat/completions \\\n  -H "Authorization: Bearer ${word(key)}" \\\n  -H 'Content-Type: application/json' \\\n  -d '{"model":"${model}","messages":[{"role":"user","content":"Hello"}]}'` }],
  },
  {
    id: "claude-code", name: "Claude Code", tested: run, how: "Two variables. Claude Code then asks this gateway for Claude models; name another one to have it answered by any provider.",
    blocks: ({ base, key, model }) => [
      { name: "Shell", text: `export ANTHROPIC_BASE_URL=${base}\nexport ANTHROPIC_AUTH_TOKEN=${word(key)}\nclaude` },
      { name: "With a model of any provider", text: `export ANTHROPIC_BASE_URL=${base}\nexport ANTHROPIC_AUTH_TOKEN=${word(key)}\nexport ANTHROPIC_DEFAULT_HAIKU_MODEL=${model}\nclaude --model ${model}` },
    ],
  },
  {
    id: "codex", name: "Codex", tested: run, how: "A provider in its configuration; Codex speaks Responses.",
    blocks: ({ base, key, model }) => [
      { name: "~/.codex/config.toml", text: `model = "${model}"\nmodel_provider = "headrace"\n\n[model_providers.headrace]\nname = "Headrace"\nbase_url = "${base}/v1"\nenv_key = "HEADRACE_KEY"\nwire_api = "responses"` },
      { name: "Shell", text: `export HEADRACE_KEY=${key || "hr-..."}\ncodex` },
    ],
  },
  {
    id: "cursor", name: "Cursor", tested: "the same API as the OpenAI SDK's; Cursor itself is not run by the tests", how: "Settings, Models, API keys: override the OpenAI base URL, and add the model by its name. Cursor calls from its own servers, so this gateway must be reachable from the internet under a name with TLS.",
    blocks: ({ base, key, model }) => [
      { name: "Override OpenAI Base URL", text: `${base}/v1` },
      { name: "OpenAI API Key", text: literal(key) },
      { name: "Model", text: model },
    ],
  },
  {
    id: "openai", name: "OpenAI SDK", tested: run, how: "The environment is enough; every SDK of OpenAI's reads it.",
    blocks: ({ base, key, model }) => [
      { name: "Shell", text: `export OPENAI_BASE_URL=${base}/v1\nexport OPENAI_API_KEY=${word(key)}` },
      { name: "Python", text: `from openai import OpenAI\n\nclient = OpenAI(base_url="${base}/v1", api_key="${literal(key)}")\nanswer = client.chat.completions.create(\n    model="${model}", messages=[{"role": "user", "content": "Hello"}]\n)\nprint(answer.choices[0].message.content)` },
      { name: "TypeScript", text: `import OpenAI from "openai";\n\nconst client = new OpenAI({ baseURL: "${base}/v1", apiKey: "${literal(key)}" });\nconst answer = await client.chat.completions.create({\n  model: "${model}", messages: [{ role: "user", content: "Hello" }],\n});\nconsole.log(answer.choices[0].message.content);` },
    ],
  },
  {
    id: "anthropic", name: "Anthropic SDK", tested: run, how: "The base URL has no /v1: the SDK adds it.",
    blocks: ({ base, key, model }) => [
      { name: "Shell", text: `export ANTHROPIC_BASE_URL=${base}\nexport ANTHROPIC_API_KEY=${word(key)}` },
      { name: "Python", text: `import anthropic\n\nclient = anthropic.Anthropic(base_url="${base}", api_key="${literal(key)}")\nanswer = client.messages.create(\n    model="${model}", max_tokens=1024, messages=[{"role": "user", "content": "Hello"}]\n)\nprint(answer.content[0].text)` },
      { name: "TypeScript", text: `import Anthropic from "@anthropic-ai/sdk";\n\nconst client = new Anthropic({ baseURL: "${base}", apiKey: "${literal(key)}" });\nconst answer = await client.messages.create({\n  model: "${model}", max_tokens: 1024, messages: [{ role: "user", content: "Hello" }],\n});\nconsole.log(answer.content);` },
    ],
  },
  {
    id: "gemini", name: "Gemini SDK", tested: run, how: "The environment is enough for Google's SDKs of Python, JavaScript and Go.",
    blocks: ({ base, key, model }) => [
      { name: "Shell", text: `export GOOGLE_GEMINI_BASE_URL=${base}\nexport GEMINI_API_KEY=${word(key)}` },
      { name: "Python", text: `from google import genai\nfrom google.genai import types\n\nclient = genai.Client(api_key="${literal(key)}", http_options=types.HttpOptions(base_url="${base}"))\nanswer = client.models.generate_content(model="${model}", contents="Hello")\nprint(answer.text)` },
    ],
  },
  {
    id: "open-webui", name: "Open WebUI", tested: "the same API as the OpenAI SDK's and Ollama's library; Open WebUI itself is not run by the tests", how: "As an OpenAI connection. Open WebUI in a container reaches this machine under host.docker.internal.",
    blocks: ({ base, key }) => [
      { name: "Environment", text: `OPENAI_API_BASE_URL=${base}/v1\nOPENAI_API_KEY=${literal(key)}` },
    ],
  },
  {
    id: "langchain", name: "LangChain", tested: run, how: "With the package of the dialect that you want to speak.",
    blocks: ({ base, key, model }) => [
      { name: "langchain-openai", text: `from langchain_openai import ChatOpenAI\n\nllm = ChatOpenAI(model="${model}", base_url="${base}/v1", api_key="${literal(key)}")\nprint(llm.invoke("Hello").content)` },
      { name: "langchain-anthropic", text: `from langchain_anthropic import ChatAnthropic\n\nllm = ChatAnthropic(model="${model}", base_url="${base}", api_key="${literal(key)}", max_tokens=1024)\nprint(llm.invoke("Hello").content)` },
    ],
  },
  {
    id: "ollama", name: "Ollama clients", tested: run, how: "Any client of Ollama that has a place for a key or a header.",
    blocks: ({ base, key, model }) => [
      { name: "Shell, for Ollama's Python library", text: `export OLLAMA_HOST=${base}\nexport OLLAMA_API_KEY=${word(key)}` },
      { name: "Python", text: `from ollama import Client\n\nclient = Client(host="${base}", headers={"Authorization": "Bearer ${literal(key)}"})\nprint(client.chat(model="${model}", messages=[{"role": "user", "content": "Hello"}]).message.content)` },
    ],
  },
];
