package admin

import (
	"context"
	"net/http"
	"strconv"
	"time"

	"github.com/go-json-experiment/json"

	"headrace/internal/llm"
)

const (
	// pulseEvery is how often counts are sent, rowsEach how many rows at once.
	pulseEvery = time.Second
	rowsEach   = 200
	// eventStreams is how many streams of events there may be at once.
	eventStreams = 64
	// takeIn is how long a client may take to accept what is sent.
	takeIn = 10 * time.Second
)

// events sends counts each second and rows as they are written, until the
// client leaves or the process ends.
func (s *server) events(w http.ResponseWriter, q *http.Request) {
	if err := params(q); err != nil {
		s.refuse(w, q, err)
		return
	}
	if s.streams.Add(1) > eventStreams {
		s.streams.Add(-1)
		s.refuse(w, q, llm.Errorf(llm.Unavailable, "there are %d streams of events already", eventStreams))
		return
	}
	defer s.streams.Add(-1)
	rows := May(s.caller(q.Context()).Role, "requests.read")
	after, err := strconv.ParseInt(q.Header.Get("Last-Event-ID"), 10, 64)
	if err != nil || after <= 0 {
		if after, err = s.lastSeq(q.Context()); err != nil {
			s.refuse(w, q, err)
			return
		}
	}
	h := w.Header()
	h.Set("Content-Type", "text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("X-Accel-Buffering", "no")
	w.WriteHeader(http.StatusOK)
	e := eventWriter{w: w, control: http.NewResponseController(w)}
	tick := time.NewTicker(pulseEvery)
	defer tick.Stop()
	for {
		if after, err = s.pulse(q.Context(), &e, after, rows); err != nil {
			s.Log.Debug("a stream of events ends", "error", err)
			return
		}
		select {
		case <-q.Context().Done():
			return
		case <-s.Ends:
			return
		case <-tick.C:
		}
	}
}

// lastSeq is the place of the row that was written last.
func (s *server) lastSeq(ctx context.Context) (int64, error) {
	list, err := s.Requests.Requests(ctx, RequestFilter{Limit: rowsEach})
	if err != nil {
		return 0, err
	}
	last := int64(-1)
	for i := range list.Requests {
		last = max(last, list.Requests[i].Seq)
	}
	return last, nil
}

// pulse sends what came after a row, and gives the last one.
func (s *server) pulse(ctx context.Context, e *eventWriter, after int64, rows bool) (int64, error) {
	var p Pulse
	if s.Pulse != nil {
		p = s.Pulse()
	}
	p.At = time.Now().UTC()
	list, err := s.Requests.Requests(ctx, RequestFilter{After: after, Limit: rowsEach})
	if err != nil {
		return after, err
	}
	for i := range list.Requests {
		r := &list.Requests[i]
		if after < 0 {
			after = r.Seq - 1 // there was none
		}
		p.Requests++
		if r.Class != "" {
			p.Failed++
		}
		p.Cost += r.Cost.Nanodollars
		after = max(after, r.Seq)
		if rows {
			if err := e.send("request", strconv.FormatInt(r.Seq, 10), r); err != nil {
				return after, err
			}
		}
	}
	if len(list.Requests) == rowsEach {
		last, err := s.lastSeq(ctx)
		if err != nil {
			return after, err
		}
		if last > after {
			p.Skipped = last - after
			p.Requests += p.Skipped
			after = last
		}
	}
	return after, e.send("counts", "", p)
}

// eventWriter writes server-sent events.
type eventWriter struct {
	w       http.ResponseWriter
	control *http.ResponseController
}

func (e *eventWriter) send(name, id string, data any) error {
	text, err := json.Marshal(data)
	if err != nil {
		return err
	}
	frame := "event: " + name + "\n"
	if id != "" {
		frame += "id: " + id + "\n"
	}
	// A handler that no listener serves has no deadline to set.
	_ = e.control.SetWriteDeadline(time.Now().Add(takeIn))
	if _, err := e.w.Write([]byte(frame + "data: " + string(text) + "\n\n")); err != nil {
		return err
	}
	return e.control.Flush()
}
