package seatmap

import (
	"bytes"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/klauspost/compress/gzip"

	"ticketremaster/platform/web"
)

// Serve answers with an event's map, or 304 if the client has it already.
func (m *Maps) Serve(w http.ResponseWriter, r *http.Request, id uuid.UUID) error {
	x, err := m.get(r.Context(), id)
	if err != nil {
		return err
	}
	h := w.Header()
	h.Set("ETag", x.tag)
	h.Set("Cache-Control", "no-cache") // may be cached, must be revalidated
	h.Set("Vary", "Accept-Encoding")
	if fits(r.Header.Get("If-None-Match"), x.tag) {
		w.WriteHeader(http.StatusNotModified)
		return nil
	}
	h.Set("Content-Type", "application/json")
	if web.AcceptsGzip(r) {
		h.Set("Content-Encoding", "gzip")
		h.Set("Content-Length", strconv.Itoa(len(x.zipped)))
		_, _ = w.Write(x.zipped) // the client is gone
		return nil
	}
	h.Set("Content-Length", strconv.Itoa(x.length))
	plain, err := gzip.NewReader(bytes.NewReader(x.zipped))
	if err == nil {
		_, _ = io.Copy(w, plain)
	}
	return err
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
