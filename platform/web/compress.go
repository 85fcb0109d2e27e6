package web

import (
	"bytes"
	"compress/gzip"
	"net/http"
	"strconv"
	"strings"
	"sync"

	"github.com/go-chi/chi/v5/middleware"
)

// compressFrom is the size of a JSON answer, in bytes, from which it is compressed: below it the packet costs more than
// what is in it.
const compressFrom = 8 << 10

// answer is an http.ResponseWriter that knows whether the client takes gzip.
type answer struct {
	middleware.WrapResponseWriter
	gzip bool
}

// compressors are kept: one has some 800 KB. The level is the fastest, which makes a list about a sixth of its size.
var compressors = sync.Pool{New: func() any {
	z, err := gzip.NewWriterLevel(nil, gzip.BestSpeed)
	if err != nil {
		panic(err) // the level is one of the package's
	}
	return z
}}

// compress replaces body by its compressed form if the client takes that.
func compress(w http.ResponseWriter, body *bytes.Buffer) {
	w.Header().Add("Vary", "Accept-Encoding")
	if a, ok := w.(*answer); !ok || !a.gzip {
		return
	}
	var small bytes.Buffer
	z := compressors.Get().(*gzip.Writer)
	defer compressors.Put(z)
	z.Reset(&small)
	_, _ = z.Write(body.Bytes()) // into memory
	_ = z.Close()
	*body = small
	w.Header().Set("Content-Encoding", "gzip")
}

// AcceptsGzip reports whether the client takes an answer in gzip.
func AcceptsGzip(r *http.Request) bool {
	for c := range strings.SplitSeq(r.Header.Get("Accept-Encoding"), ",") {
		name, weight, _ := strings.Cut(strings.TrimSpace(c), ";")
		if strings.TrimSpace(name) == "gzip" {
			q, given := strings.CutPrefix(strings.ReplaceAll(weight, " ", ""), "q=")
			n, err := strconv.ParseFloat(q, 64)
			return !given || err == nil && n > 0
		}
	}
	return false
}
