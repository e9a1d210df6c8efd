package gemini

import "testing"

// TestSoFar: frames that tell more than text and usage are all found, and
// those that do not are passed over.
func TestSoFar(t *testing.T) {
	t.Parallel()
	text := `"content":{"parts":[{"text":"water "}],"role":"model"}`
	usage := `"usageMetadata":{"promptTokenCount":130,"candidatesTokenCount":3,"totalTokenCount":133},"modelVersion":"gemini-3.5-flash","responseId":"r"`
	for frame, want := range map[string]bool{
		`{"candidates":[{` + text + `,"index":0}],` + usage + `}`:                                         true,
		`{"candidates":[{` + text + `,"finishReason":"STOP","index":0}],` + usage + `}`:                   false,
		`{"candidates":[{` + text + `,"finish_reason":"STOP"}],` + usage + `}`:                            false,
		`{"candidates":[{"content":{"parts":[{"functionCall":{"name":"f","args":{}}}]}}],` + usage + `}`:  false,
		`{"candidates":[{"content":{"parts":[{"function_call":{"name":"f","args":{}}}]}}],` + usage + `}`: false,
		`{"candidates":[{` + text + `}],"promptFeedback":{"blockReason":"SAFETY"}}`:                       false,
		`{"candidates":[{` + text + `}],"prompt_feedback":{"blockReason":"SAFETY"}}`:                      false,
		`{"candidates":[{` + text + `}],"error":{"code":500}}`:                                            false,
		"{\"candidates\" : [{" + text + ",\"finishReason\" \r\n: \"STOP\"}]}":                             false,
		`{"candidates":[{"content":{"parts":[{"text":"the finish: an error"}]}}],` + usage + `}`:          true,
		`{"error":{"code":500}}`: false,
		`{` + usage + `}`:        false,
	} {
		if got := (Codec{}).SoFar([]byte(frame)); got != want {
			t.Errorf("SoFar(%s) = %t", frame, got)
		}
	}
}

func BenchmarkSoFar(b *testing.B) {
	frame := []byte(`{"candidates":[{"content":{"parts":[{"text":"water "}],"role":"model"},"index":0}],"usageMetadata":{"promptTokenCount":130,"candidatesTokenCount":12,"totalTokenCount":142,"promptTokensDetails":[{"modality":"TEXT","tokenCount":130}]},"modelVersion":"gemini-3.5-flash","responseId":"bench"}`)
	for b.Loop() {
		if !(Codec{}).SoFar(frame) {
			b.Fatal("it tells more")
		}
	}
}
