package cli

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/foreign"
)

type importCommand struct {
	LiteLLM importLiteLLM `cmd:"" name:"litellm" help:"Read a LiteLLM proxy's config.yaml."`
	Bifrost importBifrost `cmd:"" name:"bifrost" help:"Read Bifrost's config.json."`
}

type importLiteLLM struct {
	importFile `embed:""`
}

type importBifrost struct {
	importFile `embed:""`
}

func (i *importLiteLLM) Run(ctx context.Context, p *process) error {
	return i.read(ctx, p, "LiteLLM", foreign.LiteLLM)
}

func (i *importBifrost) Run(ctx context.Context, p *process) error {
	return i.read(ctx, p, "Bifrost", foreign.Bifrost)
}

// importFile is what every import takes.
type importFile struct {
	File  string `arg:"" help:"The file; - is standard input."`
	Out   string `short:"o" default:"headrace.yaml" help:"The file to write."`
	Force bool   `help:"Write over a file that is there."`
	Dry   bool   `name:"dry-run" help:"Say what would become of each item, and write nothing."`
}

// imported is what a machine is told.
type imported struct {
	File string `json:"file,omitzero"`
	*foreign.Result
}

// read turns a file into ours, says what became of each item, and checks what
// it wrote as config check would.
func (i *importFile) read(ctx context.Context, p *process, from string, parse func([]byte, *catalog.Catalog) (*foreign.Result, error)) error {
	if !i.Dry && !i.Force {
		if _, err := os.Stat(i.Out); err == nil {
			return fmt.Errorf("%s is there already: name another file with --out, or write over it with --force", clean(i.Out))
		} else if !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	file, err := p.fetch(ctx, i.File)
	if err != nil {
		return err
	}
	rows, err := catalog.Load(catalog.Overrides{})
	if err != nil {
		return err
	}
	made, err := parse(file, rows)
	if err != nil {
		return fmt.Errorf("%s: %w", clean(i.File), err)
	}
	text := config.Template(made.Blocks)
	// What is not set in this shell stands in for itself: the file is right once
	// it is.
	var missing []string
	getenv := func(name string) string {
		v := p.getenv(name)
		if v == "" {
			for _, need := range made.Needs {
				if need == name {
					return "https://not-set.invalid"
				}
			}
		}
		return v
	}
	for _, need := range made.Needs {
		if p.getenv(need) == "" {
			missing = append(missing, need)
		}
	}
	c, err := config.Parse(i.Out, text, getenv)
	if err == nil {
		err = p.app.Check(c, p.env)
	}
	if err != nil {
		return fmt.Errorf("what was made of %s does not pass config check, so it is not written: %w", clean(i.File), err)
	}
	wrote := ""
	if !i.Dry {
		if err := writeWhole(i.Out, text); err != nil {
			return err
		}
		wrote = i.Out
	}
	if p.JSON {
		return p.printJSON(imported{wrote, made})
	}
	return i.show(p, from, made, wrote, missing)
}

func (i *importFile) show(p *process, from string, made *foreign.Result, wrote string, missing []string) error {
	t := table{head: []string{from, "grade", "here"}}
	for _, item := range made.Items {
		t.row(item.Path, string(item.Grade), item.Word)
	}
	if err := t.write(p.out); err != nil {
		return err
	}
	var b strings.Builder
	b.WriteByte('\n')
	for n, g := range foreign.Grades() {
		if n > 0 {
			b.WriteString(", ")
		}
		fmt.Fprintf(&b, "%d %s", made.Count(g), g)
	}
	b.WriteString(".\n")
	if len(made.Commands) > 0 {
		b.WriteString("\nKeys are not in the file; these commands make them:\n")
		for _, c := range made.Commands {
			b.WriteString("  " + clean(c) + "\n")
		}
	}
	if len(missing) > 0 {
		fmt.Fprintf(&b, "\nNot set in this shell, and needed: %s\n", clean(strings.Join(missing, ", ")))
	}
	word := quote(cmp.Or(wrote, i.Out))
	if wrote == "" {
		b.WriteString("\nNothing is written.\n")
	} else {
		fmt.Fprintf(&b, "\n%s is written. Next:\n  headrace config check %s\n  headrace doctor --config %s\n", clean(wrote), word, word)
	}
	_, err := p.out.Write([]byte(b.String()))
	return err
}
