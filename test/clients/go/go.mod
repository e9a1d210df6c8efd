module headrace/test/clients

go 1.26

require (
	github.com/anthropics/anthropic-sdk-go v1.84.0
	github.com/anthropics/anthropic-sdk-go/v2 v2.13.0
	github.com/openai/openai-go/v3 v3.96.0
)
