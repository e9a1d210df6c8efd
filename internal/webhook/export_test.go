package webhook

import "net/http"

// ClientOf is the client that sends by the rules.
func ClientOf(r *Rules) *http.Client { return r.client() }
