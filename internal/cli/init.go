package cli

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"headrace/internal/config"
)

type initCommand struct {
	File  string `arg:"" optional:"" default:"headrace.yaml" help:"The file to write."`
	Yes   bool   `short:"y" help:"Ask nothing: take every answer that stands in brackets."`
	Force bool   `help:"Write over a file that is there."`
}

// Run asks a few questions and writes a configuration with comments. It writes
// nothing that the next command would refuse.
func (i *initCommand) Run(ctx context.Context, p *process) error {
	if _, err := os.Stat(i.File); err == nil && !i.Force {
		return fmt.Errorf("%s is there already: name another file, or write over it with --force", clean(i.File))
	} else if err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	q := &questions{ctx: ctx, out: p.out, in: bufio.NewReader(io.LimitReader(p.in, 1<<20)), skip: i.Yes}
	blocks, err := i.blocks(p, q)
	if err != nil {
		return err
	}
	text := config.Template(blocks)
	c, err := config.Parse(i.File, text, p.getenv)
	if err != nil {
		return err
	}
	if err := p.app.Check(c, p.env); err != nil {
		return err
	}
	if err := writeWhole(i.File, text); err != nil {
		return err
	}
	word := quote(i.File)
	_, err = fmt.Fprintf(p.out, "%s is written.\n\nNext:\n  headrace doctor --config %s\n  headrace serve --config %s\n", clean(i.File), word, word)
	return err
}

// writeWhole writes a file for its owner alone, so that nobody sees half of it.
func writeWhole(name string, text []byte) (err error) {
	f, err := os.CreateTemp(filepath.Dir(name), ".headrace-*")
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.Remove(f.Name()))
		}
	}()
	if _, err := f.Write(text); err != nil {
		return errors.Join(err, f.Close())
	}
	if err := f.Close(); err != nil {
		return err
	}
	return os.Rename(f.Name(), name)
}

// blocks asks what the file is to say.
func (i *initCommand) blocks(p *process, q *questions) ([]config.Block, error) {
	defaults := config.Default()
	// A block alone is checked as a file, so that a wrong answer is asked for again.
	checked := func(b config.Block) func(string) error {
		return func(string) error {
			c, err := config.Parse(i.File, []byte(b.Text), p.getenv)
			if err == nil {
				err = p.app.Check(c, p.env)
			}
			return err
		}
	}
	var blocks []config.Block
	add := func(b config.Block) { blocks = append(blocks, b) }

	listen, err := q.ask("Address to listen on", defaults.Listen, func(s string) error {
		return checked(config.Block{Text: "listen: " + config.Quoted(s)})(s)
	})
	if err != nil {
		return nil, err
	}
	add(config.Block{Key: "listen", Text: "listen: " + config.Quoted(listen)})

	var providers strings.Builder
	found := 0
	for _, one := range p.app.Providers(defaults, p.env) {
		switch {
		case one.Source == "built in":
			continue
		case one.State != "ready":
			if err := q.say("%s: %s\n", one.ID, one.Advice); err != nil {
				return nil, err
			}
			continue
		}
		found++
		use, err := q.ask(fmt.Sprintf("Use %s, found by %s? (yes, no)", one.ID, one.Source), "yes", yesOrNo)
		if err != nil {
			return nil, err
		}
		if agreed(use) {
			fmt.Fprintf(&providers, "  # %s: its key is found in the environment (%s)\n", one.ID, one.Source)
		} else {
			fmt.Fprintf(&providers, "  %s: {disabled: true}\n", one.ID)
		}
	}
	if found == 0 {
		if err := q.say("No provider's key is in the environment (ANTHROPIC_API_KEY, OPENAI_API_KEY, ...); the rehearsal provider answers without one.\n"); err != nil {
			return nil, err
		}
	}
	own := func(base string) string {
		return fmt.Sprintf("  house: {base_url: %s, dialect: openai, auth: none}\n", config.Quoted(base))
	}
	base, err := q.ask("Base URL of a server of your own that speaks OpenAI's API, ending in /v1 (empty for none)", "", func(s string) error {
		if s == "" {
			return nil
		}
		return checked(config.Block{Text: "listen: " + config.Quoted(listen) + "\nproviders:\n" + own(s)})(s)
	})
	if err != nil {
		return nil, err
	}
	if base != "" {
		providers.WriteString(own(base))
	}
	text := providers.String()
	if !strings.Contains("\n"+text, "\n  house") && !strings.Contains(text, "disabled") {
		text = "providers: {}\n" + text
	} else {
		text = "providers:\n" + text
	}
	add(config.Block{Key: "providers", Text: text})

	route := func(s string) config.Block {
		var targets []string
		for one := range strings.SplitSeq(s, ",") {
			targets = append(targets, config.Quoted(strings.TrimSpace(one)))
		}
		return config.Block{Key: "routes", Text: "routes:\n  smart: [" + strings.Join(targets, ", ") + "]\n"}
	}
	targets, err := q.ask("Models of a route named smart, best first, as provider/model, ... (empty for none)", "", func(s string) error {
		if s == "" {
			return nil
		}
		with := route(s)
		with.Text += text
		return checked(with)(s)
	})
	if err != nil {
		return nil, err
	}
	if targets != "" {
		add(route(targets))
	}
	return blocks, nil
}

func yesOrNo(s string) error {
	switch strings.ToLower(s) {
	case "y", "yes", "n", "no":
		return nil
	}
	return errors.New("answer yes or no")
}

func agreed(s string) bool { return strings.HasPrefix(strings.ToLower(s), "y") }

// questions are asked of a person, a line each.
type questions struct {
	ctx  context.Context
	out  io.Writer
	in   *bufio.Reader
	skip bool // every answer is the one in brackets
}

func (q *questions) say(format string, args ...any) error {
	for i, a := range args {
		if s, ok := a.(string); ok {
			args[i] = clean(s)
		}
	}
	_, err := fmt.Fprintf(q.out, format, args...)
	return err
}

// ask gives the answer to a question, standard when there was none. It asks
// again until check likes it.
func (q *questions) ask(question, standard string, check func(string) error) (string, error) {
	if q.skip {
		return standard, nil
	}
	for {
		if err := q.say("%s [%s]: ", question, standard); err != nil {
			return "", err
		}
		line, err := q.in.ReadString('\n')
		switch {
		case q.ctx.Err() != nil:
			return "", q.ctx.Err()
		case err == io.EOF && line == "":
			return "", &failure{ExitUsage, errors.New("the answers ended before the questions: use --yes to be asked nothing")}
		case err != nil && err != io.EOF:
			return "", fmt.Errorf("read the answer: %w", err)
		}
		answer := strings.TrimSpace(line)
		if answer == "" {
			answer = standard
		}
		if err = check(answer); err == nil {
			return answer, nil
		}
		if err := q.say("  %s\n", reason(err)); err != nil {
			return "", err
		}
	}
}

// reason is what is wrong without the place in a file that nobody wrote.
func reason(err error) string {
	if list, ok := errors.AsType[config.Errors](err); ok && len(list) > 0 {
		return list[0].Message
	}
	if one, ok := errors.AsType[*config.Error](err); ok {
		return one.Message
	}
	return err.Error()
}
