package config

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
)

// TestTemplate: the template says the defaults, also once its comments are
// taken off, and blocks stand in their keys' places.
func TestTemplate(t *testing.T) {
	t.Parallel()
	getenv := func(string) string { return "" }
	plain := Template(nil)
	uncommented := regexp.MustCompile(`(?m)^# ([a-z_]+:|  )`).ReplaceAllString(string(plain), "$1")
	for name, text := range map[string]string{"commented out": string(plain), "switched on": uncommented} {
		c, err := Parse("t.yaml", []byte(text), getenv)
		if err != nil {
			t.Fatalf("%s: %v\n%s", name, err, text)
		}
		c.loaded = nil
		want := Default()
		for _, one := range []*Config{c, want} { // an empty map and none are the same
			v := reflect.ValueOf(one).Elem()
			for i := range v.NumField() {
				if f := v.Field(i); f.Kind() == reflect.Map && f.CanSet() && f.Len() == 0 {
					f.SetZero()
				}
			}
		}
		if name == "commented out" && !reflect.DeepEqual(c, want) {
			t.Errorf("%s: not the defaults: %+v", name, c)
		}
	}
	if !strings.Contains(uncommented, "\nlisten: 127.0.0.1:8080") && !strings.Contains(uncommented, "\nlisten: \"127.0.0.1:8080\"") {
		t.Errorf("no default of listen:\n%s", uncommented)
	}
	c, err := Parse("t.yaml", Template([]Block{{"listen", "listen: 127.0.0.1:9999"}, {"routes", "routes:\n  smart: [a/b]\n"}}), getenv)
	if err != nil || c.Listen != "127.0.0.1:9999" || len(c.Routes["smart"].Targets) != 1 {
		t.Errorf("blocks: %v, %+v", err, c)
	}
}
