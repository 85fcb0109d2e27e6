package httpapi

import (
	"bytes"

	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"
	"golang.org/x/sync/singleflight"

	orchestrator "ticketremaster/orchestrator-service"
	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/money"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// seatMaps shares the reading of seat maps: when thousands look at one hall, its statuses are read, written as JSON and
// compressed at most once in mapLife, whoever asks. What does not change of a hall is read once and kept.
type seatMaps struct {
	flows  *orchestrator.Flows
	mu     sync.Mutex
	halls  map[uuid.UUID]*hall
	flight singleflight.Group
}

const (
	mapLife  = 800 * time.Millisecond // a map is at most a second old when it is sent, the time of reading included
	hallLife = 5 * time.Second        // of a hall that nobody looks at
	// mostSeats is how many seats are kept over all halls: 40 bytes each, and half as much for the map.
	mostSeats = 500_000
)

// hall is an event's seats, and the map of them that was made last. The map is replaced, never changed.
type hall struct {
	places []place
	tiers  []tier
	last   *seatMap
}

// place is what never changes of a seat.
type place struct {
	id     uuid.UUID
	row    string
	number int32
	tier   int32 // index of hall.tiers
}

type tier struct {
	name  string
	price money.Cents
	json  []byte // "category":…,"price":… as it stands in each seat
}

// seatMap is a map as it is sent; most clients take it compressed.
type seatMap struct {
	zipped   []byte
	length   int // when unzipped
	tag      string
	readAt   time.Time
	head     []byte
	statuses []byte
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
	h.Set("Content-Type", "application/json")
	if acceptsGzip(r.Header.Get("Accept-Encoding")) {
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(x.zipped)))
		_, _ = w.Write(x.zipped) // the client is gone: nobody to tell
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(x.length))
	plain, err := gzip.NewReader(bytes.NewReader(x.zipped))
	if err == nil {
		_, _ = io.Copy(w, plain)
	}
	return err
}

func (m *seatMaps) get(ctx context.Context, id uuid.UUID) (*seatMap, error) {
	m.mu.Lock()
	if h := m.halls[id]; h != nil && time.Since(h.last.readAt) < mapLife {
		defer m.mu.Unlock()
		return h.last, nil
	}
	m.mu.Unlock()
	v, err, _ := m.flight.Do(id.String(), func() (any, error) { return m.read(context.WithoutCancel(ctx), id) }) // shared: it must not end with one client
	if err != nil {
		return nil, err
	}
	return v.(*seatMap), nil
}

// read makes the map of this moment, of the hall that is at hand if it still is the event's.
func (m *seatMaps) read(ctx context.Context, id uuid.UUID) (*seatMap, error) {
	readAt := time.Now()
	event, err := m.flows.PublicEvent(ctx, id)
	if err != nil {
		return nil, err
	}
	statuses, err := m.flows.Statuses(ctx, id)
	if err != nil {
		return nil, err
	}
	m.mu.Lock()
	known := m.halls[id]
	m.mu.Unlock()
	if known == nil || !known.fits(event, statuses) {
		if known, err = m.readHall(ctx, event); err != nil {
			return nil, err
		}
		if !known.fits(event, statuses) {
			return nil, fmt.Errorf("the hall of event %s has %d seats, their statuses are %d", id, len(known.places), len(statuses))
		}
	}
	x, err := known.render(event, statuses)
	if err != nil {
		return nil, err
	}
	x.readAt = readAt
	m.keep(id, &hall{known.places, known.tiers, x})
	return x, nil
}

// readHall reads what does not change of an event's seats.
func (m *seatMaps) readHall(ctx context.Context, event clients.Event) (*hall, error) {
	h, row := &hall{places: make([]place, 0, event.TotalSeats)}, ""
	for _, name := range event.Tiers() {
		t, err := newTier(name, event.PricingTiers[name])
		if err != nil {
			return nil, err
		}
		h.tiers = append(h.tiers, t)
	}
	var wrong error
	err := m.flows.EachSeat(ctx, event.EventID, func(s *inventoryv1.Seat) {
		if s.RowNumber != row {
			row = strings.Clone(s.RowNumber) // one text for a row's seats; the message can go
		}
		id, err := uuid.Parse(s.SeatId)
		t := slices.IndexFunc(h.tiers, func(t tier) bool { return t.name == s.Tier })
		if err != nil || t < 0 {
			wrong = fmt.Errorf("event %s: seat %s of tier %q", event.EventID, s.SeatId, s.Tier)
			return
		}
		h.places = append(h.places, place{id, row, s.SeatNumber, int32(t)})
	})
	return h, errors.Join(err, wrong)
}

func newTier(name string, price money.Cents) (tier, error) {
	fields, err := json.Marshal(struct {
		Category string      `json:"category"`
		Price    money.Cents `json:"price"`
	}{name, price})
	if err != nil {
		return tier{}, err
	}
	return tier{name, price, fields[1 : len(fields)-1]}, nil
}

// fits reports whether the hall is that of the event, and the statuses its seats'.
func (h *hall) fits(event clients.Event, statuses []byte) bool {
	return len(h.places) == len(statuses) && len(h.tiers) == len(event.PricingTiers) &&
		!slices.ContainsFunc(h.tiers, func(t tier) bool { price, ok := event.PricingTiers[t.name]; return !ok || price != t.price })
}

// keep has a hall at hand until nobody looks at it any more, or halls have become too many.
func (m *seatMaps) keep(id uuid.UUID, h *hall) {
	m.mu.Lock()
	defer m.mu.Unlock()
	seats := len(h.places)
	for other, kept := range m.halls {
		if other != id {
			seats += len(kept.places)
		}
	}
	if m.halls == nil || seats > mostSeats {
		m.halls = map[uuid.UUID]*hall{}
	}
	m.halls[id] = h
	time.AfterFunc(hallLife, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		if m.halls[id] == h { // nobody has asked for a newer map
			delete(m.halls, id)
		}
	})
}

// compressors are kept, since one is larger than what it makes of most halls.
var compressors = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // there is such a level
	}
	return z
}}

// render writes the map as JSON and compresses it; if nothing has changed, it is the last one.
func (h *hall) render(event clients.Event, statuses []byte) (*seatMap, error) {
	available := bytes.Count(statuses, []byte{byte(inventoryv1.SeatStatus_AVAILABLE)})
	head, err := json.Marshal(web.Envelope{Success: true, Data: viewEvent(event, available)})
	if err != nil {
		return nil, err
	}
	if h.last != nil && bytes.Equal(head, h.last.head) && bytes.Equal(statuses, h.last.statuses) {
		again := *h.last
		return &again, nil
	}
	var zipped bytes.Buffer
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(&zipped)
	x := &seatMap{head: head, statuses: statuses}
	flush := func(part []byte) []byte {
		x.length += len(part)
		_, _ = z.Write(part) // into memory: it cannot fail
		return part[:0]
	}
	part := append(make([]byte, 0, 64<<10), bytes.TrimSuffix(head, []byte("}}"))...)
	part = append(part, `,"seats":[`...)
	for i, p := range h.places {
		if i > 0 {
			part = append(part, ',')
		}
		part = h.appendSeat(part, p, inventoryv1.SeatStatus(statuses[i]))
		if len(part) > 60<<10 {
			part = flush(part)
		}
	}
	flush(append(part, "]}}"...))
	if err := z.Close(); err != nil {
		return nil, err
	}
	x.zipped = slices.Clip(zipped.Bytes())
	sum := sha256.New()
	sum.Write(head)
	sum.Write(statuses)
	// Weak: the plain and the compressed body are the same map, not the same bytes.
	x.tag = `W/"` + base64.RawURLEncoding.EncodeToString(sum.Sum(nil)[:12]) + `"`
	return x, nil
}

// appendSeat writes a seat as the public sees it: whose it is stays private. By hand, since a hall has tens of
// thousands; the names in it need no escapes but the tier's.
func (h *hall) appendSeat(b []byte, p place, status inventoryv1.SeatStatus) []byte {
	id, _ := p.id.MarshalText()
	b = append(append(b, `{"seat_id":"`...), id...)
	b = append(append(b, `","row_number":"`...), p.row...)
	b = strconv.AppendInt(append(b, `","seat_number":`...), int64(p.number), 10)
	b = append(append(b, `,"status":"`...), inventoryv1.SeatStatus_name[int32(status)]...)
	b = append(append(b, `",`...), h.tiers[p.tier].json...)
	return append(b, '}')
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
