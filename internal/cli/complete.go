package cli

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/alecthomas/kong"
)

type completionCommand struct {
	Shell string `arg:"" enum:"bash,zsh,fish" help:"bash, zsh or fish."`
}

// scripts ask the program itself what may stand at the cursor, so they never
// age. What it gives are lines; where there are none the shell completes file
// names.
var scripts = map[string]string{
	"bash": `# eval "$(headrace completion bash)"
_headrace() {
	local IFS=$'\n'
	COMPREPLY=($(headrace complete -- "${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null))
	if [ ${#COMPREPLY[@]} -eq 0 ]; then compopt -o default; fi
}
complete -F _headrace headrace
`,
	"zsh": `#compdef headrace
# eval "$(headrace completion zsh)"
_headrace() {
	local -a found
	found=("${(@f)$(headrace complete -- "${(@)words[2,CURRENT]}" 2>/dev/null)}")
	if [[ -n "${found[*]}" ]]; then compadd -a found; else _files; fi
}
compdef _headrace headrace
`,
	"fish": `# headrace completion fish | source
function __headrace
	set -l words (commandline -opc) (commandline -ct)
	headrace complete -- $words[2..-1] 2>/dev/null
end
complete -c headrace -a '(__headrace)'
`,
}

// Run prints the script of a shell.
func (c *completionCommand) Run(p *process) error {
	_, err := io.WriteString(p.out, scripts[c.Shell])
	return err
}

type completeCommand struct {
	Words []string `arg:"" optional:"" passthrough:"" help:"The words of the line up to the cursor, after the program's name."`
}

// Run prints what may stand in place of the last word.
func (c *completeCommand) Run(p *process, k *kong.Kong) error {
	words := c.Words
	if len(words) > 0 && words[0] == "--" { // a passthrough keeps it
		words = words[1:]
	}
	for _, one := range complete(k.Model.Node, words) {
		if _, err := fmt.Fprintln(p.out, one); err != nil {
			return err
		}
	}
	return nil
}

// complete gives the words that may stand in place of the last one.
func complete(root *kong.Node, words []string) (found []string) {
	if len(words) == 0 {
		words = []string{""}
	}
	at, seen, args := root, words[:len(words)-1], 0
	var wants *kong.Flag // the flag whose value comes next
	flagsEnded := false
	for _, w := range seen {
		switch {
		case wants != nil:
			wants = nil
		case w == "--":
			flagsEnded = true
		case !flagsEnded && strings.HasPrefix(w, "-"):
			name, _, has := strings.Cut(w, "=")
			if f := flagOf(at, name); f != nil && !f.IsBool() && !has {
				wants = f
			}
		default:
			if child := childOf(at, w); child != nil {
				at, args = child, 0
			} else {
				args++
			}
		}
	}
	last := words[len(words)-1]
	var all []string
	switch name, _, has := strings.Cut(last, "="); {
	case wants != nil:
		all = wants.EnumSlice()
	case has && strings.HasPrefix(last, "-"):
		if f := flagOf(at, name); f != nil {
			for _, v := range f.EnumSlice() {
				all = append(all, name+"="+v)
			}
		}
	case strings.HasPrefix(last, "-") && !flagsEnded:
		for _, group := range at.AllFlags(true) {
			for _, f := range group {
				all = append(all, "--"+f.Name)
			}
		}
	default:
		for _, child := range at.Children {
			if !child.Hidden && child.Type == kong.CommandNode {
				all = append(all, child.Name)
			}
		}
		with := at
		if len(at.Positional) == 0 && at.DefaultCmd != nil {
			with = at.DefaultCmd
		}
		if args < len(with.Positional) {
			all = append(all, with.Positional[args].EnumSlice()...)
		}
	}
	for _, one := range all {
		if one != "" && strings.HasPrefix(one, last) && !slices.Contains(found, one) {
			found = append(found, one)
		}
	}
	slices.Sort(found)
	return found
}

func childOf(n *kong.Node, name string) *kong.Node {
	for _, c := range n.Children {
		if c.Type == kong.CommandNode && (c.Name == name || slices.Contains(c.Aliases, name)) {
			return c
		}
	}
	return nil
}

// flagOf finds a flag as it is written: --name or -n.
func flagOf(n *kong.Node, written string) *kong.Flag {
	for _, group := range n.AllFlags(false) {
		for _, f := range group {
			if written == "--"+f.Name || f.Short != 0 && written == "-"+string(f.Short) {
				return f
			}
		}
	}
	return nil
}
