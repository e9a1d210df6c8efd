package admin

import (
	"net/http"

	"github.com/go-json-experiment/json/jsontext"

	"headrace/internal/llm"
)

// BodiesAnswer is what was said in a request.
type BodiesAnswer struct {
	// Bodies has the members request and answer, redacted and cut as the
	// configuration says: a JSON value, or a string of its beginning. A streamed
	// answer is put together. left_out says what is missing, redacted counts what
	// was taken out.
	Bodies jsontext.Value `json:"bodies"`
}

// requestBodies shows what was said. That it was read stands in the audit log.
func (s *server) requestBodies(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	r, err := s.Requests.Request(q.Context(), q.PathValue("id"))
	if err != nil {
		return 0, nil, err
	}
	none := llm.Errorf(llm.NotFound, "nothing of what was said in %s is stored (bodies: in the configuration)", r.ID)
	if s.Bodies == nil {
		return 0, nil, none
	}
	text, ok, err := s.Bodies(q.Context(), r.Key, r.ID)
	switch {
	case err != nil:
		return 0, nil, err
	case !ok:
		return 0, nil, none
	}
	s.audit(q.Context(), "bodies.read", r.ID)
	return http.StatusOK, BodiesAnswer{text}, nil
}
