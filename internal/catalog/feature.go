package catalog

import (
	"slices"
	"strings"

	"headrace/internal/llm"
)

// features names every feature for rows, configuration and the command line.
var features = []struct {
	name    string
	feature llm.Feature
}{
	{"tools", llm.Tools},
	{"forced_tool", llm.ForcedTool},
	{"parallel_tools", llm.ParallelTools},
	{"vision", llm.Vision},
	{"pdf", llm.PDF},
	{"audio", llm.AudioInput},
	{"thinking", llm.Thinking},
	{"sampling", llm.SamplingParams},
	{"json", llm.JSONObject},
	{"json_schema", llm.JSONSchema},
	{"mid_system", llm.MidSystem},
	{"developer_role", llm.DeveloperRole},
	{"prefill", llm.Prefill},
	{"stop", llm.StopSequences},
	{"logprobs", llm.Logprobs},
	{"seed", llm.Seed},
	{"image_in_result", llm.ImageInResult},
	{"strict_tools", llm.StrictTools},
	{"tool_effort_free", llm.ToolEffortFree},
}

// FeatureNames lists the names of all features in the order of llm's.
func FeatureNames() []string {
	names := make([]string, len(features))
	for i, f := range features {
		names[i] = f.name
	}
	return names
}

// FeatureByName returns the feature with this name.
func FeatureByName(name string) (llm.Feature, bool) {
	for _, f := range features {
		if f.name == name {
			return f.feature, true
		}
	}
	return 0, false
}

// Features reads a comma-separated list of feature names; an unknown one gives
// an error that lists those there are.
func Features(list string) (llm.Feature, error) {
	var set llm.Feature
	for list != "" {
		var name string
		name, list, _ = strings.Cut(list, ",")
		f, ok := FeatureByName(strings.TrimSpace(name))
		if !ok {
			return 0, errf("unknown feature %q (known: %s)", name, strings.Join(FeatureNames(), ", "))
		}
		set |= f
	}
	return set, nil
}

// NamesOf lists the names of the features in a set.
func NamesOf(set llm.Feature) []string {
	var names []string
	for _, f := range features {
		if set&f.feature != 0 {
			names = append(names, f.name)
		}
	}
	return names
}

// efforts are the effort values that rows may name.
var efforts = []string{"none", "minimal", "low", "medium", "high", "xhigh", "max", "default"}

// thinkTypes are the Anthropic thinking types that rows may name.
var thinkTypes = []string{"adaptive", "enabled", "disabled", "between_tools"}

func checkNames(kind string, list, known []string) error {
	for _, v := range list {
		if !slices.Contains(known, v) {
			return errf("unknown %s %q (known: %s)", kind, v, strings.Join(known, ", "))
		}
	}
	return nil
}
