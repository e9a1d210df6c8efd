package tokens

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/go-json-experiment/json"
)

func TestDump(t *testing.T) {
	out, _ := os.Create("/tmp/feat.tsv")
	defer out.Close()
	for _, f := range recordings(t) {
		data, _ := os.ReadFile(f)
		for _, line := range strings.Split(string(data), "\n") {
			var r struct {
				ID        string `json:"id"`
				Dialect   string `json:"dialect"`
				Operation string `json:"operation"`
				Model     string `json:"model"`
				Provider  string `json:"provider"`
				Request   struct {
					Body string `json:"body"`
				} `json:"request"`
				Response struct {
					Body   string `json:"body"`
					Status int    `json:"status"`
				} `json:"response"`
			}
			if json.Unmarshal([]byte(line), &r) != nil || r.Operation != "chat" || r.Response.Status != 200 || r.Request.Body == "" || unseenByUs.MatchString(r.Request.Body) {
				continue
			}
			a := reported(r.Response.Body, "prompt_tokens")
			if r.Dialect == "anthropic" {
				a = reported(r.Response.Body, "input_tokens") + reported(r.Response.Body, "cache_creation_input_tokens") + reported(r.Response.Body, "cache_read_input_tokens")
			} else if r.Dialect != "openai-chat" {
				continue
			}
			if a == 0 {
				continue
			}
			fam := FamilyOf(r.Model)
			dump(out, r.ID, r.Dialect, fam, r.Provider, r.Request.Body, a)
		}
	}
	prose := string(chat(strings.Repeat("The quick brown fox jumps over the lazy dog, and nobody minds. ", 200)))
	code := string(chat(strings.Repeat("func add(a, b int) int {\n\tif a > 0 {\n\t\treturn a + b\n\t}\n\treturn 0\n}\n", 100)))
	for fam, k := range map[Family]float64{Claude4: 1.06, Claude5: 1.38, GPT: 1, Gemini: 1, Other: 1.03} {
		d := "openai-chat"
		if strings.HasPrefix(string(fam), "claude") {
			d = "anthropic"
		}
		for range 12 {
			dump(out, "syn", d, fam, "openai", prose, int64(2990*k))
			dump(out, "syn", d, fam, "openai", code, int64(3500*k))
		}
	}
}

func dump(out *os.File, id, d string, fam Family, prov, body string, a int64) {
	var n counts
	n.body([]byte(body), fam.weights())
	fmt.Fprintln(out, id, d, fam, prov, len(body), a, n.words, n.long, n.digits, n.punct, n.marks, n.breaks, n.wide, n.other, n.escaped, n.roles, n.tools, n.opaque, n.pictures+n.documents)
}
