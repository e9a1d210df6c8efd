package admin

import (
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"headrace/internal/ledger"
	"headrace/internal/llm"
)

// filterParams are the parameters that requests and usage have in common.
var filterParams = []param{
	{"key", "only of the key with this id", ""},
	{"team", "only of this team", ""},
	{"provider", "only with an attempt at this provider", ""},
	{"model", "only with an attempt at this model, as provider/model or the model alone", ""},
	{"route", "only those that named this route", ""},
	{"task", "only of this task (x-headrace-task)", ""},
	{"tag", "only with this tag (x-headrace-tags)", ""},
}

var requestParams = slices.Concat([]param{sinceParam, untilParam}, filterParams, []param{
	{"asked", "only those that asked for this name", ""},
	{"session", "only of this conversation", ""},
	{"class", "only with this class of error", ""},
	{"status", "only those whose client saw this status", ""},
	{"errors", "true leaves out what ended well", "true,false"},
	{"id", "only ids that begin so", ""},
	{"limit", "how many at most, 1 to 1000; 100 when left out", ""},
	{"cursor", "the next of the page before", ""},
	{"after", "the seq of a request: only those written later, in the order of writing; -1 for all. It goes with since, errors and limit alone", ""},
})

// names lists the names of parameters.
func names(list []param) []string {
	all := make([]string, len(list))
	for i := range list {
		all[i] = list[i].name
	}
	return all
}

// RequestFilter picks ledger rows. Zero members let everything through.
type RequestFilter struct {
	// Since and Until bound the start of a request; Until is not in it.
	Since, Until time.Time
	// After is the Seq of a request: those that were written later are listed,
	// in the order of writing; a negative number lists from the first. 0 lists
	// the newest first, from Before on.
	After int64
	// Before leaves out IDs from this one on; First and Last bound them.
	Before, First, Last ledger.ID
	// The words of a request, and of any of its attempts.
	Key, Team, Asked, Provider, Model string
	Route, Task, Tag, Session         string
	Class                             llm.Class
	Status                            int
	// Errors leaves out requests that ended well.
	Errors bool
	// Limit is how many rows at most, 1 to 1000.
	Limit int
}

// target splits a model as clients write it.
func target(name string) (provider, model string) {
	if p, m, ok := strings.Cut(name, "/"); ok {
		return p, m
	}
	return "", name
}

func requestFilter(v url.Values) (RequestFilter, error) {
	f := RequestFilter{Limit: 100, Key: v.Get("key"), Team: v.Get("team"), Asked: v.Get("asked"), Provider: v.Get("provider"),
		Route: v.Get("route"), Task: v.Get("task"), Tag: v.Get("tag"), Session: v.Get("session"), Class: llm.Class(v.Get("class"))}
	now := time.Now()
	var err error
	if text := v.Get("after"); text != "" {
		if f.After, err = strconv.ParseInt(text, 10, 64); err != nil || f.After == 0 {
			return f, llm.Errorf(llm.InvalidRequest, "after is the seq of a request, or -1")
		}
		for name := range v {
			if !slices.Contains([]string{"after", "since", "errors", "limit"}, name) {
				return f, llm.Errorf(llm.InvalidRequest, "after goes with since, errors and limit alone")
			}
		}
	}
	if f.Since, err = moment("since", v.Get("since"), now); err != nil {
		return f, err
	}
	if f.Until, err = moment("until", v.Get("until"), now); err != nil {
		return f, err
	}
	if f.Errors, err = choice(v, "errors"); err != nil {
		return f, err
	}
	if f.Limit, err = limit(v, 100, 1000); err != nil {
		return f, err
	}
	if provider, model := target(v.Get("model")); model != "" {
		if provider != "" && f.Provider != "" && provider != f.Provider {
			return f, llm.Errorf(llm.InvalidRequest, "model and provider name different providers")
		}
		if f.Model = model; provider != "" {
			f.Provider = provider
		}
	}
	if text := v.Get("status"); text != "" {
		if f.Status, err = strconv.Atoi(text); err != nil || f.Status < 100 || f.Status > 599 {
			return f, llm.Errorf(llm.InvalidRequest, "status is a number from 100 to 599")
		}
	}
	if f.Class != "" && !slices.Contains(llm.Classes(), f.Class) {
		return f, llm.Errorf(llm.InvalidRequest, "there is no class %q: GET %serrors lists them", f.Class, prefix)
	}
	if text := v.Get("cursor"); text != "" {
		if f.Before, err = ledger.ParseID(text); err != nil {
			return f, llm.Errorf(llm.InvalidRequest, "cursor is the next of the page before")
		}
	}
	if text := v.Get("id"); text != "" {
		var ok bool
		if f.First, f.Last, ok = ledger.IDRange(text); !ok {
			return f, llm.Errorf(llm.InvalidRequest, "id is the beginning of a request's id: req_ and up to 13 characters of 0-9 and a-v")
		}
	}
	return f, nil
}

// limit reads how many rows are asked for.
func limit(v url.Values, usual, most int) (int, error) {
	text := v.Get("limit")
	if text == "" {
		return usual, nil
	}
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > most {
		return 0, llm.Errorf(llm.InvalidRequest, "limit is a number from 1 to %d", most)
	}
	return n, nil
}

func (s *server) listRequests(q *http.Request) (int, any, error) {
	if err := params(q, names(requestParams)...); err != nil {
		return 0, nil, err
	}
	f, err := requestFilter(q.URL.Query())
	if err != nil {
		return 0, nil, err
	}
	list, err := s.Requests.Requests(q.Context(), f)
	if list.Requests == nil {
		list.Requests = []Request{}
	}
	return http.StatusOK, list, err
}
