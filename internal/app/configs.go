package app

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/rogpeppe/go-internal/diff"

	"headrace/internal/admin"
	"headrace/internal/config"
	"headrace/internal/llm"
	"headrace/internal/vault"
)

// configs shows and changes the configuration for the admin API.
type configs struct{ a *App }

// parse reads a text as the file of the configuration in force, with what flags
// and the environment say over it.
func (c configs) parse(text []byte) (*config.Config, error) {
	now := c.a.config()
	next, err := c.a.o.Env.Parse(now.File(), text)
	for _, one := range []struct{ path, value string }{{"listen", now.Listen}, {"data", now.Data}} {
		if err != nil {
			return nil, err
		}
		is := now.Origin(one.path)
		if is.From == "flag" || is.From == "environment" || is.From == "default" && next.Origin(one.path).From == "default" {
			next, err = next.With(one.path, one.value, is)
		}
	}
	return next, err
}

// masked gives a text without its secrets, and what they stand for.
func (c configs) masked(text []byte) (string, map[string]string) {
	cfg, err := c.parse(text)
	if err != nil {
		cfg = c.a.config() // its secrets, and what looks like one
	}
	return cfg.Mask(string(text), c.a.salt)
}

// now reads the file as it is; nothing when there is none.
func (c configs) now() ([]byte, error) {
	file := c.a.config().File()
	if file == "" {
		return nil, nil
	}
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil // taken away since it was read
	}
	if err != nil {
		return nil, fmt.Errorf("read the configuration: %w", err)
	}
	return text, nil
}

// Config shows the configuration.
func (c configs) Config(context.Context) (admin.Config, error) {
	cfg := c.a.config()
	text, err := c.now()
	if err != nil {
		return admin.Config{}, err
	}
	out := admin.Config{File: cfg.File()}
	out.Text, _ = c.masked(text)
	var effective bytes.Buffer
	if err := cfg.Print(&effective); err != nil {
		return admin.Config{}, err
	}
	out.Effective = effective.String()
	if conflict := writable(cfg.File()); conflict != nil {
		out.ReadOnly = conflict.Message
	} else {
		out.Writable = true
	}
	return out, nil
}

// writable says why a file cannot be changed; nil when it can.
func writable(file string) *admin.Conflict {
	if file == "" {
		return &admin.Conflict{Code: "no_file", Message: "there is no configuration file: start with --config FILE"}
	}
	path, err := filepath.EvalSymlinks(file)
	if err == nil {
		var f *os.File
		if f, err = os.OpenFile(path, os.O_WRONLY, 0); err == nil {
			err = f.Close()
		}
	}
	if err == nil {
		var f *os.File
		if f, err = os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*"); err == nil {
			err = errors.Join(f.Close(), os.Remove(f.Name()))
		}
	}
	if err != nil {
		return &admin.Conflict{Code: "read_only", Message: "the configuration file cannot be written: " + err.Error()}
	}
	return nil
}

// replace writes a file in one step and keeps its mode.
func replace(file string, text []byte) error {
	path, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // gone by then if all went well
	_, err = f.Write(text)
	if err == nil {
		err = f.Chmod(info.Mode().Perm())
	}
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

// Check says whether a text would be taken and what it would change.
func (c configs) Check(_ context.Context, text string) (admin.ConfigCheck, error) {
	check, _, err := c.check(text)
	return check, err
}

// check is Check that also gives the text with its secrets.
func (c configs) check(text string) (admin.ConfigCheck, string, error) {
	old, err := c.now()
	if err != nil {
		return admin.ConfigCheck{}, "", err
	}
	hidden, kept := c.masked(old)
	whole, lost := config.Unmask(text, kept)
	check := admin.ConfigCheck{Problems: problems(lost), Later: []string{}, Notes: []string{}}
	if len(lost) > 0 {
		return check, "", nil
	}
	next, err := c.parse([]byte(whole))
	if err == nil {
		err = Program{}.Check(next, c.a.o.Env)
	}
	if err != nil {
		check.Problems = problems(err)
		return check, "", nil
	}
	check.OK = true
	// The marks of both are alike, so that only what differs is shown.
	after, _ := next.Mask(whole, c.a.salt)
	check.Diff = string(diff.Diff("in force", []byte(hidden), "to be", []byte(after)))
	check.Later = append(check.Later, later(c.a.config(), next)...)
	if rows, err := loadCatalog(next, c.a.data); err == nil {
		check.Notes = append(check.Notes, astray(next, c.a.look(next, rows), rows)...)
	}
	return check, whole, nil
}

// problems shows what is wrong with a configuration.
func problems(err error) []admin.ConfigProblem {
	list := []admin.ConfigProblem{}
	one := func(e *config.Error) {
		list = append(list, admin.ConfigProblem{Line: e.Line, Column: e.Column, Path: e.Path, Message: e.Message, Source: e.Source})
	}
	if all, ok := errors.AsType[config.Errors](err); ok {
		for _, e := range all {
			one(e)
		}
	} else if e, ok := errors.AsType[*config.Error](err); ok {
		one(e)
	} else if err != nil {
		list = append(list, admin.ConfigProblem{Message: err.Error()})
	}
	return list
}

// Apply writes a text to the file and brings it into force.
func (c configs) Apply(ctx context.Context, text, by, note string) (admin.ConfigCheck, error) {
	check, whole, err := c.check(text)
	if err != nil || !check.OK {
		return check, err
	}
	return check, c.apply(ctx, []byte(whole), by, note)
}

// apply writes a text that was checked. One that is refused all the same is
// taken back.
func (c configs) apply(ctx context.Context, text []byte, by, why string) error {
	file := c.a.config().File()
	if conflict := writable(file); conflict != nil {
		return conflict
	}
	old, err := c.now()
	if err != nil {
		return err
	}
	now := time.Now()
	if err := c.a.vault.Keep(ctx, old, "the file", "what was there before a change", now); err != nil {
		return err
	}
	if err := replace(file, text); err != nil {
		return &admin.Conflict{Code: "read_only", Message: "the configuration file cannot be written: " + err.Error()}
	}
	if c.a.o.Load != nil {
		if err := c.a.reload(); err != nil {
			return errors.Join(llm.Errorf(llm.InvalidRequest, "the configuration is not taken, and the file is as it was: %v", err), replace(file, old))
		}
	}
	return c.a.vault.Keep(ctx, text, by, why, now)
}

// History lists past configurations.
func (c configs) History(ctx context.Context, before int64, limit int) ([]admin.ConfigVersion, error) {
	all, err := c.a.db.Versions(ctx, before, limit)
	if err != nil {
		return nil, err
	}
	text, err := c.now()
	if err != nil {
		return nil, err
	}
	list := make([]admin.ConfigVersion, len(all))
	for i, v := range all {
		list[i] = showVersion(v, vault.Sum(text))
	}
	return list, nil
}

func showVersion(v vault.Version, sum string) admin.ConfigVersion {
	return admin.ConfigVersion{ID: v.ID, At: v.At, By: v.By, Why: v.Why, Sum: v.Sum, Current: v.Sum == sum}
}

// Past shows a past configuration.
func (c configs) Past(ctx context.Context, id int64) (admin.ConfigPast, error) {
	v, text, err := c.a.vault.Text(ctx, id)
	if err != nil {
		return admin.ConfigPast{}, err
	}
	now, err := c.now()
	if err != nil {
		return admin.ConfigPast{}, err
	}
	p := admin.ConfigPast{Version: showVersion(v, vault.Sum(now))}
	p.Text, _ = c.masked(text)
	hidden, _ := c.masked(now)
	p.Diff = string(diff.Diff("in force", []byte(hidden), "version "+strconv.FormatInt(id, 10), []byte(p.Text)))
	return p, nil
}

// Back goes back to a past configuration.
func (c configs) Back(ctx context.Context, id int64, by string) (admin.ConfigCheck, error) {
	_, text, err := c.a.vault.Text(ctx, id)
	if err != nil {
		return admin.ConfigCheck{}, err
	}
	check, checked, err := c.check(string(text))
	if err != nil || !check.OK {
		return check, err
	}
	return check, c.apply(ctx, []byte(checked), by, "back to version "+strconv.FormatInt(id, 10))
}

// keepConfig keeps the configuration in force for the history. It must not stop
// a start or a reload.
func (a *App) keepConfig(ctx context.Context, why string) {
	text, err := configs{a}.now()
	if err == nil && text != nil {
		err = a.vault.Keep(ctx, text, "the file", why, time.Now())
	}
	if err != nil {
		a.log.Warn("the configuration is not kept for its history", "error", err)
	}
}
