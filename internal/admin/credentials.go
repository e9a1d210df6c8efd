package admin

import (
	"context"
	"net/http"
	"strings"
	"time"

	"headrace/internal/llm"
)

// Credential is a key of a provider. The key is not in it.
type Credential struct {
	Name string `json:"name"`
	// Last are the last four characters of the key; empty when they are not known.
	Last string `json:"last"`
	// Source is stored (put here with this API, sealed in the store) or where else
	// it comes from; only stored ones can be removed here.
	Source string `json:"source"`
	Stored bool   `json:"stored"`
	// Added is when and By whom a stored one was put here.
	Added time.Time `json:"added,omitzero"`
	By    string    `json:"by,omitzero"`
	// State is how it is doing; left out when nothing is kept of it.
	State *CredentialState `json:"state,omitzero"`
}

// ProviderDetail is a provider with its credentials, its limits and its models.
type ProviderDetail struct {
	Provider    Provider       `json:"provider"`
	Credentials []Credential   `json:"credentials"`
	Targets     []TargetHealth `json:"targets"`
}

// ProviderAnswer is one provider.
type ProviderAnswer struct {
	Detail ProviderDetail `json:"detail"`
}

// CredentialSpec is a key to keep.
type CredentialSpec struct {
	Name string `json:"name"`
	// Key is the provider's key. It is sealed and never shown again.
	Key string `json:"key"`
}

// CredentialAnswer is one credential.
type CredentialAnswer struct {
	Credential Credential `json:"credential"`
}

// CredentialGone says which credential was removed.
type CredentialGone struct {
	Provider string `json:"provider"`
	Name     string `json:"name"`
}

// ProviderTest says what to ask a provider.
type ProviderTest struct {
	// Model is the id at the provider; its cheapest one when left out.
	Model string `json:"model"`
}

// ProviderTested is how a provider answered.
type ProviderTested struct {
	OK    bool   `json:"ok"`
	Model string `json:"model"`
	// Request is the id of the ledger's row.
	Request string    `json:"request"`
	Status  int       `json:"status"`
	Class   llm.Class `json:"class,omitzero"`
	Message string    `json:"message,omitzero"`
	// Answer is the beginning of what it said.
	Answer    string `json:"answer"`
	FirstByte int64  `json:"first_byte_ms"`
	Total     int64  `json:"total_ms"`
	Cost      Cost   `json:"cost"`
}

// Credentials keeps keys of providers. Errors are *llm.Error of class NotFound or
// InvalidRequest where the caller is to blame; no error holds a key.
type Credentials interface {
	// Provider shows a provider, also one that is not found.
	Provider(ctx context.Context, id string) (ProviderDetail, error)
	// AddCredential seals a key and brings it into force.
	AddCredential(ctx context.Context, provider, name string, key llm.Secret, by string) (Credential, error)
	// DropCredential removes one that was put here.
	DropCredential(ctx context.Context, provider, name string) error
	// TestProvider asks a provider for a word, which is paid for.
	TestProvider(ctx context.Context, provider, model string) (ProviderTested, error)
}

var providerRoutes = []route{
	{method: "GET", path: prefix + "providers/{id}", name: "provider", summary: "Show a provider: its credentials without their keys, the limits that are known of them, what is set aside and why.", may: "providers.read", out: ProviderAnswer{}, status: 200, serve: (*server).provider},
	{method: "POST", path: prefix + "providers/{id}/credentials", name: "addCredential", summary: "Keep a key of a provider, sealed; it is used at once and never shown again.", may: "providers.write", in: CredentialSpec{}, out: CredentialAnswer{}, status: 201, serve: (*server).addCredential},
	{method: "DELETE", path: prefix + "providers/{id}/credentials/{name}", name: "dropCredential", summary: "Remove a key that was put here.", may: "providers.write", out: CredentialGone{}, status: 200, serve: (*server).dropCredential},
	{method: "POST", path: prefix + "providers/{id}/test", name: "testProvider", summary: "Ask a provider for one word, which is paid for and noted as any request.", may: "providers.write", in: ProviderTest{}, out: ProviderTested{}, status: 200, serve: (*server).testProvider},
}

func (s *server) provider(q *http.Request) (int, any, error) {
	if err := params(q); err != nil {
		return 0, nil, err
	}
	if s.Credentials == nil {
		return 0, nil, lacking("credentials")
	}
	p, err := s.Credentials.Provider(q.Context(), q.PathValue("id"))
	return http.StatusOK, ProviderAnswer{p}, err
}

func (s *server) addCredential(q *http.Request) (int, any, error) {
	if s.Credentials == nil {
		return 0, nil, lacking("credentials")
	}
	var in CredentialSpec
	if err := read(q, &in); err != nil {
		return 0, nil, err
	}
	c, err := s.Credentials.AddCredential(q.Context(), q.PathValue("id"), in.Name, llm.Secret(strings.TrimSpace(in.Key)), s.caller(q.Context()).ID)
	if err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "credentials.add", q.PathValue("id")+" "+c.Name)
	return http.StatusCreated, CredentialAnswer{c}, nil
}

func (s *server) dropCredential(q *http.Request) (int, any, error) {
	if s.Credentials == nil {
		return 0, nil, lacking("credentials")
	}
	id, name := q.PathValue("id"), q.PathValue("name")
	if err := s.Credentials.DropCredential(q.Context(), id, name); err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "credentials.drop", id+" "+name)
	return http.StatusOK, CredentialGone{id, name}, nil
}

func (s *server) testProvider(q *http.Request) (int, any, error) {
	if s.Credentials == nil {
		return 0, nil, lacking("credentials")
	}
	var in ProviderTest
	if err := read(q, &in); err != nil {
		return 0, nil, err
	}
	t, err := s.Credentials.TestProvider(q.Context(), q.PathValue("id"), in.Model)
	if err != nil {
		return 0, nil, err
	}
	s.audit(q.Context(), "providers.test", q.PathValue("id")+" "+t.Request)
	return http.StatusOK, t, nil
}
