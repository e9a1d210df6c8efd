package gateway

import (
	"slices"
	"strings"

	"headrace/internal/llm"
	"headrace/internal/route"
	"headrace/internal/tokens"
)

// thinkLevels are those of x-headrace-thinking.
var thinkLevels = []string{"off", "low", "medium", "high", "max"}

// think notes how hard the client wants a chat thought about. lines are those of
// x-headrace-thinking.
func think(d *llm.Draft, lines []string) *llm.Error {
	if len(lines) == 0 {
		return nil
	}
	level := strings.ToLower(strings.TrimSpace(lines[0]))
	if len(lines) > 1 || !slices.Contains(thinkLevels, level) {
		return llm.Errorf(llm.InvalidRequest, "x-headrace-thinking is one of %s", strings.Join(thinkLevels, ", "))
	}
	d.Think = level
	return nil
}

// roughEnough is how many tokens fit every window, however they are counted.
const roughEnough = 2000

// needs is what a request needs of a model. What cannot be decoded needs
// nothing: its provider is to say what is wrong with it.
func needs(d *llm.Draft) (n route.Needs) {
	family := tokens.FamilyOf(d.Head.Model)
	if n.Tokens = tokens.Rough(d.Raw, family); n.Tokens > roughEnough {
		n.Tokens = tokens.Estimate(d.Raw, family) // pictures are long and count little
	}
	if d.Op != llm.OpChat {
		return n
	}
	r, err := d.Request()
	if err != nil {
		return n
	}
	if len(r.Tools) > 0 {
		n.Has |= llm.Tools
	}
	if r.Format.Kind == llm.FormatJSONSchema {
		n.Has |= llm.JSONSchema
	}
	for i := range r.Items {
		for k := range r.Items[i].Blocks {
			switch r.Items[i].Blocks[k].Kind {
			case llm.BlockImage:
				n.Has |= llm.Vision
			case llm.BlockFile:
				n.Has |= llm.PDF
			case llm.BlockAudio:
				n.Has |= llm.AudioInput
			}
		}
	}
	return n
}
