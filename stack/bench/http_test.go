package bench

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/valyala/fasthttp"
)

// generator sends the load. It runs on the processor that is measured, so it does as little as possible and parses no
// more of an answer than is needed.
var generator = fasthttp.Client{MaxConnsPerHost: 4096, ReadTimeout: requestTime, WriteTimeout: requestTime, MaxIdleConnDuration: time.Minute,
	NoDefaultUserAgentHeader: true, DisablePathNormalizing: true, MaxIdemponentCallAttempts: 1}

// requestTime is how long a client waits.
const requestTime = 10 * time.Second

// answer is what came back.
type answer struct {
	status     int
	body       []byte // of a post
	retryAfter string
	tag        string
	encoding   string
}

// post sends one request as a client app does.
func (b *bench) post(ctx context.Context, path, token, body string) (answer, error) {
	return b.send(ctx, path, func(req *fasthttp.Request) {
		req.Header.SetMethod(fasthttp.MethodPost)
		req.Header.SetContentType("application/json")
		req.Header.Set("Authorization", "Bearer "+token)
		req.SetBodyString(body)
	})
}

// look reads a page as a browser does that may have it cached under tag.
func (b *bench) look(ctx context.Context, path, tag string) (answer, error) {
	return b.send(ctx, path, func(req *fasthttp.Request) {
		req.Header.Set("Accept-Encoding", "gzip")
		if tag != "" {
			req.Header.Set("If-None-Match", tag)
		}
	})
}

func (b *bench) send(ctx context.Context, path string, fill func(*fasthttp.Request)) (a answer, err error) {
	if err := ctx.Err(); err != nil {
		return a, err
	}
	req, res := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(res)
	req.SetRequestURI(b.world.app.Gateway + path)
	fill(req)
	if err := generator.Do(req, res); err != nil {
		return a, err
	}
	a = answer{status: res.StatusCode(), retryAfter: string(res.Header.Peek("Retry-After")), tag: string(res.Header.Peek("ETag")),
		encoding: string(res.Header.ContentEncoding())}
	if req.Header.IsPost() {
		a.body = append(a.body, res.Body()...)
	}
	return a, nil
}

// must is post, but any status but 200 is an error. It returns the body.
func (b *bench) must(ctx context.Context, path, token, body string) ([]byte, error) {
	a, err := b.post(ctx, path, token, body)
	if err == nil && a.status != fasthttp.StatusOK {
		err = fmt.Errorf("status %d: %s", a.status, a.body)
	}
	return a.body, err
}

// data decodes the envelope's data.
func data[T any](body []byte) (out T, err error) {
	envelope := struct{ Data *T }{&out}
	err = json.Unmarshal(body, &envelope)
	return out, err
}
