package httpapi

import (
	"bytes"
	"compress/gzip"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"golang.org/x/sync/singleflight"

	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// seatMaps shares the reading of seat maps: when thousands look at one hall, it is read, written as JSON and
// compressed at most once in mapLife, whoever asks.
type seatMaps struct {
	read   func(context.Context, uuid.UUID) (clients.Event, []*inventoryv1.Seat, error)
	mu     sync.Mutex
	cached map[uuid.UUID]*seatMap
	flight singleflight.Group
}

// A map is at most a second old when it is sent, the time of reading included.
const (
	mapLife  = 800 * time.Millisecond
	mostMaps = 64 // kept at once: some MB each
)

type seatMap struct {
	plain, zipped []byte
	tag           string
	readAt        time.Time
}

func (m *seatMaps) serve(w http.ResponseWriter, r *http.Request, id uuid.UUID) error {
	x, err := m.get(r.Context(), id)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("ETag", x.tag)
	h.Set("Cache-Control", "no-cache") // may be kept, must be asked for
	h.Set("Vary", "Accept-Encoding")
	if fits(r.Header.Get("If-None-Match"), x.tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	body := x.plain
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		body = x.zipped
		h.Set("Content-Encoding", "gzip")
	}
	h.Set("Content-Type", "application/json")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	_, _ = w.Write(body)
	return nil
}

func (m *seatMaps) get(ctx context.Context, id uuid.UUID) (*seatMap, error) {
	m.mu.Lock()
	x := m.cached[id]
	m.mu.Unlock()
	if x != nil && time.Since(x.readAt) < mapLife {
		return x, nil
	}
	v, err, _ := m.flight.Do(id.String(), func() (any, error) {
		readAt := time.Now()
		event, seats, err := m.read(context.WithoutCancel(ctx), id) // shared: it must not end with one client
		if err != nil {
			return nil, err
		}
		x, err := render(event, seats, readAt)
		if err != nil {
			return nil, err
		}
		m.keep(id, x)
		return x, nil
	})
	if err != nil {
		return nil, err
	}
	return v.(*seatMap), nil
}

// keep has a map at hand for as long as it may be shown; then its megabytes are given back.
func (m *seatMaps) keep(id uuid.UUID, x *seatMap) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.cached == nil || len(m.cached) >= mostMaps {
		m.cached = map[uuid.UUID]*seatMap{}
	}
	m.cached[id] = x
	time.AfterFunc(mapLife, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.cached[id] == x {
			delete(m.cached, id)
		}
	})
}

func render(event clients.Event, seats []*inventoryv1.Seat, readAt time.Time) (*seatMap, error) {
	plain, err := json.Marshal(web.Envelope{Success: true, Data: viewSeatMap(event, seats)})
	if err != nil {
		return nil, err
	}
	var b bytes.Buffer
	z, err := gzip.NewWriterLevel(&b, gzip.BestSpeed)
	if err != nil {
		return nil, err
	}
	_, _ = z.Write(plain) // into memory: it cannot fail
	_ = z.Close()
	sum := sha256.Sum256(plain)
	// Weak: the plain and the compressed body are the same map, not the same bytes.
	tag := `W/"` + base64.RawURLEncoding.EncodeToString(sum[:12]) + `"`
	return &seatMap{plain: plain, zipped: b.Bytes(), tag: tag, readAt: readAt}, nil
}

// fits compares an If-None-Match header weakly.
func fits(header, tag string) bool {
	for t := range strings.SplitSeq(header, ",") {
		t = strings.TrimSpace(t)
		if t == "*" || strings.TrimPrefix(t, "W/") == strings.TrimPrefix(tag, "W/") {
			return true
		}
	}
	return false
}

func acceptsGzip(header string) bool {
	for c := range strings.SplitSeq(header, ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(c), ";")
		if strings.TrimSpace(name) == "gzip" {
			q, given := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			n, err := strconv.ParseFloat(q, 64)
			return !given || err == nil && n > 0
		}
	}
	return false
}
