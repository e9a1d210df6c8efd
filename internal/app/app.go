// Package app builds the program from a configuration, and starts and stops
// its parts in order. Only it knows all of them.
package app

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"hash/maphash"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"headrace/internal/access"
	"headrace/internal/admin"
	"headrace/internal/admission"
	"headrace/internal/batch"
	"headrace/internal/budget"
	"headrace/internal/catalog"
	"headrace/internal/config"
	"headrace/internal/dash"
	"headrace/internal/gateway"
	"headrace/internal/guard"
	"headrace/internal/health"
	"headrace/internal/ledger"
	"headrace/internal/limit"
	"headrace/internal/llm"
	"headrace/internal/meter"
	"headrace/internal/provider"
	"headrace/internal/provider/rehearsal"
	"headrace/internal/recall"
	"headrace/internal/relay"
	"headrace/internal/route"
	"headrace/internal/steer"
	"headrace/internal/store/sqlite"
	"headrace/internal/study"
	"headrace/internal/tokens"
	"headrace/internal/trace"
	"headrace/internal/variant"
	"headrace/internal/vault"
	"headrace/internal/webhook"
	"headrace/internal/wire/anthropic"
	"headrace/internal/wire/openai"
)

// Options say what to run. Config and Env are required.
type Options struct {
	Config *config.Config
	Env    config.Env
	// Version is what the program calls itself.
	Version string
	// Log takes the log; nil is silent.
	Log io.Writer
	// Ready is told once the address is bound and requests are served.
	Ready func(Info) error
	// Load reads the configuration anew, complete and checked, for a reload; nil
	// means that it stays as it is while the program runs.
	Load func() (*config.Config, error)
	// Reload asks for a reload each time that something comes, beside the look
	// at the file now and again; nil never asks.
	Reload <-chan struct{}
	// Force ends a drain at once when something comes or it is closed; nil never
	// does.
	Force <-chan struct{}
	// Slow is asked before each request whether to leave the fast path; nil
	// means never. Tests set it.
	Slow func() bool
}

// Info is what a person wants to know once the program is ready.
type Info struct {
	// Address is what the listener is bound to, with its real port.
	Address string
	// Took is how long the start took.
	Took time.Duration
	// Key and AdminToken are set only when they were made just now.
	Key, AdminToken llm.Secret
	Data            string
	Providers       []admin.Provider
	// Claude is the model that Claude Code has to be told of, since no provider
	// here has its own ones; empty when one has.
	Claude string
	// Notes are things to know, such as rows lost when the last run was killed.
	Notes []string
}

// App is the whole program, built and not yet serving.
type App struct {
	o         Options
	cfg       atomic.Pointer[config.Config] // swapped whole by a reload
	data      string
	log       *slog.Logger
	level     slog.LevelVar
	started   time.Time
	db        *sqlite.DB
	ring      access.Ring
	directory *access.Directory
	limits    *limit.Table
	gate      *admission.Gate
	seed      maphash.Seed // of the affinity of conversations to credentials
	health    *health.Table
	ledger    *ledger.Ledger
	budgets   *budget.Keeper
	tokens    *tokens.Learner
	recall    *recall.State     // nil when none is kept
	responses *recall.Responses // nil when none are kept
	batches   *batches          // nil when no jobs are taken
	traces    *trace.Teller     // nil when nobody is told
	alerts    alerts
	bodies    *recall.Bodies
	webhooks  *webhook.Sender // nil when no jobs are taken
	desk      variant.Desk
	study     *study.Engine
	copies    *copies
	rehearsal *rehearsal.Provider
	steer     *steer.Table
	paces     paces
	gateway   *gateway.Gateway
	tally     guard.Tally
	admin     http.Handler
	info      Info

	// catalog is read by the ledger's writer, so it is swapped whole.
	prices atomic.Pointer[catalog.Catalog]
	alarm  alarm
	ready  atomic.Bool
	// vault has the sealed credentials and configurations; stored are the
	// credentials, and salt hides what is kept of a configuration's secrets.
	vault  *vault.Vault
	stored atomic.Pointer[[]vault.Key]
	salt   []byte
	// saved remembers what was saved this month.
	saved memo
	// ends is closed when streams of events are to end, once.
	ends    chan struct{}
	endOnce sync.Once
	// stopping: the listener is still open, but not for long.
	stopping atomic.Bool

	// reloading is held while the configuration or the catalogue is read anew.
	reloading sync.Mutex
	// mu guards what a discovery or a reload changes: the catalogue, what was
	// found, and the rules.
	mu        sync.Mutex
	guards    []gateway.Guard
	catalog   *catalog.Catalog
	found     []Found
	providers map[string]*provider.Provider
	// made keeps what is callable over snapshots, with its connections;
	// discovered what the providers said that they have.
	made       map[string]made
	discovered map[string][]catalog.Discovered
	// hedges remembers what may be hedged, and pays for it.
	hedges hedges
	// drains are the answers that are read for nobody, by provider.
	drains map[string]*relay.Drain
}

// New opens the state and builds every part. The caller ends it with Close, or
// by Serve, which closes it.
func New(ctx context.Context, o Options) (*App, error) {
	a := &App{ends: make(chan struct{}), salt: make([]byte, 32), o: o, started: time.Now(), limits: &limit.Table{}, seed: maphash.MakeSeed(), tokens: &tokens.Learner{}}
	rand.Read(a.salt) // never fails
	a.cfg.Store(o.Config)
	a.gate = admission.New(gateOptions(o.Config))
	a.log = logger(o.Log, o.Config.Log, &a.level)
	a.alarm.log, a.alarm.alerts = a.log, &a.alerts
	a.health = health.New(health.Options{
		Failures: uint(o.Config.Retries.Failures), Probe: o.Config.Retries.Probe.Std(),
		// The rehearsal provider fails when a caller asks it to; that must not set it
		// aside for the others.
		Exempt: func(t health.Target) bool { return t.Provider == rehearsalID },
		Opened: func(t health.Target) {
			a.log.Warn("a target fails repeatedly and is set aside", "provider", t.Provider, "model", t.Model)
			a.alerts.breaker(t, true)
		},
		Closed: func(t health.Target) {
			a.log.Info("a target answers again", "provider", t.Provider, "model", t.Model)
			a.alerts.breaker(t, false)
		},
	})
	if err := o.Env.Check(); err != nil {
		return nil, err
	}
	var err error
	if a.data, err = dataDir(o.Config, o.Env); err != nil {
		return nil, err
	}
	if a.catalog, err = loadCatalog(o.Config, a.data); err != nil {
		return nil, err
	}
	a.prices.Store(a.catalog)
	if a.db, err = sqlite.Open(ctx, filepath.Join(a.data, "headrace.db")); err != nil {
		return nil, fmt.Errorf("open the state in %s: %w", a.data, err)
	}
	if err := a.build(ctx); err != nil {
		return nil, errors.Join(err, a.db.Close())
	}
	return a, nil
}

func (a *App) build(ctx context.Context) error {
	cfg := a.config()
	var err error
	if a.guards, err = guards(cfg); err != nil {
		return err
	}
	a.ring = access.Ring{Store: a.db}
	a.directory = access.NewDirectory(a.db, a.log)
	if a.traces, err = a.teller(ctx, &cfg.Telemetry); err != nil {
		return err
	}
	a.ledger = ledger.New(a.db, ledger.Options{Log: a.log, Told: a.told, Price: func(provider, model string, u llm.Usage, at time.Time) (llm.Nanodollars, bool) {
		return a.prices.Load().Cost(provider, model, u, at)
	}})
	a.alerts.crier = crier(cfg, a.log)
	a.budgets = budget.New(budget.Options{Reached: a.alerts.budget, Store: a.db, Run: func() int64 { return int64(a.ledger.RunID()) }, Declared: declared(cfg),
		Log: a.log, Wait: cfg.Budgets.Wait.Std(), StrictWhenDown: cfg.Budgets.StoreDown == "refuse"})
	seal, err := recall.OpenSeal(filepath.Join(a.data, keyFile))
	if err != nil {
		return err
	}
	a.rehearsal = rehearsal.New(rehearsal.Options{Codecs: map[llm.Dialect]rehearsal.Codec{
		llm.OpenAI: openai.Codec{}, llm.Anthropic: anthropic.Codec{},
	}})
	a.vault = &vault.Vault{Store: a.db, Seal: seal}
	if err := a.readStored(ctx); err != nil {
		return err
	}
	a.found = a.look(cfg, a.catalog)
	front := gateway.Options{Keys: a.directory, Limits: callerLimits{a}, Ledger: a.ledger, Tokens: a.tokens, Admission: turns{a.gate}, Budgets: a.budgets, Tally: &a.tally}
	if a.traces != nil {
		front.Traces = a.traces
	}
	a.bodies = recall.NewBodies(recall.BodiesOptions{Store: a.db, Seal: seal, Log: a.log})
	front.Bodies = overheard{a}
	if c := &cfg.Recall; c.State > 0 {
		a.recall = recall.NewState(recall.StateOptions{Store: a.db, Seal: seal, Log: a.log,
			Keep: c.State.Std(), Bytes: int64(c.StateMemory), Turns: c.StateTurns})
		front.Recall, front.Makers = a.recall, recall.NewMakers(c.State.Std())
	}
	if c := &cfg.Recall; c.Responses > 0 {
		a.responses = recall.NewResponses(recall.ResponsesOptions{Store: a.db, Seal: seal, Log: a.log,
			Keep: c.Responses.Std(), Bytes: int64(c.ResponsesMemory), ChainBytes: int64(c.Conversation)})
		front.Responses = a.responses
	}
	if c := &cfg.Batch; c.Enabled {
		a.batches = a.newBatches(c, seal)
		a.batches.shelf = &batch.Shelf{Store: a.db, Seal: seal}
		front.Batches, front.Files = a.batches.service, a.batches.shelf
		if front.Webhooks, err = a.newWebhooks(cfg, seal); err != nil {
			return err
		}
	}
	if a.steer, err = steer.New(ctx, a.steerOptions()); err != nil {
		return err
	}
	front.Steer = steering{a.steer, &a.paces}
	a.study = study.New(study.Options{Store: a.db, Desk: &a.desk, Log: a.log})
	a.copies = newCopies(&a.desk)
	front.Variants, front.Copies = variants{&a.desk}, a.copies
	if err := a.declare(cfg); err != nil {
		return err
	}
	a.gateway = gateway.New(front, a.snapshot(cfg))
	a.admin = admin.New(a.adminOptions(admin.Options{
		Staff:    a.staff(),
		SSO:      a.sso(),
		Host:     ownHost(cfg),
		Loopback: loopback(cfg.Listen),
	}))
	return nil
}

// config is the configuration in force.
func (a *App) config() *config.Config { return a.cfg.Load() }

// credentials makes the first key and the admin token, or takes the preset
// ones. What was made is shown once; a second start finds it and shows nothing.
func (a *App) credentials(ctx context.Context) error {
	now := time.Now()
	keys, err := a.db.Keys(ctx)
	if err != nil {
		return fmt.Errorf("read the keys: %w", err)
	}
	has := map[bool]bool{}
	for _, k := range keys {
		has[k.Admin] = true
	}
	for _, c := range []struct {
		admin  bool
		name   string
		preset llm.Secret
		made   *llm.Secret
	}{{false, "first", a.o.Env.Key, &a.info.Key}, {true, "admin", a.o.Env.AdminToken, &a.info.AdminToken}} {
		spec := access.Spec{Name: c.name, Admin: c.admin}
		switch {
		case c.preset != "":
			spec.Name = "preset"
			if _, _, err := a.ring.Import(ctx, c.preset, spec, now); err != nil {
				return err
			}
		case !has[c.admin]:
			if *c.made, _, err = a.ring.Create(ctx, spec, now); err != nil {
				return err
			}
		}
	}
	return nil
}

// keyFile holds the key in the data directory that recall's rows are sealed
// with.
const keyFile = "recall.key"

// Serve binds the address and serves until ctx ends; then it drains, stops
// every part and closes the state.
func (a *App) Serve(ctx context.Context) (err error) {
	defer func() { err = errors.Join(err, a.Close()) }()
	wait := a.config().Shutdown.Listen.Std() + handover
	release, err := alone(ctx, a.data, wait, func() {
		a.log.Info("another headrace serves from this directory: waiting for it to end", "data", a.data, "for", wait)
	})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, release()) }()
	if err := a.credentials(ctx); err != nil {
		return err
	}
	if err := a.directory.Reload(ctx); err != nil {
		return fmt.Errorf("read the keys: %w", err)
	}
	l, err := net.Listen("tcp", a.config().Listen)
	if err != nil {
		return err
	}
	killed, err := a.ledger.Begin(ctx)
	if err != nil {
		l.Close()
		return fmt.Errorf("begin the ledger: %w", err)
	}
	for _, run := range killed {
		a.info.Notes = append(a.info.Notes, fmt.Sprintf("the run that last wrote at %s was killed; at most the second after that is missing from the ledger", run.Written.Format(time.DateTime)))
	}
	a.info.Notes = append(a.info.Notes, astray(a.config(), a.foundNow(), a.catalogNow())...)
	a.keepConfig(ctx, "read at the start")
	if err := a.budgets.Reload(ctx); err != nil {
		l.Close()
		return fmt.Errorf("read the budgets: %w", err)
	}
	unmark := a.markLeases(ctx, killed)
	defer unmark()
	if a.recall != nil {
		if err := a.recall.Load(ctx); err != nil {
			a.log.Error("the state of tool loops from before the start is lost", "error", err)
		}
	}
	if err := a.study.Load(ctx); err != nil {
		l.Close()
		return fmt.Errorf("read the experiments: %w", err)
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	var services sync.WaitGroup
	for _, service := range []func(context.Context){
		a.directory.Watch,
		a.watchOllama,
		a.watchRefresh,
		a.watchConfig,
		a.watchLoad,
		a.firstDiscovery,
		a.write,
		a.budgets.Run,
		a.keep,
		a.alerts.run,
		a.bodies.Run,
		a.store,
		a.sweep,
		a.retain,
		a.study.Run,
		a.tellWebhooks,
		a.steer.Run,
		a.sweepFiles,
		a.watchHolds,
	} {
		services.Go(func() { service(background) })
	}
	defer services.Wait()
	defer stop()

	requests, end := context.WithCancelCause(context.WithoutCancel(ctx))
	defer a.askCopies(requests)()
	rest, rested := a.batches.run(background, requests)
	defer rested(background)
	defer end(nil)
	defer rest()
	server := &http.Server{
		BaseContext: func(net.Listener) context.Context { return requests },
		Handler:     a.handler(), ReadHeaderTimeout: 10 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 64 << 10,
		ErrorLog: slog.NewLogLogger(a.log.Handler(), slog.LevelDebug), Protocols: protocols(),
	}
	failed := make(chan error, 1)
	a.info.Address, a.info.Took, a.info.Data, a.info.Providers = l.Addr().String(), time.Since(a.started), a.data, providersView(a.foundNow(), a.catalogNow())
	a.info.Claude = insteadOfClaude(a.gateway.Snapshot())
	go func() { failed <- server.Serve(l) }() // ends with Shutdown or Close below
	a.ready.Store(true)
	if a.o.Ready != nil {
		if err := a.o.Ready(a.info); err != nil {
			return errors.Join(err, server.Close())
		}
	}
	select {
	case err := <-failed:
		return err
	case <-ctx.Done():
	}
	rest()
	return a.drain(ctx, server, end, rested)
}

// insteadOfClaude is a model for Claude Code where nobody has what it asks for by
// itself; empty where somebody does.
func insteadOfClaude(s *gateway.Snapshot) string {
	if _, fail := route.Make(route.Facts{Model: "claude-opus-5-5", Vendor: "anthropic"}, s.Catalog, s.Policy); fail == nil {
		return ""
	}
	return "auto"
}

// write runs the ledger's writer.
func (a *App) write(ctx context.Context) {
	if err := a.ledger.Run(ctx); err != nil {
		a.log.Error("the ledger's last rows could not be written", "error", err)
	}
}

// keep writes the state of tool loops.
func (a *App) keep(ctx context.Context) {
	if a.recall == nil {
		return
	}
	if err := a.recall.Run(ctx); err != nil {
		a.log.Error("the state of the last tool loops could not be written", "error", err)
	}
}

// store writes the answers that their clients did not ask by name to be stored.
func (a *App) store(ctx context.Context) {
	if a.responses == nil {
		return
	}
	if err := a.responses.Run(ctx); err != nil {
		a.log.Error("the last responses could not be stored", "error", err)
	}
}

// sweep drops what must not come back any more.
func (a *App) sweep(ctx context.Context) { recall.Sweep(ctx, a.db, a.log) }

// retain drops old rows of the ledger.
func (a *App) retain(ctx context.Context) {
	r := a.config().Retention
	ledger.Retain(ctx, a.db, ledger.Retention{Age: r.Age.Std(), Rows: r.Rows, Bytes: int64(r.Bytes)}, a.log)
}

// Close closes the state.
func (a *App) Close() error {
	a.tellLast()
	return a.db.Close()
}

// handler serves the doors and the admin API.
func (a *App) handler() http.Handler {
	front, metrics, ui := a.gateway.Handler(), a.metrics(), dash.Handler()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if a.stopping.Load() {
			w.Header().Set("Connection", "close") // the next request goes elsewhere
		}
		switch {
		case strings.HasPrefix(r.URL.Path, "/admin/"):
			a.admin.ServeHTTP(w, r)
		case strings.HasPrefix(r.URL.Path, dash.Prefix), r.URL.Path+"/" == dash.Prefix:
			ui.ServeHTTP(w, r)
		case r.URL.Path == "/metrics":
			metrics.ServeHTTP(w, r)
		default:
			front.ServeHTTP(w, r)
		}
	})
}

// metrics serves the figures: to everybody on this machine when only this
// machine can connect, else to who has an admin token.
func (a *App) metrics() http.Handler {
	figures := meter.Handler(meter.Options{Health: a.health, Requests: a.gateway.Running, Rows: func() (waiting, lost int64) {
		s := a.ledger.Stats()
		return int64(s.Waiting), s.Lost
	}, Credentials: a.credentialStates, Guards: a.tally.Totals, Load: a.gate.Read, Successes: a.successes})
	if loopback(a.config().Listen) {
		return figures
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		if _, err := a.directory.CheckAdmin(token, time.Now()); err != nil {
			w.Header().Set("WWW-Authenticate", "Bearer")
			http.Error(w, "the figures want an admin token as Authorization: Bearer", http.StatusUnauthorized)
			return
		}
		figures.ServeHTTP(w, r)
	})
}

// protocols are HTTP/1.1 and HTTP/2 without TLS, which proxies in front use.
func protocols() *http.Protocols {
	var p http.Protocols
	p.SetHTTP1(true)
	p.SetUnencryptedHTTP2(true)
	return &p
}

func dataDir(cfg *config.Config, env config.Env) (string, error) {
	if cfg.Data != "" {
		return cfg.Data, nil
	}
	return env.DataDir()
}

func loopback(listen string) bool {
	host, _, err := net.SplitHostPort(listen)
	if err != nil {
		return false
	}
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// logger makes the log; its level can change while it is used.
func logger(w io.Writer, c config.Log, level *slog.LevelVar) *slog.Logger {
	if w == nil {
		return slog.New(slog.DiscardHandler)
	}
	setLevel(level, c)
	o := &slog.HandlerOptions{Level: level}
	if c.Format == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

func setLevel(v *slog.LevelVar, c config.Log) {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.Level)); err != nil {
		level = slog.LevelInfo // config has checked it
	}
	v.Set(level)
}
