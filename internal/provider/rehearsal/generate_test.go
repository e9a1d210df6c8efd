package rehearsal

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/jsonschema-go/jsonschema"
	"pgregory.net/rapid"
)

// judge validates a value with a library that is not ours. ok is false when
// the library cannot read the schema.
func judge(schema, value []byte) (ok bool, err error) {
	s := &jsonschema.Schema{}
	if err := json.Unmarshal(schema, s); err != nil {
		return false, fmt.Errorf("the schema: %w", err)
	}
	r, err := s.Resolve(nil)
	if err != nil {
		return false, fmt.Errorf("the schema: %w", err)
	}
	var v any
	if err := json.Unmarshal(value, &v); err != nil {
		return true, err
	}
	return true, r.Validate(v)
}

func checkValue(t *testing.T, schema, value []byte) {
	t.Helper()
	if ok, err := judge(schema, value); err != nil {
		t.Errorf("ok=%v: %v\nschema %s\nvalue %s", ok, err, schema, value)
	}
}

// schemas are of the kinds that tools in the field have, and the corners of
// JSON Schema that their generators (zod, pydantic, TypeBox, OpenAPI) use.
var schemas = map[string]string{
	"weather":          `{"type":"object","properties":{"location":{"type":"string","description":"City"},"unit":{"type":"string","enum":["celsius","fahrenheit"]}},"required":["location"]}`,
	"strict":           `{"type":"object","properties":{"a":{"type":["string","null"]},"b":{"type":["null","integer"]}},"required":["a","b"],"additionalProperties":false}`,
	"todo list":        `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"todos":{"type":"array","items":{"type":"object","properties":{"content":{"type":"string","minLength":1},"status":{"type":"string","enum":["pending","in_progress","completed"]},"activeForm":{"type":"string","minLength":1}},"required":["content","status","activeForm"],"additionalProperties":false}}},"required":["todos"],"additionalProperties":false}`,
	"questions":        `{"type":"object","properties":{"questions":{"type":"array","minItems":1,"maxItems":4,"items":{"type":"object","properties":{"question":{"type":"string"},"header":{"type":"string","maxLength":12},"options":{"type":"array","minItems":2,"maxItems":4,"items":{"type":"object","properties":{"label":{"type":"string"},"description":{"type":"string"}},"required":["label","description"]}},"multiSelect":{"type":"boolean"}},"required":["question","header","options","multiSelect"]}}},"required":["questions"]}`,
	"edit":             `{"type":"object","properties":{"file_path":{"type":"string"},"old_string":{"type":"string"},"new_string":{"type":"string"},"replace_all":{"type":"boolean","default":false}},"required":["file_path","old_string","new_string"],"additionalProperties":false}`,
	"refs":             `{"type":"object","properties":{"origin":{"$ref":"#/$defs/Place"},"stops":{"type":"array","items":{"$ref":"#/$defs/Place"},"minItems":2}},"required":["origin","stops"],"$defs":{"Place":{"type":"object","properties":{"name":{"type":"string"},"at":{"$ref":"#/$defs/Point"}},"required":["name","at"]},"Point":{"type":"object","properties":{"lat":{"type":"number","minimum":-90,"maximum":90},"lng":{"type":"number","minimum":-180,"maximum":180}},"required":["lat","lng"]}}}`,
	"definitions":      `{"$ref":"#/definitions/A","definitions":{"A":{"type":"object","properties":{"b~c/d":{"$ref":"#/definitions/x~1y"}},"required":["b~c/d"]},"x/y":{"type":"integer","minimum":5}}}`,
	"tree":             `{"$ref":"#/$defs/Node","$defs":{"Node":{"type":"object","properties":{"value":{"type":"string"},"children":{"type":"array","items":{"$ref":"#/$defs/Node"}}},"required":["value","children"]}}}`,
	"linked list":      `{"$defs":{"L":{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#/$defs/L"},{"type":"null"}]}},"required":["v","next"]}},"$ref":"#/$defs/L"}`,
	"pydantic":         `{"type":"object","properties":{"who":{"anyOf":[{"type":"null"},{"type":"string"}],"default":null},"kind":{"const":"cat"},"n":{"exclusiveMinimum":0,"type":"integer"}},"required":["who","kind","n"]}`,
	"tagged union":     `{"type":"object","properties":{"action":{"oneOf":[{"type":"object","properties":{"type":{"const":"move"},"x":{"type":"integer"}},"required":["type","x"],"additionalProperties":false},{"type":"object","properties":{"type":{"const":"say"},"text":{"type":"string"}},"required":["type","text"],"additionalProperties":false}]}},"required":["action"]}`,
	"oneOf overlap":    `{"type":"object","properties":{"n":{"oneOf":[{"type":"number"},{"type":"integer"},{"type":"string"}]}},"required":["n"]}`,
	"allOf":            `{"allOf":[{"type":"object","properties":{"a":{"type":"string","minLength":3}},"required":["a"]},{"properties":{"a":{"maxLength":4},"b":{"type":"number","multipleOf":0.25,"minimum":0.1}},"required":["b"]}]}`,
	"anyOf required":   `{"type":"object","properties":{"url":{"type":"string"},"id":{"type":"integer"}},"anyOf":[{"required":["url"]},{"required":["id"]}]}`,
	"anyOf in allOf":   `{"type":"object","allOf":[{"anyOf":[{"required":["x"]},{"required":["y"]}]},{"oneOf":[{"required":["y"]},{"required":["z"]}]}],"properties":{"x":{"type":"integer"},"y":{"type":"integer"},"z":{"type":"integer"}}}`,
	"if then":          `{"type":"object","properties":{"mode":{"enum":["fast","slow"]},"why":{"type":"string"}},"required":["mode"],"if":{"properties":{"mode":{"const":"fast"}}},"then":{"required":["why"]}}`,
	"if else":          `{"type":"object","properties":{"n":{"type":"integer","minimum":10}},"required":["n"],"if":{"properties":{"n":{"maximum":5}}},"then":false,"else":{"required":["m"]}}`,
	"not":              `{"type":"object","properties":{"a":{"type":"string","not":{"enum":["rehearsal a"]},"minLength":1}},"required":["a"],"allOf":[{"properties":{"a":{"examples":["fine"]}}}]}`,
	"dependent":        `{"type":"object","properties":{"card":{"type":"string"},"address":{"type":"string"}},"required":["card"],"dependentRequired":{"card":["address"]}}`,
	"dependent schema": `{"type":"object","properties":{"a":{"type":"integer"}},"required":["a"],"dependentSchemas":{"a":{"properties":{"b":{"type":"integer","minimum":7}},"required":["b"]}}}`,
	"minProperties":    `{"type":"object","minProperties":3,"properties":{"a":{"type":"string"}},"additionalProperties":{"type":"integer"}}`,
	"propertyNames":    `{"type":"object","minProperties":2,"propertyNames":{"pattern":"^[A-Z]{2,}$"}}`,
	"patternProps":     `{"type":"object","minProperties":2,"patternProperties":{"^x-\\d+$":{"type":"boolean"}},"additionalProperties":false}`,
	"tuple":            `{"type":"object","properties":{"range":{"type":"array","prefixItems":[{"type":"integer"},{"type":"string"}],"items":false,"minItems":2}},"required":["range"]}`,
	"old tuple":        `{"$schema":"http://json-schema.org/draft-07/schema#","type":"object","properties":{"p":{"type":"array","items":[{"type":"number"},{"type":"number"}],"additionalItems":false,"minItems":2}},"required":["p"]}`,
	"unique":           `{"type":"object","properties":{"tags":{"type":"array","items":{"type":"string"},"minItems":4,"uniqueItems":true},"days":{"type":"array","items":{"enum":["mon","tue","wed"]},"minItems":3,"uniqueItems":true},"flags":{"type":"array","items":{"type":"boolean"},"minItems":2,"uniqueItems":true},"ns":{"type":"array","items":{"type":"integer","maximum":3,"minimum":1},"minItems":3,"uniqueItems":true}},"required":["tags","days","flags","ns"]}`,
	"unique objects":   `{"type":"object","properties":{"a":{"type":"array","minItems":3,"uniqueItems":true,"items":{"type":"object","properties":{"name":{"type":"string"}},"required":["name"]}}},"required":["a"]}`,
	"contains":         `{"type":"object","properties":{"a":{"type":"array","contains":{"const":"x"},"minContains":2,"items":{"type":"string"}}},"required":["a"]}`,
	"empty array":      `{"type":"object","properties":{"a":{"type":"array","maxItems":0}},"required":["a"]}`,
	"numbers":          `{"type":"object","properties":{"a":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1},"b":{"type":"integer","multipleOf":7,"minimum":50},"c":{"type":"number","maximum":-5},"d":{"type":"number","multipleOf":0.01,"minimum":0.005},"e":{"type":"integer","exclusiveMaximum":-3},"f":{"type":"integer","minimum":9007199254740993},"g":{"type":"number","minimum":2.5,"maximum":2.5}},"required":["a","b","c","d","e","f","g"]}`,
	"strings":          `{"type":"object","properties":{"a":{"type":"string","minLength":200},"b":{"type":"string","maxLength":3},"c":{"type":"string","minLength":5,"maxLength":5},"d":{"type":"string","maxLength":0}},"required":["a","b","c","d"]}`,
	"patterns":         `{"type":"object","properties":{"zip":{"type":"string","pattern":"^\\d{5}(-\\d{4})?$"},"sku":{"type":"string","pattern":"^[A-Z]{3}-[0-9]+$","minLength":10},"hex":{"type":"string","pattern":"^#?([a-f0-9]{6}|[a-f0-9]{3})$"},"slug":{"type":"string","pattern":"^[a-z0-9]+(?:-[a-z0-9]+)*$"},"any":{"type":"string","pattern":"."},"two":{"type":"string","pattern":"^a","allOf":[{"pattern":"b$"}],"examples":["ab"]}},"required":["zip","sku","hex","slug","any","two"]}`,
	"formats":          `{"type":"object","properties":{"a":{"type":"string","format":"date-time"},"b":{"type":"string","format":"uuid"},"c":{"type":"string","format":"uri","minLength":1,"maxLength":2083},"d":{"type":"string","format":"email"},"e":{"type":"string","format":"ipv4"}},"required":["a","b","c","d","e"]}`,
	"defaults":         `{"type":"object","properties":{"limit":{"type":"integer","default":25,"minimum":1,"maximum":100},"bad":{"type":"integer","default":"x"},"q":{"type":"string","default":"cats"}},"required":["limit","bad","q"]}`,
	"bad default":      `{"type":"object","properties":{"n":{"type":"integer","default":500,"maximum":100}},"required":["n"]}`,
	"untyped":          `{"properties":{"a":{},"b":{"description":"anything"},"c":true,"d":{"minimum":3},"e":{"items":{"type":"string"}},"f":{"pattern":"^z$"}},"required":["a","b","c","d","e","f"]}`,
	"unlisted":         `{"type":"object","required":["ghost"]}`,
	"map":              `{"type":"object","properties":{"headers":{"type":"object","additionalProperties":{"type":"string"}}},"required":["headers"]}`,
	"enum mix":         `{"type":"object","properties":{"v":{"enum":[null,1,"x",{"a":[1]}]}},"required":["v"]}`,
	"enum and type":    `{"type":"object","properties":{"v":{"type":"string","enum":[null,"x"]}},"required":["v"]}`,
	"no properties":    `{"type":"object","properties":{}}`,
	"unicode":          `{"type":"object","properties":{"größe":{"type":"string"},"名前":{"type":"string"},"a\"b\\c":{"type":"integer"}},"required":["größe","名前","a\"b\\c"]}`,
	"anchor":           `{"type":"object","properties":{"a":{"$ref":"#thing"}},"required":["a"],"$defs":{"t":{"$anchor":"thing","type":"integer","minimum":4}}}`,
	"github issue":     `{"type":"object","properties":{"owner":{"type":"string"},"repo":{"type":"string"},"title":{"type":"string"},"labels":{"type":"array","items":{"type":"string"}},"state":{"type":"string","enum":["OPEN","CLOSED"]},"milestone":{"type":"number"}},"required":["owner","repo","title"]}`,
	"calendar":         `{"type":"object","properties":{"start":{"type":"object","properties":{"dateTime":{"type":"string","format":"date-time"},"timeZone":{"type":"string"}},"required":["dateTime"]},"attendees":{"type":"array","items":{"type":"object","properties":{"email":{"type":"string","format":"email"}},"required":["email"]}},"recurrence":{"type":"object","oneOf":[{"properties":{"freq":{"const":"DAILY"}},"required":["freq"]},{"properties":{"freq":{"const":"WEEKLY"},"days":{"type":"array","items":{"type":"integer","minimum":0,"maximum":6},"minItems":1}},"required":["freq","days"]}]}},"required":["start","attendees","recurrence"]}`,
}

func TestGenerateIsValid(t *testing.T) {
	for name, s := range schemas {
		t.Run(name, func(t *testing.T) {
			for _, h := range []hint{{tool: "t"}, {tool: "t", vary: 2}, {all: true, topic: "hello", reply: "This is a rehearsal."}} {
				v := generate([]byte(s), h)
				if ok, err := judge([]byte(s), v); err != nil {
					t.Errorf("with %+v: ok=%v: %v\nvalue %s", h, ok, err, v)
				}
				if w := generate([]byte(s), h); string(w) != string(v) {
					t.Errorf("two values: %s and %s", v, w)
				}
			}
		})
	}
}

// TestGenerateEnds: schemas that nothing satisfies, or that explode, still
// give JSON, soon and of bounded size.
func TestGenerateEnds(t *testing.T) {
	deep := strings.Repeat(`{"anyOf":[{"type":"null","not":{}},`, 12) + `false` + strings.Repeat(`]}`, 12)
	for name, s := range map[string]string{
		"never":        `{"type":"object","properties":{"a":false},"required":["a"]}`,
		"contradicts":  `{"type":"object","properties":{"a":{"type":"integer","minimum":5,"maximum":4}},"required":["a"]}`,
		"self":         `{"$ref":"#"}`,
		"endless":      `{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}`,
		"endless wide": `{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"},"c":{"$ref":"#"}},"required":["a","b","c"]}`,
		"endless list": `{"type":"array","minItems":3,"items":{"$ref":"#"}}`,
		"huge":         `{"type":"object","properties":{"a":{"type":"string","minLength":1e12},"b":{"type":"array","minItems":1e9},"c":{"type":"number","minimum":1e999999999}},"required":["a","b","c"]}`,
		"huge tree":    `{"type":"array","minItems":1000,"items":{"type":"array","minItems":1000,"items":{"type":"array","minItems":1000,"items":{"type":"string"}}}}`,
		"pattern":      `{"type":"object","properties":{"a":{"type":"string","pattern":"^(?=x)(((a{1,900}){1,900}){1,900})$"}},"required":["a"]}`,
		"repeats":      `{"type":"object","properties":{"a":{"type":"string","pattern":"^((((a+)+)+)+){9}$"}},"required":["a"]}`,
		"groups":       `{"anyOf":[` + strings.TrimSuffix(strings.Repeat(`{"anyOf":[false,false]},`, 40), ",") + `]}`,
		"deep":         deep,
		"broken ref":   `{"type":"object","properties":{"a":{"$ref":"#/nowhere"},"b":{"$ref":"https://example.com/x.json"}},"required":["a","b"]}`,
		"wrong kinds":  `{"type":7,"properties":[],"required":"a","enum":{},"items":3,"anyOf":{},"pattern":1,"minLength":"x","if":[]}`,
		"null":         `null`,
		"list":         `[]`,
		"empty":        ``,
	} {
		t.Run(name, func(t *testing.T) {
			v := generate([]byte(s), hint{tool: "t"})
			if !json.Valid(v) || len(v) > 2*maxGenerated {
				t.Errorf("%d bytes: %.200s", len(v), v)
			}
		})
	}
}

// TestOurCheckerAgrees compares the small checker with the library on values
// that fit and values that do not.
func TestOurCheckerAgrees(t *testing.T) {
	values := []string{`{}`, `{"a":1}`, `{"a":"x","b":2}`, `{"v":"x"}`, `{"n":1}`, `{"n":"1"}`, `{"n":1.5}`, `{"range":[1,"a"]}`, `{"range":[1,"a",2]}`,
		`{"a":["x","x"]}`, `{"a":["x"]}`, `{"mode":"fast"}`, `{"mode":"slow"}`, `{"x":1}`, `{"y":1}`, `{"x":1,"z":2}`, `{"url":"u"}`, `{"x-1":true,"x-2":false}`, `{"x-1":true,"y":1}`}
	for name, s := range schemas {
		root := parse([]byte(s))
		for _, v := range values {
			ok, err := judge([]byte(s), []byte(v))
			if !ok {
				t.Fatalf("%s: %v", name, err)
			}
			if ours := newDocument(root).valid(root, parse([]byte(v)), 0); ours != (err == nil) {
				t.Errorf("%s with %s: we say %v, the library %v", name, v, ours, err)
			}
		}
	}
}

// TestGenerateRandom draws schemas and wants every value to hold.
func TestGenerateRandom(t *testing.T) {
	var schema func(depth int) *rapid.Generator[map[string]any]
	schema = func(depth int) *rapid.Generator[map[string]any] {
		return rapid.Custom(func(rt *rapid.T) map[string]any {
			kinds := []string{"string", "integer", "number", "boolean", "enum"}
			if depth > 0 {
				kinds = append(kinds, "object", "array", "anyOf", "allOf", "nullable")
			}
			s := map[string]any{}
			switch k := rapid.SampledFrom(kinds).Draw(rt, "kind"); k {
			case "string":
				s["type"] = k
				low := rapid.IntRange(0, 30).Draw(rt, "low")
				s["minLength"], s["maxLength"] = low, low+rapid.IntRange(0, 30).Draw(rt, "room")
				if rapid.Bool().Draw(rt, "free") {
					delete(s, "maxLength")
				}
			case "integer", "number":
				s["type"] = k
				low := rapid.IntRange(-1000, 1000).Draw(rt, "low")
				s["minimum"], s["maximum"] = low, low+rapid.IntRange(0, 50).Draw(rt, "room")
			case "boolean":
				s["type"] = k
			case "enum":
				s["enum"] = rapid.SliceOfN(rapid.String(), 1, 4).Draw(rt, "values")
			case "object":
				s["type"] = k
				props := rapid.MapOfN(rapid.StringMatching(`[a-z]{1,8}(_(path|command|id|date))?`), schema(depth-1), 0, 5).Draw(rt, "props")
				s["properties"] = props
				required := []string{}
				for name := range props {
					if rapid.Bool().Draw(rt, name) {
						required = append(required, name)
					}
				}
				s["required"], s["additionalProperties"] = required, rapid.Bool().Draw(rt, "open")
			case "array":
				s["type"], s["items"] = k, schema(depth-1).Draw(rt, "items")
				low := rapid.IntRange(0, 4).Draw(rt, "low")
				s["minItems"], s["maxItems"] = low, low+rapid.IntRange(0, 3).Draw(rt, "room")
			case "anyOf":
				s["anyOf"] = rapid.SliceOfN(schema(depth-1), 1, 3).Draw(rt, "of")
			case "allOf":
				s["allOf"] = []any{schema(depth-1).Draw(rt, "of"), map[string]any{}}
			case "nullable":
				s["anyOf"] = []any{schema(depth-1).Draw(rt, "of"), map[string]any{"type": "null"}}
			}
			return s
		})
	}
	rapid.Check(t, func(rt *rapid.T) {
		s, err := json.Marshal(schema(3).Draw(rt, "schema"))
		if err != nil {
			rt.Fatal(err)
		}
		h := hint{tool: rapid.SampledFrom([]string{"", "bash", "get"}).Draw(rt, "tool"), all: rapid.Bool().Draw(rt, "all")}
		if ok, err := judge(s, generate(s, h)); err != nil && ok {
			rt.Fatalf("%v\nschema %s\nvalue %s", err, s, generate(s, h))
		}
	})
}

// TestGenerateRecorded makes arguments for every tool and every answer format
// in recorded traffic, where that is at hand.
func TestGenerateRecorded(t *testing.T) {
	dir := os.Getenv("HEADRACE_CORPUS")
	if dir == "" {
		dir = filepath.Join("..", "..", "..", "..", "shared", "corpus")
	}
	files, err := filepath.Glob(filepath.Join(dir, "open", "*.jsonl"))
	if err != nil || len(files) == 0 {
		t.Skipf("no recorded traffic in %s (HEADRACE_CORPUS names another place)", dir)
	}
	seen := map[string]bool{}
	unread := 0
	try := func(where, tool string, schema json.RawMessage) {
		key := tool + string(schema)
		if len(schema) == 0 || seen[key] {
			return
		}
		seen[key] = true
		v := generate([]byte(schema), hint{tool: tool, all: tool == ""})
		if ok, err := judge(schema, v); err != nil && ok {
			t.Errorf("%s, tool %q: %v\nschema %s\nvalue %s", where, tool, err, schema, v)
		} else if err != nil {
			unread++
		}
	}
	for _, file := range files {
		f, err := os.Open(file)
		if err != nil {
			t.Fatal(err)
		}
		lines := bufio.NewScanner(f)
		lines.Buffer(nil, 64<<20)
		for lines.Scan() {
			var r struct {
				ID      string
				Dialect string
				Request struct{ Body string }
			}
			var b struct {
				Tools []struct {
					Name     string
					Schema   json.RawMessage `json:"input_schema"`
					Function struct {
						Name       string
						Parameters json.RawMessage
					}
				}
				Format struct {
					Schema struct{ Schema json.RawMessage } `json:"json_schema"`
				} `json:"response_format"`
			}
			if json.Unmarshal(lines.Bytes(), &r) != nil || r.Dialect != "anthropic" && r.Dialect != "openai-chat" || json.Unmarshal([]byte(r.Request.Body), &b) != nil {
				continue
			}
			for _, tool := range b.Tools {
				try(r.ID, tool.Name, tool.Schema)
				try(r.ID, tool.Function.Name, tool.Function.Parameters)
			}
			try(r.ID, "", b.Format.Schema.Schema)
		}
		if err := lines.Err(); err != nil {
			t.Fatal(err)
		}
		f.Close()
	}
	t.Logf("%d schemas, %d of them are no JSON Schema to the library", len(seen), unread)
	if len(seen) < 100 || unread > len(seen)/10 {
		t.Errorf("too few schemas were tried")
	}
}

func TestPatternsOfOtherEngines(t *testing.T) {
	for pattern, want := range map[string]string{`^[\\u0041-\\u0043]+$`: `{"a":"A"}`, `^\\/(?<year>[0-9]{4})\\/$`: `{"a":"/1111/"}`, `^(?!x)y`: `{"a":"rehearsal a"}`} {
		if v := generate([]byte(`{"properties":{"a":{"type":"string","pattern":"`+pattern+`"}},"required":["a"]}`), hint{tool: "t"}); string(v) != want {
			t.Errorf("%s: %s", pattern, v)
		}
	}
}

func FuzzGenerate(f *testing.F) {
	for _, s := range schemas {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, s []byte) {
		v := generate(s, hint{tool: "t"})
		if !json.Valid(v) {
			t.Errorf("%q", v)
		}
	})
}
