package app_test

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/jsonschema-go/jsonschema"

	"headrace/internal/admin"
)

// operation is one of the description's.
type operation struct {
	method, path, id string
	params           []any
	in               map[string]any
	answers          map[string]map[string]any // schemas by status
}

// operations reads the description that the gateway serves, and gives its
// schemas, in which nothing but what they say may stand.
func operations(t *testing.T, h *house) (ops []operation, defs map[string]any) {
	t.Helper()
	var doc struct {
		Paths      map[string]map[string]map[string]any
		Components struct{ Schemas map[string]any }
	}
	h.asAdmin("GET", "openapi.json", "", &doc)
	for _, path := range slices.Sorted(maps.Keys(doc.Paths)) {
		for _, method := range slices.Sorted(maps.Keys(doc.Paths[path])) {
			op := doc.Paths[path][method]
			one := operation{method: strings.ToUpper(method), path: path, id: op["operationId"].(string), answers: map[string]map[string]any{}}
			one.params, _ = op["parameters"].([]any)
			if body, ok := op["requestBody"].(map[string]any); ok {
				one.in = jsonSchema(body)
			}
			for status, r := range op["responses"].(map[string]any) {
				one.answers[status] = jsonSchema(r.(map[string]any))
			}
			ops = append(ops, one)
		}
	}
	return ops, doc.Components.Schemas
}

// jsonSchema is the schema of a body that is JSON; nil for another.
func jsonSchema(body map[string]any) map[string]any {
	content, _ := body["content"].(map[string]any)
	kind, _ := content["application/json"].(map[string]any)
	schema, _ := kind["schema"].(map[string]any)
	return schema
}

// shut closes every object of a schema and points its references at $defs.
func shut(v any) any {
	switch v := v.(type) {
	case map[string]any:
		out := map[string]any{}
		for name, one := range v {
			if text, ok := one.(string); ok && name == "$ref" {
				out[name] = strings.Replace(text, "#/components/schemas/", "#/$defs/", 1)
				continue
			}
			out[name] = shut(one)
		}
		if _, ok := out["properties"]; ok && out["type"] == "object" {
			out["additionalProperties"] = false
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i := range v {
			out[i] = shut(v[i])
		}
		return out
	}
	return v
}

// checker checks values against schemas of the description.
type checker struct {
	t    *testing.T
	defs map[string]any
	made map[string]*jsonschema.Resolved
}

func (c *checker) check(schema map[string]any, body []byte) error {
	text, err := json.Marshal(schema)
	if err != nil {
		return err
	}
	r, ok := c.made[string(text)]
	if !ok {
		whole := shut(schema).(map[string]any)
		whole["$defs"] = shut(c.defs)
		raw, err := json.Marshal(whole)
		if err != nil {
			return err
		}
		var s jsonschema.Schema
		if err := json.Unmarshal(raw, &s); err != nil {
			return err
		}
		if r, err = s.Resolve(nil); err != nil {
			return fmt.Errorf("the schema %s: %w", text, err)
		}
		c.made[string(text)] = r
	}
	var v any
	if err := json.Unmarshal(body, &v); err != nil {
		return err
	}
	return r.Validate(v)
}

// maker makes requests up, half of them nearly right.
type maker struct {
	*rand.Rand
	defs map[string]any
	// seen are words that the gateway has given: ids, names.
	seen []string
	// careful makes a request up that is nearly right.
	careful bool
}

var oddWords = []string{"", "0", "-1", "1", "7d", "24h", "true", "false", "999999999999999999999", "9223372036854775807", "2026-11-23", "2026-11-23T10:00:00Z", "2262-04-12T00:00:00Z",
	"0001-01-01T00:00:00Z", "../../etc/passwd", "%00", "\u0000", "'; DROP TABLE access_key; --", "日本", "\xff\xfe", strings.Repeat("x", 300), "*", "req_", "req_0000000000000", "key/daily/x",
	"team/monthly/core", "tag/total/red", "rehearsal", "openai", "rehearsal/rehearse", "openai/gpt-5.2", "model", "day", "hour", "minute", "job_0000000000001", "<script>alert(1)</script>", "$$", "\r\nX: y"}

func (m *maker) word() string {
	if m.careful && len(m.seen) > 0 && m.IntN(4) > 0 {
		return m.seen[m.IntN(len(m.seen))]
	}
	switch m.IntN(3) {
	case 0:
		if len(m.seen) > 0 {
			return m.seen[m.IntN(len(m.seen))]
		}
	case 1:
		raw := make([]byte, m.IntN(12))
		for i := range raw {
			raw[i] = byte(m.IntN(256))
		}
		return string(raw)
	}
	return oddWords[m.IntN(len(oddWords))]
}

// things are how the ids begin of what a path is about.
var things = map[string]string{"keys": "key_", "members": "mem_", "requests": "req_", "batches": "job_", "budgets": "t", "models": "rehearsal/", "config": ""}

// thing is a word for a path: mostly one that names what it is about.
func (m *maker) thing(path string) string {
	kind, _, _ := strings.Cut(strings.TrimPrefix(path, "/admin/v1/"), "/")
	if kind == "providers" && m.careful {
		return []string{"openai", "mistral", "rehearsal", "anthropic"}[m.IntN(4)]
	}
	if begin, ok := things[kind]; ok && m.careful {
		var fit []string
		for _, one := range m.seen {
			if strings.HasPrefix(one, begin) {
				fit = append(fit, one)
			}
		}
		if len(fit) > 0 {
			return fit[m.IntN(len(fit))]
		}
	}
	return m.word()
}

// value makes a value of a schema up; one in ten is of another kind.
func (m *maker) value(schema map[string]any, deep int) any {
	if deep > 6 || !m.careful && m.IntN(10) == 0 {
		return []any{nil, true, -1.5, "x", []any{}, map[string]any{"a": 1}, 1e300, strings.Repeat("y", 200)}[m.IntN(8)]
	}
	if ref, ok := schema["$ref"].(string); ok {
		return m.value(m.defs[strings.TrimPrefix(ref, "#/components/schemas/")].(map[string]any), deep+1)
	}
	if list, ok := schema["enum"].([]any); ok {
		return list[m.IntN(len(list))]
	}
	switch schema["type"] {
	case "object":
		out := map[string]any{}
		properties, _ := schema["properties"].(map[string]any)
		for _, name := range slices.Sorted(maps.Keys(properties)) {
			if m.IntN(3) > 0 && !(m.careful && name == "expires_in" && out["expires"] != nil) {
				out[name] = m.value(properties[name].(map[string]any), deep+1)
			}
		}
		if m.IntN(20) == 0 {
			out[m.word()] = 1
		}
		return out
	case "array":
		out := []any{}
		items, _ := schema["items"].(map[string]any)
		for range m.IntN(4) {
			out = append(out, m.value(items, deep+1))
		}
		return out
	case "integer":
		return []int64{0, 1, -1, 60, 80, 100, 1_000_000_000, 1 << 62, m.Int64N(1 << 40)}[m.IntN(9)]
	case "number":
		return m.NormFloat64() * 1e6
	case "boolean":
		return m.IntN(2) == 0
	case "string":
		if schema["format"] == "date-time" {
			return time.Now().Add(time.Duration(m.Int64N(int64(2*time.Hour))) - time.Hour).Format(time.RFC3339)
		}
		return strings.ToValidUTF8(m.word(), "?")
	}
	return m.word()
}

// request makes a request of an operation up.
func (m *maker) request(base string, op *operation) (*http.Request, error) {
	m.careful = m.IntN(3) > 0
	path, query := op.path, url.Values{}
	for _, p := range op.params {
		p := p.(map[string]any)
		name := p["name"].(string)
		if p["in"] == "path" {
			// An empty or a dotted one would be another path.
			word := cmp.Or(strings.Trim(m.thing(op.path), "./"), "x")
			path = strings.NewReplacer("{"+name+"}", url.PathEscape(word), "{"+name+"...}", url.PathEscape(word)).Replace(path)
		} else if m.IntN(6) == 0 {
			v := m.value(p["schema"].(map[string]any), 5)
			query.Set(name, fmt.Sprint(v))
		}
	}
	if !m.careful && m.IntN(15) == 0 {
		query.Add(m.word(), m.word())
	}
	var body []byte
	if op.in != nil && m.IntN(10) > 0 {
		var err error
		if body, err = json.Marshal(m.value(op.in, 0)); err != nil {
			return nil, err
		}
		if !m.careful && m.IntN(10) == 0 && len(body) > 1 {
			body = body[:m.IntN(len(body))]
		}
	}
	if op.id == "refreshModels" && len(body) == 0 {
		body = []byte("{}") // without one it asks the providers
	}
	u := base + path
	if len(query) > 0 {
		u += "?" + query.Encode()
	}
	req, err := http.NewRequest(op.method, u, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+adminToken)
	if len(body) > 0 {
		req.Header.Set("Content-Type", "application/json")
	}
	if m.IntN(8) == 0 {
		req.Header.Set("If-Match", []string{"*", `"x"`, `"a", "b"`, ""}[m.IntN(4)])
	}
	return req, nil
}

// learn notes words of an answer, to be asked for.
func (m *maker) learn(body []byte) {
	var v any
	if json.Unmarshal(body, &v) != nil {
		return
	}
	var walk func(name string, v any)
	walk = func(name string, v any) {
		switch v := v.(type) {
		case map[string]any:
			for _, k := range slices.Sorted(maps.Keys(v)) {
				walk(k, v[k])
			}
		case []any:
			for _, one := range v[:min(len(v), 3)] {
				walk(name, one)
			}
		case string:
			if slices.Contains([]string{"id", "name", "key", "next", "model", "head", "subject"}, name) && v != "" {
				if len(m.seen) < 500 {
					m.seen = append(m.seen, v)
				} else {
					m.seen[m.IntN(len(m.seen))] = v
				}
			}
		case float64:
			if name == "id" {
				m.seen = append(m.seen[:min(len(m.seen), 499)], strconv.FormatInt(int64(v), 10))
			}
		}
	}
	walk("", v)
}

// TestAdminProperty: whatever is asked, nothing breaks, and every answer is what
// the description says. HEADRACE_TEST_FULL=1 asks 50,000 times.
func TestAdminProperty(t *testing.T) {
	t.Parallel()
	asks, seed := 600, uint64(20261125)
	if os.Getenv("HEADRACE_TEST_FULL") != "" {
		asks, seed = 50_000, rand.Uint64()
		t.Logf("seed %d", seed)
	}
	l := live(t, nil, "log: {level: error}\nroutes:\n  smart: [rehearsal/rehearse]\nteams: {core: {limits: {parallel: 100}}}\n")
	ops, defs := operations(t, l.house)
	c := &checker{t: t, defs: defs, made: map[string]*jsonschema.Resolved{}}
	m := &maker{Rand: rand.New(rand.NewPCG(seed, 0)), defs: defs}
	for range 5 {
		l.call("POST", "/v1/chat/completions", hello("smart"), "X-Headrace-Tags: red", "X-Headrace-Task: sum")
	}
	l.call("POST", "/v1/chat/completions", hello("smart"), "Prefer: respond-async", "X-Headrace-Deadline: 1h")
	var me admin.SessionAnswer
	l.asAdmin("GET", "session", "", &me)
	client := &http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, Timeout: time.Minute}
	good, statuses := map[string]int{}, map[int]int{}
	for i := 0; i < asks; i++ {
		op := &ops[m.IntN(len(ops))]
		if op.id == "events" {
			continue // it does not end
		}
		req, err := m.request(l.base, op)
		if err != nil {
			t.Fatal(err)
		}
		if req.Method != http.MethodGet && strings.Contains(req.URL.Path, me.Session.ID) {
			continue // whoever ends their own key learns no more
		}
		what := req.Method + " " + req.URL.String()
		resp, err := client.Do(req)
		if err != nil {
			t.Fatalf("ask %d, %s: %v", i, what, err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if err != nil {
			t.Fatalf("ask %d, %s: %v", i, what, err)
		}
		statuses[resp.StatusCode]++
		if resp.StatusCode >= 500 {
			t.Errorf("ask %d, %s: %d %s", i, what, resp.StatusCode, body)
		}
		schema, said := op.answers[strconv.Itoa(resp.StatusCode)]
		if !said {
			schema = op.answers["default"]
		} else {
			good[op.id]++
		}
		if schema != nil && strings.HasPrefix(resp.Header.Get("Content-Type"), "application/json") {
			if err := c.check(schema, body); err != nil {
				t.Errorf("ask %d, %s: %d %.600s\nis not what the description says: %v", i, what, resp.StatusCode, body, err)
			}
		} else if schema != nil && !strings.HasPrefix(resp.Header.Get("Content-Type"), "text/html") {
			t.Errorf("ask %d, %s: %d of type %q", i, what, resp.StatusCode, resp.Header.Get("Content-Type"))
		}
		if t.Failed() {
			break
		}
		m.learn(body)
	}
	never := 0
	for _, op := range ops {
		if good[op.id] == 0 {
			never++
			if asks >= 50_000 {
				t.Logf("%s never went well", op.id)
			}
		}
	}
	t.Logf("%d operations, %d of them never went well; statuses %v", len(ops), never, statuses)
	if strings.Contains(l.log.String(), "admin request failed") {
		t.Error("something went wrong inside:\n" + l.log.String())
	}
}
