package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"syscall"
	"time"
)

// key is the virtual key that the gateway is started with.
const key = "bench-0123456789abcdef0123456789abcdef"

// process is a program under measurement, with its output in a file.
type process struct {
	name, addr string
	pid        int
	cmd        *exec.Cmd
	logFile    string
	ended      chan struct{}
	// broken counts answers that were cut off.
	broken atomic.Int64
}

// start runs a program on a free loopback port, which takes the place of
// {addr} in its arguments. The caller stops it.
func start(ctx context.Context, dir, name, bin string, env []string, args ...string) (*process, error) {
	addr, err := freeAddr()
	if err != nil {
		return nil, err
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "{addr}", addr)
	}
	p := &process{name: name, addr: addr, logFile: filepath.Join(dir, name+".log"), ended: make(chan struct{})}
	out, err := os.Create(p.logFile)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	p.cmd = exec.CommandContext(ctx, bin, args...)
	p.cmd.Stdout, p.cmd.Stderr = out, out
	// Nothing of the caller's environment but what a program needs to run: a
	// provider's key lying about must not change what is measured.
	p.cmd.Env = append([]string{"PATH=" + os.Getenv("PATH"), "HOME=" + dir}, env...)
	if err := p.cmd.Start(); err != nil {
		return nil, err
	}
	p.pid = p.cmd.Process.Pid
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	return p, nil
}

// startGateway runs headrace as an operator would for some providers: a key
// with limits on requests, tokens and parallel ones, routes with a fallback
// each, and the ledger. The provider plain has Chat Completions alone.
func startGateway(ctx context.Context, dir, name, bin, upstream string) (*process, error) {
	data := filepath.Join(dir, name)
	if err := os.MkdirAll(data, 0o755); err != nil {
		return nil, err
	}
	file := filepath.Join(dir, name+".yaml")
	config := fmt.Sprintf(`log:
  level: warn
providers:
  openai:
    base_url: http://%[1]s/v1
    api_key: sk-bench-openai
  anthropic:
    base_url: http://%[1]s
    api_key: sk-bench-anthropic
  plain:
    dialect: openai
    auth: bearer
    base_url: http://%[1]s/v1
    api_key: sk-bench-plain
  gem:
    dialect: gemini
    auth: x-goog-api-key
    base_url: http://%[1]s
    api_key: bench-gem
  lama:
    dialect: ollama
    auth: none
    base_url: http://%[1]s
routes:
  %[2]s: [openai/gpt-4o-mini, anthropic/claude-haiku-4-5]
  %[3]s: [anthropic/claude-haiku-4-5, openai/gpt-4o-mini]
  %[4]s: [plain/gpt-4o-mini, anthropic/claude-haiku-4-5]
  %[5]s: [gem/gemini-3.5-flash, anthropic/claude-haiku-4-5]
  %[6]s: [lama/llama3.2, anthropic/claude-haiku-4-5]
limits:
  key:
    requests_per_minute: 100000000
    tokens_per_minute: 1000000000000
    parallel: 100000
`, upstream, chatRoute, messageRoute, plainRoute, geminiRoute, ollamaRoute)
	if err := os.WriteFile(file, []byte(config), 0o600); err != nil {
		return nil, err
	}
	return start(ctx, dir, name, filepath.Join(bin, "headrace"), []string{"HEADRACE_KEY=" + key, "OLLAMA_HOST=127.0.0.1:1"},
		"serve", "--listen", "{addr}", "--data", data, "--config", file)
}

// ready waits until the path is answered.
func (p *process) ready(ctx context.Context, path string) error {
	until := time.Now().Add(20 * time.Second)
	client := &http.Client{Timeout: time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodHead, "http://"+p.addr+path, nil)
		if err != nil {
			return err
		}
		resp, err := client.Do(req)
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode < 500 {
				return nil
			}
			err = fmt.Errorf("status %d", resp.StatusCode)
		}
		select {
		case <-p.ended:
			return fmt.Errorf("%s ended before it answered%s", p.name, p.tail())
		case <-time.After(time.Millisecond):
		}
		if time.Now().After(until) {
			return fmt.Errorf("%s does not answer: %w%s", p.name, err, p.tail())
		}
	}
}

// stop ends the process and waits for it.
func (p *process) stop() {
	p.cmd.Process.Signal(syscall.SIGTERM)
	select {
	case <-p.ended:
	case <-time.After(5 * time.Second):
		p.cmd.Process.Kill()
		<-p.ended
	}
}

// tail gives the end of what the process has printed.
func (p *process) tail() string {
	b, err := os.ReadFile(p.logFile)
	if err != nil || len(bytes.TrimSpace(b)) == 0 {
		return ""
	}
	return "\n--- " + p.name + " says:\n" + string(b[max(0, len(b)-2000):])
}

func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}
