package gpt

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/openai/openai-go/v3"

	"headrace/test/clients/check"
)

// batches runs the checks of batches, for models of every provider.
func (s *suite) batches() {
	c := &check.Client{Name: "go-openai-batch"}
	c.Check("create, poll, results", "all", s.batchResults)
	c.Check("cancel", "all", s.batchCancel)
	c.Done()
}

func (s *suite) upload(lines ...any) *openai.Batch {
	var text strings.Builder
	for _, l := range lines {
		check.Must(json.NewEncoder(&text).Encode(l))
	}
	file, err := s.client.Files.New(context.Background(), openai.FileNewParams{
		File: openai.File(strings.NewReader(text.String()), "in.jsonl", "application/jsonl"), Purpose: openai.FilePurposeBatch})
	check.Must(err)
	made, err := s.client.Batches.New(context.Background(), openai.BatchNewParams{InputFileID: file.ID,
		Endpoint: openai.BatchNewParamsEndpointV1ChatCompletions, CompletionWindow: openai.BatchNewParamsCompletionWindow24h})
	check.Must(err)
	return made
}

func batchLine(id, model string, messages ...openai.ChatCompletionMessageParamUnion) any {
	return map[string]any{"custom_id": id, "method": "POST", "url": "/v1/chat/completions",
		"body": openai.ChatCompletionNewParams{Model: model, Messages: messages}}
}

// ended waits for a batch.
func (s *suite) ended(id string) *openai.Batch {
	for until := time.Now().Add(45 * time.Second); ; time.Sleep(250 * time.Millisecond) {
		b, err := s.client.Batches.Get(context.Background(), id)
		check.Must(err)
		switch b.Status {
		case openai.BatchStatusCompleted, openai.BatchStatusCancelled, openai.BatchStatusExpired, openai.BatchStatusFailed:
			return b
		}
		check.Expect(time.Now().Before(until), "no end after 45 s: %s", b.RawJSON())
	}
}

type batchOutput struct {
	ID       string `json:"custom_id"`
	Response struct {
		Body openai.ChatCompletion `json:"body"`
	} `json:"response"`
	Error struct{ Code string }
}

func (s *suite) outputs(file string) map[string]batchOutput {
	resp, err := s.client.Files.Content(context.Background(), file)
	check.Must(err)
	defer resp.Body.Close()
	out := map[string]batchOutput{}
	for dec := json.NewDecoder(resp.Body); ; {
		var o batchOutput
		err := dec.Decode(&o)
		if errors.Is(err, io.EOF) {
			return out
		}
		check.Must(err)
		out[o.ID] = o
	}
}

func (s *suite) batchResults() string {
	var asks []*check.Ask
	var lines []any
	for _, b := range s.env.Backends {
		a := s.env.NewAsk("echo", b)
		asks = append(asks, a)
		lines = append(lines, batchLine(b, a.Model, openai.SystemMessage(check.System), openai.UserMessage(a.Prompt)))
	}
	done := s.ended(s.upload(lines...).ID)
	check.Want([]any{string(done.Status), done.RequestCounts.Completed}, []any{"completed", int64(len(asks))}, "ended")
	out := s.outputs(done.OutputFileID)
	for _, a := range asks {
		o, ok := out[a.Backend]
		check.Expect(ok && len(o.Response.Body.Choices) == 1, "no answer of %s", a.Backend)
		a.Echoed(o.Response.Body.Choices[0].Message.Content)
	}
	return fmt.Sprintf("%d models", len(asks))
}

func (s *suite) batchCancel() string {
	made := s.upload(batchLine("slow", "rehearsal/quick", openai.UserMessage(check.Slow)))
	_, err := s.client.Batches.Cancel(context.Background(), made.ID)
	check.Must(err)
	done := s.ended(made.ID)
	check.Want(string(done.Status), "cancelled", "status")
	check.Want(s.outputs(done.ErrorFileID)["slow"].Error.Code, "batch_cancelled", "error")
	return ""
}
