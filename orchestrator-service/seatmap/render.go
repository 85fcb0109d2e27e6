package seatmap

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"slices"
	"strconv"
	"sync"

	"github.com/klauspost/compress/gzip"

	"ticketremaster/orchestrator-service/catalogue"
	"ticketremaster/orchestrator-service/clients"
	"ticketremaster/platform/web"
	inventoryv1 "ticketremaster/proto/inventory/v1"
)

// compressors are pooled, since one is larger than its output for most halls.
var compressors = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // there is such a level
	}
	return z
}}

// render renders the map as JSON and compresses it; if nothing has changed, it returns the last one.
func (h *hall) render(event clients.Event, statuses []byte) (*seatMap, error) {
	available := bytes.Count(statuses, []byte{byte(inventoryv1.SeatStatus_AVAILABLE)})
	head, err := json.Marshal(web.Envelope{Success: true, Data: catalogue.ViewOf(event, available)})
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

// appendSeat writes a seat as the public sees it, without its owner. By hand, because a hall has tens of thousands of
// seats; only the tier's name needs escaping.
func (h *hall) appendSeat(b []byte, p place, status inventoryv1.SeatStatus) []byte {
	id, _ := p.id.MarshalText()
	b = append(append(b, `{"seat_id":"`...), id...)
	b = append(append(b, `","row_number":"`...), p.row...)
	b = strconv.AppendInt(append(b, `","seat_number":`...), int64(p.number), 10)
	b = append(append(b, `,"status":"`...), inventoryv1.SeatStatus_name[int32(status)]...)
	b = append(append(b, `",`...), h.tiers[p.tier].json...)
	return append(b, '}')
}
