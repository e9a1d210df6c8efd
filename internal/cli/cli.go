// Package cli is the command line: serve, and clients of the admin API.
package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"

	"github.com/alecthomas/kong"

	"headrace/internal/admin"
	"headrace/internal/app"
	"headrace/internal/config"
)

// The exit codes, as the help tells them.
const (
	// ExitOK: done.
	ExitOK = 0
	// ExitFailed: the command was understood and failed.
	ExitFailed = 1
	// ExitUsage: the command line itself is wrong.
	ExitUsage = 2
	// ExitUnreached: the gateway could not be reached, or refused the admin
	// token.
	ExitUnreached = 3
)

// App is the program behind the commands: app.Program, or another one under
// test.
type App interface {
	// Serve runs the gateway until ctx ends and everything is stopped.
	Serve(ctx context.Context, o app.Options) error
	// Admin opens the data directory of c and gives the admin API over it, to
	// be called in this process alone: it asks for no token. close ends it. It
	// works while a gateway serves the same directory.
	Admin(ctx context.Context, c *config.Config, env config.Env) (h http.Handler, close func() error, err error)
	// Check says what is wrong with a configuration beyond its own rules:
	// unknown providers in routes and the like. It touches no state.
	Check(c *config.Config, env config.Env) error
	// Providers says which providers would be there, and from where. It asks
	// no network and touches no state.
	Providers(c *config.Config, env config.Env) []admin.Provider
	// Probe asks every provider that would be there for its list of models, once
	// with each of its keys. It touches no state.
	Probe(ctx context.Context, c *config.Config, env config.Env) ([]app.Probe, error)
	// Errors is the table of what is done about each class of error.
	Errors(c *config.Config, route string) ([]admin.ErrorClass, error)
	// Workload reads requests as JSON lines; their answers are taken to be output
	// tokens long.
	Workload(text []byte, output int64) ([]admin.WorkItem, error)
}

// Main runs one command and returns the exit code. args are without the
// program's name. It stops on SIGINT and SIGTERM; a second one stops without
// waiting for what runs, a third one kills.
func Main(args []string, in io.Reader, out, errOut io.Writer, getenv func(string) string) (code int) {
	ctx, end := context.WithCancelCause(context.Background())
	defer end(nil)
	force := make(chan struct{})
	signals := make(chan os.Signal, 2)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)
	go func() { // ends with the process
		if s := <-signals; s == syscall.SIGTERM {
			end(app.ErrTerminated)
		} else {
			end(context.Canceled)
		}
		<-signals
		signal.Stop(signals) // the next one finds the default action
		close(force)
	}()
	return execute(ctx, force, args, app.Program{}, in, out, errOut, getenv)
}

// exited leaves kong, which wants to end the process after printing help.
type exited int

// execute runs one command. force comes when it shall end without waiting.
func execute(ctx context.Context, force <-chan struct{}, args []string, program App, in io.Reader, out, errOut io.Writer, getenv func(string) string) (code int) {
	defer func() {
		if r := recover(); r != nil {
			e, ok := r.(exited)
			if !ok {
				panic(r)
			}
			code = int(e)
		}
	}()
	var g grammar
	parser, err := kong.New(&g,
		kong.Name("headrace"),
		kong.Description("An LLM gateway. `headrace serve` needs no file and no key.\n\nExit codes: 0 done, 1 failed, 2 wrong command line, 3 gateway not reached or token refused."),
		kong.Writers(out, errOut),
		kong.Exit(func(code int) { panic(exited(code)) }),
		kong.ConfigureHelp(kong.HelpOptions{Compact: true}),
		kong.BindTo(ctx, (*context.Context)(nil)),
	)
	if err != nil {
		fmt.Fprintf(errOut, "headrace: %s\n", line(err))
		return ExitFailed
	}
	if len(args) == 0 {
		args = []string{"--help"}
	}
	k, err := parser.Parse(args)
	if err != nil {
		fmt.Fprintf(errOut, "headrace: %s (see headrace --help)\n", line(err))
		return ExitUsage
	}
	p := &process{grammar: &g, app: program, force: force, in: in, out: out, err: errOut, getenv: getenv, env: config.FromEnv(getenv)}
	if err := k.Run(p, parser); err != nil {
		return p.report(ctx, err)
	}
	return ExitOK
}

// process is what every command gets.
type process struct {
	*grammar
	app      App
	force    <-chan struct{}
	in       io.Reader
	out, err io.Writer
	getenv   func(string) string
	env      config.Env
}

// failure is an error with an exit code of its own.
type failure struct {
	code int
	err  error
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// report writes an error on one line, but for a configuration's, which show
// the lines of the file, and gives the exit code.
func (p *process) report(ctx context.Context, err error) int {
	var wrong config.Errors
	switch {
	case errors.As(err, &wrong):
		fmt.Fprintln(p.err, wrong)
		return ExitFailed
	case errors.Is(err, context.Canceled) && ctx.Err() != nil:
		// Stopped by hand: what was asked for.
		return ExitOK
	}
	fmt.Fprintf(p.err, "headrace: %s\n", line(err))
	if f, ok := errors.AsType[*failure](err); ok {
		return f.code
	}
	return ExitFailed
}

// line makes an error one line without control characters: it may hold what a
// server sent.
func line(err error) string { return clean(err.Error()) }

// clean replaces control characters, so that text from elsewhere can neither
// break a table nor drive a terminal.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\n' || r == '\t':
			return ' '
		case r < ' ' || r >= 0x7f && r < 0xa0 || r == '\u2028' || r == '\u202e':
			return '?'
		}
		return r
	}, s)
}

// grammar is the command line. Flags at the top stand before or after the
// command.
type grammar struct {
	Config string `short:"c" placeholder:"FILE" help:"Configuration file (HEADRACE_CONFIG)."`
	Data   string `placeholder:"DIR" help:"Directory for state (HEADRACE_DATA; default: the user's data directory)."`
	URL    string `name:"url" placeholder:"URL" help:"Ask the gateway that runs there (HEADRACE_URL), such as http://127.0.0.1:8080, with HEADRACE_ADMIN_TOKEN. Without it status has nobody to ask, and the other commands open the data directory of this machine."`
	JSON   bool   `name:"json" help:"Print JSON for machines."`

	Serve      serveCommand      `cmd:"" help:"Run the gateway."`
	Demo       demoCommand       `cmd:"" help:"Run a gateway over rehearsed providers, with callers that use it: something to look at."`
	Init       initCommand       `cmd:"" help:"Write a configuration with comments, by a few questions."`
	Doctor     doctorCommand     `cmd:"" help:"Look at keys, clock, port, store and providers, and say what to do."`
	Import     importCommand     `cmd:"" help:"Turn another gateway's configuration into one of ours, item by item."`
	Conf       configCommand     `cmd:"" name:"config" help:"Check, describe and show the configuration."`
	Models     modelsCommand     `cmd:"" help:"List models, refresh the catalogue."`
	Keys       keysCommand       `cmd:"" help:"Create, list, revoke and rotate keys."`
	Budgets    budgetsCommand    `cmd:"" help:"List, set and remove budgets."`
	Audit      auditCommand      `cmd:"" help:"List and verify who changed what."`
	Reconcile  reconcileCommand  `cmd:"" help:"Compare the ledger with a provider's own usage or cost export."`
	Usage      usageCommand      `cmd:"" help:"Show tokens and cost."`
	Batch      batchCommand      `cmd:"" help:"Submit, watch and cancel jobs that are answered by a deadline, with HEADRACE_KEY."`
	Logs       logsCommand       `cmd:"" help:"Show requests."`
	Top        topCommand        `cmd:"" help:"Watch a running gateway: rates, spend and health."`
	Status     statusCommand     `cmd:"" help:"Show how the gateway and its targets are doing."`
	Explain    explainCommand    `cmd:"" help:"Explain what the gateway does: explain REQUEST-ID, explain errors."`
	Success    successCommand    `cmd:"" help:"What a successful answer cost, by route, task and model."`
	Completion completionCommand `cmd:"" help:"Print the script that completes commands in a shell."`
	Complete   completeCommand   `cmd:"" hidden:"" help:"Say what may stand at the cursor."`
	Version    versionCommand    `cmd:"" help:"Print the version."`

	Experiments experimentsCommand `cmd:"" help:"Show experiments, start, stop and decide them."`
	Replay      replayCommand      `cmd:"" help:"Say what past requests would have come to under another configuration."`
	Compare     compareCommand     `cmd:"" help:"Say what a workload would cost at every model."`
}

// load reads the configuration that the flags and the environment name, with
// the data directory filled in.
func (p *process) load() (*config.Config, error) {
	path := p.Config
	if path == "" {
		path = p.env.ConfigPath
	}
	return p.loadFile(path)
}

func (p *process) loadFile(path string) (*config.Config, error) {
	c, err := config.Load(path, p.getenv)
	if err != nil {
		return nil, err
	}
	if p.Data != "" {
		if c, err = c.With("data", p.Data, config.Origin{From: "flag", Name: "--data"}); err != nil {
			return nil, err
		}
	}
	if p.Serve.Listen != "" {
		if c, err = c.With("listen", p.Serve.Listen, config.Origin{From: "flag", Name: "--listen"}); err != nil {
			return nil, err
		}
	}
	if c.Data == "" {
		dir, err := p.env.DataDir()
		if err != nil {
			return nil, err
		}
		return c.With("data", dir, config.Origin{From: "default"})
	}
	return c, nil
}

type serveCommand struct {
	Listen string `placeholder:"HOST:PORT" help:"Address to serve (HEADRACE_LISTEN; default 127.0.0.1:8080)."`
}

func (*serveCommand) Run(ctx context.Context, p *process) error {
	if err := p.env.Check(); err != nil {
		return err
	}
	load := func() (*config.Config, error) {
		c, err := p.load()
		if err != nil {
			return nil, err
		}
		return c, p.app.Check(c, p.env)
	}
	c, err := load()
	if err != nil {
		return err
	}
	o := app.Options{Config: c, Env: p.env, Version: Version(), Log: p.err, Load: load, Force: p.force, Ready: func(i app.Info) error {
		return Welcome(p.out, Version(), i)
	}}
	if c.File() != "" { // else there is nothing to reload, and a hangup ends the program
		hangups, stop := hangups()
		defer stop()
		o.Reload = hangups
	}
	return p.app.Serve(ctx, o)
}

// hangups tells of each SIGHUP; several at once may be told as one.
func hangups() (told <-chan struct{}, stop func()) {
	signals, out, done := make(chan os.Signal, 1), make(chan struct{}, 1), make(chan struct{})
	signal.Notify(signals, syscall.SIGHUP)
	go func() {
		for {
			select {
			case <-signals:
			case <-done:
				return
			}
			select {
			case out <- struct{}{}:
			default: // one is waiting
			}
		}
	}()
	return out, func() {
		signal.Stop(signals)
		close(done)
	}
}

type configCommand struct {
	Check  configCheck  `cmd:"" help:"Say what is wrong with a file."`
	Schema configSchema `cmd:"" help:"Print the JSON Schema of the file."`
	Print  configPrint  `cmd:"" help:"Print the values in force, secrets redacted, and where each came from."`
}

type configCheck struct {
	File string `arg:"" optional:"" help:"The file; without it the one that serve would read."`
}

func (c *configCheck) Run(p *process) error {
	if c.File != "" {
		p.Config = c.File
	}
	loaded, err := p.load()
	if err != nil {
		return err
	}
	if err := p.app.Check(loaded, p.env); err != nil {
		return err
	}
	name := loaded.File()
	if name == "" {
		name = "no file; the defaults"
	}
	_, err = fmt.Fprintf(p.out, "%s: ok\n", clean(name))
	return err
}

type configSchema struct{}

func (*configSchema) Run(p *process) error {
	_, err := p.out.Write(config.Schema())
	return err
}

type configPrint struct{}

func (*configPrint) Run(p *process) error {
	c, err := p.load()
	if err != nil {
		return err
	}
	if err := c.Print(p.out); err != nil {
		return err
	}
	found := p.app.Providers(c, p.env)
	if len(found) == 0 {
		return nil
	}
	if _, err := fmt.Fprintln(p.out, "\n# providers, from wherever they were found"); err != nil {
		return err
	}
	var t table
	for _, one := range found {
		t.row("# "+one.ID, one.State, one.BaseURL, providerWord(one))
	}
	return t.write(p.out)
}

// providerWord says where a provider came from, or what to do about it.
func providerWord(p admin.Provider) string {
	if p.State != "ready" && p.Advice != "" {
		return p.Advice
	}
	return p.Source
}

type explainCommand struct {
	Request explainRequest `cmd:"" default:"withargs" help:"Why a request went where it went, and what was expected of every target."`
	Errors  explainErrors  `cmd:"" help:"What is done about each class of error."`
}

type explainErrors struct {
	Route string `placeholder:"NAME" help:"What is done for requests that name this route; for all others when left out."`
}

func (e *explainErrors) Run(ctx context.Context, p *process) error {
	made, err := e.table(ctx, p)
	if err != nil {
		return err
	}
	if p.JSON {
		return p.printJSON(made)
	}
	t := table{head: []string{"class", "status", "same target", "next target", "means", "then"}}
	for _, e := range made.Classes {
		again := "no"
		if e.Repeat > 0 {
			again = fmt.Sprintf("%d more", e.Repeat)
		}
		t.row(string(e.Class), fmt.Sprint(e.Status), again, yes(e.Next), e.Means, e.Does)
	}
	return t.write(p.out)
}

// table is that of the gateway that runs, where one is named; else that of the
// configuration, for which no data directory need be opened.
func (e *explainErrors) table(ctx context.Context, p *process) (made admin.ErrorTable, err error) {
	if p.URL != "" || p.env.URL != "" {
		query := url.Values{}
		if e.Route != "" {
			query.Set("route", e.Route)
		}
		_, err = p.ask(ctx, http.MethodGet, "errors", query, nil, &made)
		return made, err
	}
	c, err := p.load()
	if err != nil {
		return made, err
	}
	made.Classes, err = p.app.Errors(c, e.Route)
	return made, err
}

type versionCommand struct{}

func (*versionCommand) Run(p *process) error {
	if p.JSON {
		return p.printJSON(map[string]string{"version": Version()})
	}
	_, err := fmt.Fprintln(p.out, "headrace "+Version())
	return err
}

// Version is the module's version, with the commit where the build knows it.
func Version() string {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "unknown"
	}
	v := info.Main.Version
	if v == "" || v == "(devel)" {
		v = "devel"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" && len(s.Value) >= 12 && !strings.Contains(v, s.Value[:12]) {
			v += " " + s.Value[:12]
		}
	}
	return v
}
