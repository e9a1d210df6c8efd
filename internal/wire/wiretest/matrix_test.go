package wiretest_test

import (
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"headrace/internal/wire/wiretest"
)

var update = flag.Bool("update", false, "write the losses of the recorded requests into docs/wire")

// TestMatrix runs every room's codec, translated to every other, and the
// gateway suite over all of them, and prints one table: client's dialect by
// provider's dialect. What a request loses on its way must be listed in the
// document of the target's dialect.
func TestMatrix(t *testing.T) {
	var table wiretest.Table
	t.Run("codecs", func(t *testing.T) {
		for _, d := range wiretest.Dialects() {
			c, ok := codecs[d]
			if !ok {
				continue
			}
			var others []wiretest.Codec
			for _, o := range wiretest.Dialects() {
				if o != d && codecs[o] != nil {
					others = append(others, codecs[o])
				}
			}
			t.Run(string(d), func(t *testing.T) {
				t.Parallel()
				wiretest.Run(t, c, wiretest.Options{Others: others, Table: &table})
				for form, f := range forms[d] {
					wiretest.Run(t, f, wiretest.Options{Others: others, Operation: form, Table: &table})
				}
			})
		}
	})
	t.Run("gateway", func(t *testing.T) { gateway(t, &table) })
	t.Logf("\n%s", &table)
	if n := table.Failed(); n > 0 {
		t.Errorf("%d failures", n)
	}
	if wiretest.CorpusDir() == "" {
		t.Log("no recorded traffic: the lists of losses are not checked")
		return
	}
	for d := range codecs {
		name := filepath.Join(wiretest.Root(), "docs", "wire", string(d)+".md")
		b, err := os.ReadFile(name)
		if err != nil && !(*update && errors.Is(err, fs.ErrNotExist)) {
			t.Errorf("%s: %v", d, err)
			continue
		}
		losses := table.Losses(d)
		now := wiretest.LossesDoc(string(b), losses)
		switch {
		case *update && !wiretest.Full():
			t.Fatal("-update needs HEADRACE_FULL=1: a slice does not show all losses")
		case *update:
			if err := os.WriteFile(name, []byte(now), 0o644); err != nil {
				t.Error(err)
			}
		case wiretest.Full() && now != string(b):
			t.Errorf("%s does not list the losses as they are; run with -update", name)
		default:
			for _, l := range wiretest.Undeclared(string(b), losses) {
				t.Errorf("%s does not list a loss: %+v; run with HEADRACE_FULL=1 and -update", name, l)
			}
		}
	}
}
