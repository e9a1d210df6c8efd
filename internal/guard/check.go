package guard

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"time"

	"github.com/go-json-experiment/json"
	"github.com/google/jsonschema-go/jsonschema"
)

// check looks at a whole text. Until it has, nothing of a streamed text is given
// to the client.
type check struct {
	rule string
	on   Side
	// look reports whether the text is forbidden.
	look func(ctx context.Context, side Side, text string) (bool, error)
	// open lets the text pass when look cannot say.
	open bool
}

// Webhook is a service of the operator's that is asked about whole texts. It is
// sent {"side","rule","text"} as JSON and answers 200 with {"action":"allow"} or
// {"action":"block"}; anything else, and no answer in time, is a failure.
type Webhook struct {
	URL     string
	Timeout time.Duration
	// Open lets a text pass when the service fails; else it is blocked.
	Open bool
	// Header goes with each question.
	Header map[string]string
}

// client asks webhooks; each question has its own limit of time.
var client = &http.Client{Timeout: time.Minute}

// checks makes what looks at whole texts of a rule; nil for a rule with
// patterns.
func checks(rule *Rule) (*check, error) {
	switch {
	case len(rule.Schema) > 0:
		s := &jsonschema.Schema{}
		if err := json.Unmarshal(rule.Schema, s); err != nil {
			return nil, fmt.Errorf("the schema is none: %w", err)
		}
		r, err := s.Resolve(nil)
		if err != nil {
			return nil, fmt.Errorf("the schema is none: %w", err)
		}
		return &check{rule: rule.Name, on: rule.On, look: func(_ context.Context, _ Side, text string) (bool, error) {
			var v any
			if json.Unmarshal([]byte(text), &v) != nil {
				return true, nil
			}
			return r.Validate(v) != nil, nil
		}}, nil
	case rule.Webhook != nil:
		return &check{rule: rule.Name, on: rule.On, open: rule.Webhook.Open, look: rule.Webhook.ask(rule.Name)}, nil
	}
	return nil, nil
}

// maxVerdict is the most that is read of a webhook's answer.
const maxVerdict = 64 << 10

func (h *Webhook) ask(rule string) func(ctx context.Context, side Side, text string) (bool, error) {
	return func(ctx context.Context, side Side, text string) (bool, error) {
		ctx, cancel := context.WithTimeout(ctx, h.Timeout)
		defer cancel()
		body, err := json.Marshal(struct {
			Side Side   `json:"side"`
			Rule string `json:"rule"`
			Text string `json:"text"`
		}{side, rule, text})
		if err != nil {
			return false, err
		}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, h.URL, bytes.NewReader(body))
		if err != nil {
			return false, err
		}
		req.Header.Set("Content-Type", "application/json")
		for k, v := range h.Header {
			req.Header.Set(k, v)
		}
		resp, err := client.Do(req)
		if err != nil {
			return false, err
		}
		defer resp.Body.Close()
		answer, err := io.ReadAll(io.LimitReader(resp.Body, maxVerdict))
		if err != nil {
			return false, err
		}
		var said struct {
			Action string `json:"action"`
		}
		if resp.StatusCode != http.StatusOK || json.Unmarshal(answer, &said) != nil {
			return false, fmt.Errorf("it answered %d", resp.StatusCode)
		}
		switch strings.ToLower(said.Action) {
		case "allow":
			return false, nil
		case "block":
			return true, nil
		}
		return false, fmt.Errorf("it knows neither allow nor block")
	}
}

// Whole has the checks of whole texts look at one, and notes what they say.
func (r *Rules) Whole(ctx context.Context, side Side, text string, told *Report) {
	if r == nil || text == "" {
		return
	}
	for i := range r.checks {
		c := &r.checks[i]
		if c.on != Both && c.on != side {
			continue
		}
		forbidden, err := c.look(ctx, side, text)
		if err != nil {
			told.Failed = append(told.Failed, c.rule)
			forbidden = !c.open
		}
		if forbidden {
			told.add([]Finding{{Rule: c.rule, Kind: "text", Do: Block}})
			return
		}
	}
}

// Text joins the words of a body, for checks of whole texts.
func Text(body []byte) string {
	var b strings.Builder
	for s := range literals(body) {
		if b.Len() > 0 {
			b.WriteByte('\n')
		}
		b.WriteString(s.text)
	}
	return b.String()
}
