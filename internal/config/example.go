package config

// Example is a file that shows what most people want, for the documentation;
// a test loads it.
const Example = `listen: 127.0.0.1:8080

providers:
  anthropic:
    api_key: ${ANTHROPIC_API_KEY}
  openai:
    api_key: ${file:/run/secrets/openai}
  house:                       # a server of your own
    base_url: http://10.0.0.7:8000/v1
    dialect: openai
    auth: none
    models: [qwen3-coder]

routes:
  smart: [anthropic/claude-opus-5-5, openai/gpt-5.5, rehearsal/steady]
  cheap: [house/qwen3-coder, rehearsal/quick]

models:
  house/qwen3-coder:
    price: {input: 0, output: 0}
    window: 131072
    capabilities: {tools: true, vision: false}

timeouts:
  first_byte: 2m

retries:
  classes:
    overloaded: {repeat: 1, next: true}
`
