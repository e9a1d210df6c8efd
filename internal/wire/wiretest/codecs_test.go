package wiretest_test

import (
	"testing"

	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/openai"
	"headrace/internal/wire/wiretest"
)

func TestOpenAI(t *testing.T) {
	t.Parallel()
	wiretest.Run(t, openai.Codec{}, wiretest.Options{Others: []wiretest.Codec{anthropic.Codec{}}})
}

func TestAnthropic(t *testing.T) {
	t.Parallel()
	wiretest.Run(t, anthropic.Codec{}, wiretest.Options{Others: []wiretest.Codec{openai.Codec{}}})
}
