package rehearsal

import (
	"bytes"
	"fmt"
	"regexp"
	"slices"
	"strings"

	"headrace/internal/llm"
)

// scene is what a conversation shows to somebody who does not understand it.
type scene struct {
	// text is what the user said last, without reminders that a client puts
	// in and without directives, which are in directives.
	text, directives string
	// system is all instructions, joined.
	system string
	// turns counts the messages of user and assistant.
	turns int
	// results are the tool results behind the last assistant turn; tools
	// names the tool of each.
	results []*llm.Item
	tools   []string
	// called are the names of the calls made since the assistant last
	// answered without a call.
	called []string
	// media says what images and documents there are, in words; empty for none.
	media string
}

// reminders are what coding clients put into user turns for the model alone
// (seen in recordings of Claude Code, 2026-08).
var reminders = regexp.MustCompile(`(?s)<system-reminder>.*?</system-reminder>`)

// look reads the scene off a request.
func look(req *llm.Request) *scene {
	sc := &scene{}
	names := map[string]string{} // of tools, by call id
	var turnCalls []string       // of the assistant turn that is being walked
	var said []string            // pieces of the last user text
	saidTurn, lastTurn := -1, -1
	inAssistant := false
	var system strings.Builder
	var media mediaCount
	for i := range req.Items {
		it := &req.Items[i]
		byAssistant := it.Kind == llm.ItemToolCall || it.Kind == llm.ItemReasoning || it.Kind == llm.ItemMessage && it.Role == llm.Assistant
		if it.Turn != lastTurn && (byAssistant || it.Role == llm.User || it.Kind == llm.ItemToolResult) {
			sc.turns++
			lastTurn = it.Turn
		}
		if byAssistant {
			if !inAssistant {
				inAssistant, turnCalls = true, nil
			}
			sc.results, sc.tools = nil, nil
			if it.Kind == llm.ItemToolCall {
				names[it.Call.ID] = it.Call.Name
				turnCalls = append(turnCalls, it.Call.Name)
			}
			continue
		}
		if inAssistant && (it.Role == llm.User || it.Kind == llm.ItemToolResult) {
			inAssistant = false
			if len(turnCalls) == 0 {
				sc.called = nil // the exchange before is over
			}
			sc.called = append(sc.called, turnCalls...)
		}
		for k := range it.Blocks {
			media.add(&it.Blocks[k])
		}
		switch {
		case it.Kind == llm.ItemToolResult:
			name := it.Result.Name
			if n := names[it.Result.CallID]; n != "" {
				name = n
			}
			sc.results, sc.tools = append(sc.results, it), append(sc.tools, name)
		case it.Kind != llm.ItemMessage:
		case it.Role == llm.User:
			for k := range it.Blocks {
				if b := &it.Blocks[k]; b.Kind == llm.BlockText {
					t := strings.TrimSpace(reminders.ReplaceAllString(b.Text, ""))
					if t == "" {
						continue
					}
					if saidTurn != it.Turn {
						said, saidTurn = nil, it.Turn
					}
					said = append(said, t)
				}
			}
		case it.Role == llm.System || it.Role == llm.Developer:
			for k := range it.Blocks {
				system.WriteString(it.Blocks[k].Text)
				system.WriteByte('\n')
			}
		}
	}
	if inAssistant {
		sc.results, sc.tools = nil, nil
	}
	sc.directives, sc.text = textOrders(strings.Join(said, "\n"))
	sc.media, sc.system = media.String(), system.String()
	return sc
}

// mediaCount counts what is not text, by kind and type.
type mediaCount struct {
	images, files, sounds int
	types                 [3][]string
}

func (m *mediaCount) add(b *llm.Block) {
	at := 0
	switch b.Kind {
	case llm.BlockImage:
		m.images++
	case llm.BlockFile:
		m.files++
		at = 1
	case llm.BlockAudio:
		m.sounds++
		at = 2
	default:
		return
	}
	t := b.Media.MIME
	switch {
	case t != "":
	case b.Media.URL != "":
		t = "by URL"
	case b.Media.FileID != "":
		t = "by file id"
	case b.Media.Text != "":
		t = "text/plain"
	default:
		t = "of unsaid type"
	}
	if !slices.Contains(m.types[at], t) {
		m.types[at] = append(m.types[at], t)
	}
}

// String says it in words: "2 images (image/png) and 1 document (by URL)".
func (m *mediaCount) String() string {
	var parts []string
	for i, n := range []int{m.images, m.files, m.sounds} {
		if n == 0 {
			continue
		}
		word := []string{"image", "document", "sound"}[i]
		if n > 1 {
			word += "s"
		}
		parts = append(parts, fmt.Sprintf("%d %s (%s)", n, word, strings.Join(m.types[i], ", ")))
	}
	return join(parts)
}

// join writes "a", "a and b", "a, b and c".
func join(parts []string) string {
	switch len(parts) {
	case 0:
		return ""
	case 1:
		return parts[0]
	}
	return strings.Join(parts[:len(parts)-1], ", ") + " and " + parts[len(parts)-1]
}

// tokens estimates the tokens of n bytes: about four bytes each.
func tokens(n int) int64 { return int64(n+3) / 4 }

// The flat prices of what is not text, in tokens: about what vendors count for
// an image of a thousand pixels square, a few pages, some seconds of speech.
const (
	imageTokens = 1_200
	fileTokens  = 1_500
	soundTokens = 300
	turnTokens  = 4
	baseTokens  = 3
)

// promptUsage estimates the prompt from the words of the request alone, so
// that counting and answering agree. What stands before the last cache mark is
// a cache write; nothing is ever read from a cache, since nothing is kept.
func promptUsage(req *llm.Request) llm.Usage {
	total := int64(baseTokens)
	marked, hour := int64(0), false
	mark := func(cache []byte) {
		if len(cache) > 0 && string(cache) != "null" {
			marked, hour = total, bytes.Contains(cache, []byte(`"1h"`))
		}
	}
	for i := range req.Tools {
		t := &req.Tools[i]
		total += tokens(len(t.Name)+len(t.Description)+len(t.Schema)) + turnTokens
		mark(t.Cache)
	}
	total += tokens(len(req.Format.Schema))
	turn := -1
	for i := range req.Items {
		it := &req.Items[i]
		if it.Turn != turn {
			turn, total = it.Turn, total+turnTokens
		}
		total += tokens(len(it.Call.Name) + len(it.Call.Arguments))
		if it.Kind == llm.ItemOpaque {
			total += tokens(len(it.Raw))
		}
		for k := range it.Blocks {
			b := &it.Blocks[k]
			switch b.Kind {
			case llm.BlockImage:
				total += imageTokens
			case llm.BlockFile:
				if b.Media.Text != "" {
					total += tokens(len(b.Media.Text))
				} else {
					total += fileTokens
				}
			case llm.BlockAudio:
				total += soundTokens
			case llm.BlockOpaque:
				total += tokens(len(b.Raw))
			default:
				total += tokens(len(b.Text))
			}
			mark(b.Cache)
		}
		mark(it.Cache)
	}
	for _, m := range req.Ext {
		if m.Name == "cache_control" {
			mark(m.Value)
		}
	}
	u := llm.Usage{Input: total - marked, Source: llm.UsageProvider}
	if hour {
		u.CacheWrite1h = marked
	} else {
		u.CacheWrite5m = marked
	}
	return u
}
